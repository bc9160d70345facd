"""The accounts of the sandbox's platforms and what runs in them: one account per platform and currency.

Ids are as long as real ones: those of Meta and TikTok do not fit into a binary floating-point number.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from functools import cache

from campaignctl.sandbox.world import CAMPAIGNS, UNCLAIMED, SandboxCampaign

CAMPAIGN, GROUP = "campaign", "campaign_group"

_ZONES = {
    "USD": "America/Los_Angeles",
    "INR": "Asia/Kolkata",
    "GBP": "Europe/London",
    "EUR": "Europe/Berlin",
    "JPY": "Asia/Tokyo",
    "AUD": "Australia/Sydney",
    "BRL": "America/Sao_Paulo",
    "NZD": "Pacific/Auckland",
}
_FIRST_ACCOUNT = {
    "meta": 100_200_300_400_500,
    "google": 7_890_120_000,
    "linkedin": 508_000_000,
    "tiktok": 7_000_000_000_000_000_000,
}
_FIRST_NATIVE = {
    "meta": 120_330_000_000_000_000,
    "google": 21_000_000_000,
    "linkedin": 630_000_000,
    "tiktok": 1_790_000_000_000_000_000,
}
_LINKEDIN_CAMPAIGNS = 220_100_000
_PARTS = 2
"""Campaigns in a group of LinkedIn's."""


@dataclass(frozen=True, slots=True)
class SandboxAccount:
    """An account of a platform; its days are those of ``timezone``, its money is ``currency``."""

    platform: str
    account_id: str
    currency: str
    timezone: str

    @property
    def name(self) -> str:
        return f"Sandbox {self.platform} {self.currency}"

    def body(self) -> dict[str, object]:
        """The body of ``POST /api/v1/accounts``."""
        own = {"platform": self.platform, "account_id": self.account_id, "name": self.name}
        return {**own, "credentials": self.credentials()}

    def credentials(self) -> dict[str, str]:
        """What the sandbox takes for this account. Nothing real has such values."""
        token = f"sandbox-{self.platform}-{self.currency.lower()}"
        if self.platform in ("meta", "tiktok"):
            return {"access_token": f"{token}-token"}
        client = {
            "client_id": f"sandbox-{self.platform}-client",
            "client_secret": f"sandbox-{self.platform}-secret",
            "refresh_token": f"{token}-refresh",
        }
        return client | ({"developer_token": "sandbox-developer-token"} if self.platform == "google" else {})


@dataclass(frozen=True, slots=True)
class Native:
    """A campaign as a platform knows it: on LinkedIn a campaign group with campaigns in it, elsewhere a campaign."""

    account: SandboxAccount
    level: str
    native_id: str
    campaign: SandboxCampaign
    group_id: str = ""
    """Of a campaign of LinkedIn's, the group it is in."""
    part: int = 0
    """Of a campaign of LinkedIn's, which of its group's it is."""

    @property
    def name(self) -> str:
        return f"{self.campaign.name} {self.part + 1}" if self.group_id else self.campaign.name

    @property
    def status(self) -> str:
        return "ARCHIVED" if self.campaign is UNCLAIMED else "ACTIVE"

    def link(self) -> dict[str, object]:
        """A member of ``platforms`` in the body of a campaign."""
        level = {"level": self.level} if self.level != CAMPAIGN else {}
        ids = {"account_id": self.account.account_id, "external_id": self.native_id}
        return {"platform": self.account.platform, **ids, **level}


@cache
def accounts() -> tuple[SandboxAccount, ...]:
    """All of them, by platform."""
    found = []
    for platform, first in _FIRST_ACCOUNT.items():
        currencies = sorted({one.currency for one in (*CAMPAIGNS, UNCLAIMED) if platform in one.platforms})
        for number, currency in enumerate(currencies, 1):
            zone = "UTC" if platform == "linkedin" else _ZONES[currency]
            found.append(SandboxAccount(platform, str(first + number), currency, zone))
    return tuple(found)


@cache
def natives() -> tuple[Native, ...]:
    """All of them, groups before their campaigns."""
    return tuple(native for campaign in (*CAMPAIGNS, UNCLAIMED) for native in _of(campaign))


def claimed_by(campaign: SandboxCampaign) -> list[Native]:
    """Those that a campaign of the product is linked to: one on each of its platforms."""
    return [native for native in natives() if native.campaign is campaign and not native.group_id]


def campaign_body(campaign: SandboxCampaign, first_day: date) -> dict[str, object]:
    """The body of ``POST /api/v1/campaigns``."""
    return {
        "name": campaign.name,
        "timezone": campaign.timezone,
        "currency": campaign.currency,
        "budget": campaign.daily_budget,
        "budget_period": "daily",
        "start_date": first_day.isoformat(),
        "platforms": [native.link() for native in claimed_by(campaign)],
    }


def natives_in(account: SandboxAccount, level: str = CAMPAIGN) -> list[Native]:
    return list(_of_accounts().get((account.platform, account.account_id, level), ()))


def campaigns_of(native: Native) -> list[Native]:
    """Those of which a group consists; a campaign consists of itself."""
    if native.level == CAMPAIGN:
        return [native]
    return list(_of_groups().get((native.account.account_id, native.native_id), ()))


@cache
def _of_accounts() -> dict[tuple[str, str, str], list[Native]]:
    found: dict[tuple[str, str, str], list[Native]] = {}
    for one in natives():
        found.setdefault((one.account.platform, one.account.account_id, one.level), []).append(one)
    return found


@cache
def _of_groups() -> dict[tuple[str, str], list[Native]]:
    found: dict[tuple[str, str], list[Native]] = {}
    for one in natives():
        if one.group_id:
            found.setdefault((one.account.account_id, one.group_id), []).append(one)
    return found


def _of(campaign: SandboxCampaign) -> Iterator[Native]:
    for platform in campaign.platforms:
        account = next(one for one in accounts() if one.platform == platform and one.currency == campaign.currency)
        native_id = str(_FIRST_NATIVE[platform] + campaign.number)
        if platform != "linkedin":
            yield Native(account, CAMPAIGN, native_id, campaign)
            continue
        yield Native(account, GROUP, native_id, campaign)
        for part in range(_PARTS):
            own = str(_LINKEDIN_CAMPAIGNS + campaign.number * 10 + part)
            yield Native(account, CAMPAIGN, own, campaign, group_id=native_id, part=part)
