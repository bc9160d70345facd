"""The REST API without a socket: a transport that runs the ASGI application on an event loop of its own.

A command on embedded stores that no server has open goes through the very code a server runs, so its answers are the
same bytes. Routes that block run in threads of the application, as they do in a server.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from concurrent.futures import Future
from typing import Any

import httpx2

Message = MutableMapping[str, Any]
Asgi = Callable[[Message, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]], Awaitable[None]]
_START_TIMEOUT_S = 30.0
_CLIENT = ("127.0.0.1", 0)


def http_scope(request: httpx2.Request) -> dict[str, Any]:
    """The request as an ASGI application is told of it, but for who asks."""
    url = request.url
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": url.path,
        "raw_path": url.raw_path.split(b"?")[0],
        "query_string": url.query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "server": (url.host, url.port),
    }


class InProcessTransport(httpx2.BaseTransport):
    """Answers requests by calling the application; ``close`` runs its shutdown and ends the loop's thread."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="in-process-api", daemon=True)
        self._thread.start()
        self._lifespan = _Lifespan(app)
        try:
            self._run(self._lifespan.start()).result(_START_TIMEOUT_S)
        except BaseException:
            self._end_loop()
            raise

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        body = request.read()
        response: httpx2.Response = self._run(self._answer(request, body)).result()
        return response

    def close(self) -> None:
        if self._loop.is_closed():
            return
        try:
            self._run(self._lifespan.stop()).result(_START_TIMEOUT_S)
            self._run(self._loop.shutdown_default_executor()).result(_START_TIMEOUT_S)
        finally:
            self._end_loop()

    def _end_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_START_TIMEOUT_S)
        if not self._thread.is_alive():
            self._loop.close()

    def _run(self, coroutine: Any) -> Future[Any]:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop)

    async def _answer(self, request: httpx2.Request, body: bytes) -> httpx2.Response:
        scope = http_scope(request) | {"client": _CLIENT, "state": dict(self._lifespan.state)}
        exchange = _Exchange(body)
        await self._app(scope, exchange.receive, exchange.send)
        return httpx2.Response(
            exchange.status, headers=exchange.headers, content=b"".join(exchange.chunks), request=request
        )


class _Exchange:
    """One request's two channels."""

    def __init__(self, body: bytes) -> None:
        self._body: bytes | None = body
        self._answered = asyncio.Event()
        self.status = 500
        self.headers: list[tuple[bytes, bytes]] = []
        self.chunks: list[bytes] = []

    async def receive(self) -> Message:
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._answered.wait()  # the caller stays until it has its answer
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            self.chunks.append(message.get("body", b""))
            if not message.get("more_body", False):
                self._answered.set()


class _Lifespan:
    """The application's start and end; one without a lifespan is fine."""

    def __init__(self, app: Asgi) -> None:
        self._app = app
        self.state: dict[str, Any] = {}
        self._inbox: asyncio.Queue[Message] | None = None
        self._outbox: asyncio.Queue[Message] | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._inbox, self._outbox = asyncio.Queue(), asyncio.Queue()
        self._task = asyncio.create_task(self._serve(self._inbox, self._outbox))
        await self._inbox.put({"type": "lifespan.startup"})
        await self._reply("startup")

    async def stop(self) -> None:
        assert self._inbox is not None  # noqa: S101  start() came first
        if self._task is not None and not self._task.done():
            await self._inbox.put({"type": "lifespan.shutdown"})
            await self._reply("shutdown")

    async def _serve(self, inbox: asyncio.Queue[Message], outbox: asyncio.Queue[Message]) -> None:
        scope: Message = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state}
        await self._app(scope, inbox.get, outbox.put)

    async def _reply(self, step: str) -> None:
        assert self._outbox is not None and self._task is not None  # noqa: S101  start() came first
        reply = asyncio.create_task(self._outbox.get())
        await asyncio.wait({reply, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not reply.done():  # the application has no lifespan, or ended it with an exception
            reply.cancel()
            self._task.result()
            return
        message = reply.result()
        if message["type"] == f"lifespan.{step}.failed":
            raise RuntimeError(f"the application's {step} failed: {message.get('message', '')}")
