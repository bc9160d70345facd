"""What is the embedded log's own: one file, several processes, housekeeping, and the errors of a disk."""

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.chunks import MAX_CHUNK_BYTES, MAX_CHUNK_RECORDS, decode_chunk, encode_chunks
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.log_file import Connection, LogFile
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.adapters.event_log.topics import MAX_READ_BYTES
from campaignctl.errors import ConfigurationError, Fenced, InvalidInput, SchemaMismatch, TooLarge, Unavailable
from campaignctl.ports.event_log import Headers, NewRecord, OffsetLost, TopicSpec

ROOT = Path(__file__).parents[2]
SPEC = TopicSpec("events", partitions=2, retention_ms=60_000, max_record_bytes=2_097_152)


class FrozenClock:
    """A time of day that stands still until it is moved; leases move with it."""

    def __init__(self) -> None:
        self.shift_s = 0.0
        self._started = datetime.now(UTC)

    def now(self) -> datetime:
        return self._started + timedelta(seconds=self.shift_s)

    def monotonic_s(self) -> float:
        return time.monotonic() + self.shift_s

    def sleep(self, seconds: float, /) -> None:
        self.shift_s += seconds


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "event_log.sqlite"


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
def log(path: Path, clock: FrozenClock) -> Iterator[EmbeddedEventLog]:
    with closing(EmbeddedEventLog(path, clock, max_poll_interval_s=0)) as opened:
        opened.ensure_topic(SPEC)
        yield opened


def values(*texts: str, partition: int = 0) -> list[NewRecord]:
    return [NewRecord(None, text.encode(), partition=partition) for text in texts]


def run_python(script: str, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", script, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out.strip()


# The file


def test_the_file_is_for_this_user_only(log: EmbeddedEventLog, path: Path) -> None:
    log.produce("events", values("a"))
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_five_processes_may_create_it_at_once(path: Path) -> None:
    script = """if True:
        import sys
        from pathlib import Path
        from campaignctl.adapters.clock import SystemClock
        from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
        from campaignctl.ports.event_log import TopicSpec, NewRecord
        log = EmbeddedEventLog(Path(sys.argv[1]), SystemClock())
        print(log.ensure_topic(TopicSpec("events", 2, -1, 1000)).incarnation)
        for i in range(40):
            log.produce("events", [NewRecord(None, f"{sys.argv[2]}:{i * 3 + j}".encode(), partition=1) for j in (0, 1, 2)])
        log.close()
    """
    processes = [run_python(script, str(path), str(i)) for i in range(5)]
    assert len({finish(process) for process in processes}) == 1
    with closing(EmbeddedEventLog(path, SystemClock())) as log:
        batch = log.read("events", 1, 0, 1_000)
        assert len(batch.values) == 5 * 120
        for i in range(5):
            mine = [int(v.split(b":")[1]) for v in batch.values if v.startswith(f"{i}:".encode())]
            assert mine == list(range(120))


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="nowhere") as caught:
        EmbeddedEventLog(tmp_path / "nowhere" / "event_log.sqlite", SystemClock())
    assert caught.value.hint


def test_a_directory_in_its_place_is_named(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be opened"):
        EmbeddedEventLog(tmp_path, SystemClock())


def test_what_is_no_database_is_called_damaged(path: Path) -> None:
    path.write_bytes(b"not a database, but long enough to have a header of its own" * 100)
    with pytest.raises(Unavailable) as caught:
        EmbeddedEventLog(path, SystemClock())
    assert caught.value.code == "event_log_damaged"


def test_another_programs_database_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("CREATE TABLE bookmarks (url TEXT)")
        other.commit()
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="no event log"):
        EmbeddedEventLog(path, SystemClock())
    assert path.read_bytes() == before


def test_a_newer_schema_is_refused(path: Path) -> None:
    EmbeddedEventLog(path, SystemClock()).close()
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA user_version = 7")
    with pytest.raises(SchemaMismatch, match="version 7") as caught:
        EmbeddedEventLog(path, SystemClock())
    assert caught.value.hint


@contextmanager
def ordinary_user() -> Iterator[Path]:
    """A directory that everybody may read, and the rights of somebody who may do no more."""
    directory = Path(tempfile.mkdtemp())
    directory.chmod(0o755)
    root = os.geteuid() == 0
    try:
        EmbeddedEventLog(directory / "log", SystemClock()).close()
        (directory / "log").chmod(0o444)
        directory.chmod(0o555)
        if root:
            os.seteuid(65_534)
        yield directory / "log"
    finally:
        if root:
            os.seteuid(0)
        directory.chmod(0o755)
        shutil.rmtree(directory)


