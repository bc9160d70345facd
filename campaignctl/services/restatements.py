"""What platforms changed of what they had reported: the figures of days that stood, and then stood otherwise.

A change that comes from another definition of conversions, and not from the platform, says so.

A figure of a day is there once a fetch has covered the day and the native campaign has had a row in any fetch; covered
without a row it is 0. So a figure that comes up for the first time is no restatement, and a row that vanishes is one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from itertools import groupby
from typing import Protocol

from campaignctl.domain.insight_questions import parse_query
from campaignctl.domain.insights import MONEY, Finality, Metric
from campaignctl.domain.periods import DayRange, local_day
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import TOTAL_REGION, Figures
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import NotFound
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFactsStore, LinkStore
from campaignctl.ports.reports import NEVER, NativeCampaign, NativeHistory, ReportStore, SliceVersion
from campaignctl.services.insight_reports import Claim, ReportReader, account_zone
from campaignctl.services.insight_scope import Scope

MAX_RESTATEMENTS = 10_000
_COUNTED = {
    Platform.META: frozenset({Metric.CONVERSIONS, Metric.REVENUE}),
    Platform.GOOGLE: frozenset({Metric.CONVERSIONS, Metric.REVENUE}),
}
"""The metrics that a definition of conversions decides; elsewhere conversions alone."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_ROW = Figures(TOTAL_REGION, 0, 0, 0, 0, 0)


class Cause(StrEnum):
    """Who made a figure another one."""

    PLATFORM = "platform"
    """The platform tells another one."""
    DEFINITION = "definition"
    """The same answer of the platform's, counted by another definition of conversions."""
    UNCLEAR = "unclear"
    """A later answer, counted by another definition: either or both."""


class ReportedCampaigns(CampaignFactsStore, LinkStore, Protocol):
    """What the metadata store has to say of campaigns that are reported."""


@dataclass(frozen=True, slots=True)
class Restatement:
    """One figure of one day that was replaced."""

    native: NativeCampaign
    day: date
    """The account's own."""
    metric: Metric
    old: int | None
    new: int | None
    """Conversions and money in millionths; None where the platform does not give the metric."""
    old_currency: str
    currency: str
    fetched_us: int
    """When the platform told the new figure."""
    landed_ms: int
    """Since when it stands."""
    timezone: str
    """The account's, as that fetch had it; "" when it is not known."""
    cause: Cause
    old_definition: str
    definition: str
    """The definitions that conversions were counted by before and since; "" where there was no row."""


@dataclass(frozen=True, slots=True)
class JudgedRestatement:
    restatement: Restatement
    finality: Finality
    """The day's, at the time of the fetch: ``final`` is a change that nobody had to expect."""


@dataclass(frozen=True, slots=True)
class Restatements:
    campaign_id: int
    days: DayRange
    items: Sequence[JudgedRestatement]
    """By day, native campaign and the time at which they came to stand."""
    truncated: bool


class RestatementService:
    """May be used by several threads."""

    def __init__(
        self, store: ReportStore, metadata: ReportedCampaigns, clock: Clock, *, lookback_days: Mapping[str, int]
    ) -> None:
        self._store = store
        self._metadata = metadata
        self._reader = ReportReader(store, metadata, lookback_days)
        self._clock = clock
        self._lookback_days = lookback_days

    def of(self, campaign_id: int, parameters: Mapping[str, Sequence[str]], actor: Actor) -> Restatements:
        """Of the days ``start_date`` to ``end_date`` of the campaign, on each ``platform`` asked.

        Raises ``NotFound`` for a campaign that is not there or not the actor's, ``InvalidInput`` or ``Unavailable``.
        """
        scope = campaign_scope(self._metadata, campaign_id, actor)
        facts = scope.facts[campaign_id]
        query = parse_query(parameters, campaign_ids=[campaign_id], several=False, facts=[facts], now=self._clock.now())
        claims = [
            one for one in self._reader.claims(scope) if not query.platforms or one.native.platform in query.platforms
        ]
        natives = sorted({one.native for one in claims})
        history = self._store.history(natives, query.days.first, query.days.last)
        found = [one for one in restatements(natives, history) if _is_claimed(one, claims)]
        found.sort(key=lambda one: (one.day, one.native, one.landed_ms))
        shown = [JudgedRestatement(one, self._finality(one, facts.timezone)) for one in found[:MAX_RESTATEMENTS]]
        return Restatements(campaign_id, query.days, shown, truncated=len(found) > MAX_RESTATEMENTS)

    def _finality(self, one: Restatement, campaign_zone: str) -> Finality:
        platform = one.native.platform
        zone = account_zone(one.timezone, platform, campaign_zone)
        today = local_day(_EPOCH + timedelta(microseconds=one.fetched_us), zone)
        if one.day >= today:
            return Finality.LIVE
        return Finality.SETTLING if (today - one.day).days <= self._lookback_days[platform] else Finality.FINAL


