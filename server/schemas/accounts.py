"""Accounts on ad platforms."""

from datetime import datetime

from pydantic import BaseModel, Field

from campaignctl.domain.conversions import MOST_ACTIONS, DefinitionOrigin
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


class ConversionsIn(In):
    actions: list[str] = Field(
        max_length=MOST_ACTIONS,
        description="The platform's names of what counts; empty for what is configured, else the platform's default.",
    )


class ChosenConversionsOut(BaseModel):
    definition: str
    actions: list[str]
    own: bool = Field(description="False: the choice was to have what is configured; this is what it was then.")
    chosen_at: datetime


class ConversionsOut(BaseModel):
    account_id: int
    platform: Platform
    definition: str = Field(description="The version; it stands with every figure that was counted by it.")
    actions: list[str] = Field(description="The names that add up: none of them contains another.")
    origin: DefinitionOrigin
    known: list[str] | None = Field(
        description="All names that the platform has; null where its own objects give more of them."
    )
    history: list[ChosenConversionsOut] = Field(description="What was chosen, the latest first; at most 20.")
