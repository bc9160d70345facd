"""Reports: from a platform's answers into the log, without a network and without anything of a platform but its format.

Pages in the real formats come from a transport that takes no time. The real client reads them, they are kept, read once
more as a fetch does, compared with what stands, and produced into the embedded log. Each platform in a process of its own.
"""

import json
import random
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import httpx2

from campaignctl.adapters.ad_platforms.client import Surroundings
from campaignctl.adapters.ad_platforms.google import GoogleAds
from campaignctl.adapters.ad_platforms.linkedin import LinkedInAds
from campaignctl.adapters.ad_platforms.meta import MetaAds
from campaignctl.adapters.ad_platforms.tiktok import TikTokAds
from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.accounts import AccountDraft
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, ReportedAccount
from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform, ReportRequest, Unwatched
from campaignctl.ports.event_log import TopicSpec
from campaignctl.services.report_windows import FetchedAccount, WindowFetcher
from campaignctl.services.schema import SchemaService
from tests.bench.usage import Usage
from worker.lifecycle import collect_rarely

BASE: Final = "https://platform.example"
TOPIC: Final = "campaign-events"
FIRST: Final = date(2026, 11, 1)
PAGE_ROWS: Final = {"meta": 500, "google": 10_000, "linkedin": 15_000, "tiktok": 1_000}
"""As the platform gives them: Google and LinkedIn give a window at once."""
_CREDENTIALS: Final = {
    "access_token": "bench-token",
    "refresh_token": "bench-refresh",
    "client_id": "bench",
    "client_secret": "bench-secret",
    "developer_token": "bench-developer",
}
_KINDS: Final[Mapping[str, tuple[Any, str]]] = {
    "meta": (MetaAds, "v25.0"),
    "google": (GoogleAds, "v25"),
    "linkedin": (LinkedInAds, "202601"),
    "tiktok": (TikTokAds, "v1.3"),
}
_TOKEN = json.dumps({"access_token": "bench-token-2", "expires_in": 3_600}).encode()


class Canned(httpx2.BaseTransport):
    """Gives a window's answers, made before the clock runs."""

    def __init__(self, answers: list[bytes], place: Callable[[httpx2.Request], int]) -> None:
        self._answers = answers
        self._place = place

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        if b"grant_type" in body:
            return httpx2.Response(200, stream=httpx2.ByteStream(_TOKEN))
        return httpx2.Response(200, stream=httpx2.ByteStream(self._answers[self._place(request)]))


def _query(request: httpx2.Request) -> dict[str, list[str]]:
    return parse_qs(request.url.query.decode())


def _cells(campaigns: int, days: int) -> Iterator[tuple[int, str, tuple[int, int, int]]]:
    dice = random.Random(1)
    for day in range(days):
        text = (FIRST + timedelta(days=day)).isoformat()
        for campaign in range(campaigns):
            yield campaign, text, (dice.randrange(100_000), dice.randrange(5_000), dice.randrange(90_000_000))


def _meta_row(campaign: int, day: str, figures: tuple[int, int, int]) -> dict[str, Any]:
    impressions, clicks, micros = figures
    sold = str(clicks % 7)
    return {
        "account_id": "77",
        "account_currency": "USD",
        "campaign_id": str(120_330_000_000_000_000 + campaign),
        "campaign_name": f"Campaign {campaign}",
        "impressions": str(impressions),
        "clicks": str(clicks),
        "spend": f"{micros / 1e6:.2f}",
        "actions": [
            {"action_type": "link_click", "value": str(clicks), "7d_click": str(clicks)},
            {"action_type": "omni_purchase", "value": sold, "7d_click": sold},
            {"action_type": "offsite_conversion.fb_pixel_purchase", "value": sold, "7d_click": sold},
        ],
        "action_values": [{"action_type": "offsite_conversion.fb_pixel_purchase", "value": "118.00"}],
        "date_start": day,
        "date_stop": day,
    }


def _google_row(campaign: int, day: str, figures: tuple[int, int, int]) -> dict[str, Any]:
    impressions, clicks, micros = figures
    own = 21_000_000_000 + campaign
    return {
        "campaign": {"resourceName": f"customers/9876543210/campaigns/{own}", "id": str(own)},
        "metrics": {
            "clicks": str(clicks),
            "conversionsValue": 61.5,
            "conversions": 1.25,
            "allConversions": 2.5,
            "allConversionsValue": 70.25,
            "costMicros": str(micros),
            "impressions": str(impressions),
        },
        "segments": {"date": day},
    }


def _linkedin_row(campaign: int, day: str, figures: tuple[int, int, int]) -> dict[str, Any]:
    impressions, clicks, micros = figures
    parts = dict(zip(("year", "month", "day"), map(int, day.split("-")), strict=True))
    return {
        "dateRange": {"start": parts, "end": parts},
        "pivotValues": [f"urn:li:sponsoredCampaign:{630_000_000 + campaign}"],
        "impressions": impressions,
        "clicks": clicks,
        "costInLocalCurrency": f"{micros / 1e6:.4f}",
        "externalWebsiteConversions": clicks % 7,
        "oneClickLeads": clicks % 3,
        "conversionValueInLocalCurrency": "12.5",
    }


