"""The sandbox's event stream: what careless producers send of what was delivered, and the truth about it.

Deterministic: the same world and the same last moment give the same bytes. Among good events the stream holds copies
sent at once, copies sent much later, events out of order, other currencies, adjustments, and records that must be
refused for every reason of the contract.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from random import Random
from zlib import crc32
from zoneinfo import ZoneInfo

from campaignctl.sandbox.deliveries import MICROS, Delivery, World, days_between, delivery
from campaignctl.sandbox.truth import Truth
from campaignctl.sandbox.world import CAMPAIGNS, PLATFORM_WEIGHTS, SandboxCampaign, foreign_currency, per_dollar, rates

_PLACES = Decimal("0.000001")
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


def event_of(one: Delivery) -> dict[str, object]:
    """The event that its producer sends. Spellings differ from delivery to delivery, and always in the same way."""
    spelling = crc32(one.event_id.encode())
    group = f"{one.platform[:2]}-group-{1 + one.ad // 3}"
    event: dict[str, object] = {
        "event_id": one.event_id,
        "campaign_id": one.campaign.number,
        "platform": one.platform,
        "event_time": one.at.astimezone(ZoneInfo(one.campaign.timezone)).isoformat()
        if spelling % 3
        else round(one.at.timestamp() * 1000),
        "region": one.region,
        "ad_group_id": group,
        "ad_id": f"{one.platform[:2]}-ad-{one.ad}",
        "device": one.device,
        "event_type": one.kind,
    }
    if one.kind not in ("metrics", "adjustment"):  # its own metric is implied
        return event
    spend, revenue = Decimal(one.spend_micros) / MICROS, Decimal(one.revenue_micros) / MICROS
    if one.is_foreign:
        other = foreign_currency(one.campaign)
        factor = per_dollar(other) / per_dollar(one.campaign.currency)
        spend, revenue = (spend * factor).quantize(_PLACES), (revenue * factor).quantize(_PLACES)
        event["currency"] = other
    event |= {"impressions": one.impressions, "clicks": one.clicks, "conversions": one.conversion_hundredths / 100}
    event["spend"] = float(spend) if spelling % 2 else f"{spend:.6f}"
    event["revenue"] = f"{revenue:.2f}" if not one.is_foreign else f"{revenue:.6f}"
    return event


def delivered(world: World, first: datetime, last: datetime) -> Iterator[Delivery]:
    """What the product's campaigns had from the one moment to the other, in the order in which it happened."""
    for day in days_between(first.date(), last.date()):
        of_day = [
            one
            for campaign in CAMPAIGNS
            for platform in campaign.platforms
            for one in world.deliveries(campaign, platform, day)
        ]
        yield from (one for one in sorted(of_day, key=lambda one: one.at) if first <= one.at <= last)


class Stream:
    """Makes records one by one and keeps the truth about them."""

    def __init__(self, seed: int, truth: Truth, id_prefix: str = "e") -> None:
        self._random = Random(f"stream-{seed}-{id_prefix}")  # noqa: S311 - a repeatable world, nothing secret
        self._truth = truth
        self._prefix = id_prefix
        self._made = 0

    def event(self, campaign: SandboxCampaign, at: datetime) -> bytes:
        """One more good event of the campaign at that moment, which no report knows, already counted in the truth."""
        self._made += 1
        platform = self._random.choices(campaign.platforms, [PLATFORM_WEIGHTS[p] for p in campaign.platforms])[0]
        return self.of(delivery(self._random, campaign, platform, at, f"{self._prefix}-{campaign.number}-{self._made}"))

    def of(self, one: Delivery) -> bytes:
        """The delivery's event, counted in the truth."""
        event = event_of(one)
        self._truth.add(one.campaign, one.at, event)
        return encode(event)

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
            return encode(good)[:-5]
        if choice == len(spoiled) + 1:
            self._truth.refused["too_large"] += 1
            return encode(good | {"note": "x" * 262_144})
        reason, change = spoiled[choice]
        self._truth.refused[reason] += 1
        return encode(good | change)


def history(world: World, now: datetime, days: int) -> History:
    """The stream of the ``days`` days before ``now``, in the order in which it arrives."""
    seed, first = world.seed, now - timedelta(days=days)
    stored_rates = rates(seed, first.date(), now.date() + timedelta(days=1))
    truth = Truth(stored_rates)
    stream = Stream(seed, truth, id_prefix=f"h{int(now.timestamp())}")
    random = Random(f"arrival-{seed}")  # noqa: S311 - a repeatable world, nothing secret
    records: list[bytes] = []
    far: list[bytes] = []
    for index, one in enumerate(delivered(world, first, now)):
        record = stream.of(one)
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


def encode(event: Mapping[str, object]) -> bytes:
    return json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode()
