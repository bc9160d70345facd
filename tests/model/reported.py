"""What reports say of a campaign's days, by brute force (contract, section 5). Nothing here imports the product.

Where the contract leaves a choice, this is the one made here:

- A native campaign runs on the days for which it is linked. On a day on which one that has a report runs beside one
  whose day was never fetched, the report is partial.
- Of the natives that run, those whose day was fetched decide whether the day is over: in all their zones.
- Midnight in the account's zone, so many days after the day, is when the report is final.
- A country's report of a day is what its native campaigns have; each leaves its own rest of the total in ZZ.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

DAY = timedelta(days=1)
LOOKBACK_DAYS = {"meta": 28, "google": 30, "linkedin": 7, "tiktok": 7}
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")
LEVELS = ("live", "provisional", "settling", "final")
_ZONES = available_timezones()

Native = tuple[str, str, str, str]
"""Platform, account, level, native id; spelled one way."""
Amounts = tuple["int | None", ...]
"""The metrics in their order, decimals in millionths."""


@dataclass(frozen=True)
class Slice:
    """One version of what stands for a native campaign's day, or (``rows`` None) that a fetch covered days."""

    time_ms: int
    """Log time."""
    fetched_ms: int
    native: Native
    """An empty id, of coverage: all of the account at that level."""
    by_country: bool
    first: date
    last: date
    currency: str
    timezone: str
    rows: Mapping[str, Amounts] | None


@dataclass(frozen=True)
class Fact:
    """Something a report says of a day, with the members of an event."""

    campaign_id: int
    platform: str
    day: date
    region: str
    currency: str
    impressions: int
    clicks: int
    conversions: int
    spend: int
    revenue: int


@dataclass(frozen=True)
class Cell:
    """What is there of one campaign on one platform and day."""

    there: tuple[Native, ...]
    """Those that have a report."""
    fetched: tuple[Native, ...]
    """Those whose day was fetched."""
    whole: bool
    by_country: bool


class Book:
    """All that was told, and the campaigns' claims; ``as_of_ms`` None is now."""

    def __init__(self) -> None:
        self._told: list[Slice] = []
        self._claims: dict[int, list[tuple[Native, date, date]]] = {}
        self._zones: dict[int, str] = {}

    def claim(self, campaign_id: int, timezone: str, links: Iterable[Mapping[str, Any]]) -> None:
        self._zones[campaign_id] = timezone
        self._claims[campaign_id] = [
            (
                _native(link),
                date.fromisoformat(link.get("valid_from") or "0001-01-01"),
                date.fromisoformat(link.get("valid_to") or "9999-12-31"),
            )
            for link in links
        ]

    def tell(self, one: Slice) -> None:
        self._told.append(one)

    def at(self, as_of_ms: int | None) -> Then:
        told = [one for one in self._told if as_of_ms is None or one.time_ms <= as_of_ms]
        return Then(told, self._claims, self._zones)


