"""Looking an installation over: every part at once and no longer than the deadline; findings, exit codes, no secret."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.cli.doctor_looks import lag_look, of_machine
from campaignctl.config import load_settings
from campaignctl.errors import SchemaMismatch, Unavailable
from campaignctl.services.doctor import Examination, Examined, Finding, Look, State, examine
from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok, problem

KEY = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH"
SYSTEM = {
    "version": "1.2.3", "lag": {"lag_records": 0, "lag_seconds": 0.0}, "rates": {}, "dependencies": {},
    "dead_letters": {"records": 4},
}  # fmt: skip
LETTERS: list[dict[str, Any]] = []
WELL = {"status": "ok", "checks": {"metadata": {"status": "ok", "latency_ms": 0.4}}}

pytestmark = pytest.mark.usefixtures("alone")


def seen(look: Callable[[], Look], name: str = "metadata", deadline_s: float = 5.0) -> Examined:
    (found,) = examine([Examination(name, look)], SystemClock(), deadline_s=deadline_s)
    return found


def raising(error: Exception) -> Callable[[], Look]:
    def look() -> Look:
        raise error

    return look


# The engine


def test_a_look_that_never_comes_back_is_told_and_holds_nobody_up() -> None:
    never = threading.Event()
    examinations = [
        Examination("event_log", lambda: Look({"woken": never.wait()})),
        Examination("metadata", lambda: Look({"version": "1"})),
    ]
    frozen, well = examine(examinations, SystemClock(), deadline_s=0.2)
    never.set()
    assert (frozen.state, frozen.findings[0].message) == (State.UNREACHABLE, "no answer within 0.2 s")
    assert "kafka" in frozen.findings[0].next
    assert (well.state, well.facts) == (State.OK, {"version": "1"})


def test_what_a_look_raises_is_what_it_found() -> None:
    away = seen(raising(Unavailable("away", service="metadata")))
    assert (away.state, away.findings[0].code) == (State.UNREACHABLE, "unavailable")
    assert "postgres" in away.findings[0].next
    old = seen(raising(SchemaMismatch("old", hint="campaignctl init-schema")))
    assert (old.state, old.findings) == (State.FINDING, [Finding("schema_mismatch", "old", "campaignctl init-schema")])
    missing = seen(raising(Unavailable("no topic", service="event_log", code="topic_missing")))
    assert (missing.state, missing.findings[0].next) == (State.FINDING, "campaignctl init-schema")
    odd = seen(raising(ZeroDivisionError("password=hunter2")))
    assert (odd.state, odd.findings[0].code) == (State.FINDING, "internal_error")
    assert "hunter2" not in str(odd)


def test_waiting_records_are_a_finding_when_they_wait_long() -> None:
    assert lag_look((5, 300.0), 0).findings == ()
    (found,) = lag_look((5_000, 301.0), 0).findings
    assert found.code == "lag_exceeded" and "5,000 records" in found.message


# The machine


def machine(environ: dict[str, str]) -> dict[str, list[str]]:
    settings = load_settings(environ=environ)
    found = examine(of_machine(settings), SystemClock())
    return {one.name: [finding.code for finding in one.findings] for one in found}


def test_keys_that_are_equal_or_can_be_read_are_findings(tmp_path: Path) -> None:
    environ = {"CA_DATA_DIR": str(tmp_path / "data")}
    assert machine(environ)["keys"] == []
    assert machine(environ | {"CA_JWT_KEY": KEY, "CA_SECRETS_KEY": KEY})["keys"] == ["keys_equal"]
    key = tmp_path / "data" / "secrets" / "jwt.key"
    key.parent.mkdir(parents=True)
    key.write_text(KEY)
    key.chmod(0o644)
    key.parents[1].chmod(0o777)
    assert machine(environ)["keys"] == ["key_readable", "directory_writable"]


def test_little_space_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignctl.cli.doctor_looks.FREE_BYTES", 1 << 62)
    assert machine({"CA_DATA_DIR": str(tmp_path)})["disk"] == ["disk_low"]


# The command


def of(body: str) -> dict[str, Any]:
    return {one["name"]: one for one in json.loads(body)["checks"]}


def test_an_installation_that_is_well_is_exit_0(cli: Cli) -> None:
    missing = cli("doctor", "-o", "json")
    assert (missing.code, of(missing.stdout)["stores"]["findings"][0]["code"]) == (1, "no_data_directory")
    assert not Path(".campaignctl").exists()
    assert cli("init-schema").code == 0
    ran = cli("doctor", "-o", "json")
    checks = of(ran.stdout)
    assert ran.code == 0, ran.stdout
    assert json.loads(ran.stdout)["status"] == "ok"
    assert {"metadata", "analytics", "event_log", "schema", "topics", "lag", "quarantine", "windows", "credentials",
            "platforms", "disk", "keys"} == checks.keys()  # fmt: skip
    assert checks["metadata"]["facts"]["version"].startswith("SQLite ")
    assert checks["analytics"]["facts"]["version"].startswith("ClickHouse ")
    shown = cli("doctor")
    assert "windows" in shown.stdout and "next:" not in shown.stdout


def test_a_wrong_configuration_is_a_finding_that_repeats_no_secret(
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CA_JWT_KEY", "hunter2")
    ran = cli("doctor")
    assert ran.code == 1
    assert "CA_JWT_KEY" in ran.stdout and "hunter2" not in ran.stdout + ran.stderr


def test_an_old_schema_and_topics_that_lack_are_findings(cli: Cli) -> None:
    Path(".campaignctl").mkdir()
    ran = cli("doctor", "-o", "json")
    codes = {found["code"] for one in of(ran.stdout).values() for found in one["findings"]}
    assert ran.code == 1
    assert {"schema_mismatch", "topic_missing"} <= codes


@pytest.fixture
def silent_ports() -> Iterator[list[int]]:
    """Ports that take a connection and never say a word."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(4)]
        yield [one.getsockname()[1] for one in sockets]


