"""Random, nasty, repeatable histories of records: what careless producers send, in every spelling the contract allows.

`random_history(seed, now=...)` lets all records reach the log at `now`, as a test against a running product must;
`spread_days` lets the log's clock run up to `now` instead, so that copies come back beyond the deduplication window.
Times keep a safe hour away from the bounds that depend on the clock; numbers, texts and nesting go right up to theirs.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from tests.model.faults import BAD_MEMBERS, BAD_RECORDS

Json = dict[str, Any]
Members = list[tuple[str, str]]
"""A record before it is written: keys with the raw text of their values, in order."""

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MINUTE = timedelta(minutes=1)
MICROSECOND = timedelta(microseconds=1)
MICRO = 10**6

OLDEST = timedelta(days=385)
NEWEST = timedelta(hours=23)

_ZONES = """
UTC Asia/Kolkata Asia/Kathmandu Asia/Beirut Asia/Tehran America/New_York America/St_Johns America/Sao_Paulo
America/Santiago America/Havana America/Nuuk Africa/Casablanca Africa/Cairo Europe/London Europe/Dublin Atlantic/Azores
Australia/Lord_Howe Australia/Eucla Pacific/Apia Pacific/Chatham Pacific/Kiritimati Pacific/Marquesas Pacific/Pago_Pago
"""
_REGIONS = "ZZ ZZ US US-CA US-NY IN IN-MH GB GB-ENG DE DE-BY FR-75C AU-NSW CA CA-QC BR-SP CN-1 JP-13 NZ"

ZONES = tuple(_ZONES.split())
REGIONS = tuple(_REGIONS.split())
CURRENCIES = ("USD", "EUR", "INR", "JPY", "KWD", "GBP", "CLP", "VND")
PLATFORMS = ("meta", "google", "linkedin", "tiktok")
EVENT_TYPES = ("metrics", "metrics", "metrics", "impression", "click", "conversion", "adjustment")
AD_GROUPS = ("", "", "1", "01", "007", "23850000000000777", "9007199254740993", "ag-é", "ag-e\u0301", "ﬀ", "😀")
ADS = ("", "", "1", "1.0", "ad 1", "Ad 1", "AD 1 ", "null", "\0", "line\u2028end", '"quoted\\"', "x" * 128, "😀" * 128)
DEVICES = ("", "", "mobile", "Mobile", "desktop", "tablet", "smart tv ☃", "\t")
COUNTS = (0, 1, 1, 2, 3, 7, 10, 999, 55_555, 120_000, 2**31, 2**32, 2**53 + 1, 10**16)
SMALL_AMOUNTS = (0, 1, 2, 3, 5, 7, 333_333, 500_000, MICRO, 1_005_000, 2_500_000, 2_750_000, 12_300_000, 31_500_000)
LARGE_AMOUNTS = (77_700_000, 812_345_678, 1_234_567_890_000, 99_999_999_999_999, 999_999_999_999_999)
RATES = (1, 0.5, 1.5, 2.5, 1.0837, 0.923456, 83.25, 0.011904, 0.000001, 149.995, 1234.567891)
OFFSETS_MINUTES = (0, 0, 0, 330, 345, 765, 840, -210, -570, -720, -300, 60, 1439, -1439)

IMPLIED = {"impression": "impressions", "click": "clicks", "conversion": "conversions"}
FIELDS = (
    *("event_id", "campaign_id", "platform", "event_time", "event_type", "region", "ad_group_id", "ad_id", "device"),
    *("impressions", "clicks", "conversions", "spend", "revenue", "currency"),
)


@dataclass(frozen=True)
class Step:
    """One record and when it reaches the log."""

    advance_seconds: int
    record: bytes
    log_time_ms: int


@dataclass(frozen=True)
class History:
    """What happened: `campaigns` are bodies for `POST /campaigns` (ids 1..N), `rates` is one for `PUT /currency-rates`.

    `days` are those of its events and of what is odd about its zones: days worth asking for.
    """

    seed: int
    now: datetime
    campaigns: list[Json]
    rates: list[Json]
    steps: list[Step]
    days: tuple[date, ...]

    @property
    def records(self) -> list[bytes]:
        return [step.record for step in self.steps]


@dataclass(frozen=True)
class Fact:
    """What an event says, apart from how it is spelled."""

    event_id: str
    campaign_id: int
    platform: str
    instant: datetime
    event_type: str
    region: str
    ad_group_id: str
    ad_id: str
    device: str
    impressions: int
    clicks: int
    conversions: int
    spend: int
    revenue: int
    currency: str | None


def random_history(
    seed: int, *, now: datetime, size: int | None = None, spread_days: int = 0, first_campaign: int = 1
) -> History:
    """The history of a seed: about `size` records (60 to 300 when not said), none of them later than `now`.

    Where others have campaigns already, its own begin with the id `first_campaign`.
    """
    rng = random.Random(seed)
    now = now.astimezone(UTC).replace(microsecond=0)
    size = size if size is not None else rng.randint(60, 300)
    zones = rng.sample(ZONES, rng.randint(1, 3))
    campaigns: list[Json] = [
        {
            "name": f"history {seed} campaign {number}",
            "timezone": zone,
            "currency": rng.choice(CURRENCIES[:3] if rng.random() < 0.5 else CURRENCIES),
            "platforms": [
                {"platform": platform, "account_id": f"account-{seed}", "external_id": f"{seed}-{number}-{platform}"}
                for platform in rng.sample(PLATFORMS, rng.randint(0, 4))
            ],
        }
        for number, zone in enumerate(zones, 1)
    ]
    currencies = sorted({campaign["currency"] for campaign in campaigns} | {rng.choice(CURRENCIES)})
    moments = _Moments(rng, zones, now)
    sent: list[tuple[datetime, int, bytes]] = []
    facts: list[Fact] = []
    while len(sent) < size:
        log_time = now - timedelta(seconds=int(rng.random() * spread_days * 86_400))
        ids = range(first_campaign, first_campaign + len(campaigns))
        fact = _random_fact(rng, f"{seed}-{len(facts)}", ids, currencies, moments.one_before(log_time))
        facts.append(fact)
        for at, record in _sendings(rng, fact, ids, log_time, now, moments, spread=spread_days > 0):
            sent.append((at, rng.randrange(10**6) if spread_days else len(sent), record))
    if not spread_days:
        _disorder(rng, sent)
    sent.sort(key=lambda one: one[:2])
    steps = []
    clock = sent[0][0]
    for at, _, record in sent:
        steps.append(Step(int((at - clock).total_seconds()), record, int(at.timestamp()) * 1000))
        clock = at
    event_days = {fact.instant.date() for fact in facts}
    return History(
        seed=seed,
        now=now,
        campaigns=campaigns,
        rates=_random_rates(rng, currencies, sorted(event_days), now.date()),
        steps=steps,
        days=tuple(sorted(event_days | moments.odd_days)),
    )


# When


class _Moments:
    """Instants where calendars are odd: changes of offset, midnights and hours of several zones, ends of months."""

    def __init__(self, rng: random.Random, zones: list[str], now: datetime) -> None:
        self._rng = rng
        self._now = now
        self._zones = [ZoneInfo(name) for name in (*zones, "UTC", rng.choice(ZONES))]
        self._changes = [change for zone in self._zones for change in offset_changes(zone, now - OLDEST, now)]
        self._clusters = [now - rng.random() * 380 * DAY for _ in range(rng.randint(1, 4))]
        self.odd_days = {change.date() for change in self._changes}

    def one_before(self, log_time: datetime) -> datetime:
        """A random moment that a record of this log time may speak of."""
        oldest, newest = self._now - OLDEST, min(log_time + NEWEST, self._now + NEWEST)
        return min(max(self._any(log_time), oldest), newest)

    def _any(self, log_time: datetime) -> datetime:
        rng = self._rng
        kind = rng.random()
        if kind < 0.2 and self._changes:
            near = rng.choice(self._changes)
            return near + rng.choice((0, 0, -60, -30, 30, 60)) * MINUTE + self._little() * MICROSECOND
        if kind < 0.3:
            return log_time + rng.uniform(-2, 1) * DAY
        if kind < 0.75:
            day = rng.choice(self._clusters) + rng.uniform(-6, 6) * DAY
        else:
            day = self._now - rng.random() * 380 * DAY
        if rng.random() < 0.5:
            return day
        local = day.astimezone(rng.choice(self._zones)).replace(minute=0, second=0, microsecond=0)
        if rng.random() < 0.6:
            local = local.replace(hour=0)
        if rng.random() < 0.2:
            local = local.replace(day=1)
        return local.astimezone(UTC) + self._little() * MICROSECOND

    def _little(self) -> int:
        return self._rng.choice((0, 0, -1, 1, -1000, 999, -MICRO, MICRO, -60 * MICRO, 59 * MICRO))


@lru_cache(maxsize=1000)
def offset_changes(zone: ZoneInfo, start: datetime, end: datetime) -> tuple[datetime, ...]:
    """The instants (to the minute) at which the zone's offset changes."""
    changes = []
    low = start.replace(second=0, microsecond=0)
    while low < end:
        high = low + DAY
        if low.astimezone(zone).utcoffset() != high.astimezone(zone).utcoffset():
            before, after = low, high
            while after - before > MINUTE:
                middle = (before + (after - before) / 2).replace(second=0, microsecond=0)
                if middle.astimezone(zone).utcoffset() == before.astimezone(zone).utcoffset():
                    before = middle
                else:
                    after = middle
            changes.append(after)
        low = high
    return tuple(changes)


