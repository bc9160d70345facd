"""Computing one answer about insights: what is asked of the stores, and what is made of it.

One statement answers for the sums, a second one for the range to compare with. Where raw records have expired, one more
asks the rollup on which of these days there was anything at all.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from campaignctl.domain.insight_gaps import Gap, days_around, days_sharing, expired_days, with_gaps
from campaignctl.domain.insight_rates import Conversions, RateTable
from campaignctl.domain.insight_rows import RowTable
from campaignctl.domain.insight_sums import StoredSums
from campaignctl.domain.insight_warnings import raw_expired
from campaignctl.domain.insights import (
    Comparison,
    Dimension,
    Fill,
    Freshness,
    InsightQuery,
    Insights,
    Warning_,
    freshness_of,
)
from campaignctl.domain.periods import (
    Bucket,
    Granularity,
    Timeline,
    buckets_of_days,
    buckets_of_hours,
    timeline_of_buckets,
    timeline_of_days,
)
from campaignctl.ports.analytics import InsightStore, SumsQuestion
from campaignctl.ports.cache import Cache
from campaignctl.ports.metadata import CampaignFactsStore, RateStore
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.insight_scope import Scope

CACHE_TTL_S = 300.0
QUARTER_S = 900
"""Days and hours begin, in every zone, at quarters of an hour of UTC."""
_KEY_VERSION = "insights:v2"
_DAY = timedelta(days=1)
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)


class InsightMetadata(CampaignFactsStore, RateStore, Protocol):
    """What insights need of the metadata store."""


@dataclass(frozen=True, slots=True)
class InsightRules:
    """Settings of the installation that answers depend on."""

    max_rate_age_days: int = 7
    retention_days: int = 400
    """How long raw events are kept."""


class InsightAnswers:
    """May be used by several threads."""

    def __init__(
        self, store: InsightStore, metadata: InsightMetadata, cache: Cache, cursors: InsightCursors, rules: InsightRules
    ) -> None:
        self._store = store
        self._metadata = metadata
        self._cache = cache
        self._cursors = cursors
        self._rules = rules

    def insights(self, query: InsightQuery, scope: Scope) -> Insights:
        asked = asked_text(query, scope)
        after = self._cursors.decode(query.cursor, asked) if query.cursor is not None else None
        conversions = Conversions(self._rates(query, scope))
        answer = _Answer(self._store, scope, self._rules, conversions)
        table = answer.table(query)
        rows, last = table.page(after)
        return Insights(
            query=query,
            rows=tuple(rows),
            totals=table.totals,
            comparison=_comparison(query, answer),
            next_cursor=None if last is None else self._cursors.encode(last, asked),
            freshness=self._freshness(query, scope),
            warnings=tuple(sorted(answer.warnings(), key=lambda warning: warning.code)),
        )

    def _rates(self, query: InsightQuery, scope: Scope) -> RateTable:
        """Every rate that may be needed for the range and for the one it is compared with."""
        max_age_days = self._rules.max_rate_age_days
        if scope.organization_id is None:
            return RateTable(query.currency, [], max_age_days)
        first = min(query.days.first, query.earlier_days.first if query.earlier_days else query.days.first)
        first -= timedelta(days=max_age_days)
        _, rates = self._metadata.rates_between(scope.organization_id, query.currency, first, query.days.last)
        return RateTable(query.currency, rates, max_age_days)

    def _freshness(self, query: InsightQuery, scope: Scope) -> tuple[Freshness, ...]:
        """The newest events are the same for every question about the same data."""
        as_of_us = _as_of_us(query)
        key = cache_key(f"freshness {as_of_us}", scope.versions(0))
        kept = self._cache.get(key)
        if kept is None:
            kept = json.dumps(dict(self._store.newest_events(query.campaign_ids, as_of_us))).encode()
            self._cache.put(key, kept, CACHE_TTL_S)
        return freshness_of(query, scope.linked_platforms, json.loads(kept))


class _Answer:
    """One answer in the making: its ranges share what they warn of."""

    def __init__(self, store: InsightStore, scope: Scope, rules: InsightRules, conversions: Conversions) -> None:
        self._store = store
        self._scope = scope
        self._rules = rules
        self._conversions = conversions
        self._expired: set[date] = set()

    def warnings(self) -> list[Warning_]:
        found = self._conversions.warnings()
        if self._expired:
            found.append(raw_expired(self._expired, self._rules.retention_days))
        return found

    def table(self, query: InsightQuery) -> RowTable:
        buckets, timeline = _buckets(query)
        sums = self._streamed(query, buckets, timeline)
        gaps = [] if self._scope.fits_rollup(query) and timeline is None else self._gaps(query)
        self._expired.update(gap.day for gap in gaps)
        return RowTable(query, buckets, with_gaps(sums, query, buckets, gaps), self._conversions)

    def _streamed(self, query: InsightQuery, buckets: Sequence[Bucket], timeline: Timeline | None) -> StoredSums:
        question = _sums_question(query)
        if timeline is None and self._scope.fits_rollup(query):
            starts = [bucket.days.first for bucket in buckets]
            return self._store.sums_by_day(question, starts, query.days.last + _DAY)
        timeline = timeline or timeline_of_buckets(buckets, query.days, query.zone)
        return self._store.sums_by_time(question, timeline, timeline_of_days(query.days, query.zone))

    def _gaps(self, query: InsightQuery) -> list[Gap]:
        """What the rollup knows of on the days whose raw records may be gone."""
        now = _quarter(query.asked_at)
        expired = expired_days(query.days, query.zone, now - timedelta(days=self._rules.retention_days))
        if expired is None:
            return []
        group_by = [Dimension.CAMPAIGN, Dimension.PLATFORM]
        if Dimension.REGION in query.group_by:
            group_by.append(Dimension.REGION)
        around = list(days_around(expired))
        question = replace(_sums_question(query), group_by=group_by, as_of_us=None)
        sums = self._store.sums_by_day(question, around, around[-1] + _DAY)
        gaps = set()
        for row, number in enumerate(sums.bucket.tolist()):
            values = [keys.names[keys.codes[row]] for keys in sums.groups]
            campaign, platform, region = int(values[0]), str(values[1]), str(values[2]) if len(values) > 2 else ""
            own = ZoneInfo(self._scope.facts[campaign].timezone)
            for day in days_sharing(around[number], own, query.zone):
                if expired.first <= day <= expired.last:
                    gaps.add(Gap(day, campaign, platform, region))
        return list(gaps)


def asked_text(query: InsightQuery, scope: Scope) -> str:
    """The question without its page, and without what changes while its pages are turned."""
    campaign_ids = query.campaign_ids if scope.named else ()
    return json.dumps([scope.organization_id, _members(replace(query, campaign_ids=campaign_ids))])


def canonical_text(query: InsightQuery) -> str:
    """Everything that the answer depends on beside the data and the time: equal questions have equal texts."""
    return json.dumps([_members(query), query.limit, query.cursor])


def moment_text(query: InsightQuery) -> str:
    """The time as far as answers depend on it: what has begun or is over changes with the quarters of an hour."""
    return str(int(query.asked_at.timestamp()) // QUARTER_S)


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
        _as_of_us(query),
    ]


def _as_of_us(query: InsightQuery) -> int | None:
    return None if query.as_of is None else (query.as_of - _EPOCH) // _MICROSECOND


def _quarter(instant: datetime) -> datetime:
    """The quarter of an hour that an instant lies in: answers are kept that long."""
    return datetime.fromtimestamp(int(instant.timestamp()) // QUARTER_S * QUARTER_S, UTC)


def _buckets(query: InsightQuery) -> tuple[Sequence[Bucket], Timeline | None]:
    """The buckets of the range; and when they are, where they are hours."""
    if query.granularity is Granularity.HOURLY:
        return buckets_of_hours(query.days, query.zone)
    return buckets_of_days(query.days, query.granularity, query.week_start), None


def _sums_question(query: InsightQuery) -> SumsQuestion:
    return SumsQuestion(
        query.campaign_ids, query.platforms, query.regions, query.group_by, query.currency, _as_of_us(query)
    )


def _comparison(query: InsightQuery, answer: _Answer) -> Comparison | None:
    if query.compare is None or query.earlier_days is None:
        return None
    earlier = replace(query, days=query.earlier_days, fill=Fill.NONE, compare=None)
    return Comparison(query.compare, earlier.days, answer.table(earlier).totals)
