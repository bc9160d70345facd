"""What every reading command prints of one fixed installation: as a table at 80 and 120 columns, as JSON and as CSV.

The installation's clock stands still, so its answers are the same on every day; what is drawn by lot (a key's prefix) or
measured is replaced by one word before it is compared. ``CA_TEST_UPDATE_GOLDEN=1`` writes the files of ``golden/cli/reads``
anew.
"""

import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from campaignctl import __version__
from campaignctl.bootstrap import open_app
from campaignctl.cli.app import run
from campaignctl.cli.contexts import Context, ContextFile
from campaignctl.config import Settings
from campaignctl.domain.reports import Figures
from server.app import create_app
from tests.e2e.rest import OPERATOR_TOKEN, PASSWORD, Rest, User, running
from tests.e2e.test_rest_reconcile import report, wait_for_all
from tests.golden import matches_golden
from tests.support.clock import SteeredClock
from worker.lifecycle import working

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAYS = [date(2026, 11, day) for day in (16, 17, 18)]
LINK = {"platform": "meta", "account_id": "act_77", "external_id": "c1"}
RANGE = ("--start-date", "2026-11-16", "--end-date", "2026-11-18")
EVENT = {"campaign_id": 1, "platform": "meta", "region": "US-CA", "device": "mobile"}

READS: dict[str, tuple[str, ...]] = {
    "accounts-list": ("accounts", "list"),
    "accounts-show": ("accounts", "show", "1"),
    "accounts-unmapped": ("accounts", "unmapped", "1", *RANGE),
    "api-keys-list": ("api-keys", "list"),
    "audit": ("audit", "--limit", "4"),
    "campaigns-list": ("campaigns", "list"),
    "campaigns-show": ("campaigns", "show", "1"),
    "config-changed": ("config", "show", "--changed"),
    "context-current": ("--context", "lab", "context", "current"),
    "context-list": ("context", "list"),
    "dlq-list": ("dlq", "list"),
    "dlq-show": ("dlq", "show", "0-0"),
    "events-conflicts": ("events", "conflicts", "--campaign", "1"),
    "exit-codes": ("exit-codes",),
    "explain-code": ("explain", "not_yet_visible"),
    "explain-metric": ("explain", "--metric", "cpc"),
    "explain-number": ("explain", "--campaign", "1", "--date", "2026-11-17", "--metric", "spend"),
    "freshness": ("freshness",),
    "insights-daily": ("insights", "--campaign", "1", *RANGE, "--group-by", "platform"),
    "insights-hourly": ("insights", "--campaign", "1", *RANGE, "--granularity", "hourly", "--source", "stream"),
    "insights-total": ("insights", "--campaign", "1", *RANGE, "--granularity", "total", "--compare", "previous_period"),
    "insights-campaigns": ("insights", "--group-by", "campaign", "--granularity", "total", "--currency", "USD",
                           "--timezone", "UTC", *RANGE),
    "jobs-list": ("jobs", "list"),
    "jobs-show": ("jobs", "show", "1"),
    "lag": ("lag",),
    "members-list": ("members", "list"),
    "pacing": ("pacing", "--campaign", "1", "--start-date", "2026-11-01", "--end-date", "2026-11-30"),
    "query": ("query", "SELECT number, toString(number * 1000) AS text FROM numbers(3)"),
    "rates-list": ("rates", "list"),
    "reconcile": ("reconcile", "--campaign", "1", *RANGE, "--tolerance", "0.1"),
    "restatements": ("restatements", "--campaign", "1", *RANGE),
    "users-list": ("users", "list"),
    "verify": ("verify", "--campaign", "1"),
    "version": ("version",),
}  # fmt: skip
"""Every command that reads, by the name of its file."""

GATES = {"reconcile": 1}
"""Commands that end with another code here, because they are gates."""

OTHERWISE = {
    "completions": "prints a script, held against completions/ by tests/unit/test_cli_commands.py",
    "config": "config-changed; every key is in docs/reference/configuration.md, held against the program",
    "context": "context-list and context-current",
    "dashboard": "tests/tui has snapshots",
    "doctor": "what it prints is measured anew each time; tests/unit/test_doctor.py, tests/e2e/test_doctor_looks.py",
}
"""Commands that read and have no file here, with where they are tested."""

