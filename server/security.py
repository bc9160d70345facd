"""Who asks: the bearer of an access token or an API key, or the machine's operator with the running server's token."""

import re
import secrets

from starlette.requests import Request

from campaignctl.domain.api_keys import START
from campaignctl.domain.users import Actor
from campaignctl.errors import Forbidden, InvalidInput, NotSignedIn
from campaignctl.services.access import AccessService
from campaignctl.services.api_keys import ApiKeyService

ORGANIZATION_HEADER = "X-Campaignctl-Organization"
MAX_TOKEN_CHARS = 4_096

_READING = frozenset({"GET", "HEAD"})
_BEARER = re.compile(r"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/=-]+)")
_ORGANIZATION = re.compile(r"[1-9][0-9]{0,17}")


class Gatekeeper:
    """Turns credentials into an actor; the work may block, so it belongs into a thread."""

    def __init__(self, access: AccessService, api_keys: ApiKeyService, operator_token: str | None) -> None:
        self._access = access
        self._api_keys = api_keys
        self._operator_token = operator_token.encode() if operator_token else None

    def actor_at_hand(self, request: Request) -> Actor | None:
        """As ``actor``, where it is remembered who that is; None otherwise, and for whoever will be refused.

        Waits for nothing, so it may be called on the event loop.
        """
        headers = request.headers
        token = _bearer_of(headers.get("authorization"))
        if token is None or ORGANIZATION_HEADER in headers:
            return None
        if self._operator_token is not None and secrets.compare_digest(token.encode(), self._operator_token):
            return Actor.machine_operator(None)
        return self._api_keys.at_hand(token) if token.startswith(START) else self._access.at_hand(token)

    def actor(self, request: Request) -> Actor:
        """The actor of a request; raises ``NotSignedIn``, and ``Forbidden`` for a user who asks for an organization."""
        token = self.bearer(request)
        if token is None:
            raise NotSignedIn("this needs a sign-in", hint="send Authorization: Bearer with an access token or API key")
        organization = request.headers.get(ORGANIZATION_HEADER)
        if self._operator_token is not None and secrets.compare_digest(token.encode(), self._operator_token):
            return Actor.machine_operator(_organization_id(organization))
        if organization is not None:
            raise Forbidden(f"only the operator of the machine may send {ORGANIZATION_HEADER}")
        reading = request.method in _READING
        if token.startswith(START):
            return self._api_keys.authenticate(token, reading=reading)
        return self._access.authenticate(token, reading=reading)

    @staticmethod
    def bearer(request: Request) -> str | None:
        """The token of the request, None when it has none; raises ``NotSignedIn`` for anything else than a bearer's."""
        value = request.headers.get("authorization")
        if value is None:
            return None
        token = _bearer_of(value)
        if token is None:
            raise NotSignedIn("the credentials are not a bearer token", hint="send Authorization: Bearer TOKEN")
        return token


def _bearer_of(value: str | None) -> str | None:
    """The token in the header's value; None where that is none of a bearer."""
    match = _BEARER.fullmatch(value) if value is not None and len(value) <= MAX_TOKEN_CHARS + 8 else None
    return None if match is None else match[1]


def _organization_id(text: str | None) -> int | None:
    if text is None:
        return None
    if not _ORGANIZATION.fullmatch(text):
        raise InvalidInput.of(ORGANIZATION_HEADER, "must be the number of an organization")
    return int(text)
