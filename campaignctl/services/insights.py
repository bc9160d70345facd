"""Answering questions about insights.

A question goes down these steps: whom it is about and whether the asker may see them, what exactly is asked, a look
into the cache, one statement for the sums (a second one for the range to compare with), and pure shaping into the body.

The cache is never told that something changed. Its key holds the versions of everything the answer is made from, so an
answer that is out of date is one that nobody asks for any more. Where a store does not answer, the last answer to the
same question is given and marked (``last_answers``), unless the asker waited for events that it may lack.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from threading import Lock
from typing import Literal, TypeAlias

from cachetools import LRUCache

from campaignctl.domain.insight_json import to_json
from campaignctl.domain.insight_questions import parse_campaign_ids, parse_choice, parse_query
from campaignctl.domain.insights import InsightQuery
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import NotFound, Unavailable
from campaignctl.ports.analytics import InsightStore
from campaignctl.ports.cache import Cache
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFacts, CampaignFilter
from campaignctl.services.campaign_choice import filter_of, read_choice
from campaignctl.services.insight_answers import (
    CACHE_TTL_S,
    InsightAnswers,
    InsightMetadata,
    InsightRules,
    cache_key,
    canonical_text,
    moment_text,
    quarter_of,
)
from campaignctl.services.insight_cursors import InsightCursors
from campaignctl.services.insight_reports import ReportedDays, ReportReader
from campaignctl.services.insight_scope import Scope
from campaignctl.services.last_answers import KEPT_S, LastAnswers, pack, unpack

_REMEMBERED_QUESTIONS = 2_048
_LONGEST_REMEMBERED = 512
"""Characters of all values together; all that is remembered stays below some megabytes."""


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
        self._rules = str(rules)
        """As keys hold them."""
        self._answers = InsightAnswers(
            store,
            ReportReader(reports, metadata, rules.lookback_days),
            metadata,
            cache,
            InsightCursors(cursor_key),
            rules,
        )
        self._flights = _Flights()
        self._keys = _Keys()
        self._last: LastAnswers[_Asked] = LastAnswers(cache, clock)

    def run(
        self,
        parameters: Mapping[str, Sequence[str]],
        actor: Actor,
        *,
        campaign_id: int | None = None,
        or_last: bool = True,
    ) -> InsightAnswer:
        """Answer a question as a query string or flags put it, each parameter with all its values.

        About one campaign, or (``campaign_id`` None) about those that the parameter ``campaign`` names; without it
        about those of the actor's that ``status`` and ``q`` let pass, which may be none. Raises ``NotFound`` for a
        campaign that is not there or not the actor's, ``InvalidInput`` or ``Unavailable``: without ``or_last`` also
        where the last answer could be given.
        """
        actor.require(Role.VIEWER)
        asked = _asked(parameters, actor, campaign_id)
        question = _text_of(parameters) if campaign_id is not None else None
        try:
            tried = None
            if campaign_id is not None and "after" not in parameters:  # who waited for something is told of it
                tried = self._key_by_facts_at_hand(parameters, asked, question, actor, campaign_id)
            hit = None if tried is None else self._cache.find(tried)
            if hit is not None:
                return self._answer(hit.value, hit.tier)
            scope = self._scope(asked, actor)  # facts of now: nothing is computed from those at hand
            known = self._keys.find(question, scope.facts, self._clock.now())
            hit = None if known in (None, tried) else self._cache.find(known)
            if hit is not None:
                return self._answer(hit.value, hit.tier)
            self._last.remember(asked, scope.facts)
            query = self._query(parameters, scope, several=campaign_id is None)
            key = self._key(query, scope)
            self._keys.keep(question, scope.facts, query, key)
            hit = None if key == known else self._cache.find(key)
            if hit is not None:
                return self._answer(hit.value, hit.tier)
            return self._answer(self._flights.run(key, lambda: self._compute(query, scope, key)), "miss")
        except Unavailable:
            entry = self._last_entry(parameters, asked, several=campaign_id is None) if or_last else None
            if entry is None:
                raise
            return self._answer(entry, "stale")

    def at_hand(self, parameters: Mapping[str, Sequence[str]], actor: Actor, campaign_id: int) -> InsightAnswer | None:
        """What ``run`` would answer, where all that it needs is in the process; None otherwise, and for a refusal.

        Asks no store and waits for nothing: going to a thread for it costs more than the answer.
        """
        actor.require(Role.VIEWER)
        known = self._key_at_hand(_text_of(parameters), actor, campaign_id)
        entry = None if known is None else self._cache.at_hand(known)
        return None if entry is None else self._answer(entry, "l1")

    def versions(self, campaign_ids: Collection[int]) -> dict[int, str]:
        """Of each campaign that is there, what changes with every answer about it; one statement for all of them."""
        quarter = quarter_of(self._clock.now())
        return {
            id_: f"{one.organization_id} {one.version} {one.data_version} {one.rates_version} {quarter}"
            for id_, one in self._metadata.campaign_facts(campaign_ids).items()
        }

    def forget_campaign(self, campaign_id: int) -> None:
        """Give no last answer about the campaign any more; it has been erased."""
        self._last.forget(campaign_id)

    def _key_at_hand(self, question: "_Text | None", actor: Actor, campaign_id: int) -> str | None:
        facts = self._metadata.facts_at_hand(campaign_id)
        if facts is None or not actor.sees(facts.organization_id):
            return None
        return self._keys.find(question, {campaign_id: facts}, self._clock.now())

    def _key_by_facts_at_hand(
        self,
        parameters: Mapping[str, Sequence[str]],
        asked: "_Asked",
        question: "_Text | None",
        actor: Actor,
        campaign_id: int,
    ) -> str | None:
        """As ``_key_at_hand``, also of a question that this process was not asked before: another one may have been."""
        known = self._key_at_hand(question, actor, campaign_id)
        if known is not None or question is None:
            return known
        facts = self._metadata.facts_at_hand(campaign_id)
        if facts is None or not actor.sees(facts.organization_id):
            return None
        scope = _scope_of(asked, {campaign_id: facts})
        self._last.remember(asked, scope.facts)
        query = self._query(parameters, scope, several=False)
        key = self._key(query, scope)
        self._keys.keep(question, scope.facts, query, key)
        return key

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
        scope = _scope_of(asked, facts)
        return self._last.find(_last_key(self._query(parameters, scope, several=several), scope))

    def _scope(self, asked: "_Asked", actor: Actor) -> Scope:
        if asked.campaign_ids is None:
            return _scope_of(asked, self._metadata.facts_of_chosen(asked.chosen))
        facts = self._metadata.campaign_facts(asked.campaign_ids)
        for one in asked.campaign_ids:
            if one not in facts or not actor.sees(facts[one].organization_id):
                raise NotFound(f"there is no campaign {one}")
        return _scope_of(asked, facts)

    def _key(self, query: InsightQuery, scope: Scope) -> str:
        """Holds everything that the answer depends on."""
        asked = f"{canonical_text(query)} {scope.choice} {moment_text(query)} {self._rules}"
        return cache_key(asked, scope.versions(scope.rates_version))

    def _compute(self, query: InsightQuery, scope: Scope, key: str) -> bytes:
        body = to_json(self._answers.insights(query, scope))
        entry = pack(self._clock.now(), body)
        self._cache.put_all({key: (entry, CACHE_TTL_S), _last_key(query, scope): (entry, KEPT_S)})
        return entry

    def _answer(self, entry: bytes, cache: Literal["l1", "l2", "miss", "stale"]) -> InsightAnswer:
        kept = unpack(entry)
        age_s = max(0.0, self._clock.now().timestamp() - kept.computed_at_s)
        return InsightAnswer(kept.body, f'"{kept.digest}"', cache, age_s)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Whose question it is, and about which campaigns."""

    campaign_ids: tuple[int, ...] | None
    """None: those that ``chosen`` finds."""
    chosen: CampaignFilter


