"""What the SQLite metadata store does beyond the contract: its file, its errors, its statements, its migrations."""

import json
import os
import re
import resource
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata import database, sqlite_file
from campaignctl.adapters.metadata.migrations import load_migrations, parse_migration
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.adapters.metadata.sqlite_file import SQLiteFile
from campaignctl.domain.campaigns import Campaign, CampaignDraft
from campaignctl.errors import CampaignctlError, SchemaMismatch, StorageFull, Unavailable
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import ROOT, SPELLINGS, StillClock

ADAPTER = Path(database.__file__).parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a place with ? and %41" / "metadata.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[SQLiteMetadata]:
    made = SQLiteMetadata(path, StillClock())
    SchemaService([made]).apply(1)
    yield made
    made.close()


_BUMP = "UPDATE campaigns SET data_version = data_version + 1"


def raw(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, isolation_level=None)


# Statements


def test_sqlite_understands_every_statement(store: SQLiteMetadata, path: Path) -> None:
    connection = raw(path)
    for text in (database.statements() | sqlite_file._STATEMENTS).values():
        parameters = dict.fromkeys(re.findall(r":([a-z_]+)", text))
        connection.execute(f"EXPLAIN {text}", parameters)
    connection.close()


def test_every_statement_is_used_and_every_used_one_is_there() -> None:
    # What PostgreSQL alone is asked for is looked at in test_postgresql_metadata.
    source = "".join(file.read_text() for file in ADAPTER.glob("*.py") if file.name != "postgresql.py")
    used = set(re.findall(r'(?:tx\.(?:all|all_over|one|run)|_database\.ask)\(\s*"([a-z_]+)"', source))
    assert used == set(sqlite_file._STATEMENTS)


@pytest.mark.parametrize("name", sorted(database.statements()))
def test_statements_are_fit_for_a_server_too(name: str) -> None:
    """Things that psycopg or PostgreSQL would take otherwise, or not at all."""
    text = database.statements()[name]
    assert not re.search(
        r"::|%|\?|\bCURRENT_|\bIFNULL\b|\bdatetime\(|\bstrftime\(|\bOR (IGNORE|REPLACE)\b|\browid\b", text
    )
    assert not re.search(r":(?![a-z_])", text)


def test_looking_up_claims_and_failed_sign_ins_uses_an_index(store: SQLiteMetadata, path: Path) -> None:
    connection = raw(path)
    for name in (
        "find_claim",
        "fetch_limiting_login_attempt",
        "find_session_from_address",
        "fetch_rates",
        "list_rates",
    ):
        text = database.statements()[name]
        plan = connection.execute(f"EXPLAIN QUERY PLAN {text}", dict.fromkeys(re.findall(r":([a-z_]+)", text), 1))
        steps = [row[3] for row in plan.fetchall()]
        assert not any(step.startswith("SCAN") for step in steps), (name, steps)
    connection.close()


# The file


def test_the_file_is_durable_strict_and_private(store: SQLiteMetadata, path: Path) -> None:
    store.ensure_organization("acme")
    connection = store._file._idle[-1]
    settings = {
        name: connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 5_000}
    for file in path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file


def test_the_id_of_a_removed_campaign_is_never_given_again(store: SQLiteMetadata, path: Path) -> None:
    store.ensure_organization("acme")
    for name in ("a", "b"):
        store.add_campaign(1, CampaignDraft(name))
    connection = raw(path)
    connection.execute("DELETE FROM campaigns")
    connection.close()
    store.add_campaign(1, CampaignDraft("c"))
    assert store.campaign_ids(None) == [3]


def test_looking_makes_nothing(path: Path) -> None:
    store = SQLiteMetadata(path, StillClock())
    assert store.applied() == {}
    with pytest.raises(SchemaMismatch, match="has not been set up") as caught:
        store.campaign_ids(None)
    assert "init-schema" in caught.value.hint
    assert not path.parent.exists()


def test_threads_that_come_and_go_leave_few_connections(store: SQLiteMetadata) -> None:
    for _ in range(50):
        thread = threading.Thread(target=store.organizations)
        thread.start()
        thread.join()
    assert len(store._file._idle) == 1


def test_facts_at_hand_know_of_the_writes_of_other_processes(store: SQLiteMetadata, path: Path) -> None:
    organization = store.ensure_organization("o")
    made = store.add_campaign(organization, CampaignDraft("c"))
    assert isinstance(made, Campaign)
    facts = store.campaign_facts([made.id])[made.id]
    assert store.facts_at_hand(made.id) == facts
    bump = f"import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript({_BUMP!r})"
    subprocess.run([sys.executable, "-c", bump, str(path)], check=True)
    assert store.facts_at_hand(made.id) is None
    assert store.campaign_facts([made.id])[made.id].data_version == facts.data_version + 1


