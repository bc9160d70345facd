"""Files that no careful person would send, and directories that cannot be used: a sentence, an exit code, no traceback."""

import gzip
import json
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from campaignctl.adapters.data_directory import DataDirectory
from tests.e2e.test_samples import dead_letters
from tests.support.clock import SteeredClock
from tests.support.mounts import make_read_only, small_disk
from tests.support.program import REPOSITORY, Program, Server
from tests.support.thread import open_thread

MIB = 1 << 20


def event(number: int, **changes: object) -> bytes:
    members: dict[str, object] = {"event_id": f"e{number}", "campaign_id": 1, "platform": "meta", "clicks": 1}
    return json.dumps(members | {"event_time": datetime.now(UTC).isoformat()} | changes).encode()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Program, Server]]:
    program = Program(tmp_path_factory.mktemp("running"), {"CA_OUTPUT": "json"})
    with program.serving() as server:
        program.run("campaigns", "create", "One")
        yield program, server


def raw_event(clicks: bytes) -> bytes:
    return event(1).replace(b'"clicks": 1', b'"clicks": ' + clicks)


NOISE = random.Random(1).randbytes(3_000).replace(b"\n", b"?").replace(b"\r", b"?")
REFUSED_LINES = {
    "binary": (NOISE, "malformed_json"),
    "not a number": (raw_event(b"NaN"), "malformed_json"),
    "infinity": (raw_event(b"-Infinity"), "malformed_json"),
    "5,000 digits": (raw_event(b"9" * 5_000), "invalid_value"),
    "an exponent without end": (raw_event(b"1e" + b"9" * 5_000), "invalid_value"),
    "a million brackets": (b"[" * 10**6, "too_large"),
    "many brackets": (b"[" * 200_000, "malformed_json"),
    "invalid UTF-8": (event(1).replace(b"meta", b"m\xff\xfeta"), "malformed_json"),
    "an overlong form": (event(1).replace(b"meta", b"m\xc0\x80ta"), "malformed_json"),
    "half a surrogate pair": (event(1).replace(b"meta", rb"\ud800"), "malformed_json"),
    "NUL": (b"\0", "malformed_json"),
    "UTF-16": (event(1).decode().encode("utf-16-be"), "malformed_json"),
    "10 MB": (event(1, device="x" * 10 * MIB), "too_large"),
    "300 KB": (event(1, device="x" * 300_000), "too_large"),
    "an array": (b"[1]", "invalid_type"),
    "a bare string": (b'"event"', "invalid_type"),
}


@pytest.mark.parametrize("name", REFUSED_LINES)
def test_a_bad_line_is_refused_and_its_neighbours_count(running: tuple[Program, Server], name: str) -> None:
    program, _ = running
    line, code = REFUSED_LINES[name]
    file = program.home / "events.ndjson"
    good = event(10, event_id=f"before {name}"), event(11, event_id=f"after {name}")
    file.write_bytes(good[0] + b"\n" + line + b"\n" + good[1])
    before = dead_letters(program.data_dir)
    finished = program.run("events", "send", str(file), "--wait", expect=6)
    assert finished.json()["accepted"] == 2
    assert finished.json()["rejected"] == {code: 1}
    assert f"line 2: {code}" in finished.err
    new = dead_letters(program.data_dir) - before
    whole = new == Counter({(code, line): 1})
    assert whole or (len(line) > MIB and [*new] == [(code, line[:65_536])])


def test_every_neighbour_of_a_bad_line_was_counted(running: tuple[Program, Server]) -> None:
    program, server = running
    file = program.home / "all.ndjson"
    lines = [
        event(n, event_id=f"{place} {name}") for name in REFUSED_LINES for n, place in ((10, "before"), (11, "after"))
    ]
    file.write_bytes(b"\r\n \n".join(lines))
    program.run("events", "send", str(file), "--wait")
    answer = server.client.ask("/api/v1/campaigns/1/insights", {"granularity": "total"})
    assert answer["totals"]["clicks"] == 2 * len(REFUSED_LINES)


def test_files_that_cannot_be_read_to_their_end(running: tuple[Program, Server]) -> None:
    program, _ = running
    packed = gzip.compress(b"\n".join(event(n, event_id=f"packed {n}") for n in range(2_000)))
    for name, content in (
        ("cut.gz", packed[:-2_000]),
        ("damaged.gz", packed[:500] + b"\0" * 200 + packed[700:]),
        ("only the magic.gz", b"\x1f\x8b"),
        ("no gzip.gz", b"\x1f\x8b and then something else"),
    ):
        file = program.home / name
        file.write_bytes(content)
        finished = program.run("events", "send", str(file), expect=2)
        assert "damaged or cut short" in finished.err, (name, finished.err)
    file = program.home / "endless"
    file.write_bytes(b"x" * 31 * MIB)
    assert "30 MiB" in program.run("events", "send", str(file), expect=2).err
    assert program.run("events", "send", str(program.home / "nowhere"), expect=1).err.count("\n") <= 2
    assert program.run("events", "send", str(program.home), expect=1).err.count("\n") <= 2


def test_an_empty_file_is_fine(running: tuple[Program, Server]) -> None:
    program, _ = running
    for content in (b"", b"\n\r\n   \n", gzip.compress(b"")):
        assert program.run("events", "send", "-", "--wait", stdin=content).json()["sent"] == 0


