"""What the suite of the event log asks of an adapter, and the helpers it is written with."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from campaignctl.ports.event_log import (
    Assignment,
    Committed,
    Consumer,
    EventLog,
    NewRecord,
    OffsetLost,
    RecordBatch,
)

ROOT = Path(__file__).parents[2]


class ShiftedClock:
    """The machine's clock, moved by the tests; as it runs on, it can be used beside other processes."""

    def __init__(self) -> None:
        self._now_shift_s = 0.0
        self._monotonic_shift_s = 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._now_shift_s)

    def monotonic_s(self) -> float:
        return time.monotonic() + self._monotonic_shift_s

    def sleep(self, seconds: float, /) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now_shift_s += seconds
        self._monotonic_shift_s += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day, as an operator or NTP would."""
        self._now_shift_s += seconds


class Harness(Protocol):
    """What an adapter gives the suite."""

    kind: str
    place: str
    """What another process needs to open the same log."""
    dead_takeover_s: float
    """How soon the partitions of a killed process are taken over, with room for a busy machine."""
    silent_takeover_s: float
    """The same for one that is stopped."""
    writes_whole_calls: bool
    """Of a call that a kill ended, all records are there or none; else the first ones may be."""

    def open(self) -> EventLog:
        """The log; each call gives another handle on it, as another process would have. Closed by the harness."""
        ...

    def advance(self, seconds: float) -> None:
        """Let time pass; skips the test where that cannot be done."""
        ...

    def jump(self, seconds: float) -> None:
        """Set the log's time of day; skips the test where that cannot be done."""
        ...

    def expire(self, log: EventLog) -> None:
        """Apply retention now; skips the test where that cannot be done."""
        ...

    def delete_topic(self, log: EventLog, name: str) -> None: ...


class OtherProcess:
    """See ``event_log_process``."""

    def __init__(self, harness: Harness, session_timeout_s: float) -> None:
        module = "tests.contracts.event_log_process"
        command = [sys.executable, "-m", module, harness.kind, harness.place, str(session_timeout_s)]
        self.popen = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def send(self, *command: Any) -> None:
        assert self.popen.stdin
        self.popen.stdin.write(json.dumps(command) + "\n")
        self.popen.stdin.flush()

    def answer(self) -> Any:
        assert self.popen.stdout
        return json.loads(self.popen.stdout.readline())

    def ask(self, *command: Any) -> Any:
        self.send(*command)
        return self.answer()

    def kill(self) -> None:
        self.popen.kill()
        self.popen.wait()


@contextmanager
def another_process(harness: Harness, session_timeout_s: float = 10.0) -> Iterator[OtherProcess]:
    process = OtherProcess(harness, session_timeout_s)
    try:
        yield process
    finally:
        process.kill()
        for stream in (process.popen.stdin, process.popen.stdout):
            assert stream
            stream.close()


def records(*values: bytes, partition: int | None = None) -> list[NewRecord]:
    return [NewRecord(None, value, partition=partition) for value in values]


def poll_until(consumer: Consumer, done: Callable[[Assignment], bool], timeout_s: float = 15.0) -> Assignment:
    """The first assignment for which ``done`` holds."""
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        polled = consumer.poll(1_000, 0.05)
        if done(polled):
            return polled
    raise AssertionError(f"not within {timeout_s} s")


def gain(consumer: Consumer, count: int, timeout_s: float = 15.0) -> dict[int, Committed | None]:
    """Poll until as many partitions were gained."""
    gained: dict[int, Committed | None] = {}

    def collect(polled: Assignment) -> bool:
        gained.update(polled.gained)
        return len(gained) >= count

    poll_until(consumer, collect, timeout_s)
    return gained


def gain_and_seek(consumer: Consumer, count: int, offset: int = 0) -> None:
    for partition in gain(consumer, count):
        consumer.seek(partition, offset)


def take(consumer: Consumer, count: int, max_records: int = 1_000) -> list[RecordBatch]:
    """Poll until as many records came."""
    batches: list[RecordBatch] = []
    deadline = time.monotonic() + 60.0
    while sum(len(batch.values) for batch in batches) < count:
        assert time.monotonic() < deadline, f"{count} records did not come"
        batches += consumer.poll(max_records, 0.5).batches
    return batches


def values_of(batches: list[RecordBatch], partition: int = 0) -> list[bytes]:
    return [value for batch in batches if batch.partition == partition for value in batch.values]


def settled(consumers: list[Consumer], partitions: int, *, first_owns: Collection[int] = ()) -> list[set[int]]:
    """Poll all in turn until the partitions are shared out fairly and nothing moves; answers who owns what."""
    owned: list[set[int]] = [set() for _ in consumers]
    owned[0] |= set(first_owns)
    quiet = 0
    deadline = time.monotonic() + 60.0
    while quiet < 3 or sorted(map(len, owned)) != _fair(partitions, len(consumers)):
        assert time.monotonic() < deadline, f"not settled: {owned}"
        quiet += 1
        for mine, consumer in zip(owned, consumers, strict=True):
            polled = consumer.poll(1, 0.02)
            mine -= polled.lost
            mine |= set(polled.gained)
            quiet = 0 if polled.lost or polled.gained else quiet
    return owned


def _fair(partitions: int, members: int) -> list[int]:
    return sorted((partitions + i) // members for i in range(members))


def gain_again(consumer: Consumer) -> bool:
    """After a long silence the membership may have ended; come back if so."""
    try:
        polled = consumer.poll(1, 0.5)
    except OffsetLost:
        return False
    if polled.lost:
        gain_and_seek(consumer, 1, 3)
    return bool(polled.lost)
