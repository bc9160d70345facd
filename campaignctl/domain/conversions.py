"""What counts as a conversion in an account: a version, and the platform's names that it adds up."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from campaignctl.domain.fields import FieldReader
from campaignctl.errors import FieldError, InvalidInput

ACTION_MAX_CODE_POINTS: Final = 200
MOST_ACTIONS: Final = 100
CONVERSIONS_MEMBERS: Final = ("actions",)


@dataclass(frozen=True, slots=True)
class Definition:
    version: str
    actions: tuple[str, ...]
    """Names that add up: none of them contains another."""


class DefinitionOrigin(StrEnum):
    """Where an account's definition comes from."""

    ACCOUNT = "account"
    """Its own list."""
    CONFIGURATION = "configuration"
    """The list that is configured for the platform."""
    DEFAULT = "default"
    """The platform's default."""


@dataclass(frozen=True, slots=True)
class ChosenDefinition:
    """A definition that somebody chose for an account."""

    definition: Definition
    is_own: bool
    """Whether it is the account's own list; False: it was given back to the configuration, which said this then."""
    chosen_at: datetime


def conversion_actions(body: object) -> tuple[str, ...]:
    """The names in a request body, none for an empty list; ``InvalidInput`` says what is wrong."""
    errors: list[FieldError] = []
    fields = FieldReader(body, CONVERSIONS_MEMBERS, errors)
    names: Sequence[object] = ()
    if fields.required("actions"):
        value = fields.value("actions")
        if isinstance(value, list):
            names = value
        else:
            fields.fail("actions", "must be an array of the platform's names, empty for the default")
    if not all(isinstance(name, str) and _is_name(name) for name in names):
        fields.fail("actions", f"may hold names of 1 to {ACTION_MAX_CODE_POINTS} printable characters only")
    elif len(names) > MOST_ACTIONS:
        fields.fail("actions", f"may hold {MOST_ACTIONS} names at most")
    if errors:
        raise InvalidInput(errors)
    return tuple(dict.fromkeys(str(name) for name in names))


def _is_name(text: str) -> bool:
    return 0 < len(text) <= ACTION_MAX_CODE_POINTS and text.isprintable() and text.strip() == text