def _asked(parameters: Mapping[str, Sequence[str]], actor: Actor, campaign_id: int | None) -> _Asked:
    if campaign_id is not None:
        return _Asked((campaign_id,), CampaignFilter(actor.organization_id))
    wanted = parse_campaign_ids(parameters)
    chosen = filter_of(read_choice(parse_choice(parameters, named=wanted is not None)), actor)
    return _Asked(None if wanted is None else tuple(wanted), chosen)


def _scope_of(asked: _Asked, facts: Mapping[int, CampaignFacts]) -> Scope:
    named = asked.campaign_ids is not None
    return Scope(facts, named=named, chosen=None if named else asked.chosen)


_Text: TypeAlias = tuple[tuple[str, tuple[str, ...]], ...]


def _text_of(parameters: Mapping[str, Sequence[str]]) -> _Text | None:
    """A question word for word, to be remembered; None where it is too long for that, or never means the same twice."""
    if "as_of" in parameters:
        return None
    text = tuple([(name, tuple(values)) for name, values in parameters.items() if name != "after"])
    size = sum(len(value) for _, values in text for value in values)
    return text if size <= _LONGEST_REMEMBERED else None


class _Keys:
    """The cache's keys of questions about one campaign that were asked lately, so that they are not read again.

    A key depends on the question's words, on what the campaign is (its versions among it, read for each answer) and
    on the quarter of an hour in which it is asked, so the same three have the same key. ``as_of`` is the exception
    (``_text_of``): whether it lies before the present is a matter of microseconds. Who asks is no part of a key, and is
    judged before it is looked for.
    """

    def __init__(self) -> None:
        self._kept: LRUCache[tuple[_Text, int], tuple[CampaignFacts, int, str]] = LRUCache(_REMEMBERED_QUESTIONS)
        self._lock = Lock()

    def find(self, question: _Text | None, facts: Mapping[int, CampaignFacts], now: datetime) -> str | None:
        if question is None or len(facts) != 1:
            return None
        (own,) = facts.values()
        with self._lock:
            kept = self._kept.get((question, own.id))
        if kept is None or kept[0] != own or kept[1] != quarter_of(now):
            return None
        return kept[2]

    def keep(self, question: _Text | None, facts: Mapping[int, CampaignFacts], query: InsightQuery, key: str) -> None:
        if question is None or len(facts) != 1:
            return
        (own,) = facts.values()
        with self._lock:
            self._kept[question, own.id] = own, quarter_of(query.asked_at), key


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
    return cache_key(f"last {canonical_text(query)} {scope.choice}", owners)
