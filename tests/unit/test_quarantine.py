"""Records that end processes: found one by one, set aside, and left out by everybody from then on."""

import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import sleep
from typing import Any

import pytest

from campaignctl.domain.dead_letters import LetterCode
from campaignctl.domain.events import EventLimits, RejectReason
from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import RecordBatch
from campaignctl.services import ingestion
from tests.e2e.killing import KILLER, look
from tests.unit.test_worker import fresh
from tests.unit.worker_support import EVENTS, GROUP, Bench, Crash
from worker.batching import FlushPolicy
from worker.probe import Probe, TooManyKillersError
from worker.quarantine import Quarantine

DEADLY = b'{"kills":1}'


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def _mortal(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process cannot die of a record; the worker crashes instead."""
    decode = ingestion.decode_columns

    def decode_or_crash(values: Sequence[bytes], *rest: Any) -> Any:
        if any(KILLER in value for value in values):
            raise Crash("read a deadly record")
        return decode(values, *rest)

    monkeypatch.setattr(ingestion, "decode_columns", decode_or_crash)


def batch(*values: bytes, first: int = 100) -> RecordBatch:
    count = len(values)
    offsets = list(range(first, first + count))
    return RecordBatch(0, offsets, [1] * count, [None] * count, list(values), [()] * count, first + count)


def killers(*values: bytes) -> list[int]:
    return Probe(EventLimits(), look=look).killers(batch(*values), sleep)


def raises(records: RecordBatch, limits: EventLimits) -> None:
    raise ValueError("the batch will meet it")


def dies_of_everything(records: RecordBatch, limits: EventLimits) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class TestProbe:
    def test_each_record_that_ends_a_process_is_named_and_no_other(self) -> None:
        good = fresh("a")
        assert killers(DEADLY, good, b"{", good, DEADLY) == [100, 104]
        assert killers(good, b"\xff", b"") == []

    def test_an_exception_is_no_death(self) -> None:
        assert Probe(EventLimits(), look=raises).killers(batch(b"{}"), sleep) == []

    def test_where_everything_kills_the_program_is_at_fault(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("worker.probe.MOST_KILLERS", 2)
        probe = Probe(EventLimits(), look=dies_of_everything)
        with pytest.raises(TooManyKillersError):
            probe.killers(batch(*[b"{}"] * 4), sleep)

    def test_whoever_loses_the_partition_meanwhile_stops_looking(self) -> None:
        def lost(seconds: float) -> None:
            raise Crash

        with pytest.raises(Crash):
            Probe(EventLimits(), look=look).killers(batch(fresh("a")), lost)


class TestWorker:
    def dies(self, bench: Bench, **options: Any) -> bool:
        """Whether a worker process dies over what is in the log."""
        log = bench.open_log()
        worker = bench.worker(
            log=log,
            quarantine=Quarantine(bench.campaigns, Probe(EventLimits(), look=look)),
            failpoint=bench.stop_when_drained(lambda: worker),
            **options,
        )
        return bench.crash(worker, log)

    def test_a_record_that_ends_three_processes_is_set_aside_and_its_neighbours_count(self, bench: Bench) -> None:
        bench.produce(*(fresh(f"a{n}") for n in range(20)), DEADLY, *(fresh(f"b{n}") for n in range(20)), b"{")
        assert [self.dies(bench) for _ in range(3)] == [True, True, False]  # the probe's was the third death
        assert bench.ids == sorted([f"a{n}" for n in range(20)] + [f"b{n}" for n in range(20)])
        assert bench.letters == [("malformed_json", 41), ("quarantined", 20)]
        assert bench.metric("events_quarantined_total") == 1
        bench.produce(fresh("later"))
        assert not self.dies(bench)
        assert "later" in bench.ids

    def test_batches_before_it_are_no_suspects(self, bench: Bench) -> None:
        bench.produce(*(fresh(f"a{n}") for n in range(30)), DEADLY, fresh("z"))
        policy = FlushPolicy(rows=10, pause_s=0.0)
        died = [self.dies(bench, policy=policy, poll_records=10) for _ in range(4)]
        assert died == [True, True, True, False] or died == [True, True, False, False]
        assert len(bench.ids) == 31
        assert [code for code, _ in bench.letters] == ["quarantined"]

    def test_two_in_one_batch_are_found_at_once(self, bench: Bench) -> None:
        bench.produce(DEADLY, fresh("a"), DEADLY, fresh("b"))
        assert [self.dies(bench) for _ in range(3)] == [True, True, False]
        assert bench.ids == ["a", "b"]
        assert bench.letters == [("quarantined", 0), ("quarantined", 2)]

    def test_nobody_dies_of_it_again(self, bench: Bench) -> None:
        bench.produce(fresh("a"), DEADLY, fresh("b"))
        assert [self.dies(bench) for _ in range(3)] == [True, True, False]
        consumer = bench.log.consumer(EVENTS, GROUP)
        while not consumer.poll(1, 0.1).gained:
            pass
        consumer.commit(0, 0, "")
        consumer.close()
        assert not self.dies(bench)
        assert bench.ids == ["a", "b"]
        assert bench.letters == [("quarantined", 1)]

    def test_where_nothing_waited_nothing_is_blamed(self, bench: Bench) -> None:
        def dies_idle() -> None:
            log = bench.open_log()
            turns = iter(range(100))

            def at(point: str) -> None:
                if point == "after_poll" and next(turns) > 2:
                    raise Crash(point)

            quarantine = Quarantine(bench.campaigns, Probe(EventLimits(), look=look))
            assert bench.crash(bench.worker(log=log, quarantine=quarantine, failpoint=at), log)

        for _ in range(3):
            dies_idle()
        assert bench.campaigns.work == {}
        bench.produce(fresh("a"))
        bench.drain(quarantine=Quarantine(bench.campaigns, Probe(EventLimits(), look=dies_of_everything)))
        assert bench.ids == ["a"]

    def test_processes_that_end_in_order_are_no_deaths(self, bench: Bench) -> None:
        for number in range(4):
            bench.produce(fresh(f"a{number}"))
            bench.drain(quarantine=Quarantine(bench.campaigns, Probe(EventLimits())))
        assert [deaths for _, _, deaths in bench.campaigns.work.values()] == [0]

    def test_a_store_that_is_away_at_the_end_stops_nobody_from_leaving(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def away(*_: object) -> None:
            raise Unavailable("away", service="metadata")

        monkeypatch.setattr(bench.campaigns, "end_work", away)
        bench.produce(fresh("a"))
        bench.drain(quarantine=Quarantine(bench.campaigns, Probe(EventLimits())))
        assert bench.ids == ["a"]


def test_letters_know_every_reason_of_records() -> None:
    assert {code.value for code in LetterCode} == {reason.value for reason in RejectReason} | {"quarantined"}
