"""Streamed beside reported: per platform and day how far apart they are, and what may be the cause.

Both sides are insights (``source=stream`` and ``source=report``), so they are converted and rounded as answers are. A
day that no fetch has covered is listed and never compared: nothing reported is not 0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Protocol

from campaignctl.domain.insight_cells import Cells
from campaignctl.domain.insight_questions import parse_query
from campaignctl.domain.insights import MONEY, Finality, InsightQuery, InsightRow, Metric, Source, Sums
from campaignctl.domain.periods import EPOCH, day_start
from campaignctl.domain.reports import FIRST_DAY, LAST_DAY, Breakdown
from campaignctl.domain.users import Actor
from campaignctl.errors import InvalidInput
from campaignctl.ports.analytics import InsightStore
from campaignctl.ports.cache import Cache
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import ClaimStore
from campaignctl.ports.reports import I64, NEVER, ArrivalStore, NativeCampaign, ReportStore
from campaignctl.services.insight_answers import InsightAnswers, InsightMetadata, InsightRules
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.insight_reports import Claim, ReportReader
from campaignctl.services.insight_scope import Scope
from campaignctl.services.restatements import campaign_scope
from campaignctl.services.unmapped import unmapped_days

DEFAULT_TOLERANCE = Decimal("0.05")
_DAY = timedelta(days=1)
_US_PER_MS = 1_000

PlatformDay = tuple[str, date]


class Hint(StrEnum):
    """What may be why the two differ."""

    TIME_ZONE = "time_zone"
    """The account's day is another stretch of time than the campaign's."""
    LATENESS = "lateness"
    """Events of the day came after its report was fetched."""
    WINDOW = "window"
    """The platform may still change the day."""
    CURRENCY = "currency"
    """Amounts were converted, or could not be."""
    DEFINITION = "definition"
    """Conversions and their worth are what the platform attributes, which the stream does not know."""
    UNMAPPED = "unmapped"
    """The account has native campaigns with figures that no campaign claims."""
    NOT_COVERED = "not_covered"
    """Of some of the campaign's native campaigns the day was never fetched."""


class ReportFacts(ReportStore, ArrivalStore, Protocol):
    """What is asked of reports, and of when events came."""


class ReconciliationMetadata(InsightMetadata, ClaimStore, Protocol):
    """What the metadata store is asked."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of one platform and day."""

    metric: Metric
    streamed: int | None
    reported: int | None
    """Conversions and money in millionths; None where it cannot be told, or nothing was reported."""
    within: bool | None
    """None: not compared."""
    hints: tuple[Hint, ...] = ()

    @property
    def difference(self) -> int | None:
        """Streamed less reported."""
        return None if self.streamed is None or self.reported is None else self.streamed - self.reported


@dataclass(frozen=True, slots=True)
class ReconciledDay:
    platform: str
    day: date
    covered: bool
    """Whether there is a report of it; else nothing is compared."""
    finality: Finality
    fetched_us: int | None
    metrics: tuple[Compared, ...]

    @property
    def within(self) -> bool | None:
        if not self.covered:
            return None
        return all(one.within is not False for one in self.metrics)


@dataclass(frozen=True, slots=True)
class Reconciliation:
    query: InsightQuery
    tolerance: Decimal
    days: tuple[ReconciledDay, ...]

    @property
    def within(self) -> bool:
        """Whether no compared metric of any day is outside the tolerance."""
        return all(one.within is not False for one in self.days)

    def unexplained(self, metric: Metric) -> int:
        """The differences outside the tolerance that no hint was found for, added up."""
        rest = [one for day in self.days for one in day.metrics if one.metric is metric and one.within is False]
        return sum(one.difference or 0 for one in rest if not one.hints)


@dataclass(frozen=True, slots=True)
class _Causes:
    """What is known of the platforms and days beside their sums."""

    cells: Mapping[str, Cells]
    fetched_us: Mapping[PlatformDay, int]
    """When the report of the day was last fetched: of several native campaigns the one that was longest ago."""
    currencies: Mapping[PlatformDay, frozenset[str]]
    arrivals_ms: Mapping[PlatformDay, int]
    unmapped: frozenset[PlatformDay]


