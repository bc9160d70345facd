"""Every metadata store, against the contract: the embedded one always, a server where the environment names one."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from campaignctl.adapters.metadata.postgresql import PostgreSQLMetadata
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.services.schema import SchemaService
from tests.contracts.accounts_contract import AccountsContract
from tests.contracts.attempts_contract import AttemptsContract
from tests.contracts.erasures_contract import ErasuresContract
from tests.contracts.jobs_contract import JobsContract
from tests.contracts.membership_contract import MembershipContract
from tests.contracts.metadata_contract import Harness, MetadataContract, StillClock
from tests.support.postgresql import Server, own_database, server_or_skip


class SQLiteHarness:
    kind = "sqlite"

    def __init__(self, directory: Path) -> None:
        self.place = str(directory / "metadata.sqlite")
        self.clock = StillClock()
        self.opened: list[SQLiteMetadata] = []

    def open(self) -> SQLiteMetadata:
        store = SQLiteMetadata(Path(self.place), self.clock)
        SchemaService([store]).apply(wait_s=10)
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()


class PostgreSQLHarness:
    kind = "postgresql"

    def __init__(self, server: Server, database: str) -> None:
        self.place = database
        self.clock = StillClock()
        self.opened: list[PostgreSQLMetadata] = []
        self._server = server

    def open(self) -> PostgreSQLMetadata:
        store = self._server.open(self.place, self.clock)
        SchemaService([store]).apply(wait_s=10)
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.close()


@contextmanager
def sqlite(directory: Path) -> Iterator[Harness]:
    made = SQLiteHarness(directory)
    yield made
    made.close()


@contextmanager
def postgresql(_: Path) -> Iterator[Harness]:
    server = server_or_skip()
    with own_database(server) as database:
        made = PostgreSQLHarness(server, database)
        yield made
        made.close()


@pytest.fixture(params=[pytest.param(sqlite, marks=pytest.mark.embedded), postgresql], ids=lambda kind: kind.__name__)
def harness(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Harness]:
    with request.param(tmp_path) as made:
        yield made


class TestMetadata(MetadataContract):
    """See ``MetadataContract``."""


class TestJobs(JobsContract):
    """See ``JobsContract``."""


class TestMembership(MembershipContract):
    """See ``MembershipContract``."""


class TestAccounts(AccountsContract):
    """See ``AccountsContract``."""


class TestAttempts(AttemptsContract):
    """See ``AttemptsContract``."""


class TestErasures(ErasuresContract):
    """See ``ErasuresContract``."""
