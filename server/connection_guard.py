"""HTTP/1.1 connections that a slow or hostile client cannot hold open for ever.

uvicorn waits without end for an unfinished request head, takes heads of any size with its faster parser, and keeps a
connection whose reader has stopped. The guard adds a deadline to each, a bound on the number of connections, and says
what the parser refused as a problem. It works the same for both of uvicorn's parsers.
"""

import asyncio
from typing import TYPE_CHECKING, Any

from server.problem import MEDIA_TYPE, Problem

MAX_CONNECTIONS = 4_000
"""A process's bound on open connections, where file descriptors do not set a lower one."""
HEAD_DEADLINE_S = 10.0
"""From the connection, or from the first byte of a later request, to the end of its head."""
WRITE_DEADLINE_S = 30.0
"""How long a reader may take nothing of an answer that waits for it."""
MAX_HEAD_BYTES = 64 * 1024
"""What the parser takes; the application answers 431 above half of it."""
MAX_HEAD_LINES = 200

if TYPE_CHECKING:
    from uvicorn.protocols.http.h11_impl import H11Protocol as _Base
else:
    _Base = object


class Guard(_Base):
    """The deadlines, on top of either parser."""

    max_connections = MAX_CONNECTIONS
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self.max_connections:
            self._refuse(Problem(503, "overloaded", "the server has too many open connections"))
            return
        self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._idle():
            self._await_head()
        elif self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_DEADLINE_S, self.transport.abort)

    def resume_writing(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        """The parser cannot read what came; whatever was half sent before is given up with the connection."""
        if not self._idle() and self.cycle.response_started:
            self.transport.close()
            return
        self._refuse(Problem(400, "malformed_request", "this is not a valid HTTP/1.1 request"))

    def _idle(self) -> bool:
        """Whether no request is being answered: what comes next is a head."""
        cycle: Any = self.cycle  # None before the first request, whatever its type says
        return cycle is None or cycle.response_complete

    def _await_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_DEADLINE_S, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self._idle():
            self._refuse(Problem(408, "request_timeout", f"no request arrived within {HEAD_DEADLINE_S:g} s"))

    def _refuse(self, problem: Problem) -> None:
        if self.transport.is_closing():
            return
        body = problem.body("")
        head = (
            f"HTTP/1.1 {problem.status} {_PHRASES[problem.status]}\r\n"
            f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
            "cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


_PHRASES = {400: "Bad Request", 408: "Request Timeout", 503: "Service Unavailable"}
