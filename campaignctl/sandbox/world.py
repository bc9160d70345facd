"""The campaigns of the sandbox, where they are known on the platforms, and the currency rates they need."""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random


@dataclass(frozen=True, slots=True)
class SandboxCampaign:
    """A campaign as the sandbox plays it; ``number`` counts from 1, as a fresh installation numbers its campaigns."""

    number: int
    name: str
    timezone: str
    currency: str
    platforms: tuple[str, ...]
    events_per_day: int
    daily_budget: int


CAMPAIGNS = (
    SandboxCampaign(1, "Spring launch", "America/New_York", "USD", ("meta", "google", "linkedin", "tiktok"), 90, 900),
    SandboxCampaign(2, "Diwali offers", "Asia/Kolkata", "INR", ("meta", "google", "tiktok"), 60, 60_000),
    SandboxCampaign(3, "Winter sale", "Europe/London", "GBP", ("meta", "google"), 50, 500),
    SandboxCampaign(4, "Engineers wanted", "Europe/Berlin", "EUR", ("linkedin",), 25, 250),
    SandboxCampaign(5, "Snack drop", "Asia/Tokyo", "JPY", ("tiktok", "meta"), 45, 60_000),
    SandboxCampaign(6, "Always on", "UTC", "USD", ("google",), 60, 600),
    SandboxCampaign(7, "Surf season", "Australia/Lord_Howe", "AUD", ("meta", "tiktok"), 30, 300),
    SandboxCampaign(8, "Trekking week", "Asia/Kathmandu", "USD", ("meta",), 25, 200),
    SandboxCampaign(9, "Carnaval", "America/Sao_Paulo", "BRL", ("google", "tiktok"), 40, 1_500),
    SandboxCampaign(10, "Developer days", "America/Los_Angeles", "USD", ("linkedin", "google"), 30, 400),
    SandboxCampaign(11, "Island hotels", "Pacific/Auckland", "NZD", ("meta", "google"), 25, 350),
    SandboxCampaign(12, "Payroll software", "Europe/Paris", "EUR", ("linkedin", "google", "meta"), 30, 420),
)

UNCLAIMED = SandboxCampaign(
    90, "Frühere Marke – 旧ブランド", "UTC", "USD", ("meta", "google", "linkedin", "tiktok"), 8, 0
)
"""Runs in the accounts too, and no campaign of the product claims it."""

REGIONS = {
    "USD": ("US", "US-CA", "US-NY", "US-TX", "CA-ON"),
    "INR": ("IN", "IN-MH", "IN-KA", "IN-DL"),
    "GBP": ("GB", "GB-ENG", "GB-SCT"),
    "EUR": ("DE", "DE-BY", "FR", "FR-IDF"),
    "JPY": ("JP", "JP-13"),
    "AUD": ("AU", "AU-NSW"),
    "BRL": ("BR", "BR-SP"),
    "NZD": ("NZ", "NZ-AUK"),
}

# Roughly what one US dollar cost late in 2026; the sandbox only needs plausible figures.
_PER_DOLLAR = {"INR": "84.1", "GBP": "0.77", "EUR": "0.92", "JPY": "151", "AUD": "1.52", "BRL": "5.6", "NZD": "1.67"}


PLATFORM_WEIGHTS = {"meta": 5, "google": 4, "tiktok": 3, "linkedin": 2}


def per_dollar(currency: str) -> Decimal:
    """Roughly what a US dollar costs in the currency."""
    return Decimal(_PER_DOLLAR.get(currency, "1"))


def foreign_currency(campaign: SandboxCampaign) -> str:
    """The other currency that some of the campaign's events are billed in."""
    return "EUR" if campaign.currency == "USD" else "USD"


def rates(seed: int, first_day: date, last_day: date) -> list[dict[str, object]]:
    """The body of ``PUT /api/v1/currency-rates``: every pair the stream needs, with weekends left out as banks do."""
    random = Random(f"rates-{seed}")  # noqa: S311 - a repeatable world, nothing secret
    pairs = sorted({(foreign_currency(c), c.currency) for c in CAMPAIGNS})
    body: list[dict[str, object]] = []
    day = first_day - timedelta(days=4)
    while day <= last_day:
        if day.weekday() < 5:
            body += [
                {"date": day.isoformat(), "currency": currency, "base": base, "rate": _rate(random, currency, base)}
                for currency, base in pairs
            ]
        day += timedelta(days=1)
    return body


def _rate(random: Random, currency: str, base: str) -> str:
    middle = per_dollar(base) / per_dollar(currency)
    wobble = Decimal(random.randint(-200, 200)) / Decimal(10_000)
    return str((middle * (1 + wobble)).quantize(Decimal("0.000001")))
