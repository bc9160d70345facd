"""Computing one answer about insights: what is asked of the stores, and what is made of it.

Links are read first, for the native campaigns whose reports may stand in place of the stream. Where nothing was ever
fetched, one statement answers for the sums, and a second one for the range to compare with; beside them another looks
for the newest events.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

import msgspec

from campaignctl.domain.insight_freshness import Reported, days_in_doubt, freshness_of
from campaignctl.domain.insight_rates import Conversions, RateTable
from campaignctl.domain.insights import (
    Comparison,
    Fill,
    Freshness,
    InsightQuery,
    InsightRow,
    Insights,
)
from campaignctl.ports.analytics import InsightStore
from campaignctl.ports.cache import Cache
from campaignctl.ports.metadata import CampaignFactsStore, LinkStore, RateStore
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.insight_ranges import QUARTER_S, RangeReader, as_of_us
from campaignctl.services.insight_reports import Claim, ReportReader
from campaignctl.services.insight_scope import Scope

CACHE_TTL_S = 300.0
_READS_BESIDE = 4
_KEY_VERSION = "insights:v3"

_T = TypeVar("_T")


class Begin(Protocol):
    """Begins to read; calling what is answered gives what was read, or raises what was raised."""

    def __call__(self, read: Callable[[], _T], /) -> Callable[[], _T]: ...


class InsightMetadata(CampaignFactsStore, LinkStore, RateStore, Protocol):
    """What insights need of the metadata store."""


@dataclass(frozen=True, slots=True)
class InsightRules:
    """Settings of the installation that answers depend on."""

    max_rate_age_days: int = 7
    retention_days: int = 400
    """How long raw events are kept."""
    lookback_days: Mapping[str, int] = field(
        default_factory=lambda: {"meta": 28, "google": 30, "linkedin": 7, "tiktok": 7}
    )
    """By platform, after how many days a report is final."""


@dataclass(frozen=True, slots=True)
class Opened:
    """What the ranges of one answer share."""

    ranges: RangeReader
    conversions: Conversions
    claims: Sequence[Claim]
    """Of all platforms, fetched or not."""
    freshness: Callable[[], Sequence[Freshness]]
    """Of every platform that is linked or has data; its answer is read meanwhile."""


class InsightAnswers:
    """May be used by several threads."""

    def __init__(
        self,
        store: InsightStore,
        reports: ReportReader,
        metadata: InsightMetadata,
        cache: Cache,
        cursors: InsightCursors,
        rules: InsightRules,
    ) -> None:
        self._store = store
        self._reports = reports
        self._metadata = metadata
        self._cache = cache
        self._cursors = cursors
        self._rules = rules
        self._rules_text = str(rules)
        self._beside = _Beside()

    def insights(self, query: InsightQuery, scope: Scope) -> Insights:
        asked = asked_text(query, scope)
        after = self._cursors.decode(query.cursor, asked) if query.cursor is not None else None
        with self._beside.reading() as begin:
            opened = self.open(query, scope, begin)
            answer = opened.ranges
            table = answer.table(query)
            rows, last = table.page(after)
            known = {one.platform: one for one in opened.freshness()}
        return Insights(
            query=query,
            rows=tuple(rows),
            totals=table.totals,
            comparison=_comparison(query, answer, rows),
            next_cursor=None if last is None else self._cursors.encode(last, asked),
            freshness=tuple(known.get(one, Freshness(one)) for one in query.platforms or known),
            warnings=tuple(sorted(answer.warnings(query), key=lambda warning: warning.code)),
        )

    def open(self, query: InsightQuery, scope: Scope, begin: Begin | None = None) -> "Opened":
        """Make everything ready to read the ranges of an answer; ``begin`` reads beside that what its end needs."""
        conversions = Conversions(lambda: self._rates(query, scope))
        claims = self._reports.claims(scope)
        fetched, freshness = self._freshness(query, scope, claims, begin or _when_needed)
        of_fetched = [one for one in claims if one.native.platform in fetched]
        ranges = RangeReader(self._store, self._reports, scope, of_fetched, conversions, self._rules.retention_days)
        return Opened(ranges, conversions, claims, freshness)

    def _rates(self, query: InsightQuery, scope: Scope) -> RateTable:
        """Every rate that may be needed for the range and for the one it is compared with."""
        max_age_days = self._rules.max_rate_age_days
        if scope.organization_id is None:
            return RateTable(query.currency, [], max_age_days)
        first = min(query.days.first, query.earlier_days.first if query.earlier_days else query.days.first)
        first -= timedelta(days=max_age_days)
        _, rates = self._metadata.rates_between(scope.organization_id, query.currency, first, query.days.last)
        return RateTable(query.currency, rates, max_age_days)

    def _freshness(
        self, query: InsightQuery, scope: Scope, claims: Sequence[Claim], begin: Begin
    ) -> "tuple[Collection[str], Callable[[], list[Freshness]]]":
        """The platforms that anything was fetched of, and the way to the freshness of each that is linked or has data.

        It is the same for all questions of one zone about the same data. The newest events are looked for beside what
        is done until they are needed: that statement costs half as much as the one for the sums. Where nothing is
        claimed nothing can have been fetched, and the sums do not even wait for the cache.
        """
        asked = f"freshness {as_of_us(query)} {query.zone.key} {moment_text(query)} {self._rules_text}"
        key = cache_key(asked, scope.versions(0))
        if not claims:
            return (), begin(lambda: self._freshness_of_stream(key, query, scope))
        kept = self._kept_freshness(key)
        if kept is not None:
            return [one.platform for one in kept if one.last_report_us is not None], lambda: kept
        newest = begin(lambda: self._newest(query))
        everywhere = replace(query, platforms=())
        reports = self._reports.read(claims, scope, everywhere, days_in_doubt(query.today), by_country=False)
        reported: dict[str, list[Reported]] = {}
        for (campaign, platform), cells in reports.cells.items():
            last_us = reports.last_fetched_us.get((campaign, platform))
            reported.setdefault(platform, []).append(Reported(cells, last_us))
        fetched = {platform for _, platform in reports.last_fetched_us}
        return fetched, lambda: self._judged(key, query, scope, newest(), reported)

    def _freshness_of_stream(self, key: str, query: InsightQuery, scope: Scope) -> list[Freshness]:
        kept = self._kept_freshness(key)
        return self._judged(key, query, scope, self._newest(query), {}) if kept is None else kept

    def _kept_freshness(self, key: str) -> list[Freshness] | None:
        kept = self._cache.get(key)
        return None if kept is None else msgspec.json.decode(kept, type=list[Freshness])

    def _newest(self, query: InsightQuery) -> Mapping[str, int]:
        return self._store.newest_events(query.campaign_ids, as_of_us(query))

    def _judged(
        self,
        key: str,
        query: InsightQuery,
        scope: Scope,
        newest_us: Mapping[str, int],
        reported: Mapping[str, Sequence[Reported]],
    ) -> list[Freshness]:
        """What is found out anew, and kept under the key."""
        platforms = sorted(scope.linked_platforms | newest_us.keys())
        fresh = freshness_of(platforms, query.today, newest_us, reported, campaigns=len(scope.facts))
        self._cache.put(key, msgspec.json.encode(fresh), CACHE_TTL_S)
        return fresh


class _Beside:
    """Threads in which something is read beside what asks for it. May be used by several threads."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_READS_BESIDE, "insights-beside")

    @contextmanager
    def reading(self) -> Iterator[Begin]:
        """What begins to read at once; nothing is being read any more when the block is left, however that is.

        What no thread has begun with when it is needed is read by whoever needs it: under load nothing waits for the
        few threads there are.
        """
        begun: list[Future[Any]] = []

        def begin(read: Callable[[], _T], /) -> Callable[[], _T]:
            future = self._threads.submit(copy_context().run, read)  # whoever notes statements is told of this one too
            begun.append(future)
            return lambda: read() if future.cancel() else future.result()

        try:
            yield begin
        finally:
            wait([future for future in begun if not future.cancel()])


