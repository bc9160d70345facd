"""The command line on embedded stores: by itself, through a running server, and several at once."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
YESTERDAY = datetime.now(UTC) - timedelta(days=1)
DAYS = ("--start-date", (YESTERDAY - timedelta(days=2)).date().isoformat(), "--end-date", YESTERDAY.date().isoformat())


def event(number: int, campaign: int = 1, **members: object) -> bytes:
    moment = YESTERDAY.replace(hour=12, minute=0, second=0, microsecond=0)
    known = {"event_id": f"e{number}", "campaign_id": campaign, "platform": "meta", "event_time": moment.isoformat()}
    return json.dumps(known | {"clicks": 1, "spend": "0.10"} | members).encode()


class Cli:
    """``campaignctl`` as a subprocess in a directory of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PYTHONPATH": str(ROOT), "COLUMNS": "100"}

    def start(self, *arguments: str, **options: Any) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "campaignctl", *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
        return subprocess.Popen(command, cwd=self.home, env=self.environ, **pipes)

    def run(self, *arguments: str, code: int = 0, stdin: bytes = b"") -> tuple[str, str]:
        process = self.start(*arguments, stdin=subprocess.PIPE)
        stdout, stderr = process.communicate(stdin, timeout=120)
        assert process.returncode == code, (arguments, process.returncode, stderr.decode())
        assert b"Traceback" not in stderr
        return stdout.decode(), stderr.decode()

    def json(self, *arguments: str, code: int = 0, stdin: bytes = b"") -> Any:
        return json.loads(self.run(*arguments, "-o", "json", code=code, stdin=stdin)[0])

    @contextmanager
    def serving(self, *arguments: str) -> Iterator["subprocess.Popen[bytes]"]:
        """A server for the length of a ``with``, ended as an operator would."""
        process = self.start("serve", "--port", "0", *arguments)
        try:
            deadline_s = time.monotonic() + 60
            while not (self.home / ".campaignctl" / "server.json").exists():
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < deadline_s
                time.sleep(0.05)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
            process.communicate(timeout=60)


def wait_until_applied(log: Path, records: int) -> None:
    """Return when the group has acknowledged so many records; the log of a running worker can be read beside it."""
    deadline_s = time.monotonic() + 120
    with closing(sqlite3.connect(f"file:{log}?mode=ro", uri=True)) as reader:
        while reader.execute("SELECT coalesce(sum(next_offset), 0) FROM commits").fetchone()[0] < records:
            assert time.monotonic() < deadline_s
            time.sleep(0.05)


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_from_nothing_to_insights_without_a_server(cli: Cli) -> None:
    planned = cli.json("init-schema", "--dry-run")
    assert {item["store"] for item in planned["items"]} == {"metadata", "analytics", "event_log"}
    cli.run("init-schema", "--check", code=2)
    assert not (cli.home / ".campaignctl").exists()
    assert cli.json("init-schema")["items"] == planned["items"]
    assert cli.json("init-schema")["items"] == []
    cli.run("init-schema", "--check")

    created = cli.json("campaigns", "create", "--name", "Spring", "--currency", "EUR", "--budget", "1000.10")
    assert (created["id"], created["budget"]) == (1, 1000.1)
    lines = [event(1), event(1), event(2, spend="0.200001"), b"nonsense", event(3, campaign=99)]
    receipt = cli.json("events", "send", "-", code=6, stdin=gzip.compress(b"\n".join(lines)))
    assert receipt["sent"] == 5
    assert receipt["accepted"] == 3
    assert receipt["rejected"] == {"malformed_json": 1, "unknown_campaign": 1}

    body = cli.json("insights", "--campaign", "1", *DAYS)
    assert (body["totals"]["clicks"], body["totals"]["spend"], body["currency"]) == (2, 0.300001, "EUR")
    assert "0.300001" in cli.run("insights", "--campaign", "1", *DAYS, "-o", "csv")[0]
    assert "total" in cli.run("insights", "--campaign", "1", *DAYS)[0]
    cli.run("insights", "--campaign", "7", code=5)
    cli.run("insights", "--campaign", "1", "--granularity", "yearly", code=2)


def test_a_topic_that_is_not_as_configured_is_told_and_left_alone(cli: Cli) -> None:
    cli.run("init-schema")
    (cli.home / "config").mkdir()
    (cli.home / "config" / "config.yaml").write_text("kafka: {events_partitions: 6, retention_days: 30}\n")
    expected = [
        ("campaign-events", "partitions"),
        ("campaign-events", "retention"),
        ("campaign-events-dlq", "retention"),
    ]
    answered, said = cli.run("init-schema", "-o", "json")
    assert [(one["topic"], one["setting"]) for one in json.loads(answered)["differences"]] == expected
    assert "topic campaign-events: partitions is 4, not 6" in said
    _, said = cli.run("init-schema", "--check", code=2)
    assert "topic campaign-events: retention is 7 days, not 30 days" in said
    assert json.loads(cli.run("init-schema", "-o", "json")[0])["differences"] == json.loads(answered)["differences"]