def test_frozen_servers_are_exit_7_after_the_deadline(
    silent_ports: list[int],
    cli: Cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("confluent_kafka")
    metadata, analytics, log, cache = silent_ports
    given = {
        "POSTGRES_HOST": "127.0.0.1", "POSTGRES_PORT": str(metadata), "CLICKHOUSE_HOST": "127.0.0.1",
        "CLICKHOUSE_PORT": str(analytics), "KAFKA_BROKERS": f"127.0.0.1:{log}", "REDIS_ADDR": f"127.0.0.1:{cache}",
        "JWT_KEY": KEY, "SECRETS_KEY": KEY[::-1],
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(f"CA_{name}", value)
    ran = cli("doctor", "-o", "json")
    checks = of(ran.stdout)
    assert ran.code == 7, ran.stdout
    for name in ("metadata", "analytics", "event_log", "cache", "schema", "topics"):
        assert checks[name]["status"] == "unreachable", name
    assert checks["keys"]["status"] == "ok"
    assert KEY not in ran.stdout + ran.stderr and "Traceback" not in ran.stderr


def asked(health: Answer, system: Answer) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        if request.path.startswith("/api/v1/dead-letters?"):
            return ok({"items": LETTERS, "next_cursor": None})
        return health if request.path == "/health" else system

    return answer


@pytest.mark.parametrize(
    ("health", "system", "code", "says"),
    [
        (ok(WELL), ok(SYSTEM), 0, "1.2.3"),
        (ok(WELL), ok(SYSTEM | {"lag": {"lag_records": 9, "lag_seconds": 999.0}}), 1, "lag_exceeded"),
        (ok(WELL), ok(SYSTEM | {"lag": None}), 7, "cannot ask the event log"),
        (ok(WELL), problem(401, "not_signed_in"), 1, " login, or set CA_TOKEN"),
        (
            (503, {}, json.dumps({"status": "failing", "checks": {"schema": {"status": "failing", "latency_ms": 1.0}}})
             .encode()),
            problem(503, "not_ready"),
            7,
            "campaignctl init-schema",
        ),
    ],
)  # fmt: skip
def test_a_server_says_how_it_is(health: Answer, system: Answer, code: int, says: str, cli: Cli) -> None:
    with fake_api(asked(health, system)) as server:
        ran = cli("--api", server.url, "doctor")
    assert ran.code == code, ran.stdout
    assert says in ran.stdout


def test_what_a_server_has_set_aside_is_told_until_it_is_replayed(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    letters = [
        {"partition": 2, "offset": n, "replayed_at": None if n < 12 else "2026-10-01T03:00:00Z"} for n in range(20)
    ]
    monkeypatch.setattr("tests.unit.test_doctor.LETTERS", letters)
    with fake_api(asked(ok(WELL), ok(SYSTEM))) as server:
        ran, shown = cli("--api", server.url, "doctor", "-o", "json"), cli("--api", server.url, "doctor")
    found = of(ran.stdout)["quarantine"]
    assert (ran.code, found["facts"]) == (1, {"waiting": 12})
    assert found["findings"][0]["next"] == "campaignctl dlq list --reason quarantined"
    assert "12, at partition 2 offset 0, " in found["findings"][0]["message"]
    assert "partition 2 offset 9 and 2 more" in found["findings"][0]["message"]
    assert "dlq list --reason quarantined" in shown.stdout


def test_a_server_that_is_away_is_exit_7(cli: Cli) -> None:
    ran = cli("--api", "http://127.0.0.1:1", "doctor", "-o", "json")
    assert (ran.code, of(ran.stdout)["server"]["status"]) == (7, "unreachable")