# What


def _random_fact(rng: random.Random, name: str, campaigns: range, currencies: list[str], instant: datetime) -> Fact:
    event_type = rng.choice(EVENT_TYPES)
    event_id = rng.choice((f"e{name}", f"événement {name}", f"{name}".ljust(128, "z"), f"😀{name}\0", f'"{name}" \\ '))
    numbers = {field: rng.choice((0, rng.choice(COUNTS))) for field in ("impressions", "clicks")}
    for field in ("conversions", "spend", "revenue"):
        numbers[field] = rng.choice((0, *rng.choices(SMALL_AMOUNTS, k=3), rng.choice(LARGE_AMOUNTS)))
    if event_type == "adjustment":
        numbers = {field: number * rng.choice((1, -1)) for field, number in numbers.items()}
    if event_type in IMPLIED and rng.random() < 0.8:
        numbers[IMPLIED[event_type]] = MICRO if event_type == "conversion" else 1
    return Fact(
        event_id=event_id,
        campaign_id=rng.randint(campaigns[0], campaigns[-1]),
        platform=rng.choice(PLATFORMS),
        instant=instant,
        event_type=event_type,
        region=rng.choice(REGIONS),
        ad_group_id=rng.choice(AD_GROUPS),
        ad_id=rng.choice(ADS),
        device=rng.choice(DEVICES),
        currency=rng.choice((*(None,) * 5, *currencies)),
        **numbers,
    )


