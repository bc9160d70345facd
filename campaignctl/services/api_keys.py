"""API keys: made, listed, revoked, and told whom they speak for."""

import secrets
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from cachetools import TTLCache

from campaignctl.domain.api_keys import START, ApiKey, Scope, role_of
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput, NotFound, NotSignedIn, Unavailable
from campaignctl.ports.clock import Clock
from campaignctl.ports.membership import ApiKeyStore, NewApiKey
from campaignctl.ports.metadata import OrganizationStore, SecretStore
from campaignctl.services.access import OUTAGE_MEMORY_S
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit
from campaignctl.services.members import token_digest
from campaignctl.services.tenancy import organization_of

KEY_MEMORY_S = 2.0
"""How old what we know of a key may be: a revoked key is dead within 5 s."""
_TOUCH_EVERY_S = 60.0
_REMEMBERED_KEYS = 10_000
_PREFIX_BYTES, _SECRET_BYTES = 6, 32


class ApiKeyRecords(ApiKeyStore, OrganizationStore, SecretStore, Protocol):
    """What the API key service needs."""


@dataclass(frozen=True, slots=True)
class IssuedKey:
    api_key: ApiKey
    key: str = field(repr=False)
    """Shown once: only its hash is kept."""


class ApiKeyService:
    """One for the process: it remembers keys."""

    def __init__(self, metadata: ApiKeyRecords, clock: Clock) -> None:
        self._metadata = metadata
        self._clock = clock
        self._cursors = Cursors("api_keys", lambda: metadata.installation_secret("cursors"))
        self._known: TTLCache[str, ApiKey | None] = TTLCache(_REMEMBERED_KEYS, KEY_MEMORY_S, timer=clock.monotonic_s)
        self._seen: TTLCache[str, ApiKey | None] = TTLCache(_REMEMBERED_KEYS, OUTAGE_MEMORY_S, timer=clock.monotonic_s)
        self._touched: TTLCache[int, bool] = TTLCache(_REMEMBERED_KEYS, _TOUCH_EVERY_S, timer=clock.monotonic_s)
        self._lock = threading.Lock()

    def create(self, name: str, scopes: Sequence[Scope], expires_at: datetime | None, actor: Actor) -> IssuedKey:
        """A new key of the organization. ``Forbidden`` below admin, ``InvalidInput`` for an end that has come."""
        actor.require(Role.ADMIN)
        if expires_at is not None and expires_at <= self._clock.now():
            raise InvalidInput.of("expires_at", "must lie in the future")
        prefix = START + secrets.token_hex(_PREFIX_BYTES)
        key = f"{prefix}_{secrets.token_urlsafe(_SECRET_BYTES)}"
        organization_id = organization_of(actor, self._metadata)
        wanted = NewApiKey(organization_id, name, prefix, token_digest(key), tuple(scopes), expires_at)
        return IssuedKey(self._metadata.add_api_key(wanted), key)

    def list(self, actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[ApiKey]:
        actor.require(Role.ADMIN)
        checked_limit(limit)
        filters = {"organization": actor.organization_id}
        after_id = 0 if cursor is None else int(self._cursors.decode(cursor, filters)[0])
        found = self._metadata.api_keys(actor.organization_id, after_id, limit + 1)
        return self._cursors.page(found, limit, lambda key: (key.id,), filters)

    def get(self, key_id: int, actor: Actor) -> ApiKey:
        actor.require(Role.ADMIN)
        key = self._metadata.api_key(key_id)
        if key is None or not actor.sees(key.organization_id):
            raise NotFound(f"there is no API key {key_id}")
        return key

    def revoke(self, key_id: int, actor: Actor) -> None:
        """The key is dead within 5 s everywhere, here at once."""
        self.get(key_id, actor)
        if not self._metadata.remove_api_key(key_id):
            raise NotFound(f"there is no API key {key_id}")
        with self._lock:
            self._known.clear()
            self._seen.clear()

    def authenticate(self, key: str, *, reading: bool = False) -> Actor:
        """Whom the key speaks for, as of 2 s ago at most; ``NotSignedIn`` for one that does not hold.

        For ``reading``, as of five minutes ago while the metadata store does not answer.
        """
        found = self._find(token_digest(key), reading=reading)
        if found is None or self._has_expired(found):
            raise NotSignedIn(
                "the API key does not hold, or no longer", hint="ask an admin for a new key", code="invalid_token"
            )
        self._touch(found.id)
        return _actor(found)

    def at_hand(self, key: str) -> Actor | None:
        """As ``authenticate``, where all of it is remembered; None otherwise. Waits for nothing."""
        key_hash = token_digest(key)
        with self._lock:
            found = self._known.get(key_hash)
            if found is None or found.id not in self._touched:
                return None
        return None if self._has_expired(found) else _actor(found)

    def _has_expired(self, key: ApiKey) -> bool:
        return key.expires_at is not None and key.expires_at <= self._clock.now()

    def _find(self, key_hash: str, *, reading: bool) -> ApiKey | None:
        with self._lock:
            if key_hash in self._known:
                return self._known[key_hash]
        try:
            found = self._metadata.find_api_key(key_hash)
        except Unavailable:
            with self._lock:
                seen = self._seen.get(key_hash) if reading else None
            if seen is None:
                raise
            return seen
        with self._lock:
            self._known[key_hash] = self._seen[key_hash] = found
        return found

    def _touch(self, key_id: int) -> None:
        """Once a minute: a write for each request would cost more than the request."""
        with self._lock:
            if key_id in self._touched:
                return
            self._touched[key_id] = True
        with suppress(Unavailable):  # when a key was used last is worth no request
            self._metadata.touch_api_key(key_id)


def _actor(key: ApiKey) -> Actor:
    may_ingest = bool({Scope.INGEST, Scope.OPERATE, Scope.ADMIN} & set(key.scopes))
    return Actor(key.organization_id, role_of(key.scopes), api_key_id=key.id, may_ingest=may_ingest)
