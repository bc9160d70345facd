"""Reading the members of one object of the input, noting everything that is wrong instead of stopping at the first.

The values are plain Python ones, as a JSON decoder that keeps decimals exact gives them. No message repeats a value.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from difflib import get_close_matches
from enum import StrEnum
from typing import TypeVar

from campaignctl.domain.currencies import normalize_currency
from campaignctl.domain.events.times import parse_time
from campaignctl.domain.money import ExactNumber, parse_number
from campaignctl.domain.timezones import known_timezones, nearest_timezone
from campaignctl.domain.users import has_unprintable
from campaignctl.errors import FieldError

Choice = TypeVar("Choice", bound=StrEnum)

_ID = re.compile(r"[1-9][0-9]{0,18}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_MAX_UNKNOWN_REPORTED = 10
_MAX_NAME_CHARACTERS = 100


class FieldReader:
    """Reads members by name; what is wrong goes to ``errors``, and the reading goes on with a harmless value.

    ``null`` is the same as absent. ``prefix`` stands before every field's name (``platforms.0.``).
    """

    def __init__(self, values: object, known: Sequence[str], errors: list[FieldError], *, prefix: str = "") -> None:
        self._errors = errors
        self._prefix = prefix
        self._values: Mapping[str, object] = values if isinstance(values, Mapping) else {}
        self.is_object = isinstance(values, Mapping)
        if self.is_object:
            self._report_unknown(known)
        else:
            errors.append(FieldError(prefix.rstrip(".") or "body", f"must be an object with {_listed(known)}"))

    def given(self, name: str) -> bool:
        return self._values.get(name) is not None

    def value(self, name: str) -> object:
        return self._values.get(name)

    def fail(self, name: str, message: str) -> None:
        self._errors.append(FieldError(self._prefix + name, message))

    def required(self, name: str) -> bool:
        """Whether the member is there; notes when it is not (where there is an object at all)."""
        if not self.given(name) and self.is_object:
            self.fail(name, "is required")
        return self.given(name)

    def text(self, name: str, *, max_length: int) -> str:
        """A required string of printable characters that is not blank, as it was written."""
        if not self.required(name):
            return ""
        value = self._string(name)
        if value is None:
            return ""
        if not value.strip():
            self.fail(name, "must not be blank")
        elif len(value) > max_length:
            self.fail(name, f"must have at most {max_length} characters")
        elif has_unprintable(value):
            self.fail(name, "must not hold control characters, line breaks or halves of surrogate pairs")
        return value

    def choice(self, name: str, choices: type[Choice], default: Choice, *, any_case: bool = False) -> Choice:
        if not self.given(name):
            return default
        value = self._string(name)
        if value is None:
            return default
        known = [choice.value for choice in choices]
        wanted = value.lower() if any_case else value
        if wanted in known:
            return choices(wanted)
        self.fail(name, f"must be one of {', '.join(known)}{did_you_mean(value, known)}")
        return default

    def currency(self, name: str, default: str = "") -> str:
        """A code of ISO 4217 in upper case, given in any; required unless there is a default."""
        if not self.given(name) and default:
            return default
        value = self._string(name) if self.required(name) else None
        if value is None:
            return default
        code = normalize_currency(value)
        if code is None:
            self.fail(name, "must be a currency code of ISO 4217 such as USD")
            return default
        return code

    def timezone(self, name: str, default: str) -> str:
        """The IANA name of a time zone."""
        value = self._string(name) if self.given(name) else None
        if value is None or value in known_timezones():
            return value or default
        near = nearest_timezone(value[:_MAX_NAME_CHARACTERS])
        meant = f"; did you mean {near}?" if near else ""
        self.fail(name, f"must be an IANA time zone such as Asia/Kolkata{meant}")
        return default

    def day(self, name: str) -> date | None:
        """A calendar day; None when it is absent."""
        if not self.given(name):
            return None
        value = self._string(name)
        if value is None:
            return None
        try:
            if _DAY.fullmatch(value):
                return date.fromisoformat(value)
        except ValueError:
            pass
        self.fail(name, "must be a calendar day written YYYY-MM-DD, such as 2026-10-31")
        return None

    def instant_us(self, name: str) -> int | None:
        """Epoch microseconds of a time of RFC 3339; None when it is absent or wrong."""
        value = self._string(name) if self.given(name) else None
        instant_us = None if value is None else parse_time(value)
        if value is not None and instant_us is None:
            self.fail(name, "must be a time of RFC 3339 with an offset, such as 2026-10-31T18:00:00Z")
        return instant_us

    def id(self, name: str) -> int | None:
        """A number of ours, also written as text; None when it is absent or wrong."""
        value = self._values.get(name)
        if value is None:
            return None
        if isinstance(value, str) and _ID.fullmatch(value):
            value = int(value)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63:
            return value
        self.fail(name, "must be a whole number from 1 on")
        return None

    def instant(self, name: str) -> datetime | None:
        """The same as a time in UTC, within the years that have one."""
        instant_us = self.instant_us(name)
        if instant_us is None:
            return None
        try:
            return _EPOCH + timedelta(microseconds=instant_us)
        except OverflowError:
            self.fail(name, "must lie between the years 1 and 9999")
            return None

    def choices(self, name: str, choices: type[Choice]) -> tuple[Choice, ...]:
        """A required, not empty array of the words, each once, in the order of their definition."""
        if not self.required(name):
            return ()
        value, known = self._values[name], [choice.value for choice in choices]
        if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
            self.fail(name, f"must be an array with one or more of {', '.join(known)}")
            return ()
        for one in value:
            if one not in known:
                self.fail(name, f"may hold {', '.join(known)} only{did_you_mean(one, known)}")
                return ()
        return tuple(choice for choice in choices if choice.value in value)

    def number(self, name: str, *, places: int, integer_digits: int) -> ExactNumber | None:
        """An exact decimal below 10^integer_digits with at most ``places`` places; None when absent or wrong."""
        value = self._values.get(name)
        if value is None:
            return None
        text = _number_text(value)
        if text is None:
            self.fail(name, "must be a decimal number, or a string that holds one")
            return None
        number = parse_number(text)
        if number is None:
            self.fail(name, "must be a decimal number such as 12.5, without a plus sign, leading zeros or a unit")
        elif number.integer_digits > integer_digits:
            self.fail(name, f"must be below 10^{integer_digits}")
        elif number.exponent < -places:
            self.fail(name, f"must have at most {places} decimal places")
        else:
            return number
        return None

    def _string(self, name: str) -> str | None:
        value = self._values[name]
        if isinstance(value, str):
            return value
        self.fail(name, "must be a string")
        return None

    def _report_unknown(self, known: Sequence[str]) -> None:
        unknown = [name for name in self._values if name not in known]
        for name in unknown[:_MAX_UNKNOWN_REPORTED]:
            shown = str(name)[:_MAX_NAME_CHARACTERS].encode("utf-8", "backslashreplace").decode()
            self.fail(shown, f"is not known here{did_you_mean(shown, known) or '; known are ' + _listed(known)}")


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """``; did you mean timezone?``, or nothing when nothing is near."""
    near = get_close_matches(name[:_MAX_NAME_CHARACTERS].casefold(), known, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else ""


def _number_text(value: object) -> str | None:
    if isinstance(value, str | Decimal):
        return str(value)
    if isinstance(value, int) and not isinstance(value, bool):
        # The conversion of an integer takes time that rises with the square of its length, and Python caps it.
        return str(value) if value.bit_length() <= 256 else "1e77"
    return None


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names)
