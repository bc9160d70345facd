"""The shapes of accounts in the OpenAPI document (see ``server.schemas``)."""

from datetime import date, datetime

from pydantic import BaseModel, ConfigDict, Field

from campaignctl.domain.platforms import Platform
from campaignctl.services.accounts import AccountState


class CredentialsIn(BaseModel):
    """What the platform asks for."""

    model_config = ConfigDict(extra="forbid")

    access_token: str | None = None
    refresh_token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    developer_token: str | None = None
    login_customer_id: str | None = None
    app_id: str | None = None


class AccountIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    platform: Platform
    account_id: str = Field(min_length=1, max_length=128)
    name: str | None = Field(default=None, max_length=200)
    credentials: CredentialsIn | None = None
    timezone: str | None = Field(default=None, description="IANA; without one the platform's word counts.")
    currency: str | None = Field(default=None, description="ISO 4217; without one the platform's word counts.")


class CredentialsOut(BaseModel):
    set: bool
    expires_at: datetime | None


class AccountOut(BaseModel):
    id: int
    platform: Platform
    account_id: str
    name: str
    timezone: str | None
    currency: str | None
    credentials: CredentialsOut
    verified_at: datetime | None
    created_at: datetime
    updated_at: datetime


class AccountPage(BaseModel):
    items: list[AccountOut]
    next_cursor: str | None


class VerificationOut(BaseModel):
    status: AccountState
    missing_permissions: list[str] = Field(description="In the platform's words.")
    message: str | None
    account: AccountOut


class FetchIn(BaseModel):
    model_config = ConfigDict(extra="forbid")

    platforms: list[Platform] | None = Field(default=None, min_length=1)
    start_date: date | None = None
    end_date: date | None = None


SHOWN: tuple[type[BaseModel], ...] = (AccountIn, AccountOut, AccountPage, VerificationOut, FetchIn)