def test_a_file_that_cannot_be_written_is_unavailable() -> None:
    with ordinary_user() as path, pytest.raises(Unavailable, match="cannot be opened or written") as caught:
        EmbeddedEventLog(path, SystemClock())
    assert "this user may write" in caught.value.hint


def test_a_lock_that_stays_is_unavailable_and_then_forgotten(path: Path) -> None:
    with closing(EmbeddedEventLog(path, SystemClock(), busy_timeout_s=0.2)) as log:
        log.ensure_topic(SPEC)
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(Unavailable, match=r"locked for 0\.2 s") as caught:
                log.produce("events", values("a"))
            assert caught.value.hint
            assert list(log.read("events", 0, 0, 10).values) == []  # reading goes on
        log.produce("events", values("b"))
        assert list(log.read("events", 0, 0, 10).values) == [b"b"]


def test_a_full_disk_is_storage_full_and_writing_goes_on_after_it(path: Path) -> None:
    script = """if True:
        import resource, sys
        from pathlib import Path
        from campaignctl.adapters.clock import SystemClock
        from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
        from campaignctl.errors import StorageFull
        from campaignctl.ports.event_log import TopicSpec, NewRecord
        log = EmbeddedEventLog(Path(sys.argv[1]), SystemClock())
        log.ensure_topic(TopicSpec("events", 1, -1, 1_000_000))
        consumer = log.consumer("events", "g")
        assert consumer.poll(1, 5).gained
        resource.setrlimit(resource.RLIMIT_FSIZE, (8_000_000, resource.RLIM_INFINITY))
        taken = 0
        try:
            while taken < 1_000:
                log.produce("events", [NewRecord(None, bytes([taken % 256]) * 100_000)])
                taken += 1
        except StorageFull as error:
            assert error.service == "event_log" and error.hint and "full" in error.message
        assert 10 < taken < 200
        try:
            consumer.commit(0, 1, "x" * 4_000)
        except StorageFull:
            pass
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        log.produce("events", [NewRecord(None, b"after")])
        got = [value for at in range(0, taken + 1, 50) for value in log.read("events", 0, at, 50).values]
        assert got == [bytes([i % 256]) * 100_000 for i in range(taken)] + [b"after"]
        log.close()
    """
    finish(run_python(script, str(path)))


# Shared transactions


def fail(connection: Connection) -> None:
    connection.execute("SELECT * FROM no_such_table")


def write_together(file: LogFile, calls: list[Callable[[], object]]) -> tuple[int, list[object]]:
    """Make the calls from a thread each while a first one holds the writer; answers how many commits they took."""
    entered, go_on = threading.Event(), threading.Event()

    def hold(_: Connection) -> None:
        entered.set()
        go_on.wait(10)

    outcomes: list[object] = [None] * len(calls)

    def run(index: int) -> None:
        try:
            outcomes[index] = calls[index]()
        except (Fenced, Unavailable) as error:
            outcomes[index] = error

    threads = [threading.Thread(target=file.write, args=(hold,))]
    threads[0].start()
    assert entered.wait(10)
    before = file.changes()
    for index in range(len(calls)):
        threads.append(threading.Thread(target=run, args=(index,)))
        threads[-1].start()
        while len(file._waiting) <= index:  # each in its turn
            time.sleep(0.001)
    go_on.set()
    for thread in threads:
        thread.join()
    return file.changes() - before - 1, outcomes


def test_writes_that_come_at_once_share_a_commit(path: Path) -> None:
    file = LogFile(path, 1.0)
    commits, outcomes = write_together(file, [lambda i=i: file.write(lambda _: i) for i in range(8)])
    file.close()
    assert (commits, outcomes) == (1, list(range(8)))


def test_a_refused_write_does_not_hurt_those_beside_it(path: Path) -> None:
    def refuse(_: Connection) -> None:
        raise Fenced("not yours")

    file = LogFile(path, 1.0)
    commits, outcomes = write_together(
        file, [lambda op=op: file.write(op) for op in (lambda _: "a", refuse, lambda _: "c")]
    )
    file.close()
    assert commits == 1
    assert (outcomes[0], type(outcomes[1]), outcomes[2]) == ("a", Fenced, "c")


def test_a_failure_of_the_store_is_everyones(path: Path) -> None:
    file = LogFile(path, 1.0)
    _, outcomes = write_together(file, [lambda: file.write(lambda _: "a"), lambda: file.write(fail)])
    assert [type(outcome) for outcome in outcomes] == [Unavailable, Unavailable]
    assert outcomes[0] is not outcomes[1]
    assert file.write(lambda _: "works again") == "works again"
    file.close()


