"""The key of the credentials is changed while fetches run: none fails, no token is lost, the old key opens nothing."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
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
from campaignctl.ports.ad_platforms import AccountAccess
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.faults import chosen
from campaignctl.sandbox.natives import SandboxAccount, accounts
from campaignctl.sandbox.server import Sandbox, base_urls
from campaignctl.services.accounts import AccountService, SealedAnew
from campaignctl.services.credentials import CredentialVault, UnreadableCredentials
from tests.e2e.rest import with_worker
from tests.fakes.clock import ManualClock
from tests.support.fetch_jobs import fetch_handler
from tests.support.sandbox import FIRST_DAY, URL, SandboxTransport
from tests.support.waiting import eventually
from worker.jobs import JobMetrics, JobRunner

OLD, NEW = "the old key " + "x1" * 20, "the new key " + "y2" * 20
FIRST, LAST = date(2026, 11, 1), date(2026, 11, 5)
_WITHIN_S = 300.0


class Forgetful(httpx2.BaseTransport):
    """LinkedIn, which takes every second report's access token for one that has ended."""

    def __init__(self, wire: SandboxTransport) -> None:
        self._wire = wire
        self._reports = 0

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        if request.url.path.endswith("/adAnalytics"):
            self._reports += 1
            if self._reports % 2 == 0:
                refusal = {"status": 401, "serviceErrorCode": 65602, "code": "EXPIRED_ACCESS_TOKEN", "message": "ended"}
                return httpx2.Response(401, json=refusal)
        return self._wire.handle_request(request)

    def close(self) -> None:
        self._wire.close()


class Process:
    """What a worker process knows: a ring of keys, and tokens in the memory of its own client."""

    def __init__(self, app: App, platform: ASGIApp, *ring: str) -> None:
        # A clock of its own: the time that one process waits is not over for the other.
        wire = Forgetful(SandboxTransport(platform, ManualClock()))
        self._client = LinkedInAds(
            base_url=base_urls(URL)["linkedin.base_url"],
            token_url=base_urls(URL)["linkedin.token_url"],
            api_version="202601",
            around=Surroundings(
                clock=ManualClock(),
                dice=Random(7),
                transport=wire,
                on_credentials=self._keep,
                pace_s=0.0,
            ),
        )
        platforms = {Platform.LINKEDIN: self._client}
        self.accounts = AccountService(app.metadata, CredentialVault(ring), platforms, app.clock)
        handlers = {JobKind.FETCH: fetch_handler(app, platforms, self.accounts.access)}
        self._jobs = JobRunner(app.metadata, handlers, app.clock, JobMetrics(CollectorRegistry()), per_lane=1).start()

    def _keep(self, access: AccountAccess, instead_of: str) -> None:
        self.accounts.keep_credentials(access, instead_of)

    def stop(self) -> None:
        assert self._jobs.stop(_WITHIN_S)
        self._client.close()


@dataclass
class Load:
    """Asks for one fetch of each account after the other, until it is told to stop; remembers how each ended."""

    app: App
    accounts: list[PlatformAccount]
    ended: list[tuple[int, str]] = field(default_factory=list)
    _stopping: threading.Event = field(default_factory=threading.Event)

    @contextmanager
    def running(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._ask, args=(one,), name=f"load {one.id}") for one in self.accounts]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stop_asking()
            for thread in threads:
                thread.join(_WITHIN_S)
            assert not any(thread.is_alive() for thread in threads)

    def stop_asking(self) -> None:
        self._stopping.set()

    def goes_on(self) -> None:
        """Wait until every account was fetched from beginning to end again."""
        before = len(self.ended)
        wanted = {one.id for one in self.accounts}
        eventually(
            # Of an account's fetches behind this point the first may have begun before it.
            lambda: all([of for of, _ in self.ended[before:]].count(one) >= 2 for one in wanted),
            "two fetches of every account",
            within_s=_WITHIN_S,
        )

    def _ask(self, account: PlatformAccount) -> None:
        while not self._stopping.is_set():
            job = self.app.fetching.submit_account(account, FIRST, LAST)
            eventually(partial(self._is_final, job.id), f"job {job.id}", within_s=_WITHIN_S)
            self.ended.append((account.id, self._status(job.id).value))

    def _is_final(self, job_id: int) -> bool:
        return self._status(job_id).is_final

    def _status(self, job_id: int) -> JobStatus:
        job = self.app.metadata.job(job_id)
        assert job is not None
        return job.status


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with with_worker(tmp_path) as app:
        yield app


def test_the_key_changes_while_fetches_run(app: App) -> None:
    sandbox = Sandbox(World(7, FIRST_DAY), ManualClock(), faults=chosen(["linkedin-token-rotates"]))
    platform = sandbox.application()
    processes = [Process(app, platform, OLD), Process(app, platform, OLD)]
    idle = _connected(processes[0].accounts, next(one for one in accounts() if one.platform == "meta"))
    load = Load(app, [_connected(processes[0].accounts, one) for one in _theirs()])
    operator = AccountService(app.metadata, CredentialVault([NEW, OLD]), {}, app.clock)
    try:
        with load.running():
            load.goes_on()
            _restart_one_by_one(processes, app, platform, (OLD, NEW), load)
            with _sealing_anew(operator):  # also while one of the processes still seals with the old key
                _restart_one_by_one(processes, app, platform, (NEW, OLD), load)
            while operator.seal_anew().count:
                pass
            assert operator.seal_anew() == SealedAnew(0, ())
            _restart_one_by_one(processes, app, platform, (NEW,), load)
    finally:
        for one in processes:
            one.stop()
    assert {status for _, status in load.ended} == {"succeeded"}
    assert len(sandbox.log.entries("linkedin", "token")) > len(load.ended) // 2  # each of which replaced a token
    for account in [*load.accounts, idle]:
        kept = app.metadata.credentials_of_account(account.id)
        assert kept is not None
        owner = (account.organization_id, account.platform.value, account.key)
        assert CredentialVault([NEW]).open(kept.sealed, owner)
        with pytest.raises(UnreadableCredentials):
            CredentialVault([OLD]).open(kept.sealed, owner)


def _theirs() -> list[SandboxAccount]:
    found = [one for one in accounts() if one.platform == "linkedin"]
    assert len(found) > 1
    return found


def _connected(service: AccountService, account: SandboxAccount) -> PlatformAccount:
    draft = AccountDraft(Platform.LINKEDIN, account.account_id, account.name, credentials=account.credentials())
    return service.add(draft, Actor.machine_operator())


def _restart_one_by_one(
    processes: list[Process], app: App, platform: ASGIApp, ring: tuple[str, ...], load: Load
) -> None:
    """Each with the new ring, while the others work."""
    for number, old in enumerate(processes):
        old.stop()
        processes[number] = Process(app, platform, *ring)
        load.goes_on()


@contextmanager
def _sealing_anew(service: AccountService) -> Iterator[None]:
    """Again and again for the length of the ``with``."""
    stopping = threading.Event()
    found: list[SealedAnew] = []

    def work() -> None:
        while not stopping.is_set():
            found.append(service.seal_anew())

    thread = threading.Thread(target=work, name="sealing anew")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(_WITHIN_S)
        assert not thread.is_alive()
    assert sum(one.count for one in found) >= 1
    assert not any(one.unreadable for one in found)
