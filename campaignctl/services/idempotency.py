"""Idempotency keys: the same request twice is done once and answered twice."""

import string

from campaignctl.domain.users import Actor
from campaignctl.errors import Conflict, FieldError, InvalidInput
from campaignctl.ports.metadata import IdempotencyScope, IdempotencyStore, StoredAnswer

KEEP_S = 24 * 3_600
LOCK_S = 60
"""An answer takes seconds at most: whoever holds a key for longer has died."""
MAX_KEY_CHARACTERS = 255

_PRINTABLE = frozenset(string.printable) - frozenset(string.whitespace) | {" "}


class IdempotencyService:
    """Keys belong to a user within an organization.

    ``begin`` first; when it gives no answer, do the work, then ``finish`` with the answer, or ``abandon`` where the
    answer is an error: those are not kept, so that the request may be repeated.
    """

    def __init__(self, metadata: IdempotencyStore) -> None:
        self._metadata = metadata

    def begin(self, actor: Actor, key: str, fingerprint: str) -> StoredAnswer | None:
        """The answer that was given to the same request; None: it is the caller's to do.

        ``fingerprint`` stands for method, path and body. Raises ``InvalidInput`` (``idempotency_key_reused``) when the
        key was used with another one, ``Conflict`` (``idempotency_in_flight``) while the first request is under way.
        """
        held = self._metadata.claim_key(_scope(actor, key), fingerprint, LOCK_S, KEEP_S)
        if held is None:
            return None
        if held.fingerprint != fingerprint:
            raise InvalidInput(
                [FieldError("Idempotency-Key", "was used for another request within the last 24 hours")],
                hint="use a new key for every new request",
                code="idempotency_key_reused",
            )
        if held.answer is None:
            raise Conflict(
                "the first request with this Idempotency-Key is still under way",
                hint="wait a moment and repeat the request with the same key",
                code="idempotency_in_flight",
            )
        return held.answer

    def finish(self, actor: Actor, key: str, answer: StoredAnswer) -> None:
        """Keep the answer for 24 hours from the request on."""
        self._metadata.keep_answer(_scope(actor, key), answer)

    def abandon(self, actor: Actor, key: str) -> None:
        """Free the key: the request was not done."""
        self._metadata.release_key(_scope(actor, key))


def _scope(actor: Actor, key: str) -> IdempotencyScope:
    if not 1 <= len(key) <= MAX_KEY_CHARACTERS or not _PRINTABLE.issuperset(key):
        raise InvalidInput.of("Idempotency-Key", f"must be 1 to {MAX_KEY_CHARACTERS} printable ASCII characters")
    # Users have positive numbers, API keys negative even ones, strangers negative odd ones: no two share a key.
    owner = actor.user_id or 0
    if actor.api_key_id is not None:
        owner = -2 * actor.api_key_id
    elif owner < 0:
        owner = 2 * owner + 1
    return IdempotencyScope(actor.organization_id or 0, owner, key)
