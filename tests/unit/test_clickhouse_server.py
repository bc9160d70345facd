"""Analytics on a ClickHouse server: what is sent, what failures are called, and how long anything takes.

What a server must do as every other store does is in ``tests/contracts/test_analytics.py``.
"""

import random
import re
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, ProgrammingError

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.form_fields import FIELD_BYTES, split_arrays
from campaignctl.adapters.analytics.migration_claims import MigrationClaims
from campaignctl.adapters.analytics.server import ASK_AGAIN_S, open_clickhouse
from campaignctl.adapters.analytics.server_failures import Server, explained
from campaignctl.errors import CampaignctlError, ConfigurationError, InvalidInput, SchemaMismatch, Unavailable
from campaignctl.ports.analytics import OffsetRange
from campaignctl.services.schema import SchemaService
from tests.contracts.analytics_contract import _assert_exact
from tests.contracts.analytics_rows import (
    DAYS,
    FIRST_DAY,
    PARTITION,
    TOPIC,
    WINDOW_MS,
    day_number,
    event_rows,
    random_rows,
    row,
)
from tests.contracts.analytics_server import ServerHarness, open_place
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.services import Faults, clickhouse_place, using
from tests.support.waiting import eventually

SECRET = "pass-word-4711"
EVERYTHING = OffsetRange(TOPIC, PARTITION, 0, 10**9)
NOTHING = OffsetRange(0, 0, 0, 0)
NATIVE_PORT = b"HTTP/1.0 400 Bad Request\r\n\r\nPort 9000 is for clickhouse-client program\r\nYou must use port 8123 for HTTP.\r\n"
PING = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nOk.\n"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\nConnection: close\r\n\r\n<html></html>"


