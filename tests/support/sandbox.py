"""The sandbox's platforms under a client: no socket, and one clock that both of them take for the time."""

import asyncio
import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from typing import Any

import httpx2
from starlette.types import ASGIApp, Message

from campaignctl.adapters.ad_platforms.client import Surroundings
from campaignctl.adapters.ad_platforms.google import GoogleAds
from campaignctl.adapters.ad_platforms.linkedin import LinkedInAds
from campaignctl.adapters.ad_platforms.meta import MetaAds
from campaignctl.adapters.ad_platforms.tiktok import TikTokAds
from campaignctl.cli.in_process import http_scope
from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.errors import PlatformThrottled
from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform, ReportPage, ReportRequest
from campaignctl.sandbox.deliveries import World, days_between
from campaignctl.sandbox.faults import chosen
from campaignctl.sandbox.natives import GROUP, SandboxAccount, accounts, natives_in
from campaignctl.sandbox.platforms.desk import Limits
from campaignctl.sandbox.platforms.request_log import LoggedRequest
from campaignctl.sandbox.reported import Figures, by_region
from campaignctl.sandbox.server import Sandbox, base_urls
from tests.fakes.clock import ManualClock

URL = "http://127.0.0.1:1"
FIRST_DAY = date(2026, 10, 1)


@cache
def _world(seed: int) -> World:
    return World(seed, FIRST_DAY)


class SandboxTransport(httpx2.BaseTransport):
    """Runs the application for each request, and breaks off where it does."""

    def __init__(self, app: ASGIApp, clock: ManualClock) -> None:
        self._app = app
        self._clock = clock
        self._loop = asyncio.new_event_loop()

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        began_s = self._clock.monotonic_s()
        body = request.read()
        status, headers, chunks = self._loop.run_until_complete(self._answered(request, body))
        if self._clock.monotonic_s() - began_s > request.extensions["timeout"]["read"]:
            raise httpx2.ReadTimeout("too late")
        return httpx2.Response(status, headers=headers, stream=_Stream(headers, chunks))

    def close(self) -> None:
        self._loop.close()

    async def _answered(self, request: httpx2.Request, body: bytes) -> tuple[int, dict[str, str], list[bytes]]:
        sent: list[Message] = []

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            sent.append(message)

        await self._app(http_scope(request), receive, send)
        headers = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], headers, [message.get("body", b"") for message in sent[1:]]


class _Stream(httpx2.SyncByteStream):
    def __init__(self, headers: Mapping[str, str], chunks: list[bytes]) -> None:
        self._chunks = chunks
        self._missing = int(headers.get("content-length", "0")) - sum(map(len, chunks))

    def __iter__(self) -> Iterator[bytes]:
        yield from self._chunks
        if self._missing > 0:
            raise httpx2.ReadError("the connection was closed")


@dataclass
class Stage:
    """A sandbox with clients of one platform's accounts."""

    platform: str
    faults: Iterable[str] = ()
    limits: Limits = field(default_factory=Limits)
    seed: int = 7
    between: Callable[[httpx2.BaseTransport], httpx2.BaseTransport] = lambda transport: transport
    """Stands between clients and the sandbox."""
    kept: list[AccountAccess] = field(default_factory=list)
    """Credentials that were replaced."""

    def __post_init__(self) -> None:
        self.clock = ManualClock()

        async def pause(seconds: float) -> None:
            self.clock.advance(seconds)

        self.sandbox = Sandbox(
            _world(self.seed), self.clock, faults=chosen(self.faults), limits=self.limits, pause=pause
        )
        self._app = self.sandbox.application()
        self.account = next(one for one in accounts() if (one.platform, one.currency) == (self.platform, "USD"))

    def client(self) -> AdPlatform:
        transport = self.between(SandboxTransport(self._app, self.clock))
        around = Surroundings(
            clock=self.clock,
            dice=random.Random(7),
            transport=transport,
            on_credentials=lambda access, _instead_of: self.kept.append(access),
            pace_s=0.13,
        )
        urls = {name.partition(".")[2]: url for name, url in base_urls(URL).items() if name.startswith(self.platform)}
        kind, version = {
            "meta": (MetaAds, "v25.0"),
            "google": (GoogleAds, "v25"),
            "linkedin": (LinkedInAds, "202601"),
            "tiktok": (TikTokAds, "v1.3"),
        }[self.platform]
        build: Any = kind
        made: AdPlatform = build(api_version=version, around=around, **urls)
        return made

    def access(self, account: SandboxAccount | None = None) -> AccountAccess:
        one = account or self.account
        credentials = self.kept[-1].credentials if self.kept else one.credentials()
        return AccountAccess(one.platform, one.account_id, credentials)

    def fetched(self, first: date, last: date, breakdown: Breakdown, level: str = "") -> list[ReportRow]:
        """Every row of a request, as a fetch stores them: windows one after the other, each resumed at every page."""
        level = level or (GROUP if self.platform == "linkedin" else LinkLevel.CAMPAIGN)
        request = ReportRequest(level, breakdown, first, last, None)
        with closing(self.client()) as client:
            windows = client.windows(self.access(), request)
            return [row for window in windows for row in self.window(client, window)]

    def window(self, client: AdPlatform, window: ReportRequest) -> list[ReportRow]:
        """A window's rows; where the platform asks for a wait, it is kept, and the window resumed behind its last page."""
        kept: list[ReportPage] = []
        while not kept or kept[-1].resume is not None:
            try:
                for page in client.pages(self.access(), window, kept[-1].resume if kept else None):
                    kept = [page] if page.afresh else [*kept, page]
            except PlatformThrottled as error:
                assert error.retry_after_s < 1_800
                self.clock.advance(error.retry_after_s)
        return [row for rows in client.read(self.access(), window, [page.raw for page in kept]) for row in rows]

    def expected(self, first: date, last: date, breakdown: Breakdown, level: str = "") -> dict[Any, Figures]:
        """The truth at this moment by native campaign, day and region."""
        level = level or (GROUP if self.platform == "linkedin" else LinkLevel.CAMPAIGN)
        now, reported = self.sandbox.clock.now(), self.sandbox.reported
        found: dict[Any, Figures] = {}
        for native in natives_in(self.account, level):
            for day in days_between(first, last):
                if breakdown is Breakdown.COUNTRY:
                    rows = by_region(reported.countries(native, day, now))
                    found |= {(native.native_id, day, region): row for region, row in rows.items()}
                elif (total := reported.total(native, day, now)) is not None:
                    found[native.native_id, day, ""] = total
        return found

    def asked(self, kind: str = "") -> list[LoggedRequest]:
        return self.sandbox.log.entries(self.platform, kind)

    @property
    def struck(self) -> set[str]:
        return {one.fault for one in self.asked()} - {""}


def figures(rows: Iterable[ReportRow]) -> dict[Any, Figures]:
    """Rows that have native campaign, day and region in common add up."""
    found: dict[Any, Figures] = {}
    for row in rows:
        key = row.native_id, row.day, row.region
        one = Figures(
            row.impressions or 0,
            row.clicks or 0,
            row.conversions_millionths or 0,
            row.spend_micros or 0,
            row.revenue_micros,
        )
        found[key] = found[key].plus(one) if key in found else one
    return found