def campaign_scope(metadata: CampaignFactsStore, campaign_id: int, actor: Actor) -> Scope:
    """One campaign that the actor may see; raises ``NotFound``."""
    actor.require(Role.VIEWER)
    facts = metadata.campaign_facts([campaign_id])
    if campaign_id not in facts or not actor.sees(facts[campaign_id].organization_id):
        raise NotFound(f"there is no campaign {campaign_id}")
    return Scope(facts, named=True)


def restatements(natives: Sequence[NativeCampaign], history: NativeHistory) -> Iterator[Restatement]:
    """Every change of a figure that was there, by native campaign and day."""
    covered_ms: dict[tuple[int, date], int] = {}
    for window in history.coverage:
        for day in DayRange(window.first, window.last):
            key = (window.native, day)
            covered_ms[key] = min(covered_ms.get(key, window.landed_ms), window.landed_ms)
    slices: dict[tuple[int, date], list[SliceVersion]] = {}
    for version in history.versions:
        slices.setdefault((version.native, version.day), []).append(version)
    for key, versions in sorted(slices.items()):
        seen_ms = history.first_seen_ms[key[0]]
        if seen_ms != NEVER and key in covered_ms:
            yield from _of_slice(natives[key[0]], versions, there_ms=max(seen_ms, covered_ms[key]))


def _of_slice(native: NativeCampaign, versions: Sequence[SliceVersion], *, there_ms: int) -> Iterator[Restatement]:
    standing: SliceVersion | None = None
    for landed_ms, together in groupby(versions, key=lambda version: version.landed_ms):
        before = standing
        for version in together:  # of equal instants of the fetch the one that lies later in the log stands
            if standing is None or version.fetched_us >= standing.fetched_us:
                standing = version
        if there_ms < landed_ms and standing is not None and standing is not before:
            yield from _changes(native, before, standing)


def _changes(native: NativeCampaign, before: SliceVersion | None, after: SliceVersion) -> Iterator[Restatement]:
    old, new = (_NO_ROW if one is None or one.figures is None else one.figures for one in (before, after))
    old_currency = after.currency if before is None or before.figures is None else before.currency
    old_definition, definition = (
        "" if one is None or one.figures is None else one.definition for one in (before, after)
    )
    for metric in Metric:
        was, now = figure(old, metric), figure(new, metric)
        other_money = metric in MONEY and after.figures is not None and old_currency != after.currency
        if (was or 0) != (now or 0) or (other_money and (was or now)):
            yield Restatement(
                native,
                after.day,
                metric,
                was,
                now,
                old_currency if metric in MONEY else "",
                after.currency if metric in MONEY else "",
                after.fetched_us,
                after.landed_ms,
                after.timezone,
                _cause(native, metric, before, after),
                old_definition,
                definition,
            )


def _cause(native: NativeCampaign, metric: Metric, before: SliceVersion | None, after: SliceVersion) -> Cause:
    if before is None or before.figures is None or after.figures is None or before.definition == after.definition:
        return Cause.PLATFORM
    if metric not in _COUNTED.get(Platform(native.platform), {Metric.CONVERSIONS}):
        return Cause.PLATFORM
    return Cause.DEFINITION if before.fetched_us == after.fetched_us else Cause.UNCLEAR


def figure(figures: Figures, metric: Metric) -> int | None:
    match metric:
        case Metric.IMPRESSIONS:
            return figures.impressions
        case Metric.CLICKS:
            return figures.clicks
        case Metric.CONVERSIONS:
            return figures.conversions_millionths
        case Metric.SPEND:
            return figures.spend_micros
        case Metric.REVENUE:
            return figures.revenue_micros


def _is_claimed(one: Restatement, claims: Sequence[Claim]) -> bool:
    """Whether the campaign claims the native campaign on that day."""
    return any(
        claim.native == one.native and any(first <= one.day <= last for first, last in claim.spans) for claim in claims
    )