def _when_needed(read: Callable[[], _T], /) -> Callable[[], _T]:
    return read


def asked_text(query: InsightQuery, scope: Scope) -> str:
    """The question without its page, and without what changes while its pages are turned."""
    campaign_ids = query.campaign_ids if scope.named else ()
    return json.dumps([scope.organization_id, scope.choice, _members(replace(query, campaign_ids=campaign_ids))])


def canonical_text(query: InsightQuery) -> str:
    """Everything that the answer depends on beside the data and the time: equal questions have equal texts."""
    return json.dumps([_members(query), query.limit, query.cursor])


def moment_text(query: InsightQuery) -> str:
    """The time as far as answers depend on it: what has begun or is over changes with the quarters of an hour."""
    return str(quarter_of(query.asked_at))


def quarter_of(instant: datetime) -> int:
    """The number of the quarter of an hour."""
    return int(instant.timestamp()) // QUARTER_S


def cache_key(what: str, versions: Sequence[Sequence[int]]) -> str:
    return f"{_KEY_VERSION}:{hashlib.sha256(json.dumps([what, versions]).encode()).hexdigest()}"


def _members(query: InsightQuery) -> list[object]:
    return [
        query.several,
        query.campaign_ids,
        query.days.first.isoformat(),
        query.days.last.isoformat(),
        query.granularity,
        query.zone.key,
        query.week_start,
        query.currency,
        query.source,
        query.group_by,
        query.platforms,
        query.regions,
        query.compare,
        query.fill,
        query.sort,
        query.order,
        as_of_us(query),
    ]


def _comparison(query: InsightQuery, answer: RangeReader, rows: Sequence[InsightRow]) -> Comparison | None:
    if query.compare is None or query.earlier_days is None:
        return None
    earlier = replace(query, days=query.earlier_days, fill=Fill.NONE, compare=None)
    table = answer.table(earlier)
    return Comparison(query.compare, earlier.days, table.totals, table.beside(rows))
