"""Answering questions about insights.

A question goes down these steps: whom it is about and whether the asker may see them, what exactly is asked, a look
into the cache, one statement for the sums (a second one for the range to compare with), and pure shaping into the body.

The cache is never told that something changed. Its key holds the versions of everything the answer is made from, so an
answer that is out of date is one that nobody asks for any more. Where a store does not answer, the last answer to the
same question is given and marked (``last_answers``), unless the asker waited for events that it may lack.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import date, timedelta
from threading import Lock
from typing import Literal, Protocol

from campaignctl.domain.insight_json import to_json
from campaignctl.domain.insight_questions import parse_campaign_ids, parse_query
from campaignctl.domain.insight_rates import Conversions, RateTable
from campaignctl.domain.insight_rows import RowTable
from campaignctl.domain.insights import (
    Comparison,
    Dimension,
    Fill,
    Freshness,
    InsightQuery,
    Insights,
    freshness_of,
)
from campaignctl.domain.periods import (
    Granularity,
    buckets_of_days,
    buckets_of_hours,
    timeline_of_buckets,
    timeline_of_days,
)
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput, NotFound, Unavailable
from campaignctl.ports.analytics import InsightStore, SumsQuestion
from campaignctl.ports.cache import Cache
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFacts, CampaignFactsStore, RateStore
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.last_answers import LastAnswers, pack, unpack

_CACHE_TTL_S = 300.0
_KEY_VERSION = "insights:v1"
_DIMENSIONS_OF_ROLLUP = {Dimension.PLATFORM, Dimension.REGION, Dimension.CAMPAIGN}


class InsightMetadata(CampaignFactsStore, RateStore, Protocol):
    """What insights need of the metadata store."""


@dataclass(frozen=True, slots=True)
class InsightAnswer:
    body: bytes
    """JSON, UTF-8."""
    etag: str
    """A strong entity tag, in its quotes: another body has another one."""
    cache: Literal["l1", "l2", "miss", "stale"]
    """Where the body came from; ``stale``: it is the last one, because a store is away."""
    age_s: float
    """How long ago it was computed."""


class InsightService:
    """May be used by several threads; equal questions at one time are answered by one computation."""

    def __init__(
        self,
        store: InsightStore,
        metadata: InsightMetadata,
        cache: Cache,
        clock: Clock,
        *,
        max_rate_age_days: int,
        cursor_key: bytes,
    ) -> None:
        self._store = store
        self._metadata = metadata
        self._cache = cache
        self._clock = clock
        self._max_rate_age_days = max_rate_age_days
        self._cursors = InsightCursors(cursor_key)
        self._flights = _Flights()
        self._last: LastAnswers[_Asked] = LastAnswers(cache, clock)

    def run(
        self, parameters: Mapping[str, Sequence[str]], actor: Actor, *, campaign_id: int | None = None
    ) -> InsightAnswer:
        """Answer a question as a query string or flags put it, each parameter with all its values.

        About one campaign, or (``campaign_id`` None) about those that the parameter ``campaign`` names, all of the
        actor's without it. Raises ``NotFound`` for a campaign that is not there or not the actor's, ``InvalidInput``,
        ``NotAvailableYet`` or ``Unavailable``.
        """
        actor.require(Role.VIEWER)
        wanted = [campaign_id] if campaign_id is not None else parse_campaign_ids(parameters)
        asked: _Asked = (actor.organization_id, None if wanted is None else tuple(wanted))
        query: InsightQuery | None = None
        try:
            scope = self._scope(wanted, actor)
            self._last.remember(asked, scope.facts)
            query = self._query(parameters, scope, several=campaign_id is None)
            key = _key(_canonical(query), scope.versions(self._rates_version(scope, query.currency)))
            hit = self._cache.find(key)
            if hit is not None:
                return self._answer(hit.value, hit.tier)
            return self._answer(self._flights.run(key, lambda: self._compute(query, scope, key)), "miss")
        except Unavailable:
            entry = self._last_entry(parameters, asked, several=campaign_id is None)
            if entry is None:
                raise
            return self._answer(entry, "stale")

    def _query(self, parameters: Mapping[str, Sequence[str]], scope: "_Scope", *, several: bool) -> InsightQuery:
        return parse_query(
            parameters,
            campaign_ids=sorted(scope.facts),
            several=several,
            facts=scope.facts.values(),
            now=self._clock.now(),
        )

    def _last_entry(self, parameters: Mapping[str, Sequence[str]], asked: "_Asked", *, several: bool) -> bytes | None:
        """What was answered last, while a store is away; nothing to somebody who waited for their own events."""
        facts = self._last.remembered(asked)
        if facts is None or "after" in parameters:
            return None
        scope = _Scope(facts, named=asked[1] is not None)
        return self._last.find(_last_key(self._query(parameters, scope, several=several), scope))

    def _scope(self, wanted: Sequence[int] | None, actor: Actor) -> "_Scope":
        if wanted is None:
            everything = self._metadata.campaign_ids(actor.organization_id)
            return _Scope(self._metadata.campaign_facts(everything), named=False)
        facts = self._metadata.campaign_facts(wanted)
        for one in wanted:
            if one not in facts or not actor.sees(facts[one].organization_id):
                raise NotFound(f"there is no campaign {one}")
        return _Scope(facts, named=True)

    def _rates_version(self, scope: "_Scope", currency: str) -> int:
        if scope.organization_id is None:
            return 0
        # A range without days: no rates, please.
        version, _ = self._metadata.rates_between(scope.organization_id, currency, date.max, date.min)
        return version

    def _compute(self, query: InsightQuery, scope: "_Scope", key: str) -> bytes:
        body = to_json(self._insights(query, scope))
        entry = pack(self._clock.now(), body)
        self._cache.put(key, entry, _CACHE_TTL_S)
        self._last.keep(_last_key(query, scope), entry)
        return entry

    def _insights(self, query: InsightQuery, scope: "_Scope") -> Insights:
        asked = _asked(query, scope)
        after = self._cursors.decode(query.cursor, asked) if query.cursor is not None else None
        conversions = Conversions(self._rates(query, scope))
        table = self._table(query, scope, conversions)
        rows, last = table.page(after)
        return Insights(
            query=query,
            rows=tuple(rows),
            totals=table.totals,
            comparison=self._comparison(query, scope, conversions),
            next_cursor=None if last is None else self._cursors.encode(last, asked),
            freshness=self._freshness(query, scope),
            warnings=tuple(conversions.warnings()),
        )

    def _rates(self, query: InsightQuery, scope: "_Scope") -> RateTable:
        """Every rate that may be needed for the range and for the one it is compared with."""
        if scope.organization_id is None:
            return RateTable(query.currency, [], self._max_rate_age_days)
        first = min(query.days.first, query.earlier_days.first if query.earlier_days else query.days.first)
        first -= timedelta(days=self._max_rate_age_days)
        _, rates = self._metadata.rates_between(scope.organization_id, query.currency, first, query.days.last)
        return RateTable(query.currency, rates, self._max_rate_age_days)

    def _table(self, query: InsightQuery, scope: "_Scope", conversions: Conversions) -> RowTable:
        question = SumsQuestion(query.campaign_ids, query.platforms, query.regions, query.group_by, query.currency)
        days = query.days
        if query.granularity is Granularity.HOURLY:
            buckets, timeline = buckets_of_hours(days, query.zone)
            sums = self._store.sums_by_time(question, timeline, timeline_of_days(days, query.zone))
            return RowTable(query, buckets, sums, conversions)
        buckets = buckets_of_days(days, query.granularity, query.week_start)
        if scope.fits_rollup(query):
            starts = [bucket.days.first for bucket in buckets]
            sums = self._store.sums_by_day(question, starts, days.last + timedelta(days=1))
        else:
            timeline = timeline_of_buckets(buckets, days, query.zone)
            sums = self._store.sums_by_time(question, timeline, timeline_of_days(days, query.zone))
        return RowTable(query, buckets, sums, conversions)

    def _comparison(self, query: InsightQuery, scope: "_Scope", conversions: Conversions) -> Comparison | None:
        if query.compare is None or query.earlier_days is None:
            return None
        earlier = replace(query, days=query.earlier_days, fill=Fill.NONE, compare=None)
        return Comparison(query.compare, earlier.days, self._table(earlier, scope, conversions).totals)

    def _freshness(self, query: InsightQuery, scope: "_Scope") -> tuple[Freshness, ...]:
        """The newest events are the same for every question about the same data."""
        key = _key("freshness", scope.versions(0))
        kept = self._cache.get(key)
        if kept is None:
            kept = json.dumps(dict(self._store.newest_events(query.campaign_ids))).encode()
            self._cache.put(key, kept, _CACHE_TTL_S)
        return freshness_of(query, scope.linked_platforms, json.loads(kept))

    def _answer(self, entry: bytes, cache: Literal["l1", "l2", "miss", "stale"]) -> InsightAnswer:
        computed_at, body = unpack(entry)
        age_s = max(0.0, (self._clock.now() - computed_at).total_seconds())
        return InsightAnswer(body, f'"{hashlib.sha256(body).hexdigest()[:32]}"', cache, age_s)


_Asked = tuple[int | None, tuple[int, ...] | None]
"""Whose question it is, and about which campaigns; None: all organizations, all campaigns."""


class _Flights:
    """Lets equal computations that are asked for at one time happen once."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: dict[str, Future[bytes]] = {}

    def run(self, key: str, compute: Callable[[], bytes]) -> bytes:
        with self._lock:
            running = self._running.get(key)
            if running is None:
                mine = self._running[key] = Future[bytes]()
        if running is not None:
            return running.result()
        try:
            mine.set_result(compute())
        except BaseException as error:
            mine.set_exception(error)
            raise
        finally:
            with self._lock:
                del self._running[key]
        return mine.result()


