"""Where events have landed, in Redis: 0.2 KB an event, for thirty days."""

import struct
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING

from campaignctl.adapters.cache.redis import RedisCache
from campaignctl.ports.places import Instant

_KEEP_S = 30 * 86_400.0
_AT_ONCE = 2_000
"""Keys a visit: a piece must be answered within the time that one answer may take."""
_OFFSET = struct.Struct("<Q")


class RedisPlaces:
    """A ``PlaceMemory`` on a cache of its own, which it closes. ``key`` hides the events' ids from whoever reads Redis.

    Processes that share a memory share the key.
    """

    def __init__(self, cache: RedisCache, key: bytes) -> None:
        self._cache = cache
        self._key = key
        self._misread = 0

    @property
    def unreadable(self) -> int:
        return self._cache.counts.unreadable + self._misread

    @property
    def failures(self) -> int:
        return self._cache.counts.failures + self._cache.counts.skipped

    def find(self, topic_id: int, partition: int, keys: Sequence[Instant], /) -> list[int | None]:
        found: list[int | None] = []
        for names in self._names(topic_id, partition, keys):
            values = self._cache.get_all(names)
            if values is None:  # the next piece would wait as long
                break
            found += map(self._offset, values)
        return found + [None] * (len(keys) - len(found))

    def keep(self, topic_id: int, partition: int, keys: Sequence[Instant], offsets: Sequence[int], /) -> None:
        start = 0
        for names in self._names(topic_id, partition, keys):
            values = [(_OFFSET.pack(offset), _KEEP_S) for offset in offsets[start : start + len(names)]]
            failures = self.failures
            self._cache.put_all(dict(zip(names, values, strict=True)))
            if self.failures > failures:
                break
            start += len(names)

    def close(self) -> None:
        self._cache.close()

    def _names(self, topic_id: int, partition: int, keys: Sequence[Instant]) -> Iterator[list[str]]:
        home = blake2b(f"{topic_id}:{partition}:".encode(), digest_size=16, key=self._key)
        for start in range(0, len(keys), _AT_ONCE):
            names = []
            for campaign_id, event_id, event_time_us in keys[start : start + _AT_ONCE]:
                digest = home.copy()
                digest.update(f"{campaign_id}:{event_time_us}:{event_id}".encode(errors="surrogatepass"))
                names.append(f"place:{digest.hexdigest()}")
            yield names

    def _offset(self, value: bytes | None) -> int | None:
        if value is None:
            return None
        if len(value) != _OFFSET.size:
            self._misread += 1
            return None
        offset: int = _OFFSET.unpack(value)[0]
        return offset


if TYPE_CHECKING:
    from campaignctl.ports.places import PlaceMemory

    def _conforms(adapter: RedisPlaces) -> PlaceMemory:
        return adapter
