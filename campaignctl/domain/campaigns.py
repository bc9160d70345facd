"""Campaigns, the native campaigns of the ad platforms that they claim, and the rules for both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.money import PLACES, micros_to_decimal
from campaignctl.domain.platforms import Platform, account_key, native_key
from campaignctl.domain.users import comparable
from campaignctl.errors import FieldError, InvalidInput

NAME_MAX_CODE_POINTS = 200
NATIVE_ID_MAX_CODE_POINTS = 128
MAX_LINKS = 1_000
BUDGET_INTEGER_DIGITS = 12
"""Budgets are below 10^12: with 6 places that fits 64 bits, and a year's budget in rupiah fits too."""

DRAFT_MEMBERS = (
    "name", "platforms", "budget", "budget_period", "currency", "timezone", "start_date", "end_date", "status",
)  # fmt: skip
LINK_MEMBERS = ("platform", "account_id", "external_id", "level", "valid_from", "valid_to")


class CampaignStatus(StrEnum):
    ACTIVE = "active"
    PAUSED = "paused"
    COMPLETED = "completed"
    ARCHIVED = "archived"


class BudgetPeriod(StrEnum):
    TOTAL = "total"
    DAILY = "daily"
    MONTHLY = "monthly"


class LinkLevel(StrEnum):
    """What the external id names on the platform."""

    CAMPAIGN = "campaign"
    CAMPAIGN_GROUP = "campaign_group"
    """LinkedIn only."""


@dataclass(frozen=True, slots=True)
class PlatformLink:
    """A native campaign that belongs to the campaign, from ``valid_from`` to ``valid_to`` (both inclusive days)."""

    platform: Platform
    account_id: str
    external_id: str
    level: LinkLevel = LinkLevel.CAMPAIGN
    valid_from: date | None = None
    """None: since ever."""
    valid_to: date | None = None
    """None: without end."""

    @property
    def first_day(self) -> date:
        return self.valid_from or date.min

    @property
    def last_day(self) -> date:
        return self.valid_to or date.max

    @property
    def native_campaign(self) -> tuple[str, str, str, str]:
        """Platform, account, level and native id by key: what can be claimed by one campaign a day only."""
        account = account_key(self.platform, self.account_id)
        return self.platform.value, account, self.level.value, native_key(self.platform, self.level, self.external_id)


@dataclass(frozen=True, slots=True)
class CampaignDraft:
    """All settings of a campaign, checked: what creating and replacing take."""

    name: str
    platforms: tuple[PlatformLink, ...] = ()
    budget_micros: int | None = None
    """In ``currency``; None: no budget was set."""
    budget_period: BudgetPeriod = BudgetPeriod.TOTAL
    currency: str = "USD"
    timezone: str = "UTC"
    start_date: date | None = None
    end_date: date | None = None
    """The last day, inclusive."""
    status: CampaignStatus = CampaignStatus.ACTIVE


@dataclass(frozen=True, slots=True)
class Campaign:
    """A campaign as it is stored."""

    id: int
    organization_id: int
    name: str
    platforms: tuple[PlatformLink, ...]
    budget_micros: int | None
    budget_period: BudgetPeriod
    currency: str
    timezone: str
    start_date: date | None
    end_date: date | None
    status: CampaignStatus
    version: int
    """Rises with every change of the settings."""
    created_at: datetime
    updated_at: datetime

    @property
    def budget(self) -> Decimal | None:
        return None if self.budget_micros is None else micros_to_decimal(self.budget_micros)


def name_key(text: str) -> str:
    """A campaign's name, or a part of one, as it is searched."""
    return comparable(text)


def campaign_draft(values: object) -> CampaignDraft:
    """The draft that a mapping of plain values describes: the members of ``DRAFT_MEMBERS``, all but ``name`` optional.

    Raises ``InvalidInput`` that names every wrong or unknown member (``platforms.0.account_id``). Decimals come as
    ``Decimal``, ``int`` or text; days as text.
    """
    errors: list[FieldError] = []
    fields = FieldReader(values, DRAFT_MEMBERS, errors)
    draft = CampaignDraft(
        name=fields.text("name", max_length=NAME_MAX_CODE_POINTS),
        platforms=_links(fields.value("platforms"), errors),
        budget_micros=_budget_micros(fields),
        budget_period=fields.choice("budget_period", BudgetPeriod, BudgetPeriod.TOTAL),
        currency=fields.currency("currency", "USD"),
        timezone=fields.timezone("timezone", "UTC"),
        start_date=fields.day("start_date"),
        end_date=fields.day("end_date"),
        status=fields.choice("status", CampaignStatus, CampaignStatus.ACTIVE),
    )
    if draft.start_date and draft.end_date and draft.end_date < draft.start_date:
        fields.fail("end_date", "must not lie before start_date")
    if errors:
        raise InvalidInput(errors)
    return draft


