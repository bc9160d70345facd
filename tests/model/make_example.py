"""Writes ``examples/events`` anew: a few hundred readable events with what must come out of them, all by the model.

``python -m tests.model.make_example`` gives the same bytes each time.
"""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from tests.model.faults import BAD_MEMBERS
from tests.model.histories import IMPLIED, MICRO, Fact, spelled
from tests.model.questions import request
from tests.model.reference import Json, Model

FOLDER = Path(__file__).parents[2] / "examples" / "events"
SEED = 1
EVENTS = 240
FIRST_DAY = datetime(2026, 10, 12, tzinfo=UTC)
DAYS = 28
"""Until 8 November: Europe's clocks change on 25 October, North America's on 1 November."""
SENT_AT = datetime(2026, 11, 9, 12, tzinfo=UTC)
RETENTION_DAYS = 30_000
"""Far more than any installation keeps, so that the same lines are refused whenever the file is sent."""

CAMPAIGNS: list[Json] = [
    {
        "name": "Spring",
        "timezone": "America/New_York",
        "currency": "USD",
        "budget": "5000",
        "platforms": [
            {"platform": "meta", "account_id": "act_1002003", "external_id": "2384000"},
            {"platform": "google", "account_id": "1234567890", "external_id": "777"},
        ],
    },
    {"name": "Monsoon sale", "timezone": "Asia/Kolkata", "currency": "INR", "platforms": []},
]
_REGIONS = {1: ("US", "US-CA", "US-NY", "CA-ON", "ZZ"), 2: ("IN", "IN-MH", "IN-KA", "ZZ")}
_OTHER_CURRENCY = {1: "EUR", 2: "USD"}
_PER_CLICK_MICROS = {1: 420_000, 2: 18_500_000}
_TYPES = ("metrics",) * 6 + ("impression", "click", "conversion", "adjustment")


def make(*, conflicts: bool = True) -> dict[str, bytes]:
    """The files of the folder by name. Without ``conflicts`` all copies of an event agree, so that their order is no matter."""
    rng = random.Random(SEED)
    lines = list(_lines(rng, conflicts=conflicts))
    rates = _rates(rng)
    model = Model(retention_days=RETENTION_DAYS)
    for number, campaign in enumerate(CAMPAIGNS, 1):
        model.add_campaign(number, timezone=campaign["timezone"], currency=campaign["currency"])
    model.add_rates(rates)
    sent_at_ms = int(SENT_AT.timestamp()) * 1000
    reasons = [(index, model.feed(line, sent_at_ms)) for index, line in enumerate(lines)]
    refused = [(index, reason) for index, reason in reasons if reason is not None]
    answers = [_answered(model, question) for question in QUESTIONS]
    return {
        "campaigns.json": _pretty(CAMPAIGNS),
        "rates.json": _listed(rates),
        "events.ndjson.gz": gzip.compress(b"\n".join(lines) + b"\n", 9, mtime=0),
        "refused.json": _pretty(
            {"by_reason": dict(sorted(Counter(reason for _, reason in refused).items())), "line_and_reason": refused}
        ),
        "answers.json": _listed(answers),
    }


def _lines(rng: random.Random, *, conflicts: bool) -> Iterator[bytes]:
    """The file's lines: in the order of time, more or less, as producers send them."""
    facts = sorted((_fact(rng, number) for number in range(EVENTS)), key=lambda fact: fact.instant)
    sent: list[tuple[int, bytes]] = []
    for place, fact in enumerate(facts):
        sent.append(
            (place + rng.choice((0, 0, 0, 0, 25)), _plain(fact) if rng.random() < 0.8 else _careless(rng, fact))
        )
        draw = rng.random()
        if draw < 0.06:  # a retry: the same bytes, at once
            sent.append((place, _plain(fact)))
        elif draw < 0.12:  # a replay of the day before: the same event, spelled in another way
            sent.append((place + 60, _careless(rng, fact)))
        elif draw < 0.15:  # the same id with other content: a conflict, the first one counts
            if conflicts:
                sent.append((place + 40, _plain(replace(fact, clicks=abs(fact.clicks) + 1))))
        elif draw < 0.23:
            sent.append((place, _bad(rng, fact)))
    return iter(line for _, line in sorted(sent, key=lambda one: one[0]))


