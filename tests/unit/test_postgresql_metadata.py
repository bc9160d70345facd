"""What the PostgreSQL metadata store does beyond the contract: parameters, ids, locks, deadlines, errors, migrations.

The tests that need a server are skipped where the environment names none (``tests.support.postgresql``).
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata import database as shared
from campaignctl.adapters.metadata.migrations import load_migrations
from campaignctl.adapters.metadata.postgresql import PostgreSQLMetadata
from campaignctl.adapters.metadata.postgresql_statements import postgresql_statements, with_driver_parameters
from campaignctl.adapters.sql_files import load_statements
from campaignctl.domain.campaigns import Campaign, CampaignDraft
from campaignctl.domain.rates import Rate
from campaignctl.errors import (
    CampaignctlError,
    ConfigurationError,
    Conflict,
    InvalidInput,
    NotFound,
    SchemaMismatch,
    Unavailable,
)
from campaignctl.ports.metadata import IdempotencyScope, LoginBucket, NativeClaim
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import ROOT, SPELLINGS, StillClock, at_once, link, new_user
from tests.support.postgresql import Place, own_database, server_or_skip

ADAPTER = Path(shared.__file__).parent


# Statements; no server is needed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT :a, :a_b1", "SELECT %(a)s, %(a_b1)s"),
        ("SELECT ':a', \":a\", '''::a' , :b", "SELECT ':a', \":a\", '''::a' , %(b)s"),
        ("SELECT :a::text, b::bigint", "SELECT %(a)s::text, b::bigint"),
        ("SELECT 1 -- :a 100%\n, :b", "SELECT 1 -- :a 100%%\n, %(b)s"),
        ("SELECT 1 /* :a\n 'b */ , :b", "SELECT 1 /* :a\n 'b */ , %(b)s"),
        ("SELECT $$ :a $$, $t$ :a $$ $t$, :b", "SELECT $$ :a $$, $t$ :a $$ $t$, %(b)s"),
        ("SELECT x LIKE '%:a' AND 7 % :b = 1", "SELECT x LIKE '%%:a' AND 7 %% %(b)s = 1"),
        ("SELECT v[1:n], OFFSET :limit - 1", "SELECT v[1:n], OFFSET %(limit)s - 1"),
    ],
)
def test_parameters_are_translated_outside_of_texts_comments_and_casts(text: str, expected: str) -> None:
    assert with_driver_parameters(text) == expected


def test_every_statement_of_its_own_is_used_and_none_is_forgotten() -> None:
    own, common = load_statements("metadata", "queries", "postgresql.sql"), shared.statements()
    source = "".join(file.read_text() for file in ADAPTER.glob("*.py"))
    assert [name for name in own if f'"{name}"' not in source] == []
    assert set(postgresql_statements()) == set(own) | set(common)
    assert {name for name in own if name in common} == {
        "fetch_refresh_token",
        "lock_claimable_job",
        "remove_expired_sessions",
        "remove_old_login_attempts",
        "remove_expired_idempotency_keys",
    }
    for name in own.keys() & common.keys():
        assert set(re.findall(r":([a-z_]+)", own[name])) == set(re.findall(r":([a-z_]+)", common[name])), name


def test_both_databases_have_the_same_migrations() -> None:
    embedded, server = (load_migrations("metadata", "migrations", kind) for kind in ("sqlite", "postgresql"))
    assert [(one.number, one.name) for one in embedded] == [(one.number, one.name) for one in server]


# With a server


@pytest.fixture
def place() -> Iterator[Place]:
    server = server_or_skip()
    with own_database(server) as database, ExitStack() as opened:
        yield Place(server, database, opened)


@pytest.fixture
def store(place: Place) -> PostgreSQLMetadata:
    made = place.open(clock=StillClock())
    SchemaService([made]).apply(10)
    return made


def made_id(outcome: object) -> int:
    assert isinstance(outcome, Campaign)
    return outcome.id


def test_postgresql_understands_every_statement(store: PostgreSQLMetadata, place: Place) -> None:
    connection = place.connect()
    for text in postgresql_statements().values():
        parameters = dict.fromkeys(re.findall(r"%\(([a-z_]+)\)s", text))
        connection.execute(f"EXPLAIN {text}".encode(), parameters)


def test_ids_have_no_holes(store: PostgreSQLMetadata) -> None:
    claim = CampaignDraft("a", platforms=(link("c1"),))
    organization = store.ensure_organization("acme")
    users = [store.register(new_user(email), "own") for email in ("a@x.org", "A@x.org", "b@x.org")]
    assert [user and (user.id, user.organization_id) for user in users] == [(1, 2), None, (2, 3)]
    outcomes = [store.add_campaign(organization, claim) for _ in range(3)]
    assert [isinstance(outcome, NativeClaim) for outcome in outcomes] == [False, True, True]
    with pytest.raises(Conflict):
        store.add_campaign(99, CampaignDraft("of nobody"))
    assert made_id(outcomes[0]) == 1
    assert made_id(store.add_campaign(organization, CampaignDraft("b"))) == 2
    assert store.ensure_organization("later") == 4


def test_an_id_is_not_given_twice(store: PostgreSQLMetadata, place: Place) -> None:
    organization = store.ensure_organization("acme")
    newest = made_id(store.add_campaign(organization, CampaignDraft("a")))
    place.connect().execute("DELETE FROM campaigns")
    assert made_id(store.add_campaign(organization, CampaignDraft("b"))) == newest + 1


def test_text_that_cannot_be_kept(store: PostgreSQLMetadata) -> None:
    for name, what in (("a\0b", "NUL"), ("a\ud800b", "surrogate")):
        with pytest.raises(InvalidInput, match=what):
            store.ensure_organization(name)
    assert store.ensure_organization("acme") == 1


def test_ten_thousand_rates_and_campaigns_take_one_statement(place: Place, store: PostgreSQLMetadata) -> None:
    """A statement for each would take longer than a call may, on a server that is a millisecond away."""
    quick = place.open(answer_s=1.5)
    organization = quick.ensure_organization("acme")
    first = date(2000, 1, 1)
    rates = [Rate(first + timedelta(days=n), "EUR", "USD", Decimal(n + 1)) for n in range(10_000)]
    quick.put_rates(organization, [*rates, Rate(first, "EUR", "USD", Decimal("0.5"))])
    version, kept = quick.rates_between(organization, "USD", first, first + timedelta(days=20_000))
    assert (version, len(kept), kept[0].rate, kept[-1]) == (1, 10_000, Decimal("0.5"), rates[-1])
    with pytest.raises(NotFound):
        quick.put_rates(99, rates)
    place.connect().execute(
        "INSERT INTO campaigns (organization_id, name, name_key, budget_period, currency, timezone, status,"
        " created_at_us, updated_at_us) SELECT 1, n, n, 'total', 'USD', 'UTC', 'active', 0, 0"
        " FROM generate_series(1, 10000) AS n"
    )
    ids = range(-5, 20_000)
    quick.bump_data_versions(ids)
    assert {facts.data_version for facts in quick.campaign_facts(ids).values()} == {1}
    assert len(quick.claim_for_events(ids)) == 10_000
    assert len(quick.claim_for_events(ids)) == 10_000


def test_no_rise_of_a_data_version_is_lost(store: PostgreSQLMetadata) -> None:
    organization = store.ensure_organization("acme")
    ids = [made_id(store.add_campaign(organization, CampaignDraft(f"c{n}"))) for n in range(5)]
    at_once([lambda: [store.bump_data_versions(ids) for _ in range(20)] for _ in range(10)])
    assert [facts.data_version for facts in store.campaign_facts(ids).values()] == [200] * 5


def test_old_keys_do_not_hold_up_a_new_one(store: PostgreSQLMetadata, place: Place) -> None:
    connection = place.connect()
    connection.execute("INSERT INTO idempotency_keys SELECT 1, 1, n, '', 0, 1 FROM generate_series(1, 2000) AS n")
    for n in range(3):
        assert store.claim_key(IdempotencyScope(1, 1, f"new {n}"), "f", 60, 60) is None
    assert connection.execute("SELECT count(*) FROM idempotency_keys").fetchone() == (503,)


def test_many_kinds_of_writers_do_not_wait_in_a_circle(store: PostgreSQLMetadata, place: Place) -> None:
    clock = StillClock()
    stores = [place.open(clock=clock, pool_size=6) for _ in range(2)]
    organization = store.ensure_organization("acme")
    ids = [made_id(store.add_campaign(organization, CampaignDraft(f"c{n}"))) for n in range(6)]
    user = store.register(new_user("ada@example.com"), "own")
    assert user is not None
    until_s = time.monotonic() + 3

    def write(worker: int) -> int:
        mine, rounds = stores[worker % 2], 0
        while time.monotonic() < until_s:
            rounds += 1
            clock.advance(0.5)
            name = f"{worker} {rounds}"
            backwards = ids if worker % 3 else ids[::-1]
            buckets = [LoginBucket(f"b{n}", 5) for n in range(4)]
            mine.bump_data_versions(backwards)
            mine.claim_for_events(backwards)
            mine.take_login_attempt(name, buckets if worker % 2 else buckets[::-1], 3)
            mine.take_back_login_attempt(name)
            mine.open_session(user.id, "10.0.0.1", name, clock.now() + timedelta(seconds=2))
            mine.rotate(name, f"{name} next", clock.now() + timedelta(seconds=2))
            mine.rotate(name, f"{name} stolen", clock.now() + timedelta(seconds=2))
            mine.claim_key(IdempotencyScope(1, 1, str(rounds % 7)), name, 1, 2)
            mine.release_key(IdempotencyScope(1, 1, str(rounds % 7)))
            mine.put_rates(organization, [Rate(date(2026, 1, 1), "EUR", "USD", Decimal(rounds))])
            mine.replace_campaign(ids[rounds % 6], CampaignDraft(name, platforms=(link("c1"),)), None)
            mine.register(new_user(f"{rounds % 5}@example.com"), name)
        return rounds

    with ThreadPoolExecutor(12) as pool:
        assert sum(pool.map(write, range(12))) > 12
    row = (
        place.connect().execute("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()").fetchone()
    )
    assert row == (0,)


# Errors in our words


def test_a_database_that_is_not_there(place: Place) -> None:
    missing = place.server.open("no_such_database", SystemClock())
    with pytest.raises(ConfigurationError, match="has no database 'no_such_database'") as caught:
        missing.organizations()
    missing.close()
    assert 'CREATE DATABASE "no_such_database"' in caught.value.hint


def test_a_store_that_was_never_set_up(place: Place) -> None:
    store = place.open()
    assert store.applied() == {}
    with pytest.raises(SchemaMismatch, match="has not been set up"):
        store.organizations()
    SchemaService([store]).apply(10)
    assert store.organizations() == []


def test_a_table_removed_by_hand(store: PostgreSQLMetadata, place: Place) -> None:
    place.connect().execute("DROP TABLE platform_links")
    organization = store.ensure_organization("acme")
    with pytest.raises(SchemaMismatch) as caught:
        store.add_campaign(organization, CampaignDraft("c"))
    assert "init-schema" in caught.value.hint


def test_a_conflict_does_not_repeat_values(store: PostgreSQLMetadata) -> None:
    with pytest.raises(Conflict) as caught:
        store.open_session(987_654, "10.0.0.1", "token", StillClock().now())
    assert "987654" not in caught.value.message


def test_a_user_without_rights(store: PostgreSQLMetadata, place: Place) -> None:
    role = f"{place.database}_reader"
    connection = place.connect()
    connection.execute(f"CREATE ROLE {role} LOGIN".encode())
    try:
        poor = place.open(username=role)
        with pytest.raises(ConfigurationError, match="lacks a right"):
            poor.organizations()
        poor.close()
    finally:
        connection.execute(f"DROP OWNED BY {role}".encode())
        connection.execute(f"DROP ROLE {role}".encode())


# Migrations


def schema(place: Place, database: str) -> list[tuple[Any, ...]]:
    with place.server.connect(database) as connection:
        rows = connection.execute(
            "SELECT table_name, column_name, data_type, collation_name, is_nullable, column_default"
            " FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1, 2"
        ).fetchall()
        rows += connection.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1").fetchall()
        rows += connection.execute(
            "SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE connamespace = 'public'::regnamespace ORDER BY 1, 2"
        ).fetchall()
        rows += connection.execute("SELECT prosrc FROM pg_proc WHERE pronamespace = 'public'::regnamespace").fetchall()
        rows += connection.execute("SELECT kind, last_id FROM id_counters ORDER BY 1").fetchall()
        rows += connection.execute("SELECT number, name, checksum FROM schema_migrations ORDER BY 1").fetchall()
    return rows


def start(database: str, task: str, *arguments: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "tests.contracts.metadata_process", "postgresql", database, task, *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def test_every_migration_can_be_run_again(store: PostgreSQLMetadata, place: Place) -> None:
    before = schema(place, place.database)
    assert len(before) > 80
    for migration in store.migrations():
        store.apply(migration)
    assert schema(place, place.database) == before


def test_claims_of_links_made_before_are_those_made_now(store: PostgreSQLMetadata, place: Place) -> None:
    store.add_campaign(store.ensure_organization("acme"), CampaignDraft("a", platforms=SPELLINGS))
    connection = place.connect()
    statement = "SELECT * FROM native_claims ORDER BY position"
    before = connection.execute(statement).fetchall()
    connection.execute("DELETE FROM native_claims")
    for migration in store.migrations():
        store.apply(migration)
    assert len(before) == len(SPELLINGS)
    assert connection.execute(statement).fetchall() == before


def test_a_migration_is_done_wholly_or_not_at_all(store: PostgreSQLMetadata, place: Place) -> None:
    before = schema(place, place.database)
    last = store.migrations()[-1]
    broken = type(last)(4, "broken", "sum", ("CREATE TABLE half (a BIGINT)", "CREATE TABLE half (b BIGINT)"))
    with pytest.raises(CampaignctlError):
        store.apply(broken)
    assert schema(place, place.database) == before


def test_a_newer_schema_is_refused(store: PostgreSQLMetadata, place: Place) -> None:
    place.connect().execute("INSERT INTO schema_migrations VALUES (99, 'later', 'sum', 0)")
    with pytest.raises(SchemaMismatch, match="newer"):
        place.open().organizations()
    with pytest.raises(SchemaMismatch, match="newer"):
        SchemaService([store]).plan()


def test_a_changed_migration_is_refused(store: PostgreSQLMetadata, place: Place) -> None:
    place.connect().execute("UPDATE schema_migrations SET checksum = 'another' WHERE number = 2")
    with pytest.raises(SchemaMismatch, match="0002 campaigns is not the one"):
        SchemaService([store]).check()


def test_of_five_migrating_processes_one_works(store: PostgreSQLMetadata, place: Place) -> None:
    with own_database(place.server) as fresh:
        processes = [start(fresh, "migrate", "30") for _ in range(5)]
        outcomes = [json.loads(process.communicate(timeout=60)[0])["applied"] for process in processes]
        assert sorted(outcomes) == [[], [], [], [], [migration.number for migration in store.migrations()]]
        assert schema(place, fresh) == schema(place, place.database)


def test_killed_in_the_middle_and_run_again(store: PostgreSQLMetadata, place: Place) -> None:
    expected = schema(place, place.database)
    statements = sum(len(migration.statements) for migration in store.migrations())
    with ExitStack() as opened:
        fresh = {n: opened.enter_context(own_database(place.server)) for n in {*range(1, statements, 5), statements}}
        victim = start(place.database, "die_after", *(f"{n}={database}" for n, database in fresh.items()))
        died_after = [json.loads(line) for line in victim.communicate(timeout=60)[0].splitlines()]
        assert [outcome["place"] for outcome in died_after] == list(fresh.values())
        for outcome in died_after:
            assert outcome["signal"] == signal.SIGKILL
            assert schema(place, outcome["place"]) == expected


def test_waiting_for_the_lock_ends(store: PostgreSQLMetadata, place: Place) -> None:
    other = place.open(clock=SystemClock())
    with store.migration_lock(0), pytest.raises(Unavailable, match="migrating"), other.migration_lock(0.2):
        pass
    for holder in (other, store) * 20:  # free at once, whoever had it
        with holder.migration_lock(0):
            pass
    assert store.organizations() == []


def test_the_lock_of_a_dead_process_is_free(store: PostgreSQLMetadata, place: Place) -> None:
    process = start(place.database, "hold_migration_lock")
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    with pytest.raises(Unavailable), store.migration_lock(0):
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    process.stdout.close()
    with place.open(clock=SystemClock()).migration_lock(5):
        pass
