"""The cache: bytes by key, for a while. Losing it costs time, never correctness."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

Tier = Literal["l1", "l2"]
"""``l1`` is in the process, ``l2`` is shared by processes."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A value, and which level of the cache had it."""

    value: bytes
    tier: Tier


class Cache(Protocol):
    def get(self, key: str, /) -> bytes | None:
        """The bytes put under the key, or None when there are none (any more, or the cache cannot be reached)."""
        ...

    def find(self, key: str, /) -> Hit | None:
        """As ``get``, and says which level answered."""
        ...

    def at_hand(self, key: str, /) -> bytes | None:
        """As ``get``, where no server has to be asked; None otherwise. Waits for nothing."""
        ...

    def put(self, key: str, value: bytes, ttl_s: float, /) -> None:
        """Keep the bytes for up to ``ttl_s`` seconds; never raises because the cache cannot be reached."""
        ...

    def put_all(self, entries: Mapping[str, tuple[bytes, float]], /) -> None:
        """``put`` the bytes under each key for up to its seconds; a server is visited once for all of them."""
        ...

    def close(self) -> None: ...
