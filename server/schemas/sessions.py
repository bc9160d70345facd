"""Signing in and out, and who is signed in."""

from datetime import datetime

from pydantic import BaseModel, Field

from campaignctl.domain.users import Role
from server.schemas.fields import In


class Registration(In):
    email: str = Field(max_length=254, examples=["ada@example.com"])
    password: str = Field(max_length=128, description="At least 12 characters; neither common nor the address.")
    name: str | None = Field(default=None, max_length=200)


class Login(In):
    email: str
    password: str


class RefreshToken(In):
    refresh_token: str


class Logout(In):
    refresh_token: str | None = None


class PasswordChange(In):
    current_password: str
    new_password: str = Field(max_length=128)


class PasswordReset(In):
    token: str
    new_password: str = Field(max_length=128)


class UserOut(BaseModel):
    id: int
    email: str
    name: str
    role: Role
    created_at: datetime


class Tokens(BaseModel):
    access_token: str
    token_type: str = Field(pattern="^bearer$")
    expires_in: int = Field(description="Seconds the access token lives.")
    refresh_token: str = Field(description="Good for one refresh; using it twice ends the session.")