def _other_content(rng: random.Random, fact: Fact) -> Fact:
    """The same id and instant, saying something else."""
    return rng.choice(
        (
            replace(fact, spend=abs(fact.spend) // 2 + 1),
            replace(fact, clicks=abs(fact.clicks) // 2 + 5),
            replace(fact, platform=rng.choice(PLATFORMS), region=rng.choice(REGIONS)),
            replace(fact, device="other", currency=rng.choice(CURRENCIES)),
        )
    )


def _sendings(
    rng: random.Random,
    fact: Fact,
    campaigns: range,
    log_time: datetime,
    now: datetime,
    moments: _Moments,
    *,
    spread: bool,
) -> Iterator[tuple[datetime, bytes]]:
    """The event, its copies, and what else a producer sends along: each with its log time."""
    kind = rng.random()
    if kind < 0.2:
        yield log_time, _bad_record(rng, fact, log_time)
        if rng.random() < 0.5:
            return  # else: a refused record is no original, the good one with its id counts
    record = _written(rng, spelled(rng, fact))
    yield log_time, record
    while rng.random() < 0.3:
        at = min(now, log_time + (_delay(rng) if spread else timedelta()))
        choice = rng.random()
        if choice < 0.25:
            yield at, record
        elif choice < 0.5:
            yield at, _written(rng, spelled(rng, fact))
        elif choice < 0.7:
            yield at, _written(rng, spelled(rng, _other_content(rng, fact)))
        elif choice < 0.85:
            moved = replace(fact, instant=moments.one_before(at))
            yield at, _written(rng, spelled(rng, moved if rng.random() < 0.5 else _other_content(rng, moved)))
        else:  # the same id in any campaign: scoped to it
            other = rng.randint(campaigns[0], fact.campaign_id)
            yield at, _written(rng, spelled(rng, replace(fact, campaign_id=other)))


def _delay(rng: random.Random) -> timedelta:
    """How much later a copy comes: at once, within the window of 7 days, just beyond it, long after."""
    week = 7 * DAY
    return rng.choice(
        (
            timedelta(seconds=rng.randint(0, 60)),
            rng.randint(0, 6 * 86_400) * timedelta(seconds=1),
            week - timedelta(seconds=rng.randint(1, 7200)),
            week + timedelta(seconds=rng.randint(1, 7200)),
            week + rng.randint(1, 24) * timedelta(hours=1),
            rng.randint(8, 60) * DAY,
        )
    )


def _disorder(rng: random.Random, sent: list[tuple[datetime, int, bytes]]) -> None:
    """Let some records overtake others, near and far, where all have one log time."""
    for index, (at, _, record) in enumerate(sent):
        place = index + (rng.randint(-30, 30) if rng.random() < 0.3 else 0)
        sent[index] = (at, place if rng.random() < 0.9 else rng.randint(0, len(sent)), record)


def _bad_record(rng: random.Random, fact: Fact, log_time: datetime) -> bytes:
    if rng.random() < 0.2:
        small = [record for record, _ in BAD_RECORDS if len(record) < 10_000]
        return rng.choice(small if rng.random() < 0.9 else [record for record, _ in BAD_RECORDS])
    members = spelled(rng, replace(fact, event_type="metrics") if fact.event_type == "adjustment" else fact)
    hours = rng.randint(1, 48)
    future, past = log_time + timedelta(hours=24 + hours), log_time - timedelta(days=400, hours=hours)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):  # with several faults, the first of the contract's table counts
        untimely = ("event_time", _json_time(rng, rng.choice((future, past))))
        field, raw = untimely if rng.random() < 0.05 else rng.choice(BAD_MEMBERS)[::2]
        members = [member for member in members if member[0] != field]
        if rng.random() < 0.9 or field not in ("event_id", "campaign_id", "platform", "event_time"):
            members.insert(rng.randint(0, len(members)), (field, raw))
    return _written(rng, members)


def _random_rates(rng: random.Random, currencies: list[str], days: list[date], today: date) -> list[Json]:
    """Rates between some of the currencies, with gaps, and often just 7 and 8 days before an event."""
    rates = []
    dense = rng.random() < 0.8
    for currency in currencies:
        for base in currencies:
            if currency == base or rng.random() < 0.1:
                continue
            dates = {rng.choice(days) - rng.choice((0, 0, 1, 6, 7, 7, 8)) * DAY for _ in range(rng.randint(1, 25))}
            if dense:
                dates |= {today - n * DAY for n in range(0, 390, rng.choice((5, 7, 8)))}
            rates += [
                {"date": day.isoformat(), "currency": currency, "base": base, "rate": rng.choice(RATES)}
                for day in sorted(dates)
            ]
    return rates


# How it is spelled


def spelled(rng: random.Random, fact: Fact) -> Members:
    """One of the many ways to say the same event, as raw JSON values."""
    members: Members = [
        ("event_id", _json_text(rng, fact.event_id)),
        ("campaign_id", _json_number(rng, fact.campaign_id)),
        ("platform", _json_text(rng, _any_case(rng, fact.platform))),
        ("event_time", _json_time(rng, fact.instant)),
    ]
    nothing = [None, "null", '""']

    def optional(field: str, raw: str, *, default: bool) -> None:
        said = rng.choice((raw, *nothing)) if default else raw
        if said is not None:
            members.append((field, said))

    optional("event_type", f'"{_any_case(rng, fact.event_type)}"', default=fact.event_type == "metrics")
    optional("region", f'"{_any_case(rng, fact.region)}"', default=fact.region == "ZZ")
    for field in ("ad_group_id", "ad_id", "device"):
        text = getattr(fact, field)
        optional(field, _json_text(rng, text), default=text == "")
    implied = IMPLIED.get(fact.event_type)
    for field in ("impressions", "clicks"):
        count = getattr(fact, field)
        optional(field, _json_number(rng, count), default=count == (1 if field == implied else 0))
    for field in ("conversions", "spend", "revenue"):
        millionths = getattr(fact, field)
        raw = _json_decimal(rng, millionths)
        optional(field, raw, default=millionths == (MICRO if field == implied else 0))
    if fact.currency or rng.random() < 0.3:
        optional("currency", f'"{_any_case(rng, fact.currency or "")}"', default=not fact.currency)
    return members


def _written(rng: random.Random, members: Members) -> bytes:
    """The record's bytes: keys in any order, unknown ones between them, some given twice."""
    members = list(members)
    if rng.random() < 0.3:
        rng.shuffle(members)
    if rng.random() < 0.2:
        members.insert(rng.randint(0, len(members)), ("some_unknown_field", rng.choice(_UNKNOWN_VALUES)()))
    if rng.random() < 0.15:
        field, junk = rng.choice(FIELDS), rng.choice(('"snapchat"', "-5", "null", '""', "[[]]", "true", "1e400"))
        place = next((index for index, member in enumerate(members) if member[0] == field), None)
        if place is not None:  # of a key given twice the last counts
            members.insert(rng.randint(0, place), (field, junk))
    colon, comma = rng.choice(((":", ","), (":", ","), (": ", ", "), ("  :\t", " ,  ")))
    body = comma.join(f"{_key(rng, key)}{colon}{raw}" for key, raw in members)
    record = f"{{{body}}}".encode()
    return record if rng.random() < 0.97 else b" \t" + record + b" "


_UNKNOWN_VALUES: tuple[Callable[[], str], ...] = (
    lambda: '{"a":[1,2]}',
    lambda: "null",
    lambda: "1e999999999",
    lambda: "-0.00000000000000000000000000000000001",
    lambda: r'"\ud83d\ude00 \u0000 \\ud800 [[[[ {\" "',
    lambda: "[" * 127 + "]" * 127,  # with the record itself: 128 levels
    lambda: f'"{"x" * 3000}"',
    lambda: '{"event_id":"inner","campaign_id":"inner"}',
)


def _key(rng: random.Random, key: str) -> str:
    if rng.random() < 0.98:
        return f'"{key}"'
    return f'"\\u{ord(key[0]):04x}{key[1:]}"'


def _any_case(rng: random.Random, text: str) -> str:
    return rng.choice((text, text, text.upper(), text.lower(), text.title()))


def _json_text(rng: random.Random, text: str) -> str:
    return json.dumps(text, ensure_ascii=rng.random() < 0.3)


def _json_number(rng: random.Random, number: int) -> str:
    """An integer: as such, with an exponent, with zeros behind the point."""
    plain = str(number)
    if number == 0:
        return rng.choice(("0", "0", "0", "0.0", "-0", "-0.0", "0e7", "0e999999999", "0.0E-999999999"))
    bare = plain.rstrip("0")
    odd = (f"{plain}.0", f"{plain}e0", f"{plain}0E-1", f"{plain}.000e+00", f"{bare}e{len(plain) - len(bare)}")
    return rng.choice((plain, rng.choice(odd)))


def _json_decimal(rng: random.Random, millionths: int) -> str:
    """A decimal, as a number or in a string."""
    plain = f"{'-' if millionths < 0 else ''}{abs(millionths) // MICRO}.{abs(millionths) % MICRO:06d}"
    short = plain.rstrip("0").rstrip(".")
    odd = (plain, f"{plain}00000000", f"{millionths}e-6", f"{short}e0", f"{short}E+00", f"{plain}0e-00")
    text = rng.choice((short, rng.choice(odd))) if millionths else _json_number(rng, 0)
    return rng.choice((text, f'"{text}"'))


def _json_time(rng: random.Random, instant: datetime) -> str:
    """Epoch milliseconds or RFC 3339 in any offset, with second 60 and any number of digits."""
    micros = (instant - EPOCH) // MICROSECOND
    if micros % 1000 == 0 and rng.random() < 0.4:
        return _json_number(rng, micros // 1000)
    minutes = rng.choice(OFFSETS_MINUTES)
    local = instant + minutes * MINUTE
    leap = local.second == 0 and rng.random() < 0.5
    if leap:
        local -= timedelta(seconds=1)
    seconds = "60" if leap else f"{local.second:02d}"
    fraction = f"{local.microsecond:06d}"
    fraction = rng.choice((fraction.rstrip("0"), fraction, f"{fraction}999", f"{fraction}0000000000000000001"))
    if minutes == 0 and rng.random() < 0.7:
        offset = rng.choice("Zz")
    else:
        sign = rng.choice("+-") if minutes == 0 else "-" if minutes < 0 else "+"
        offset = f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    separator = rng.choice("TTTt")
    point = "." if fraction else ""
    return f'"{local:%Y-%m-%d}{separator}{local:%H:%M}:{seconds}{point}{fraction}{offset}"'
