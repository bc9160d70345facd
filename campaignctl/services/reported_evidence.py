"""What reports say of one day: of each native campaign what stands, and every version there was of its total."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby

import numpy as np

from campaignctl.domain.insight_sums import Keys
from campaignctl.domain.insights import InsightQuery, Metric
from campaignctl.domain.reports import FIRST_DAY, LAST_DAY, Breakdown
from campaignctl.ports.reports import NEVER, NativeCampaign, NativeHistory, ReportDays, ReportStore, SliceVersion
from campaignctl.services.insight_reports import Claim, account_zone
from campaignctl.services.restatements import figure

MAX_NATIVES = 100
"""Of a platform; more are counted, and not listed."""
MAX_VERSIONS = 50
"""Of a native campaign's day: the newest."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Figures = Mapping[Metric, int | None]
"""Conversions and money in millionths; None where the platform does not give the metric."""


@dataclass(frozen=True, slots=True)
class StandingRow:
    """A row of what stands: of the day's total, or of one country."""

    region: str
    """"" of the total."""
    currency: str
    definition: str
    """The version of the definition that conversions were counted by; "" when there is none."""
    fetched_us: int
    figures: Figures


@dataclass(frozen=True, slots=True)
class TotalVersion:
    """A version of the day's total, one of those that a fetch found different from the one before."""

    number: int
    """From 1, in the order in which they stood or would have."""
    stands: bool
    fetched_us: int
    landed_ms: int
    """Since when it is there."""
    currency: str
    definition: str
    figures: Figures | None
    """None: the platform has no row of the day any more."""


@dataclass(frozen=True, slots=True)
class NativeReport:
    """What is reported of a native campaign that is linked on the day."""

    native: NativeCampaign
    zone: str
    """Of the account's days."""
    covered_us: int | None
    """When a fetch last covered the day's total; None: never."""
    covered_by_country_us: int | None
    """None too where countries were not asked about."""
    seen: bool
    """Whether any fetch had a row of it, of any day."""
    rows: tuple[StandingRow, ...]
    versions: tuple[TotalVersion, ...]
    """The newest first."""


@dataclass(frozen=True, slots=True)
class PlatformReport:
    natives: tuple[NativeReport, ...]
    left_out: int
    """How many more there are."""


class ReportEvidence:
    """May be used by several threads."""

    def __init__(self, store: ReportStore) -> None:
        self._store = store

    def of(
        self, claims: Collection[Claim], query: InsightQuery, campaign_zone: str, *, by_country: bool
    ) -> dict[str, PlatformReport]:
        """By platform, for a question about one day."""
        day = query.days.first
        if not FIRST_DAY <= day < LAST_DAY:
            return {}
        linked = sorted({one.native for one in claims if any(first <= day <= last for first, last in one.spans)})
        shown = [
            native
            for _, of_platform in groupby(linked, key=lambda one: one.platform)
            for native in list(of_platform)[:MAX_NATIVES]
        ]
        if not shown:
            return {}
        as_of_ms = None if query.as_of is None else (query.as_of - _EPOCH) // timedelta(milliseconds=1)
        stood = self._store.report_days(shown, day, day, as_of_ms, by_country=by_country)
        versions = _versions(self._store.history(shown, day, day), as_of_ms)
        found: dict[str, list[NativeReport]] = {}
        for place, native in enumerate(shown):
            report = _native_report(native, place, stood, versions.get(place, []), campaign_zone)
            found.setdefault(native.platform, []).append(report)
        return {
            platform: PlatformReport(tuple(natives), sum(one.platform == platform for one in linked) - len(natives))
            for platform, natives in found.items()
        }


def _native_report(
    native: NativeCampaign, place: int, stood: ReportDays, versions: Sequence[SliceVersion], campaign_zone: str
) -> NativeReport:
    def covered(breakdown: Breakdown) -> int | None:
        at_us = int(stood.covered_us[breakdown][place][0]) if breakdown in stood.covered_us else NEVER
        return None if at_us == NEVER else at_us

    rows = np.flatnonzero(stood.native == place).tolist()
    return NativeReport(
        native=native,
        zone=account_zone(stood.timezone[place], native.platform, campaign_zone).key,
        covered_us=covered(Breakdown.TOTAL),
        covered_by_country_us=covered(Breakdown.COUNTRY),
        seen=bool(stood.ever_seen[place]),
        rows=tuple(_standing_row(stood, row) for row in rows),
        versions=tuple(_numbered(versions)),
    )


def _standing_row(stood: ReportDays, row: int) -> StandingRow:
    def name(keys: Keys) -> str:
        return str(keys.names[keys.codes[row]])

    return StandingRow(
        region=name(stood.region),
        currency=name(stood.currency),
        definition=name(stood.definition),
        fetched_us=int(stood.fetched_us[row]),
        figures={
            metric: int(given.values[row]) if given.given[row] else None for metric, given in stood.metrics.items()
        },
    )


def _versions(history: NativeHistory, as_of_ms: int | None) -> dict[int, list[SliceVersion]]:
    """By place what was there by then, in the order in which versions take each other's place."""
    found: dict[int, list[SliceVersion]] = {}
    for one in history.versions:  # in the order of the log
        if as_of_ms is None or one.landed_ms <= as_of_ms:
            found.setdefault(one.native, []).append(one)
    return {place: sorted(versions, key=lambda one: one.fetched_us) for place, versions in found.items()}


def _numbered(versions: Sequence[SliceVersion]) -> list[TotalVersion]:
    numbered = [
        TotalVersion(
            number=number,
            stands=number == len(versions),
            fetched_us=one.fetched_us,
            landed_ms=one.landed_ms,
            currency=one.currency,
            definition=one.definition,
            figures=None if one.figures is None else {metric: figure(one.figures, metric) for metric in Metric},
        )
        for number, one in enumerate(versions, 1)
    ]
    return numbered[::-1][:MAX_VERSIONS]
