"""What the engine's errors mean to a caller; the driver's own exceptions stop here."""

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager

from clickhouse_connect.driver.exceptions import ClickHouseError

from campaignctl.errors import CampaignctlError, InvalidInput, SchemaMismatch, StorageFull, Unavailable

_UNKNOWN_TABLE, _UNKNOWN_DATABASE = 60, 81
_ALL_TRIES_FAILED = 279
_TIMEOUT_EXCEEDED, _TOO_SLOW = 159, 160
_NOT_ENOUGH_SPACE, _CANNOT_WRITE = 243, 75
_CANCELLED = 394
_SIZE_LIMITS = frozenset({158, 241, 307, 396})
"""More rows, memory or bytes than the statement may take."""
_NO_SPACE = re.compile(r"no space left|not enough space|disk quota exceeded|errno: 28\b", re.IGNORECASE)
_PREFIX = re.compile(r"^(?:(?:Code: \d+\. )?DB::\w+: )+")
_TRAILER = re.compile(r"(?:\s*\(version [^)]*\))?[\s.]*$")
_CODE_NAME = re.compile(r"\.?\s*\([A-Z][A-Z_]+\)\.?$")
_MAX_MESSAGE = 300


@contextmanager
def store_failures() -> Iterator[None]:
    """Turn a failure of the store into ``Unavailable``, ``StorageFull`` or ``SchemaMismatch``.

    The outcome of a write that failed so is unknown.
    """
    try:
        yield
    except (ClickHouseError, OSError, RuntimeError) as error:
        raise _store_failure(error) from error


@contextmanager
def question_failures() -> Iterator[None]:
    """As ``store_failures``; a question that would take too much memory is its asker's ``InvalidInput``."""
    try:
        yield
    except (ClickHouseError, OSError, RuntimeError) as error:
        if code_of(error) in _SIZE_LIMITS:
            raise too_much() from error
        raise _store_failure(error) from error


def too_much() -> InvalidInput:
    return InvalidInput(
        (),
        message="the answer would have too many rows: ask for fewer days, a coarser granularity or fewer group_by",
        code="query_limit",
    )


@contextmanager
def console_failures(added: str = "") -> Iterator[None]:
    """As ``store_failures``; what is wrong with the statement is its author's ``InvalidInput``.

    ``added`` is what was put behind the author's text: no message quotes it.
    """
    try:
        yield
    except (ClickHouseError, OSError, RuntimeError) as error:
        code, message = code_of(error), short_message(error, without=added)
        if code is None or _is_full(error):
            raise _store_failure(error) from error
        if code in _SIZE_LIMITS | {_TIMEOUT_EXCEEDED, _TOO_SLOW}:
            raise InvalidInput((), message=f"the query was stopped: {message}", code="query_limit") from error
        if code == _CANCELLED:
            raise InvalidInput((), message="the query was cancelled", code="query_cancelled") from error
        if added and added.split()[-1] in message:  # it was read as the statement's next words
            message = "Syntax error: the statement ends too early"
        raise InvalidInput((), message=message, code="invalid_query") from error


def code_of(error: Exception) -> int | None:
    """The engine's number of the error; None when it did not come from the engine."""
    code = getattr(error, "code", None)
    if isinstance(code, int):
        return code
    found = re.search(r"Code: (\d+)\.", str(error))
    return int(found[1]) if found else None


def is_no_database(error: Exception) -> bool:
    return code_of(error) == _UNKNOWN_DATABASE


def is_no_table(error: BaseException | None) -> bool:
    """Whether a table is not there, on the asked server or on another one of its cluster."""
    if not isinstance(error, Exception):
        return False
    code = code_of(error)
    return code == _UNKNOWN_TABLE or (code == _ALL_TRIES_FAILED and "There is no table" in str(error))


def short_message(error: Exception, without: str = "") -> str:
    """The engine's sentence, without the stack, the version and the statement's text."""
    text = str(error).replace(without, "") if without else str(error)
    text = text.split("\nTraceback", maxsplit=1)[0].split(" Stack trace:", maxsplit=1)[0]
    text = re.sub(r":? (?:[Ii]n scope|While (?:executing|processing)) .*", "", text, flags=re.DOTALL)
    text = _CODE_NAME.sub("", _TRAILER.sub("", _PREFIX.sub("", " ".join(text.split()))))
    return text if len(text) <= _MAX_MESSAGE else f"{text[:_MAX_MESSAGE]}..."


def _store_failure(error: Exception) -> CampaignctlError:
    code = code_of(error)
    if _is_full(error):
        return StorageFull(
            "the analytics store cannot be written: the disk is full",
            service="analytics",
            hint="free some space; what was not written is tried again",
        )
    if code == _UNKNOWN_DATABASE or is_no_table(error):
        return SchemaMismatch("the analytics store lacks its tables", hint="run: campaignctl init-schema")
    if code in {_TIMEOUT_EXCEEDED, _TOO_SLOW}:
        return Unavailable("the analytics store took too long", service="analytics", hint="try again, or ask for less")
    return Unavailable(f"the analytics store failed: {short_message(error)}", service="analytics")


def _is_full(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in {errno.ENOSPC, errno.EDQUOT}
    return code_of(error) == _NOT_ENOUGH_SPACE or _NO_SPACE.search(str(error)) is not None
