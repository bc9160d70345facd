"""A small balancer: it reads ``/health/ready`` of each server, and sends each request to one that was ready last.

One request a connection, on both sides, so that no kept connection binds a client to a server that is on its way out. A
server that refuses the connection is passed over, as any balancer does; a request that was handed over is never sent a
second time, so whatever a server does to it, its client sees.
"""

import asyncio
import contextlib
import threading
from collections import Counter
from types import TracebackType
from typing import Self

_LOOK_EVERY_S = 0.2
_LOOK_FOR_S = 2.0
_PIECE_BYTES = 1 << 16
_NOBODY = b'HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\nx-balancer: "%s"\r\n\r\n'


class Balancer:
    """Listens on a free port of the loopback between ``with`` and its end; servers come and go meanwhile."""

    def __init__(self) -> None:
        self.url = ""
        self.answered: Counter[str] = Counter()
        """Requests by the server they were handed to."""
        self.refused = 0
        """Connections that a server refused, so that the next one was taken."""
        self._ready: dict[str, bool] = {}
        self._turn = 0
        self._serving: set[asyncio.Task[None] | None] = set()
        """Nothing else holds who waits for a connection to close: they would be collected on the way."""
        self._stopping = threading.Event()
        self._listens = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="balancer", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listens.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        self._thread.join(10)

    def add(self, url: str) -> None:
        """Look at one server more; it is sent requests once it is ready."""
        self._ready[url] = False

    def remove(self, url: str) -> None:
        """For one that has ended."""
        del self._ready[url]

    def is_ready(self, url: str) -> bool:
        return self._ready[url]

    async def _run(self) -> None:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._listens.set()
        await self._look()
        server.close()
        while self._serving:
            await asyncio.sleep(0.01)

    async def _look(self) -> None:
        while not self._stopping.is_set():
            urls = list(self._ready)
            for url, ready in zip(urls, await asyncio.gather(*map(_is_ready, urls)), strict=True):
                if url in self._ready:
                    self._ready[url] = ready
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._serving.add(task := asyncio.current_task())
        try:
            request = await _request(reader)
            if request:
                await self._hand_over(request, writer)
        except OSError:
            pass  # the client has gone: nobody is left to be answered
        finally:
            await _close(writer)
            self._serving.discard(task)

    async def _hand_over(self, request: bytes, client: asyncio.StreamWriter) -> None:
        ready = [url for url, is_ready in self._ready.items() if is_ready]
        self._turn += 1
        for n in range(len(ready)):
            url = ready[(self._turn + n) % len(ready)]
            try:
                reader, writer = await asyncio.open_connection(*_place(url))
            except OSError:
                self.refused += 1
                continue
            self.answered[url] += 1
            try:
                await _relay(request, reader, writer, client)
            finally:
                await _close(writer)
            return
        client.write(_NOBODY % b"nobody is ready")
        await client.drain()


async def _relay(
    request: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, client: asyncio.StreamWriter
) -> None:
    sent = 0
    with contextlib.suppress(OSError):  # cut off: what has come so far tells the client, or the 502 below
        writer.write(request)
        await writer.drain()
        while piece := await reader.read(_PIECE_BYTES):
            sent += len(piece)
            client.write(piece)
            await client.drain()
    if not sent:
        client.write(_NOBODY % b"the server closed the connection")
        await client.drain()


async def _request(reader: asyncio.StreamReader) -> bytes:
    """A whole request, told to close the connection after it; empty when none came."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        lines = [line for line in head[:-4].split(b"\r\n") if not line.lower().startswith(b"connection:")]
        length = next((int(line[15:]) for line in lines if line.lower().startswith(b"content-length:")), 0)
        return b"\r\n".join([*lines, b"connection: close", b"", b""]) + await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return b""


async def _is_ready(url: str) -> bool:
    try:
        async with asyncio.timeout(_LOOK_FOR_S):
            reader, writer = await asyncio.open_connection(*_place(url))
            try:
                writer.write(b"GET /health/ready HTTP/1.1\r\nhost: balancer\r\nconnection: close\r\n\r\n")
                return (await reader.readline()).split(b" ")[1:2] == [b"200"]
            finally:
                await _close(writer)
    except (OSError, TimeoutError):
        return False


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):  # the other side was faster
        await writer.wait_closed()


def _place(url: str) -> tuple[str, int]:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return host, int(port)