class ReconciliationService:
    """May be used by several threads."""

    def __init__(
        self,
        store: InsightStore,
        reports: ReportFacts,
        metadata: ReconciliationMetadata,
        cache: Cache,
        clock: Clock,
        *,
        rules: InsightRules,
    ) -> None:
        self._reports = reports
        self._metadata = metadata
        self._clock = clock
        self._reader = ReportReader(reports, metadata, rules.lookback_days)
        self._answers = InsightAnswers(store, self._reader, metadata, cache, InsightCursors(b"unused"), rules)

    def of(self, campaign_id: int, parameters: Mapping[str, Sequence[str]], actor: Actor) -> Reconciliation:
        """Of the days ``start_date`` to ``end_date``, on each ``platform`` asked, within ``tolerance``.

        Raises ``NotFound`` for a campaign that is not there or not the actor's, ``InvalidInput`` or ``Unavailable``.
        """
        scope = campaign_scope(self._metadata, campaign_id, actor)
        tolerance = _tolerance(parameters)
        asked = {name: values for name, values in parameters.items() if name != "tolerance"}
        query = parse_query(
            {**asked, "group_by": ["platform"]},
            campaign_ids=[campaign_id],
            several=False,
            facts=list(scope.facts.values()),
            now=self._clock.now(),
        )
        streamed = self._rows(replace(query, source=Source.STREAM), scope)
        reported = self._rows(replace(query, source=Source.REPORT), scope)
        causes = self._causes(query, scope, campaign_id)
        days = tuple(
            _reconciled(key, streamed.get(key), reported.get(key), causes, query, tolerance)
            for key in sorted(streamed.keys() | reported.keys(), key=lambda key: (key[1], key[0]))
        )
        return Reconciliation(query, tolerance, days)

    def _rows(self, query: InsightQuery, scope: Scope) -> dict[PlatformDay, InsightRow]:
        rows = self._answers.insights(query, scope).rows
        return {(str(row.group[0]), row.bucket.days.first): row for row in rows}

    def _causes(self, query: InsightQuery, scope: Scope, campaign_id: int) -> _Causes:
        claims = [
            one for one in self._reader.claims(scope) if not query.platforms or one.native.platform in query.platforms
        ]
        first, last = max(query.days.first, FIRST_DAY), min(query.days.last, LAST_DAY - _DAY)
        read = self._reader.read(claims, scope, query, query.days, by_country=False)
        if not claims or last < first:
            return _Causes({}, {}, {}, {}, frozenset())
        natives = sorted({one.native for one in claims})
        stood = self._reports.report_days(natives, first, last, None, by_country=False)
        places = {native: place for place, native in enumerate(natives)}
        currencies: dict[PlatformDay, set[str]] = {}
        codes = stood.currency.codes.tolist()
        for place, day, code in zip(stood.native.tolist(), stood.day.tolist(), codes, strict=True):
            key = (natives[place].platform, EPOCH + day * _DAY)
            currencies.setdefault(key, set()).add(str(stood.currency.names[code]))
        accounts = sorted({native.account for native in natives})
        unmapped = {
            (account.platform, day)
            for account in accounts
            for day in unmapped_days(self._reports, self._metadata, account, first, last)
        }
        return _Causes(
            cells={platform: cells for (_, platform), cells in read.cells.items()},
            fetched_us=_fetched(claims, places, stood.covered_us[Breakdown.TOTAL], first),
            currencies={key: frozenset(some) for key, some in currencies.items()},
            arrivals_ms=self._reports.last_arrivals(campaign_id, first, last),
            unmapped=frozenset(unmapped),
        )


def _tolerance(parameters: Mapping[str, Sequence[str]]) -> Decimal:
    given = parameters.get("tolerance")
    if not given:
        return DEFAULT_TOLERANCE
    try:
        tolerance = Decimal(given[0])
    except InvalidOperation:
        tolerance = Decimal(-1)
    if not tolerance.is_finite() or not 0 <= tolerance <= 1:
        raise InvalidInput.of("tolerance", "must be a fraction from 0 to 1, such as 0.05")
    return tolerance


def _fetched(
    claims: Sequence[Claim], places: Mapping[NativeCampaign, int], covered_us: I64,
    first: date,
) -> dict[PlatformDay, int]:  # fmt: skip
    found: dict[PlatformDay, int] = {}
    for claim in claims:
        for number, at_us in enumerate(covered_us[places[claim.native]].tolist()):
            day = first + number * _DAY
            if at_us != NEVER and any(start <= day <= end for start, end in claim.spans):
                key = (claim.native.platform, day)
                found[key] = min(found.get(key, at_us), at_us)
    return found


def _reconciled(
    key: PlatformDay,
    streamed: InsightRow | None,
    reported: InsightRow | None,
    causes: _Causes,
    query: InsightQuery,
    tolerance: Decimal,
) -> ReconciledDay:
    platform, day = key
    finality = min((row.finality for row in (streamed, reported) if row is not None), key=list(Finality).index)
    stream = streamed.sums if streamed else Sums()
    compared = []
    for metric in Metric:
        one = Compared(metric, stream.metric(metric), reported.sums.metric(metric) if reported else None, None)
        if reported is not None:
            one = _judged(one, tolerance)
            if one.within is not True:
                one = replace(one, hints=tuple(_hints(key, one, finality, causes, query)))
        compared.append(one)
    return ReconciledDay(platform, day, reported is not None, finality, causes.fetched_us.get(key), tuple(compared))


def _judged(one: Compared, tolerance: Decimal) -> Compared:
    difference = one.difference
    if difference is None or one.reported is None:
        return one  # an amount that could not be converted
    return replace(one, within=abs(difference) <= tolerance * abs(one.reported))


def _hints(key: PlatformDay, one: Compared, finality: Finality, causes: _Causes, query: InsightQuery) -> Sequence[Hint]:
    """Why this metric may differ; the more events there are than the report counts, the likelier they came late."""
    platform, day = key
    cells = causes.cells.get(platform)
    streamed_more = (one.difference or 0) > 0
    fetched_us, arrived_ms = causes.fetched_us.get(key), causes.arrivals_ms.get(key)
    hints = {
        Hint.TIME_ZONE: cells is not None and _is_another_day(cells, day, query),
        Hint.LATENESS: streamed_more
        and fetched_us is not None
        and arrived_ms is not None
        and arrived_ms * _US_PER_MS > fetched_us,
        Hint.WINDOW: finality in {Finality.LIVE, Finality.SETTLING},
        Hint.CURRENCY: one.metric in MONEY
        and (one.within is None or bool(causes.currencies.get(key, frozenset()) - {query.currency})),
        Hint.DEFINITION: one.metric in {Metric.CONVERSIONS, Metric.REVENUE},
        Hint.UNMAPPED: streamed_more and key in causes.unmapped,
        Hint.NOT_COVERED: cells is not None and bool(cells.partial[(day - query.days.first).days]),
    }
    return [hint for hint, applies in hints.items() if applies]


def _is_another_day(cells: Cells, day: date, query: InsightQuery) -> bool:
    number = (day - query.days.first).days
    zones = {native.zone for native in cells.natives if native.runs[number] and native.covered[number]}
    return any(day_start(edge, zone) != day_start(edge, query.zone) for zone in zones for edge in (day, day + _DAY))
