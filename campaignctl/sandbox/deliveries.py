"""The ground truth: every delivery of every campaign on every platform, a pure function of the seed.

A producer streams a delivery as an event; a platform adds deliveries up into its reports. Whatever either of them does
with it, and when, is decided here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from random import Random
from zoneinfo import ZoneInfo

from campaignctl.sandbox.world import PLATFORM_WEIGHTS, REGIONS, SandboxCampaign, per_dollar

MICROS = 1_000_000

_HOUR_WEIGHTS = (2, 1, 1, 1, 1, 2, 4, 6, 8, 9, 9, 9, 10, 9, 9, 9, 9, 10, 11, 12, 12, 9, 6, 4)
_COST_PER_MILLE = {"meta": 7.1, "google": 9.4, "linkedin": 31.0, "tiktok": 4.2}
_DEVICES = ("mobile", "mobile", "mobile", "desktop", "tablet", "")
_WORTH_DOLLARS = 22
_FOREIGN_SHARE = 0.06
_KEPT_DAYS = 8_192


@dataclass(frozen=True, slots=True)
class Delivery:
    """Something that happened. Money is micros of the campaign's currency, conversions are hundredths."""

    campaign: SandboxCampaign
    platform: str
    at: datetime
    event_id: str
    kind: str
    """The type of its event."""
    region: str
    ad: int
    device: str
    impressions: int
    clicks: int
    conversion_hundredths: int
    spend_micros: int
    revenue_micros: int
    is_foreign: bool
    """Whether the producer streams its money in another currency."""
    attributed_after: timedelta
    """How long the platform takes to credit its conversions."""
    told_country: str
    """What the platform's reports by country say: a country, ``unknown``, or "" where it is in no country's row."""
    is_interest: bool
    """Whether it is told under the country people were interested in, not the one they were in (Google)."""


class World:
    """What was delivered from ``first_day`` on. May be used by several threads."""

    def __init__(self, seed: int, first_day: date) -> None:
        self.seed = seed
        self.first_day = first_day
        self._of_day = lru_cache(_KEPT_DAYS)(self._made)

    def deliveries(self, campaign: SandboxCampaign, platform: str, day: date) -> tuple[Delivery, ...]:
        """Those of a day of UTC, in the order in which they happened; none before the first day."""
        return self._of_day(campaign, platform, day) if day >= self.first_day else ()

    def _made(self, campaign: SandboxCampaign, platform: str, day: date) -> tuple[Delivery, ...]:
        random = Random(f"{self.seed}-{campaign.number}-{platform}-{day}")  # noqa: S311 - a repeatable world
        weekend = (day.weekday() >= 5) * 0.35
        share = PLATFORM_WEIGHTS[platform] / sum(PLATFORM_WEIGHTS[one] for one in campaign.platforms)
        count = round(campaign.events_per_day * share * (1 - weekend) * random.uniform(0.8, 1.2))
        zone, midnight = ZoneInfo(campaign.timezone), datetime(day.year, day.month, day.day, tzinfo=UTC)
        lead = midnight.astimezone(zone).hour
        moments = sorted(
            midnight + timedelta(hours=(hour - lead) % 24, milliseconds=random.randrange(3_600_000))
            for hour in random.choices(range(24), _HOUR_WEIGHTS, k=count)
        )
        prefix = f"{campaign.number}-{platform[:2]}-{day:%Y%m%d}"
        return tuple(
            delivery(random, campaign, platform, at, f"{prefix}-{number}") for number, at in enumerate(moments)
        )


def delivery(random: Random, campaign: SandboxCampaign, platform: str, at: datetime, event_id: str) -> Delivery:
    """One that happens at the moment."""
    region = random.choice(REGIONS[campaign.currency])
    told = random.random()
    country = "" if told < 0.04 else "unknown" if told < 0.06 else region[:2]
    kind, figures = _measured(random, campaign, platform)
    late = random.random()
    return Delivery(
        campaign=campaign,
        platform=platform,
        at=at,
        event_id=event_id,
        kind=kind,
        region=region,
        ad=random.randint(1, 6),
        device=random.choice(_DEVICES),
        impressions=figures[0],
        clicks=figures[1],
        conversion_hundredths=figures[2],
        spend_micros=figures[3],
        revenue_micros=figures[4],
        is_foreign=kind == "metrics" and random.random() < _FOREIGN_SHARE,
        attributed_after=timedelta(hours=2 if late < 0.6 else random.randint(12, 132)),
        told_country=country,
        is_interest=random.random() < 0.2,
    )


def _measured(random: Random, campaign: SandboxCampaign, platform: str) -> tuple[str, tuple[int, int, int, int, int]]:
    draw = random.random()
    if draw < 0.15:  # single happenings; their own metric is implied
        kind = random.choice(("impression", "impression", "click", "conversion"))
        return kind, (int(kind == "impression"), int(kind == "click"), 100 * (kind == "conversion"), 0, 0)
    if draw < 0.16:
        return "adjustment", (0, -1, 0, -random.randint(1, 400) * 10_000, 0)
    dollar = round(per_dollar(campaign.currency)) or 1
    impressions = random.randint(40, 900)
    clicks = sum(random.random() < 0.02 for _ in range(impressions // 4)) * 2
    spend = round(impressions * _COST_PER_MILLE[platform] * dollar * random.uniform(0.8, 1.25) * MICROS / 1_000)
    hundredths = round(clicks * random.uniform(0, 0.2) * 100)
    if platform != "google":  # the others count conversions whole
        hundredths = round(hundredths, -2)
    revenue = hundredths * _WORTH_DOLLARS * dollar * (MICROS // 100)
    return "metrics", (impressions, clicks, hundredths, spend, revenue)


def days_between(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