def test_the_same_bytes_with_and_without_a_server(cli: Cli) -> None:
    with cli.serving() as server:
        cli.run("campaigns", "create", "--name", "Spring")
        cli.run("events", "send", "-", "--wait", stdin=b"\n".join(event(n) for n in range(50)))
        questions = [
            ("campaigns", "list"),
            ("campaigns", "show", "1"),
            ("insights", "--campaign", "1", *DAYS, "--group-by", "platform"),
            ("rates", "list"),
        ]
        served = [cli.run(*question, "-o", "json")[0] for question in questions]
        _, error = cli.run("work", code=7)
        assert "in use by the server at http://127.0.0.1:" in error
        token = json.loads((cli.home / ".campaignctl" / "server.json").read_text())["token"]
        server.send_signal(signal.SIGTERM)
        stdout, stderr = server.communicate(timeout=60)
    assert server.returncode == 143
    assert stdout == b""
    assert b"created the stores in" in stderr
    assert token.encode() not in stderr
    assert not (cli.home / ".campaignctl" / "server.json").exists()
    assert [cli.run(*question, "-o", "json")[0] for question in questions] == served


def test_five_that_make_the_schema_at_once(cli: Cli) -> None:
    processes = [cli.start("init-schema", "-o", "json") for _ in range(5)]
    made = [json.loads(process.communicate(timeout=120)[0])["items"] for process in processes]
    assert [process.returncode for process in processes] == [0] * 5
    assert sorted(map(bool, made)) == [False] * 4 + [True]


def test_a_server_that_was_killed_is_no_obstacle(cli: Cli) -> None:
    with cli.serving("--no-worker") as server:
        cli.run("campaigns", "create", "--name", "Spring")
        cli.run("events", "send", "-", stdin=event(1))
        server.kill()
        server.wait(timeout=30)
        assert (cli.home / ".campaignctl" / "server.json").exists()
        assert cli.json("campaigns", "list")["items"][0]["name"] == "Spring"
    worker = cli.start("work")
    wait_until_applied(cli.home / ".campaignctl" / "event_log.sqlite", 1)
    worker.send_signal(signal.SIGINT)
    _, stderr = worker.communicate(timeout=60)
    assert worker.returncode == 130, stderr
    assert cli.json("insights", "--campaign", "1", *DAYS)["totals"]["clicks"] == 1


def test_what_waits_on_standard_input_is_not_taken_by_the_engine(cli: Cli) -> None:
    cli.run("init-schema")
    cli.run("campaigns", "create", "--name", "Spring")
    for number, name in enumerate(("events.ndjson", "-", "/dev/stdin")):
        (cli.home / "events.ndjson").write_bytes(event(number) + b"\n")
        (cli.home / "input").write_bytes(b"of no event\n" * 1_000 if name == "events.ndjson" else event(number))
        with (cli.home / "input").open("rb") as file:
            sending = cli.start("events", "send", name, "--wait", "--timeout", "30", "-o", "json", stdin=file)
            answer, said = sending.communicate(timeout=120)
        assert (sending.returncode, json.loads(answer)["accepted"]) == (0, 1), said
    assert cli.json("insights", "--campaign", "1", *DAYS)["totals"]["clicks"] == 3
    closed = f"{sys.executable} -m campaignctl events send events.ndjson --wait -o json <&-"
    sent = subprocess.run(closed, shell=True, cwd=cli.home, env=cli.environ, capture_output=True, timeout=120)
    assert (sent.returncode, json.loads(sent.stdout)["accepted"]) == (0, 1), sent.stderr


def test_sql_is_read_only_and_bounded(cli: Cli) -> None:
    cli.run("init-schema")
    answer = cli.json("query", "SELECT number AS n, toString({x:UInt8}) AS s FROM numbers(5)", "--param", "x=7")
    assert answer["rows"][0] in ([0, "7"], {"n": 0, "s": "7"})
    stdout, stderr = cli.run("query", "SELECT number FROM numbers(100)", "--max-rows", "3", "-o", "csv")
    assert stdout.split() == ["number", "0", "1", "2"]
    assert "first 3 rows" in stderr
    for refused in (
        "DROP TABLE events",
        "INSERT INTO events VALUES (1)",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
    ):
        stdout, stderr = cli.run("query", refused, code=2)
        assert stdout == ""
        assert "error[" in stderr
