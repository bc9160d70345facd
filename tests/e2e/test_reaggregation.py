"""Re-aggregation on embedded stores: wrong sums made right while events keep arriving, from the API down to the tables."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from tests.e2e.rest import Rest, User, fields, problem, rest_over, running
from tests.support.waiting import eventually
from worker.lifecycle import working

DAY_S = 86_400


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[Rest]:
    with rest_over(tmp_path) as made:
        yield made


@pytest.fixture
def user(rest: Rest) -> User:
    return rest.user()


@pytest.fixture
def worker(rest: Rest) -> Iterator[None]:
    with working(rest.app):
        yield


def send(user: User, campaign_id: int, count: int, *, seed: int = 1, days: int = 40) -> dict[str, int]:
    """Send events on the last days; answers the sums they must have, once they are counted."""
    rng, now, sums = random.Random(seed), datetime.now(UTC), {"impressions": 0, "clicks": 0, "spend": 0}
    events = []
    for number in range(count):
        event = {
            "event_id": f"{seed}-{number}",
            "campaign_id": campaign_id,
            "platform": rng.choice(("meta", "google", "tiktok")),
            "region": rng.choice(("IN", "US-CA", "DE")),
            "event_time": (now - timedelta(seconds=rng.randrange(days * DAY_S))).isoformat(),
            "impressions": rng.randrange(100),
            "clicks": rng.randrange(10),
            "spend": rng.randrange(100),
        }
        events.append(event)
        for name in sums:
            sums[name] += event[name]
    answer = user.ask("POST", "/events", json=events)
    assert answer.json()["accepted"] == count, answer.text
    waited = user.ask("GET", f"/campaigns/{campaign_id}/insights?after={answer.json()['position']}")
    assert waited.status_code == 200, waited.text
    return sums


def spoil(store: ClickHouseAnalytics, campaign_id: int, day: str, *, impressions: int, region: str = "IN") -> None:
    """Make the rollup wrong by events that never happened."""
    columns = "campaign_id, day, platform, region, currency, events, impressions"
    values = f"{campaign_id}, '{day}', 'meta', '{region}', 'USD', 1, {impressions}"
    with store._clients.writer() as client:
        client.command(f"INSERT INTO rollup_1d ({columns}) VALUES ({values})")


def totals(user: User, campaign_id: int) -> dict[str, Any]:
    start = (datetime.now(UTC) - timedelta(days=89)).date()
    answer = user.ask("GET", f"/campaigns/{campaign_id}/insights?granularity=total&start_date={start}")
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.json()["totals"]
    return {name: shown[name] for name in ("impressions", "clicks", "spend")}


def reaggregate(user: User, campaign_id: int, **members: Any) -> dict[str, Any]:
    """The job at its end."""
    accepted = user.ask("POST", f"/campaigns/{campaign_id}/reaggregate", json=members)
    assert accepted.status_code == 202, accepted.text
    return ended(user, accepted.json()["job_id"])


def ended(user: User, job_id: int) -> dict[str, Any]:
    eventually(lambda: user.ask("GET", f"/jobs/{job_id}").json()["finished_at"])
    job: dict[str, Any] = user.ask("GET", f"/jobs/{job_id}").json()
    return job


def a_day(days_ago: int) -> str:
    return str((datetime.now(UTC) - timedelta(days=days_ago)).date())


@pytest.mark.usefixtures("worker")
def test_wrong_sums_are_made_right_with_a_receipt(rest: Rest, user: User) -> None:
    campaign = user.campaign()["id"]
    sums = send(user, campaign, 500)
    assert totals(user, campaign) == sums
    spoil(rest.app.analytics, campaign, a_day(3), impressions=1_000)
    spoil(rest.app.analytics, campaign, a_day(35), impressions=-10, region="FR")
    dry = reaggregate(user, campaign, dry_run=True)
    assert dry["status"] == "succeeded", dry
    assert (dry["result"]["drift_rows"], dry["result"]["dry_run"], dry["result"]["applied_at"]) == (2, True, None)
    assert dry["result"]["difference"]["impressions"] == -990
    assert dry["result"]["difference"]["spend"] == {"USD": 0}
    job = reaggregate(user, campaign, reason="a test")
    result = job["result"]
    assert (job["status"], job["params"]["reason"], job["kind"]) == ("succeeded", "a test", "reaggregate")
    assert job["progress"] == {"done": result["days"], "total": result["days"], "unit": "days"}
    assert (result["rows_read"], result["duplicates_collapsed"], result["dry_run"]) == (500, 0, False)
    assert result["applied_at"] is not None
    assert result["before"]["impressions"] == sums["impressions"] + 990
    assert result["after"]["impressions"] == sums["impressions"]
    assert result["after"]["spend"] == {"USD": sums["spend"]}
    assert result["difference"] == {
        "events": -2,
        "impressions": -990,
        "clicks": 0,
        "conversions": 0,
        "spend": {"USD": 0},
        "revenue": {"USD": 0},
    }
    assert totals(user, campaign) == sums
    again = reaggregate(user, campaign)["result"]
    assert (again["drift_rows"], again["before"], again["difference"]["impressions"]) == (0, again["after"], 0)


@pytest.mark.usefixtures("worker")
def test_only_the_days_asked_for_are_made_right(rest: Rest, user: User) -> None:
    campaign, other = user.campaign()["id"], user.campaign()["id"]
    sums = send(user, campaign, 200)
    for number, days_ago in enumerate((2, 5, 9)):
        spoil(rest.app.analytics, campaign, a_day(days_ago), impressions=10**number)
    spoil(rest.app.analytics, other, a_day(5), impressions=7)
    job = reaggregate(user, campaign, start_date=a_day(6), end_date=a_day(5))
    assert (job["result"]["days"], job["result"]["difference"]["impressions"]) == (2, -10)
    assert totals(user, campaign)["impressions"] == sums["impressions"] + 101
    assert totals(user, other)["impressions"] == 7


def test_what_cannot_be_asked_is_refused(rest: Rest, user: User) -> None:
    campaign = user.campaign(timezone="Asia/Kolkata")["id"]
    path = f"/campaigns/{campaign}/reaggregate"
    problem(user.ask("POST", path, json={"start_date": a_day(402)}), 422, "raw_expired")
    assert fields(problem(user.ask("POST", path, json={"start_date": a_day(402)}), 422)) == ["start_date"]
    assert fields(problem(user.ask("POST", path, json={"start_date": a_day(1), "end_date": a_day(2)}), 422)) == [
        "end_date"
    ]
    assert fields(problem(user.ask("POST", path, json={"days": 3, "dry_run": "yes"}), 422)) == ["days", "dry_run"]
    problem(rest.user().ask("POST", path), 404)
    problem(user.ask("POST", "/campaigns/999999/reaggregate"), 404)


def test_equal_requests_join_and_overlapping_ones_are_refused(user: User) -> None:
    campaign = user.campaign()["id"]
    path = f"/campaigns/{campaign}/reaggregate"
    first = user.ask("POST", path, json={"start_date": a_day(9), "end_date": a_day(5), "reason": "one"})
    assert (first.status_code, first.json()["status"]) == (202, "queued")
    assert first.headers["location"] == f"/api/v1/jobs/{first.json()['job_id']}"
    same = user.ask("POST", path, json={"start_date": a_day(9), "end_date": a_day(5), "reason": "another"})
    assert same.json()["job_id"] == first.json()["job_id"]
    refused = problem(user.ask("POST", path, json={"start_date": a_day(5)}), 409, "job_in_the_way")
    assert f"job {first.json()['job_id']} " in refused["detail"]
    assert user.ask("POST", path, json={"start_date": a_day(5), "dry_run": True}).status_code == 202
    assert user.ask("POST", path, json={"start_date": a_day(4)}).status_code == 202
    assert user.ask("POST", f"/jobs/{first.json()['job_id']}/cancel").json()["status"] == "cancelled"
    assert user.ask("POST", path, json={"start_date": a_day(9), "end_date": a_day(5)}).status_code == 202


def test_a_cancelled_request_changes_nothing(rest: Rest, user: User) -> None:
    campaign = user.campaign()["id"]
    spoil(rest.app.analytics, campaign, a_day(1), impressions=5)
    job = user.ask("POST", f"/campaigns/{campaign}/reaggregate").json()["job_id"]
    assert user.ask("POST", f"/jobs/{job}/cancel").json()["status"] == "cancelled"
    with working(rest.app):
        other = reaggregate(user, campaign, dry_run=True)
    assert other["result"]["drift_rows"] == 1


@pytest.mark.usefixtures("worker")
def test_readers_see_old_sums_or_right_ones_while_events_arrive(rest: Rest, user: User) -> None:
    """Ten rounds of wrong sums in four months, each made right, under a writer and a reader."""
    campaign = user.campaign()["id"]
    counted = send(user, campaign, 300, days=80)["impressions"]
    sent, seen, stop = [0], [], threading.Event()

    def write() -> None:
        number = 100
        while not stop.is_set():
            number += 1
            sent[0] += send(user, campaign, 50, seed=number, days=80)["impressions"]

    def read() -> None:
        while not stop.is_set():
            seen.append(totals(user, campaign)["impressions"])

    threads = [threading.Thread(target=write), threading.Thread(target=read)]
    for thread in threads:
        thread.start()
    wrong = 10**9
    try:
        for number in range(10):
            for days_ago in (3, 33, 63):  # the store drops an insert that equals an earlier one
                spoil(rest.app.analytics, campaign, a_day(days_ago), impressions=wrong + number)
            rest.app.metadata.bump_data_versions([campaign])
            assert reaggregate(user, campaign)["result"]["difference"]["impressions"] == -3 * (wrong + number)
            eventually(lambda: seen[-1] < wrong, "the reader to see the correction before the next wrong sums")
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert totals(user, campaign)["impressions"] == counted + sent[0]
    levels = [value // wrong for value in seen]
    assert set(levels) <= {0, 1, 2, 3}  # the spoiling itself is three inserts
    assert all(after == 0 for before, after in pairwise(levels) if after < before), "a correction is one step"
    assert len(seen) > 20


@contextmanager
def live(rest: Rest) -> Iterator[str]:
    with working(rest.app), running(rest.app) as (url, _):
        yield url


def test_the_command_line_checks_and_repairs(
    rest: Rest, user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from campaignctl.cli.app import run

    campaign = user.campaign()["id"]
    monkeypatch.setenv("CA_TOKEN", str(user.tokens["access_token"]))
    with live(rest) as url:
        sums = send(user, campaign, 100)
        spoil(rest.app.analytics, campaign, a_day(3), impressions=1_000)

        def cli(*arguments: str) -> int:
            return run(["--api", url, "reaggregate", *arguments])

        assert cli("--campaign", str(campaign), "--check") == 1
        assert f"campaign {campaign} differ" in capsys.readouterr().err
        assert cli("--all", "--check", "-o", "json") == 1
        assert cli("--campaign", str(campaign), "--wait", "--reason", "drift") == 0
        assert "-1,000" in capsys.readouterr().out
        assert cli("--campaign", str(campaign), "--check") == 0
        assert cli("--all", "--wait") == 0
        assert cli() == 2
        assert cli("--campaign", str(campaign), "--start-date", "2020-01-01") == 2
    assert totals(user, campaign) == sums