def refusal(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _is_whole(request: bytes) -> bool:
    if not request[:1].isalpha():
        return True  # no HTTP: the first bytes of a TLS handshake
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: *(\d+)", head.lower())
    return bool(end) and len(body) >= (int(length[1]) if length else 0)


@contextmanager
def strange_server(*answers: bytes | None, certificate: Path | None = None) -> Iterator[int]:
    """A server that gives one answer to each connection, the last one again and again; None never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.02)
    stopping = threading.Event()
    held: list[socket.socket] = []

    def talk(connection: socket.socket, answer: bytes | None) -> None:
        held.append(connection)
        try:
            connection.settimeout(0.5)
            if certificate is not None:
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(certificate)
                connection = context.wrap_socket(connection, server_side=True)
                held.append(connection)
            request = connection.recv(65_536)
            while not _is_whole(request) and (more := connection.recv(65_536)):
                request += more  # closing with something unread would tear the answer away
            if answer is not None:
                connection.sendall(answer)
                connection.close()
        except OSError:
            connection.close()

    def listen() -> None:
        left = list(answers)
        while not stopping.is_set():
            try:
                connection = listener.accept()[0]
            except TimeoutError:
                continue
            talk(connection, left.pop(0) if len(left) > 1 else left[0])

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        stopping.set()
        thread.join()
        for one in [*held, listener]:
            one.close()


@contextmanager
def opened(port: int, host: str = "127.0.0.1", *, secure: bool = False) -> Iterator[ClickHouseAnalytics]:
    store = open_clickhouse(host, port, "campaign_analytics", "default", SECRET, secure)
    try:
        yield store
    finally:
        store.close()


def failure_of(port: int, host: str = "127.0.0.1", *, secure: bool = False) -> CampaignctlError:
    """What a ping raises; its words hold no secret, and the place at most."""
    with opened(port, host, secure=secure) as store, pytest.raises(CampaignctlError) as raised:
        store.ping()
    told = f"{raised.value.message} {raised.value.hint}"
    assert SECRET not in told
    assert "http" not in told.replace("HTTP", "")
    assert f"{host}:{port}" in told
    return raised.value


# Failures, and what they are called


def test_nothing_is_connected_when_it_is_opened() -> None:
    with opened(1, "no-such-host.invalid"):
        pass


@pytest.mark.parametrize("name", ["", "a b", "a`b", "a'b", "a\\b", "a;b", "é", "x" * 65])
def test_a_name_that_would_have_to_be_quoted_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"clickhouse\.database"):
        open_clickhouse("localhost", 8123, name, "default", "")


def test_a_server_that_is_away_is_unavailable() -> None:
    refused = failure_of(1)
    assert isinstance(refused, Unavailable)
    assert refused.service == "analytics"
    assert str(refused) == "ClickHouse at 127.0.0.1:1 cannot be reached: the connection was refused"
    unknown = failure_of(8123, "no-such-host.invalid")
    assert isinstance(unknown, Unavailable)
    assert "the host name is not known" in str(unknown)


@pytest.mark.parametrize(
    ("answers", "kind", "said"),
    [
        ((NATIVE_PORT,), ConfigurationError, "is the native port, and HTTP is needed"),
        (
            (PING, refusal("404 Not Found")),
            ConfigurationError,
            "is not ClickHouse's HTTP interface (it answers HTTP 404)",
        ),
        ((PING, refusal("401 Unauthorized")), ConfigurationError, "(it answers HTTP 401)"),
        ((PING, refusal("302 Found")), ConfigurationError, "is not ClickHouse's HTTP interface"),
        ((PING, PAGE), ConfigurationError, "is not ClickHouse's HTTP interface"),
        ((PING, refusal("502 Bad Gateway")), Unavailable, "answers HTTP 502"),
        ((PING, refusal("503 Service Unavailable")), Unavailable, "answers HTTP 503"),
        ((PING, b""), Unavailable, "the connection was closed"),
        ((b"",), Unavailable, "the connection was closed"),
        ((b"-ERR unknown command\r\n",), Unavailable, "the connection was closed"),
        ((PING, PING[:-2]), Unavailable, "the connection was closed"),
    ],
)
def test_what_is_no_clickhouse_is_named(answers: Sequence[bytes], kind: type[CampaignctlError], said: str) -> None:
    with strange_server(*answers) as port:
        failure = failure_of(port)
    assert type(failure) is kind
    assert said in str(failure)


def test_a_silent_server_costs_a_second_a_call() -> None:
    with strange_server(None) as port, opened(port) as store:
        for call in (store.ping, lambda: store.append_events(event_rows([row(0)]), "t"), store.applied):
            started_s = time.monotonic()
            with pytest.raises(Unavailable, match="does not answer in time"):
                call()
            assert time.monotonic() - started_s < 2.5


def test_tls_to_a_plain_port_is_named() -> None:
    with strange_server(PING) as port:
        failure = failure_of(port, secure=True)
    assert isinstance(failure, ConfigurationError)
    assert "does not speak TLS" in str(failure)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A key and a certificate for localhost that nobody trusts yet, in one file."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    key, made = (tmp_path_factory.mktemp("tls") / name for name in ("key.pem", "made.pem"))
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", key, "-out", made]
    subprocess.run([*command, *names], check=True, capture_output=True)
    made.write_bytes(made.read_bytes() + key.read_bytes())
    return made


def test_a_certificate_that_is_not_trusted_is_named(certificate: Path) -> None:
    with strange_server(PING, certificate=certificate) as port:
        failure = failure_of(port, "localhost", secure=True)
    assert isinstance(failure, ConfigurationError)
    assert "cannot be trusted" in str(failure)


def test_a_plain_call_to_a_tls_port_is_unavailable(certificate: Path) -> None:
    with strange_server(PING, certificate=certificate) as port:
        assert isinstance(failure_of(port, "localhost"), Unavailable)


def test_a_named_authority_is_trusted(certificate: Path) -> None:
    with strange_server(PING, refusal("404 Not Found"), certificate=certificate) as port:
        store = open_clickhouse("localhost", port, "d", "default", SECRET, secure=True, ca_file=str(certificate))
        with pytest.raises(ConfigurationError, match="HTTP 404"):  # the certificate was no obstacle
            store.ping()
        store.close()


@pytest.mark.parametrize(
    ("error", "console", "kind", "said"),
    [
        (
            DatabaseError("Code: 516. DB::Exception: x", code=516),
            True,
            ConfigurationError,
            "does not accept the user name",
        ),
        (
            DatabaseError("Code: 497. DB::Exception: default: Not enough privileges", code=497),
            False,
            ConfigurationError,
            "Not",
        ),
        (
            DatabaseError("Code: 497. DB::Exception: default: Not enough privileges", code=497),
            True,
            DatabaseError,
            "Not",
        ),
        (
            DatabaseError("Code: 115. DB::Exception: Unknown setting 'a'", code=115),
            False,
            ConfigurationError,
            "is too old",
        ),
        (DatabaseError("Code: 115. DB::Exception: Unknown setting 'a'", code=115), True, DatabaseError, "setting 'a'"),
        (ProgrammingError("Setting a is readonly"), False, ConfigurationError, "Setting a is readonly"),
    ],
)
def test_a_refusal_is_the_configuration_s_or_the_statement_s(
    error: Exception, console: bool, kind: type[Exception], said: str
) -> None:
    told = explained(error, Server("db", 8123, False), console=console)
    assert type(told) is kind
    assert said in str(told)


def test_the_driver_s_wrapping_is_taken_off() -> None:
    wrapped = (
        "Received ClickHouse exception, code: 60, server response: Code: 60. DB::Exception: No. (for url http://h:1)"
    )
    assert (
        str(explained(DatabaseError(wrapped, code=60), Server("h", 1, False), console=False))
        == "Code: 60. DB::Exception: No."
    )


# Parameters


def test_short_arrays_stay_whole() -> None:
    text = "SELECT {a:Array(String)}, {b:UInt8}"
    parameters = {"a": ["x"] * 100, "b": 1, "c": []}
    assert split_arrays(text, parameters) == (text, parameters)


def test_long_arrays_are_sent_in_pieces() -> None:
    ids = [f"{n:0120d}" for n in range(1_500)]
    text, fields = split_arrays("x IN {ids:Array(String)} OR {ids:Array(String)} OR {n:UInt8}", {"ids": ids, "n": 1})
    pieces = [value for name, value in fields.items() if name != "n"]
    assert [one for piece in pieces for one in piece] == ids  # type: ignore[attr-defined]
    together = ", ".join(f"{{ids__{number}:Array(String)}}" for number in range(len(pieces)))
    assert len(pieces) > 1
    assert text == f"x IN arrayConcat({together}) OR arrayConcat({together}) OR {{n:UInt8}}"


def test_no_piece_is_too_large_however_its_texts_are_escaped() -> None:
    rng = random.Random(3)
    texts = ["'" * 128, "\\" * 128, "😀" * 128, "", "é'\n" * 40]
    _, fields = split_arrays("{a:Array(String)}", {"a": [rng.choice(texts) for _ in range(5_000)]})
    for piece in fields.values():
        assert isinstance(piece, list)
        assert sum(2 * len(one.encode()) + 4 for one in piece) <= FIELD_BYTES


# A real server


@pytest.fixture
def harness() -> Iterator[ServerHarness]:
    made = ServerHarness()
    yield made
    made.close()
    made.remove()


def test_a_wrong_password_is_the_configuration_s() -> None:
    host, port = clickhouse_place()
    with using("clickhouse"):
        failure = failure_of(port, host)
    assert isinstance(failure, ConfigurationError)
    assert str(failure) == f"ClickHouse at {host}:{port} does not accept the user name or the password"


def test_a_database_is_made_by_the_schema_and_by_nothing_else(harness: ServerHarness) -> None:
    store = open_place(harness.place)
    assert store.applied() == {}
    for call in (
        store.ping,
        lambda: store.newest_offset(TOPIC, PARTITION),
        lambda: store.append_events(event_rows([row(0)]), "early"),
        lambda: store.newest_events([1]),
    ):
        with pytest.raises(SchemaMismatch, match="lacks its tables") as raised:
            call()
        assert raised.value.hint == "run: campaignctl init-schema"
    assert store.applied() == {}
    SchemaService([store]).apply(wait_s=10)
    assert store.newest_offset(TOPIC, PARTITION) is None
    store.close()


def test_of_many_that_migrate_at_once_one_does_it(harness: ServerHarness) -> None:
    stores = [open_place(harness.place) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(lambda store: SchemaService([store]).apply(wait_s=30)[0].pending, stores))
    known = tuple(stores[0].migrations())
    assert sorted(map(len, done)) == [0] * 5 + [len(known)]
    assert set(stores[0].applied()) == {migration.number for migration in known}
    for store in stores:
        store.close()


def test_the_lock_is_had_by_one_at_a_time(harness: ServerHarness) -> None:
    store = harness.open()
    inside: list[int] = []

    def work(_number: int) -> None:
        for _ in range(4):
            with store.migration_lock(60):
                inside.append(1)
                assert len(inside) == 1
                time.sleep(0.01)
                inside.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))


def test_who_waits_for_the_lock_in_vain_is_told(harness: ServerHarness) -> None:
    store = harness.open()
    with store.migration_lock(1):
        with pytest.raises(Unavailable, match="another process is migrating"), store.migration_lock(0.3):
            pass
        started_s = time.monotonic()
        with pytest.raises(Unavailable), store.migration_lock(0):
            pass
        assert time.monotonic() - started_s < 1
    with store.migration_lock(0):
        pass


def test_a_lock_is_kept_while_its_holder_lives_and_lost_when_it_died(harness: ServerHarness) -> None:
    store = harness.open()
    claims = MigrationClaims(store._clients, lease_s=0.6)
    with claims.held(1):
        time.sleep(1.5)
        with pytest.raises(Unavailable), claims.held(0):
            pass
    claims._run("claim", owner="of a process that died", released=0)
    with pytest.raises(Unavailable), claims.held(0):
        pass
    with claims.held(3):
        pass


def test_a_claim_that_meets_another_is_withdrawn(harness: ServerHarness) -> None:
    store = harness.open()
    claims = MigrationClaims(store._clients)
    claims._run("create_claims")
    with ExitStack() as meeting:
        meeting.callback(lambda: claims._run("claim", owner="a", released=1))
        looked = iter([False, True])
        blind = MigrationClaims(store._clients)
        blind._has_rivals = lambda _owner: next(looked)  # type: ignore[method-assign]
        assert not blind._claimed("b")
        assert not claims._has_rivals("c")


def test_days_of_many_campaigns_are_reconciled_at_once(harness: ServerHarness) -> None:
    store = harness.open()
    first = day_number(FIRST_DAY)
    rows = random_rows(1, 200, campaigns=50)
    store.append_events(event_rows(rows), "rows")
    harness.drift(store, first + 1, 5)
    everything = {campaign: range(first - 10, first + DAYS + 100) for campaign in range(1, 101)}
    store.reconcile_rollup(
        {campaign: list(days) for campaign, days in everything.items()}, WINDOW_MS, "23,000 pairs", PARTITION
    )
    answer = store.run_sql("SELECT sum(impressions) FROM rollup_1d", {}, max_rows=1, timeout_s=5)
    assert answer.rows == [[sum(one["impressions"] for one in rows)]]


def test_five_mebibytes_of_ids_are_looked_up_at_once(harness: ServerHarness) -> None:
    store = harness.open()
    ids = [f"{'😀' * 120}{n:08d}" for n in range(10_000)]
    store.append_events(event_rows([row(n, event_id=ids[n]) for n in range(0, 10_000, 100)]), "some")
    assert len(store.find_by_id([(1, one) for one in ids], NOTHING)) == 100


def test_many_threads_ask_at_once(harness: ServerHarness) -> None:
    store = harness.open()
    store.append_events(event_rows([row(n) for n in range(100)]), "rows")
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda _: len(store.landed_offsets(EVERYTHING)), range(300)))
    assert set(found) == {100}


def test_an_answer_that_is_cut_off_is_none(harness: ServerHarness) -> None:
    store = harness.open()
    store.append_events(event_rows([row(n) for n in range(100)]), "rows")
    with fault_proxy(*clickhouse_place()) as proxy, closing(_through(proxy, harness)) as cut_off:
        for count in range(0, 600, 25):
            proxy.mend()
            eventually(lambda: _landed(cut_off) == 100, "it answers again", within_s=20, every_s=0.05)
            proxy.cut_after(count)
            assert _landed(cut_off) in (100, None), count


def _through(proxy: FaultProxy, harness: ServerHarness) -> ClickHouseAnalytics:
    return open_clickhouse("127.0.0.1", proxy.port, harness.database, "default", "")


def _landed(store: ClickHouseAnalytics) -> int | None:
    try:
        return len(store.landed_offsets(EVERYTHING))
    except Unavailable:
        return None


def test_the_console_cannot_write_whatever_it_is_told(harness: ServerHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    store = harness.open()
    monkeypatch.setattr("campaignctl.adapters.analytics.console.read_only", lambda statement: statement)
    for statement in (
        "DROP TABLE events",
        "INSERT INTO event_conflicts (event_id) VALUES ('a')",
        "CREATE TABLE other (a UInt8) ENGINE = Memory",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 1000",
        "SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')",
    ):
        with pytest.raises(InvalidInput):
            store.run_sql(statement, {}, max_rows=1, timeout_s=20)
    assert store.newest_offset(TOPIC, PARTITION) is None


# Faults


@pytest.fixture
def faulty() -> Iterator[tuple[ServerHarness, Faults]]:
    clickhouse_place()
    faults = Faults("clickhouse")
    with using("clickhouse", alone=True):
        made = ServerHarness(locked=False)
        yield made, faults
        made.close()
        made.remove()


@pytest.mark.faults
def test_a_frozen_server_is_unavailable_within_the_deadline(faulty: tuple[ServerHarness, Faults]) -> None:
    harness, faults = faulty
    store = harness.open()
    store.append_events(event_rows([row(0)]), "before")
    store.ping()
    with faults.frozen():
        started_s = time.monotonic()
        with pytest.raises(Unavailable, match="does not answer in time"):
            store.ping()
        assert time.monotonic() - started_s < 13  # 8 s for the statement, 4 s of silence
        started_s = time.monotonic()
        with ThreadPoolExecutor(12) as pool:
            failures = [pool.submit(store.newest_offset, TOPIC, PARTITION) for _ in range(10)]
            failures += [pool.submit(store.append_events, event_rows([row(1)]), "during") for _ in range(2)]
            assert {type(one.exception()) for one in failures} == {Unavailable}
        assert time.monotonic() - started_s < 4
    time.sleep(ASK_AGAIN_S)  # the longest that its return goes unnoticed
    store.append_events(event_rows([row(1)]), "during")
    assert list(store.landed_offsets(EVERYTHING)) == [0, 1]


@pytest.mark.faults
def test_a_killed_server_is_used_again_when_it_is_back(faulty: tuple[ServerHarness, Faults]) -> None:
    harness, faults = faulty
    store = harness.open()
    store.append_events(event_rows([row(0)]), "before")
    with faults.killed():
        for call in (store.ping, lambda: store.append_events(event_rows([row(1)]), "away"), store.applied):
            with pytest.raises(Unavailable, match="cannot be reached"):
                call()
        late = open_place(harness.place)
        with pytest.raises(Unavailable):
            late.ping()
    time.sleep(ASK_AGAIN_S)  # the longest that its return goes unnoticed
    late.ping()
    late.close()
    store.append_events(event_rows([row(1)]), "away")
    store.append_events(event_rows([row(0)]), "before")
    assert list(store.landed_offsets(EVERYTHING)) == [0, 1]


@pytest.mark.faults
def test_batches_land_once_although_the_server_is_killed_under_them(faulty: tuple[ServerHarness, Faults]) -> None:
    harness, faults = faulty
    store = harness.open()
    batches = [random_rows(number, 2_000, first_offset=number * 2_000) for number in range(30)]
    failures: list[CampaignctlError] = []

    def land() -> None:
        for number, rows in enumerate(batches):
            deadline_s = time.monotonic() + 60
            while True:
                try:
                    store.append_events(event_rows(rows), f"batch-{number}")
                    break
                except Unavailable as error:
                    failures.append(error)
                    assert time.monotonic() < deadline_s
                    time.sleep(0.05)

    with ThreadPoolExecutor(1) as pool:
        landing = pool.submit(land)
        time.sleep(0.4)
        with faults.killed():
            time.sleep(0.2)
        landing.result()
    assert failures
    _assert_exact(store, [one for rows in batches for one in rows])
