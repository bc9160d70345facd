"""How the PostgreSQL metadata store deals with its connections: refused, broken, busy, frozen, killed.

The tests that need a server, or one that can be frozen, are skipped where the environment names none
(``tests.support.postgresql``).
"""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.postgresql import PostgreSQLMetadata
from campaignctl.errors import CampaignctlError, ConfigurationError, Unavailable
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import at_once
from tests.support.postgresql import Faults, Place, faults_or_skip, own_database, server_or_skip

PASSWORD = "correct horse battery staple"
PROMPT = {"acquire_s": 0.5, "answer_s": 1.5}
"""The deadlines that the product has."""


# Servers that are none, or refuse; no real one is needed


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that does to every connection what ``answer`` says, then closes it."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        answer(connection)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(1)


def store_at(port: int, **changes: Any) -> PostgreSQLMetadata:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "database": "metadata",
        "username": "ada",
        "password": PASSWORD,
        "sslmode": "disable",
    }
    return PostgreSQLMetadata(clock=SystemClock(), **(given | changes))


def failure(store: PostgreSQLMetadata) -> CampaignctlError:
    with pytest.raises(CampaignctlError) as caught:
        store.organizations()
    store.close()
    error = caught.value
    seen: BaseException | None = error
    while seen is not None:
        assert PASSWORD not in repr((seen, vars(seen), getattr(seen, "hint", "")))
        seen = seen.__cause__
    assert error.message[-1] not in "\n:."
    assert "\n" not in error.message
    return error


