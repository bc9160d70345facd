"""Two processes speak for one account whose refresh token is replaced with every renewal: neither ends the other."""

from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from random import Random

import httpx2
import pytest
from prometheus_client import CollectorRegistry
from starlette.types import ASGIApp

from campaignctl.adapters.ad_platforms.client import Surroundings
from campaignctl.adapters.ad_platforms.linkedin import LinkedInAds
from campaignctl.bootstrap import App
from campaignctl.domain.accounts import AccountDraft, PlatformAccount
from campaignctl.domain.jobs import JobKind, JobStatus
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.faults import chosen
from campaignctl.sandbox.natives import accounts
from campaignctl.sandbox.server import Sandbox, base_urls
from campaignctl.services.accounts import AccountService, AccountState
from campaignctl.services.credentials import CredentialVault
from tests.e2e.rest import with_worker
from tests.fakes.clock import ManualClock
from tests.support.fetch_jobs import fetch_handler
from tests.support.sandbox import FIRST_DAY, URL, SandboxTransport
from tests.support.waiting import eventually
from worker.jobs import JobMetrics, JobRunner

KEY = "a key " + "z3" * 20
OPERATOR = Actor.machine_operator()
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 5)
_WITHIN_S = 300.0
_FETCHES = 3
_ENDED = {"status": 401, "serviceErrorCode": 65602, "code": "EXPIRED_ACCESS_TOKEN", "message": "ended"}


class Wire(httpx2.BaseTransport):
    """LinkedIn; ``before`` is called with each request before it is sent, and may answer in LinkedIn's place."""

    def __init__(self, platform: ASGIApp) -> None:
        self._wire = SandboxTransport(platform, ManualClock())
        self.before: Callable[[httpx2.Request], httpx2.Response | None] = lambda _: None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        return self.before(request) or self._wire.handle_request(request)

    def close(self) -> None:
        self._wire.close()


class Process:
    """What a process has of its own: a client, with its tokens in memory. The stores are everybody's."""

    def __init__(self, app: App, platform: ASGIApp) -> None:
        self.wire = Wire(platform)
        self.clock = ManualClock()
        self.client = LinkedInAds(
            base_url=base_urls(URL)["linkedin.base_url"],
            token_url=base_urls(URL)["linkedin.token_url"],
            api_version="202601",
            around=Surroundings(
                clock=self.clock,
                dice=Random(7),
                transport=self.wire,
                on_credentials=lambda access, instead_of: self.accounts.keep_credentials(access, instead_of),
                stored_credentials=lambda access: self.accounts.stored_credentials(access),
                pace_s=0.0,
            ),
        )
        self.platforms = {Platform.LINKEDIN: self.client}
        self.accounts = AccountService(app.metadata, CredentialVault([KEY]), self.platforms, app.clock)

    def verified(self, account: PlatformAccount) -> AccountState:
        return self.accounts.verify(account.id, OPERATOR).state


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with with_worker(tmp_path) as app:
        yield app


@pytest.fixture
def platform() -> Sandbox:
    return Sandbox(World(7, FIRST_DAY), ManualClock(), faults=chosen(["linkedin-token-rotates"]))


def _connected(process: Process) -> PlatformAccount:
    theirs = next(one for one in accounts() if one.platform == "linkedin")
    draft = AccountDraft(Platform.LINKEDIN, theirs.account_id, theirs.name, credentials=theirs.credentials())
    return process.accounts.add(draft, OPERATOR)


def test_accounts_are_verified_while_one_is_fetched(app: App, platform: Sandbox) -> None:
    application = platform.application()
    fetching = Process(app, application)
    account = _connected(fetching)
    seen: list[AccountState] = []
    ending: list[str] = []

    def before(request: httpx2.Request) -> httpx2.Response | None:
        """Once a fetch somebody runs ``accounts verify``, and the fetch's own access token ends."""
        if not ending or not request.url.path.endswith("/adAnalytics"):
            return None
        ending.clear()
        somebody = Process(app, application)
        seen.append(somebody.verified(account))
        somebody.client.close()
        return httpx2.Response(401, json=_ENDED)

    fetching.wire.before = before
    handlers = {JobKind.FETCH: fetch_handler(app, fetching.platforms, fetching.accounts.access)}
    jobs = JobRunner(app.metadata, handlers, app.clock, JobMetrics(CollectorRegistry())).start()
    try:
        for _ in range(_FETCHES):
            ending[:] = ["the next report"]
            job = app.fetching.submit_account(account, FIRST, LAST)
            eventually(lambda of=job.id: _status(app, of).is_final, "the fetch to end", within_s=_WITHIN_S)
            assert _status(app, job.id) is JobStatus.SUCCEEDED
    finally:
        assert jobs.stop(_WITHIN_S)
        fetching.client.close()
    assert seen == [AccountState.OK] * _FETCHES
    refused = [one for one in platform.log.entries("linkedin", "token") if one.status == 400]
    assert len(refused) == _FETCHES  # each time the fetch came with what somebody had replaced, once


def test_who_comes_between_the_answer_and_the_store_waits_a_moment(app: App, platform: Sandbox) -> None:
    application = platform.application()
    one, other = Process(app, application), Process(app, application)
    account = _connected(one)
    keep, kept = one.accounts.keep_credentials, list[tuple[object, ...]]()
    one.accounts.keep_credentials = lambda *told: kept.append(told)  # type: ignore[method-assign]
    assert one.verified(account) is AccountState.OK
    (answered,) = kept  # and on its way to the store
    slept = other.clock.sleep

    def sleep(seconds: float) -> None:
        keep(*answered)  # type: ignore[arg-type]
        slept(seconds)

    other.clock.sleep = sleep  # type: ignore[method-assign]
    assert other.verified(account) is AccountState.OK
    one.client.close()
    other.client.close()


def test_a_refresh_token_that_nobody_has_replaced_has_ended(app: App, platform: Sandbox) -> None:
    process = Process(app, platform.application())
    account = _connected(process)
    process.wire.before = lambda request: (
        httpx2.Response(400, json={"error": "invalid_grant"}) if request.url.path.endswith("/accessToken") else None
    )
    assert process.verified(account) is AccountState.EXPIRED
    process.client.close()


def _status(app: App, job_id: int) -> JobStatus:
    job = app.metadata.job(job_id)
    assert job is not None
    return job.status
