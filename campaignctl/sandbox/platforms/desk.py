"""What the four platforms' servers have in common: calls, answers, and the way a call takes through the sandbox.

Each call waits for the simulated latency, is checked by the platform (``refusal``), may be hit by a fault, and is
answered by its handler. Everything is written down in the request log.
"""

import gzip
import json
import re
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from campaignctl.sandbox.clock import SandboxClock
from campaignctl.sandbox.faults import Faults
from campaignctl.sandbox.natives import SandboxAccount, accounts
from campaignctl.sandbox.platforms.request_log import RequestLog
from campaignctl.sandbox.reported import Reported

_GZIP_FROM_BYTES = 1_000
_BOMB_BYTES = 200_000_000
_STALL_S = 40.0
_ENDLESS_PIECE = b" " * 1_000_000
_ENDLESS_PIECES = 200

_RENAMED = re.compile(rb'"(campaign_id|campaign|metrics|pivotValues)":')
"""Members without which a report means nothing."""

Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Limits:
    """Quotas and sizes of the platforms; what is not said is the platform's own."""

    meta_points: int = 9_000
    """Of an app in 300 s: a read is 1, a write 3."""
    google_operations_a_day: int = 15_000
    linkedin_metric_values: int = 45_000_000
    """Of an app in 300 s."""
    tiktok_queries_a_second: int = 10
    token_life_s: int = 3_599
    page_rows: int | None = None
    """The most rows of any page."""


@dataclass(frozen=True, slots=True)
class Around:
    """What the platforms' servers share."""

    reported: Reported
    clock: SandboxClock
    faults: Faults
    log: RequestLog
    pause: Pause
    limits: Limits = field(default_factory=Limits)
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Call:
    """One request."""

    kind: str
    """One of ``faults``' kinds."""
    method: str
    url: str
    """Without its query."""
    place: Mapping[str, str]
    """The variable parts of the path."""
    query: str
    """As it came, still encoded."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    fault: str = ""
    """The fault that hits it, for a handler that has to know; "" for none."""

    @property
    def params(self) -> dict[str, str]:
        """Of the query, and of a form in the body."""
        form = self.body.decode("utf-8", "replace") if "form" in self.headers.get("content-type", "") else ""
        return dict(parse_qsl(f"{self.query}&{form}", keep_blank_values=True))

    @property
    def bearer(self) -> str:
        kind, _, token = self.headers.get("authorization", "").partition(" ")
        return token if kind == "Bearer" else ""


@dataclass(frozen=True, slots=True)
class Answer:
    payload: object
    """JSON; or bytes as they are."""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    is_cut: bool = False
    """The connection ends in the middle of the body."""
    is_endless: bool = False

    @property
    def body(self) -> bytes:
        if isinstance(self.payload, bytes):
            return self.payload
        return json.dumps(self.payload, ensure_ascii=False, separators=(",", ":")).encode()


Handler = Callable[[Call], Answer]


class PlatformServer(ABC):
    """One platform. Handlers get calls that are signed, within the quota and not hit by a fault."""

    name: str

    def __init__(self, around: Around) -> None:
        self.around = around
        self.faults = around.faults
        self.reported = around.reported
        self.clock = around.clock
        self.limits = around.limits

    @abstractmethod
    def routes(self) -> Sequence[Route]: ...

    @abstractmethod
    def refusal(self, call: Call) -> Answer | None:
        """Why the call is not answered: nobody signed it, or a quota is used up."""
        ...

    @abstractmethod
    def struck(self, fault: str, call: Call) -> Answer | None:
        """The platform's own answer to a call that one of its faults hits; None: the handler looks after it."""
        ...

    def finished(self, call: Call, answer: Answer) -> Answer:
        """The answer with the headers that the platform adds to all of them."""
        return answer

    def kind(self, call: Call) -> str:
        """What kind of request it is, where the path alone does not say."""
        return call.kind

    def unhit(self, call: Call) -> Sequence[str]:
        """Faults that mean nothing for the call."""
        return ()

    def account(self, account_id: str, may_see: Sequence[SandboxAccount]) -> SandboxAccount | None:
        return next((one for one in may_see if one.account_id == account_id), None)

    def route(self, path: str, handler: Handler, kind: str, *methods: str) -> Route:
        async def endpoint(request: Request) -> Response:
            call = await _call_of(request, kind)
            call = replace(call, kind=self.kind(call))
            call, answer = await self._answered(call, handler)
            answer = self.finished(call, answer)
            self.around.log.add(
                self.name, call.kind, call.method, request.url.path, call.query, answer.status, call.fault
            )
            return _response(call, answer)

        return Route(path, endpoint, methods=list(methods or ("GET",)))

    async def _answered(self, call: Call, handler: Handler) -> tuple[Call, Answer]:
        if self.around.latency_s:
            await self.around.pause(self.around.latency_s)
        refused = self.refusal(call)
        if refused is not None:
            return call, refused
        fault = self.faults.strike(self.name, call.kind, but=self.unhit(call))
        if fault == "timeout":
            await self.around.pause(_STALL_S)
        call = replace(call, fault=fault)
        hit = _edge(fault) or (self.struck(fault, call) if fault else None)
        return call, hit or _spoiled(fault, handler(call))


