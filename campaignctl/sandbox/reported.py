"""What the platforms say of the deliveries, as of any moment.

A day's figures come in within minutes, conversions are credited for days after that, refunds and invalid traffic are
taken off later still, and now and then everything a campaign had on a day is taken back. By country a platform tells
less: later, without what it cannot place, and LinkedIn nothing of fewer than three.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Generic, NamedTuple, TypeVar
from zoneinfo import ZoneInfo

from campaignctl.sandbox.deliveries import Delivery, World, days_between
from campaignctl.sandbox.natives import Native, campaigns_of

UNKNOWN = "unknown"
INTEREST, PRESENCE = "AREA_OF_INTEREST", "LOCATION_OF_PRESENCE"

_DAY = timedelta(days=1)
_TOLD_AFTER = timedelta(minutes=10)
_COUNTRY_TOLD_AFTER = {
    "meta": timedelta(minutes=30),
    "google": timedelta(hours=3),
    "linkedin": timedelta(hours=18),
    "tiktok": timedelta(hours=9),
}
_REFUNDED_AFTER = timedelta(days=2)
_CENTS = 10_000
_FEWEST = 3
_MILLE = (990, 975, 985)
"""What is left of impressions, clicks and spend where invalid traffic was found."""
_KEPT_DAYS = 8_192
_KEPT_FIGURES = 200_000
_EVER = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
_T = TypeVar("_T")
_Of = tuple[str, str, date]
"""Platform, native campaign, day."""


class Figures(NamedTuple):
    impressions: int
    clicks: int
    conversions_millionths: int
    spend_micros: int
    revenue_micros: int | None
    """None: the platform does not tell it."""

    def plus(self, other: "Figures") -> "Figures":
        untold = self.revenue_micros is None or other.revenue_micros is None
        return Figures(
            self.impressions + other.impressions,
            self.clicks + other.clicks,
            self.conversions_millionths + other.conversions_millionths,
            self.spend_micros + other.spend_micros,
            None if untold else (self.revenue_micros or 0) + (other.revenue_micros or 0),
        )


class Place(NamedTuple):
    """Of a row by country: what it is told under. On Google two kinds of location add up."""

    country: str
    location: str = ""


@dataclass(frozen=True, slots=True)
class Restatement:
    """What becomes of a campaign's day, and when."""

    at: datetime
    is_removed: bool
    """The whole day is taken back; else a part of it."""


@dataclass(frozen=True, slots=True)
class _Standing(Generic[_T]):
    """What is told from ``since`` on, before ``until``."""

    since: datetime
    until: datetime
    figures: _T


