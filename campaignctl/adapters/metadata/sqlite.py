"""The metadata store on SQLite: one file, no server, any number of threads and processes."""

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from campaignctl.adapters.metadata.accounts import AccountTables
from campaignctl.adapters.metadata.api_keys import ApiKeyTables
from campaignctl.adapters.metadata.attempts import AttemptTables
from campaignctl.adapters.metadata.audit import AuditTables
from campaignctl.adapters.metadata.campaigns import CampaignTables
from campaignctl.adapters.metadata.erasures import ErasureTables
from campaignctl.adapters.metadata.idempotency import IdempotencyTables
from campaignctl.adapters.metadata.jobs import JobTables
from campaignctl.adapters.metadata.letters import LetterTables
from campaignctl.adapters.metadata.members import MemberTables
from campaignctl.adapters.metadata.migrations import load_migrations, refuse_unknown_schema
from campaignctl.adapters.metadata.rates import RateTables
from campaignctl.adapters.metadata.sessions import SessionTables
from campaignctl.adapters.metadata.sqlite_file import SQLiteFile
from campaignctl.adapters.metadata.users import UserTables
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import MetadataStore
from campaignctl.ports.schema import AppliedMigration, Migration, MigrationTarget


class SQLiteMetadata(
    UserTables,
    SessionTables,
    MemberTables,
    ApiKeyTables,
    AuditTables,
    CampaignTables,
    RateTables,
    IdempotencyTables,
    JobTables,
    LetterTables,
    AccountTables,
    ErasureTables,
    AttemptTables,
):
    """Metadata in the SQLite file at ``path``; made by the first migration, never by looking at it.

    Everything committed survives ``kill -9`` and power loss (WAL, synchronous=FULL). Before it is used, the store makes
    sure that it was set up, and not by a newer program: ``SchemaMismatch`` otherwise.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._file = SQLiteFile(path, clock, check=self._refuse_unknown_schema)
        super().__init__(self._file, clock)

    @property
    def name(self) -> str:
        return "metadata"

    def server_version(self) -> str:
        return f"SQLite {sqlite3.sqlite_version}"

    def migrations(self) -> Sequence[Migration]:
        return load_migrations("metadata", "migrations", "sqlite")

    def applied(self) -> Mapping[int, AppliedMigration]:
        with self._file.looking() as tx:
            rows = tx.all("fetch_applied_migrations") if tx is not None else []
        return {row["number"]: AppliedMigration(row["number"], row["name"], row["checksum"]) for row in rows}

    def migration_lock(self, wait_s: float, /) -> AbstractContextManager[None]:
        return self._file.migration_lock(wait_s)

    def apply(self, migration: Migration, /) -> None:
        self._file.create()
        with self._file.migrating() as tx:
            for statement in migration.statements:
                tx.execute(statement)
            tx.run(
                "record_migration",
                number=migration.number,
                name=migration.name,
                checksum=migration.checksum,
                now_us=self._now_us(),
            )

    def _refuse_unknown_schema(self) -> None:
        refuse_unknown_schema(self.migrations(), self.applied())


if TYPE_CHECKING:

    def _conforms(adapter: SQLiteMetadata) -> tuple[MetadataStore, MigrationTarget]:
        return adapter, adapter
