"""The PostgreSQL server that tests may use, named by ``CA_TEST_POSTGRES_HOST`` (and ``_PORT``, ``_DATABASE``,
``_USERNAME``, ``_PASSWORD``). Every test has a database of its own there.

``CA_TEST_SERVICES`` names a program that can ``freeze``, ``thaw``, ``kill`` and start (``up``) that server, by the name
``postgres``. Tests that do so have the server for themselves; all others share it.
"""

import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.postgresql import PostgreSQLMetadata
from campaignctl.ports.clock import Clock
from tests.support.services import using, variable

Connection = psycopg.Connection[tuple[Any, ...]]


@dataclass(frozen=True)
class Server:
    host: str
    port: int
    database: str
    username: str
    password: str

    def connect(self, database: str = "") -> Connection:
        return psycopg.connect(
            host=self.host,
            port=self.port,
            dbname=database or self.database,
            user=self.username or None,
            password=self.password or None,
            autocommit=True,
            connect_timeout=5,
        )

    def execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement.encode())

    def open(self, database: str, clock: Clock, **changes: Any) -> PostgreSQLMetadata:
        """A store with patience: where a test is not about deadlines, a slow machine must not break it."""
        given: dict[str, Any] = {
            "host": self.host,
            "port": self.port,
            "database": database,
            "username": self.username,
            "password": self.password,
            "acquire_s": 20.0,
            "answer_s": 20.0,
        }
        return PostgreSQLMetadata(clock=clock, **(given | changes))


@dataclass(frozen=True)
class Place:
    """A database of a test, and what the test opened on it."""

    server: Server
    database: str
    opened: ExitStack

    def open(self, **changes: Any) -> PostgreSQLMetadata:
        store = self.server.open(self.database, changes.pop("clock", SystemClock()), **changes)
        self.opened.callback(store.close)
        return store

    def connect(self) -> Connection:
        return self.opened.enter_context(self.server.connect(self.database))


def server_in_environment() -> Server | None:
    if not os.environ.get("CA_TEST_POSTGRES_HOST"):
        return None
    return Server(
        host=os.environ["CA_TEST_POSTGRES_HOST"],
        port=int(os.environ.get("CA_TEST_POSTGRES_PORT", "5432")),
        database=os.environ.get("CA_TEST_POSTGRES_DATABASE", "postgres"),
        username=os.environ.get("CA_TEST_POSTGRES_USERNAME", ""),
        password=os.environ.get("CA_TEST_POSTGRES_PASSWORD", ""),
    )


def server_or_skip() -> Server:
    server = server_in_environment()
    if server is None:
        pytest.skip("postgresql: CA_TEST_POSTGRES_HOST names no server")
    return server


@contextmanager
def own_database(server: Server) -> Iterator[str]:
    """A new database; gone at the end, whoever is still connected to it."""
    with using("postgres"), _database(server) as name:
        yield name


class Faults:
    """What can be done to the server; at the end it runs as before."""

    def __init__(self, program: str) -> None:
        self._program = program

    def freeze(self) -> None:
        self._do("freeze")

    def thaw(self) -> None:
        self._do("thaw")

    def kill(self) -> None:
        self._do("kill")

    def up(self) -> None:
        self._do("up")

    def restore(self) -> None:
        self._do("thaw", must_work=False)  # it may be dead
        self.up()

    def _do(self, verb: str, *, must_work: bool = True) -> None:
        subprocess.run([self._program, verb, "postgres"], check=must_work, timeout=60, capture_output=True)


@contextmanager
def faults_or_skip(server: Server) -> Iterator[tuple[Faults, str]]:
    """The faults, and a database of its own, for a test that has the server for itself."""
    program = variable("CA_TEST_SERVICES")
    with using("postgres", alone=True), _database(server) as name:
        faults = Faults(program)
        try:
            yield faults, name
        finally:
            faults.restore()


@contextmanager
def _database(server: Server) -> Iterator[str]:
    name = f"campaignctl_test_{uuid.uuid4().hex[:16]}"
    server.execute(f"CREATE DATABASE {name}")
    try:
        yield name
    finally:
        server.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
