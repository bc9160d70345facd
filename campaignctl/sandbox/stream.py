"""The sandbox's event stream: what careless producers send, and the truth about it.

Deterministic: the same seed and the same last moment give the same bytes. Among good events the stream holds copies
sent at once, copies sent much later, events out of order, other currencies, adjustments, and records that must be
refused for every reason of the contract.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from campaignctl.sandbox.truth import Truth
from campaignctl.sandbox.world import CAMPAIGNS, REGIONS, SandboxCampaign, foreign_currency, rates

_HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 9, 10, 9, 9, 9, 9, 10, 11, 12, 12, 9, 6, 4)
_PLATFORM_WEIGHTS = {"meta": 5, "google": 4, "tiktok": 3, "linkedin": 2}
_COST_PER_MILLE = {"meta": 7.1, "google": 9.4, "linkedin": 31.0, "tiktok": 4.2}
_PER_DOLLAR = {"INR": 84, "JPY": 151, "BRL": 5}
_DEVICES = ("mobile", "mobile", "mobile", "desktop", "tablet", "")

_NEAR_COPY_SHARE = 0.02
_FAR_COPY_SHARE = 0.02
_REFUSED_EVERY = 250


@dataclass(frozen=True, slots=True)
class History:
    """A finished stretch of the stream: the records in the order sent, the rates to store, and the truth."""

    records: list[bytes]
    rates: list[dict[str, object]]
    truth: Truth
    first_moment: datetime
    last_moment: datetime


class Stream:
    """Makes events one by one and keeps the truth about them."""

    def __init__(self, seed: int, truth: Truth, id_prefix: str = "e") -> None:
        self._random = Random(f"stream-{seed}-{id_prefix}")  # noqa: S311 - a repeatable world, nothing secret
        self._truth = truth
        self._prefix = id_prefix
        self._made = 0

    def event(self, campaign: SandboxCampaign, at: datetime) -> bytes:
        """One good event of the campaign at that moment, already counted in the truth."""
        random = self._random
        self._made += 1
        platform = random.choices(campaign.platforms, [_PLATFORM_WEIGHTS[p] for p in campaign.platforms])[0]
        ad = random.randint(1, 6)
        event: dict[str, object] = {
            "event_id": f"{self._prefix}-{campaign.number}-{self._made}",
            "campaign_id": campaign.number,
            "platform": platform,
            "event_time": at.astimezone(ZoneInfo(campaign.timezone)).isoformat()
            if self._made % 3
            else int(at.timestamp() * 1000),
            "region": random.choice(REGIONS[campaign.currency]),
            "ad_group_id": f"{platform[:2]}-group-{1 + ad // 3}",
            "ad_id": f"{platform[:2]}-ad-{ad}",
            "device": random.choice(_DEVICES),
        }
        self._measure(event, campaign, platform)
        self._truth.add(campaign, at, event)
        return _encode(event)

    def _measure(self, event: dict[str, object], campaign: SandboxCampaign, platform: str) -> None:
        random = self._random
        draw = random.random()
        if draw < 0.15:  # single happenings; their own metric is implied
            event["event_type"] = random.choice(("impression", "impression", "click", "conversion"))
            return
        if draw < 0.16:
            event |= {"event_type": "adjustment", "spend": f"-{random.randint(1, 400) / 100:.2f}", "clicks": -1}
            return
        impressions = random.randint(40, 900)
        clicks = sum(random.random() < 0.02 for _ in range(impressions // 4)) * 2
        scale = _PER_DOLLAR.get(campaign.currency, 1)
        spend = round(impressions * _COST_PER_MILLE[platform] / 1000 * scale * random.uniform(0.8, 1.25), 6)
        conversions = round(clicks * random.uniform(0, 0.2), 2)
        event |= {"event_type": "metrics", "impressions": impressions, "clicks": clicks, "conversions": conversions}
        event["spend"] = spend if random.random() < 0.5 else f"{spend:.6f}"
        event["revenue"] = f"{conversions * 22 * scale:.2f}"
        if random.random() < 0.06:
            event["currency"] = foreign_currency(campaign)

    def refused(self, at: datetime, turn: int) -> bytes:
        """A record that must be refused; ``turn`` walks through every reason."""
        good: dict[str, object] = {
            "event_id": f"{self._prefix}-bad-{turn}",
            "campaign_id": 1,
            "platform": "meta",
            "event_time": at.isoformat(),
            "clicks": 1,
        }
        spoiled: list[tuple[str, dict[str, object]]] = [
            ("missing_field", {"event_id": None}),
            ("invalid_type", {"clicks": 1.5}),
            ("invalid_value", {"spend": "12 dollars"}),
            ("invalid_region", {"region": "Bavaria"}),
            ("unknown_platform", {"platform": "myspace"}),
            ("unknown_campaign", {"campaign_id": 999_999}),
            ("event_time_in_future", {"event_time": (at + timedelta(days=30)).isoformat()}),
            ("event_time_too_old", {"event_time": "1999-12-31T23:59:59Z"}),
        ]
        choice = turn % (len(spoiled) + 2)
        if choice == len(spoiled):
            self._truth.refused["malformed_json"] += 1
            return _encode(good)[:-5]
        if choice == len(spoiled) + 1:
            self._truth.refused["too_large"] += 1
            return _encode(good | {"note": "x" * 262_144})
        reason, change = spoiled[choice]
        self._truth.refused[reason] += 1
        return _encode(good | change)


def history(seed: int, now: datetime, days: int) -> History:
    """The stream of the ``days`` days before ``now``, in the order in which it arrives."""
    first = now - timedelta(days=days)
    stored_rates = rates(seed, first.date(), now.date() + timedelta(days=1))
    truth = Truth(stored_rates)
    stream = Stream(seed, truth, id_prefix=f"h{int(now.timestamp())}")
    random = Random(f"arrival-{seed}")  # noqa: S311 - a repeatable world, nothing secret
    moments = sorted(_moments(random, first, now, days), key=lambda pair: pair[1])
    records: list[bytes] = []
    far: list[bytes] = []
    for index, (campaign, at) in enumerate(moments):
        record = stream.event(campaign, at)
        records.append(record)
        draw = random.random()
        if draw < _NEAR_COPY_SHARE:
            records.append(record)
            truth.copies += 1
        elif draw < _NEAR_COPY_SHARE + _FAR_COPY_SHARE:
            far.append(record)
            truth.copies += 1
        if index % _REFUSED_EVERY == _REFUSED_EVERY - 1:
            records.append(stream.refused(now - timedelta(hours=1), index // _REFUSED_EVERY))
        if len(records) > 20 and draw > 0.97:  # arrives late: trade places with an earlier one
            other = len(records) - random.randint(2, 20)
            records[-1], records[other] = records[other], records[-1]
    records += far
    return History(records, stored_rates, truth, first, now)


def live(seed: int, truth: Truth, started: datetime) -> Iterator[tuple[SandboxCampaign, "Stream"]]:
    """Whose turn it is, for ever: (campaign, the stream to take its next event from)."""
    stream = Stream(seed, truth, id_prefix=f"l{int(started.timestamp())}")
    random = Random(f"live-{seed}")  # noqa: S311 - a repeatable world, nothing secret
    while True:
        yield random.choices(CAMPAIGNS, [c.events_per_day for c in CAMPAIGNS])[0], stream


def _moments(random: Random, first: datetime, now: datetime, days: int) -> Iterator[tuple[SandboxCampaign, datetime]]:
    for campaign in CAMPAIGNS:
        zone = ZoneInfo(campaign.timezone)
        for day in range(days):
            start = (first + timedelta(days=day)).astimezone(UTC)
            weekend = (start.astimezone(zone).weekday() >= 5) * 0.35
            for _ in range(round(campaign.events_per_day * (1 - weekend) * random.uniform(0.8, 1.2))):
                hour = random.choices(range(24), _HOUR_WEIGHTS)[0]
                at = start + timedelta(hours=hour, microseconds=random.randrange(3_600_000) * 1000)
                yield campaign, min(at, now)


def _encode(event: dict[str, object]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
