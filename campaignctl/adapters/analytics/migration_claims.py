"""A lock for migrations, kept in a database whose engine has none.

Whoever wants it inserts a claim, and then looks for claims of others. What was inserted is visible once the insert has
returned, so of two that claim at the same time at least one sees the other: nobody holds the lock who is not alone.
Whoever sees another withdraws, and tries again a little later.

A claim is renewed while it is held. One that is not renewed for ``LEASE_S``, because its process died, counts no more.
A holder that stood still for longer and then goes on is not stopped: statements of migrations may be run twice.
"""

import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.sql_files import load_statements
from campaignctl.errors import CampaignctlError, Unavailable

LEASE_S = 30.0
_SQL = load_statements("clickhouse", "queries", "lock.sql")
_SETTINGS: dict[str, str | int] = {"async_insert": 0, "max_threads": 1, "max_execution_time": 4}
_PAUSE_S = (0.05, 0.25)

_log = logging.getLogger(__name__)


class MigrationClaims:
    """The lock of one database."""

    def __init__(self, clients: Clients, *, lease_s: float = LEASE_S) -> None:
        self._clients = clients
        self._lease_s = lease_s

    @contextmanager
    def held(self, wait_s: float) -> Iterator[None]:
        """Hold the lock; raises ``Unavailable`` when it is not had within ``wait_s`` seconds."""
        owner, deadline_s = uuid.uuid4().hex, time.monotonic() + wait_s
        self._run("create_claims")
        while not self._claimed(owner):
            if time.monotonic() >= deadline_s:
                raise Unavailable(
                    "another process is migrating the analytics store",
                    service="analytics",
                    hint=f"try again when it is done; a process that died lets go after {self._lease_s:g} s",
                )
            time.sleep(random.uniform(*_PAUSE_S))  # noqa: S311  # so that two who met do not meet again
        try:
            with self._renewed(owner):
                yield
        finally:
            self._give_back(owner)

    def _claimed(self, owner: str) -> bool:
        if self._has_rivals(owner):
            return False
        self._run("claim", owner=owner, released=0)
        if not self._has_rivals(owner):
            return True
        self._run("claim", owner=owner, released=1)
        return False

    def _has_rivals(self, owner: str) -> bool:
        asked = {"owner": owner, "lease_ms": round(self._lease_s * 1000)}
        with store_failures():
            return self._clients.read(_SQL["rivals"], asked).rows > 0

    @contextmanager
    def _renewed(self, owner: str) -> Iterator[None]:
        done = Event()
        thread = Thread(target=self._renew, args=(owner, done), name="migration-lock", daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _renew(self, owner: str, done: Event) -> None:
        while not done.wait(self._lease_s / 3):
            try:
                self._run("claim", owner=owner, released=0)
            except CampaignctlError as error:
                _log.warning("the lock of the migration could not be renewed: %s", error)

    def _give_back(self, owner: str) -> None:
        try:
            self._run("claim", owner=owner, released=1)
        except CampaignctlError as error:  # what was done is done; the next one waits for the lease to end
            _log.warning("the lock of the migration could not be given back: %s", error)

    def _run(self, statement: str, **parameters: str | int) -> None:
        # A connection of its own: the one that writes is busy for as long as a migration runs.
        with store_failures(), self._clients.own(_SETTINGS) as connection:
            connection.command(_SQL[statement], parameters=parameters)
