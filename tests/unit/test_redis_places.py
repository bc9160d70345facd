"""Places of late events on a Redis server: what is lost, changed or another's is not known."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from campaignctl.adapters.cache.places import RedisPlaces
from campaignctl.adapters.cache.redis import CLOSE_AFTER_FAILURES, RedisCache
from campaignctl.bootstrap.stores import _open_places
from campaignctl.config import Settings
from campaignctl.errors import ConfigurationError
from tests.support.services import redis_addr, using

KEY = b"k" * 32
EVENTS = [(1 + n % 3, f"event-{n}", 1_790_000_000_000_000 + n) for n in range(4_500)]
OFFSETS = [2**40 + n for n in range(len(EVENTS))]
NOTHING = [None] * len(EVENTS)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand keys a visit, on a machine that is busy with other tests."""
    monkeypatch.setattr("campaignctl.adapters.cache.redis.ANSWER_S", 30.0)
    monkeypatch.setattr("campaignctl.adapters.cache.redis.CONNECT_S", 30.0)


@pytest.fixture
def prefix() -> str:
    return f"test:{uuid.uuid4().hex}:"


@pytest.fixture
def server(prefix: str) -> Iterator[redis.Redis]:
    host, _, port = redis_addr().rpartition(":")
    with using("redis"), redis.Redis(host, int(port)) as client:
        yield client
        for key in client.scan_iter(f"*{prefix}*"):
            client.delete(key)


@pytest.fixture
def places(server: redis.Redis, prefix: str) -> Iterator[RedisPlaces]:
    made = RedisPlaces(RedisCache(redis_addr(), prefix=prefix), KEY)
    made.keep(7, 0, EVENTS, OFFSETS)
    yield made
    made.close()


def names(server: redis.Redis, prefix: str) -> list[bytes]:
    return sorted(server.scan_iter(f"*{prefix}*"))


def test_what_was_kept_is_known(places: RedisPlaces) -> None:
    assert places.find(7, 0, EVENTS) == OFFSETS
    assert places.find(7, 0, [(1, "other", 5), EVENTS[17], (1, "\udc80", 5)]) == [None, OFFSETS[17], None]
    assert places.find(7, 0, []) == []
    assert (places.failures, places.unreadable) == (0, 0)


def test_another_process_knows_it_too(places: RedisPlaces, prefix: str) -> None:
    other = RedisPlaces(RedisCache(redis_addr(), prefix=prefix), KEY)
    assert other.find(7, 0, EVENTS) == OFFSETS
    other.close()


def test_other_topics_partitions_and_keys_know_nothing(places: RedisPlaces, prefix: str) -> None:
    assert places.find(8, 0, EVENTS) == places.find(7, 1, EVENTS) == NOTHING
    other = RedisPlaces(RedisCache(redis_addr(), prefix=prefix), b"o" * 32)
    assert other.find(7, 0, EVENTS) == NOTHING
    other.close()


def test_every_entry_ends_by_itself_and_names_no_id(places: RedisPlaces, server: redis.Redis, prefix: str) -> None:
    kept = names(server, prefix)
    assert len(kept) == len(EVENTS)
    assert not any(b"event" in name for name in kept)
    assert 0 < server.pttl(kept[0]) <= 30 * 86_400_000


def test_a_flushed_server_knows_nothing(places: RedisPlaces, server: redis.Redis, prefix: str) -> None:
    server.delete(*names(server, prefix))
    assert places.find(7, 0, EVENTS) == NOTHING


def test_values_that_were_cut_changed_or_moved_are_not_read(
    places: RedisPlaces, server: redis.Redis, prefix: str
) -> None:
    kept = names(server, prefix)
    values = server.mget(kept)
    assert isinstance(values, list)
    whole = values[0] or b""
    server.mset({kept[0]: whole[:-1], kept[1]: b"", kept[2]: whole + b"\0", kept[3]: b"x" * len(whole)})
    server.mset(dict(zip(kept[4:2_000], values[5:2_001], strict=True)))
    server.delete(kept[2_000])
    server.rpush(kept[2_000], "a list")
    assert places.find(7, 0, EVENTS).count(None) == 2_001
    assert places.unreadable == 2_000


def test_it_is_opened_where_it_is_configured(tmp_path: Path) -> None:
    assert _open_places(Settings(data_dir=tmp_path, redis={"addr": "127.0.0.1:1"})) is None
    on: dict[str, Any] = {"data_dir": tmp_path, "events": {"redis_dedup": True}}
    with pytest.raises(ConfigurationError, match=r"events\.redis_dedup is true, and redis\.addr is not set"):
        _open_places(Settings(**on))
    on["redis"] = {"addr": "127.0.0.1:1"}
    with pytest.raises(ConfigurationError, match=r"jwt\.key must be set"):
        _open_places(Settings(**on, postgres={"host": "127.0.0.1"}))
    opened = _open_places(Settings(**on))
    assert opened is not None
    assert opened.find(7, 0, EVENTS[:1]) == [None]
    opened.close()


def test_a_server_that_is_away_is_not_asked_for_every_piece() -> None:
    places = RedisPlaces(RedisCache("127.0.0.1:1"), KEY)
    assert places.find(7, 0, EVENTS) == NOTHING
    assert places.failures == 1
    places.keep(7, 0, EVENTS, OFFSETS)
    assert places.failures == 2
    for _ in range(20):
        assert places.find(7, 0, EVENTS) == NOTHING
    assert places.failures == 22 > CLOSE_AFTER_FAILURES
    places.close()
