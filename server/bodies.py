"""Strict reading of request bodies and queries: what is not exactly understood is refused, and never repeated.

Python's own reader takes NaN, duplicate keys, UTF-16, lone surrogates and numbers that fill the memory when they are
multiplied out. Here numbers stay exact (``int`` or ``Decimal``) and within bounds, text is Unicode without NUL, and
of a key given twice the last counts.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import NoReturn
from urllib.parse import parse_qsl

from campaignctl.domain.fields import FieldReader, did_you_mean
from campaignctl.errors import FieldError, InvalidInput, MalformedRequest
from server.problem import HttpError, Problem

MAX_DEPTH = 32
MAX_NUMBER_CHARS = 64
MAX_EXPONENT = 40
"""Decimals between 10^-40 and 10^40: far more than money needs, and harmless to multiply out."""
MAX_QUERY_FIELDS = 256
MAX_NAME_CHARS = 64
MAX_TEXT_CHARS = 4_096
MAX_ERRORS = 20
"""More are not looked for: finding the nearest name costs time, and nobody reads them."""


def media_type(content_type: str | None) -> str:
    """The media type without its parameters, lower case; empty when there is none. UTF-8 is the only charset."""
    kind, *parameters = (content_type or "").lower().split(";")
    for parameter in parameters:
        name, _, value = parameter.strip().partition("=")
        if name.strip() == "charset" and value.strip().strip('"') not in ("utf-8", "utf8"):
            raise unsupported_media_type("the only charset is utf-8")
    return kind.strip()


def unsupported_media_type(detail: str, hint: str = "") -> HttpError:
    return HttpError(Problem(415, "unsupported_media_type", detail, hint=hint))


def read_json(body: bytes, content_type: str | None) -> object:
    """The JSON value of a body; raises ``MalformedRequest``, or 415 when it is not announced as JSON."""
    if media_type(content_type) != "application/json":
        raise unsupported_media_type("the body must be JSON", "send Content-Type: application/json")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedRequest("the body is not UTF-8") from None
    try:
        value = json.loads(text, parse_int=_integer, parse_float=_decimal, parse_constant=_constant)
    except json.JSONDecodeError as error:
        raise MalformedRequest(f"the body is not valid JSON (line {error.lineno}, column {error.colno})") from None
    except RecursionError:
        raise MalformedRequest(_TOO_DEEP) from None
    _check_text_and_depth(value)
    return value


_TOO_DEEP = f"the body is nested more than {MAX_DEPTH} levels deep"


def _integer(digits: str) -> int:
    if len(digits) > MAX_NUMBER_CHARS:
        raise MalformedRequest(f"the body holds a number of more than {MAX_NUMBER_CHARS} characters")
    return int(digits)


def _decimal(digits: str) -> Decimal:
    if len(digits) > MAX_NUMBER_CHARS:
        raise MalformedRequest(f"the body holds a number of more than {MAX_NUMBER_CHARS} characters")
    _, _, exponent = digits.lower().partition("e")
    if exponent and abs(int(exponent)) > MAX_EXPONENT:
        raise MalformedRequest(f"the body holds a number with an exponent beyond {MAX_EXPONENT}")
    return Decimal(digits)


def _constant(name: str) -> NoReturn:
    raise MalformedRequest("the body holds NaN or Infinity, which JSON does not know")


def _check_text_and_depth(value: object) -> None:
    """Walks without recursion: the depth is the sender's choice."""
    level: list[tuple[str, object]] = [("body", value)]
    for _ in range(MAX_DEPTH + 1):
        below: list[tuple[str, object]] = []
        for path, item in level:
            match item:
                case str():
                    _check_text(path, item)
                case dict():
                    for name, member in item.items():
                        _check_text(path, name)
                        below.append((name if path == "body" else f"{path}.{name}"[:MAX_NAME_CHARS], member))
                case list():
                    below.extend((f"{path}.{index}"[:MAX_NAME_CHARS], member) for index, member in enumerate(item))
        if not below:
            return
        level = below
    raise MalformedRequest(_TOO_DEEP)


def _check_text(path: str, text: str) -> None:
    if "\x00" in text:
        raise InvalidInput.of(path, "must not hold the character NUL")
    if not text.isascii() and not _is_unicode(text):
        raise MalformedRequest("the body holds half of a surrogate pair, which is no character")


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def text_members(value: object, *required: str, optional: Sequence[str] = ()) -> dict[str, str]:
    """The members of an object whose members are all strings; an optional one that is absent is left out.

    Raises ``InvalidInput`` that names every member that is missing, unknown, no string or absurdly long. What a
    string says is judged by the service that takes it.
    """
    errors: list[FieldError] = []
    known = (*required, *optional)
    fields = FieldReader(value, known, errors)
    found: dict[str, str] = {}
    for name in known:
        member = fields.value(name)
        if isinstance(member, str) and len(member) <= MAX_TEXT_CHARS:
            found[name] = member
        elif isinstance(member, str):
            fields.fail(name, f"must have at most {MAX_TEXT_CHARS} characters")
        elif member is not None:
            fields.fail(name, "must be a string")
        elif name in required and isinstance(value, Mapping):
            fields.fail(name, "is required")
    if errors:
        raise InvalidInput(errors)
    return found


def read_query(query: bytes, known: Mapping[str, bool]) -> dict[str, list[str]]:
    """The query's parameters in the order given; ``known`` says of each name whether it may be repeated."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_QUERY_FIELDS
        )
    except UnicodeDecodeError:
        raise MalformedRequest("the query is not UTF-8, percent-encoded") from None
    except ValueError:
        raise MalformedRequest(f"the query has more than {MAX_QUERY_FIELDS} parameters") from None
    found: dict[str, list[str]] = {}
    errors: list[FieldError] = []
    for name, value in pairs:
        if len(errors) == MAX_ERRORS:
            break
        if name not in known:
            errors.append(_unknown(name, known))
        elif "\x00" in value:
            errors.append(FieldError(name, "must not hold the character NUL"))
        elif name in found and not known[name]:
            errors.append(FieldError(name, "must be given once"))
        else:
            found.setdefault(name, []).append(value)
    if errors:
        raise InvalidInput(errors)
    return found


def _unknown(name: str, known: Collection[str]) -> FieldError:
    shown = name[:MAX_NAME_CHARS]
    near = did_you_mean(shown, list(known))
    listed = f"; known are {', '.join(known)}" if known else "; this request takes no parameters"
    return FieldError(shown, "is no parameter of this request" + (near or listed))
