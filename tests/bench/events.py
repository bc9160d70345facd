"""The file that the benchmark's variants read: ordinary events, one a line, a few per mille bad, two in a hundred copies."""

import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

CAMPAIGNS = 50
_PLATFORMS = ("meta", "google", "linkedin", "tiktok")
_REGIONS = ("US", "US-CA", "US-NY", "IN", "IN-MH", "GB", "DE", "DE-BY", "FR", "BR", "JP-13", "AU-NSW", "CA", "ZZ")
_DEVICES = ("mobile", "desktop", "tablet")
_TYPES = ("metrics", "metrics", "metrics", "impression", "click", "conversion")
_BAD_EVERY = 1_000
_COPY_SHARE = 0.02
DAYS = 5
"""Younger than the deduplication window, as live traffic is."""


def write_events(path: Path, count: int, *, days: int = DAYS) -> int:
    """Write a file of events of the last ``days`` days; answers its size in bytes."""
    with path.open("wb") as file:
        for line in _lines(random.Random(1), count, days):
            file.write(line)
            file.write(b"\n")
    return path.stat().st_size


def read_events(path: Path, at_once: int) -> Iterator[list[bytes]]:
    """The file's lines, so many at a time."""
    batch: list[bytes] = []
    with path.open("rb") as file:
        for line in file:
            batch.append(line[:-1])
            if len(batch) == at_once:
                yield batch
                batch = []
    if batch:
        yield batch


def _lines(rng: random.Random, count: int, days: int) -> Iterator[bytes]:
    now = datetime.now(UTC).replace(microsecond=0)
    recent: list[bytes] = []
    for number in range(count):
        if recent and rng.random() < _COPY_SHARE:
            yield rng.choice(recent)
            continue
        line = _event(rng, now - timedelta(milliseconds=rng.randrange(days * 86_400_000)), number)
        if number % _BAD_EVERY == _BAD_EVERY - 1:
            yield line[:-9]
            continue
        if len(recent) < 1_000:
            recent.append(line)
        else:
            recent[number % 1_000] = line
        yield line


def _event(rng: random.Random, at: datetime, number: int) -> bytes:
    clicks = rng.randrange(30)
    event = {
        "event_id": f"{rng.getrandbits(64):016x}-{number}",
        "campaign_id": 1 + rng.randrange(CAMPAIGNS),
        "platform": rng.choice(_PLATFORMS),
        "event_time": at.isoformat(timespec="milliseconds"),
        "event_type": rng.choice(_TYPES),
        "region": rng.choice(_REGIONS),
        "ad_group_id": f"group-{rng.randrange(200)}",
        "ad_id": f"ad-{rng.randrange(1_000)}",
        "device": rng.choice(_DEVICES),
        "impressions": rng.randrange(1_000),
        "clicks": clicks,
        "conversions": clicks * 0.125,
        "spend": f"{rng.randrange(10**8) / 10**6:.6f}",
        "revenue": f"{rng.randrange(10**8) / 10**4:.2f}",
        "currency": "USD",
    }
    return json.dumps(event).encode()
