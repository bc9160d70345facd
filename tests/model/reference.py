"""A brute-force model of what campaignctl counts and answers (contract, sections 1, 4 and 5).

`Model.feed` takes the records of a campaign in the order of its own partition, `Model.reports` is told what fetches
found (`reported.Book`), `Model.answer` looks at every counted event and every report for every question. Everything is
exact: counts are integers, decimals are integers of millionths until they are shown, ratios and conversions are
fractions rounded once. `after` and paging are not modelled.

Where the contract leaves a choice, this is the one made here:

- A copy is inside the window when its log time is at most `dedup_window_days` after that of the counted original; a
  copy never renews the window. A refused record is no original.
- A bucket has begun, for `fill=zero`, when one of its days inside the asked range has begun (an hour: when it has).
- `mixed_currency` and `missing_rate` speak of the asked range and of the one it is compared with.
- `order` without `sort` changes nothing.
- Days on which nothing that is asked ever happened need no raw records; a day of the asked zone shares its fate with
  the campaign's own days that it has an instant in common with.
- What lies in a bucket that must have no row is not seen: its groups are not filled up elsewhere.
- The platforms that have data are those with any event or any report in the range, whatever the region.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from tests.model.histories import History
from tests.model.records import CURRENCIES, MICRO, PLATFORMS, REGION, Event, Limits, RefusedError, read_event
from tests.model.reported import LEVELS, Book, Cell, Fact, Then, midnight

Json = dict[str, Any]

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=15)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY_MS = 86_400_000

COUNTS = ("impressions", "clicks")
MONEY = ("spend", "revenue")
METRICS = (*COUNTS, "conversions", *MONEY)
RATIOS = {  # name: (factor, dividend, divisor)
    "ctr": (1, "clicks", "impressions"),
    "cpc": (1, "spend", "clicks"),
    "cpm": (1000, "spend", "impressions"),
    "cpa": (1, "spend", "conversions"),
    "cvr": (1, "conversions", "clicks"),
    "roas": (1, "revenue", "spend"),
}
GROUPINGS = {  # name: member of a row, which is also the attribute of an event
    "platform": "platform",
    "region": "region",
    "ad_group": "ad_group_id",
    "ad": "ad_id",
    "device": "device",
    "campaign": "campaign_id",
}
GRANULARITIES = ("hourly", "daily", "weekly", "monthly", "total")
_PARAMETERS = """
start_date end_date timezone granularity week_start group_by platform region source compare as_of currency fill sort
order
"""
PARAMETERS = frozenset(_PARAMETERS.split())
MAX_DAYS = 5 * 366
MAX_HOURLY_DAYS = 93
DEFAULT_DAYS = 30


class InvalidQuestionError(Exception):
    """The question is answered 422; `fields` are those an answer may name, the likeliest first."""

    def __init__(self, *fields: str) -> None:
        super().__init__(*fields)
        self.fields = fields


@dataclass(frozen=True, slots=True)
class Query:
    """A question, read and completed."""

    campaigns: tuple[int, ...]
    zone: ZoneInfo
    currency: str
    start: date
    end: date
    today: date
    now: datetime
    """The moment that is asked about."""
    as_of_us: int | None
    horizon: datetime
    """Raw records are kept from here on."""
    source: str
    granularity: str
    group_by: tuple[str, ...]
    platforms: frozenset[str]
    regions: frozenset[str]
    sunday_first: bool
    fill: bool
    sort: str | None
    descending: bool
    compare: str | None


@dataclass(frozen=True, slots=True)
class Bucket:
    """One period: how it is shown, its days inside the asked range, and its place in the order."""

    order: int
    period_start: str
    period_end: str
    partial: bool
    first_day: date
    last_day: date

    def days(self) -> list[date]:
        """Those inside the asked range."""
        return [self.first_day + n * DAY for n in range((self.last_day - self.first_day).days + 1)]


CellKey = tuple[int, str, date]
"""Campaign, platform and day."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Which of the two sources answers for what, in one range."""

    then: Then
    cells: Mapping[CellKey, Cell]
    used: frozenset[CellKey]
    """Answered by reports."""
    passed_over: frozenset[date]
    partial: frozenset[date]
    data: frozenset[tuple[int, str]]
    """The campaigns and platforms with any data."""


