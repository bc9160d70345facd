"""What every request passes before a route sees it, as plain ASGI, outermost first.

1. ``Envelope``: the request's id, the headers of every answer, the last word on an exception, metrics, the log line.
2. ``Heads``: bounds on the request's head; HEAD as GET without a body; OPTIONS.
3. ``Bodies``: the whole body in memory, bounded in size and in time, before anything else works on the request.
4. ``Slots``: so many requests at work, so many waiting for a moment, the others refused at once.

A slow sender therefore holds no slot, and a slow reader gives its slot back when its answer begins.
"""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.metrics import HttpMetrics
from server.problem import (
    HttpError,
    Problem,
    allowed_methods,
    log_failure,
    problem_of,
    retry_after,
    send_problem,
)

EVENTS_PATH = "/api/v1/events"
MIB = 1 << 20

access_log = logging.getLogger("campaignctl.access")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HEADERS_OF_EVERY_ANSWER = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
# Two of these could be read differently by a proxy in front and by us.
_SINGLE_HEADERS = frozenset(
    {
        b"authorization",
        b"content-type",
        b"content-encoding",
        b"idempotency-key",
        b"if-match",
        b"x-campaignctl-organization",
    }
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on what one client, and all clients together, may ask of the process."""

    body_bytes: int = MIB
    events_body_bytes: int = 8 * MIB
    bodies_bytes: int = 128 * MIB
    """All bodies in memory together."""
    receipt_s: float = 15.0
    """From the head to the last byte of the body, beside the time it takes at the least rate."""
    least_bytes_per_s: int = 64 * 1024
    """So 8 MiB may take over two minutes, and who sends a byte a second is left after 15 s."""
    head_bytes: int = 32 * 1024
    head_lines: int = 100
    target_bytes: int = 8 * 1024
    active: int = 64
    queued: int = 64
    queue_wait_s: float = 0.25
    refusal_pause_s: float = 0.1
    """A refusal comes after a pause: clients that try again at once would take the CPU that the others need."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first header of the name (lower case), or None."""
    headers: Iterable[tuple[bytes, bytes]] = scope["headers"]
    return next((value.decode("latin-1") for key, value in headers if key == name), None)


class Envelope:
    """Outermost: nothing leaves without a request id, the common headers and a line in the log."""

    def __init__(self, app: ASGIApp, *, metrics: HttpMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = _Sent(send, _request_id(scope))
        scope.setdefault("state", {})["request_id"] = sent.request_id
        self._metrics.started()
        started_s = time.perf_counter()
        try:
            await self._app(scope, receive, sent)
        except Exception as error:
            log_failure(error, scope)
            if sent.status:
                raise  # the answer has begun: only the connection's end can tell the client
            await send_problem(problem_of(error), scope, sent)
        finally:
            seconds = time.perf_counter() - started_s
            route = scope["state"].get("route", "unmatched")
            is_stream = scope["state"].get("is_stream", False)
            self._metrics.answered(
                scope["method"], route, sent.status or 499, None if is_stream else seconds, sent.cache
            )
            _log_access(scope, route, sent.status or 499, seconds)


class _Sent:
    """``send`` that completes the head of the answer and remembers what it said."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send = send
        self.request_id = request_id
        self.status = 0
        self.cache = ""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers: list[tuple[bytes, bytes]] = [*message.get("headers", ()), *_HEADERS_OF_EVERY_ANSWER]
            headers.append((b"x-request-id", self.request_id.encode()))
            if all(name != b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            self.cache = next((value for name, value in headers if name == b"x-cache"), b"").decode()
            message = {**message, "headers": headers}
        await self._send(message)


def _request_id(scope: Scope) -> str:
    given = header(scope, b"x-request-id")
    return given if given is not None and _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _log_access(scope: Scope, route: str, status: int, seconds: float) -> None:
    """One line, as fields. The query is left out, and the path where no route knows it: both may hold a secret."""
    level = logging.DEBUG if scope["path"].startswith("/health") else logging.INFO
    if not access_log.isEnabledFor(level):
        return
    client = scope.get("client")
    actor = scope["state"].get("actor")
    fields: dict[str, object] = {
        "request_id": scope["state"]["request_id"],
        "method": scope["method"][:16],
        "route": route,
        "status": status,
        "ms": round(seconds * 1_000, 1),
        "client": client[0] if client else "",
    }
    if actor is not None:
        fields |= {"organization": actor.organization_id, "user": actor.user_id}
    access_log.log(level, "answered", extra=fields)


class Heads:
    """Bounds the request's head, and answers the two methods that every path knows."""

    def __init__(self, app: ASGIApp, *, limits: Limits) -> None:
        self._app = app
        self._limits = limits

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        problem = self._judge(scope)
        if problem is not None:
            await send_problem(problem, scope, send)
        elif scope["method"] == "OPTIONS" and (methods := allowed_methods(scope["app"].routes, scope)):
            headers = [(b"allow", ", ".join(methods).encode())]
            await send({"type": "http.response.start", "status": 204, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
        elif scope["method"] == "HEAD":
            scope["state"]["wants_head"] = True
            # A copy: the server below still has to know that it was HEAD.
            await self._app({**scope, "method": "GET"}, receive, _headless(send))
        else:
            await self._app(scope, receive, send)

    def _judge(self, scope: Scope) -> Problem | None:
        limits, headers = self._limits, scope["headers"]
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > limits.target_bytes:
            return Problem(414, "uri_too_long", f"the path and query are longer than {limits.target_bytes} bytes")
        if len(headers) > limits.head_lines or sum(len(n) + len(v) for n, v in headers) > limits.head_bytes:
            return Problem(
                431,
                "headers_too_large",
                f"the headers are more than {limits.head_lines} or larger than {limits.head_bytes} bytes",
                headers={"Connection": "close"},
            )
        names = [name for name, _ in headers if name in _SINGLE_HEADERS]
        if len(names) != len(set(names)):
            return Problem(400, "malformed_request", "a header that can stand once only was given twice")
        return None


def _headless(send: Send) -> Send:
    """The answer of GET, without its body."""

    async def without_body(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return without_body


class ByteBudget:
    """Bytes that may be in memory at once for one purpose; used from the event loop only."""

    def __init__(self, total_bytes: int) -> None:
        self._free_bytes = total_bytes

    def take(self, amount_bytes: int) -> bool:
        if amount_bytes > self._free_bytes:
            return False
        self._free_bytes -= amount_bytes
        return True

    def give_back(self, amount_bytes: int) -> None:
        self._free_bytes += amount_bytes


class Bodies:
    """Receives the whole body of POST, PUT and PATCH into ``scope["state"]["body"]``."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: HttpMetrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._budget = ByteBudget(limits.bodies_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS", "DELETE"):
            await self._app(scope, receive, send)
            return
        receipt = _Receipt()
        try:
            problem = await self._receive_in_time(scope, receive, receipt)
            if problem is not None:
                await send_problem(problem, scope, send)
            elif not receipt.disconnected:
                scope["state"]["body"] = b"".join(receipt.chunks)
                receipt.chunks.clear()
                await self._app(scope, _nothing_more(receive), send)
        finally:
            scope["state"].pop("body", None)
            self._budget.give_back(receipt.charged_bytes)

    async def _receive_in_time(self, scope: Scope, receive: Receive, receipt: "_Receipt") -> Problem | None:
        try:
            async with asyncio.timeout(self._limits.receipt_s) as deadline:
                await self._receive(scope, receive, receipt, deadline)
        except TimeoutError:
            detail = f"the body did not arrive within {self._limits.receipt_s:g} s"
            return Problem(408, "request_timeout", detail, headers={"Connection": "close"})
        except HttpError as error:
            return error.problem
        return None

    async def _receive(self, scope: Scope, receive: Receive, receipt: "_Receipt", deadline: asyncio.Timeout) -> None:
        first_deadline_s = deadline.when() or 0.0
        limit_bytes = self._limits.events_body_bytes if scope["path"] == EVENTS_PATH else self._limits.body_bytes
        declared = header(scope, b"content-length")
        if declared is not None and declared.isdecimal() and int(declared[:20]) > limit_bytes:
            raise HttpError(_too_large(limit_bytes))
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                receipt.disconnected = True
                return
            chunk = message.get("body", b"")
            if receipt.charged_bytes + len(chunk) > limit_bytes:
                raise HttpError(_too_large(limit_bytes))
            if not self._budget.take(len(chunk)):
                self._metrics.shed("bytes")
                raise HttpError(busy("too many large bodies are being received", body_is_unread=True))
            receipt.charged_bytes += len(chunk)
            receipt.chunks.append(chunk)
            if not message.get("more_body", False):
                return
            deadline.reschedule(first_deadline_s + receipt.charged_bytes / self._limits.least_bytes_per_s)


@dataclass(slots=True)
class _Receipt:
    """A body on its way in."""

    chunks: list[bytes] = field(default_factory=list)
    charged_bytes: int = 0
    disconnected: bool = False


def _too_large(limit_bytes: int) -> Problem:
    return Problem(413, "too_large", f"the body is larger than {limit_bytes} bytes", headers={"Connection": "close"})


def busy(detail: str, *, body_is_unread: bool = False) -> Problem:
    """The answer to a request that is refused so that others are served.

    The connection stays, unless the rest of a body would come over it: connecting again costs both sides more.
    """
    headers = retry_after(1.0) | ({"Connection": "close"} if body_is_unread else {})
    return Problem(503, "overloaded", detail, hint="try again in a moment", headers=headers)


def _nothing_more(receive: Receive) -> Receive:
    """After the body only the end of the connection can come."""
    first = True

    async def receive_rest() -> Message:
        nonlocal first
        if first:
            first = False
            return {"type": "http.request", "body": b"", "more_body": False}
        return await receive()

    return receive_rest


class Slots:
    """So many requests at work; liveness and health pass without a slot."""

    def __init__(self, app: ASGIApp, *, limits: Limits, metrics: HttpMetrics) -> None:
        self._app = app
        self._limits = limits
        self._metrics = metrics
        self._free = asyncio.Semaphore(limits.active)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health"):
            await self._app(scope, receive, send)
            return
        slot = Slot(self)
        if not await slot.take():
            self._metrics.shed("slots")
            await asyncio.sleep(self._limits.refusal_pause_s)
            await send_problem(busy("the server has more requests than it can answer now"), scope, send)
            return
        scope["state"]["slot"] = slot

        async def send_and_leave(message: Message) -> None:
            slot.leave()  # what is left to do is the reader's speed
            await send(message)

        try:
            await self._app(scope, receive, send_and_leave)
        finally:
            slot.leave()

    async def enter(self) -> bool:
        """Wait a moment for a place among those at work; False when there is none."""
        if not self._free.locked():
            await self._free.acquire()
            return True
        if self._waiting >= self._limits.queued:
            return False
        self._waiting += 1
        try:
            async with asyncio.timeout(self._limits.queue_wait_s):
                await self._free.acquire()
        except TimeoutError:
            return False
        else:
            return True
        finally:
            self._waiting -= 1

    def leave(self) -> None:
        self._free.release()


class Slot:
    """One request's place among those at work; a request that only waits lends it out."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._held = False

    async def take(self) -> bool:
        self._held = self._held or await self._slots.enter()
        return self._held

    def leave(self) -> None:
        if self._held:
            self._held = False
            self._slots.leave()