def test_facts_at_hand_read_before_a_write_ended_are_none(
    store: SQLiteMetadata, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = store.add_campaign(store.ensure_organization("o"), CampaignDraft("c"))
    assert isinstance(made, Campaign)
    right = SQLiteFile.ask

    def ask_and_be_overtaken(*asked: Any, **parameters: Any) -> Any:
        rows = right(*asked, **parameters)
        connection = raw(path)
        connection.executescript(_BUMP)
        connection.close()
        return rows

    monkeypatch.setattr(SQLiteFile, "ask", ask_and_be_overtaken)
    store.campaign_facts([made.id])
    assert store.facts_at_hand(made.id) is None


def test_facts_at_hand_after_the_store_was_closed(store: SQLiteMetadata) -> None:
    made = store.add_campaign(store.ensure_organization("o"), CampaignDraft("c"))
    assert isinstance(made, Campaign)
    store.campaign_facts([made.id])
    store.close()
    assert store.facts_at_hand(made.id) is None


def test_a_closed_store_says_so(store: SQLiteMetadata) -> None:
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closed"):
        store.organizations()


def test_readers_do_not_wait_for_a_writer(store: SQLiteMetadata, path: Path) -> None:
    organization = store.ensure_organization("acme")
    other = raw(path)
    other.execute("BEGIN IMMEDIATE")
    assert [known.id for known in store.organizations()] == [organization]
    other.execute("ROLLBACK")
    other.close()


def test_a_writer_waits_for_another_process_for_a_while(
    store: SQLiteMetadata, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_file, "WRITE_WAIT_S", 0.1)
    monkeypatch.setattr(sqlite_file, "_SETTINGS", ("PRAGMA busy_timeout = 100",))
    store.close()
    store = SQLiteMetadata(path, StillClock())
    other = raw(path)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy"):
        store.ensure_organization("acme")
    other.execute("COMMIT")
    other.close()
    assert store.ensure_organization("acme") == 1


# Errors in our words


def fill(store: SQLiteMetadata) -> None:
    for number in range(5_000):
        store.add_campaign(1, CampaignDraft(f"{number} " + "x" * 180))


def test_a_full_disk(store: SQLiteMetadata, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store.ensure_organization("acme")
    store.close()
    monkeypatch.setattr(sqlite_file, "_SETTINGS", (*sqlite_file._SETTINGS, "PRAGMA max_page_count = 50"))
    full = SQLiteMetadata(path, StillClock())
    with pytest.raises(StorageFull) as caught:
        fill(full)
    assert caught.value.service == "metadata"
    assert "space" in caught.value.hint
    kept = full.campaign_ids(None)
    full.close()
    monkeypatch.undo()
    again = SQLiteMetadata(path, StillClock())
    assert again.campaign_ids(None) == kept
    made = again.add_campaign(1, CampaignDraft("there is room again"))
    assert again.campaign_ids(None) == [*kept, made.id if hasattr(made, "id") else None]


def test_a_file_that_may_not_grow(store: SQLiteMetadata) -> None:
    store.ensure_organization("acme")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(StorageFull):
            fill(store)
        kept = store.campaign_ids(None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert kept == list(range(1, len(kept) + 1))
    store.add_campaign(1, CampaignDraft("there is room again"))
    assert len(store.campaign_ids(None)) == len(kept) + 1


def test_a_file_that_is_no_database(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a database " * 1_000)
    with pytest.raises(Unavailable) as caught:
        SQLiteMetadata(path, StillClock()).campaign_ids(None)
    assert caught.value.code == "metadata_damaged"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = SQLiteMetadata(tmp_path / "file" / "metadata.sqlite", StillClock())
    with pytest.raises(StorageFull):
        SchemaService([store]).apply(1)


def test_a_table_removed_by_hand(store: SQLiteMetadata, path: Path) -> None:
    store.organizations()
    connection = raw(path)
    connection.execute("DROP TABLE platform_links")
    connection.close()
    store.ensure_organization("acme")
    with pytest.raises(SchemaMismatch):
        store.add_campaign(1, CampaignDraft("c"))


def test_a_campaign_of_nobody(store: SQLiteMetadata) -> None:
    with pytest.raises(CampaignctlError):
        store.add_campaign(99, CampaignDraft("c"))


# Migrations


def test_a_newer_schema_is_refused(store: SQLiteMetadata, path: Path) -> None:
    store.organizations()
    connection = raw(path)
    connection.execute("INSERT INTO schema_migrations VALUES (99, 'later', 'sum', 0)")
    connection.close()
    with pytest.raises(SchemaMismatch, match="newer"):
        SQLiteMetadata(path, StillClock()).organizations()
    with pytest.raises(SchemaMismatch, match="newer"):
        SchemaService([store]).plan()


def test_migration_files_are_split_into_statements() -> None:
    text = "-- why\n\nCREATE TABLE a (b TEXT DEFAULT ';'); \n\n-- c; d\nCREATE TABLE e (f TEXT);\n-- the end\n"
    migration = parse_migration("0007_make_a_and_e.sql", text)
    assert (migration.number, migration.name, len(migration.statements)) == (7, "make_a_and_e", 2)
    assert migration.checksum == parse_migration("0007_make_a_and_e.sql", text.replace("\n", "\r\n")).checksum
    with pytest.raises(ValueError, match="named like"):
        parse_migration("7_a.sql", text)


def test_every_migration_can_be_run_again(store: SQLiteMetadata) -> None:
    before = schema(store._file._path)
    for migration in load_migrations("metadata", "migrations", "sqlite"):
        store.apply(migration)
    assert schema(store._file._path) == before


def test_claims_of_links_made_before_are_those_made_now(store: SQLiteMetadata) -> None:
    store.add_campaign(store.ensure_organization("acme"), CampaignDraft("a", platforms=SPELLINGS))
    connection = raw(store._file._path)
    statement = "SELECT * FROM native_claims ORDER BY position"
    before = connection.execute(statement).fetchall()
    connection.execute("DELETE FROM native_claims")
    for migration in load_migrations("metadata", "migrations", "sqlite"):
        store.apply(migration)
    assert len(before) == len(SPELLINGS)
    assert connection.execute(statement).fetchall() == before
    connection.close()


def schema(path: Path) -> list[tuple[str, ...]]:
    connection = raw(path)
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
    rows += connection.execute("SELECT number, name, checksum FROM schema_migrations ORDER BY 1").fetchall()
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    return rows


def start(path: Path, task: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.contracts.metadata_process", "sqlite", str(path), task, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def test_of_five_migrating_processes_one_works(path: Path, store: SQLiteMetadata, tmp_path: Path) -> None:
    fresh = tmp_path / "fresh" / "metadata.sqlite"
    processes = [start(fresh, "migrate", "30") for _ in range(5)]
    outcomes = [json.loads(process.communicate(timeout=60)[0])["applied"] for process in processes]
    assert sorted(outcomes) == [[], [], [], [], [migration.number for migration in store.migrations()]]
    assert schema(fresh) == schema(path)


def test_killed_after_any_statement_and_run_again(path: Path, store: SQLiteMetadata, tmp_path: Path) -> None:
    expected = schema(path)
    statements = sum(len(migration.statements) for migration in store.migrations())
    victim = start(tmp_path / "victim", "die_after_every_statement")
    died_after = [json.loads(line) for line in victim.communicate(timeout=60)[0].splitlines()]
    assert len(died_after) == statements
    for outcome in died_after:
        assert outcome["signal"] == signal.SIGKILL
        assert schema(Path(outcome["place"])) == expected


def test_waiting_for_the_lock_ends(store: SQLiteMetadata, path: Path) -> None:
    other = SQLiteMetadata(path, SystemClock())
    with store.migration_lock(0), pytest.raises(Unavailable, match="migrating"), other.migration_lock(0.1):
        pass
    with other.migration_lock(0):
        pass


def test_the_lock_of_a_dead_process_is_free(store: SQLiteMetadata, path: Path) -> None:
    process = start(path, "hold_migration_lock")
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(Unavailable), store.migration_lock(0):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    with store.migration_lock(1):
        pass


def test_what_is_written_after_a_migration_outlives_other_processes(path: Path) -> None:
    """A process that migrated and goes on, and another one that comes and goes."""
    store = SQLiteMetadata(path, StillClock())
    SchemaService([store]).apply(10)
    store.ensure_organization("first")
    visit = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).execute('SELECT count(*) FROM organizations').fetchone()"
    subprocess.run([sys.executable, "-c", visit, str(path)], check=True)
    store.ensure_organization("second")
    assert [row[0] for row in raw(path).execute("SELECT name FROM organizations ORDER BY id")] == ["first", "second"]
    store.close()