class _Scope:
    """The campaigns that a question is about."""

    def __init__(self, facts: Mapping[int, CampaignFacts], *, named: bool) -> None:
        self.facts = facts
        self.named = named
        """Whether the question names them; else they are all that the asker sees."""
        organizations = {one.organization_id for one in facts.values()}
        if len(organizations) > 1:
            raise InvalidInput.of(
                "campaign", "must name campaigns of one organization, because each has currency rates of its own"
            )
        self.organization_id = next(iter(organizations), None)
        """Whose rates count; None without campaigns."""

    @property
    def linked_platforms(self) -> frozenset[str]:
        return frozenset(platform for one in self.facts.values() for platform in one.platforms)

    def versions(self, rates_version: int) -> list[list[int]]:
        """Of everything in the stores that an answer is made from."""
        campaigns = [[one.id, one.organization_id, one.version, one.data_version] for one in self.facts.values()]
        return [[rates_version], *sorted(campaigns)]

    def fits_rollup(self, query: InsightQuery) -> bool:
        """Whether sums by day, in the campaigns' own zones, are what is asked for."""
        zones_agree = all(one.timezone == query.zone.key for one in self.facts.values())
        return zones_agree and set(query.group_by) <= _DIMENSIONS_OF_ROLLUP


def _asked(query: InsightQuery, scope: _Scope) -> str:
    """The question without its page, and without what changes while its pages are turned."""
    campaign_ids = query.campaign_ids if scope.named else ()
    return json.dumps([scope.organization_id, _members(replace(query, campaign_ids=campaign_ids))])


def _canonical(query: InsightQuery) -> str:
    """Everything that the answer depends on beside the data: equal questions have equal texts."""
    # Which hours have begun changes with the quarters of an hour of UTC, which all offsets are multiples of.
    by_hour = query.fill is Fill.ZERO and query.granularity is Granularity.HOURLY
    begun = int(query.now.timestamp()) // 900 if by_hour else 0
    return json.dumps([_members(query), query.today.isoformat(), begun, query.limit, query.cursor])


def _last_key(query: InsightQuery, scope: _Scope) -> str:
    """Under which the last answer is kept: the question and whose campaigns they are, whatever their data."""
    owners = sorted([one.id, one.organization_id] for one in scope.facts.values())
    return _key(f"last {_canonical(query)}", owners)


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
    ]


def _key(what: str, versions: list[list[int]]) -> str:
    return f"{_KEY_VERSION}:{hashlib.sha256(json.dumps([what, versions]).encode()).hexdigest()}"
