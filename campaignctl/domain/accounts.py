"""Accounts on ad platforms: what is kept of one, and what its credentials may hold."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from campaignctl.domain.campaigns import NATIVE_ID_MAX_CODE_POINTS
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.platforms import Platform, account_key
from campaignctl.errors import FieldError, InvalidInput

NAME_MAX_CODE_POINTS = 200
CREDENTIAL_MAX_CODE_POINTS = 4_096

ACCOUNT_MEMBERS: Final = ("platform", "account_id", "name", "credentials", "timezone", "currency")
CREDENTIAL_MEMBERS: Final = (
    "access_token",
    "refresh_token",
    "client_id",
    "client_secret",
    "developer_token",
    "login_customer_id",
    "app_id",
)
_SUFFICIENT: Final[Mapping[Platform, tuple[frozenset[str], ...]]] = {
    Platform.META: (frozenset({"access_token"}),),
    Platform.GOOGLE: (
        frozenset({"refresh_token", "client_id", "client_secret", "developer_token"}),
        frozenset({"access_token", "developer_token"}),
    ),
    Platform.LINKEDIN: (
        frozenset({"access_token"}),
        frozenset({"refresh_token", "client_id", "client_secret"}),
    ),
    Platform.TIKTOK: (frozenset({"access_token"}),),
}
"""Per platform, the sets of credentials of which one whole set is needed."""


@dataclass(frozen=True, slots=True)
class AccountDraft:
    """An account as somebody wants it."""

    platform: Platform
    account_id: str
    name: str = ""
    credentials: Mapping[str, str] | None = field(default=None, repr=False)
    """None: none were given, so those that are kept stay."""
    timezone: str = ""
    """IANA name; "" leaves it to the platform."""
    currency: str = ""
    """ISO 4217; "" leaves it to the platform."""

    @property
    def key(self) -> str:
        return account_key(self.platform, self.account_id)


@dataclass(frozen=True, slots=True)
class PlatformAccount:
    """An account as it is kept, without its credentials."""

    id: int
    organization_id: int
    platform: Platform
    account_id: str
    """As its owner wrote it."""
    name: str
    timezone: str
    currency: str
    has_credentials: bool
    expires_at: datetime | None
    """When the credentials end, as far as the platform has told."""
    verified_at: datetime | None
    """When the platform last said what the account is."""
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> str:
        return account_key(self.platform, self.account_id)


def account_draft(body: object) -> AccountDraft:
    """The draft in a request body; ``InvalidInput`` names every member that is wrong, and never shows a credential."""
    errors: list[FieldError] = []
    fields = FieldReader(body, ACCOUNT_MEMBERS, errors)
    platform = fields.choice("platform", Platform, Platform.META, any_case=True)
    if not fields.required("platform"):
        platform = Platform.META
    if isinstance(fields.value("account_id"), int):
        fields.fail("account_id", "must be a string: platforms' ids are never numbers, put it in quotes")
        account_id = ""
    else:
        account_id = fields.text("account_id", max_length=NATIVE_ID_MAX_CODE_POINTS)
    draft = AccountDraft(
        platform=platform,
        account_id=account_id,
        name=fields.text("name", max_length=NAME_MAX_CODE_POINTS) if fields.given("name") else "",
        credentials=_credentials(fields, platform, errors) if fields.given("credentials") else None,
        timezone=fields.timezone("timezone", ""),
        currency=fields.currency("currency") if fields.given("currency") else "",
    )
    if errors:
        raise InvalidInput(errors)
    return draft


def _credentials(fields: FieldReader, platform: Platform, errors: list[FieldError]) -> dict[str, str]:
    inner = FieldReader(fields.value("credentials"), CREDENTIAL_MEMBERS, errors, prefix="credentials.")
    if not inner.is_object:
        return {}
    given: dict[str, str] = {}
    for name in CREDENTIAL_MEMBERS:
        if not inner.given(name):
            continue
        value = inner.value(name)
        if not isinstance(value, str) or not value.strip():
            inner.fail(name, "must be a string that is not blank")
        elif len(value) > CREDENTIAL_MAX_CODE_POINTS or not value.isascii() or not value.strip().isprintable():
            inner.fail(name, f"must be at most {CREDENTIAL_MAX_CODE_POINTS} printable ASCII characters")
        else:
            given[name] = value.strip()
    sets = _SUFFICIENT[platform]
    if not any(needed <= given.keys() for needed in sets) and not errors:
        wanted = " or ".join(", ".join(sorted(needed)) for needed in sets)
        fields.fail("credentials", f"{platform.value} needs {wanted}")
    return given
