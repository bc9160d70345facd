"""The examples, run as they stand, against a server of their own."""

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY, Program, Server
from tests.support.waiting import eventually

EXAMPLES = REPOSITORY / "examples"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("examples")


@pytest.fixture(scope="module")
def server(home: Path) -> Iterator[Server]:
    program = home / "bin" / "campaignctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m campaignctl "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with Program(home).serving() as started:
        link = {"platform": "meta", "account_id": "act_1", "external_id": "1"}
        started.client.create([{"name": "Spring"}, {"name": "Silent", "platforms": [link]}])
        yield started


def run(server: Server, home: Path, *command: str, **settings: str) -> "subprocess.CompletedProcess[str]":
    environment = Program(home).environment() | {
        "PATH": f"{home / 'bin'}:{os.environ['PATH']}",
        "CA_API_URL": server.url,
        "CA_TOKEN": server.published.token,
    }
    return subprocess.run(
        command, cwd=home, env=environment | settings, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(scope="module")
def events(home: Path) -> Path:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    event = {"campaign_id": 1, "platform": "meta", "event_time": now, "impressions": 1000, "clicks": 10}
    lines = [
        event | {"event_id": "a", "spend": "123456789.123456", "revenue": 1},
        event | {"event_id": "b", "platform": "tiktok", "spend": "0.000001"},
        event | {"event_id": "c", "platform": "myspace"},
    ]
    file = home / "events.ndjson"
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return file


def test_events_go_by_curl_and_come_back_exact(server: Server, home: Path, events: Path) -> None:
    script = str(EXAMPLES / "producers" / "to_http.sh")
    sent = run(server, home, script, str(events))
    assert sent.returncode == 0, sent.stderr
    answer = json.loads(sent.stdout)
    assert answer["accepted"] == 2
    assert [one["code"] for one in answer["rejected"]] == ["unknown_platform"]
    assert json.loads(run(server, home, script, str(events)).stdout) == answer, "sent again, answered as before"
    assert not events.with_name(f"{events.name}.gz").exists()

    client = [sys.executable, str(EXAMPLES / "clients" / "insights.py"), "1"]
    eventually(lambda: "0.000001" in run(server, home, *client).stdout, "the events to count", every_s=0.2)
    shown = run(server, home, *client).stdout.splitlines()
    assert [line.split()[:4] for line in shown] == [
        ["meta", "1000", "10", "123456789.123456"],
        ["tiktok", "1000", "10", "0.000001"],
        ["total", "2000", "20", "123456789.123457"],
    ]


def test_the_client_says_what_is_wrong(server: Server, home: Path) -> None:
    client = [sys.executable, str(EXAMPLES / "clients" / "insights.py")]
    unknown = run(server, home, *client, "999")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "not_found" in unknown.stderr
    away = run(server, home, *client, "1", CA_API_URL="http://127.0.0.1:1")
    assert away.returncode == 7
    assert run(server, home, *client).returncode == 2


def test_a_wrong_token_fails_the_script_with_the_reason(server: Server, home: Path, events: Path) -> None:
    refused = run(server, home, str(EXAMPLES / "producers" / "to_http.sh"), str(events), CA_TOKEN="nobody")
    assert refused.returncode != 0
    assert json.loads(refused.stdout)["status"] == 401


def test_the_gate_lets_fresh_numbers_pass_and_stops_silent_ones(server: Server, home: Path, events: Path) -> None:
    server.client.wait(server.client.send(events.read_bytes().splitlines()).positions, 1)
    gate = str(EXAMPLES / "gates" / "numbers.sh")
    silent = run(server, home, gate, "2")
    assert silent.returncode == 1, silent.stderr
    passed = run(server, home, gate, "1")
    assert (passed.returncode, passed.stdout.splitlines()[-1]) == (0, "the numbers of 1 are new enough and agree")
    assert run(server, home, gate, "1", GATE_MAX_AGE="1s").returncode == 1
    assert run(server, home, gate).returncode == 2


def test_the_panel_asks_what_the_tables_hold(server: Server, home: Path, events: Path) -> None:
    server.client.wait(server.client.send(events.read_bytes().splitlines()).positions, 1)
    asked = (EXAMPLES / "grafana" / "spend.sql").read_text()
    today = datetime.now(UTC).date()
    variables = {
        "${campaign}": "1",
        "${__from:date:YYYY-MM-DD}": str(today - timedelta(days=1)),
        "${__to:date:YYYY-MM-DD}": str(today),
    }
    for name, value in variables.items():
        assert name in asked
        asked = asked.replace(name, value)
    panel = home / "panel.sql"
    panel.write_text(asked)
    shown = run(server, home, "campaignctl", "query", "--file", str(panel), "-o", "csv")
    assert shown.returncode == 0, shown.stderr
    lines = [line.split(",") for line in shown.stdout.splitlines()]
    assert lines[0] == ["time", "series", "spend", "clicks"]
    assert [(series, clicks) for _, series, _, clicks in lines[1:]] == [("meta USD", "10"), ("tiktok USD", "10")]


def test_the_notebook_plots_what_was_exported(server: Server, home: Path, events: Path) -> None:
    server.client.wait(server.client.send(events.read_bytes().splitlines()).positions, 1)
    notebook = json.loads((EXAMPLES / "notebooks" / "spend.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert not any(cell.get("outputs") for cell in notebook["cells"])
    ran = run(server, home, sys.executable, "-c", "\n".join(cells), MPLBACKEND="Agg", MPLCONFIGDIR=str(home / "mpl"))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[0].startswith("2 rows, {")
    assert "'currency': 'USD'" in ran.stdout.splitlines()[0]
    assert ran.stdout.splitlines()[1:] == ["meta 0.000000", "tiktok 0.000000"]
    for picture in ("spend.png", "roas.png"):
        assert (home / picture).read_bytes().startswith(b"\x89PNG")


CONFIGURATIONS = sorted(file for file in (EXAMPLES / "config").glob("*.yaml") if file.name != "config.yaml")
KEPT_APART = {
    "CA_JWT_KEY": "0123456789abcdefghijklmnopqrstuvwxyz",
    "CA_SECRETS_KEY": "zyxwvutsrqponmlkjihgfedcba9876543210",
}


def test_configurations_are_complete_but_for_the_secrets(tmp_path: Path) -> None:
    assert [file.name for file in CONFIGURATIONS] == ["cluster.yaml", "embedded.yaml", "one-server.yaml"]
    for file in CONFIGURATIONS:
        assert Program(tmp_path, KEPT_APART).run("config", "validate", str(file)).code == 0
        changed = Program(tmp_path, KEPT_APART).run("--config", str(file), "config", "show", "--changed", "-o", "json")
        by_file = {item["key"] for item in changed.json()["items"] if item["origin"] not in ("default", "environment")}
        assert by_file, file
    one_server = str(EXAMPLES / "config" / "one-server.yaml")
    assert "jwt.key" in Program(tmp_path).run("--config", one_server, "init-schema", expect=2).err


def test_the_embedded_configuration_starts_from_nothing(tmp_path: Path) -> None:
    program = Program(tmp_path)
    configured = ("--config", str(EXAMPLES / "config" / "embedded.yaml"))
    program.run(*configured, "init-schema")
    program.run(*configured, "campaigns", "create", "Spring")
    assert "Spring" in program.run(*configured, "campaigns", "list", "-o", "csv").out
    invited = program.run(*configured, "members", "invite", "ada@example.com", "--role", "admin", "-o", "json")
    assert invited.json()["role"] == "admin"