Sums = dict[str, int | None]
"""Metric -> sum; counts as they are, decimals in millionths, None where it cannot be given."""


class Model:
    """Campaigns, rates and the counted events; `duplicates` and `conflicts` count copies by campaign."""

    def __init__(
        self,
        *,
        retention_days: int = 400,
        dedup_window_days: int = 7,
        max_record_bytes: int = 262_144,
        max_rate_age_days: int = 7,
    ) -> None:
        self._limits = Limits(retention_days, max_record_bytes)
        self._retention_days = retention_days
        self._window_ms = dedup_window_days * DAY_MS
        self._max_rate_age_days = max_rate_age_days
        self._timezones: dict[int, str] = {}
        self._currencies: dict[int, str] = {}
        self._rates: dict[tuple[date, str, str], Fraction] = {}
        self._originals: defaultdict[tuple[int, str], list[tuple[int, Event]]] = defaultdict(list)
        self._events: defaultdict[int, list[tuple[int, Event]]] = defaultdict(list)
        self._platforms: dict[int, set[str]] = {}
        self.reports = Book()
        self.duplicates: Counter[int] = Counter()
        self.conflicts: Counter[int] = Counter()

    def add_campaign(
        self, campaign_id: int, /, *, timezone: str, currency: str, platforms: Iterable[Mapping[str, Any]] = ()
    ) -> None:
        """Make a campaign known, with its links as ``POST /campaigns`` takes them."""
        links = list(platforms)
        self._timezones[campaign_id] = timezone
        self._currencies[campaign_id] = currency
        self._platforms[campaign_id] = {link["platform"] for link in links}
        self.reports.claim(campaign_id, timezone, links)

    def add_rates(self, rates: Iterable[Mapping[str, Any]]) -> None:
        """Store rates: 1 `currency` = `rate` `base`; the later one of a (date, currency, base) stands."""
        for rate in rates:
            key = (date.fromisoformat(rate["date"]), rate["currency"], rate["base"])
            self._rates[key] = Fraction(str(rate["rate"]))

    def feed(self, value: bytes, log_time_ms: int) -> str | None:
        """Take one record at its time in the log; the reason code when it is refused, None when taken (copies too)."""
        try:
            event = read_event(value, log_time_ms, self._currencies, self._limits)
        except RefusedError as refused:
            return refused.code
        originals = self._originals[event.campaign_id, event.event_id]
        for counted_at, original in reversed(originals):
            if log_time_ms - counted_at <= self._window_ms or event.instant == original.instant:
                self.duplicates[event.campaign_id] += 1
                if event != original:
                    self.conflicts[event.campaign_id] += 1
                return None
        originals.append((log_time_ms, event))
        self._events[event.campaign_id].append((log_time_ms, event))
        return None

    def counted(self, campaign_id: int) -> list[Event]:
        """The events of a campaign that count, in the order they came."""
        return [event for _, event in self._events[campaign_id]]

    def answer(self, question: Json, now: datetime) -> Json:
        """What `GET insights` says to `{"campaigns": [ids], "several": bool, "params": {...}}` at `now`.

        All rows, before paging; `warnings` are codes in alphabetical order. An invalid question gives
        `{"error": 422, "field": the likeliest, "fields": all that may be named}`.
        """
        try:
            query = self._read(question, now)
        except InvalidQuestionError as invalid:
            return {"error": 422, "field": invalid.fields[0], "fields": list(invalid.fields)}
        codes: set[str] = set()
        rows, totals = self._table(query, query.start, query.end, codes)
        return {
            "rows": rows,
            "totals": _shown(totals),
            "comparison": self._comparison(query, rows, totals, codes) if query.compare else None,
            "freshness": self._freshness(query),
            "warnings": sorted(codes),
            "timezone": query.zone.key,
            "currency": query.currency,
            "start_date": query.start.isoformat(),
            "end_date": query.end.isoformat(),
        }

    # The question

    def _read(self, question: Json, now: datetime) -> Query:
        params = question["params"]
        for name in params:
            if name not in PARAMETERS:
                raise InvalidQuestionError(name)
        as_of_us = _as_of(params, now)
        horizon = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) - self._retention_days * DAY
        now = now if as_of_us is None else EPOCH + timedelta(microseconds=as_of_us)
        timezones = {params.get("timezone", self._timezones[one]) for one in question["campaigns"]}
        currencies = {params.get("currency", self._currencies[one]) for one in question["campaigns"]}
        undecided = [name for name, values in (("timezone", timezones), ("currency", currencies)) if len(values) > 1]
        if undecided:
            raise InvalidQuestionError(*undecided)
        zone, currency = _zone(timezones.pop()), currencies.pop()
        if currency not in CURRENCIES:
            raise InvalidQuestionError("currency")
        granularity = _choice(params, "granularity", GRANULARITIES, "daily")
        today = now.astimezone(zone).date()
        start, end = _range(params, today, granularity)
        group_by = _names(params, "group_by", GROUPINGS)
        sort = _choice(params, "sort", (*METRICS, *RATIOS, *group_by), None)
        order = _choice(params, "order", ("asc", "desc"), "asc" if sort in (None, *GROUPINGS) else "desc")
        return Query(
            campaigns=tuple(question["campaigns"]),
            zone=zone,
            currency=currency,
            start=start,
            end=end,
            today=today,
            now=now,
            as_of_us=as_of_us,
            horizon=horizon,
            source=_choice(params, "source", ("auto", "stream", "report"), "auto"),
            granularity=granularity,
            group_by=group_by,
            platforms=frozenset(_names(params, "platform", PLATFORMS)),
            regions=_regions(params),
            sunday_first=_choice(params, "week_start", ("monday", "sunday"), "monday") == "sunday",
            fill=_choice(params, "fill", ("none", "zero"), "none") == "zero",
            sort=sort,
            descending=order == "desc",
            compare=_choice(params, "compare", ("previous_period", "previous_year"), None),
        )

    # The answer

    def _table(self, query: Query, start: date, end: date, codes: set[str]) -> tuple[list[Json], Sums]:
        """The rows of a range and their totals; what has to be warned of is added to `codes`."""
        plan = self._plan(query, start, end)
        gaps = self._gaps(query, plan, start, end)
        reports_only = query.source == "report"
        dropped = plan.passed_over if reports_only else frozenset()
        facts = [
            (local, fact)
            for local, fact in self._facts(query, plan, start, end)
            if not dropped or not dropped & set(_bucket(query, local, start, end).days())
        ]
        plan = replace(plan, data=plan.data | {(event.campaign_id, event.platform) for _, event in gaps})
        self._warn(query, plan, gaps, codes)

        cells: dict[tuple[Bucket, tuple[Any, ...]], list[tuple[date, Event | Fact]]] = defaultdict(list)
        for local, fact in facts:
            group = tuple(getattr(fact, GROUPINGS[name]) for name in query.group_by)
            cells[_bucket(query, local, start, end), group].append((local.date(), fact))
        groups = {group for _, group in cells} if query.group_by else {()}
        unknown = self._unknown(query, gaps, groups, start, end)
        for cell in unknown:
            if query.fill or cell in cells or set(query.group_by) <= {"campaign", "platform", "region"}:
                cells.setdefault(cell, [])
        groups = {group for _, group in cells} if query.group_by else {()}
        if query.fill:
            for bucket in _begun_buckets(query, start, end):
                for group in groups:
                    cells.setdefault((bucket, group), [])
        for bucket, group in list(cells) if dropped else ():
            if dropped & set(bucket.days()):
                del cells[bucket, group]
        if query.granularity == "total" and not query.group_by:
            whole = _day_bucket(query, start, start, end)
            cells.setdefault((whole, ()), [])
            unknown |= {(whole, ())} if dropped else set()

        rows: list[Json] = []
        totals: Sums = dict.fromkeys(METRICS, 0)
        for bucket, group in sorted(cells, key=lambda cell: (cell[0].order, cell[1])):
            found = cells[bucket, group]
            sums = self._sums(query.currency, found, codes)
            if (bucket, group) in unknown:
                sums = dict.fromkeys(METRICS)
            for metric in METRICS:
                totals[metric] = _plus(totals[metric], sums[metric])
            rows.append(
                {
                    "period_start": bucket.period_start,
                    "period_end": bucket.period_end,
                    "partial": bucket.partial,
                    **{GROUPINGS[name]: value for name, value in zip(query.group_by, group, strict=True)},
                    **_shown(sums),
                    "source": _source(
                        query, [fact for _, fact in found], gap=(bucket, group) in unknown and not dropped
                    ),
                    "finality": self._finality(query, plan, bucket, group),
                }
            )
        if gaps or (reports_only and (plan.passed_over or plan.partial)):
            totals = dict.fromkeys(METRICS)
        return _sorted(rows, query), totals

    def _asked_events(self, query: Query, *, in_any_region: bool = False, whenever: bool = False) -> Iterator[Event]:
        """Those that were there at the time that is asked about, or ``whenever`` they came."""
        for campaign_id in query.campaigns:
            for taken_ms, event in self._events[campaign_id]:
                if not whenever and query.as_of_us is not None and taken_ms * 1000 > query.as_of_us:
                    continue
                if query.platforms and event.platform not in query.platforms:
                    continue
                if not in_any_region and query.regions and not query.regions & {event.region, event.region[:2]}:
                    continue
                yield event

    # Sources

    def _plan(self, query: Query, start: date, end: date) -> Plan:
        then = self.reports.at(None if query.as_of_us is None else query.as_of_us // 1000)
        cells: dict[CellKey, Cell] = {}
        for campaign_id in query.campaigns:
            for platform in then.platforms(campaign_id):
                if query.platforms and platform not in query.platforms:
                    continue
                for n in range((end - start).days + 1):
                    cell = then.cell(campaign_id, platform, start + n * DAY)
                    if cell is not None:
                        cells[campaign_id, platform, start + n * DAY] = cell
        streamed = {
            (event.campaign_id, event.platform, day)
            for event in self._asked_events(query, in_any_region=True)
            if start <= (day := _local(event.instant, query.zone).date()) <= end
        }
        used, passed_over, partial = set(), set(), set()
        for key, cell in cells.items():
            if query.source == "stream":
                continue
            if not cell.whole:
                partial.add(key[2])
            if query.source == "auto":
                over = then.is_over(key[0], key[2], cell, query.now)
                if not cell.whole or (not over and key in streamed):
                    continue
            if _can_split(query, cell):
                used.add(key)
            else:
                passed_over.add(key[2])
        data = {key[:2] for key in streamed} | {key[:2] for key in cells}
        return Plan(then, cells, frozenset(used), frozenset(passed_over), frozenset(partial), frozenset(data))

    def _facts(self, query: Query, plan: Plan, start: date, end: date) -> Iterator[tuple[datetime, Event | Fact]]:
        if query.source != "report":
            for event in self._asked_events(query):
                local = _local(event.instant, query.zone)
                if start <= local.date() <= end and (event.campaign_id, event.platform, local.date()) not in plan.used:
                    yield local, event
        for campaign_id, platform, day in plan.used:
            cell = plan.cells[campaign_id, platform, day]
            noon = datetime(day.year, day.month, day.day, 12, tzinfo=query.zone)
            if "region" in query.group_by or query.regions:
                for fact in plan.then.countries(campaign_id, platform, day, cell):
                    if not query.regions or fact.region in query.regions:
                        yield noon, fact
            else:
                for fact in plan.then.totals(campaign_id, platform, day, cell, query.currency):
                    yield noon, fact

    def _gaps(self, query: Query, plan: Plan, start: date, end: date) -> set[tuple[date, Event]]:
        """Days that need raw records that are gone, each with an event of it (or of a day that it touches)."""
        zones = {self._timezones[one] for one in query.campaigns}
        by_rollup = query.as_of_us is None and zones <= {query.zone.key} and query.granularity != "hourly"
        if query.source == "report" or (by_rollup and not set(query.group_by) & {"ad_group", "ad", "device"}):
            return set()
        gaps = set()
        for event in self._asked_events(query, whenever=True):
            own = ZoneInfo(self._timezones[event.campaign_id])
            own_day = _local(event.instant, own).date()
            first, last = midnight(own_day, own), midnight(own_day + DAY, own) - timedelta(microseconds=1)
            day = first.astimezone(query.zone).date()
            while day <= last.astimezone(query.zone).date():
                expired = start <= day <= end and midnight(day, query.zone) < query.horizon
                if expired and (event.campaign_id, event.platform, day) not in plan.used:
                    gaps.add((day, event))
                day += DAY
        return gaps

    def _unknown(
        self,
        query: Query,
        gaps: set[tuple[date, Event]],
        groups: set[tuple[Any, ...]],
        start: date,
        end: date,
    ) -> set[tuple[Bucket, tuple[Any, ...]]]:
        """The rows that a gap is part of."""
        told = [name for name in query.group_by if name in ("campaign", "platform", "region")]
        unknown = set()
        for day, event in gaps:
            values = {name: getattr(event, GROUPINGS[name]) for name in told}
            if len(told) == len(query.group_by):
                matching = {tuple(values[name] for name in query.group_by)}
            else:
                matching = {
                    group
                    for group in groups
                    if all(group[query.group_by.index(name)] == value for name, value in values.items())
                }
            for bucket in _buckets_of_day(query, day, start, end):
                unknown |= {(bucket, group) for group in matching}
        return unknown

    def _warn(self, query: Query, plan: Plan, gaps: set[tuple[date, Event]], codes: set[str]) -> None:
        if plan.passed_over:
            codes.add("breakdown_unavailable")
        if plan.partial:
            codes.add("report_incomplete")
        if gaps:
            codes.add("raw_expired")
        if any(plan.then.shifted(key[0], key[2], plan.cells[key], query.zone) for key in plan.used):
            codes.add("report_day_timezone")

    def _finality(self, query: Query, plan: Plan, bucket: Bucket, group: tuple[Any, ...]) -> str:
        """The weakest of the row's days and of the platforms that have data in the range."""
        asked = dict(zip(query.group_by, group, strict=True))
        pairs = {
            (campaign_id, platform)
            for campaign_id, platform in plan.data
            if asked.get("campaign", campaign_id) == campaign_id and asked.get("platform", platform) == platform
        }
        levels = {
            _level(query, plan.then, plan.cells.get((*pair, day)), pair[0], day)
            for pair in pairs
            for day in bucket.days()
        }
        if not pairs:
            levels = {_level(query, plan.then, None, 0, day) for day in bucket.days()}
        return min(levels, key=LEVELS.index)

    def _freshness(self, query: Query) -> list[Json]:
        then = self.reports.at(None if query.as_of_us is None else query.as_of_us // 1000)
        newest: dict[str, int] = {}
        for campaign_id in query.campaigns:
            for taken_ms, event in self._events[campaign_id]:
                if query.as_of_us is None or taken_ms * 1000 <= query.as_of_us:
                    newest[event.platform] = max(event.instant, newest.get(event.platform, event.instant))
        linked = {platform for one in query.campaigns for platform in self._platforms[one]}
        return [
            self._fresh(query, then, platform, newest.get(platform))
            for platform in sorted(query.platforms or linked | newest.keys())
        ]

    def _fresh(self, query: Query, then: Then, platform: str, newest: int | None) -> Json:
        throughs = []
        reported = [one for one in query.campaigns if then.has_rows(one, platform)]
        for campaign_id in reported:
            day = query.today + 3 * DAY
            level = "live"
            while level == "live":
                day -= DAY
                cell = then.cell(campaign_id, platform, day)
                cell = cell if cell is not None and cell.whole else None
                level = _level(query, then, cell, campaign_id, day)
            throughs.append((day, level, then.final_at(campaign_id, day, cell) if cell else None))
        if newest is not None and len(reported) < len(query.campaigns):
            throughs.append((query.today - DAY, "provisional", None))
        last = max((through[0] for through in throughs), default=None)
        alike = [through for through in throughs if through[0] == last]
        fetched = [at for one in query.campaigns if (at := then.last_fetch_ms(one, platform)) is not None]
        return {
            "platform": platform,
            "last_event_at": None if newest is None else _instant(EPOCH + timedelta(microseconds=newest)),
            "last_report_at": _instant(EPOCH + timedelta(milliseconds=max(fetched))) if fetched else None,
            "data_through": last.isoformat() if last else None,
            "finality": min((through[1] for through in alike), key=LEVELS.index) if alike else None,
            "expected_final_at": max((_instant(at) for _, _, at in alike if at is not None), default=None),
        }

    def _sums(self, currency: str, events: list[tuple[date, Event | Fact]], codes: set[str]) -> Sums:
        """One row's sums; what is in another currency is converted once for each of its days."""
        sums: Sums = {name: sum(getattr(event, name) for _, event in events) for name in (*COUNTS, "conversions")}
        for name in MONEY:
            amounts: Counter[tuple[date, str]] = Counter()
            for day, event in events:
                amounts[day, event.currency] += getattr(event, name)
            total: int | None = 0
            for (day, other), amount in amounts.items():
                total = _plus(total, self._converted(amount, day, other, currency, codes))
            sums[name] = total
        return sums

    def _converted(self, amount: int, day: date, currency: str, base: str, codes: set[str]) -> int | None:
        """Millionths of `base`, rounded half to even; None where the rate is missing."""
        if currency == base or amount == 0:
            return amount
        for age in range(self._max_rate_age_days + 1):
            rate = self._rates.get((day - age * DAY, currency, base))
            if rate is not None:
                codes.add("mixed_currency")
                return round(amount * rate)
        codes.add("missing_rate")
        return None

    def _comparison(self, query: Query, rows: list[Json], totals: Sums, codes: set[str]) -> Json:
        if query.compare == "previous_year":
            start, end = _year_before(query.start), _year_before(query.end)
        else:
            start, end = query.start - (query.end - query.start + DAY), query.start - DAY
        unfilled = replace(query, fill=False)
        earlier_rows, earlier = self._table(unfilled, start, end, codes)
        return {
            "kind": query.compare,
            "start_date": start.isoformat(),
            "end_date": end.isoformat(),
            "totals": _shown(earlier),
            "change": {metric: _change(totals[metric], earlier[metric]) for metric in METRICS},
            "rows": _beside(query, rows, _buckets(query, start, end), earlier_rows, unknown=earlier["clicks"] is None),
        }


def model_of(history: History, **settings: int) -> tuple[Model, list[str | None]]:
    """A model that took a whole history, and for each record why it was refused (None when it was taken)."""
    model = Model(**settings)
    for number, campaign in enumerate(history.campaigns, 1):
        model.add_campaign(
            number, timezone=campaign["timezone"], currency=campaign["currency"], platforms=campaign["platforms"]
        )
    model.add_rates(history.rates)
    return model, [model.feed(step.record, step.log_time_ms) for step in history.steps]


# Sources


def _can_split(query: Query, cell: Cell) -> bool:
    if query.granularity == "hourly" or set(query.group_by) & {"ad_group", "ad", "device"}:
        return False
    if any("-" in region for region in query.regions):
        return False
    return cell.by_country or not ("region" in query.group_by or query.regions)


def _source(query: Query, facts: list[Event | Fact], *, gap: bool) -> str:
    sources = {"report" if isinstance(fact, Fact) else "stream" for fact in facts} | ({"stream"} if gap else set())
    if not sources:
        return "report" if query.source == "report" else "stream"
    return "mixed" if len(sources) > 1 else sources.pop()


def _level(query: Query, then: Then, cell: Cell | None, campaign_id: int, day: date) -> str:
    if cell is not None and cell.whole:
        return then.level(campaign_id, day, cell, query.now)
    return "provisional" if day < query.today else "live"


def _instant(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def _beside(
    query: Query, rows: list[Json], buckets: list[Bucket], earlier_rows: list[Json], *, unknown: bool
) -> list[Json | None]:
    """For each row what the bucket of the same number in the earlier range has of the same group."""
    members = [GROUPINGS[name] for name in query.group_by]
    numbers = {bucket.period_start: n for n, bucket in enumerate(_buckets(query, query.start, query.end))}
    found = {(row["period_start"], *(row[member] for member in members)): row for row in earlier_rows}
    beside: list[Json | None] = []
    for row in rows:
        number = numbers[row["period_start"]]
        if number >= len(buckets):
            beside.append(None)
            continue
        bucket, group = buckets[number], [row[member] for member in members]
        nothing = _shown(dict.fromkeys(METRICS, None if unknown else 0))
        earlier = found.get((bucket.period_start, *group), nothing)
        shown = {name: earlier[name] for name in (*METRICS, *RATIOS)}
        change = {
            metric: None
            if row[metric] is None or earlier[metric] is None or earlier[metric] <= 0
            else _rounded((Fraction(row[metric]) - Fraction(earlier[metric])) / Fraction(earlier[metric]))
            for metric in METRICS
        }
        period = {"period_start": bucket.period_start, "period_end": bucket.period_end, "partial": bucket.partial}
        beside.append({**period, **dict(zip(members, group, strict=True)), **shown, "change": change})
    return beside


def _buckets(query: Query, start: date, end: date) -> list[Bucket]:
    days = (start + n * DAY for n in range((end - start).days + 1))
    return sorted(
        {bucket for day in days for bucket in _buckets_of_day(query, day, start, end)}, key=lambda one: one.order
    )


# Numbers


def _plus(left: int | None, right: int | None) -> int | None:
    return None if left is None or right is None else left + right


def _decimal(millionths: int) -> Decimal:
    return Decimal(f"{millionths}e-6")


def _rounded(value: Fraction) -> Decimal:
    """At most 6 places, half to even (as `round` does)."""
    return _decimal(round(value * MICRO))


def _exact(sums: Sums, metric: str) -> Fraction | None:
    value = sums[metric]
    return None if value is None else Fraction(value, 1 if metric in COUNTS else MICRO)


def _shown(sums: Sums) -> Json:
    """The metrics as an answer shows them, with the ratios built on them."""
    shown: Json = {}
    for metric, value in sums.items():
        shown[metric] = value if value is None or metric in COUNTS else _decimal(value)
    exact = {metric: _exact(sums, metric) for metric in METRICS}
    for name, (factor, dividend, divisor) in RATIOS.items():
        over, under = exact[dividend], exact[divisor]
        shown[name] = None if over is None or under is None or under <= 0 else _rounded(factor * over / under)
    return shown


def _change(now: int | None, earlier: int | None) -> Decimal | None:
    return None if now is None or earlier is None or earlier <= 0 else _rounded(Fraction(now - earlier, earlier))


def _sorted(rows: list[Json], query: Query) -> list[Json]:
    """Rows in the asked order: nulls last whichever way, ties in the default order."""
    if query.sort is None:
        return rows
    member = GROUPINGS.get(query.sort, query.sort)
    known = [row for row in rows if row[member] is not None]
    unknown = [row for row in rows if row[member] is None]
    return sorted(known, key=lambda row: row[member], reverse=query.descending) + unknown


# Time


@lru_cache(maxsize=200_000)
def _local(instant: int, zone: ZoneInfo) -> datetime:
    return (EPOCH + timedelta(microseconds=instant)).astimezone(zone)


def _bucket(query: Query, local: datetime, start: date, end: date) -> Bucket:
    if query.granularity != "hourly":
        return _day_bucket(query, local.date(), start, end)
    since_epoch = local - EPOCH
    return _hour_bucket(EPOCH + since_epoch // QUARTER * QUARTER, query.zone)


def _day_bucket(query: Query, day: date, start: date, end: date) -> Bucket:
    """The whole day, week, month or range that `day` lies in, and what of it lies inside the asked range."""
    first = last = day
    if query.granularity == "weekly":
        first = day - day.isoweekday() % 7 * DAY if query.sunday_first else day - day.weekday() * DAY
        last = first + 6 * DAY
    elif query.granularity == "monthly":
        first = day.replace(day=1)
        last = (first + 31 * DAY).replace(day=1) - DAY
    elif query.granularity == "total":
        first, last = start, end
    partial = first < start or last > end
    inside = max(first, start), min(last, end)
    return Bucket(first.toordinal(), first.isoformat(), last.isoformat(), partial, *inside)


_hours: dict[ZoneInfo, dict[datetime, Bucket]] = defaultdict(dict)
"""The hours that were walked, by each of their quarters."""


def _hour_bucket(quarter: datetime, zone: ZoneInfo) -> Bucket:
    """The clock hour around a quarter of an hour, cut where the offset changes: walked in quarters, both ways.

    Every offset and every change of one, in any zone of the last decades, is a multiple of 15 minutes.
    """

    known = _hours[zone]
    if quarter in known:
        return known[quarter]
    hour, begin, finish = _clock_hour(quarter, zone), quarter, quarter + QUARTER
    while _clock_hour(begin - QUARTER, zone) == hour:
        begin -= QUARTER
    while _clock_hour(finish, zone) == hour:
        finish += QUARTER
    first, next_one = begin.astimezone(zone), finish.astimezone(zone)
    bucket = Bucket(
        (begin - EPOCH) // QUARTER, first.isoformat(), next_one.isoformat(), False, first.date(), first.date()
    )
    if len(known) > 100_000:
        known.clear()
    known.update((begin + n * QUARTER, bucket) for n in range((finish - begin) // QUARTER))
    return bucket


@lru_cache(maxsize=200_000)
def _clock_hour(instant: datetime, zone: ZoneInfo) -> tuple[datetime, timedelta | None]:
    """The hour that a clock in the zone shows, and what it is ahead of UTC meanwhile."""
    local = instant.astimezone(zone)
    return local.replace(minute=0, tzinfo=None), local.utcoffset()


def _buckets_of_day(query: Query, day: date, start: date, end: date) -> AbstractSet[Bucket]:
    if query.granularity != "hourly":
        return {_day_bucket(query, day, start, end)}
    return _hours_of_day(day, query.zone)


@lru_cache(maxsize=10_000)
def _hours_of_day(day: date, zone: ZoneInfo) -> frozenset[Bucket]:
    quarters = (midnight(day, zone) + n * QUARTER for n in range(-8, 112))
    return frozenset(_hour_bucket(at, zone) for at in quarters if _clock_hour(at, zone)[0].date() == day)


def _begun_buckets(query: Query, start: date, end: date) -> set[Bucket]:
    """Every bucket of the range that has begun: seen from its days (hours) inside the range."""
    if query.granularity != "hourly":
        days = (start + n * DAY for n in range((min(end, query.today) - start).days + 1))
        return {_day_bucket(query, day, start, end) for day in days}
    buckets = set()
    quarter = datetime(start.year, start.month, start.day, tzinfo=UTC) - DAY  # no zone is a day away from UTC
    while quarter <= query.now and (day := _clock_hour(quarter, query.zone)[0].date()) <= end:
        if day >= start:
            buckets.add(_hour_bucket(quarter, query.zone))
        quarter += QUARTER
    return buckets


def _year_before(day: date) -> date:
    try:
        return day.replace(year=day.year - 1)
    except ValueError:  # 29 February
        return day.replace(year=day.year - 1, day=28)


# Parameters


def _listed(params: Json, name: str) -> list[str]:
    """The values of a comma list that may also be repeated, without regard to case."""
    given = params.get(name, [])
    texts = [given] if isinstance(given, str) else given
    return [value.strip().lower() for text in texts for value in text.split(",")]


def _names(params: Json, name: str, known: Iterable[str]) -> tuple[str, ...]:
    names = _listed(params, name)
    if not set(names) <= set(known):
        raise InvalidQuestionError(name)
    return tuple(names)


def _regions(params: Json) -> frozenset[str]:
    regions = _listed(params, "region")
    if not all(REGION.fullmatch(region) for region in regions):
        raise InvalidQuestionError("region")
    return frozenset(region.upper() for region in regions)


def _choice(params: Json, name: str, known: Iterable[str], default: Any) -> Any:
    if name not in params:
        return default
    if params[name] not in known:
        raise InvalidQuestionError(name)
    return params[name]


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise InvalidQuestionError("timezone") from error


def _date(params: Json, name: str) -> date | None:
    if name not in params:
        return None
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", params[name]):
            raise ValueError(params[name])
        return date.fromisoformat(params[name])
    except ValueError as error:
        raise InvalidQuestionError(name) from error


def _as_of(params: Json, now: datetime) -> int | None:
    if "as_of" not in params:
        return None
    at = datetime.fromisoformat(params["as_of"])
    if at > now:
        raise InvalidQuestionError("as_of")
    return None if at == now else (at - EPOCH) // timedelta(microseconds=1)


def _range(params: Json, today: date, granularity: str) -> tuple[date, date]:
    start, end = _date(params, "start_date"), _date(params, "end_date")
    if end is None:
        end = today
    if start is None:
        start = end - (DEFAULT_DAYS - 1) * DAY
    days = (end - start).days + 1
    if days < 1 or days > MAX_DAYS:
        raise InvalidQuestionError("end_date", "start_date")
    if granularity == "hourly" and days > MAX_HOURLY_DAYS:
        raise InvalidQuestionError("end_date", "start_date", "granularity")
    return start, end
