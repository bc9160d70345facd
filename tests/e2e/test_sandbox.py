"""``campaignctl sandbox`` as its user meets it: another process, real sockets, the clients that real platforms get."""

import json
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.testclient import TestClient

from campaignctl.bootstrap import open_app
from campaignctl.config import Settings
from server.app import create_app
from tests.e2e.rest import OPERATOR_TOKEN, Rest, User
from tests.support.sandbox_process import sandbox
from worker.lifecycle import working

METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")
TODAY = datetime.now(UTC).date()
FIRST, LAST = TODAY - timedelta(days=9), TODAY - timedelta(days=2)
DAYS = {"start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}
FAULTS = "broken-off,truncated,google-token-expired,linkedin-short-queries"
Cells = dict[tuple[str, str, str], dict[str, Decimal]]


@pytest.fixture
def place() -> Iterator[dict[str, Any]]:
    with sandbox("--latency-ms", "1", "--speed", "0", "--faults", FAULTS) as (told, _):
        yield told


@contextmanager
def opened(place: dict[str, Any], directory: Path) -> Iterator[Rest]:
    """Stores of their own, configured by what the sandbox printed, with a worker and jobs."""
    sections: dict[str, dict[str, str]] = defaultdict(dict)
    for name, value in place["environment"].items():
        section, _, key = name.removeprefix("CA_").lower().partition("_")
        sections[section][key] = value
    with (
        open_app(Settings(data_dir=directory, **sections), create=True) as app,  # type: ignore[arg-type]
        TestClient(create_app(app, operator_token=OPERATOR_TOKEN)) as client,
        working(app),
    ):
        yield Rest(app, client)


@pytest.fixture
def rest(place: dict[str, Any], tmp_path: Path) -> Iterator[Rest]:
    with opened(place, tmp_path) as made:
        yield made


def fetched(user: User, campaign: int) -> dict[str, Any]:
    job = user.ask("POST", f"/campaigns/{campaign}/fetch-data", json=DAYS).json()
    deadline = time.monotonic() + 120
    while job["finished_at"] is None and time.monotonic() < deadline:
        time.sleep(0.1)
        job = user.ask("GET", f"/jobs/{job['job_id']}").json()
    assert job["status"] == "succeeded", job
    found: dict[str, Any] = job
    return found


def truth(url: str, **params: Any) -> list[dict[str, Any]]:
    answer = httpx2.get(f"{url}/truth", params=DAYS | {"campaign": 1} | params)
    rows: list[dict[str, Any]] = json.loads(answer.content, parse_float=Decimal)["rows"]
    return rows


def expected(url: str, at: str, *, by_country: bool) -> Cells:
    """The truth by platform, day and region; what no country has of a day's total is in ZZ."""
    found = {(row["platform"], row["day"], ""): _figures(row) for row in truth(url, at=at)}
    if not by_country:
        return found
    rest = {(platform, day, "ZZ"): dict(figures) for (platform, day, _), figures in found.items()}
    split: Cells = {}
    for row in truth(url, at=at, breakdown="country"):
        if row["region"] == "ZZ":
            continue
        figures = _figures(row)
        split[row["platform"], row["day"], row["region"]] = figures
        left = rest[row["platform"], row["day"], "ZZ"]
        for metric in METRICS:
            left[metric] -= figures[metric]
    return split | {key: left for key, left in rest.items() if any(left.values())}


def answered(user: User, campaign: int, *, by_country: bool) -> Cells:
    params = DAYS | {"source": "report", "group_by": "platform,region" if by_country else "platform"}
    answer = user.ask("GET", f"/campaigns/{campaign}/insights", params=params)
    body = json.loads(answer.content, parse_float=Decimal)
    found = {(row["platform"], row["period_start"], row.get("region", "")): _figures(row) for row in body["rows"]}
    return {key: figures for key, figures in found.items() if any(figures.values())}


def _figures(row: Mapping[str, Any]) -> dict[str, Decimal]:
    """What a platform does not tell counts nothing."""
    return {metric: Decimal(str(row[metric] or 0)) for metric in METRICS}


def told_at(url: str) -> str:
    now: str = httpx2.get(f"{url}/clock").json()["now"]
    return now


def test_what_is_fetched_from_it_is_the_truth_and_so_is_what_changed(place: dict[str, Any], rest: Rest) -> None:
    url, user = place["url"], rest.user()
    for account in place["accounts"]:
        if account["currency"] == "USD":
            body = {name: account[name] for name in ("platform", "account_id", "credentials")}
            assert user.ask("POST", "/accounts", json=body).status_code == 201
    campaign = user.campaign(**httpx2.get(f"{url}/campaigns").json()[0])["id"]

    before = told_at(url)
    fetched(user, campaign)
    first = answered(user, campaign, by_country=False)
    assert first == expected(url, before, by_country=False)
    assert answered(user, campaign, by_country=True) == expected(url, before, by_country=True)
    assert {one["fault"] for one in httpx2.get(f"{url}/requests").json()} & {"broken-off", "truncated"}

    httpx2.post(f"{url}/clock", json={"hours": 5 * 24})
    later = told_at(url)
    fetched(user, campaign)
    second = answered(user, campaign, by_country=False)
    assert second == expected(url, later, by_country=False)
    assert second != first
    found = user.ask("GET", f"/campaigns/{campaign}/restatements", params=DAYS)
    listed = json.loads(found.content, parse_float=Decimal)["items"]
    changes = {(one["platform"], one["day"], one["metric"]): _pair(one) for one in listed}
    for key in first.keys() | second.keys():
        for metric in METRICS:
            old, new = (side.get(key, dict.fromkeys(METRICS, Decimal(0)))[metric] for side in (first, second))
            assert changes.get((*key[:2], metric), (0, 0)) == ((old, new) if old != new else (0, 0))


def _pair(one: Mapping[str, Any]) -> tuple[Decimal, Decimal]:
    return Decimal(str(one["old"] or 0)), Decimal(str(one["new"] or 0))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_it_ends_when_told_to(number: int, code: int) -> None:
    with sandbox("--seed", "3", "--speed", "3600") as (told, process):
        assert told["seed"] == 3
        assert told_at(told["url"]) > told["now"]
        os.kill(process.pid, number)
        assert process.wait(20) == code
