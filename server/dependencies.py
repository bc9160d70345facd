"""What an endpoint works with: the request as a ``Call``, and the answers it can give."""

import gzip
import re
from collections.abc import Mapping, Sequence
from operator import itemgetter
from threading import Lock
from typing import TYPE_CHECKING

import msgspec
from cachetools import LRUCache
from starlette.requests import Request
from starlette.responses import Response

from campaignctl.domain.users import Actor
from campaignctl.errors import Forbidden, InvalidInput, NotFound
from server.bodies import read_json, read_query, unsupported_media_type
from server.middleware import Slot
from server.security import Gatekeeper

if TYPE_CHECKING:
    from campaignctl.bootstrap import App
    from server.waiting import Gate

GZIP_FROM_BYTES = 1_024
_ID = re.compile(r"[1-9][0-9]{0,18}")
_MAX_ID = 2**63 - 1
_GZIP = re.compile(r"(?:^|,)\s*(?:gzip|x-gzip)\s*(?:;\s*q=(?!0(?:\.0+)?\s*(?:,|$))[0-9.]+\s*)?(?:,|$)", re.IGNORECASE)

_MOST_PACKED_BYTES = 65_536
"""What is packed is kept up to this size: packing costs a fifth of what a kept answer does."""
_packed: LRUCache[bytes, tuple[int, bytes]] = LRUCache(4 << 20, getsizeof=itemgetter(0))
"""By what was packed: the bytes that both take, and the packed ones."""
_packed_lock = Lock()

_encoder = msgspec.json.Encoder(decimal_format="number")


