"""Platforms written by hand: a transport that answers from a script and remembers what it was asked."""

import json
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs

import httpx2

from campaignctl.adapters.ad_platforms.client import Surroundings
from campaignctl.adapters.ad_platforms.http import HttpLimits
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform, KeepCredentials, ReportPage, ReportRequest
from tests.fakes.clock import ManualClock

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TOKEN = "tOkEn-0123456789-canary"
Reply = httpx2.Response | Exception
Handler = Callable[[httpx2.Request], Reply]


def reply(payload: object, status: int = 200, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    return httpx2.Response(status, headers=headers, content=json.dumps(payload).encode())


class Platform(httpx2.BaseTransport):
    """Answers each request by the next of ``script``, or by ``handler``; ``asked`` holds the requests."""

    def __init__(self, clock: ManualClock, script: Iterable[Reply] = (), handler: Handler | None = None) -> None:
        self.clock = clock
        self.script = list(script)
        self.handler = handler
        self.asked: list[httpx2.Request] = []
        self.asked_at_s: list[float] = []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request.read()
        self.asked.append(request)
        self.asked_at_s.append(self.clock.monotonic_s())
        if self.handler is not None:
            answer = self.handler(request)
        else:
            assert self.script, f"an unexpected request: {request.method} {request.url}"
            answer = self.script.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def gaps_s(self) -> list[float]:
        """The waits between consecutive requests."""
        return [later - earlier for earlier, later in zip(self.asked_at_s, self.asked_at_s[1:], strict=False)]


def around(
    clock: ManualClock,
    platform: Platform,
    *,
    limits: HttpLimits | None = None,
    on_credentials: KeepCredentials | None = None,
) -> Surroundings:
    return Surroundings(
        clock=clock,
        dice=random.Random(7),
        limits=limits or HttpLimits(),
        transport=platform,
        on_credentials=on_credentials,
        pace_s=0.0,
    )


def window(
    first: str = "2026-11-01",
    last: str = "2026-11-07",
    *,
    breakdown: Breakdown = Breakdown.TOTAL,
    level: str = "campaign",
    native_ids: tuple[str, ...] | None = None,
) -> ReportRequest:
    return ReportRequest(level, breakdown, date.fromisoformat(first), date.fromisoformat(last), native_ids)


def row(native_id: str, day: str, region: str = "", **figures: int | None) -> ReportRow:
    """A row; figures that are not given are 0."""
    names = ("impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros")
    return ReportRow(native_id, date.fromisoformat(day), region, **{name: figures.get(name, 0) for name in names})  # type: ignore[arg-type]


def rows_of(pages: Iterable[ReportPage]) -> list[ReportRow]:
    """What a window says in the end: the pages since the last one that began it afresh."""
    rows: list[ReportRow] = []
    for page in pages:
        if page.afresh:
            rows.clear()
        rows.extend(page.rows)
    return rows


def all_rows(client: AdPlatform, access: AccountAccess, asked: ReportRequest) -> list[ReportRow]:
    return rows_of(client.pages(access, asked, None))


def query(request: httpx2.Request) -> dict[str, str]:
    """The parameters of a request's address, each once."""
    found = parse_qs(request.url.query.decode(), keep_blank_values=True, strict_parsing=bool(request.url.query))
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}


def form(request: httpx2.Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(request.content.decode()).items()}


def body(request: httpx2.Request) -> Any:
    return json.loads(request.content)
