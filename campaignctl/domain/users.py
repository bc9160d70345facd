"""Users, roles and the actor on whose behalf something is done."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from campaignctl.errors import Forbidden

EMAIL_MAX_CODE_POINTS = 254
"""RFC 5321: a path of 256 bytes with its angle brackets."""
USER_NAME_MAX_CODE_POINTS = 200

_EMAIL_LOCAL = re.compile(r"[^\s@\x00-\x20\x7f\"(),:;<>\[\\\]]{1,64}")
_EMAIL_LABEL = re.compile(r"[^\W_](?:[\w-]{0,61}[^\W_])?")


class Role(StrEnum):
    """Each role may do all that the ones before it may."""

    VIEWER = "viewer"
    ANALYST = "analyst"
    OPERATOR = "operator"
    ADMIN = "admin"

    @property
    def rank(self) -> int:
        return list(Role).index(self)


@dataclass(frozen=True, slots=True)
class Organization:
    """The tenant: campaigns, accounts, keys, rates and jobs belong to it."""

    id: int
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class User:
    id: int
    organization_id: int
    email: str
    name: str
    role: Role
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Invitation:
    """A place in an organization, for whoever shows its token."""

    id: int
    organization_id: int
    email: str
    role: Role
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. Everything a service does is done for an actor and seen through its organization."""

    organization_id: int | None
    """None: the operator of the machine, who sees all organizations."""
    role: Role | None
    """None: a key that may post events and nothing else."""
    user_id: int | None = None
    session_id: int | None = None
    api_key_id: int | None = None
    may_ingest: bool = False
    """Whether events may be posted whatever the role; from the role operator up they may anyhow."""

    @classmethod
    def machine_operator(cls, organization_id: int | None = None) -> Self:
        return cls(organization_id=organization_id, role=Role.ADMIN)

    @classmethod
    def stranger(cls, place: str) -> Self:
        """Nobody who has signed in, and who is told from all others by ``place``; may do nothing."""
        number = int.from_bytes(hashlib.sha256(place.encode("utf-8", "replace")).digest()[:7], "big") + 1
        return cls(organization_id=0, role=None, user_id=-number)

    @property
    def is_machine_operator(self) -> bool:
        return self.user_id is None and self.session_id is None and self.api_key_id is None

    @property
    def label(self) -> str:
        """The actor in the audit log: ``user:7``, ``api_key:3`` or ``operator``."""
        if self.api_key_id is not None:
            return f"api_key:{self.api_key_id}"
        return "operator" if self.user_id is None else f"user:{self.user_id}"

    def sees(self, organization_id: int) -> bool:
        return self.organization_id is None or self.organization_id == organization_id

    def require(self, role: Role) -> None:
        """Raise ``Forbidden`` unless the actor's role is at least ``role``."""
        if self.role is None:
            raise Forbidden(
                "this API key may post events and nothing else", hint="use a key with the scope read, operate or admin"
            )
        if self.role.rank < role.rank:
            raise Forbidden(
                f"this needs the role {role.value}; yours is {self.role.value}",
                hint="ask an admin of your organization for the role",
            )

    def require_ingest(self) -> None:
        """Raise ``Forbidden`` unless the actor may post events."""
        if not self.may_ingest:
            self.require(Role.OPERATOR)


def comparable(text: str) -> str:
    """The text as it is compared without case: NFKC, case folded, and NFKC again (folding may undo it)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def email_key(email: str) -> str:
    """An address as it is compared and looked up; any text has one. Dots and plus signs make a difference."""
    return comparable(email).encode("utf-8", "replace").decode("utf-8")


def email_problem(email: str) -> str | None:
    """What is wrong with an address to register, as the end of a sentence; None when nothing is."""
    if len(email) > EMAIL_MAX_CODE_POINTS:
        return f"must have at most {EMAIL_MAX_CODE_POINTS} characters"
    for spelling in (email, comparable(email)):  # a full-width or compound character must not hide a second @
        local, at, domain = spelling.partition("@")
        well_formed = (
            at
            and not has_unprintable(spelling)
            and _EMAIL_LOCAL.fullmatch(local)
            and not (local.startswith(".") or local.endswith(".") or ".." in local)
            and all(_EMAIL_LABEL.fullmatch(label) for label in domain.split("."))
        )
        if not well_formed:
            return "must be an e-mail address such as ada@example.com"
    return None


def has_unprintable(text: str) -> bool:
    """Whether control characters, line or paragraph separators or halves of surrogate pairs are in the text."""
    return any(unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp") for character in text)
