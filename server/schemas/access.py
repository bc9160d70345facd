"""Members, invitations, API keys and the audit log."""

from datetime import datetime

from pydantic import BaseModel, Field

from campaignctl.domain.api_keys import Scope
from campaignctl.domain.users import Role
from server.schemas.fields import In
from server.schemas.sessions import UserOut


class MemberIn(In):
    role: Role


class MemberPage(BaseModel):
    items: list[UserOut]
    next_cursor: str | None


class InvitationIn(In):
    email: str = Field(max_length=254)
    role: Role


class InvitationOut(BaseModel):
    id: int
    email: str
    role: Role
    token: str = Field(default="", description="Shown this once; left out of a replayed answer.")
    expires_at: datetime


class Acceptance(In):
    password: str = Field(max_length=128)
    name: str | None = Field(default=None, max_length=200)


class ResetIssued(BaseModel):
    token: str = Field(default="", description="Shown this once; left out of a replayed answer.")
    expires_at: datetime


class ApiKeyIn(In):
    name: str = Field(min_length=1, max_length=200)
    scopes: list[Scope] = Field(min_length=1)
    expires_at: datetime | None = None


class ApiKeyOut(BaseModel):
    id: int
    name: str
    prefix: str = Field(description="The key's first characters.")
    scopes: list[Scope]
    expires_at: datetime | None
    created_at: datetime
    last_used_at: datetime | None = Field(description="To the minute.")


class ApiKeyIssued(ApiKeyOut):
    key: str = Field(default="", description="Shown this once; left out of a replayed answer.")


class ApiKeyPage(BaseModel):
    items: list[ApiKeyOut]
    next_cursor: str | None


class AuditEntryOut(BaseModel):
    id: int
    at: datetime
    actor: str = Field(description="`user:7`, `api_key:3` or `operator`.")
    actor_name: str = Field(description="The user's address, or the beginning of the key, at that time.")
    action: str = Field(description="The `operationId` of what was done.")
    object: str = Field(description="What it was done to.")
    details: dict[str, str]
    address: str
    request_id: str


class AuditPage(BaseModel):
    items: list[AuditEntryOut]
    next_cursor: str | None
