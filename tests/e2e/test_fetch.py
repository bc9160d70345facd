"""Fetch jobs over open embedded stores, from the request to the insight, against a platform that says what a test says."""

import dataclasses
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from campaignctl.adapters.clock import SystemClock
from campaignctl.domain.jobs import JobKind
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.errors import PlatformForbidden, PlatformThrottled
from campaignctl.ports.accounts import AccountWatch
from campaignctl.ports.ad_platforms import AccountAccess, ReportRequest
from campaignctl.services.report_windows import window_place
from tests.e2e.rest import Rest, User, fields, problem, rest_over
from tests.fakes.ad_platform import FakePlatform, by_country, total
from tests.support.fetch_jobs import LOOKBACK, fetch_handler, fetching
from tests.support.waiting import eventually
from worker.jobs import JobMetrics, JobRunner
from worker.lifecycle import build_worker
from worker.scheduler import FetchScheduler, Schedule

TODAY = datetime.now(UTC).date()
FIRST, LAST = TODAY - timedelta(days=12), TODAY - timedelta(days=3)
DAYS = {"start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}


class World:
    """The platforms, an organization with its accounts, and a campaign on Meta and Google."""

    def __init__(self, rest: Rest) -> None:
        self.rest = rest
        self.clients = {platform: FakePlatform(SystemClock()) for platform in Platform}
        self.figures: dict[tuple[str, date], int] = {}
        self.countries: dict[tuple[str, date], dict[str, int]] = {}
        for client in self.clients.values():
            client.rows_of = self._rows
        self.admin = rest.user()
        self.accounts = {
            platform: self.connect(platform, account)
            for platform, account in (("meta", "act_77"), ("google", "123-456-7890"))
        }
        links = [
            {"platform": "meta", "account_id": "77", "external_id": "m1"},
            {"platform": "google", "account_id": "1234567890", "external_id": "g1"},
        ]
        for number, link in enumerate(links):
            link["external_id"] += f"-{self.admin.email}-{number}"
        self.natives = [str(link["external_id"]) for link in links]
        self.campaign = self.admin.campaign(platforms=links)

    def connect(self, platform: str, account: str) -> dict[str, Any]:
        credentials = {"access_token": "s3cret-canary", "developer_token": "d"}
        body = {"platform": platform, "account_id": account, "credentials": credentials}
        answer = self.admin.ask("POST", "/accounts", json=body)
        assert answer.status_code == 201, answer.text
        assert "s3cret" not in answer.text
        shown: dict[str, Any] = answer.json()
        return shown

    def _rows(self, access: AccountAccess, window: ReportRequest) -> Sequence[ReportRow]:
        native = self.natives[0] if access.platform == "meta" else self.natives[1]
        days = [window.first + timedelta(days=n) for n in range((window.last - window.first).days + 1)]
        if window.breakdown is Breakdown.COUNTRY:
            return [
                row for day in days for row in by_country(native, day, self.countries.get((access.platform, day), {}))
            ]
        known = [(day, self.figures.get((access.platform, day))) for day in days]
        return [total(native, day, count, spend_micros=count * 1_000_000) for day, count in known if count is not None]

    def fetch(self, **body: Any) -> dict[str, Any]:
        answer = self.admin.ask("POST", f"/campaigns/{self.campaign['id']}/fetch-data", json=DAYS | body)
        assert answer.status_code == 202, answer.text
        assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['job_id']}"
        return self.ended(answer.json()["job_id"])

    def ended(self, job_id: int) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            job: dict[str, Any] = self.admin.ask("GET", f"/jobs/{job_id}").json()
            if job["finished_at"] is not None:
                return job
            time.sleep(0.05)
        raise AssertionError(f"job {job_id} does not end: {job}")

    def insights(self, **params: Any) -> dict[str, Any]:
        asked = DAYS | {"granularity": "total", "group_by": "platform"} | params
        answer = self.admin.ask("GET", f"/campaigns/{self.campaign['id']}/insights", params=asked)
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with rest_over(tmp_path_factory.mktemp("data")) as opened:
        yield opened


def at_work(world: World) -> AbstractContextManager[JobRunner]:
    return fetching(world.rest.app, world.clients)


@pytest.fixture
def world(rest: Rest) -> Iterator[World]:
    made = World(rest)
    with at_work(made):
        yield made


