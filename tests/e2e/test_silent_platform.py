"""A platform that does not answer delays no other: their reports are stored, and the job says so, while it is asked."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from datetime import date
from typing import Any

import httpx2
import pytest

from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown
from campaignctl.sandbox.natives import accounts, campaign_body, claimed_by
from campaignctl.sandbox.world import CAMPAIGNS
from tests.e2e.rest import Rest, User, rest_over
from tests.support.fetch_jobs import fetching
from tests.support.sandbox import FIRST_DAY, Stage
from tests.support.waiting import eventually

SPRING = CAMPAIGNS[0]
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 5)
DAYS = {"start_date": FIRST.isoformat(), "end_date": LAST.isoformat()}
_WITHIN_S = 300.0
_SILENT = 3
"""More than may be under way at once for one platform."""


class Silence(httpx2.BaseTransport):
    """Takes requests and answers none of them until ``over``."""

    def __init__(self) -> None:
        self.begun, self.over = threading.Event(), threading.Event()
        self._behind: httpx2.BaseTransport | None = None
        self._one_at_a_time = threading.Lock()

    def before(self, transport: httpx2.BaseTransport) -> "Silence":
        self._behind = transport
        return self

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        self.begun.set()
        assert self.over.wait(_WITHIN_S)
        assert self._behind is not None
        with self._one_at_a_time:
            return self._behind.handle_request(request)

    def close(self) -> None:
        if self._behind is not None:
            self._behind.close()


@pytest.fixture(scope="module")
def rest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with rest_over(tmp_path_factory.mktemp("data")) as opened:
        yield opened


@pytest.mark.parametrize("silent", Platform)
def test_the_others_are_done_while_one_does_not_answer(rest: Rest, silent: Platform) -> None:
    silence, admin = Silence(), rest.user()
    stages = {platform: Stage(platform.value) for platform in Platform}
    stages[silent].between = silence.before
    for stage in stages.values():
        assert admin.ask("POST", "/accounts", json=stage.account.body()).status_code == 201
    campaign = admin.campaign(**campaign_body(SPRING, FIRST_DAY))
    others = set(Platform) - {silent}
    with _clients(stages) as clients, fetching(rest.app, clients):
        try:
            job_id = admin.ask("POST", f"/campaigns/{campaign['id']}/fetch-data", json=DAYS).json()["job_id"]
            eventually(
                lambda: _statuses(admin, job_id) == dict.fromkeys(others, "succeeded") | {silent: "running"},
                "the others to succeed",
                within_s=_WITHIN_S,
            )
            assert silence.begun.is_set()
            _agrees(admin, campaign["id"], stages, others)
            assert _statuses(admin, job_id)[silent] == "running"
        finally:
            silence.over.set()
        eventually(lambda: _job(admin, job_id)["finished_at"], "the job's end", within_s=_WITHIN_S)
        assert _job(admin, job_id)["status"] == "succeeded"
        _agrees(admin, campaign["id"], stages, set(Platform))


def test_accounts_that_are_not_answered_take_no_places_from_another_platform(rest: Rest) -> None:
    silence, admin = Silence(), rest.user()
    stages = {platform: Stage(platform.value) for platform in (Platform.META, Platform.GOOGLE)}
    stages[Platform.META].between = silence.before
    silent = [one for one in accounts() if one.platform == Platform.META][:_SILENT]
    connected = []
    for one in (*silent, stages[Platform.GOOGLE].account):
        account = rest.app.metadata.account(admin.ask("POST", "/accounts", json=one.body()).json()["id"])
        assert account is not None
        connected.append(account)
    with _clients(stages) as clients, fetching(rest.app, clients):
        try:
            jobs = [rest.app.fetching.submit_account(one, FIRST, LAST).id for one in connected]
            eventually(lambda: _job(admin, jobs[-1])["status"] == "succeeded", "Google's fetch", within_s=_WITHIN_S)
            assert silence.begun.is_set()
            assert not any(_job(admin, job_id)["finished_at"] for job_id in jobs[:-1])
        finally:
            silence.over.set()
        eventually(
            lambda: all(_job(admin, job_id)["status"] == "succeeded" for job_id in jobs), "all", within_s=_WITHIN_S
        )


def test_fetches_that_wait_for_one_platform_take_no_places_from_campaigns(rest: Rest) -> None:
    silence, admin = Silence(), rest.user()
    stages = {platform: Stage(platform.value) for platform in Platform}
    stages[Platform.META].between = silence.before
    for stage in stages.values():
        assert admin.ask("POST", "/accounts", json=stage.account.body()).status_code == 201
    campaign = admin.campaign(**campaign_body(SPRING, FIRST_DAY))
    others = dict.fromkeys(set(Platform) - {Platform.META}, "succeeded")
    with _clients(stages) as clients, fetching(rest.app, clients):
        try:
            asked = [DAYS | {"start_date": FIRST.replace(day=day).isoformat()} for day in range(1, _SILENT + 1)]
            path = f"/campaigns/{campaign['id']}/fetch-data"
            jobs = [admin.ask("POST", path, json=days).json()["job_id"] for days in asked]
            eventually(
                lambda: all(_statuses(admin, one) == others | {Platform.META: "running"} for one in jobs),
                "the other platforms of every job",
                within_s=_WITHIN_S,
            )
        finally:
            silence.over.set()
        eventually(lambda: all(_job(admin, one)["status"] == "succeeded" for one in jobs), "all", within_s=_WITHIN_S)


@contextmanager
def _clients(stages: dict[Platform, Stage]) -> Iterator[dict[Platform, Any]]:
    with ExitStack() as stack:
        yield {platform: stack.enter_context(closing(stage.client())) for platform, stage in stages.items()}


def _job(admin: User, job_id: int) -> dict[str, Any]:
    answer = admin.ask("GET", f"/jobs/{job_id}")
    assert answer.status_code == 200, answer.text
    job: dict[str, Any] = answer.json()
    return job


def _statuses(admin: User, job_id: int) -> dict[str, str]:
    job = _job(admin, job_id)
    platforms = (job["result"] or {}).get("platforms", {})
    if job["finished_at"] is None:
        assert job["progress"]["done"] <= (job["progress"]["total"] or 10**9)
    return {name: one["status"] for name, one in platforms.items()}


def _agrees(admin: User, campaign_id: int, stages: dict[Platform, Stage], platforms: set[Platform]) -> None:
    """What is reported of these platforms is what is true, and nothing is reported of others."""
    params = {**DAYS, "granularity": "total", "group_by": "platform", "source": "report"}
    answer = admin.ask("GET", f"/campaigns/{campaign_id}/insights", params=params)
    assert answer.status_code == 200, answer.text
    told = {row["platform"]: (row["impressions"], round(row["spend"] * 1_000_000)) for row in answer.json()["rows"]}
    expected = {}
    for native in claimed_by(SPRING):
        truth = stages[Platform(native.account.platform)].expected(FIRST, LAST, Breakdown.TOTAL, native.level)
        days = [one for (of, _, _), one in truth.items() if of == native.native_id]
        expected[native.account.platform] = sum(d.impressions for d in days), sum(d.spend_micros for d in days)
    assert told == {platform.value: expected[platform.value] for platform in platforms}
