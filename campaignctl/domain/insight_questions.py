"""Reading a question about insights from plain strings, as a query string or flags give them."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from campaignctl.domain.currencies import normalize_currency
from campaignctl.domain.events.times import parse_time
from campaignctl.domain.fields import did_you_mean
from campaignctl.domain.insights import (
    Compare,
    Dimension,
    Fill,
    InsightQuery,
    Metric,
    Order,
    Ratio,
    SortKey,
    Source,
)
from campaignctl.domain.periods import DayRange, Granularity, WeekStart, local_day
from campaignctl.domain.platforms import Platform
from campaignctl.domain.regions import normalize_region
from campaignctl.domain.timezones import known_timezones, nearest_timezone
from campaignctl.errors import FieldError, InvalidInput

PARAMETERS = (
    "start_date",
    "end_date",
    "platform",
    "region",
    "granularity",
    "group_by",
    "timezone",
    "week_start",
    "source",
    "compare",
    "as_of",
    "currency",
    "fill",
    "sort",
    "order",
    "limit",
    "cursor",
    "after",
)
"""What a question about one campaign may name. ``after`` is the caller's business: it waits before it asks."""
CHOICE_PARAMETERS = ("status", "q")
PARAMETERS_OF_SEVERAL = ("campaign", *CHOICE_PARAMETERS, *PARAMETERS)