def test_what_is_fetched_is_what_insights_say(world: World) -> None:
    for offset in range(10):
        day = FIRST + timedelta(days=offset)
        world.figures["meta", day] = 100 + offset
        world.figures["google", day] = 1_000
        world.countries["meta", day] = {"US": 60, "DE": 30}
    job = world.fetch()
    assert job["status"] == "succeeded", job
    assert job["progress"] == {"done": 4, "total": 4, "unit": "windows"}
    platforms = job["result"]["platforms"]
    assert {name: one["status"] for name, one in platforms.items()} == {"meta": "succeeded", "google": "succeeded"}
    assert [one["windows"] for one in platforms.values()] == [{"done": 2, "total": 2}] * 2
    assert platforms["meta"]["accounts"][0] | {"account_id": ""} == {
        "account_id": "",
        "windows": 2,
        "rows": 30,
        "slices_changed": 20,
        "error": None,
    }
    rows = {row["platform"]: row for row in world.insights()["rows"]}
    assert (rows["meta"]["impressions"], rows["meta"]["spend"]) == (1_045, 1_045)
    assert (rows["google"]["impressions"], rows["google"]["source"]) == (10_000, "report")
    regions = {row["region"]: row["impressions"] for row in world.insights(platform="meta", group_by="region")["rows"]}
    assert regions == {"US": 600, "DE": 300, "ZZ": 145}


def test_only_what_changed_is_sent_again_and_vanished_rows_are_gone(world: World) -> None:
    world.figures["meta", FIRST], world.figures["meta", LAST] = 10, 20
    assert world.fetch(platforms=["meta"])["result"]["platforms"]["meta"]["accounts"][0]["slices_changed"] == 2
    assert world.fetch(platforms=["meta"])["result"]["platforms"]["meta"]["accounts"][0]["slices_changed"] == 0
    del world.figures["meta", FIRST]
    world.figures["meta", LAST] = 25
    assert world.fetch(platforms=["meta"])["result"]["platforms"]["meta"]["accounts"][0]["slices_changed"] == 2
    assert world.insights()["totals"]["impressions"] == 25


def test_one_platform_that_fails_leaves_the_job_partly_done(world: World) -> None:
    world.figures["google", LAST] = 5

    def refuse(_window: ReportRequest, _page: int) -> None:
        raise PlatformForbidden("meta: ads_read is missing", platform="meta", account_id="77", missing=["ads_read"])

    world.clients[Platform.META].before_page = refuse
    job = world.fetch()
    assert job["status"] == "partial"
    assert job["error"] == {"code": "platform_forbidden", "message": "meta: ads_read is missing"}
    assert {name: one["status"] for name, one in job["result"]["platforms"].items()} == {
        "meta": "failed",
        "google": "succeeded",
    }
    assert world.fetch(platforms=["meta"])["status"] == "failed"
    world.admin.ask("DELETE", f"/accounts/{world.accounts['google']['id']}")
    job = world.fetch(platforms=["google"])
    assert (job["status"], job["error"]["code"]) == ("failed", "account_missing")


def test_nothing_is_called_before_a_platform_allows_it(world: World) -> None:
    world.figures["meta", LAST] = 7
    refused: list[float] = []
    allowed: list[float] = []

    def throttle(_window: ReportRequest, _page: int) -> None:
        if not refused:
            refused.append(time.monotonic())
            raise PlatformThrottled("meta: slow down", platform="meta", account_id="77", retry_after_s=1.5)
        allowed.append(time.monotonic())

    world.clients[Platform.META].before_page = throttle
    assert world.fetch(platforms=["meta"])["status"] == "succeeded"
    assert allowed[0] - refused[0] >= 1.5


def test_a_job_resumes_at_the_page_where_its_process_died(rest: Rest) -> None:
    world = World(rest)
    for offset in range(10):
        world.figures["meta", FIRST + timedelta(days=offset)] = offset + 1
    client = world.clients[Platform.META]
    reached, go_on = threading.Event(), threading.Event()

    def stop_at_third(_window: ReportRequest, page: int) -> None:
        if page == 2 and not go_on.is_set():
            reached.set()
            go_on.wait(60)

    client.before_page = stop_at_third
    answer = world.admin.ask(
        "POST", f"/campaigns/{world.campaign['id']}/fetch-data", json=DAYS | {"platforms": ["meta"]}
    )
    with at_work(world) as jobs:
        assert reached.wait(60)
        jobs.ask_to_stop()
        time.sleep(0.3)
        go_on.set()
    before = [page for window, page in client.calls if window.breakdown is Breakdown.TOTAL]
    client.calls.clear()
    with at_work(world):
        assert world.ended(answer.json()["job_id"])["status"] == "succeeded"
    after = [page for window, page in client.calls if window.breakdown is Breakdown.TOTAL]
    assert before in ([0, 1], [0, 1, 2])
    assert after == [0, 1, 2, 3][len(before) :]
    assert world.insights(platform="meta")["totals"]["impressions"] == 55