class Then:
    """What was there at some time."""

    def __init__(
        self, told: list[Slice], claims: Mapping[int, list[tuple[Native, date, date]]], zones: Mapping[int, str]
    ) -> None:
        self._claims = claims
        self._campaign_zones = zones
        self._told: dict[Native, list[Slice]] = {}
        for native in {claim[0] for of_campaign in claims.values() for claim in of_campaign}:
            self._told[native] = [one for one in told if one.native in (native, (*native[:3], ""))]
        self._covered = {
            (native, by_country): {
                one.first + n * DAY
                for one in about
                if one.rows is None and one.by_country == by_country
                for n in range((one.last - one.first).days + 1)
            }
            for native, about in self._told.items()
            for by_country in (False, True)
        }
        self._seen = {native for native, about in self._told.items() if any(one.rows for one in about)}

    def platforms(self, campaign_id: int) -> set[str]:
        return {native[0] for native, _, _ in self._claims.get(campaign_id, ())}

    def cell(self, campaign_id: int, platform: str, day: date) -> Cell | None:
        """None where no report is there."""
        running = {
            native
            for native, first, last in self._claims.get(campaign_id, ())
            if native[0] == platform and first <= day <= last
        }
        fetched = tuple(sorted(native for native in running if day in self._covered[native, False]))
        there = tuple(native for native in fetched if native in self._seen)
        if not there:
            return None
        by_country = all(day in self._covered[native, True] for native in there)
        return Cell(there, fetched, len(fetched) == len(running), by_country)

    def level(self, campaign_id: int, day: date, cell: Cell, now: datetime) -> str:
        levels = []
        for native in cell.fetched:
            passed = (now.astimezone(self.zone(campaign_id, native)).date() - day).days
            if passed <= 0:
                levels.append("live")
            else:
                levels.append("final" if passed > LOOKBACK_DAYS[native[0]] else "settling")
        return min(levels, key=LEVELS.index)

    def is_over(self, campaign_id: int, day: date, cell: Cell, now: datetime) -> bool:
        return self.level(campaign_id, day, cell, now) != "live"

    def final_at(self, campaign_id: int, day: date, cell: Cell) -> datetime:
        last = day + (LOOKBACK_DAYS[cell.there[0][0]] + 1) * DAY
        return max(midnight(last, self.zone(campaign_id, native)) for native in cell.fetched)

    def zone(self, campaign_id: int, native: Native) -> ZoneInfo:
        told = [one for one in self._told[native] if one.rows is None]
        name = max(told, key=lambda one: (one.fetched_ms, one.time_ms)).timezone if told else ""
        if name in _ZONES:
            return ZoneInfo(name)
        return ZoneInfo("UTC" if native[0] == "linkedin" else self._campaign_zones[campaign_id])

    def shifted(self, campaign_id: int, day: date, cell: Cell, asked: ZoneInfo) -> bool:
        """Whether the day is another stretch of time in the asked zone."""
        zones = [self.zone(campaign_id, native) for native in cell.fetched]
        return any(midnight(edge, zone) != midnight(edge, asked) for zone in zones for edge in (day, day + DAY))

    def totals(self, campaign_id: int, platform: str, day: date, cell: Cell, currency: str) -> Iterator[Fact]:
        """A zero for the day itself, and what is in the rows."""
        yield _fact(campaign_id, platform, day, "", currency, [0] * 5)
        for native in cell.there:
            for one in self._standing(native, day, by_country=False):
                for amounts in (one.rows or {}).values():
                    yield _fact(campaign_id, platform, day, "", one.currency, amounts)

    def countries(self, campaign_id: int, platform: str, day: date, cell: Cell) -> Iterator[Fact]:
        for native in cell.there:
            rest: dict[str, list[int]] = {}
            for one in self._standing(native, day, by_country=False):
                for amounts in (one.rows or {}).values():
                    left = rest.setdefault(one.currency, [0] * 5)
                    for n, value in enumerate(amounts):
                        left[n] += value or 0
            for one in self._standing(native, day, by_country=True):
                for region, amounts in (one.rows or {}).items():
                    if region == "ZZ":
                        continue
                    yield _fact(campaign_id, platform, day, region, one.currency, amounts)
                    left = rest.setdefault(one.currency, [0] * 5)
                    for n, value in enumerate(amounts):
                        left[n] -= value or 0
            for currency, left in rest.items():
                if any(left):
                    yield _fact(campaign_id, platform, day, "ZZ", currency, left)

    def last_fetch_ms(self, campaign_id: int, platform: str) -> int | None:
        natives = {native for native, _, _ in self._claims.get(campaign_id, ()) if native[0] == platform}
        fetched = [one.fetched_ms for native in natives for one in self._told[native] if one.rows is None]
        return max(fetched, default=None)

    def has_rows(self, campaign_id: int, platform: str) -> bool:
        return any(native[0] == platform and native in self._seen for native, _, _ in self._claims.get(campaign_id, ()))

    def _standing(self, native: Native, day: date, *, by_country: bool) -> Iterator[Slice]:
        """The version that stands, if there is one."""
        versions = [
            (one.fetched_ms, one.time_ms, place, one)
            for place, one in enumerate(self._told[native])
            if one.rows is not None and one.first == day and one.by_country == by_country
        ]
        if versions:
            yield max(versions, key=lambda version: version[:3])[3]


def _fact(
    campaign_id: int, platform: str, day: date, region: str, currency: str, amounts: Sequence[int | None]
) -> Fact:
    numbers = {metric: value or 0 for metric, value in zip(METRICS, amounts, strict=True)}
    return Fact(campaign_id, platform, day, region, currency, **numbers)


def midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def _native(link: Mapping[str, Any]) -> Native:
    """However its ids are spelled: ``act_``, hyphens and URNs say nothing."""
    account, native = str(link["account_id"]), str(link["external_id"])
    if link["platform"] == "meta":
        account = account.removeprefix("act_")
    if link["platform"] == "google":
        account = re.sub(r"[- ]", "", account)
    return (
        str(link["platform"]),
        account.rpartition(":")[2],
        str(link.get("level", "campaign")),
        re.split(r"[:/]", native)[-1],
    )
