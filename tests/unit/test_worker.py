"""The worker over the embedded log: crashes at every step, stores that fail, offsets set back, partitions lost."""

import random
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.event_log.embedded_consumer import EmbeddedConsumer
from campaignctl.errors import Fenced, SchemaMismatch, Unavailable
from campaignctl.ports.event_log import Assignment, Committed, NewRecord, Position, TopicSpec
from campaignctl.services.ingestion import Ingestor
from tests.contracts.event_log_harness import ShiftedClock
from tests.fakes.clock import ManualClock
from tests.fakes.places import FakePlaces, Lie, unreliable
from tests.support.waiting import eventually
from tests.unit.stream_support import event
from tests.unit.worker_support import EVENTS, GROUP, LETTERS, Bench, both, once
from worker.batching import FlushPolicy
from worker.intents import Intent

FAILPOINTS = ("after_poll", "after_intent", "before_insert", "after_insert", "before_commit", "after_commit")


AN_HOUR_AGO_MS = int(time.time() * 1_000) - 3_600_000


def fresh(event_id: str, /, **members: object) -> bytes:
    """An event that the machine's clock takes; the same arguments make the same bytes."""
    return event(event_id, event_time=AN_HOUR_AGO_MS, **members)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.partition._FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr("worker.session._FIRST_RETRY_S", 0.02)
    monkeypatch.setattr("campaignctl.services.landing._SETTLE_S", 0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def test_events_land_once_and_the_offset_says_so(bench: Bench) -> None:
    bench.produce(fresh("a"), b"{", fresh("b"), fresh("a"))
    bench.drain()
    assert bench.ids == ["a", "b"]
    assert bench.letters == [("malformed_json", 1)]
    assert bench.log.committed(EVENTS, GROUP) == {0: Committed(4, "")}
    assert bench.campaigns.bumps[1] == 1
    assert bench.metric("events_duplicate_total", layer="copy") == 1
    assert bench.metric("events_rejected_total", reason="malformed_json") == 1
    assert bench.metric("events_consumed_total", platform="meta") == 3


def test_the_first_start_writes_its_offset_down(bench: Bench) -> None:
    worker = bench.worker(failpoint=lambda name: worker.stop())
    worker.run()
    assert bench.log.committed(EVENTS, GROUP) == {0: Committed(0, "")}


def test_a_worker_refuses_to_run_without_deduplication_windows(bench: Bench) -> None:
    bench.store.missing = ["events"]
    with pytest.raises(SchemaMismatch, match="events"):
        bench.worker().run()


def test_copies_alone_move_the_offset_without_an_insert(bench: Bench) -> None:
    bench.produce(fresh("a", clicks=1))
    bench.drain()
    inserts = len(bench.store.inserts)
    bench.produce(bench.log.read(EVENTS, 0, 0, 1).values[0])
    bench.drain()
    assert len(bench.store.inserts) == inserts
    assert bench.is_drained()


@pytest.mark.parametrize("partitions", [1, 3])
def test_copies_in_a_topic_made_anew_do_not_count_again(bench: Bench, partitions: int) -> None:
    for campaign_id in range(2, 6):
        bench.campaigns.add(campaign_id)
    events = [(n % 5 + 1, fresh(f"e{n}", campaign_id=n % 5 + 1)) for n in range(50)]
    for campaign_id, value in events:
        bench.produce(value, campaign_id=campaign_id)
    bench.drain()
    bench.log.delete_topic(EVENTS)
    bench.log.ensure_topic(TopicSpec(EVENTS, partitions, -1, 2**21))
    for campaign_id, value in [*events, (1, fresh("new"))]:
        bench.produce(value, campaign_id=campaign_id)
    bench.drain()
    assert bench.ids == sorted([f"e{n}" for n in range(50)] + ["new"])
    assert bench.store.rollup == bench.store.true_rollup()


class TestPlaces:
    """A memory of where late events have landed, and workers that share it."""

    DAY_MS = 86_400_000

    def backfilled(self, directory: Path, places: FakePlaces) -> Bench:
        """A bench that has counted a backfill, eight days ago."""
        clock = ManualClock()
        bench = Bench(directory, clock=clock)
        now_ms = int(clock.now().timestamp() * 1_000)
        bench.produce(event("first", event_time=now_ms - 30 * self.DAY_MS))
        bench.drain(places=places)
        clock.advance(8 * 86_400)
        bench.produce(*self.events(now_ms))
        bench.drain(places=places)
        clock.advance(8 * 86_400)
        bench.store.lookups.clear()
        bench.produce(*self.events(now_ms))
        return bench

    def events(self, now_ms: int) -> list[bytes]:
        return [event(f"e{n}", event_time=now_ms - 60 * self.DAY_MS + n) for n in range(1_500)]

    def test_a_second_backfill_is_read_by_its_places(self, tmp_path: Path) -> None:
        bench = self.backfilled(tmp_path, places := FakePlaces())
        bench.drain(places=places)
        assert bench.store.lookups == {"landed_events": 1}
        assert len(bench.ids) == 1_501
        bench.close()

    @pytest.mark.parametrize("lie", [lambda _: None, lambda _: 17, unreliable(random.Random(5))])
    def test_one_that_is_lost_or_lies_since_counts_the_same(self, tmp_path: Path, lie: Lie) -> None:
        bench = self.backfilled(tmp_path, places := FakePlaces())
        places.lie = lie
        bench.drain(places=places)
        assert bench.store.lookups["find_by_instant"] > 0
        assert len(bench.ids) == 1_501
        bench.close()

    def test_a_batch_that_was_not_acknowledged_counts_whole(self, tmp_path: Path) -> None:
        places = FakePlaces()
        bench = self.backfilled(tmp_path, places)
        now_ms = int(bench.clock.now().timestamp() * 1_000)
        bench.produce(*(event(f"new{n}", event_time=now_ms - 20 * self.DAY_MS) for n in range(1_500)))
        assert bench.crash(
            bench.worker(log=(log := bench.open_log()), failpoint=once("after_insert"), places=places), log
        )
        assert len(places.known) == 1_500
        bench.drain(places=places)
        assert len(bench.ids) == 3_001
        assert bench.store.rollup == bench.store.true_rollup()
        bench.close()


class TestCrashes:
    @pytest.mark.parametrize("name", FAILPOINTS)
    @pytest.mark.parametrize("times", [1, 2, 3])
    def test_a_crash_at_any_step_loses_and_repeats_nothing(self, bench: Bench, name: str, times: int) -> None:
        expected = []
        for batch in range(3):
            made = [f"{batch}-{number}" for number in range(20)]
            expected += made
            bench.produce(*(fresh(one) for one in made), b"{", fresh("0-0"), fresh("0-1", clicks=7))
        for _ in range(3):
            log = bench.open_log()
            worker = bench.worker(
                log=log,
                poll_records=500,
                policy=FlushPolicy(rows=10, pause_s=0.0),
                failpoint=both(once(name, times), bench.stop_when_drained(lambda: worker)),  # noqa: B023
            )
            bench.crash(worker, log)
        bench.drain()
        assert bench.ids == sorted(expected)
        assert bench.store.rollup == bench.store.true_rollup()
        assert [offset for _, offset in bench.letters] == [20, 43, 66]
        assert len(bench.store.conflicts) == 3

    @pytest.mark.parametrize("seed", range(15))
    def test_random_crashes_and_failures_over_random_records(self, tmp_path: Path, seed: int) -> None:
        rng = random.Random(seed)
        bench = Bench(tmp_path, partitions=3)
        for campaign_id in range(2, 7):
            bench.campaigns.add(campaign_id)
        bench.store.fault = lambda name: (
            rng.choice(("before", "after", "half", "hole", "rollup"))
            if rng.random() < 0.25 and "append_e" in name
            else None
        )
        truth: dict[tuple[int, str], None] = {}
        bad = 0
        for round_ in range(8):
            for number in range(rng.randint(0, 40)):
                campaign_id, event_id = rng.randint(1, 6), f"{rng.randint(0, round_)}-{number}"
                if rng.random() < 0.1:
                    bad += 1
                    bench.produce(b"nonsense", campaign_id=campaign_id)
                else:
                    truth[campaign_id, event_id] = None
                    anywhere = rng.randrange(3) if rng.random() < 0.2 else None
                    bench.produce(
                        fresh(event_id, campaign_id=campaign_id, clicks=3), campaign_id=campaign_id, partition=anywhere
                    )
            log = bench.open_log()
            worker = bench.worker(
                log=log,
                policy=FlushPolicy(rows=rng.randint(1, 30), pause_s=0.0),
                failpoint=both(
                    once(rng.choice(FAILPOINTS), rng.randint(1, 4)),
                    bench.stop_when_drained(lambda: worker),  # noqa: B023
                ),
            )
            bench.crash(worker, log)
        bench.drain()
        assert sorted((row.campaign_id, row.event_id) for row in bench.store.rows) == sorted(truth)
        assert bench.store.rollup == bench.store.true_rollup()
        assert len(bench.letters) == bad
        bench.close()

    def test_a_batch_is_repeated_exactly_although_more_records_are_there_by_then(self, bench: Bench) -> None:
        bench.produce(fresh("a"), fresh("b"))
        log = bench.open_log()
        assert bench.crash(bench.worker(log=log, failpoint=once("before_insert")), log)
        [(_, committed)] = bench.log.committed(EVENTS, GROUP).items()
        assert committed.offset == 0
        assert '"end":2' in committed.metadata
        bench.produce(fresh("c"))
        bench.drain()
        assert [count for _, count in bench.store.inserts] == [2, 1]
        assert bench.metric("ingest_replays_total") == 1
        assert bench.ids == ["a", "b", "c"]

    def test_a_campaign_that_came_to_be_between_crash_and_repetition_changes_no_verdict(self, bench: Bench) -> None:
        bench.produce(fresh("a"), fresh("early", campaign_id=2))
        log = bench.open_log()
        assert bench.crash(bench.worker(log=log, failpoint=once("before_insert")), log)
        bench.campaigns.add(2)
        bench.drain()
        assert bench.letters == [("unknown_campaign", 1)]
        assert bench.ids == ["a"]


class TestInsertsBeside:
    """While a batch is inserted, that of another partition is prepared."""

    @pytest.fixture
    def wide(self, tmp_path: Path) -> Iterator[Bench]:
        made = Bench(tmp_path, partitions=3)
        for campaign_id in range(2, 10):
            made.campaigns.add(campaign_id)
        for number in range(90):
            made.produce(fresh(f"e{number:02}", campaign_id=number % 9 + 1), campaign_id=number % 9 + 1)
        yield made
        made.close()

    def test_another_batch_is_prepared_meanwhile_and_nothing_is_polled(
        self, wide: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inserting, prepared_beside, seen = threading.Event(), threading.Event(), []
        prepare, poll = Ingestor.prepare, EmbeddedConsumer.poll

        def insert_slowly(name: str) -> None:
            if name == "append_events" and not seen:
                inserting.set()
                seen.append("beside" if prepared_beside.wait(30) else "alone")
                inserting.clear()

        def prepare_and_tell(self: Ingestor, *arguments: Any) -> Any:
            made = prepare(self, *arguments)
            if inserting.is_set():
                prepared_beside.set()
            return made

        def poll_and_look(self: EmbeddedConsumer, *arguments: Any) -> Any:
            assert not inserting.is_set()
            return poll(self, *arguments)

        monkeypatch.setattr(Ingestor, "prepare", prepare_and_tell)
        monkeypatch.setattr(EmbeddedConsumer, "poll", poll_and_look)
        wide.store.fault = insert_slowly
        wide.drain()
        assert seen == ["beside"]
        assert wide.ids == sorted(f"e{number:02}" for number in range(90))
        assert wide.store.rollup == wide.store.true_rollup()

    @pytest.mark.parametrize("fault", ["before", "after", "half", "hole", "rollup"])
    def test_one_that_fails_is_repeated_before_the_next_is_written(self, wide: Bench, fault: str) -> None:
        faults = iter([fault])
        wide.store.fault = lambda name: next(faults, None) if name == "append_events" else None
        wide.drain()
        assert wide.ids == sorted(f"e{number:02}" for number in range(90))
        assert wide.store.rollup == wide.store.true_rollup()
        planned = [token.split("-fix-")[0] for token, _ in wide.store.inserts]
        assert planned == sorted(planned, key=planned.index), "tries of two batches alternate"

    def test_a_fault_of_the_program_in_it_is_that_partitions_alone(self, wide: Bench) -> None:
        broken = iter([True])

        def fault(name: str) -> None:
            if name == "append_events" and next(broken, False):
                raise ZeroDivisionError

        wide.store.fault = fault
        wide.drain()
        assert wide.ids == sorted(f"e{number:02}" for number in range(90))
        assert wide.metric("ingest_replays_total") == 1

    def test_what_is_lost_while_another_ones_insert_is_repeated_gets_no_intent(
        self, wide: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Waiting for the store polls; a batch that was prepared before it must not be written after it."""
        poll, commit = EmbeddedConsumer.poll, EmbeddedConsumer.commit
        faults, losing, lost = iter(["before"]), threading.Event(), set[int]()

        def fail_once(name: str) -> str | None:
            fault = next(faults, None) if name == "append_events" else None
            if fault is not None:
                losing.set()
            return fault

        def lose_all(self: EmbeddedConsumer, max_records: int, timeout_s: float, /) -> Assignment:
            if losing.is_set():
                losing.clear()
                lost.update(self._owned)
                self._owned.clear()
                return Assignment(lost=frozenset(lost))
            lost.clear()
            return poll(self, max_records, timeout_s)

        def commit_what_is_owned(self: EmbeddedConsumer, partition: int, offset: int, metadata: str, /) -> None:
            assert partition not in lost
            commit(self, partition, offset, metadata)

        monkeypatch.setattr(EmbeddedConsumer, "poll", lose_all)
        monkeypatch.setattr(EmbeddedConsumer, "commit", commit_what_is_owned)
        wide.store.fault = fail_once
        wide.drain()
        assert wide.ids == sorted(f"e{number:02}" for number in range(90))
        assert wide.store.rollup == wide.store.true_rollup()
        assert wide.metric("ingest_fenced_total") == 2, "the one under way and the one prepared beside it"


class TestFailingStores:
    def test_a_store_that_is_away_is_waited_for(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        faults = iter(["before"] * 4 + ["after"])
        bench.store.fault = lambda name: next(faults, None) if name == "append_events" else None
        bench.produce(fresh("a"))
        bench.drain()
        assert bench.ids == ["a"]
        assert "waits for the analytics store" in caplog.text

    def test_a_try_that_seemed_to_fail_is_repeated_under_its_token(self, bench: Bench) -> None:
        faults = iter(["after", "after"])
        bench.store.fault = lambda name: next(faults, None) if name == "append_events" else None
        bench.produce(*(fresh(f"a{number}") for number in range(10)))
        bench.drain()
        assert len(bench.ids) == 10
        assert len({token for token, _ in bench.store.inserts}) == 1

    def test_a_hole_behind_a_known_token_is_found_and_filled(self, bench: Bench) -> None:
        faults = iter(["hole"])
        bench.store.fault = lambda name: next(faults, None) if name == "append_events" else None
        bench.produce(*(fresh(f"e{number}") for number in range(10)))
        bench.drain()
        assert len(bench.ids) == 10
        assert bench.store.rollup == bench.store.true_rollup()
        assert bench.metric("ingest_holes_total") == 10

    def test_sums_that_are_missing_behind_rows_that_are_there_are_made_good(self, bench: Bench) -> None:
        faults = iter(["rollup"])
        bench.store.fault = lambda name: next(faults, None) if name == "append_events" else None
        bench.produce(fresh("a", clicks=3))
        bench.drain()
        assert bench.ids == ["a"]
        assert bench.store.rollup == bench.store.true_rollup()

    def test_a_dead_letter_that_was_produced_although_it_seemed_to_fail_is_not_produced_again(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        produce, failures = bench.log.produce, iter([True, True])

        def uncertain(topic: str, records: Sequence[NewRecord], /) -> list[Position]:
            positions = produce(topic, records)
            if topic == LETTERS and next(failures, False):
                raise Unavailable("timed out", service="event_log")
            return positions

        bench.produce(b"{", fresh("a"), b"[]")
        monkeypatch.setattr(bench.log, "produce", uncertain)
        bench.drain()
        assert bench.letters == [("malformed_json", 0), ("invalid_type", 2)]
        assert bench.ids == ["a"]

    def test_metadata_away_stops_nothing_for_good(self, bench: Bench) -> None:
        bench.campaigns.down = True
        bench.produce(fresh("a"))
        threading.Timer(0.3, lambda: setattr(bench.campaigns, "down", False)).start()
        bench.drain()
        assert bench.ids == ["a"]
        assert bench.letters == []

    def test_stopping_while_a_store_is_away_leaves_the_batch_to_the_next(self, bench: Bench) -> None:
        tries: list[str] = []

        def away(name: str) -> str | None:
            if name != "append_events":
                return None
            tries.append(name)
            return "before"

        bench.store.fault = away  # type: ignore[assignment]
        bench.produce(fresh("a"))
        thread = bench.worker().run_in_thread()
        eventually(lambda: len(tries) >= 2)
        assert thread.stop(30)
        assert bench.ids == []
        bench.store.fault = lambda name: None
        bench.drain()
        assert bench.ids == ["a"]

    def test_the_lag_is_told_while_a_store_is_away(self, bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("worker.session._MEASURE_EVERY_S", 0.05)
        bench.store.fault = lambda name: "before" if name == "append_events" else None
        bench.produce(fresh("a"))
        thread = bench.worker().run_in_thread()
        place = {"topic": "campaign-events", "partition": "0"}
        eventually(lambda: bench.metric("consumer_lag_records", **place) == 1)
        bench.produce(fresh("b"), fresh("c"))
        eventually(lambda: bench.metric("consumer_lag_records", **place) == 3)
        assert thread.stop(30)

    def test_the_lag_is_told_of_a_partition_that_cannot_be_opened(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.session._MEASURE_EVERY_S", 0.05)
        bench.produce(fresh("a"))
        bench.drain()
        bench.store.fault = lambda name: "before" if name == "newest_offset" else None
        bench.produce(fresh("b"), fresh("c"))
        thread = bench.worker().run_in_thread()
        place = {"topic": "campaign-events", "partition": "0"}
        eventually(lambda: bench.metric("consumer_lag_records", **place) == 2)
        assert thread.stop(30)

    def test_an_error_of_the_program_in_one_partition_does_not_stop_the_others(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, partitions=2)
        broken = True

        def fault(name: str) -> None:
            if broken and name == "append_conflicts":
                raise ZeroDivisionError

        bench.store.fault = fault  # type: ignore[assignment]
        bench.campaigns.add(2)
        bench.produce(fresh("x", campaign_id=1, clicks=1), fresh("x", campaign_id=1, clicks=2), campaign_id=1)
        for number in range(2, 12):
            bench.campaigns.add(number)
            bench.produce(fresh("y", campaign_id=number), campaign_id=number)
        thread = bench.worker().run_in_thread()
        eventually(lambda: bench.ids.count("y") >= 3)
        eventually(lambda: bench.metric("ingest_failures_total") >= 2)
        eventually(lambda: any("ZeroDivisionError" in said for said in thread.worker.status().problems.values()))
        assert bench.metric("ingest_failures_total") <= 12  # twice as long from one to the next
        broken = False
        eventually(bench.is_drained)
        eventually(lambda: thread.worker.status().problems == {})
        assert thread.stop()
        assert bench.ids == ["x", *["y"] * 10]
        assert len(bench.store.conflicts) == 1
        bench.close()

    def test_an_error_of_the_program_while_polling_makes_it_join_anew(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("worker.runner._RETRY_S", 0.01)
        poll, errors = EmbeddedConsumer.poll, iter([ZeroDivisionError(), Unavailable("away", service="event_log")])

        def flaky(self: EmbeddedConsumer, max_records: int, timeout_s: float, /) -> Assignment:
            error = next(errors, None)
            if error is not None:
                raise error
            return poll(self, max_records, timeout_s)

        monkeypatch.setattr(EmbeddedConsumer, "poll", flaky)
        bench.produce(fresh("a"))
        bench.drain()
        assert bench.ids == ["a"]


class TestOwnership:
    def test_two_workers_share_the_partitions_and_count_each_event_once(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path, partitions=4)
        for number in range(2, 40):
            bench.campaigns.add(number)
        logs = [bench.open_log(), bench.open_log()]
        threads = [bench.worker(log=log).run_in_thread() for log in logs]
        for round_ in range(10):
            for number in range(1, 40):
                bench.produce(fresh(f"r{round_}", campaign_id=number), campaign_id=number)
            time.sleep(0.05)
            if round_ == 5:
                assert threads[0].stop()
        eventually(bench.is_drained)
        assert threads[1].stop()
        assert len(bench.store.rows) == 390 == len({(row.campaign_id, row.event_id) for row in bench.store.rows})
        assert threads[1].error is None
        for log in logs:
            log.close()
        bench.close()

    def test_a_refused_commit_drops_the_batch_and_the_partition_is_opened_anew(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        commit = EmbeddedConsumer.commit
        refusals = iter([None, Fenced("refused"), Unavailable("away", service="event_log")])

        def flaky(self: EmbeddedConsumer, partition: int, offset: int, metadata: str, /) -> None:
            refusal = next(refusals, None)
            if refusal is not None:
                raise refusal
            commit(self, partition, offset, metadata)

        monkeypatch.setattr(EmbeddedConsumer, "commit", flaky)
        bench.produce(fresh("a"), fresh("b"))
        bench.drain()
        assert bench.ids == ["a", "b"]
        assert bench.metric("ingest_fenced_total") == 1
        assert bench.metric("ingest_failures_total") == 2


class TestRewinds:
    def test_an_offset_set_back_repeats_nothing(self, bench: Bench) -> None:
        bench.produce(fresh("a"), b"{", fresh("b"), fresh("a", clicks=4), fresh("c"))
        bench.drain()
        self.set_back(bench, 1)
        bench.produce(fresh("d"))
        bench.drain(policy=FlushPolicy(rows=2, pause_s=0.0))
        assert bench.ids == ["a", "b", "c", "d"]
        assert bench.store.rollup == bench.store.true_rollup()
        assert bench.metric("ingest_rewinds_total") == 1
        assert len(bench.listed_letters) == 1
        assert len(bench.store.conflicts) == 1

    def test_rows_that_are_missing_behind_a_rewind_are_filled_in(self, bench: Bench) -> None:
        bench.produce(*(fresh(f"e{number}") for number in range(9)))
        bench.drain()
        bench.store.rows = [row for row in bench.store.rows if row.offset not in (3, 4)]
        self.set_back(bench, 0)
        bench.drain()
        assert len(bench.ids) == 9
        assert bench.store.rollup == bench.store.true_rollup()
        assert bench.metric("ingest_holes_total") == 2

    def test_a_missing_row_whose_copy_counts_later_stays_missing(self, bench: Bench) -> None:
        bench.produce(fresh("a"), fresh("b"))
        bench.drain()
        bench.store.rows = [row for row in bench.store.rows if row.event_id != "a"]
        bench.produce(fresh("a"))
        bench.drain()
        assert [(row.event_id, row.offset) for row in bench.store.rows] == [("b", 1), ("a", 2)]
        self.set_back(bench, 0)
        bench.drain()
        assert bench.ids == ["a", "b"]

    def test_an_intent_set_back_behind_later_batches_is_repaired_and_not_repeated(self, bench: Bench) -> None:
        for number in range(4):
            bench.produce(fresh(f"e{number}"))
            bench.drain()
        token = bench.store.inserts[0][0]
        self.set_back(bench, 0, Intent(0, 1, token, "x").metadata())
        bench.drain()
        assert len(bench.ids) == 4
        assert bench.metric("ingest_replays_total") == 0
        assert bench.metric("ingest_rewinds_total") == 1

    @staticmethod
    def set_back(bench: Bench, offset: int, metadata: str = "") -> None:
        consumer = bench.log.consumer(EVENTS, GROUP)
        while not consumer.poll(1, 0.1).gained:
            pass
        consumer.commit(0, offset, metadata)
        consumer.close()


class TestStalledPartitions:
    @pytest.mark.parametrize("metadata", ['{"v":2,"end":9,"token":"t","code":"c"}', "not ours"])
    def test_an_intent_that_cannot_be_read_is_left_alone(self, bench: Bench, metadata: str) -> None:
        bench.produce(fresh("a"))
        TestRewinds.set_back(bench, 0, metadata)
        assert "intent" in self.problem(bench)
        assert bench.log.committed(EVENTS, GROUP) == {0: Committed(0, metadata)}

    def test_a_log_that_ends_before_the_committed_offset_is_an_alarm(self, bench: Bench) -> None:
        bench.produce(fresh("a"), fresh("b"))
        TestRewinds.set_back(bench, 5)
        assert "the log ends at offset 2" in self.problem(bench)
        assert bench.log.committed(EVENTS, GROUP)[0].offset == 5

    def test_an_older_copy_of_the_log_put_back_is_an_alarm(self, tmp_path: Path) -> None:
        bench = Bench(tmp_path)
        bench.produce(fresh("a"))
        bench.drain()
        bench.close()
        before = bench.path.read_bytes()
        bench.log = bench.open_log()
        bench.produce(fresh("b"))
        bench.drain()
        bench.close()
        bench.path.write_bytes(before)
        bench.log = bench.open_log()
        bench.produce(fresh("c"))
        assert "offset 1 was applied with another event" in self.problem(bench, applied=["a", "b"])
        bench.close()
        bench.path.write_bytes(before)
        bench.log = bench.open_log()
        assert "the log ends at offset 1, and offset 1 has been applied" in self.problem(bench, applied=["a", "b"])
        bench.close()

    def test_records_lost_to_retention_are_an_alarm_and_not_skipped(self, tmp_path: Path) -> None:
        clock = ShiftedClock()
        bench = Bench(tmp_path, clock=clock, retention_ms=60_000)
        bench.produce(fresh("a"))
        TestRewinds.set_back(bench, 0)
        clock.advance(120)
        bench.log.apply_retention()
        bench.produce(fresh("b"))
        assert "offset 0 is not kept any more" in self.problem(bench)
        assert bench.log.committed(EVENTS, GROUP)[0].offset == 0
        TestRewinds.set_back(bench, 1)  # a person decides to go on
        bench.drain()
        assert bench.ids == ["b"]
        bench.close()

    @staticmethod
    def problem(bench: Bench, applied: Sequence[str] = ()) -> str:
        """What a worker that runs for a moment says of partition 0."""
        thread = bench.worker().run_in_thread()
        eventually(lambda: thread.worker.status().problems)
        problems = thread.worker.status().problems
        assert thread.stop()
        assert bench.ids == list(applied)
        return problems[0]


def test_a_lone_event_is_applied_and_acknowledged_within_a_fraction_of_a_second(bench: Bench) -> None:
    policy = FlushPolicy()
    thread = bench.worker(policy=policy).run_in_thread()
    delays_s = [policy.age_s]
    while min(delays_s) >= policy.age_s / 3:  # a busy machine may delay some of them, not all
        assert len(delays_s) <= 20, f"all waited for more to come: {delays_s}"
        time.sleep(policy.pause_s)
        started_s = time.monotonic()
        bench.produce(fresh(f"e{len(delays_s)}"))
        while not bench.is_drained():
            time.sleep(0.002)
        delays_s.append(time.monotonic() - started_s)
    assert thread.stop()


def test_a_steady_trickle_makes_few_inserts(bench: Bench) -> None:
    policy = FlushPolicy()
    thread = bench.worker(policy=policy).run_in_thread()
    started = time.monotonic()
    number = 0
    while time.monotonic() - started < 1.5:
        bench.produce(fresh(f"e{number}"))
        number += 1
        time.sleep(0.005)
    assert thread.stop()
    assert len(bench.store.inserts) <= (time.monotonic() - started) / policy.pause_s + 2
    bench.drain()
    assert len(bench.ids) == number


def test_housekeeping_waits_until_everything_is_applied(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.session._HOUSEKEEPING_EVERY_S", 0.0)
    seen = []

    def housekeeping() -> None:
        seen.append(bench.is_drained())
        worker.stop()

    bench.produce(*(fresh(f"e{number}") for number in range(2_000)))
    worker = bench.worker(housekeeping=housekeeping, policy=FlushPolicy(rows=100, pause_s=0.0), poll_records=100)
    worker.run()
    assert seen == [True]


def test_dead_letters_hold_the_original_bytes_and_where_they_lay(bench: Bench) -> None:
    huge = b'"' + b"x" * 1_200_000
    bench.produce(fresh("a", platform="myspace"), huge)
    bench.drain()
    records = bench.log.read(LETTERS, 0, 0, 10)
    headers = [{name: value.decode() for name, value in some} for some in records.headers]
    assert [one["code"] for one in headers] == ["unknown_platform", "too_large"]
    assert {name: headers[0][name] for name in ("source", "topic", "partition", "offset")} == {
        "source": "kafka",
        "topic": EVENTS,
        "partition": "0",
        "offset": "0",
    }
    assert (len(records.values[1]), headers[1]["length"]) == (65_536, str(len(huge)))
