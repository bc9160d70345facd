"""Two caches, one behind the other: a short one in the process, and one that processes share."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

from campaignctl.ports.cache import Cache, Hit

L1_TTL_S = 5.0
"""How long the process keeps a value at most: what the shared cache forgets, every process has forgotten after it."""


class SharedCache(Cache, Protocol):
    """A ``Cache`` that knows how long its values are still good for."""

    def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
        """As ``get``, with the seconds that the value has left."""
        ...


class TieredCache:
    """Asks ``l1`` and then ``l2``; what only ``l2`` had, ``l1`` keeps for its rest of time, up to ``l1_ttl_s``."""

    def __init__(self, l1: Cache, l2: SharedCache, *, l1_ttl_s: float = L1_TTL_S) -> None:
        self._l1 = l1
        self._l2 = l2
        self._l1_ttl_s = l1_ttl_s

    def get(self, key: str, /) -> bytes | None:
        hit = self.find(key)
        return None if hit is None else hit.value

    def find(self, key: str, /) -> Hit | None:
        value = self._l1.get(key)
        if value is not None:
            return Hit(value, "l1")
        found = self._l2.get_with_ttl(key)
        if found is None:
            return None
        value, left_s = found
        self._l1.put(key, value, min(left_s, self._l1_ttl_s))
        return Hit(value, "l2")

    def at_hand(self, key: str, /) -> bytes | None:
        return self._l1.at_hand(key)

    def put(self, key: str, value: bytes, ttl_s: float, /) -> None:
        self.put_all({key: (value, ttl_s)})

    def put_all(self, entries: Mapping[str, tuple[bytes, float]], /) -> None:
        self._l1.put_all({key: (value, min(ttl_s, self._l1_ttl_s)) for key, (value, ttl_s) in entries.items()})
        self._l2.put_all(entries)

    def close(self) -> None:
        self._l1.close()
        self._l2.close()


if TYPE_CHECKING:

    def _conforms(adapter: TieredCache) -> Cache:
        return adapter