class Reported:
    """The reports on a world. May be used by several threads."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._of_day = lru_cache(_KEPT_DAYS)(self._deliveries)
        self._totals: dict[_Of, _Standing[Figures | None]] = {}
        self._countries: dict[_Of, _Standing[dict[Place, Figures]]] = {}

    def total(self, native: Native, day: date, at: datetime) -> Figures | None:
        """The row of a day of the account's zone as told at the moment; None where there is none."""
        return self._standing(self._totals, native, day, at, self._total)

    def countries(self, native: Native, day: date, at: datetime) -> dict[Place, Figures]:
        """The day's rows by country. Not to be changed."""
        return self._standing(self._countries, native, day, at, self._by_country)

    def _standing(
        self,
        kept: "dict[_Of, _Standing[_T]]",
        native: Native,
        day: date,
        at: datetime,
        made: Callable[[Native, date, datetime], _T],
    ) -> _T:
        """What stands at the moment; kept while nothing happens to the day, and most days of a report are settled."""
        key = (native.account.platform, native.native_id, day)
        known = kept.get(key)
        if known is not None and known.since <= at < known.until:
            return known.figures
        since, until = self._unchanged(native, day, at)
        figures = made(native, day, at)
        if len(kept) >= _KEPT_FIGURES:
            kept.clear()
        kept[key] = _Standing(since, until, figures)
        return figures

    def _unchanged(self, native: Native, day: date, at: datetime) -> tuple[datetime, datetime]:
        """From when on and until when the platform tells of the day what it tells at the moment."""
        moments = [day_end(native, day) + _REFUNDED_AFTER]
        for part in campaigns_of(native):
            restated = self.restatement(part, day)
            if restated is not None:
                moments.append(restated.at)
            for one in self._of_day(part, day):
                told = (_TOLD_AFTER, _COUNTRY_TOLD_AFTER[one.platform], one.attributed_after)
                moments += [one.at + after for after in told]
        since = max((moment for moment in moments if moment <= at), default=_EVER[0])
        return since, min((moment for moment in moments if moment > at), default=_EVER[1])

    def _total(self, native: Native, day: date, at: datetime) -> Figures | None:
        return _added([self._total_of_part(one, day, at) for one in campaigns_of(native)])

    def _by_country(self, native: Native, day: date, at: datetime) -> dict[Place, Figures]:
        parts = campaigns_of(native)
        told: dict[Place, list[list[Delivery]]] = {}
        for number, part in enumerate(parts):
            if self._is_removed(part, day, at):
                continue
            for one in self._of_day(part, day):
                if one.told_country and one.at + _COUNTRY_TOLD_AFTER[one.platform] <= at:
                    told.setdefault(_place(one), [[] for _ in parts])[number].append(one)
        rows = {}
        for place in sorted(told):
            by_part = told[place]
            if native.account.platform == "linkedin" and sum(map(len, by_part)) < _FEWEST:
                continue
            found = [self._row(part, day, at, mine) for part, mine in zip(parts, by_part, strict=True)]
            if (row := _added(found)) is not None:
                rows[place] = row
        return rows

    def restatement(self, native: Native, day: date) -> Restatement | None:
        """What will be taken off the day of a campaign (no group)."""
        random = Random(f"{self.world.seed}-restated-{native.native_id}-{day}")  # noqa: S311 - a repeatable world
        draw = random.random()
        after = timedelta(days=random.randint(1, 5), hours=random.randint(1, 20))
        if draw >= 0.25:
            return None
        return Restatement(day_end(native, day) + after, is_removed=draw < 0.02)

    # ---- one campaign

    def _total_of_part(self, native: Native, day: date, at: datetime) -> Figures | None:
        if self._is_removed(native, day, at):
            return None
        return self._row(native, day, at, [one for one in self._of_day(native, day) if one.at + _TOLD_AFTER <= at])

    def _is_removed(self, native: Native, day: date, at: datetime) -> bool:
        restated = self.restatement(native, day)
        return restated is not None and restated.is_removed and restated.at <= at

    def _row(self, native: Native, day: date, at: datetime, told: list[Delivery]) -> Figures | None:
        refunded = day_end(native, day) + _REFUNDED_AFTER <= at
        counted = [one for one in told if refunded or one.kind != "adjustment"]
        credited = [one for one in counted if one.at + one.attributed_after <= at]
        sums = [
            sum(one.impressions for one in counted),
            sum(one.clicks for one in counted),
            sum(one.spend_micros for one in counted),
        ]
        restated = self.restatement(native, day)
        if restated is not None and restated.at <= at:
            sums = [value * left // 1000 for value, left in zip(sums, _MILLE, strict=True)]
        impressions, clicks, spend = (max(0, value) for value in sums)
        platform = native.account.platform
        figures = Figures(
            impressions,
            clicks,
            sum(one.conversion_hundredths for one in credited) * 10_000,
            _cents(spend) if platform in ("meta", "tiktok") else spend,
            None if platform == "tiktok" else sum(one.revenue_micros for one in credited),
        )
        return figures if any(figures) else None

    def _deliveries(self, native: Native, day: date) -> tuple[Delivery, ...]:
        """A campaign's of a day of the account's zone."""
        start, end = day_start(native, day), day_end(native, day)
        return tuple(
            one
            for utc_day in days_between(start.date(), end.date())
            for one in self.world.deliveries(native.campaign, native.account.platform, utc_day)
            if start <= one.at < end and (not native.group_id or one.ad % 2 == native.part)
        )


def day_start(native: Native, day: date) -> datetime:
    """Midnight in the account's zone, in UTC."""
    zone = ZoneInfo(native.account.timezone)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def day_end(native: Native, day: date) -> datetime:
    return day_start(native, day + _DAY)


def by_region(rows: Mapping[Place, Figures]) -> dict[str, Figures]:
    """Rows by country as they come to one region each: ``ZZ`` for what the platform does not know."""
    found: dict[str, Figures] = {}
    for place, row in rows.items():
        region = "ZZ" if place.country == UNKNOWN else place.country
        found[region] = row if region not in found else found[region].plus(row)
    return found


def _place(one: Delivery) -> Place:
    if one.platform != "google":
        return Place(one.told_country)
    return Place(one.told_country, INTEREST if one.is_interest else PRESENCE)


def _added(rows: list[Figures | None]) -> Figures | None:
    found = [row for row in rows if row is not None]
    if not found:
        return None
    whole = found[0]
    for row in found[1:]:
        whole = whole.plus(row)
    return whole


def _cents(micros: int) -> int:
    return round(micros / _CENTS) * _CENTS if micros < 1 << 50 else micros // _CENTS * _CENTS
