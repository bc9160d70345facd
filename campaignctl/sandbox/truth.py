"""What must come out: sums kept while the stream is made, by plain addition and without the product's code."""

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from zoneinfo import ZoneInfo

from campaignctl.sandbox.world import CAMPAIGNS, SandboxCampaign

METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")
_PLACES = Decimal("0.000001")
_MAX_RATE_AGE_DAYS = 7

Sums = dict[str, Decimal]


def _zero() -> Sums:
    return dict.fromkeys(METRICS, Decimal(0))


@dataclass
class Truth:
    """Every distinct good event, added up by campaign, day of the campaign's zone, platform, region and currency."""

    rates: Iterable[Mapping[str, object]]
    cells: dict[tuple[int, date, str, str, str], Sums] = field(default_factory=lambda: defaultdict(_zero))
    distinct_events: int = 0
    copies: int = 0
    refused: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._rates = {
            (str(r["currency"]), str(r["base"]), date.fromisoformat(str(r["date"]))): Decimal(str(r["rate"]))
            for r in self.rates
        }

    def add(self, campaign: SandboxCampaign, at: datetime, event: Mapping[str, object]) -> None:
        """Count one distinct event that happened at ``at``; metrics it does not have are 0."""
        day = at.astimezone(ZoneInfo(campaign.timezone)).date()
        currency = str(event.get("currency") or campaign.currency)
        cell = self.cells[campaign.number, day, str(event["platform"]), str(event.get("region") or "ZZ"), currency]
        implied = {"impression": "impressions", "click": "clicks", "conversion": "conversions"}.get(
            str(event.get("event_type"))
        )
        for metric in METRICS:
            cell[metric] += Decimal(str(event.get(metric, 1 if metric == implied else 0)))
        self.distinct_events += 1

    def rows(
        self,
        number: int,
        *,
        group_by: tuple[str, ...],
        granularity: str,
        first_day: date,
        last_day: date,
        without: Container[tuple[str, date]] = (),
    ) -> dict[tuple[str, ...], Sums]:
        """Sums by (period start, *group), money in the campaign's currency.

        Each row converts its own sum of every (day, other currency) once, rounded half-even to 6 places. ``without``:
        platforms and days that are left out.
        """
        campaign = next(c for c in CAMPAIGNS if c.number == number)
        by_currency: dict[tuple[tuple[str, ...], date, str], Sums] = defaultdict(_zero)
        for (owner, day, platform, region, currency), sums in self.cells.items():
            if owner == number and first_day <= day <= last_day and (platform, day) not in without:
                group = tuple({"platform": platform, "region": region}[name] for name in group_by)
                row = (period_start(day, granularity, first_day).isoformat(), *group)
                target = by_currency[row, day, currency]
                for metric in METRICS:
                    target[metric] += sums[metric]
        rows: dict[tuple[str, ...], Sums] = defaultdict(_zero)
        for (row, day, currency), sums in by_currency.items():
            rate = Decimal(1) if currency == campaign.currency else self._rate(currency, campaign.currency, day)
            for metric in METRICS:
                value = sums[metric]
                if metric in ("spend", "revenue") and currency != campaign.currency:
                    value = (value * rate).quantize(_PLACES, ROUND_HALF_EVEN)
                rows[row][metric] += value
        return dict(rows)

    def _rate(self, currency: str, base: str, day: date) -> Decimal:
        for age in range(_MAX_RATE_AGE_DAYS + 1):
            rate = self._rates.get((currency, base, day - timedelta(days=age)))
            if rate is not None:
                return rate
        raise LookupError(f"the sandbox has no rate {currency} to {base} for {day}")


def period_start(day: date, granularity: str, first_day: date) -> date:
    """The first day of the bucket that holds ``day``; weeks start on Monday, ``total`` on the range's first day."""
    if granularity == "weekly":
        return day - timedelta(days=day.weekday())
    if granularity == "monthly":
        return day.replace(day=1)
    return first_day if granularity == "total" else day