def test_a_bug_in_a_write_is_raised_and_the_log_works_on(path: Path) -> None:
    file = LogFile(path, 1.0)
    with pytest.raises(ZeroDivisionError):
        file.write(lambda _: 1 // 0)
    assert file.write(lambda _: "works") == "works"
    file.close()


# Retention


def test_retention_is_by_time_and_by_topic(log: EmbeddedEventLog, clock: FrozenClock) -> None:
    log.ensure_topic(TopicSpec("kept", 1, -1, 1_000))
    log.produce("kept", values("for ever"))
    for call in range(200):  # more chunks than one transaction removes
        log.produce("events", values(f"old {call}", f"old {call}b"))
    clock.shift_s = 30
    log.produce("events", values("newer"))
    log.produce("events", values("other partition", partition=1))
    assert log.apply_retention() == 0
    clock.shift_s = 60.001
    assert log.apply_retention() == 400
    assert log.apply_retention() == 0
    marks = log.watermarks("events")
    assert (marks[0].start, marks[0].end, marks[1].start, marks[1].end) == (400, 401, 0, 1)
    assert list(log.read("events", 0, 400, 10).values) == [b"newer"]
    with pytest.raises(OffsetLost):
        log.read("events", 0, 399, 10)
    clock.shift_s = 10_000
    assert log.apply_retention() == 2
    marks = log.watermarks("events")
    assert (marks[0].start, marks[0].end) == (401, 401)
    assert log.produce("events", values("next"))[0].offset == 401
    assert list(log.read("kept", 0, 0, 10).values) == [b"for ever"]


def test_what_retention_frees_goes_back_to_the_disk(log: EmbeddedEventLog, clock: FrozenClock, path: Path) -> None:
    for _ in range(60):
        log.produce("events", [NewRecord(None, b"x" * 500_000, partition=0)])
    clock.shift_s = 100
    assert log.apply_retention() == 60
    log.close()  # the write-ahead log goes into the file
    assert path.stat().st_size < 15_000_000


# Groups


def test_heartbeats_keep_a_busy_member(path: Path) -> None:
    with closing(EmbeddedEventLog(path, SystemClock(), session_timeout_s=2, max_poll_interval_s=30)) as log:
        log.ensure_topic(SPEC)
        busy = log.consumer("events", "g")
        assert busy.poll(1, 1).gained
        time.sleep(3)  # longer than a session
        other = log.consumer("events", "g")
        assert not other.poll(1, 0.1).gained
        busy.commit(0, 0, "still mine")


def test_heartbeats_end_when_nobody_polls_any_more(path: Path) -> None:
    with closing(EmbeddedEventLog(path, SystemClock(), session_timeout_s=0.4, max_poll_interval_s=0.4)) as log:
        log.ensure_topic(SPEC)
        hung = log.consumer("events", "g")
        assert hung.poll(1, 1).gained
        other = log.consumer("events", "g")
        deadline = time.monotonic() + 60
        gained: set[int] = set()
        while gained != {0, 1}:
            assert time.monotonic() < deadline
            gained |= set(other.poll(1, 0.2).gained)
        with pytest.raises(Fenced):
            hung.commit(0, 0, "late")


def test_a_membership_that_was_undone_is_none(log: EmbeddedEventLog) -> None:
    first, second = log.consumer("events", "g"), log.consumer("events", "g")
    _, outcomes = write_together(log._file, [lambda: first.poll(1, 0), lambda: log._file.write(fail)])
    assert {type(outcome) for outcome in outcomes} == {Unavailable}
    assert set(second.poll(1, 1).gained) == {0, 1}  # with the id that the first one would have got
    with pytest.raises(Fenced):
        first.commit(0, 0, "")
    assert not first.poll(1, 0).gained
    second.commit(0, 0, "mine")


def test_a_poll_holds_a_bounded_number_of_bytes(log: EmbeddedEventLog) -> None:
    for _ in range(20):
        for partition in (0, 1):
            log.produce("events", [NewRecord(None, b"x" * 2_000_000, partition=partition)])
    consumer = log.consumer("events", "g")
    for partition in consumer.poll(1, 1).gained:
        consumer.seek(partition, 0)
    total = 0
    while total < 80_000_000:
        batches = consumer.poll(1_000, 0).batches
        size = sum(len(value) for batch in batches for value in batch.values)
        assert 0 < size <= MAX_READ_BYTES + 4_000_000
        total += size
    assert len(log.read("events", 0, 0, 1_000).values) == 17  # the least number that reaches the bound


def test_a_topic_deleted_under_its_users(path: Path, log: EmbeddedEventLog) -> None:
    log.produce("events", values("a"))
    consumer = log.consumer("events", "g")
    for partition in consumer.poll(1, 1).gained:
        consumer.seek(partition, 0)
    with closing(EmbeddedEventLog(path, SystemClock())) as other:
        other.delete_topic("events")
        with pytest.raises(Unavailable, match="no topic events"):
            log.produce("events", values("b"))
        for _ in range(2):
            with pytest.raises(Unavailable, match="no topic events"):
                while True:
                    consumer.poll(1, 0)
        other.ensure_topic(TopicSpec("events", 1, -1, 10))
        assert log.produce("events", [NewRecord(b"any", b"b")])[0].partition == 0
        with pytest.raises(TooLarge):
            log.produce("events", values("longer than ten"))


# Input


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        (TopicSpec("", 1, -1, 1), "name"),
        (TopicSpec("t", 0, -1, 1), "partitions"),
        (TopicSpec("t", 1, -2, 1), "retention_ms"),
        (TopicSpec("t", 1, -1, 0), "max_record_bytes"),
    ],
)
def test_a_bad_topic_is_refused(log: EmbeddedEventLog, spec: TopicSpec, field: str) -> None:
    with pytest.raises(InvalidInput, match=field):
        log.ensure_topic(spec)