def saying(greeting: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(greeting)

    return answer


def refusing(sentence: str) -> Callable[[socket.socket], None]:
    """PostgreSQL's protocol up to the sentence with which it refuses."""

    def answer(connection: socket.socket) -> None:
        connection.recv(1024)
        connection.sendall(b"R\0\0\0\x08\0\0\0\x03")
        connection.recv(1024)
        body = b"SFATAL\0VFATAL\0C28P01\0M" + sentence.encode() + b"\0\0"
        connection.sendall(b"E" + (len(body) + 4).to_bytes(4, "big") + body)

    return answer


@pytest.mark.parametrize("sslmode", ["disable", "prefer"])
@pytest.mark.parametrize(
    "greeting",
    [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR unknown command\r\n", b"SSH-2.0-x\r\n", b"J\0\0\0\n8.0.36\0"],
)
def test_a_port_where_something_else_answers(sslmode: str, greeting: bytes) -> None:
    with listening(saying(greeting)) as port:
        error = failure(store_at(port, sslmode=sslmode))
    assert type(error) is ConfigurationError
    assert error.message == f"what answers at 127.0.0.1:{port} is not PostgreSQL"
    assert "postgres.port" in error.hint


@pytest.mark.parametrize(
    ("sentence", "said", "hint"),
    [
        ('password authentication failed for user "ada"', "refuses the user 'ada'", "postgres.password"),
        ('role "ada" does not exist', "refuses the user 'ada'", "postgres.username"),
        ('no pg_hba.conf entry for host "10.0.0.1", user "ada", no encryption', "no encryption", "pg_hba.conf"),
        ('database "metadata" does not exist', "has no database 'metadata'", "CREATE DATABASE"),
    ],
)
def test_a_server_that_refuses_us(sentence: str, said: str, hint: str) -> None:
    with listening(refusing(sentence)) as port:
        error = failure(store_at(port))
    assert type(error) is ConfigurationError
    assert said in error.message
    assert f"127.0.0.1:{port}" in error.message
    assert hint in error.hint


def test_a_server_that_is_starting_or_full() -> None:
    for sentence in ("the database system is starting up", "sorry, too many clients already"):
        with listening(refusing(sentence)) as port:
            error = failure(store_at(port))
        assert type(error) is Unavailable
        assert error.message == f"the metadata store cannot be reached: {sentence}"


def test_tls_that_is_not_to_be_had() -> None:
    with listening(saying(b"N")) as port:
        error = failure(store_at(port, sslmode="require"))
    assert type(error) is ConfigurationError
    assert "server does not support SSL" in error.message
    assert "postgres.sslmode" in error.hint


@pytest.mark.parametrize("host", ["127.0.0.1", "metadata.invalid"])
def test_a_server_that_is_away(host: str) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound and not listening: refused
        started_s = time.monotonic()
        error = failure(store_at(reserved.getsockname()[1], host=host))
    assert type(error) is Unavailable
    assert error.service == "metadata"
    assert "refused" in error.message or "resolve" in error.message or "translate" in error.message
    assert time.monotonic() - started_s < 15


def test_a_server_that_never_answers() -> None:
    with listening(
        lambda connection: connection.settimeout(10) or (connection.recv(1024) and connection.recv(1))
    ) as port:
        store = store_at(port)
        outcomes = at_once([lambda: seconds_to_fail(store) for _ in range(6)])
        assert max(outcomes) < 9  # each alone, with nobody to stop it: 10
        assert min(seconds_to_fail(store) for _ in range(5)) < 0.3  # known to fail: nobody waits
        store.close()


def seconds_to_fail(store: PostgreSQLMetadata) -> float:
    started_s = time.monotonic()
    with pytest.raises(Unavailable):
        store.organizations()
    return time.monotonic() - started_s


def test_a_store_closed_before_it_was_used() -> None:
    store = store_at(1)
    store.close()
    store.close()
    with pytest.raises(Unavailable, match="closed"):
        store.organizations()


# With a server


@pytest.fixture
def place() -> Iterator[Place]:
    server = server_or_skip()
    with own_database(server) as database, ExitStack() as opened:
        yield Place(server, database, opened)


@pytest.fixture
def store(place: Place) -> PostgreSQLMetadata:
    made = place.open()
    SchemaService([made]).apply(10)
    return made


# Deadlines


def test_a_connection_says_what_it_is_and_how_long_it_waits(store: PostgreSQLMetadata, place: Place) -> None:
    own = place.open(**PROMPT)
    with own._server.reading() as tx:
        shown = {
            name: tx._connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("application_name", "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        }
    assert [next(iter(row.values())) for row in shown.values() if row] == ["campaignctl", "2s", "1s", "10s"]


def test_a_call_does_not_wait_long_for_a_lock_and_leaves_the_store_well(
    store: PostgreSQLMetadata, place: Place
) -> None:
    quick = place.open(**PROMPT)
    organization = quick.ensure_organization("acme")
    other = place.connect()
    other.execute("BEGIN")
    other.execute("SELECT * FROM organizations FOR UPDATE")
    for _ in range(4):
        started_s = time.monotonic()
        with pytest.raises(Unavailable, match="busy"):
            quick.put_rates(organization, [])
        assert 0.9 < time.monotonic() - started_s < 10
        assert [known.id for known in quick.organizations()] == [organization]  # readers do not wait
    other.execute("ROLLBACK")
    quick.put_rates(organization, [])


def test_no_free_connection(store: PostgreSQLMetadata, place: Place) -> None:
    small = place.open(pool_size=2, acquire_s=0.3)
    small.organizations()
    with small._server.reading(), small._server.reading():
        started_s = time.monotonic()
        with pytest.raises(Unavailable, match="no connection is free"):
            small.organizations()
        assert time.monotonic() - started_s < 5
    small.organizations()


def test_connections_are_lent_not_bound_to_threads(store: PostgreSQLMetadata, place: Place) -> None:
    for _ in range(30):
        thread = threading.Thread(target=store.organizations)
        thread.start()
        thread.join()
    row = (
        place.connect()
        .execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'campaignctl'"
        )
        .fetchone()
    )
    assert row is not None
    assert row[0] <= 2


def test_connections_the_server_has_ended_are_replaced_unnoticed(store: PostgreSQLMetadata, place: Place) -> None:
    busy = place.open(pool_size=6)
    at_once([lambda n=n: busy.ensure_organization(f"o{n}") for n in range(6)])
    other = place.connect()
    for _ in range(3):
        other.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert 6 <= len(busy.organizations()) <= 12
        assert at_once([lambda n=n: busy.ensure_organization(f"o{n}") for n in range(12)])


def test_a_transaction_whose_connection_breaks_is_undone(store: PostgreSQLMetadata, place: Place) -> None:
    with pytest.raises(Unavailable), store._server.writing() as tx:
        tx.one("add_organization", name="half", now_us=0)
        place.connect().execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        tx.one("find_organization", name="half")
    assert store.organizations() == []
    assert store.ensure_organization("whole") == 1


# Faults of the server


@pytest.fixture
def faulty() -> Iterator[tuple[Place, Faults]]:
    server = server_or_skip()
    with faults_or_skip(server) as (faults, database), ExitStack() as opened:
        place = Place(server, database, opened)
        SchemaService([place.open()]).apply(10)
        yield place, faults


@pytest.mark.faults
def test_a_frozen_server_and_its_thaw(faulty: tuple[Place, Faults]) -> None:
    place, faults = faulty
    used, unused = place.open(**PROMPT), place.open(**PROMPT)
    at_once([used.organizations] * 6)
    threads = threading.active_count()
    faults.freeze()
    for store in (used, unused):
        outcomes = at_once([lambda store=store: seconds_to_fail(store) for _ in range(12)])
        assert max(outcomes) < 2.6
    quick = [seconds_to_fail(used) for _ in range(10)]
    assert sum(seconds < 0.1 for seconds in quick) >= 8  # one of them each half second asks the server
    assert threading.active_count() - threads <= 12  # the pools' own: no call has left one behind
    faults.thaw()
    for store in (used, unused):
        assert seconds_to_work(store) < 2
    assert at_once([used.organizations] * 12) == [[]] * 12


@pytest.mark.faults
def test_a_server_frozen_in_the_middle_of_a_transaction(faulty: tuple[Place, Faults]) -> None:
    place, faults = faulty
    store = place.open(**PROMPT)
    store.organizations()
    started_s = 0.0
    with pytest.raises(Unavailable, match="in time"), store._server.writing() as tx:
        tx.one("add_organization", name="half", now_us=0)
        faults.freeze()
        started_s = time.monotonic()
        tx.one("find_organization", name="half")
    assert time.monotonic() - started_s < 2.6
    faults.thaw()
    assert seconds_to_work(store) < 2
    assert store.organizations() == []
    assert store.ensure_organization("whole") == 1


@pytest.mark.faults
def test_a_killed_server_is_back_unnoticed(faulty: tuple[Place, Faults]) -> None:
    place, faults = faulty
    store = place.open(**PROMPT)
    at_once([store.organizations] * 6)
    faults.kill()
    faults.up()
    assert store.organizations() == []
    assert at_once([lambda: store.ensure_organization("acme")] * 6) == [1] * 6


@pytest.mark.faults
def test_starting_before_the_server(faulty: tuple[Place, Faults]) -> None:
    place, faults = faulty
    faults.kill()
    store = place.open(**PROMPT)
    outcomes = [seconds_to_fail(store) for _ in range(5)]
    assert max(outcomes) < 1
    faults.up()
    assert seconds_to_work(store) < 2


def seconds_to_work(store: PostgreSQLMetadata) -> float:
    started_s = time.monotonic()
    while time.monotonic() - started_s < 30:
        try:
            store.organizations()
        except Unavailable:
            time.sleep(0.02)
        else:
            break
    return time.monotonic() - started_s
