"""No credential of an ad platform lies anywhere but sealed: not in a log, a record, a row, an answer or an error."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.leaks import Leaks, Place, of_files, of_sqlite
from tests.support.platform_secrets import FAULTS, Usage, asked_of, leaks_of
from tests.support.program import Program
from tests.support.sandbox_process import sandbox


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of much use of accounts, after the processes have ended."""

    program: Program
    usage: Usage
    leaks: Leaks
    account_id: str
    rows: list[Place]
    """Of the analytics store."""


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Left]:
    home = tmp_path_factory.mktemp("secrets")
    with sandbox("--latency-ms", "1", "--speed", "0", "--faults", FAULTS) as (place, _):
        program = Program(home, place["environment"] | {"CA_LOG_LEVEL": "debug", "CA_LOG_FORMAT": "json"})
        usage = Usage(program)
        with program.serving() as server:
            usage.all_of_it(place, server.api)
        assert {"linkedin-token-expired", "google-token-expired", "token", "report"} <= asked_of(place)
        account = next(one["account_id"] for one in place["accounts"] if one["currency"] == "USD")
        yield Left(program, usage, leaks_of(place), account, list(_analytics(program)))


def _analytics(program: Program) -> Iterator[Place]:
    tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree%'"
    names = [name for (name,) in _rows(program, tables)]
    parts = [f"SELECT '{name}' AS name, toString(tuple(*)) AS content FROM {name} LIMIT 100000" for name in names]
    for name, content in _rows(program, " UNION ALL ".join(parts)):
        yield f"analytics {name}", content.encode()


def _rows(program: Program, sql: str) -> list[list[str]]:
    rows: list[list[str]] = program.run("query", sql, "-o", "json", "--max-rows", "100000").json()["rows"]
    return rows


def _stores(program: Program) -> Iterator[Place]:
    for name in ("metadata.sqlite", "event_log.sqlite"):
        yield from of_sqlite(program.data_dir / name)


def test_no_file_holds_one(left: Left) -> None:
    files = list(of_files(left.program.home))
    assert any(name.endswith(".log") and content for name, content in files)
    assert not left.leaks.among(files)


def test_nothing_that_is_stored_holds_one(left: Left) -> None:
    stored = [*_stores(left.program), *left.rows]
    assert not left.leaks.among(stored)
    for where in ("metadata.sqlite report_pages", "metadata.sqlite jobs", "event_log.sqlite", "analytics"):
        holding = [place for place, content in stored if place.startswith(where) and content]
        assert holding, where
    # The search would find what lies there: reports name their account.
    named = Leaks([left.account_id]).among(stored)
    assert {one.split(" ")[0] for one in named} == {"metadata.sqlite", "event_log.sqlite", "analytics"}


def test_nothing_that_was_printed_or_answered_holds_one(left: Left) -> None:
    assert not left.leaks.among(left.usage.places())


def test_the_credentials_are_there_sealed(left: Left) -> None:
    path: Path = left.program.data_dir / "metadata.sqlite"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        kept = [sealed for (sealed,) in database.execute("SELECT credentials FROM platform_accounts")]
    assert len(kept) == 4
    assert all(sealed.startswith("v1.") for sealed in kept)