def test_windows_are_read_while_earlier_ones_land_and_complete_when_they_have(rest: Rest) -> None:
    world, app = World(rest), rest.app
    first = LAST - timedelta(days=29)
    world.figures |= {("meta", first + timedelta(days=offset)): offset + 1 for offset in range(30)}
    client, account_id = world.clients[Platform.META], world.accounts["meta"]["id"]

    def read() -> list[ReportRequest]:
        return list(dict.fromkeys(window for window, _ in client.calls))

    def complete() -> list[bool]:
        return [app.metadata.completed_since(window_place(account_id, one), created_at) for one in read()]

    created_at = datetime.now(UTC) - timedelta(days=1)
    body = DAYS | {"start_date": first.isoformat(), "platforms": ["meta"]}
    job = world.admin.ask("POST", f"/campaigns/{world.campaign['id']}/fetch-data", json=body).json()
    handlers = {JobKind.FETCH: fetch_handler(app, world.clients)}
    jobs = JobRunner(app.metadata, handlers, app.clock, JobMetrics(CollectorRegistry())).start()
    try:
        eventually(lambda: len(read()) == 4, "three windows to be on their way behind the fourth", within_s=60)
        assert complete() == [False] * 4
        thread = build_worker(app, CollectorRegistry()).run_in_thread()
        try:
            ended = world.ended(job["job_id"])
        finally:
            assert thread.stop(60)
    finally:
        assert jobs.stop(60)
    assert (ended["status"], ended["result"]["platforms"]["meta"]["windows"]) == ("succeeded", {"done": 6, "total": 6})
    assert complete() == [True] * 6
    assert len(client.calls) == 3 * 4 + 3  # no page twice
    whole = world.insights(platform="meta", start_date=first.isoformat())
    assert whole["totals"]["impressions"] == sum(range(1, 31))


def test_equal_requests_join_and_a_thousand_campaigns_cost_one_report(rest: Rest) -> None:
    world = World(rest)
    path = f"/campaigns/{world.campaign['id']}/fetch-data"
    first = world.admin.ask("POST", path, json=DAYS | {"platforms": ["meta"]}).json()
    assert world.admin.ask("POST", path, json=DAYS | {"platforms": ["meta"]}).json()["job_id"] == first["job_id"]
    jobs = [first["job_id"]]
    for number in range(20):
        link = {"platform": "meta", "account_id": "77", "external_id": f"other-{world.admin.email}-{number}"}
        other = world.admin.campaign(platforms=[link])
        jobs.append(world.admin.ask("POST", f"/campaigns/{other['id']}/fetch-data", json=DAYS).json()["job_id"])
    with at_work(world):
        assert {world.ended(job)["status"] for job in jobs} == {"succeeded"}
    assert len(world.clients[Platform.META].calls) == 2  # totals, countries


def test_a_running_fetch_can_be_cancelled(world: World) -> None:
    reached, cancelled = threading.Event(), threading.Event()

    def dawdle(_window: ReportRequest, _page: int) -> None:
        reached.set()
        cancelled.wait(60)
        time.sleep(0.7)

    client = world.clients[Platform.META]
    client.page_rows, client.before_page = 1, dawdle
    for offset in range(10):
        world.figures["meta", FIRST + timedelta(days=offset)] = 1
    path = f"/campaigns/{world.campaign['id']}/fetch-data"
    job = world.admin.ask("POST", path, json=DAYS | {"platforms": ["meta"]}).json()
    assert reached.wait(60)
    world.admin.ask("POST", f"/jobs/{job['job_id']}/cancel")
    cancelled.set()
    ended = world.ended(job["job_id"])
    assert (ended["status"], ended["result"]["platforms"]["meta"]["status"]) == ("cancelled", "cancelled")
    problem(world.admin.ask("POST", f"/jobs/{job['job_id']}/cancel"), 409)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"platforms": ["tiktok"]}, ["platforms"]),
        ({"platforms": ["myspace"]}, ["platforms"]),
        ({"platforms": []}, ["platforms"]),
        ({"start_date": "2026-13-01"}, ["start_date"]),
        ({"start_date": "2026-03-02", "end_date": "2026-03-01"}, ["end_date"]),
        ({"plattforms": ["meta"]}, ["plattforms"]),
    ],
)
def test_a_bad_request_names_the_member(rest: Rest, user: User, body: dict[str, Any], named: list[str]) -> None:
    campaign = rest.client.get("/api/v1/campaigns", headers=user.headers).json()["items"]
    made = (
        campaign[0]
        if campaign
        else user.campaign(platforms=[{"platform": "meta", "account_id": "1", "external_id": "bad-requests"}])
    )
    assert fields(problem(user.ask("POST", f"/campaigns/{made['id']}/fetch-data", json=body), 422)) == named


