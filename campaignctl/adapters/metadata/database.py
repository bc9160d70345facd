"""What the tables' modules need of a database, so that SQLite and a server share them and their statements.

A statement is asked for by its name in ``sql/metadata/queries``; its parameters are given by name and only ever bound.
Instants are integers of epoch microseconds in the database, days are text (YYYY-MM-DD), decimals are text.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any, Protocol

from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.clock import Clock

Value = str | int | bytes | None

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_ID = 2**63 - 1
_QUERY_FILES = (
    "schema.sql",
    "users.sql",
    "sessions.sql",
    "members.sql",
    "api_keys.sql",
    "audit.sql",
    "campaigns.sql",
    "rates.sql",
    "idempotency.sql",
    "jobs.sql",
    "letters.sql",
    "erasures.sql",
    "attempts.sql",
    "accounts.sql",
)


class Row(Protocol):
    """A row whose columns are asked for by name."""

    def __getitem__(self, column: str, /) -> Any: ...


class Transaction(Protocol):
    """Statements by name, within one transaction."""

    def all(self, statement: str, /, **parameters: Value) -> list[Row]: ...

    def all_over(self, statement: str, /, **parameters: Value | Sequence[Value]) -> list[Row]:
        """As ``all``, with arrays among the parameters: statements worded for each database."""
        ...

    def one(self, statement: str, /, **parameters: Value) -> Row | None:
        """The first row, None when there is none."""
        ...

    def run(self, statement: str, /, **parameters: Value) -> int:
        """How many rows the statement touched."""
        ...


class Database(Protocol):
    """Transactions, with the driver's exceptions turned into the product's."""

    def reading(self) -> AbstractContextManager[Transaction]:
        """One consistent view; sees everything committed before it began."""
        ...

    def ask(self, statement: str, /, **parameters: Value) -> list[Row]:
        """The rows of one statement that only reads, as in a transaction of its own: one call to a server for three.

        Sees everything committed before it began.
        """
        ...

    def writing(self) -> AbstractContextManager[Transaction]:
        """Committed durably at the end of the block, rolled back when the block raises."""
        ...

    def changes(self) -> tuple[int, int] | None:
        """Another value after each commit, of whichever process; None where that is not known without asking a server.

        Waits for nobody.
        """
        ...

    def close(self) -> None: ...


class Tables:
    """The base of the modules that implement parts of the metadata port on a ``Database``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def _now_us(self) -> int:
        return to_us(self._clock.now())

    def close(self) -> None:
        self._database.close()


@cache
def statements() -> dict[str, str]:
    """Every statement by name; a name may be used once."""
    merged: dict[str, str] = {}
    for file_name in _QUERY_FILES:
        for name, text in load_statements("metadata", "queries", file_name).items():
            if merged.setdefault(name, text) is not text:
                raise ValueError(f"{file_name}: the statement {name} is there twice")
    return merged


def to_us(instant: datetime) -> int:
    """Epoch microseconds of an aware instant, exact."""
    return (instant - _EPOCH) // _MICROSECOND


def from_us(instant_us: int) -> datetime:
    return _EPOCH + timedelta(microseconds=instant_us)


def seconds_to_us(seconds: float) -> int:
    return round(seconds * 1_000_000)


def day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def day_of(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def is_id(value: int) -> bool:
    """Whether a number can be an id of ours at all: databases refuse to compare with more than 64 bits."""
    return 0 < value <= _MAX_ID


def given(row: Row | None) -> Row:
    """The row of a statement that always gives one."""
    if row is None:
        raise LookupError("a statement that always gives a row gave none")
    return row
