"""Another process at the same metadata store: ``python -m tests.contracts.metadata_process KIND PLACE TASK ...``."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.postgresql import PostgreSQLMetadata
from campaignctl.adapters.metadata.postgresql_server import PostgreSQLTransaction
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.adapters.metadata.sqlite_file import SQLiteTransaction
from campaignctl.domain.campaigns import Campaign, CampaignDraft, PlatformLink
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Role, email_key
from campaignctl.ports.metadata import MetadataStore, NewUser
from campaignctl.services.schema import SchemaService
from tests.support.postgresql import server_in_environment

Store = SQLiteMetadata | PostgreSQLMetadata


def open_store(kind: str, place: str) -> Store:
    if kind == "sqlite":
        return SQLiteMetadata(Path(place), SystemClock())
    server = server_in_environment()
    assert kind == "postgresql"
    assert server is not None
    return server.open(place, SystemClock())


def make_campaigns(metadata: MetadataStore, organization: str) -> None:
    """Without end: whoever started this kills it."""
    number = 0
    while True:
        number += 1
        links = tuple(PlatformLink(Platform.GOOGLE, "1", f"{number}-{position}") for position in range(3))
        made = metadata.add_campaign(int(organization), CampaignDraft(f"campaign {number}", links))
        assert isinstance(made, Campaign)
        print(json.dumps({"id": made.id, "name": made.name}), flush=True)


def register(metadata: MetadataStore, email: str) -> None:
    user = metadata.register(NewUser(email, email_key(email), "", Role.ADMIN, "hash"), "own")
    print(json.dumps({"registered": user is not None}))


def migrate(metadata: Store, wait_s: str) -> None:
    applied = SchemaService([metadata]).apply(float(wait_s))
    print(json.dumps({"applied": [migration.number for plan in applied for migration in plan.pending]}))


def hold_migration_lock(metadata: Store) -> None:
    with metadata.migration_lock(0):
        print("held", flush=True)
        time.sleep(60)


def die_after_every_statement(metadata: Store) -> None:
    """In one new file after another a child is killed after 1, 2, 3, ... statements; then the store is migrated."""
    number = 1
    while _die_after(number, "sqlite", str(Path(sys.argv[2]) / str(number) / "metadata.sqlite")):
        number += 1


def die_after(metadata: Store, *cases: str) -> None:
    """As ``die_after_every_statement``, in new databases that are there already: ``3=NAME`` for the third statement."""
    for case in cases:
        number, _, place = case.partition("=")
        _die_after(int(number), "postgresql", place)


def _die_after(number: int, kind: str, place: str) -> bool:
    """False when the child lived to the end."""
    child = os.fork()
    if child == 0:
        _kill_after(number)
        SchemaService([open_store(kind, place)]).apply(5)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if status == 0:
        return False
    survivor = open_store(kind, place)
    SchemaService([survivor]).apply(5)
    survivor.close()
    print(json.dumps({"place": place, "signal": os.WTERMSIG(status)}), flush=True)
    return True


def _kill_after(number: int) -> None:
    done = 0

    def counting(execute: Callable[[Any, str], None]) -> Callable[[Any, str], None]:
        def counted(self: Any, text: str) -> None:
            nonlocal done
            execute(self, text)
            done += not text.startswith("SET ")
            if done == number:
                os.kill(os.getpid(), signal.SIGKILL)

        return counted

    for transaction in (SQLiteTransaction, PostgreSQLTransaction):
        transaction.execute = counting(transaction.execute)  # type: ignore[method-assign]


TASKS = {
    "make_campaigns": make_campaigns,
    "register": register,
    "migrate": migrate,
    "hold_migration_lock": hold_migration_lock,
    "die_after_every_statement": die_after_every_statement,
    "die_after": die_after,
}

if __name__ == "__main__":
    _kind, _place, _task, *_arguments = sys.argv[1:]
    TASKS[_task](open_store(_kind, _place), *_arguments)