def test_the_schedule_asks_for_each_account_once(rest: Rest) -> None:
    world, app = World(rest), rest.app
    schedule = Schedule(timedelta(minutes=30), LOOKBACK, timedelta(days=35))
    seen: list[Sequence[AccountWatch]] = []
    scheduler = FetchScheduler(app.metadata, app.fetching, schedule, app.clock, saw=seen.append)
    asked = scheduler.turn()
    assert asked >= 4  # two accounts at least, their whole window and their newest days
    assert scheduler.turn() == 0
    doing = {one.account_id: one for one in seen[-1]}
    for account in world.accounts.values():
        assert (doing[account["id"]].is_claimed, doing[account["id"]].fetched_at) == (True, None)
    mine = world.admin.ask("GET", "/jobs?kind=fetch").json()["items"]
    assert sorted(job["params"]["platforms"][0] for job in mine) == ["google", "google", "meta", "meta"]
    for job in mine:
        world.admin.ask("POST", f"/jobs/{job['job_id']}/cancel")


# Accounts


def test_accounts_are_kept_without_ever_showing_a_credential(world: World, stranger: User) -> None:
    admin, account = world.admin, world.accounts["meta"]
    path = f"/accounts/{account['id']}"
    again = {"platform": "meta", "account_id": "77", "credentials": {"access_token": "x"}}
    problem(admin.ask("POST", "/accounts", json=again), 409, "account_taken")
    changed = admin.ask("PUT", path, json={"platform": "meta", "account_id": "act_77", "name": "New"}).json()
    assert (changed["name"], changed["credentials"]["set"]) == ("New", True)
    other = {"platform": "meta", "account_id": "78"}
    assert fields(problem(admin.ask("PUT", path, json=other), 422)) == ["account_id"]
    listed = admin.ask("GET", "/accounts")
    assert [item["id"] for item in listed.json()["items"]] == [one["id"] for one in world.accounts.values()]
    assert "s3cret" not in listed.text
    for method in ("GET", "DELETE"):
        problem(stranger.ask(method, path), 404)


def test_verify_says_what_the_platform_says(world: World) -> None:
    client, path = world.rest.app.accounts, f"/accounts/{world.accounts['meta']['id']}"
    client._platforms = world.clients  # type: ignore[assignment]  the service asks the platforms of this world
    ends = datetime(2027, 1, 1, tzinfo=UTC)
    facts = world.clients[Platform.META].facts
    world.clients[Platform.META].facts = dataclasses.replace(facts, expires_at=ends, timezone="Asia/Kolkata")
    found = world.admin.ask("POST", path + "/verify").json()
    assert (found["status"], found["account"]["timezone"]) == ("ok", "Asia/Kolkata")
    assert found["account"]["credentials"]["expires_at"] == "2027-01-01T00:00:00Z"
    world.clients[Platform.META].facts = dataclasses.replace(facts, missing_permissions=("ads_read",))
    found = world.admin.ask("POST", path + "/verify").json()
    assert (found["status"], found["missing_permissions"]) == ("forbidden", ["ads_read"])


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["platform", "account_id"]),
        ({"platform": "meta", "account_id": 77}, ["account_id"]),
        ({"platform": "meta", "account_id": "1", "credentials": {"token": "x"}}, ["credentials.token"]),
        ({"platform": "google", "account_id": "1", "credentials": {"refresh_token": "x"}}, ["credentials"]),
        ({"platform": "meta", "account_id": "1", "timezone": "Mars/Base"}, ["timezone"]),
        ({"platform": "meta", "account_id": "1", "currency": "ABC"}, ["currency"]),
    ],
)
def test_a_bad_account_names_the_member(user: User, body: dict[str, Any], named: list[str]) -> None:
    answer = user.ask("POST", "/accounts", json=body)
    assert sorted(fields(problem(answer, 422))) == sorted(named)


def test_credentials_are_sealed_at_rest(world: World) -> None:
    database = world.rest.app.settings.data_dir / "metadata.sqlite"
    world.rest.app.metadata.credentials_of_account(world.accounts["meta"]["id"])
    stored = database.read_bytes() + (database.with_name("metadata.sqlite-wal").read_bytes())
    assert b"s3cret-canary" not in stored
