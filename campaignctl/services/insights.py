"""Answering questions about insights.

A question goes down these steps: whom it is about and whether the asker may see them, what exactly is asked, a look
into the cache, one statement for the sums (a second one for the range to compare with), and pure shaping into the body.

The cache is never told that something changed. Its key holds the versions of everything the answer is made from, so an
answer that is out of date is one that nobody asks for any more. Where a store does not answer, the last answer to the
same question is given and marked (``last_answers``), unless the asker waited for events that it may lack.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import date
from threading import Lock
from typing import Literal

from campaignctl.domain.insight_json import to_json
from campaignctl.domain.insight_questions import parse_campaign_ids, parse_query
from campaignctl.domain.insights import InsightQuery
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import NotFound, Unavailable
from campaignctl.ports.analytics import InsightStore
from campaignctl.ports.cache import Cache
from campaignctl.ports.clock import Clock
from campaignctl.services.insight_answers import (
    CACHE_TTL_S,
    InsightAnswers,
    InsightMetadata,
    InsightRules,
    cache_key,
    canonical_text,
    moment_text,
)
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.insight_reports import ReportedDays, ReportReader
from campaignctl.services.insight_scope import Scope
from campaignctl.services.last_answers import LastAnswers, pack, unpack


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
        reports: ReportedDays,
        metadata: InsightMetadata,
        cache: Cache,
        clock: Clock,
        *,
        rules: InsightRules,
        cursor_key: bytes,
    ) -> None:
        self._metadata = metadata
        self._cache = cache
        self._clock = clock
        self._rules = rules
        self._answers = InsightAnswers(
            store,
            ReportReader(reports, metadata, rules.lookback_days),
            metadata,
            cache,
            InsightCursors(cursor_key),
            rules,
        )
        self._flights = _Flights()
        self._last: LastAnswers[_Asked] = LastAnswers(cache, clock)

    def run(
        self, parameters: Mapping[str, Sequence[str]], actor: Actor, *, campaign_id: int | None = None
    ) -> InsightAnswer:
        """Answer a question as a query string or flags put it, each parameter with all its values.

        About one campaign, or (``campaign_id`` None) about those that the parameter ``campaign`` names, all of the
        actor's without it. Raises ``NotFound`` for a campaign that is not there or not the actor's, ``InvalidInput``
        or ``Unavailable``.
        """
        actor.require(Role.VIEWER)
        wanted = [campaign_id] if campaign_id is not None else parse_campaign_ids(parameters)
        asked: _Asked = (actor.organization_id, None if wanted is None else tuple(wanted))
        query: InsightQuery | None = None
        try:
            scope = self._scope(wanted, actor)
            self._last.remember(asked, scope.facts)
            query = self._query(parameters, scope, several=campaign_id is None)
            key = self._key(query, scope)
            hit = self._cache.find(key)
            if hit is not None:
                return self._answer(hit.value, hit.tier)
            return self._answer(self._flights.run(key, lambda: self._compute(query, scope, key)), "miss")
        except Unavailable:
            entry = self._last_entry(parameters, asked, several=campaign_id is None)
            if entry is None:
                raise
            return self._answer(entry, "stale")

    def forget_campaign(self, campaign_id: int) -> None:
        """Give no last answer about the campaign any more; it has been erased."""
        self._last.forget(campaign_id)

    def _query(self, parameters: Mapping[str, Sequence[str]], scope: Scope, *, several: bool) -> InsightQuery:
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
        scope = Scope(facts, named=asked[1] is not None)
        return self._last.find(_last_key(self._query(parameters, scope, several=several), scope))

    def _scope(self, wanted: Sequence[int] | None, actor: Actor) -> Scope:
        if wanted is None:
            everything = self._metadata.campaign_ids(actor.organization_id)
            return Scope(self._metadata.campaign_facts(everything), named=False)
        facts = self._metadata.campaign_facts(wanted)
        for one in wanted:
            if one not in facts or not actor.sees(facts[one].organization_id):
                raise NotFound(f"there is no campaign {one}")
        return Scope(facts, named=True)

    def _key(self, query: InsightQuery, scope: Scope) -> str:
        """Holds everything that the answer depends on."""
        asked = f"{canonical_text(query)} {moment_text(query)} {self._rules}"
        return cache_key(asked, scope.versions(self._rates_version(scope, query.currency)))

    def _rates_version(self, scope: Scope, currency: str) -> int:
        if scope.organization_id is None:
            return 0
        # A range without days: no rates, please.
        version, _ = self._metadata.rates_between(scope.organization_id, currency, date.max, date.min)
        return version

    def _compute(self, query: InsightQuery, scope: Scope, key: str) -> bytes:
        body = to_json(self._answers.insights(query, scope))
        entry = pack(self._clock.now(), body)
        self._cache.put(key, entry, CACHE_TTL_S)
        self._last.keep(_last_key(query, scope), entry)
        return entry

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


def _last_key(query: InsightQuery, scope: Scope) -> str:
    """Under which the last answer is kept: the question and whose campaigns they are, whatever their data."""
    owners = sorted([one.id, one.organization_id] for one in scope.facts.values())
    return cache_key(f"last {canonical_text(query)}", owners)
