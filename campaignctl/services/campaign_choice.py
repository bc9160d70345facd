"""Choosing campaigns by status, platform and name: it means the same wherever it is asked."""

from collections.abc import Mapping
from typing import TypedDict

from campaignctl.domain.campaigns import CampaignStatus
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor, has_unprintable
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.metadata import CampaignFilter

_MAX_TEXT_CHARACTERS = 200


class CampaignChoice(TypedDict):
    """What may be asked for; None lets every campaign pass."""

    status: CampaignStatus | None
    platform: Platform | None
    """One the campaign lists."""
    q: str | None
    """A part of the name, compared without case."""


def read_choice(given: Mapping[str, str]) -> CampaignChoice:
    """As a query string puts it. Raises ``InvalidInput`` that names what is wrong; leaves other names alone."""
    errors: list[FieldError] = []
    known = tuple(CampaignChoice.__annotations__)
    reader = FieldReader({name: given[name] for name in known if name in given}, known, errors)
    status = reader.choice("status", CampaignStatus, CampaignStatus.ACTIVE) if reader.given("status") else None
    platform = reader.choice("platform", Platform, Platform.META, any_case=True) if reader.given("platform") else None
    if errors:
        raise InvalidInput(errors)
    return CampaignChoice(status=status, platform=platform, q=given.get("q"))


def filter_of(choice: CampaignChoice, actor: Actor) -> CampaignFilter:
    """Those of the actor's campaigns that are meant; raises ``InvalidInput`` for a text that no name can have."""
    return CampaignFilter(
        organization_id=actor.organization_id,
        status=None if choice["status"] is None else choice["status"].value,
        platform=None if choice["platform"] is None else choice["platform"].value,
        text=_checked_text(choice["q"]),
    )


def _checked_text(q: str | None) -> str | None:
    if q is None or not q:
        return None
    if len(q) > _MAX_TEXT_CHARACTERS:
        raise InvalidInput.of("q", f"must have at most {_MAX_TEXT_CHARACTERS} characters")
    if has_unprintable(q):
        raise InvalidInput.of("q", "must not hold control characters, line breaks or halves of surrogate pairs")
    return q
