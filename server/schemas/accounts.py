"""Accounts on ad platforms."""

from datetime import datetime

from pydantic import BaseModel, Field

from campaignctl.domain.platforms import Platform
from campaignctl.services.accounts import AccountState
from server.schemas.fields import In


class CredentialsIn(In):
    """What the platform asks for."""

    access_token: str | None = None
    refresh_token: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    developer_token: str | None = None
    login_customer_id: str | None = None
    app_id: str | None = None


class AccountIn(In):
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
