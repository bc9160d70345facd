"""One fixed installation, and commands in this process that are asked of it, for tests of what commands print.

The installation's clock stands still, so its answers are the same on every day; what is drawn by lot (a key's prefix) or
measured is replaced by one word.
"""

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from tests.support.clock import SteeredClock
from worker.lifecycle import working

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
DAYS = [date(2026, 11, day) for day in (16, 17, 18)]
LINK = {"platform": "meta", "account_id": "act_77", "external_id": "c1"}
RANGE = ("--start-date", "2026-11-16", "--end-date", "2026-11-18")
EVENT = {"campaign_id": 1, "platform": "meta", "region": "US-CA", "device": "mobile"}

_SCRUBBED = (
    (re.compile(r"\bcak_[0-9a-f]{12}_[A-Za-z0-9_-]{43}"), "cak_0123456789ab_SECRET"),
    (re.compile(r"\b(inv|pwr)_[A-Za-z0-9_-]{43}"), r"\1_SECRET"),
    (re.compile(r"(\"position\": ?\")[A-Za-z0-9_-]+"), r"\1POSITION"),
    (re.compile(r"\b[0-9a-f]{32}\b"), "ffffffffffffffffffffffffffffffff"),
    (re.compile(r"\bcak_[0-9a-f]{12}\b"), "cak_0123456789ab"),
    (re.compile(rf"\b{re.escape(__version__)}(?!\d)"), "VERSION"),
    (re.compile(r"http://127\.0\.0\.1:\d{5}\b"), "http://127.0.0.1:55555"),
    (re.compile(r"(--cursor |\"next_cursor\": ?\")[A-Za-z0-9_-]+"), r"\1CURSOR"),
    (re.compile(r"(\"topic_id\": ?)\d+"), r"\g<1>0"),
    (re.compile(r"(\"latency_ms\": ?)[\d.]+"), r"\g<1>1.0"),
    (re.compile(r"(?m)^(\w+,(?:ok|finding|unreachable),)[\d.]+"), r"\g<1>1.0"),  # the same of doctor as CSV
    (re.compile(r"(\"statements\": ?)\[\{.*\}\]"), r"\1[]"),  # SQL is no output's form; its own tests hold it
)
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Command = Callable[..., Ran]


@contextmanager
def installation(data_dir: Path) -> Iterator[str]:
    """The address of the installation, on embedded stores in the directory."""
    settings = Settings(data_dir=data_dir)
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


def command_in(
    directory: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    """Runs commands against the installation, with nothing of whoever runs the tests; ``screen``: to a terminal."""
    monkeypatch.chdir(directory)
    for name in [name for name in os.environ if name.startswith(("CA_", "NO_COLOR", "FORCE_COLOR", "TERM"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(directory / "xdg"))
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
