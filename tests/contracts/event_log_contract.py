"""What every event log must do, written against the port alone.

A test module inherits ``EventLogContract`` and gives it the fixture ``harness`` (see ``event_log_harness``); what an
adapter cannot do (jump its clock, expire records when asked) its harness skips.
"""

import os
import signal
import threading
import time
from collections.abc import Callable
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings

from campaignctl.errors import Fenced, InvalidInput, TooLarge, Unavailable
from campaignctl.ports.event_log import (
    Assignment,
    Committed,
    Consumer,
    EventLog,
    NewRecord,
    OffsetLost,
    Position,
    TopicSpec,
)
from tests.contracts.event_log_harness import (
    Harness,
    another_process,
    gain,
    gain_again,
    gain_and_seek,
    poll_until,
    records,
    settled,
    take,
    values_of,
)
from tests.contracts.event_log_interleavings import STEPS, Interleaving


class EventLogContract:
    """The suite. ``topic`` makes a topic of its own for each test."""

    @pytest.fixture
    def log(self, harness: Harness) -> EventLog:
        return harness.open()

    @pytest.fixture
    def topic(self, log: EventLog) -> Callable[..., str]:
        def make(partitions: int = 1, retention_ms: int = -1, max_record_bytes: int = 2_097_152) -> str:
            name = f"contract-{uuid4().hex}"
            log.ensure_topic(TopicSpec(name, partitions, retention_ms, max_record_bytes))
            return name

        return make

    # Topics

    def test_a_topic_is_created_once_and_answered_as_it_is(self, log: EventLog, harness: Harness) -> None:
        name = f"contract-{uuid4().hex}"
        assert log.topic(name) is None
        made = log.ensure_topic(TopicSpec(name, 3, 60_000, 1_000))
        assert (made.keeps_all, made.has_log_time) == (True, True)
        assert (made.name, made.partitions, made.retention_ms, made.max_record_bytes) == (name, 3, 60_000, 1_000)
        assert made.incarnation == made.incarnation.lower()
        assert log.ensure_topic(TopicSpec(name, 5, -1, 9_000)) == made
        assert log.topic(name) == harness.open().topic(name) == made
        assert {p: (w.start, w.end) for p, w in log.watermarks(name).items()} == dict.fromkeys(range(3), (0, 0))

    def test_a_topic_created_again_is_another_incarnation(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic(2)
        before = log.topic(name)
        assert before is not None
        log.produce(name, records(b"old", partition=1))
        consumer = log.consumer(name, "g")
        gain(consumer, 2)
        consumer.commit(1, 1, "old")
        consumer.close()
        harness.delete_topic(log, name)
        assert log.topic(name) is None
        after = log.ensure_topic(TopicSpec(name, 2, -1, 1_000))
        assert after.incarnation != before.incarnation
        assert log.committed(name, "g") == {}
        assert log.produce(name, records(b"new", partition=1)) == [Position(1, 0)]
        assert list(log.read(name, 1, 0, 10).values) == [b"new"]

    def test_an_unknown_topic_is_unavailable(self, log: EventLog) -> None:
        calls: list[Callable[[], object]] = [
            lambda: log.produce("nowhere", records(b"v")),
            lambda: log.consumer("nowhere", "g"),
            lambda: log.committed("nowhere", "g"),
            lambda: log.watermarks("nowhere"),
            lambda: log.read("nowhere", 0, 0, 1),
        ]
        for call in calls:
            with pytest.raises(Unavailable) as caught:
                call()
            assert caught.value.code == "topic_missing"
            assert caught.value.service == "event_log"

    # Records

    def test_records_come_back_in_order_with_their_offsets(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        values = [f"value {i}".encode() for i in range(50)]
        positions = log.produce(name, records(*values[:30])) + log.produce(name, records(*values[30:]))
        offsets = [position.offset for position in positions]
        assert {position.partition for position in positions} == {0}
        assert offsets == sorted(set(offsets))
        batch = log.read(name, 0, 0, 100)
        assert list(batch.values) == values
        assert list(batch.offsets) == offsets
        assert batch.next_offset > offsets[-1]
        assert batch.next_offset == log.watermarks(name)[0].end
        assert len(batch.keys) == len(batch.times_ms) == len(batch.headers) == 50

    def test_nothing_to_produce_is_nothing(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        assert log.produce(name, []) == []
        assert log.watermarks(name)[0].end == 0

    def test_keys_values_and_headers_are_kept_byte_for_byte(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        binary = bytes(range(256))
        sent = [
            NewRecord(None, b"", partition=0),
            NewRecord(b"", b"empty key", partition=0),
            NewRecord(b"7", binary, (("code", b"too_large"), ("empty", b""), ("", b"no name")), partition=0),
            NewRecord(binary, b"v", (("same", b"1"), ("same", b"2"), ("ключ", binary)), partition=0),
            NewRecord(None, b"last", partition=0),
        ]
        log.produce(name, sent)
        batch = log.read(name, 0, 0, 10)
        assert list(batch.keys) == [record.key for record in sent]
        assert list(batch.values) == [record.value for record in sent]
        assert list(batch.headers) == [record.headers for record in sent]

    def test_a_key_places_a_record_as_kafkas_own_producers_do(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(12)
        hashes = {  # the vectors of Kafka's own test of murmur2
            b"21": -973932308,
            b"foobar": -790332482,
            b"a-little-bit-long-string": -985981536,
            b"a-little-bit-longer-string": -1486304829,
            b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
            b"abc": 479470107,
        }
        placed = log.produce(name, [NewRecord(key, b"v") for key in hashes])
        assert [position.partition for position in placed] == [(h & 0x7FFFFFFF) % 12 for h in hashes.values()]

    def test_a_named_partition_wins_over_the_key(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(4)
        placed = log.produce(name, [NewRecord(b"21", b"v", partition=p) for p in (3, 0, 3)])
        assert [position.partition for position in placed] == [3, 0, 3]
        with pytest.raises(InvalidInput, match="partition"):
            log.produce(name, [NewRecord(b"21", b"v", partition=4)])

    def test_records_without_a_key_go_anywhere(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(3)
        placed = log.produce(name, records(*[b"v"] * 90))
        assert {position.partition for position in placed} <= {0, 1, 2}
        assert sum(w.end for w in log.watermarks(name).values()) == 90

    def test_a_value_above_the_topics_bound_is_too_large_and_nothing_is_taken(
        self, log: EventLog, topic: Callable[..., str]
    ) -> None:
        name = topic(max_record_bytes=1_000)
        log.produce(name, records(b"x" * 1_000))
        with pytest.raises(TooLarge, match="1001"):
            log.produce(name, records(b"fits", b"x" * 1_001))
        assert log.watermarks(name)[0].end == 1

    def test_values_of_a_megabyte(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        values = [bytes([i]) * 1_048_576 for i in range(5)]
        log.produce(name, records(*values, b"small"))
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 1)
        assert values_of(take(consumer, 6)) == [*values, b"small"]

    def test_five_thousand_records_at_once(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(4)
        sent = [NewRecord(str(i % 97).encode(), f'{{"event_id": "{i}"}}'.encode()) for i in range(5_000)]
        placed = log.produce(name, sent)
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 4)
        batches = take(consumer, 5_000, max_records=700)
        got = {(b.partition, o): (k, v) for b in batches for o, k, v in zip(b.offsets, b.keys, b.values, strict=True)}
        expected = {(p.partition, p.offset): (r.key, r.value) for p, r in zip(placed, sent, strict=True)}
        assert got == expected

    def test_any_offset_can_be_read_alone(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        sent = [NewRecord(str(i).encode(), f"v{i}".encode(), (("n", str(i).encode()),)) for i in range(3_000)]
        log.produce(name, sent[:2_500])
        log.produce(name, sent[2_500:])
        for start, count in ((0, 1), (1, 3), (999, 2), (1_023, 5), (2_047, 1), (2_498, 4), (2_999, 10)):
            batch = log.read(name, 0, start, count)
            assert list(batch.values) == [r.value for r in sent[start : start + count]]
            assert list(batch.keys) == [r.key for r in sent[start : start + count]]
            assert list(batch.headers) == [r.headers for r in sent[start : start + count]]
            assert list(batch.offsets) == list(range(start, min(start + count, 3_000)))
        assert list(log.read(name, 0, 3_000, 10).values) == []

    def test_read_of_no_partition_is_refused(self, log: EventLog, topic: Callable[..., str]) -> None:
        with pytest.raises(InvalidInput, match="partition"):
            log.read(topic(2), 2, 0, 1)

    # Time

    def test_the_log_gives_each_record_its_time(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic()
        log.produce(name, records(b"a"))
        harness.advance(25)
        log.produce(name, records(b"b"))
        first, second = log.read(name, 0, 0, 10).times_ms
        assert 25_000 <= second - first < 35_000

    def test_time_never_falls_within_a_partition(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic()
        log.produce(name, records(b"a"))
        harness.jump(-3_600)
        log.produce(name, records(b"b", b"c"))
        harness.jump(7_200)
        log.produce(name, records(b"d"))
        times = list(log.read(name, 0, 0, 10).times_ms)
        assert times == sorted(times)
        assert times[0] == times[1] == times[2] < times[3]

    # Durability

    def test_another_handle_sees_what_was_produced(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic()
        log.produce(name, records(b"a", b"b"))
        log.close()
        assert list(harness.open().read(name, 0, 0, 10).values) == [b"a", b"b"]

    def test_what_was_acknowledged_survives_kill_9(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic()
        with another_process(harness) as other:
            other.send("flood", name)
            acknowledged = 0
            while acknowledged < 300:
                acknowledged = other.answer()
            other.kill()
        end = log.watermarks(name)[0].end
        assert end >= acknowledged
        if harness.writes_whole_calls:
            assert end % 7 == 0
        assert list(log.read(name, 0, 0, end).values) == [str(i).encode() for i in range(end)]

    def test_four_threads_produce_without_gaps_or_loss(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(2)
        positions: list[list[Position]] = [[], [], [], []]

        def produce(thread: int) -> None:
            for call in range(40):
                values = [f"{thread}:{call * 5 + i}".encode() for i in range(5)]
                positions[thread] += log.produce(name, records(*values, partition=call % 2))

        threads = [threading.Thread(target=produce, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        everywhere = [position for mine in positions for position in mine]
        assert len(set(everywhere)) == 800
        for partition in (0, 1):
            batch = log.read(name, partition, 0, 1_000)
            assert len(batch.values) == 400
            for thread in range(4):
                mine = [int(v.split(b":")[1]) for v in batch.values if v.startswith(f"{thread}:".encode())]
                assert mine == sorted(mine)

    # Consumers

    def test_a_gained_partition_delivers_nothing_before_seek(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        log.produce(name, records(b"a"))
        consumer = log.consumer(name, "g")
        assert gain(consumer, 1) == {0: None}
        assert consumer.poll(10, 0.1) == Assignment()
        consumer.seek(0, 0)
        assert values_of(take(consumer, 1)) == [b"a"]

    def test_commit_and_metadata_come_back(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(2)
        log.produce(name, records(*[b"v"] * 20, partition=1))
        consumer = log.consumer(name, "g")
        gain(consumer, 2)
        assert consumer.committed(1) is None
        consumer.commit(1, 7, '{"v": 1, "token": "токен ☃ 🙂"}')
        kept = Committed(7, '{"v": 1, "token": "токен ☃ 🙂"}')
        assert consumer.committed(1) == kept
        assert log.committed(name, "g") == {1: kept}
        assert log.committed(name, "another") == {}
        consumer.commit(1, 3, "back")
        assert log.committed(name, "g") == {1: Committed(3, "back")}
        consumer.commit(1, 3, "")
        assert log.committed(name, "g") == {1: Committed(3, "")}
        consumer.close()
        successor = log.consumer(name, "g")
        assert gain(successor, 2) == {0: None, 1: Committed(3, "")}

    def test_metadata_has_room_for_4095_bytes(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        consumer = log.consumer(name, "g")
        gain(consumer, 1)
        largest = "é" * 2_047 + "x"
        consumer.commit(0, 0, largest)
        assert consumer.committed(0) == Committed(0, largest)
        with pytest.raises(TooLarge):
            consumer.commit(0, 0, "é" * 2_048)
        assert consumer.committed(0) == Committed(0, largest)

    def test_seek_replays(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        values = [str(i).encode() for i in range(10)]
        log.produce(name, records(*values))
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 1, 4)
        assert values_of(take(consumer, 6)) == values[4:]
        consumer.seek(0, 2)
        assert values_of(take(consumer, 8)) == values[2:]
        consumer.seek(0, log.watermarks(name)[0].end)
        assert not consumer.poll(10, 0.05).batches
        log.produce(name, records(b"new"))
        assert values_of(take(consumer, 1)) == [b"new"]

    def test_poll_takes_at_most_what_was_asked_and_is_fair(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(3)
        for partition in range(3):
            log.produce(name, records(*[b"v"] * 4_000, partition=partition))
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 3)
        seen = dict.fromkeys(range(3), 0)

        def poll(max_records: int) -> set[int]:
            batches = consumer.poll(max_records, 30.0).batches
            assert 0 < sum(len(batch.values) for batch in batches) <= max_records
            for batch in batches:
                assert list(batch.offsets) == list(range(seen[batch.partition], batch.next_offset))
                seen[batch.partition] = batch.next_offset
            return {batch.partition for batch in batches}

        while min(seen.values()) == 0:  # records may have a way to come, from one partition sooner than from another
            poll(1)
            time.sleep(0.01)
        met = set().union(*(poll(900) for _ in range(6)))
        assert met == {0, 1, 2}  # a long partition does not keep the others waiting

    def test_a_waiting_poll_hears_of_new_records(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 1)
        timer = threading.Timer(0.3, lambda: log.produce(name, records(b"late")))
        started = time.monotonic()
        timer.start()
        assert values_of(take(consumer, 1)) == [b"late"]
        assert 0.25 < time.monotonic() - started < 10.0
        timer.join()

    def test_a_waiting_poll_hears_of_another_process(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic()
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 1)
        with another_process(harness) as other:
            other.send("produce", name, ["from afar"])
            assert values_of(take(consumer, 1)) == [b"from afar"]

    def test_poll_waits_no_longer_than_told(self, log: EventLog, topic: Callable[..., str]) -> None:
        consumer = log.consumer(topic(), "g")
        gain_and_seek(consumer, 1)
        consumer.poll(10, 0)
        started = time.monotonic()
        assert consumer.poll(10, 0.3) == Assignment()
        assert 0.25 < time.monotonic() - started < 10.0

    def test_a_paused_partition_is_silent_and_kept(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(2)
        for partition in (0, 1):
            log.produce(name, records(b"a", partition=partition))
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 2)
        consumer.pause(0)
        assert [batch.partition for batch in take(consumer, 1)] == [1]
        assert consumer.poll(10, 0.05) == Assignment()
        consumer.commit(0, 0, "still mine")
        consumer.resume(0)
        assert [batch.partition for batch in take(consumer, 1)] == [0]

    def test_what_is_not_owned_is_fenced(self, log: EventLog, topic: Callable[..., str]) -> None:
        consumer = log.consumer(topic(), "g")
        calls: list[Callable[[], object]] = [
            lambda: consumer.seek(0, 0),
            lambda: consumer.commit(0, 0, ""),
            lambda: consumer.pause(0),
            lambda: consumer.resume(0),
        ]
        for call in calls:
            with pytest.raises(Fenced):
                call()

    def test_an_offset_that_has_expired_is_lost_and_not_reset(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic(retention_ms=60_000)
        log.produce(name, records(b"a", b"b", b"c"))
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 1, 1)
        consumer.commit(0, 1, "intent")
        harness.advance(61)
        log.produce(name, records(b"d"))
        harness.expire(log)
        assert (log.watermarks(name)[0].start, log.watermarks(name)[0].end) == (3, 4)
        for _ in range(2):
            with pytest.raises(OffsetLost) as caught:
                poll_until(consumer, lambda polled: bool(polled.batches))
        lost = caught.value
        assert (lost.topic, lost.partition, lost.wanted, lost.start) == (name, 0, 1, 3)
        assert log.committed(name, "g") == {0: Committed(1, "intent")}
        with pytest.raises(OffsetLost):
            log.read(name, 0, 2, 10)
        if not gain_again(consumer):
            consumer.seek(0, 3)
        assert values_of(take(consumer, 1)) == [b"d"]

    def test_what_lies_below_an_offset_can_be_removed(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(2)
        log.produce(name, [NewRecord(None, value, partition=1) for value in (b"a", b"b", b"c")])
        log.delete_before(name, 1, 2)
        log.delete_before(name, 1, 1)  # gone already
        assert (log.watermarks(name)[1].start, log.watermarks(name)[1].end) == (2, 3)
        with pytest.raises(OffsetLost):
            log.read(name, 1, 1, 10)
        assert list(log.read(name, 1, 2, 10).values) == [b"c"]
        log.delete_before(name, 1, 3)
        assert list(log.read(name, 1, 3, 10).values) == []
        assert log.produce(name, [NewRecord(None, b"d", partition=1)]) == [Position(1, 3)]
        assert list(log.read(name, 1, 3, 10).values) == [b"d"]
        with pytest.raises(InvalidInput):
            log.delete_before(name, 1, 5)
        with pytest.raises(InvalidInput):
            log.delete_before(name, 2, 0)

    def test_an_offset_beyond_the_end_is_lost_too(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic()
        log.produce(name, records(b"a"))
        consumer = log.consumer(name, "g")
        gain_and_seek(consumer, 1, 9)
        with pytest.raises(OffsetLost):
            poll_until(consumer, lambda polled: bool(polled.batches))

    # Groups

    def test_members_share_the_partitions(self, log: EventLog, topic: Callable[..., str], harness: Harness) -> None:
        name = topic(5)
        first = log.consumer(name, "g")
        assert settled([first], 5) == [{0, 1, 2, 3, 4}]
        second = harness.open().consumer(name, "g")
        third = log.consumer(name, "g")
        owned = settled([first, second, third], 5, first_owns=range(5))
        assert sorted(map(len, owned)) == [1, 2, 2]
        assert set.union(*owned) == {0, 1, 2, 3, 4}
        other_group = log.consumer(name, "another")
        assert settled([other_group], 5) == [{0, 1, 2, 3, 4}]

    def test_more_members_than_partitions(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(1)
        consumers: list[Consumer] = [log.consumer(name, "g") for _ in range(3)]
        assert sorted(map(len, settled(consumers, 1))) == [0, 0, 1]

    def test_a_clean_close_hands_over_at_once(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(2)
        first, second = log.consumer(name, "g"), log.consumer(name, "g")
        owned = settled([first, second], 2)
        for partition in owned[0]:
            first.commit(partition, 0, "left behind")
        first.close()
        first.close()
        started = time.monotonic()
        gained = gain(second, 1)  # an adapter may deal out anew what the second one had already
        assert {p: gained[p] for p in owned[0]} == dict.fromkeys(owned[0], Committed(0, "left behind"))
        assert time.monotonic() - started < 3.0

    def test_a_released_partition_is_read_on_by_its_new_owner(self, log: EventLog, topic: Callable[..., str]) -> None:
        name = topic(2)
        for partition in (0, 1):
            log.produce(name, records(b"a", b"b", partition=partition))
        first = log.consumer(name, "g")
        gain_and_seek(first, 2)
        for batch in take(first, 4):
            first.commit(batch.partition, 1, "half")
        second = log.consumer(name, "g")
        owned = settled([first, second], 2, first_owns=(0, 1))
        (moved,) = owned[1]
        with pytest.raises(Fenced):
            first.commit(moved, 2, "late")
        assert second.committed(moved) == Committed(1, "half")
        second.seek(moved, 1)
        assert values_of(take(second, 1), moved) == [b"b"]

    def test_a_killed_process_is_replaced(self, log: EventLog, topic: Callable[..., str], harness: Harness) -> None:
        name = topic(2)
        with another_process(harness, session_timeout_s=30) as other:
            other.send("join", name, "g")
            other.answer()
            assert other.ask("poll", 15)["gained"] == [0, 1]
            assert other.ask("commit", 1, 0) == "ok"
            other.kill()
            started = time.monotonic()
            assert gain(log.consumer(name, "g"), 2, 60) == {0: None, 1: Committed(0, "")}
            assert time.monotonic() - started < harness.dead_takeover_s

    def test_a_stopped_process_that_continues_cannot_commit(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic(1)
        log.produce(name, records(b"a", b"b"))
        with another_process(harness, session_timeout_s=2) as zombie:
            zombie.ask("join", name, "g")
            assert zombie.ask("poll", 15)["gained"] == [0]
            zombie.ask("seek", 0, 0)
            assert zombie.ask("poll", 15)["values"] == ["a", "b"]
            os.kill(zombie.popen.pid, signal.SIGSTOP)
            heir = log.consumer(name, "g")
            assert gain(heir, 1, harness.silent_takeover_s) == {0: None}
            heir.commit(0, 2, "heir")
            os.kill(zombie.popen.pid, signal.SIGCONT)
            assert zombie.ask("commit", 0, 1) == "fenced"
            assert zombie.ask("poll", 5)["lost"] == [0]
            assert zombie.ask("commit", 0, 1) == "fenced"
            assert log.committed(name, "g") == {0: Committed(2, "heir")}
            heir.commit(0, 2, "still mine")

    def test_a_silent_member_is_fenced_and_comes_back(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic(1)
        silent, heir = log.consumer(name, "g"), log.consumer(name, "g")
        gain(silent, 1)
        harness.advance(60)
        gain(heir, 1)
        heir.commit(0, 0, "heir")
        with pytest.raises(Fenced):
            silent.commit(0, 0, "late")
        assert poll_until(silent, lambda polled: bool(polled.lost)) == Assignment(lost=frozenset({0}))
        heir.close()
        assert gain(silent, 1) == {0: Committed(0, "heir")}
        silent.commit(0, 0, "back")

    def test_ownership_that_went_and_came_back_is_another(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic(1)
        silent, heir = log.consumer(name, "g"), log.consumer(name, "g")
        gain(silent, 1)
        harness.advance(60)
        gain(heir, 1)
        heir.close()
        with pytest.raises(Fenced):  # nobody owns it, and yet
            silent.commit(0, 0, "late")
        assert silent.poll(10, 1.0) == Assignment(lost=frozenset({0}))
        assert silent.poll(10, 1.0) == Assignment(gained={0: None})

    def test_after_close_nothing_works_and_nothing_breaks(
        self, log: EventLog, topic: Callable[..., str], harness: Harness
    ) -> None:
        name = topic(1)
        closed = harness.open()
        consumer = closed.consumer(name, "g")
        gain(consumer, 1)
        closed.close()
        closed.close()
        calls: list[Callable[[], object]] = [
            lambda: closed.produce(name, records(b"v")),
            lambda: closed.read(name, 0, 0, 1),
            lambda: closed.consumer(name, "g"),
            lambda: consumer.poll(1, 0),
        ]
        for call in calls:
            with pytest.raises(Unavailable):
                call()
        assert gain(log.consumer(name, "g"), 1) == {0: None}  # closing the log was leaving the group

    def test_random_interleavings_agree_with_a_model(self, log: EventLog) -> None:
        @settings(max_examples=100, suppress_health_check=list(HealthCheck))
        @given(STEPS)
        def run(steps: list[tuple[str, int, int]]) -> None:
            Interleaving(log).run(steps)

        run()