def _fact(rng: random.Random, number: int) -> Fact:
    campaign_id = rng.choice((1, 1, 2))
    zone = ZoneInfo(CAMPAIGNS[campaign_id - 1]["timezone"])
    instant = FIRST_DAY + timedelta(milliseconds=rng.randrange(DAYS * 86_400_000))
    if rng.random() < 0.15:  # at the very edge of a day of the campaign's zone
        midnight = instant.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
        instant = midnight.astimezone(UTC) - rng.choice((0, 1, 1000)) * timedelta(milliseconds=1)
    event_type = rng.choice(_TYPES)
    platform = rng.choice(("meta", "meta", "google", "linkedin", "tiktok"))
    impressions = rng.randint(0, 900)
    clicks = rng.randint(0, impressions // 20)
    sums = {
        "impressions": impressions,
        "clicks": clicks,
        "conversions": clicks * rng.choice((0, 0, 125_000, 333_333)),
        "spend": clicks * _PER_CLICK_MICROS[campaign_id] + rng.choice((0, 0, 1, 345_678)),
        "revenue": clicks * _PER_CLICK_MICROS[campaign_id] * rng.choice((0, 2, 3)),
    }
    if event_type == "adjustment":
        sums = {name: -value // 10 for name, value in sums.items()}
    elif event_type in IMPLIED:
        sums = dict.fromkeys(sums, 0) | {"spend": sums["spend"]}
        sums[IMPLIED[event_type]] = MICRO if event_type == "conversion" else 1
    return Fact(
        event_id=f"ev-{number:04d}",
        campaign_id=campaign_id,
        platform=platform,
        instant=instant,
        event_type=event_type,
        region=rng.choice(_REGIONS[campaign_id]),
        ad_group_id=rng.choice(("", "spring-shoes", "01", "1")),
        ad_id=rng.choice(("", "ad 1", "ad 2")),
        device=rng.choice(("", "mobile", "desktop")),
        currency=_OTHER_CURRENCY[campaign_id] if rng.random() < 0.1 else None,
        **sums,
    )


def _plain(fact: Fact) -> bytes:
    """As a careful producer writes it: what is 0 or empty is left out, money is a string."""
    zone = ZoneInfo(CAMPAIGNS[fact.campaign_id - 1]["timezone"])
    event: dict[str, Any] = {
        "event_id": fact.event_id,
        "campaign_id": fact.campaign_id,
        "platform": fact.platform,
        "event_time": fact.instant.astimezone(zone).isoformat(timespec="milliseconds"),
        "event_type": fact.event_type,
        "region": fact.region,
    }
    event |= {
        name: getattr(fact, name) for name in ("ad_group_id", "ad_id", "device", "currency", "impressions", "clicks")
    }
    for name in ("conversions", "spend", "revenue"):
        millionths = getattr(fact, name)
        sign = "-" if millionths < 0 else ""
        event[name] = f"{sign}{abs(millionths) // MICRO}.{abs(millionths) % MICRO:06d}" if millionths else None
    return json.dumps({name: value for name, value in event.items() if value not in (None, "", 0)}).encode()


def _careless(rng: random.Random, fact: Fact) -> bytes:
    """One of the many other spellings of the same event."""
    return _written(spelled(rng, fact))


def _bad(rng: random.Random, fact: Fact) -> bytes:
    """The event with one member that breaks a rule, whatever the clock says."""
    lasting = [fault for fault in BAD_MEMBERS if len(fault[2]) < 60 and not fault[1].startswith("event_time")]
    lasting += [("event_time", "event_time_in_future", '"9999-12-31T23:59:59Z"')]
    lasting += [("event_time", "event_time_too_old", '"0001-01-01T00:00:00Z"')]
    reason = rng.choice(sorted({fault[1] for fault in lasting}))
    if rng.random() < 0.15:
        return _plain(fact)[:-7]
    field, _, raw = rng.choice([fault for fault in lasting if fault[1] == reason])
    calm = replace(fact, event_type="metrics") if fact.event_type == "adjustment" else fact
    members = [member for member in spelled(rng, calm) if member[0] != field]
    return _written([*members, (field, raw)])


def _written(members: list[tuple[str, str]]) -> bytes:
    return ("{" + ", ".join(f'"{name}": {raw}' for name, raw in members) + "}").encode()


def _rates(rng: random.Random) -> list[Json]:
    """Euro into dollars on working days; dollars into rupees once a week, with a hole of three weeks."""
    rates: list[Json] = []
    for day in (FIRST_DAY.date() + timedelta(days=n) for n in range(-3, DAYS)):
        if day.weekday() < 5:
            rate = f"1.{rng.randint(700, 1000):04d}"
            rates.append({"date": day.isoformat(), "currency": "EUR", "base": "USD", "rate": rate})
        if day.weekday() == 0 and not 14 <= (day - FIRST_DAY.date()).days < 28:
            rates.append({"date": day.isoformat(), "currency": "USD", "base": "INR", "rate": "84.125"})
    return rates


def _answered(model: Model, question: Json) -> Json:
    path, params = request(question)
    answer = model.answer(question, SENT_AT)
    members = ("rows", "totals", "warnings", "timezone", "currency", "comparison")
    expect = {name: answer[name] for name in members if answer[name] is not None}
    return {"path": path, "params": params, "expect": expect}


def _of(campaign: int, first: str, last: str, **params: str) -> Json:
    return {"campaigns": [campaign], "several": False, "params": {"start_date": first, "end_date": last, **params}}


def _together(first: str, last: str, **params: str) -> Json:
    return {"campaigns": [1, 2], "several": True, "params": {"start_date": first, "end_date": last, **params}}


_ALL = ("2026-10-12", "2026-11-08")
QUESTIONS: tuple[Json, ...] = (
    _of(1, *_ALL),
    _of(2, *_ALL),
    _of(1, *_ALL, granularity="weekly", group_by="platform"),
    _of(1, "2026-10-14", "2026-11-04", granularity="weekly", week_start="sunday"),
    _of(1, *_ALL, granularity="monthly", group_by="region"),
    _of(1, *_ALL, granularity="total"),
    _of(1, *_ALL, granularity="total", group_by="platform,region", sort="spend"),
    _of(1, "2026-11-01", "2026-11-01", granularity="hourly", fill="zero"),
    _of(1, "2026-10-25", "2026-10-25", granularity="hourly", timezone="Europe/Berlin", fill="zero"),
    _of(1, "2026-10-20", "2026-10-26", timezone="Asia/Kathmandu"),
    _of(1, "2026-10-20", "2026-10-26", timezone="Asia/Kathmandu", group_by="device"),
    _of(1, *_ALL, region="US", granularity="total"),
    _of(1, *_ALL, region="US-CA,ca-on", group_by="region", granularity="total"),
    _of(1, *_ALL, platform="META,google", group_by="platform", granularity="monthly"),
    _of(1, *_ALL, group_by="ad_group,ad", granularity="total", sort="ctr", order="asc"),
    _of(1, "2026-10-26", "2026-11-01", compare="previous_period"),
    _of(1, "2026-10-26", "2026-11-01", compare="previous_year", granularity="total"),
    _of(1, *_ALL, currency="EUR", granularity="total"),
    _of(2, *_ALL, granularity="weekly"),
    _of(2, "2026-10-12", "2026-10-18", granularity="total", group_by="platform"),
    _of(2, *_ALL, granularity="total", timezone="UTC"),
    _of(2, "2026-11-05", "2026-11-08", fill="zero", group_by="platform"),
    _together(*_ALL, timezone="UTC", currency="USD", granularity="total"),
    _together(*_ALL, timezone="UTC", currency="INR", group_by="campaign", granularity="weekly"),
    _together(
        "2026-10-12", "2026-10-14", timezone="Asia/Kolkata", currency="USD", group_by="campaign,platform", sort="clicks"
    ),
)


def _pretty(value: object) -> bytes:
    return msgspec.json.format(_encoded(value), indent=1) + b"\n"


def _listed(values: list[Json]) -> bytes:
    """A list with one entry a line."""
    return b"[\n" + b",\n".join(_encoded(value) for value in values) + b"\n]\n"


def _encoded(value: object) -> bytes:
    """Compact JSON with decimals as plain numbers, every digit kept."""
    return _ENCODER.encode(value)


_ENCODER = msgspec.json.Encoder(decimal_format="number")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, content in make().items():
        (FOLDER / name).write_bytes(content)


if __name__ == "__main__":
    main()