def test_a_directory_that_another_process_uses(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.run("init-schema")
    commands = ("campaigns", "list"), ("serve", "--port", "0")
    with DataDirectory(program.data_dir).lock(1.0, "the test"), ThreadPoolExecutor() as pool:
        # Together: each waits ten seconds for the other process to finish.
        for failed in pool.map(lambda command: program.run(*command, expect=7), commands):
            assert "in use by process" in failed.err
            assert "the test" in failed.err
    program.run("campaigns", "list")


def test_a_second_server_is_refused_at_once(running: tuple[Program, Server]) -> None:
    program, server = running
    failed = program.run("serve", "--port", "0", expect=7)
    assert server.url in json.loads(failed.err)["detail"]  # who waits first is told of the lock's holder instead


def test_a_directory_that_nobody_may_write(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        program = Program(tmp_path, {"CA_DATA_DIR": str(disk / "data")})
        program.run("init-schema")
        make_read_only(disk)
        for command in (
            ("init-schema",),
            ("campaigns", "list"),
            ("serve", "--port", "0"),
            ("insights", "--campaign", "1"),
        ):
            failed = program.run(*command, expect=2)
            assert str(disk / "data") in failed.err
        elsewhere = Program(tmp_path, {"CA_DATA_DIR": str(disk / "new")})
        assert "Read-only" in elsewhere.run("init-schema", expect=2).err


def test_a_file_where_the_directory_should_be(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.data_dir.write_text("a file")
    for command in (("init-schema",), ("campaigns", "list"), ("serve", "--port", "0")):
        assert "there is a file of that name" in program.run(*command, expect=2).err


def test_no_directory_yet(tmp_path: Path) -> None:
    program = Program(tmp_path)
    assert "init-schema" in program.run("insights", "--campaign", "1", expect=2).err
    assert not program.data_dir.exists()


def test_stores_of_a_newer_program(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.run("init-schema")
    with sqlite3.connect(program.data_dir / "metadata.sqlite") as metadata:
        metadata.execute(
            "UPDATE schema_migrations SET number = 9999 WHERE number = (SELECT max(number) FROM schema_migrations)"
        )
    metadata.close()
    _refuses_to_work(program, "newer")


def test_an_event_log_of_a_newer_program(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.run("init-schema")
    with sqlite3.connect(program.data_dir / "event_log.sqlite") as log:
        log.execute("PRAGMA user_version = 99")
    log.close()
    _refuses_to_work(program, "version 99")


def test_analytics_of_a_newer_program(tmp_path: Path) -> None:
    program = Program(tmp_path)
    program.run("init-schema")
    statement = "INSERT INTO campaign_analytics.schema_migrations (number, name, checksum) VALUES (9999, 'newer', 'x')"
    code = f"""import clickhouse_connect as c
client = c.get_client(interface='chdb', path={str(program.data_dir / "analytics")!r})
client.command({statement!r})
client.close()"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY, timeout=60)
    _refuses_to_work(program, "newer")


def _refuses_to_work(program: Program, word: str) -> None:
    for command in (("campaigns", "list"), ("init-schema",), ("init-schema", "--check"), ("serve", "--port", "0")):
        failed = program.run(*command, expect=2)
        assert "schema_mismatch" in failed.err, failed.err
        assert word in failed.err, failed.err


@pytest.mark.parametrize("store", ["metadata.sqlite", "event_log.sqlite"])
def test_a_store_that_is_rubbish(tmp_path: Path, store: str) -> None:
    program = Program(tmp_path)
    program.run("init-schema")
    for file in program.data_dir.glob(f"{store}*"):
        file.unlink()
    (program.data_dir / store).write_bytes(b"this was never a database" * 1_000)
    for command in (("campaigns", "list"), ("serve", "--port", "0")):
        failed = program.run(*command, expect=None)
        assert failed.code in (1, 2, 7), failed
        assert store in failed.err, failed.err


def test_a_clock_that_jumps(tmp_path: Path) -> None:
    """An hour back, five minutes forward: log times never fall, copies stay copies, and nobody waits for ever."""
    start = datetime(2026, 11, 1, 5, 30, tzinfo=UTC)
    clock = SteeredClock(start)
    jumps = (0, 300, -3_600, 60, 86_400, -7_200, 0)
    with open_thread(tmp_path, clock=clock) as thread, thread.working():
        client = thread.organization("jumping")
        client.create([{"name": "One", "timezone": "America/New_York"}])
        positions = []
        for number, jump_s in enumerate(jumps):
            clock.set(start + timedelta(seconds=jump_s))
            lines = [event(number, event_time=start.isoformat()), event(0, event_time=start.isoformat(), clicks=7)]
            sent = client.send(lines)
            assert sent.accepted == 2
            positions += sent.positions
        client.wait(positions, 1, timeout_s=60)
        answer = client.ask("/api/v1/campaigns/1/insights", {"start_date": "2026-11-01", "end_date": "2026-11-01"})
        assert answer["totals"]["clicks"] == len(jumps)
        log = thread.app.event_log
        times = [
            log.read("campaign-events", partition, kept.start, 1_000).times_ms
            for partition, kept in log.watermarks("campaign-events").items()
        ]
        assert all(list(one) == sorted(one) for one in times)
