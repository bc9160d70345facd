"""The cache: bytes by key, for a while. Losing it costs time, never correctness."""

from typing import Protocol


class Cache(Protocol):
    def get(self, key: str, /) -> bytes | None:
        """The bytes put under the key, or None when there are none (any more, or the cache cannot be reached)."""
        ...

    def put(self, key: str, value: bytes, ttl_s: float, /) -> None:
        """Keep the bytes for up to ``ttl_s`` seconds; never raises because the cache cannot be reached."""
        ...

    def close(self) -> None: ...