def test_bad_numbers_are_refused(log: EmbeddedEventLog) -> None:
    consumer = log.consumer("events", "g")
    assert consumer.poll(1, 1).gained
    calls: list[Callable[[], object]] = [
        lambda: consumer.poll(0, 0),
        lambda: consumer.seek(0, -1),
        lambda: consumer.commit(0, -1, ""),
        lambda: consumer.commit(0, 2**63, ""),
        lambda: log.read("events", 0, -1, 10),
        lambda: log.read("events", 0, 0, 0),
        lambda: log.produce("events", [NewRecord(None, b"", (("\ud800", b""),))]),
        lambda: consumer.commit(0, 0, "\ud800"),
    ]
    for call in calls:
        with pytest.raises(InvalidInput):
            call()


def test_a_key_and_headers_have_a_bound_of_their_own(log: EmbeddedEventLog) -> None:
    log.produce("events", [NewRecord(b"k", b"", (("h", b"x" * 1_000_000),))])
    for record in (NewRecord(b"k" * 1_048_577, b""), NewRecord(b"k", b"", (("h", b"x" * 1_048_576),))):
        with pytest.raises(TooLarge, match="key and headers"):
            log.produce("events", [record])


# Chunks and partitions

_headers: st.SearchStrategy[Headers] = st.lists(st.tuples(st.text(max_size=4), st.binary(max_size=4)), max_size=3).map(
    tuple
)
_records = st.lists(
    st.builds(NewRecord, st.none() | st.binary(max_size=8), st.binary(max_size=40), _headers), min_size=1, max_size=30
)


@given(_records, st.integers(0, 29), st.integers(1, 40), st.integers(0, 400))
def test_a_chunk_gives_back_any_part_of_it(
    records: list[NewRecord], skip: int, max_records: int, max_bytes: int
) -> None:
    skip %= len(records)
    (chunk,) = encode_chunks(records)
    columns = decode_chunk(chunk.body, skip, max_records, max_bytes)
    taken = len(columns.values)
    expected = records[skip : skip + taken]
    assert list(zip(columns.keys, columns.values, columns.headers, strict=True)) == [
        (record.key, record.value, record.headers) for record in expected
    ]
    assert columns.values_bytes == sum(len(record.value) for record in expected)
    assert 1 <= taken <= max_records
    assert taken == 1 or columns.values_bytes <= max_bytes
    more = records[skip + taken : skip + taken + 1]
    assert not more or taken == max_records or columns.values_bytes + len(more[0].value) > max_bytes


def test_chunks_stay_within_their_bounds() -> None:
    assert [chunk.count for chunk in encode_chunks(values(*["v"] * (MAX_CHUNK_RECORDS + 1)))] == [MAX_CHUNK_RECORDS, 1]
    large = NewRecord(None, b"x" * (MAX_CHUNK_BYTES + 1))
    half = NewRecord(None, b"x" * (MAX_CHUNK_BYTES // 2))
    assert [chunk.count for chunk in encode_chunks([half, half, half, large, half])] == [2, 1, 1, 1]
    assert encode_chunks([]) == []


def test_a_chunk_of_an_unknown_layout_is_not_guessed_at() -> None:
    (chunk,) = encode_chunks(values("v"))
    with pytest.raises(ValueError, match="layout version 9"):
        decode_chunk(b"\x09" + chunk.body[1:], 0, 1, 1)


def test_keys_spread_over_the_partitions() -> None:
    counts = [0] * 6
    for campaign_id in range(1, 1_201):
        counts[partition_for_key(str(campaign_id).encode(), 6)] += 1
    assert min(counts) > 150
    assert partition_for_key(b"", 6) == 275646681 % 6
