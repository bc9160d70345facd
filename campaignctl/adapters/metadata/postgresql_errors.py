"""PostgreSQL's and the driver's errors in the product's words. No password is ever part of them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg

from campaignctl.adapters.metadata.postgresql_connection import NoAnswerError
from campaignctl.errors import (
    CampaignctlError,
    ConfigurationError,
    Conflict,
    InvalidInput,
    SchemaMismatch,
    StorageFull,
    Unavailable,
)

_MAX_REASON = 300

_SCHEMA = frozenset({"42P01", "42703", "42883", "3F000"})
"""A table, column, function or schema is not there."""
_BUSY = frozenset({"40001", "40P01", "55P03", "57014"})
"""Serialization failure, deadlock, lock or statement timeout."""
_FULL = frozenset({"53100"})

# An attempt to connect fails without an error code, so that the server's sentence decides. A server that speaks another
# language than English is not understood here: its words then stand in an ``Unavailable``.
_NO_DATABASE = re.compile(r'database ".*" does not exist')
_REFUSED_USER = re.compile(
    r"password authentication failed|no password supplied|role \".*\" (does not exist|is not permitted to log in)"
    r"|no pg_hba\.conf entry|authentication failed for user|permission denied for database"
)
_TLS = re.compile(
    r"server does not support SSL|certificate verify failed|root certificate file|does not match host name"
    r"|SSL certificate|certificate .*(expired|unknown)"
)
_OTHER_PROTOCOL = re.compile(
    r"invalid response to SSL negotiation|expected authentication request|unsupported frontend protocol|wrong version"
    r"|packet length too long|unsupported protocol|invalid message|lost synchronization|bad record type"
)
_WHERE_IT_TRIED = re.compile(
    r"^(connection failed: )?(connection to server (at|on socket) \".*?\"( \(.*?\))?(, port \d+)? failed: )?(FATAL: +)?"
)


@dataclass(frozen=True, slots=True)
class Address:
    """Where the server is, as far as messages tell it."""

    host: str
    port: int
    database: str
    username: str


def connect_failure(error: psycopg.Error, address: Address) -> CampaignctlError:
    """Why no connection could be made: ``ConfigurationError`` where only a change of the settings helps."""
    text = str(error)
    server = f"the PostgreSQL server at {address.host}:{address.port}"
    if _NO_DATABASE.search(text):
        return ConfigurationError(
            f"{server} has no database {address.database!r}",
            hint=f'create it (CREATE DATABASE "{address.database}"), or set postgres.database to the one meant',
        )
    if _TLS.search(text):
        return ConfigurationError(
            f"no TLS connection to {server} as postgres.sslmode asks for: {_reason(text)}",
            hint="set postgres.sslmode, or name the authority's certificate in PGSSLROOTCERT",
        )
    if _REFUSED_USER.search(text):
        return ConfigurationError(
            f"{server} refuses the user {address.username!r}: {_reason(text)}",
            hint="check postgres.username and postgres.password, and the server's pg_hba.conf",
        )
    if _OTHER_PROTOCOL.search(text):
        return ConfigurationError(
            f"what answers at {address.host}:{address.port} is not PostgreSQL",
            hint="check postgres.host and postgres.port (5432 by default)",
        )
    return Unavailable(
        f"the metadata store cannot be reached: {_reason(text)}",
        service="metadata",
        hint="see that PostgreSQL runs where postgres.host and postgres.port say; what failed may be tried again",
    )


def no_answer() -> Unavailable:
    return Unavailable(
        "the metadata store does not answer in time",
        service="metadata",
        hint="try again in a moment",
        retry_after_s=1.0,
    )


def all_busy() -> Unavailable:
    return Unavailable("the metadata store is busy: no connection is free", service="metadata", retry_after_s=1.0)


def closed() -> Unavailable:
    return Unavailable("the metadata store is closed", service="metadata")


@contextmanager
def translated() -> Iterator[None]:
    """No exception of the driver leaves the block."""
    try:
        yield
    except psycopg.Error as error:
        raise own_error(error) from error
    except UnicodeEncodeError:
        raise _unfit("text with a lone surrogate") from None


def own_error(error: psycopg.Error) -> CampaignctlError:
    """What went wrong with a statement. After ``Unavailable`` the outcome of a commit is unknown."""
    code = error.sqlstate or ""
    if isinstance(error, NoAnswerError):
        return no_answer()
    if code in _SCHEMA:
        return SchemaMismatch(
            f"the metadata store does not have this program's schema: {_sentence(error)}",
            hint="run: campaignctl init-schema",
        )
    if code in _FULL:
        return StorageFull(
            f"the metadata store cannot be written: {_sentence(error)}",
            service="metadata",
            hint="free space on the disk of the PostgreSQL server",
        )
    if code == "42501":
        return ConfigurationError(
            f"the user of postgres.username lacks a right on the metadata store: {_sentence(error)}",
            hint="make this user the owner of the database, or grant it what is missing",
        )
    if code in _BUSY:
        return Unavailable(f"the metadata store is busy: {_sentence(error)}", service="metadata", retry_after_s=1.0)
    if isinstance(error, psycopg.IntegrityError):
        return Conflict(f"the metadata store refuses a change that contradicts what it holds: {_sentence(error)}")
    if isinstance(error, psycopg.DataError):
        return _unfit("text with a NUL character" if "NUL" in str(error) else f"the value: {_sentence(error)}")
    return Unavailable(f"the metadata store does not answer: {_sentence(error)}", service="metadata")


def _unfit(what: str) -> InvalidInput:
    return InvalidInput((), message=f"the metadata store cannot keep {what}")


def _sentence(error: psycopg.Error) -> str:
    """The server's sentence, without its details: those repeat values."""
    return _short(error.diag.message_primary or str(error))


def _reason(text: str) -> str:
    """The first line of what the driver says of a failed attempt, without where it tried."""
    return _short(_WHERE_IT_TRIED.sub("", text, count=1))


def _short(text: str) -> str:
    first_line = (text.strip().splitlines() or ["no reason given"])[0].strip()
    return first_line if len(first_line) <= _MAX_REASON else f"{first_line[:_MAX_REASON]}..."
