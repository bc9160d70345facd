"""What the reports of some campaigns say of some days: links, the store's columns, and the cells made of both."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np

from campaignctl.domain.campaigns import PlatformLink
from campaignctl.domain.insight_cells import CellKey, Cells, NativeDays
from campaignctl.domain.insight_reports import ReportedRows
from campaignctl.domain.insight_sums import I64
from campaignctl.domain.insights import InsightQuery
from campaignctl.domain.periods import DayRange
from campaignctl.domain.platforms import Platform, account_key, native_key
from campaignctl.domain.reports import FIRST_DAY, LAST_DAY, Breakdown
from campaignctl.domain.timezones import known_timezones
from campaignctl.ports.metadata import LinkStore
from campaignctl.ports.reports import NEVER, NativeCampaign, ReportDays
from campaignctl.services.insight_scope import Scope

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = date(1970, 1, 1)
_DAY = timedelta(days=1)


class ReportedDays(Protocol):
    """What insights need of a ``ReportStore``."""

    def report_days(
        self,
        natives: Sequence[NativeCampaign],
        first: date,
        last: date,
        as_of_ms: int | None,
        /,
        *,
        by_country: bool,
    ) -> ReportDays: ...


@dataclass(frozen=True, slots=True)
class Claim:
    """A native campaign that a campaign claims, on some days."""

    campaign: int
    native: NativeCampaign
    spans: tuple[tuple[date, date], ...]
    """First and last days, inclusive."""


@dataclass(frozen=True, slots=True)
class Reports:
    """What stood for a range of days."""

    cells: Mapping[CellKey, Cells]
    rows: ReportedRows
    last_fetched_us: Mapping[CellKey, int]
    """When a fetch last covered any of a cell's native campaigns; those that never were are left out."""


class ReportReader:
    """May be used by several threads."""

    def __init__(self, store: ReportedDays, links: LinkStore, lookback_days: Mapping[str, int]) -> None:
        self._store = store
        self._links = links
        self._lookback_days = lookback_days

    def claims(self, scope: Scope) -> list[Claim]:
        """What the campaigns claim; the same native campaign, however it is spelled, once for each of them."""
        linked = [id_ for id_, facts in scope.facts.items() if facts.platforms]
        if not linked:
            return []
        found: dict[tuple[int, NativeCampaign], list[tuple[date, date]]] = {}
        for campaign, links in self._links.links_of(linked).items():
            organization = scope.facts[campaign].organization_id
            for link in links:
                span = (link.first_day, link.last_day)
                found.setdefault((campaign, native_of(organization, link)), []).append(span)
        return [Claim(campaign, native, tuple(spans)) for (campaign, native), spans in sorted(found.items())]

    def read(
        self, claims: Collection[Claim], scope: Scope, query: InsightQuery, days: DayRange, *, by_country: bool
    ) -> Reports:
        """What stood, as the question's ``as_of`` has it, for the platforms that it asks about."""
        asked = [one for one in claims if not query.platforms or one.native.platform in query.platforms]
        first, last = max(days.first, FIRST_DAY), min(days.last, LAST_DAY - _DAY)
        if not asked or last < first:
            return Reports({}, ReportedRows.none(), {})
        natives = sorted({one.native for one in asked})
        as_of_ms = None if query.as_of is None else (query.as_of - _EPOCH) // timedelta(milliseconds=1)
        stood = self._store.report_days(natives, first, last, as_of_ms, by_country=by_country)
        places = {native: place for place, native in enumerate(natives)}
        of_cell: dict[CellKey, list[NativeDays]] = {}
        fetched: dict[CellKey, int] = {}
        for one in asked:
            place, key = places[one.native], (one.campaign, one.native.platform)
            of_cell.setdefault(key, []).append(_native_days(one, place, scope, days, first, stood))
            at_us = int(stood.last_fetched_us[place])
            if at_us != NEVER:
                fetched[key] = max(fetched.get(key, at_us), at_us)
        cells = {
            key: Cells(days, of_native, query.now, self._lookback_days[key[1]]) for key, of_native in of_cell.items()
        }
        return Reports(cells, _rows(stood, days), fetched)


def native_of(organization_id: int, link: PlatformLink) -> NativeCampaign:
    """The native campaign that a link names, by keys."""
    platform = str(link.platform)
    return NativeCampaign(
        organization_id,
        platform,
        account_key(platform, link.account_id),
        str(link.level),
        native_key(platform, link.level, link.external_id),
    )


def _native_days(claim: Claim, place: int, scope: Scope, days: DayRange, first: date, stood: ReportDays) -> NativeDays:
    runs = np.zeros(len(days), bool)
    for from_day, to_day in claim.spans:
        start = max((from_day - days.first).days, 0)
        runs[start : max((to_day - days.first).days + 1, 0)] = True

    def covered(breakdown: Breakdown) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        found = np.zeros(len(days), bool)
        if breakdown in stood.covered_us:
            own = stood.covered_us[breakdown][place] != NEVER
            start = (first - days.first).days
            found[start : start + len(own)] = own
        return found

    return NativeDays(
        campaign=claim.campaign,
        platform=claim.native.platform,
        place=place,
        zone=account_zone(stood.timezone[place], claim.native.platform, scope.facts[claim.campaign].timezone),
        runs=runs,
        covered=covered(Breakdown.TOTAL),
        covered_by_country=covered(Breakdown.COUNTRY),
        seen=bool(stood.ever_seen[place]),
    )


def account_zone(told: str, platform: str, of_campaign: str) -> ZoneInfo:
    """The account's zone: what the platform tells; LinkedIn's days are those of UTC; else the campaign's."""
    if told in known_timezones():
        return ZoneInfo(told)
    return ZoneInfo("UTC" if platform == Platform.LINKEDIN else of_campaign)


def _rows(stood: ReportDays, days: DayRange) -> ReportedRows:
    numbers: I64 = stood.day - (days.first - _EPOCH_DAY).days
    return ReportedRows(
        place=stood.native,
        day=numbers,
        region=stood.region,
        currency=stood.currency,
        metrics={metric: figures.values for metric, figures in stood.metrics.items()},
    )
