"""The cache on a Redis server: everything that can be wrong with one is a miss, soon and quietly."""

import logging
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
import redis

from campaignctl.adapters.cache.breaker import Breaker, Circuit
from campaignctl.adapters.cache.redis import MAX_VALUE_BYTES, RedisCache
from campaignctl.errors import ConfigurationError, Unavailable
from tests.fakes.clock import ManualClock
from tests.support.services import Faults, redis_addr, using

SECRET = "pass-word-4711"
LIES = (
    *(b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x16\x03\x01", b"\r\n", b"", None),
    *(b"+OK\r\n", b":1\r\n", b"$3\r\nabc\r\n", b"$-1\r\n", b"*-1\r\n", b"*2\r\n+a\r\n:1\r\n", b"*1\r\n" * 2000),
    *(b"$99999999999999999999\r\n", b"$5\r\nab", b"-LOADING wait\r\n", b"-OOM no\r\n", b"-READONLY no\r\n", b"-\r\n"),
    *(b"%1\r\n+a\r\n+b\r\n", b"_\r\n", b"#t\r\n", b">1\r\n+a\r\n"),
)


@pytest.fixture
def server() -> Iterator[redis.Redis]:
    addr = redis_addr()
    host, _, port = addr.rpartition(":")
    with using("redis"), redis.Redis(host, int(port)) as client:
        yield client


@pytest.fixture
def cache(server: redis.Redis) -> Iterator[RedisCache]:
    prefix = f"test:{uuid.uuid4().hex}:"
    made = RedisCache(redis_addr(), prefix=prefix)
    yield made
    made.close()
    for key in server.scan_iter(f"*{prefix}*"):
        server.delete(key)


@contextmanager
def lying_server(answer: Callable[[], bytes | None]) -> Iterator[str]:
    """A server that says ``answer()`` to every request, and hangs up on None."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.05)
    stopping = threading.Event()

    def talk(connection: socket.socket) -> None:
        with connection:
            connection.settimeout(0.5)
            try:
                while not stopping.is_set() and connection.recv(65_536):
                    said = answer()
                    if said is None:
                        return
                    connection.sendall(said)
            except OSError:
                return

    def listen() -> None:
        with ThreadPoolExecutor(16) as pool:
            while not stopping.is_set():
                try:
                    pool.submit(talk, listener.accept()[0])
                except TimeoutError:
                    continue

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield f"127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stopping.set()
        thread.join()
        listener.close()


def patient() -> Breaker:
    return Breaker(10**9, 1)


# What is kept


def test_a_value_of_eight_mebibytes_is_kept_and_a_larger_one_is_not(cache: RedisCache) -> None:
    cache.put("full", b"x" * MAX_VALUE_BYTES, 10)
    found = cache.get("full")
    assert found is None or len(found) == MAX_VALUE_BYTES  # a machine under load may take longer than is waited
    cache.put("large", b"small", 10)
    cache.put("large", b"x" * (MAX_VALUE_BYTES + 1), 10)
    assert cache.get("large") is None


def test_a_value_without_time_is_not_kept_and_ends_the_one_before(cache: RedisCache) -> None:
    for ttl_s in (0, -1, 0.0001):
        cache.put("a", b"1", 10)
        cache.put("a", b"2", ttl_s)
        assert cache.get("a") is None


def test_the_time_left_is_told(cache: RedisCache) -> None:
    cache.put("a", b"1", 20)
    found = cache.get_with_ttl("a")
    assert found is not None
    assert found[0] == b"1"
    assert 15 < found[1] <= 20
    assert cache.get_with_ttl("b") is None


def test_every_key_ends_by_itself(cache: RedisCache, server: redis.Redis) -> None:
    cache.put("a", b"1", 1.5)
    (key,) = _keys(cache, server)
    assert key.startswith(b"campaignctl:cache:2:")
    assert 1000 < server.pttl(key) <= 1500


# What is not what was put


def test_a_value_that_was_changed_is_a_miss(cache: RedisCache, server: redis.Redis) -> None:
    rng = random.Random(1)
    cache.put("a", b"some bytes", 100)
    (key,) = _keys(cache, server)
    frame = server.get(key)
    changed = [frame[:n] for n in range(len(frame))] + [frame + b"x", b"foreign", frame[1:]]
    for place in range(len(frame)):
        changed.append(frame[:place] + bytes((frame[place] ^ 1 << rng.randrange(8),)) + frame[place + 1 :])
    for wrong in changed:
        server.set(key, wrong)
        assert cache.get("a") is None
        assert cache.get_with_ttl("a") is None
    assert cache.counts.unreadable == 2 * len(changed)
    server.set(key, frame)
    assert cache.get("a") == b"some bytes"
    assert cache.get_with_ttl("a") == (b"some bytes", 0.0)  # it has no end any more: nobody may keep it


def test_a_value_under_another_key_is_a_miss(cache: RedisCache, server: redis.Redis) -> None:
    cache.put("a", b"of a", 100)
    (key,) = _keys(cache, server)
    server.copy(key, key[:-1] + b"b")
    assert cache.get("a") == b"of a"
    assert cache.get("b") is None


def test_a_key_of_another_kind_is_a_miss_and_no_reason_to_leave_the_server_alone(
    cache: RedisCache, server: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("a", b"1", 100)
    (key,) = _keys(cache, server)
    server.delete(key)
    server.rpush(key, "x")
    with caplog.at_level(logging.INFO):
        for _ in range(20):
            assert cache.get("a") is None
            assert cache.get_with_ttl("a") is None
    assert cache.circuit is Circuit.CLOSED
    assert [record.getMessage() for record in caplog.records] == [
        f"the cache at {redis_addr()} refuses a command: WRONGTYPE"
    ]
    cache.put("a", b"2", 100)
    assert cache.get("a") == b"2"


def test_a_flushed_server_is_a_miss(cache: RedisCache, server: redis.Redis) -> None:
    cache.put("a", b"1", 100)
    server.delete(*_keys(cache, server))
    assert cache.get("a") is None
    assert cache.counts.failures == cache.counts.unreadable == 0


# A server that is away, or another one


def test_nothing_is_connected_when_it_is_made() -> None:
    RedisCache("127.0.0.1:1", password=SECRET).close()


@pytest.mark.parametrize(
    "addr", ["", "localhost", "localhost:", ":6379", "localhost:0", "localhost:70000", "redis://a:1", "a b:1"]
)
def test_an_address_that_cannot_be_read_is_refused(addr: str) -> None:
    with pytest.raises(ConfigurationError, match="host:port"):
        RedisCache(addr)


def test_after_five_failures_the_server_is_left_alone_for_five_seconds(caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    cache = RedisCache("127.0.0.1:1", password=SECRET, breaker=Breaker(5, 5.0, monotonic_s=clock.monotonic_s))
    with caplog.at_level(logging.INFO):
        for n in range(20):
            cache.put(f"{n}", b"1", 10)
            assert cache.get(f"{n}") is None
        assert (cache.counts.failures, cache.counts.skipped) == (5, 35)
        clock.advance(5.1)
        assert cache.get("a") is cache.get("b") is None
        assert (cache.counts.failures, cache.counts.skipped) == (6, 36)
    assert [record.getMessage() for record in caplog.records] == [
        "the cache at 127.0.0.1:1 cannot be reached; going on without it"
    ]


def test_a_server_that_comes_back_is_used_again(cache: RedisCache, caplog: pytest.LogCaptureFixture) -> None:
    clock = ManualClock()
    breaker = Breaker(5, 5.0, monotonic_s=clock.monotonic_s)
    for _ in range(5):
        breaker.failed()
    back = RedisCache(redis_addr(), prefix=cache._prefix, breaker=breaker)
    with caplog.at_level(logging.INFO):
        back.put("a", b"1", 10)
        assert back.get("a") is None
        clock.advance(5.1)
        back.put("a", b"2", 10)
        assert back.get("a") == b"2"
    back.close()
    assert [record.getMessage() for record in caplog.records] == [f"the cache at {redis_addr()} answers again"]


def test_a_silent_server_costs_a_tenth_of_a_second_and_then_nothing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        cache = RedisCache(f"127.0.0.1:{silent.getsockname()[1]}")
        started_s = time.monotonic()
        for _ in range(200):
            assert cache.get("a") is None
        assert time.monotonic() - started_s < 10  # each of them waiting: 20
        assert cache.circuit is Circuit.OPEN
        cache.close()


def test_wrong_credentials_are_a_miss_and_are_not_told(server: redis.Redis, caplog: pytest.LogCaptureFixture) -> None:
    cache = RedisCache(redis_addr(), username="nobody", password=SECRET)
    with caplog.at_level(logging.DEBUG):
        for _ in range(6):
            cache.put("a", b"1", 10)
            assert cache.get("a") is None
    with pytest.raises(Unavailable, match="does not accept the user name or the password") as refused:
        cache.ping()
    cache.close()
    assert cache.circuit is Circuit.OPEN
    assert SECRET not in caplog.text + str(refused.value) + refused.value.hint
    assert len(caplog.records) == 1


def test_tls_to_a_plain_port_is_a_miss(server: redis.Redis) -> None:
    cache = RedisCache(redis_addr(), tls=True)
    assert cache.get("a") is None
    with pytest.raises(Unavailable, match="Redis at"):
        cache.ping()
    cache.close()


def test_a_server_that_does_not_speak_tls_is_named() -> None:
    with lying_server(lambda: b"+OK\r\n") as addr:
        cache = RedisCache(addr, tls=True)
        assert cache.get("a") is None
        with pytest.raises(Unavailable, match="does not speak TLS"):
            cache.ping()
        cache.close()


@pytest.mark.parametrize(
    ("answer", "remedy"),
    [
        (
            b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
            "OOM; nothing is cached: raise its maxmemory",
        ),
        (b"-READONLY You can't write against a read only replica.\r\n", "READONLY; nothing is cached: it is a replica"),
        (b"-MISCONF Redis is configured to save RDB snapshots\r\n", "MISCONF; nothing is cached: it cannot write"),
    ],
)
def test_a_server_that_takes_no_writes_is_told_with_what_to_do(
    answer: bytes, remedy: str, caplog: pytest.LogCaptureFixture
) -> None:
    with lying_server(lambda: answer) as addr:
        cache = RedisCache(addr, breaker=patient())
        for _ in range(3):
            cache.put("a", b"1", 10)
        cache.close()
    (told,) = caplog.messages
    assert told.startswith(f"the cache at {addr} refuses a command: {remedy}")


@pytest.mark.parametrize("answer", LIES)
def test_a_lying_server_is_a_miss(answer: bytes | None) -> None:
    with lying_server(lambda: answer) as addr:
        for options in ({}, {"password": SECRET, "db": 3}):
            cache = RedisCache(addr, breaker=patient(), **options)
            cache.put("a", b"1", 10)
            cache.put("a", b"1", 0)
            assert cache.get("a") is None
            assert cache.get_with_ttl("a") is None
            assert cache.get_all(["a", "b"]) in (None, [None, None])
            cache.close()


def test_a_server_that_says_anything_is_a_miss() -> None:
    rng = random.Random(7)
    kinds = [b"+", b"-", b":", b"$", b"*", b"%", b"~", b">", b"_", b"(", b",", b"=", b"|"]

    def anything() -> bytes | None:
        if rng.random() < 0.1:
            return None
        parts = [rng.choice(kinds) + str(rng.randint(-2, 5)).encode() + b"\r\n" for _ in range(rng.randint(1, 6))]
        return b"".join(parts) + rng.randbytes(rng.randint(0, 20)) + b"\r\n"

    with lying_server(anything) as addr:
        for options in ({}, {"password": SECRET}, {"db": 3}):
            cache = RedisCache(addr, breaker=patient(), **options)
            for n in range(60):
                cache.put(f"{n}", b"1", 10)
                assert cache.get(f"{n}") is None
                assert cache.get_with_ttl(f"{n}") is None
                assert cache.get_all([f"{n}", "b", "c"]) in (None, [None, None, None])
            cache.close()


def test_connections_are_bounded(server: redis.Redis) -> None:
    name = uuid.uuid4().hex
    cache = RedisCache(redis_addr(), prefix=f"test:{name}:", max_connections=3)
    before = int(server.info("clients")["connected_clients"])
    with ThreadPoolExecutor(24) as pool:
        list(pool.map(lambda n: cache.get(f"{n % 7}"), range(500)))
    after = int(server.info("clients")["connected_clients"])
    assert after - before <= 3 + 4  # others use the server as well
    assert cache.circuit is Circuit.CLOSED
    assert cache.counts.failures == 0
    cache.close()


# Faults


@pytest.fixture
def faults() -> Iterator[Faults]:
    redis_addr()
    with using("redis", alone=True):
        yield Faults("redis")


@pytest.mark.faults
def test_a_frozen_server_costs_half_a_second_in_all(faults: Faults) -> None:
    cache = RedisCache(redis_addr(), prefix=f"test:{uuid.uuid4().hex}:", breaker=Breaker(5, 0.5))
    cache.put("a", b"1", 100)
    with faults.frozen():
        started_s = time.monotonic()
        for _ in range(200):
            assert cache.get("a") is None
        assert time.monotonic() - started_s < 10  # each of them waiting: 20
    time.sleep(0.6)
    assert cache.get("a") == b"1"
    cache.put("a", b"", 0)
    cache.close()


@pytest.mark.faults
def test_a_killed_server_is_a_miss_until_it_is_back(faults: Faults) -> None:
    cache = RedisCache(redis_addr(), prefix=f"test:{uuid.uuid4().hex}:", breaker=Breaker(5, 0.2))
    cache.put("a", b"1", 100)
    with faults.killed():
        assert [cache.get("a") for _ in range(10)] == [None] * 10
        with pytest.raises(Unavailable, match="cannot be reached"):
            cache.ping()
    time.sleep(0.3)
    cache.put("a", b"2", 100)
    cache.put("a", b"2", 100)
    assert cache.get("a") == b"2"
    cache.put("a", b"", 0)
    cache.close()


# The breaker alone


def test_a_circuit_opens_tries_and_closes() -> None:
    clock = ManualClock()
    breaker = Breaker(3, 5.0, monotonic_s=clock.monotonic_s)
    assert [breaker.failed(), breaker.failed(), breaker.succeeded()] == [False, False, False]
    assert [breaker.failed() for _ in range(3)] == [False, False, True]
    assert breaker.circuit is Circuit.OPEN
    assert not breaker.lets_through()
    clock.advance(5.0)
    assert [breaker.lets_through() for _ in range(3)] == [True, False, False]
    assert breaker.circuit is Circuit.HALF_OPEN
    assert not breaker.failed()  # it was open before: that is no news
    assert breaker.circuit is Circuit.OPEN
    clock.advance(4.9)
    assert not breaker.lets_through()
    clock.advance(0.1)
    assert breaker.lets_through()
    assert breaker.succeeded()
    assert breaker.circuit is Circuit.CLOSED


def test_a_try_that_is_never_judged_does_not_block_for_ever() -> None:
    clock = ManualClock()
    breaker = Breaker(1, 5.0, monotonic_s=clock.monotonic_s)
    breaker.failed()
    clock.advance(5)
    assert breaker.lets_through()
    clock.advance(5)
    assert breaker.lets_through()


def _keys(cache: RedisCache, server: redis.Redis) -> list[bytes]:
    return list(server.scan_iter(f"{cache._prefix}*"))
