"""The analytics store's numbered migration files, and the list of those it has had."""

import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from importlib import resources

from clickhouse_connect.driver.exceptions import ClickHouseError

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import is_no_database, store_failures
from campaignctl.adapters.sql_files import load_statements, read_sql
from campaignctl.ports.schema import AppliedMigration, Migration

_FOLDER = ("clickhouse", "migrations")
_FILE_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_END_OF_STATEMENT = re.compile(r";[ \t]*$", re.MULTILINE)
_SQL = load_statements("clickhouse", "queries", "schema.sql")

MigrationLock = Callable[[float], AbstractContextManager[None]]
"""Holds off other migrating processes, waiting for up to so many seconds."""


@contextmanager
def alone(_wait_s: float) -> Iterator[None]:
    """Nothing to wait for: whoever opened the embedded store holds its directory's lock, and is alone."""
    yield


class SchemaTables:
    """A ``MigrationTarget``: the list of applied migrations is a table beside the others."""

    def __init__(self, clients: Clients, lock: MigrationLock = alone) -> None:
        self._clients = clients
        self._lock = lock

    @property
    def name(self) -> str:
        return "analytics"

    def migrations(self) -> Sequence[Migration]:
        return load_migrations()

    def applied(self) -> Mapping[int, AppliedMigration]:
        with store_failures():
            if not self._has_list():
                return {}
            table = self._clients.read(_SQL["applied"], {})
        rows = zip(table.integers("number").tolist(), table.strings("name"), table.strings("checksum"), strict=True)
        return {number: AppliedMigration(number, name, checksum) for number, name, checksum in rows}

    def migration_lock(self, wait_s: float, /) -> AbstractContextManager[None]:
        return self._lock(wait_s)

    def apply(self, migration: Migration, /) -> None:
        record = {"number": migration.number, "name": migration.name, "checksum": migration.checksum}
        with store_failures(), self._clients.writer() as client:
            client.command(_SQL["create_list"])
            for statement in migration.statements:
                client.command(statement)
            client.command(_SQL["record"], parameters=record)

    def _has_list(self) -> bool:
        try:
            return self._clients.read(_SQL["has_list"], {}).rows > 0
        except ClickHouseError as error:
            if is_no_database(error):  # a server whose first act of init-schema is still to come
                return False
            raise


@cache
def load_migrations() -> tuple[Migration, ...]:
    """The migrations that this program knows, by number. A statement ends with a semicolon at the end of a line."""
    directory = resources.files("campaignctl").joinpath("sql", *_FOLDER)
    names = sorted(entry.name for entry in directory.iterdir() if entry.name.endswith(".sql"))
    return tuple(_parse(name, read_sql(*_FOLDER, name)) for name in names)


def _parse(file_name: str, text: str) -> Migration:
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise ValueError(f"{file_name}: a migration is named like 0001_what_it_does.sql")
    text = text.replace("\r\n", "\n")
    statements = tuple(piece.strip() for piece in _END_OF_STATEMENT.split(text) if piece.strip())
    return Migration(int(match[1]), match[2], hashlib.sha256(text.encode()).hexdigest(), statements)