def campaign_fields(campaign: Campaign | CampaignDraft) -> dict[str, object]:
    """The settings as plain values, as ``campaign_draft`` takes them: decimals as ``Decimal``, days as text."""
    micros = campaign.budget_micros
    return {
        "name": campaign.name,
        "platforms": [_link_fields(link) for link in campaign.platforms],
        "budget": None if micros is None else micros_to_decimal(micros),
        "budget_period": campaign.budget_period.value,
        "currency": campaign.currency,
        "timezone": campaign.timezone,
        "start_date": _day_text(campaign.start_date),
        "end_date": _day_text(campaign.end_date),
        "status": campaign.status.value,
    }


def _link_fields(link: PlatformLink) -> Mapping[str, object]:
    return {
        "platform": link.platform.value,
        "account_id": link.account_id,
        "external_id": link.external_id,
        "level": link.level.value,
        "valid_from": _day_text(link.valid_from),
        "valid_to": _day_text(link.valid_to),
    }


def _day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _budget_micros(fields: FieldReader) -> int | None:
    number = fields.number("budget", places=PLACES, integer_digits=BUDGET_INTEGER_DIGITS)
    if number is None:
        return None
    if number.negative:
        fields.fail("budget", "must be 0 or more")
    return number.times_power_of_ten(PLACES)


def _links(value: object, errors: list[FieldError]) -> tuple[PlatformLink, ...]:
    if value is None:
        return ()
    if not isinstance(value, Sequence) or isinstance(value, str | bytes):
        errors.append(FieldError("platforms", "must be a list of objects with platform, account_id and external_id"))
        return ()
    if len(value) > MAX_LINKS:
        errors.append(FieldError("platforms", f"must have at most {MAX_LINKS} entries"))
        return ()
    before = len(errors)
    links = tuple(_link(entry, errors, prefix=f"platforms.{index}.") for index, entry in enumerate(value))
    if len(errors) == before:
        _refuse_overlaps(links, errors)
    return links


def _link(value: object, errors: list[FieldError], *, prefix: str) -> PlatformLink:
    fields = FieldReader(value, LINK_MEMBERS, errors, prefix=prefix)
    fields.required("platform")
    link = PlatformLink(
        platform=fields.choice("platform", Platform, Platform.META, any_case=True),
        account_id=_native_id(fields, "account_id"),
        external_id=_native_id(fields, "external_id"),
        level=fields.choice("level", LinkLevel, LinkLevel.CAMPAIGN),
        valid_from=fields.day("valid_from"),
        valid_to=fields.day("valid_to"),
    )
    if link.level is LinkLevel.CAMPAIGN_GROUP and link.platform is not Platform.LINKEDIN:
        fields.fail("level", "may be campaign_group on linkedin only")
    if link.last_day < link.first_day:
        fields.fail("valid_to", "must not lie before valid_from")
    return link


def _native_id(fields: FieldReader, name: str) -> str:
    value = fields.value(name)
    if isinstance(value, int) and not isinstance(value, bool):
        fields.fail(name, "must be a string: platforms' ids are never numbers, put it in quotes")
        return ""
    return fields.text(name, max_length=NATIVE_ID_MAX_CODE_POINTS)


def _refuse_overlaps(links: Sequence[PlatformLink], errors: list[FieldError]) -> None:
    """A campaign may list a native campaign more than once, for days that do not overlap."""
    last: dict[tuple[str, str, str, str], tuple[int, date]] = {}
    for index in sorted(range(len(links)), key=lambda index: links[index].first_day):
        link = links[index]
        earlier, last_day = last.get(link.native_campaign, (index, date.min))
        if earlier != index and link.first_day <= last_day:
            first, second = sorted((earlier, index))
            message = f"is the same native campaign as platforms.{first} on overlapping days; leave one out"
            errors.append(FieldError(f"platforms.{second}", message))
        if link.last_day >= last_day:
            last[link.native_campaign] = index, link.last_day
