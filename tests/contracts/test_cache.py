"""Every cache, against the contract; and what only the one in the process promises."""

import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.adapters.cache.redis import RedisCache
from campaignctl.adapters.cache.tiered import TieredCache
from campaignctl.ports.cache import Cache
from tests.contracts.cache_contract import CacheContract, Make
from tests.fakes.clock import ManualClock
from tests.support.services import redis_addr, using

Made = tuple[Cache, Callable[[float], None]]


def in_process(_cleanup: ExitStack) -> Made:
    clock = ManualClock()
    return InProcessCache(100_000, monotonic_s=clock.monotonic_s), clock.advance


def on_redis(cleanup: ExitStack) -> Made:
    return _redis(cleanup), time.sleep


def tiered(cleanup: ExitStack) -> Made:
    return TieredCache(InProcessCache(100_000), _redis(cleanup)), time.sleep


def _redis(cleanup: ExitStack) -> RedisCache:
    addr = redis_addr()
    cleanup.enter_context(using("redis"))
    prefix = f"test:{uuid.uuid4().hex}:"  # what is left of it ends by itself
    cache = RedisCache(addr, prefix=prefix)
    cleanup.callback(cache.close)
    return cache


@pytest.fixture(
    params=[pytest.param(in_process, marks=pytest.mark.embedded), on_redis, tiered],
    ids=["in_process", "redis", "tiered"],
)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    with ExitStack() as cleanup:
        yield lambda: request.param(cleanup)


class TestCache(CacheContract):
    """See ``CacheContract``."""


def test_the_entries_used_longest_ago_make_room() -> None:
    cache = InProcessCache(10_000)
    for n in range(4):
        cache.put(f"{n}", b"x" * 2_200, 100)
    assert cache.get("0") is not None
    cache.put("4", b"x" * 2_200, 100)
    assert [n for n in range(5) if cache.get(f"{n}") is not None] == [0, 2, 3, 4]


def test_a_value_that_would_take_most_of_the_room_is_not_kept() -> None:
    cache = InProcessCache(10_000)
    cache.put("small", b"x", 100)
    cache.put("large", b"x" * 9_000, 100)
    assert cache.get("large") is None
    assert cache.get("small") == b"x"


def test_a_value_that_became_too_large_is_not_answered_in_its_old_form() -> None:
    cache = InProcessCache(10_000)
    cache.put("a", b"old", 100)
    cache.put("a", b"x" * 9_000, 100)
    assert cache.get("a") is None
