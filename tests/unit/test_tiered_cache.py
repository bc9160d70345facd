"""Two caches, one behind the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.adapters.cache.tiered import TieredCache
from campaignctl.ports.cache import Hit
from tests.fakes.clock import ManualClock


@dataclass
class Shared:
    """A shared cache with an end to each value, that counts what it is asked."""

    clock: ManualClock
    values: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    asked: int = 0
    away: bool = False
    closed: bool = False

    def get(self, key: str, /) -> bytes | None:
        found = self.get_with_ttl(key)
        return found and found[0]

    def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
        self.asked += 1
        value, end_s = self.values.get(key, (b"", 0.0))
        left_s = end_s - self.clock.monotonic_s()
        return None if self.away or left_s <= 0 else (value, left_s)

    def find(self, key: str, /) -> Hit | None:
        value = self.get(key)
        return None if value is None else Hit(value, "l2")

    def put(self, key: str, value: bytes, ttl_s: float, /) -> None:
        if not self.away:
            self.values[key] = (value, self.clock.monotonic_s() + ttl_s)

    def put_all(self, entries: Mapping[str, tuple[bytes, float]], /) -> None:
        for key, (value, ttl_s) in entries.items():
            self.put(key, value, ttl_s)

    def close(self) -> None:
        self.closed = True


class Node:
    """One process, with a cache of its own before the shared one."""

    def __init__(self, shared: Shared) -> None:
        self.l1 = InProcessCache(100_000, monotonic_s=shared.clock.monotonic_s)
        self.cache = TieredCache(self.l1, shared, l1_ttl_s=5.0)


def test_what_one_process_put_another_finds() -> None:
    shared = Shared(ManualClock())
    one, other = Node(shared), Node(shared)
    one.cache.put("a", b"1", 60)
    assert other.cache.find("a") == Hit(b"1", "l2")
    assert one.cache.find("a") == other.cache.find("a") == Hit(b"1", "l1")


def test_the_shared_cache_is_asked_once_in_a_while() -> None:
    shared = Shared(ManualClock())
    one, other = Node(shared), Node(shared)
    one.cache.put("a", b"1", 60)
    assert {other.cache.get("a") for _ in range(10)} == {b"1"}
    assert shared.asked == 1
    shared.clock.advance(5)
    assert {other.cache.get("a") for _ in range(10)} == {b"1"}
    assert shared.asked == 2


def test_no_process_keeps_a_value_longer_than_it_was_put_for() -> None:
    shared = Shared(ManualClock())
    one, other = Node(shared), Node(shared)
    one.cache.put("a", b"1", 7)
    shared.clock.advance(6)
    assert one.cache.get("a") == other.cache.get("a") == b"1"
    shared.clock.advance(1)
    assert one.cache.get("a") is other.cache.get("a") is None
    one.cache.put("short", b"1", 2)
    shared.clock.advance(2)
    assert one.cache.get("short") is None


def test_a_newer_value_of_another_process_is_seen_after_five_seconds() -> None:
    shared = Shared(ManualClock())
    one, other = Node(shared), Node(shared)
    one.cache.put("a", b"1", 60)
    assert other.cache.get("a") == b"1"
    one.cache.put("a", b"2", 60)
    assert one.cache.get("a") == b"2"
    shared.clock.advance(5)
    assert other.cache.get("a") == b"2"


def test_without_the_shared_cache_the_own_one_goes_on() -> None:
    shared = Shared(ManualClock(), away=True)
    node = Node(shared)
    node.cache.put("a", b"1", 60)
    assert node.cache.get("a") == b"1"
    shared.clock.advance(5)
    assert node.cache.get("a") is None


def test_what_has_no_time_left_is_answered_and_not_kept() -> None:
    class AtItsEnd(Shared):
        def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
            self.asked += 1
            return b"1", 0.0

    shared = AtItsEnd(ManualClock())
    node = Node(shared)
    assert node.cache.get("a") == node.cache.get("a") == b"1"
    assert shared.asked == 2


def test_both_are_closed() -> None:
    shared = Shared(ManualClock())
    node = Node(shared)
    node.l1.put("a", b"1", 60)
    node.cache.close()
    assert shared.closed
    assert node.l1.get("a") is None