def _tiktok_row(campaign: int, day: str, figures: tuple[int, int, int]) -> dict[str, Any]:
    impressions, clicks, micros = figures
    return {
        "dimensions": {"campaign_id": str(1_790_000_000_000_000_000 + campaign), "stat_time_day": f"{day} 00:00:00"},
        "metrics": {
            "spend": f"{micros / 1e6:.2f}",
            "impressions": str(impressions),
            "clicks": str(clicks),
            "conversion": str(clicks % 7),
            "real_time_conversion": str(clicks % 7),
            "result": "-",
        },
    }


def _encoded(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _canned(platform: str, campaigns: int, days: int) -> Canned:
    rows = [
        {"meta": _meta_row, "google": _google_row, "linkedin": _linkedin_row, "tiktok": _tiktok_row}[platform](*cell)
        for cell in _cells(campaigns, days)
    ]
    size = PAGE_ROWS[platform]
    pages = [rows[at : at + size] for at in range(0, len(rows), size)]
    if platform == "meta":
        next_ = [f"{BASE}/v25.0/77/insights?access_token=bench-token&after={n + 1}" for n in range(len(pages) - 1)]
        paging = [{"cursors": {"after": "x"}, "next": one} for one in next_] + [{"cursors": {"after": "x"}}]
        answers = [_encoded({"data": page, "paging": one}) for page, one in zip(pages, paging, strict=True)]
        return Canned(answers, lambda request: int(_query(request).get("after", ["0"])[0]))
    if platform == "google":
        batches = [{"results": page, "requestId": "bench"} for page in pages]
        return Canned([_encoded(batches)], lambda _: 0)
    if platform == "linkedin":
        return Canned([_encoded({"paging": {"start": 0, "count": 10, "links": []}, "elements": rows})], lambda _: 0)
    answers = [
        _encoded(
            {
                "code": 0,
                "message": "OK",
                "data": {
                    "list": page,
                    "page_info": {
                        "page": number,
                        "page_size": size,
                        "total_number": len(rows),
                        "total_page": len(pages),
                    },
                },
            }
        )
        for number, page in enumerate(pages, 1)
    ]
    return Canned(answers, lambda request: int(_query(request)["page"][0]) - 1)


def _client(platform: str, transport: Canned) -> AdPlatform:
    around = Surroundings(SystemClock(), random.Random(1), transport=transport, pace_s=0.0)
    token_url = {"token_url": f"{BASE}/token"} if platform in ("google", "linkedin") else {}
    return _made(platform, around, {"base_url": BASE, **token_url})


def _made(platform: str, around: Surroundings, urls: Mapping[str, str]) -> AdPlatform:
    kind, version = _KINDS[platform]
    client: AdPlatform = kind(around=around, api_version=version, **urls)
    return client


class _NothingStands:
    def standing_slices(self, *_: object) -> dict[Any, Any]:
        return {}


def answers(platform: str, campaigns: int, days: int, directory: Path) -> dict[str, Any]:
    """A window of so many rows from answers that take no time."""
    client = _client(platform, _canned(platform, campaigns, days))
    with closing(client):
        window = ReportRequest("campaign", Breakdown.TOTAL, FIRST, FIRST + timedelta(days=days - 1), None)
        rows, usage = _fetched(platform, client, AccountAccess(platform, "77", _CREDENTIALS), [window], directory)
    assert rows == campaigns * days
    return {"rows": rows, "seconds": usage.seconds, "cpu_s": usage.cpu_s, "rss_mib": usage.rss_mib}


def _fetched(
    platform: str, client: AdPlatform, access: AccountAccess, windows: Sequence[ReportRequest], directory: Path
) -> tuple[int, Usage]:
    clock = SystemClock()
    with (
        closing(EmbeddedEventLog(directory / "log.sqlite", clock)) as log,
        closing(SQLiteMetadata(directory / "metadata.sqlite", clock)) as metadata,
    ):
        SchemaService((metadata,)).apply(30)
        log.ensure_topic(TopicSpec(TOPIC, 1, -1, 2**21))
        organization = metadata.ensure_organization("bench")
        account = metadata.add_account(organization, AccountDraft(Platform(platform), access.account_id), "sealed")
        assert account is not None
        fetcher = WindowFetcher(
            metadata,
            _NothingStands(),  # type: ignore[arg-type]
            log,
            clock,
            topic=TOPIC,
            landed=lambda _: None,
            checkpoint=lambda: None,
            watch=Unwatched(),
        )
        reported = ReportedAccount(organization, Platform(platform), account.key, "USD", "UTC")
        of, rows = FetchedAccount(account, access, reported, client), 0
        collect_rarely()  # as a worker does, whose jobs fetch
        with Usage() as usage:
            for window in windows:
                published = fetcher.fetch(of, window, 1)
                published.complete()
                rows += published.outcome.rows
    return rows, usage


if __name__ == "__main__":
    print(json.dumps(answers(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))))
