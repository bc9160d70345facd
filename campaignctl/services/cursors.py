"""Pages of a list, and the opaque cursors that lead from one to the next.

A cursor holds the place of the last item, signed together with the list and the filters it belongs to: one that was
made up, changed, or taken from another list, other filters or another organization is refused.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from campaignctl.errors import InvalidInput

Item = TypeVar("Item")

DEFAULT_LIMIT = 50
MAX_LIMIT = 200
_SIGNATURE_BYTES = 16
_MAX_CURSOR_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some items of a list, in its order."""

    items: tuple[Item, ...]
    next_cursor: str | None
    """Leads to the page behind this one; None on the last."""


class Cursors:
    """Cursors of one list. ``key`` is asked for once, at the first cursor."""

    def __init__(self, purpose: str, key: Callable[[], str]) -> None:
        self._purpose = purpose
        self._ask_key = key

    def page(
        self,
        found: Sequence[Item],
        limit: int,
        place: Callable[[Item], Sequence[str | int]],
        filters: Mapping[str, object],
    ) -> Page[Item]:
        """The page of ``limit`` items, where one more was looked for to see whether there is another page."""
        items = tuple(found[:limit])
        return Page(items, self.encode(place(items[-1]), filters) if len(found) > limit else None)

    def encode(self, place: Sequence[str | int], filters: Mapping[str, object]) -> str:
        payload = json.dumps(list(place), ensure_ascii=False, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._signature(payload, filters) + payload).rstrip(b"=").decode()

    def decode(self, cursor: str, filters: Mapping[str, object]) -> list[str | int]:
        """The place that the cursor holds; ``InvalidInput`` for one that is not of this list with these filters."""
        try:
            raw = _from_base64(cursor)
        except ValueError:
            raw = b""
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not payload or not hmac.compare_digest(signature, self._signature(payload, filters)):
            raise InvalidInput.of(
                "cursor", "is not a next_cursor of this list with these filters; ask again without it"
            )
        place: list[str | int] = json.loads(payload)
        return place

    @cached_property
    def _key(self) -> bytes:
        return hashlib.sha256(self._ask_key().encode()).digest()

    def _signature(self, payload: bytes, filters: Mapping[str, object]) -> bytes:
        asked = json.dumps(
            [self._purpose, sorted((name, str(value)) for name, value in filters.items() if value is not None)]
        )
        # The length keeps the two parts apart: no filter can be read as the beginning of a place.
        message = b"%d:%s%s" % (len(asked), asked.encode(), payload)
        return hmac.digest(self._key, message, "sha256")[:_SIGNATURE_BYTES]


def checked_limit(limit: int) -> int:
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidInput.of("limit", f"must lie between 1 and {MAX_LIMIT}")
    return limit


def _from_base64(cursor: str) -> bytes:
    """Only the spelling that ``encode`` gives: one cursor, one text."""
    if len(cursor) > _MAX_CURSOR_CHARACTERS or not cursor.isascii():
        raise ValueError
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except binascii.Error:
        raise ValueError from None
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != cursor:
        raise ValueError
    return raw
