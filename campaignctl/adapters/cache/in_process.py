"""A cache in this process: the entries used longest ago make room for new ones."""

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from typing import TYPE_CHECKING

from campaignctl.ports.cache import Cache, Hit

# What an entry takes beside its value: its key, two tuples, a float and its links, measured to 200 bytes.
_ENTRY_BYTES = 200


class InProcessCache:
    """Holds up to ``max_bytes`` of keys and values; a value larger than a quarter of that is not kept."""

    def __init__(self, max_bytes: int, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._max_bytes = max_bytes
        self._monotonic_s = monotonic_s
        self._entries: OrderedDict[str, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()

    def get(self, key: str, /) -> bytes | None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                return None
            value, expires_s = entry
            if self._monotonic_s() >= expires_s:
                self._remove(key)
                return None
            self._entries.move_to_end(key)
            return value

    def find(self, key: str, /) -> Hit | None:
        value = self.get(key)
        return None if value is None else Hit(value, "l1")

    def at_hand(self, key: str, /) -> bytes | None:
        return self.get(key)

    def put(self, key: str, value: bytes, ttl_s: float, /) -> None:
        with self._lock:
            self._remove(key)
            if ttl_s <= 0 or _size(key, value) > self._max_bytes // 4:
                return
            self._entries[key] = (value, self._monotonic_s() + ttl_s)
            self._bytes += _size(key, value)
            while self._bytes > self._max_bytes:
                self._remove(next(iter(self._entries)))

    def put_all(self, entries: Mapping[str, tuple[bytes, float]], /) -> None:
        for key, (value, ttl_s) in entries.items():
            self.put(key, value, ttl_s)

    def close(self) -> None:
        with self._lock:
            self._entries.clear()
            self._bytes = 0

    def _remove(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(key, entry[0])


def _size(key: str, value: bytes) -> int:
    return len(key) + len(value) + _ENTRY_BYTES


if TYPE_CHECKING:

    def _conforms(adapter: InProcessCache) -> Cache:
        return adapter
