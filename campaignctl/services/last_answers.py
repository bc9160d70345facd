"""What insights answer while a store is away: the last answer to the same question, marked as such, or nothing.

Beside each computed answer, which the cache knows by the versions of its data, the same body is kept for an hour under
the question alone. When analytics or metadata does not answer, that one is given: it was true when it was computed, and
says when that was, in the warning ``stale``. Whose campaigns they are is remembered in the process for a quarter of an
hour, so that an asker sees nothing that was not theirs then.
"""

import hashlib
import struct
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Lock
from typing import Generic, TypeVar

from cachetools import TTLCache

from campaignctl.ports.cache import Cache
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFacts

KEPT_S = 3_600.0
"""How old an answer may be that is given while a store is away."""
SCOPES_KEPT_S = 900.0
"""How long it is remembered whose campaigns a question was about, while metadata is away."""

_DIGEST_CHARS = 32
_HEAD = struct.Struct(f">d{_DIGEST_CHARS}s")
_WARNINGS = b'"warnings": ['
_SCOPES = 1_000
_CAMPAIGNS_OF_SCOPE = 200
"""Facts of more are not remembered: all scopes together stay below some tens of megabytes."""

_T = TypeVar("_T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What an entry of the cache holds."""

    computed_at_s: float
    """Epoch seconds."""
    digest: str
    """Of the body, made when it was computed: finding it again costs more than all else of a kept answer."""
    body: bytes


def pack(computed_at: datetime, body: bytes) -> bytes:
    """An entry of the cache: when it was computed, the body's digest, and the body."""
    digest = hashlib.sha256(body).hexdigest()[:_DIGEST_CHARS]
    return _HEAD.pack(computed_at.timestamp(), digest.encode()) + body


def unpack(entry: bytes) -> Unpacked:
    """What ``pack`` took."""
    computed_at_s, digest = _HEAD.unpack_from(entry)
    return Unpacked(computed_at_s, digest.decode(), entry[_HEAD.size :])


class LastAnswers(Generic[_T]):
    """The last answers, and the campaigns that questions were about. May be used by several threads."""

    def __init__(self, cache: Cache, clock: Clock) -> None:
        self._cache = cache
        self._scopes: TTLCache[_T, Mapping[int, CampaignFacts]] = TTLCache(
            _SCOPES, SCOPES_KEPT_S, timer=clock.monotonic_s
        )
        self._lock = Lock()

    def remember(self, asked: _T, facts: Mapping[int, CampaignFacts]) -> None:
        """Keep what the campaigns of a question are."""
        if len(facts) <= _CAMPAIGNS_OF_SCOPE:
            with self._lock:
                self._scopes[asked] = facts

    def remembered(self, asked: _T) -> Mapping[int, CampaignFacts] | None:
        """The campaigns of a question, unless one of them has been erased."""
        with self._lock:
            facts = self._scopes.get(asked)
        if facts is None or any(self._cache.get(_erased_key(campaign_id)) for campaign_id in facts):
            return None
        return facts

    def forget(self, campaign_id: int) -> None:
        """Give no answer about the campaign any more, whichever process sharing the cache is asked."""
        with self._lock:
            for asked in [asked for asked, facts in self._scopes.items() if campaign_id in facts]:
                del self._scopes[asked]
        self._cache.put(_erased_key(campaign_id), b"1", KEPT_S)

    def find(self, key: str) -> bytes | None:
        """The entry with the warning in its body; None when the question was not answered lately."""
        entry = self._cache.get(key)
        if entry is None:
            return None
        last = unpack(entry)
        computed_at = datetime.fromtimestamp(last.computed_at_s, UTC)
        # Members are found by their very bytes: within a string of JSON the quotes would be escaped.
        head, found, tail = last.body.rpartition(_WARNINGS)
        if not found:
            return None
        more = b"" if tail.startswith(b"]") else b", "
        return pack(computed_at, b"".join((head, found, _warning(computed_at), more, tail)))


def _erased_key(campaign_id: int) -> str:
    return f"erased campaign {campaign_id}"


def _warning(computed_at: datetime) -> bytes:
    at = computed_at.isoformat(timespec="seconds").replace("+00:00", "Z")
    text = f"a store cannot be reached: this is the answer of {at}, without what has come since"
    return f'{{"code": "stale", "message": "{text}"}}'.encode()