MAX_DAYS = 5 * 366
MAX_HOURLY_DAYS = 93
MAX_ROWS = 10_000
_DEFAULT_DAYS = 30
_FIRST_DAY, _LAST_DAY = date(1900, 1, 1), date(2299, 12, 31)
"""What the store has days for."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,19}")
_EPOCH, _MICROSECOND = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)
_DEFAULT_ZONE, _DEFAULT_CURRENCY = "UTC", "USD"

Parameters = Mapping[str, Sequence[str]]
Choice = TypeVar("Choice", bound=StrEnum)


class CampaignSettings(Protocol):
    """What a question takes from the campaigns it is about."""

    @property
    def timezone(self) -> str: ...

    @property
    def currency(self) -> str: ...


def parse_query(
    parameters: Parameters,
    *,
    campaign_ids: Sequence[int],
    several: bool,
    facts: Collection[CampaignSettings],
    now: datetime,
) -> InsightQuery:
    """The question, complete. ``facts`` are the settings of its campaigns.

    ``now`` is the present: what depends on it follows ``as_of`` where that is given. Raises ``InvalidInput`` that
    names every parameter that is wrong. Parameters it does not know are left to the caller.
    """
    reader = _Reader(parameters)
    as_of = _as_of(reader, now)
    granularity = reader.choice("granularity", Granularity, Granularity.DAILY)
    zone = _zone(reader, facts)
    today = local_day(as_of or now, zone)
    group_by = tuple(reader.choices("group_by", Dimension))
    sort = _sort(reader, group_by)
    query = InsightQuery(
        campaign_ids=tuple(campaign_ids),
        several=several,
        days=_days(reader, granularity, today),
        granularity=granularity,
        zone=zone,
        week_start=reader.choice("week_start", WeekStart, WeekStart.MONDAY),
        currency=_currency(reader, facts),
        source=reader.choice("source", Source, Source.AUTO),
        group_by=group_by,
        platforms=tuple(sorted(reader.choices("platform", Platform))),
        regions=_regions(reader),
        compare=reader.optional_choice("compare", Compare),
        fill=reader.choice("fill", Fill, Fill.NONE),
        sort=sort,
        order=reader.choice("order", Order, Order.DESC if isinstance(sort, Metric | Ratio) else Order.ASC),
        limit=_limit(reader),
        cursor=reader.one("cursor"),
        as_of=as_of,
        now=as_of or now,
        today=today,
        asked_at=now,
    )
    reader.raise_errors()
    if query.earlier_days is not None and query.earlier_days.first < _FIRST_DAY:
        raise InvalidInput.of("compare", f"would reach back before {_FIRST_DAY}")
    return query


def parse_campaign_ids(parameters: Parameters) -> list[int] | None:
    """The campaigns that ``campaign`` names, ascending, each once; None when it is not given."""
    reader = _Reader(parameters)
    texts = reader.listed("campaign")
    if not all(_NUMBER.fullmatch(text) for text in texts):
        reader.fail("campaign", "must be ids of campaigns: whole numbers, separated by commas")
    reader.raise_errors()
    return sorted(set(map(int, texts))) if texts else None


def parse_choice(parameters: Parameters, *, named: bool) -> dict[str, str]:
    """What chooses campaigns by what they are; ``named``: ``campaign`` names them, and nothing else may choose."""
    reader = _Reader(parameters)
    found = {name: reader.one(name) for name in CHOICE_PARAMETERS}
    given = {name: text for name, text in found.items() if text is not None}
    for name in given if named else ():
        reader.fail(name, "chooses among all campaigns and cannot stand beside campaign, which names them")
    reader.raise_errors()
    return given


class _Reader:
    """Reads parameters by name; what is wrong is noted, and the reading goes on with the default."""

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._errors: list[FieldError] = []

    def fail(self, name: str, message: str) -> None:
        self._errors.append(FieldError(name, message))

    def raise_errors(self) -> None:
        if self._errors:
            raise InvalidInput(self._errors)

    def one(self, name: str) -> str | None:
        """A parameter that may be given once."""
        values = self._parameters.get(name, ())
        if len(values) > 1:
            self.fail(name, "is given more than once")
        return values[0] if values else None

    def listed(self, name: str) -> list[str]:
        """The values of a parameter that may be repeated and may hold comma lists."""
        return [part.strip() for value in self._parameters.get(name, ()) for part in value.split(",")]

    def choice(self, name: str, choices: type[Choice], default: Choice) -> Choice:
        chosen = self.optional_choice(name, choices)
        return default if chosen is None else chosen

    def optional_choice(self, name: str, choices: type[Choice]) -> Choice | None:
        text = self.one(name)
        return None if text is None else self._chosen(name, text, choices)

    def choices(self, name: str, choices: type[Choice]) -> list[Choice]:
        """Each once, in the order in which they were given; in any case."""
        texts = dict.fromkeys(text.lower() for text in self.listed(name))
        chosen = [self._chosen(name, text, choices) for text in texts]
        return [one for one in chosen if one is not None]

    def day(self, name: str) -> date | None:
        text = self.one(name)
        if text is None:
            return None
        try:
            day = date.fromisoformat(text) if _DAY.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None:
            self.fail(name, "must be a calendar day written YYYY-MM-DD, such as 2026-10-31")
        elif not _FIRST_DAY <= day <= _LAST_DAY:
            self.fail(name, f"must lie between {_FIRST_DAY} and {_LAST_DAY}")
        else:
            return day
        return None

    def _chosen(self, name: str, text: str, choices: type[Choice]) -> Choice | None:
        known = [choice.value for choice in choices]
        if text in known:
            return choices(text)
        self.fail(name, f"must be one of {', '.join(known)}{did_you_mean(text, known)}")
        return None


def _days(reader: _Reader, granularity: Granularity, today: date) -> DayRange:
    start, end = reader.day("start_date"), reader.day("end_date")
    end = end or today
    start = start or end - timedelta(days=_DEFAULT_DAYS - 1)
    days = DayRange(start, end)
    if end < start:
        reader.fail("end_date", f"must not be before start_date ({start}); it is {end}")
    elif len(days) > MAX_DAYS:
        reader.fail("end_date", f"the range has {len(days)} days; at most {MAX_DAYS} can be asked at once")
    elif granularity is Granularity.HOURLY and len(days) > MAX_HOURLY_DAYS:
        reader.fail(
            "end_date", f"the range has {len(days)} days; hourly at most {MAX_HOURLY_DAYS} can be asked at once"
        )
    else:
        return days
    return DayRange(today, today)


def _zone(reader: _Reader, facts: Collection[CampaignSettings]) -> ZoneInfo:
    name = reader.one("timezone")
    if name is None:
        name = _common(reader, "timezone", {one.timezone for one in facts}, _DEFAULT_ZONE)
    if name in known_timezones():
        return ZoneInfo(name)
    near = nearest_timezone(name[:100])
    hint = f"; did you mean {near}?" if near else ""
    reader.fail("timezone", f"must be a time zone of the IANA database such as Asia/Kolkata{hint}")
    return ZoneInfo(_DEFAULT_ZONE)


def _currency(reader: _Reader, facts: Collection[CampaignSettings]) -> str:
    text = reader.one("currency")
    if text is None:
        return _common(reader, "currency", {one.currency for one in facts}, _DEFAULT_CURRENCY)
    code = normalize_currency(text)
    if code is None:
        reader.fail("currency", "must be a currency code of ISO 4217 such as USD")
    return code or _DEFAULT_CURRENCY


def _common(reader: _Reader, name: str, found: set[str], default: str) -> str:
    """What all the campaigns have, ``default`` for no campaign."""
    if len(found) > 1:
        listed = sorted(found)
        shown = ", ".join(listed[:5]) + (", ..." if len(listed) > 5 else "")
        reader.fail(name, f"is needed: the campaigns do not have one in common ({shown})")
        return default
    return next(iter(found), default)


def _regions(reader: _Reader) -> tuple[str, ...]:
    regions = [normalize_region(text) for text in reader.listed("region")]
    if None in regions:
        reader.fail("region", "must be countries (ISO 3166-1, such as IN) or parts of them (ISO 3166-2, such as US-CA)")
    return tuple(sorted({region for region in regions if region is not None}))


def _sort(reader: _Reader, group_by: Sequence[Dimension]) -> SortKey | None:
    text = reader.one("sort")
    if text is None:
        return None
    known: dict[str, SortKey] = {key.value: key for key in (*Metric, *Ratio, *group_by)}
    if text not in known:
        reader.fail("sort", f"must be one of {', '.join(known)}{did_you_mean(text, list(known))}")
    return known.get(text)


def _limit(reader: _Reader) -> int:
    text = reader.one("limit")
    if text is None:
        return MAX_ROWS
    limit = int(text) if _NUMBER.fullmatch(text) else 0
    if not 1 <= limit <= MAX_ROWS:
        reader.fail("limit", f"must be a whole number from 1 to {MAX_ROWS}")
    return limit


def _as_of(reader: _Reader, now: datetime) -> datetime | None:
    """The time in the past that is asked for; None for the present."""
    text = reader.one("as_of")
    if text is None:
        return None
    time_us = parse_time(text)
    now_us = (now - _EPOCH) // _MICROSECOND
    if time_us is None:
        reader.fail("as_of", "must be a time of RFC 3339 with an offset, such as 2026-10-31T18:00:00Z")
    elif time_us > now_us:
        reader.fail("as_of", "must not be in the future")
    elif time_us < 0:
        reader.fail("as_of", f"must not lie before {_EPOCH.date()}")
    elif time_us < now_us:
        return _EPOCH + time_us * _MICROSECOND
    return None