class Call:
    """One request on its way through an endpoint."""

    def __init__(self, request: Request, template: str) -> None:
        self.request = request
        self.state = request.scope["state"]
        self.state["route"] = template
        self.query: dict[str, list[str]] = {}
        """The parameters given, each in the order given; every name is one the operation knows."""
        self.audit_details: dict[str, str] = {}
        """What the audit log says beside who did what to which object; never a secret."""
        self._actor: Actor | None = None

    @property
    def app(self) -> "App":
        services: App = self.request.app.state.services
        return services

    @property
    def gatekeeper(self) -> Gatekeeper:
        gatekeeper: Gatekeeper = self.request.app.state.gatekeeper
        return gatekeeper

    @property
    def gate(self) -> "Gate":
        gate: Gate = self.request.app.state.gate
        return gate

    def sign_in(self) -> None:
        """Find out who asks; raises ``NotSignedIn``. Blocks."""
        self._actor = self.state["actor"] = self.gatekeeper.actor(self.request)

    def read_query(self, known: Mapping[str, bool]) -> None:
        """Take the query apart; raises ``InvalidInput`` for a name that is not ``known`` (with whether it repeats)."""
        self.query = read_query(self.request.scope["query_string"], known)

    @property
    def actor(self) -> Actor:
        if self._actor is None:
            raise RuntimeError("the operation is public: nobody has signed in")
        return self._actor

    @property
    def requester(self) -> Actor:
        """Who asks, also where nobody has to sign in: whoever holds what is in the path is told apart by it."""
        return self._actor or Actor.stranger(self.request.url.path)

    def sign_in_as(self, actor: Actor) -> None:
        """Who the request turned out to be of: of a public operation, for the audit log."""
        self._actor = self.state["actor"] = actor

    @property
    def known_actor(self) -> Actor | None:
        return self._actor

    def require_machine_operator(self) -> None:
        """Raise ``Forbidden`` unless the operator of the machine asks."""
        if not self.actor.is_machine_operator:
            raise Forbidden("this is for the operator of the machine only")

    @property
    def request_id(self) -> str:
        return str(self.state["request_id"])

    @property
    def address(self) -> str:
        """The address of whoever is at the other end of the connection."""
        client = self.request.client
        return client.host if client is not None else ""

    @property
    def wants_head(self) -> bool:
        """Whether the request came as HEAD: to the routes it is GET."""
        return bool(self.state.get("wants_head"))

    @property
    def slot(self) -> Slot:
        slot: Slot = self.state["slot"]
        return slot

    @property
    def body(self) -> bytes:
        """The body as it was sent."""
        body: bytes = self.state.get("body", b"")
        return body

    def json(self) -> object:
        """The body as a JSON value, read strictly."""
        if self.request.headers.get("content-encoding", "identity").lower() != "identity":
            raise unsupported_media_type("this body is not taken in an encoding", "leave Content-Encoding out")
        return read_json(self.body, self.request.headers.get("content-type"))

    def one(self, name: str) -> str | None:
        """A parameter that stands once, None when it was not given."""
        values = self.query.get(name)
        return values[0] if values else None

    def ones(self) -> dict[str, str]:
        """Every parameter given, as if it stood once."""
        return {name: values[0] for name, values in self.query.items()}

    def number(self, name: str, default: int, *, least: int, most: int) -> int:
        """A whole number of the query within its bounds; raises ``InvalidInput``."""
        text = self.one(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise InvalidInput.of(name, f"must be a whole number from {least} to {most}")
        return int(text)

    def id_in_path(self, name: str) -> int:
        """An id of ours in the path; what cannot be one is not found."""
        text = self.request.path_params[name]
        if not _ID.fullmatch(text) or int(text) > _MAX_ID:
            raise NotFound(f"there is no {name.removesuffix('_id')} of this id")
        return int(text)

    def has(self, etag: str) -> bool:
        """Whether the caller already has this version (``If-None-Match``, compared weakly)."""
        given = ",".join(self.request.headers.getlist("if-none-match"))
        if not given:
            return False
        known = {part.strip().removeprefix("W/") for part in given.split(",")}
        return "*" in known or etag.removeprefix("W/") in known

    def answer(self, value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
        """A JSON answer; ``bytes`` are JSON already. Decimals leave as numbers, with every digit."""
        body = value if isinstance(value, bytes) else _encoder.encode(value)
        return Response(body, status_code=status, headers=dict(headers or {}), media_type="application/json")

    def packed(self, response: Response) -> Response:
        """The answer as gzip, when it is worth it and wanted. A strong ETag names exact bytes, so those stay plain."""
        strong = response.headers.get("etag", "").startswith('"')
        if len(response.body) < GZIP_FROM_BYTES or strong or "content-encoding" in response.headers:
            return response
        if "accept-encoding" not in response.headers.get("vary", "").lower():
            response.headers["vary"] = "Accept-Encoding, Authorization"
        if _GZIP.search(self.request.headers.get("accept-encoding", "")):
            response.body = _gzip(bytes(response.body))
            response.headers["content-encoding"] = "gzip"
            response.headers["content-length"] = str(len(response.body))
        return response

    def unchanged(self, headers: Mapping[str, str]) -> Response:
        """304: the caller's copy still holds."""
        return Response(status_code=304, headers=dict(headers))

    def next_link(self, cursor: str | None) -> dict[str, str]:
        """The ``Link`` to the next page of this list; a path, because ``Host`` is the client's to choose."""
        if cursor is None:
            return {}
        url = self.request.url.include_query_params(cursor=cursor)
        return {"Link": f'<{url.path}?{url.query}>; rel="next"'}


def _gzip(body: bytes) -> bytes:
    if len(body) > _MOST_PACKED_BYTES:
        return gzip.compress(body, 1, mtime=0)  # level 5: a tenth smaller in three times the time
    with _packed_lock:
        kept = _packed.get(body)
    if kept is None:
        packed = gzip.compress(body, 1, mtime=0)
        kept = len(body) + len(packed), packed
        with _packed_lock:
            _packed[body] = kept
    return kept[1]


def plain(values: Sequence[str]) -> list[str]:
    """Repeated parameters and comma lists, taken apart."""
    return [part for value in values for part in value.split(",")]