_SCRUBBED = (
    (re.compile(r"\b[0-9a-f]{32}\b"), "ffffffffffffffffffffffffffffffff"),
    (re.compile(r"\bcak_[0-9a-f]{12}\b"), "cak_0123456789ab"),
    (re.compile(rf"\b{re.escape(__version__)}(?!\d)"), "VERSION"),
    (re.compile(r"http://127\.0\.0\.1:\d{5}\b"), "http://127.0.0.1:55555"),
    (re.compile(r"(--cursor |\"next_cursor\": ?\")[A-Za-z0-9_-]+"), r"\1CURSOR"),
    (re.compile(r"(\"topic_id\": ?)\d+"), r"\g<1>0"),
    (re.compile(r"(\"statements\": ?)\[\{.*\}\]"), r"\1[]"),  # SQL is no output's form; its own tests hold it
)
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the installation."""
    settings = Settings(data_dir=tmp_path_factory.mktemp("data"))
    with open_app(settings, clock=SteeredClock(NOW), create=True) as app:
        with TestClient(create_app(app, operator_token=OPERATOR_TOKEN)) as client:
            fill(Rest(app, client))
        with running(app) as (url, _):
            yield url


def fill(rest: Rest) -> None:
    """Two campaigns with events, a copy, a conflict, dead letters, a report that was restated, rates, an account, a job."""
    ada = {"email": "ada@example.com", "password": PASSWORD, "name": "Ada"}
    assert rest.client.post("/api/v1/auth/register", json=ada).status_code == 201
    user = rest.signed_in("ada@example.com")
    user.campaign(name="Spring sale", platforms=[LINK], budget=500, budget_period="monthly", start_date="2026-11-01")
    user.campaign(name='Ünïcode 東京, "quoted" and long enough to be cut', currency="EUR", timezone="Asia/Tokyo")
    done(user, "POST", "/invitations", {"email": "bob@example.com", "role": "analyst"})
    done(user, "POST", "/api-keys", {"name": "shop", "scopes": ["ingest", "read"]})
    done(user, "PUT", "/currency-rates", [{"date": str(DAYS[0]), "currency": "EUR", "base": "USD", "rate": "1.0834"}])
    done(user, "POST", "/accounts", {"platform": "meta", "account_id": "act_77", "name": "Shop",
                                     "credentials": {"access_token": "a-token-of-nobody"}})  # fmt: skip
    events: list[dict[str, Any]] = [
        EVENT | {"event_id": f"e{day}", "event_time": f"{day}T15:00:00Z", "impressions": 1200, "clicks": 31,
                 "conversions": "2.5", "spend": "9.75", "revenue": 55}
        for day in DAYS
    ]  # fmt: skip
    events.append(events[0])
    events.append(events[1] | {"spend": "10.75"})
    events.append(events[2] | {"event_id": "t1", "platform": "tiktok", "currency": "EUR"})
    events.append(events[2] | {"event_id": "u1", "campaign_id": 2})
    events.append(events[2] | {"event_id": "bad", "platform": "myspace"})
    events.append(events[2] | {"event_id": "worse", "clicks": "many", "region": "=1+1"})
    answer = done(user, "POST", "/events", events)
    assert answer["accepted"] == len(events) - 2
    with working(rest.app) as thread:
        wait_for_all(rest, thread)
    organization = rest.app.metadata.campaign_facts([1])[1].organization_id
    for hours_ago, spend in ((5, 9_000_000), (3, 9_500_000)):
        fetched_us = int((NOW - timedelta(hours=hours_ago)).timestamp()) * 1_000_000
        report(
            rest, organization, dict.fromkeys(DAYS[:2], Figures("", 1200, 30, 2_000_000, spend, 50_000_000)), fetched_us
        )
    done(user, "POST", "/campaigns/1/reaggregate", {"dry_run": True})  # stays queued: nobody works here


def done(user: User, method: str, path: str, body: object) -> Any:
    answer = user.ask(method, path, json=body)
    assert answer.status_code < 300, answer.text
    return answer.json()


class Screen(io.StringIO):
    """Standard output that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def command(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs a command against the installation, with nothing of whoever runs the tests; ``screen``: to a terminal."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(("CA_", "NO_COLOR", "FORCE_COLOR", "TERM"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)
    monkeypatch.setenv("CA_API_URL", server)
    monkeypatch.setenv("CA_KAFKA_GROUP_ID", "a, b")
    monkeypatch.setenv("CA_SERVER_PORT", "9001")
    file = ContextFile()
    file.put("lab", Context("http://127.0.0.1:8080"))
    file.put("prod", Context("https://ads.example.com", 7))
    file.use("prod")

    def call(*arguments: str, columns: int | None = None, screen: bool = False, **environment: str) -> Ran:
        with monkeypatch.context() as here:
            here.setenv("COLUMNS", str(columns)) if columns else here.delenv("COLUMNS", raising=False)
            for name, value in environment.items():
                here.setenv(name, value)
            shown = Screen()
            if screen:
                here.setattr(sys, "stdout", shown)
            code = run(arguments)
        captured = capsys.readouterr()
        return Ran(int(code), scrubbed(captured.out + shown.getvalue()), scrubbed(captured.err))

    return call


def scrubbed(text: str) -> str:
    for pattern, word in _SCRUBBED:
        text = pattern.sub(word, text)
    return text


def unpadded(text: str) -> list[str]:
    """Lines without the blanks at their ends, which a bold header has in a terminal."""
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("name", READS)
def test_what_a_command_prints(name: str, command: Command) -> None:
    asked = READS[name]
    printed = []
    for columns in (80, 120):
        ran = command(*asked, columns=columns)
        assert ran.code == GATES.get(name, 0), ran
        assert max(len(line) for line in ran.out.splitlines()) <= columns or name.startswith(("explain", "dlq-show"))
        printed.append(f"=== {columns} columns\n{ran.out}--- stderr\n{ran.err}")
    for style in ("json", "csv"):
        ran = command(*asked, "-o", style)
        assert ran.code == GATES.get(name, 0), ran
        if style == "json":
            json.loads(ran.out)
        printed.append(f"=== {style}\n{ran.out}--- stderr\n{ran.err}")
    assert matches_golden(f"cli/reads/{name}.txt", "".join(printed))


@pytest.mark.parametrize("name", READS)
def test_a_terminal_without_colours_shows_what_a_pipe_gets(name: str, command: Command) -> None:
    piped = command(*READS[name], columns=120)
    assert "\x1b" not in piped.out + piped.err
    dumb = command(*READS[name], columns=120, screen=True, TERM="dumb")
    assert "\x1b" not in dumb.out + dumb.err
    assert unpadded(dumb.out) == unpadded(piped.out)
    plain = command(*READS[name], columns=120, screen=True, TERM="xterm-256color", NO_COLOR="1")
    assert unpadded(_COLOURS.sub("", plain.out)) == unpadded(piped.out)
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]", plain.out)


def test_every_command_that_reads_is_here() -> None:
    from tests.reference.tree import tree

    reading = {"list", "show", "unmapped", "conflicts"}
    lone = {"accounts", "api-keys", "campaigns", "dlq", "events", "jobs", "members", "rates", "users"}
    here = {" ".join(words[: 2 if words[0] in lone else 1]) for words in READS.values()}
    acting = {"backup", "demo", "fetch", "init-schema", "login", "reaggregate", "restore", "sandbox", "serve", "work"}
    for entry in tree().children:
        name = entry.path.split(" ")[1]
        if name in acting | OTHERWISE.keys():
            continue
        wanted = [child.path.split(" ", 1)[1] for child in entry.children if child.path.split(" ")[2] in reading] or [
            name
        ]
        assert set(wanted) <= here, f"{wanted}: name it in READS, or in OTHERWISE with the reason"