def accounts_of(platform: str) -> list[SandboxAccount]:
    return [one for one in accounts() if one.platform == platform]


async def _call_of(request: Request, kind: str) -> Call:
    return Call(
        kind=kind,
        method=request.method,
        url=str(request.url.replace(query="")),
        place=dict(request.path_params),
        query=request.scope["query_string"].decode("latin-1"),
        headers={name.lower(): value for name, value in request.headers.items()},
        body=await request.body(),
    )


def _edge(fault: str) -> Answer | None:
    """What stands before the platform answers in its place."""
    match fault:
        case "429":
            return Answer(b"Too Many Requests", 429, {"Content-Type": "text/plain"})
        case "429-retry-after":
            return Answer(b"Too Many Requests", 429, {"Content-Type": "text/plain", "Retry-After": "20"})
        case "500":
            return Answer(b"<html><body>Sorry, something went wrong.</body></html>", 500, {"Content-Type": "text/html"})
        case "redirect":
            return Answer(b"", 302, {"Location": "https://elsewhere.invalid/"})
        case _:
            return None


def _spoiled(fault: str, answer: Answer) -> Answer:
    """A good answer, made bad on its way."""
    match fault:
        case "truncated":
            return replace(answer, payload=answer.body[: len(answer.body) // 2])
        case "broken-off":
            return replace(answer, is_cut=True)
        case "endless-body":
            return replace(answer, is_endless=True)
        case "gzip-bomb":
            packed = gzip.compress(bytes(_BOMB_BYTES), 1)
            return replace(answer, payload=packed, headers={**answer.headers, "Content-Encoding": "gzip"})
        case "changed-schema":
            return replace(answer, payload=_RENAMED.sub(rb'"\1_v2":', answer.body))
        case "renamed-figure":
            return replace(answer, payload=answer.body.replace(b'"clicks":', b'"clicks_v2":'))
        case _:
            return answer


def _response(call: Call, answer: Answer) -> Response:
    body, headers = answer.body, {"Content-Type": "application/json; charset=utf-8", **answer.headers}
    if answer.is_endless:
        return StreamingResponse(_endless(), answer.status, headers)
    may_pack = "gzip" in call.headers.get("accept-encoding", "") and "Content-Encoding" not in headers
    if may_pack and len(body) >= _GZIP_FROM_BYTES:
        body, headers = gzip.compress(body, 1), {**headers, "Content-Encoding": "gzip"}
    if answer.is_cut:
        return _CutResponse(body[: len(body) // 2], answer.status, {**headers, "Content-Length": str(len(body))})
    return Response(body, answer.status, headers)


class _CutResponse(Response):
    """Promises more than it sends; the server closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": self.body, "more_body": True})


async def _endless() -> AsyncIterator[bytes]:
    for _ in range(_ENDLESS_PIECES):
        yield _ENDLESS_PIECE
