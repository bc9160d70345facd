"""Event rows for the analytics contract, and what their sums must be."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import fields
from datetime import date, timedelta
from typing import Any

import numpy as np

from campaignctl.domain.insight_sums import StoredSums
from campaignctl.domain.insights import Dimension, Metric
from campaignctl.ports.analytics import EventRows

EPOCH = date(1970, 1, 1)
DAY_US = 86_400_000_000
WINDOW_MS = 7 * 86_400_000
TOPIC, PARTITION = 0xDEADBEEF, 3
METRICS = ("impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros")
FIRST_DAY = date(2026, 8, 1)
DAYS = 120
"""Rows lie on this many days from the first: in four or five months."""

Row = dict[str, Any]
COLUMNS = [f.name for f in fields(EventRows) if f.name not in ("topic_id", "partition")]


def day_number(day: date) -> int:
    return (day - EPOCH).days


def random_rows(seed: int, count: int, *, first_offset: int = 0, campaigns: int = 5) -> list[Row]:
    """Rows of consecutive offsets; the campaigns' zone is UTC, so that a row's day is that of its instant."""
    rng = random.Random(seed)
    first_us = day_number(FIRST_DAY) * DAY_US
    return [
        row(
            offset,
            event_id=f"{seed}-{offset}",
            campaign_id=rng.randint(1, campaigns),
            event_time_us=first_us + rng.randrange(DAYS * DAY_US),
            platform=rng.choice(("meta", "google", "linkedin", "tiktok")),
            region=rng.choice(("ZZ", "US", "US-CA", "US-NY", "IN")),
            ad_group_id=rng.choice(("", "ag")),
            device=rng.choice(("", "mobile")),
            currency=rng.choice(("USD", "USD", "EUR")),
            **{metric: rng.choice((0, 1, 7, 10**6, 10**15, -(10**6))) for metric in METRICS},
        )
        for offset in range(first_offset, first_offset + count)
    ]


def row(offset: int, **members: Any) -> Row:
    """A row with a spend of 1; what is given replaces the defaults, ``day`` follows the time."""
    given: Row = {
        "event_id": f"event-{offset}",
        "campaign_id": 1,
        "event_time_us": day_number(FIRST_DAY) * DAY_US,
        "platform": "meta",
        "event_type": "metrics",
        "region": "ZZ",
        "ad_group_id": "",
        "ad_id": "",
        "device": "",
        "currency": "USD",
        "impressions": 0,
        "clicks": 0,
        "conversions_millionths": 0,
        "spend_micros": 1_000_000,
        "revenue_micros": 0,
        "fingerprint": 2**64 - 1 - offset,
        "offsets": offset,
        "times_ms": 1_795_000_000_000 + offset,
        **members,
    }
    return {"day": given["event_time_us"] // DAY_US, **given}


def event_rows(rows: Sequence[Row], *, topic_id: int = TOPIC, partition: int = PARTITION) -> EventRows:
    columns: dict[str, Any] = {name: [one[name] for one in rows] for name in COLUMNS}
    columns["fingerprint"] = np.array(columns["fingerprint"], np.uint64)
    return EventRows(**columns, topic_id=topic_id, partition=partition)


def sums_by(rows: Iterable[Row], *names: str) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """The five sums by the values of some columns."""
    found: defaultdict[tuple[Any, ...], Counter[str]] = defaultdict(Counter)
    for one in rows:
        for metric in METRICS:
            found[tuple(one[name] for name in names)][metric] += one[metric]
    return {key: tuple(sums[metric] for metric in METRICS) for key, sums in found.items()}


def stored_by(sums: StoredSums, group_by: Sequence[Dimension] = ()) -> dict[tuple[Any, ...], tuple[int, ...]]:
    """(Bucket, group values, currency, money's day) to the five sums, as the store answered them."""
    columns = [
        sums.bucket.tolist(),
        *([keys.names[code] for code in keys.codes.tolist()] for keys in sums.groups),
        [sums.currency.names[code] for code in sums.currency.codes.tolist()],
        sums.money_day.tolist(),
    ]
    assert len(sums.groups) == len(group_by)
    found: dict[tuple[Any, ...], tuple[int, ...]] = {}
    for n, key in enumerate(zip(*columns, strict=True)):
        own = tuple(sums.metrics[metric].at(n) for metric in Metric)
        found[key] = tuple(map(sum, zip(own, found.get(key, (0,) * len(own)), strict=True)))
    return found


def days_of(rows: Iterable[Row]) -> dict[int, list[int]]:
    touched: defaultdict[int, set[int]] = defaultdict(set)
    for one in rows:
        touched[one["campaign_id"]].add(one["day"])
    return {campaign: sorted(days) for campaign, days in touched.items()}


def last_day() -> date:
    return FIRST_DAY + timedelta(days=DAYS - 1)
