"""Connections of slow and hostile clients, against both parsers, over real sockets."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import uvicorn

from server import connection_guard, protocol
from server.protocol_httptools import GuardedHttpTools
from tests.support.waiting import eventually

PARSERS = [protocol.GuardedH11, GuardedHttpTools]


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers how many bytes came, or with as many as the path says."""
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    body = b"x" * int(scope["path"][1:]) if scope["path"][1:].isdigit() else str(size).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


@contextmanager
def running(parser: type[asyncio.Protocol], **limits: Any) -> Iterator[int]:
    """A server on a free port, with other limits than usual."""
    kind = type("Guarded", (parser,), limits)
    config = uvicorn.Config(
        echo, http=kind, ws="none", lifespan="off", log_config=None, access_log=False, server_header=False,
        timeout_keep_alive=1, h11_max_incomplete_event_size=connection_guard.MAX_HEAD_BYTES,
    )  # fmt: skip
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.005)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(10)


def talk(port: int, *sent: bytes, pause_s: float = 0.0, timeout_s: float = 5.0) -> bytes:
    """Send, and read until the server closes the connection or says nothing more."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        received = b""
        try:
            for piece in sent:
                connection.sendall(piece)
                time.sleep(pause_s)
            while chunk := connection.recv(65_536):
                received += chunk
        except (TimeoutError, ConnectionError):
            pass
        return received


@pytest.fixture(params=PARSERS, ids=["h11", "httptools"])
def parser(request: pytest.FixtureRequest) -> type[asyncio.Protocol]:
    kind: type[asyncio.Protocol] = request.param
    return kind


CLOSE = b"Connection: close\r\n\r\n"


def test_ordinary_requests_and_keep_alive(parser: type[asyncio.Protocol]) -> None:
    with running(parser) as port:
        one = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
        last = b"GET / HTTP/1.1\r\nHost: x\r\n" + CLOSE
        answer = talk(port, one, one, last, pause_s=0.05)
        assert answer.count(b"HTTP/1.1 200") == 3
        assert b"server:" not in answer.lower()
        pipelined = talk(port, one + one + last)
        assert pipelined.count(b"HTTP/1.1 200") == 3


HOSTILE = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "a header of 1 MB": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "20,000 headers": b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 20_000 + b"\r\n",
    "a path of 1 MB": b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "a length that is none": b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "a chunk that is none": b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a blank in a name": b"GET / HTTP/1.1\r\nHost: x\r\nX A: a\r\n\r\n",
    "NUL in a value": b"GET / HTTP/1.1\r\nHost: x\r\nX-A: a\x00b\r\n\r\n",
    "a path that is no ASCII": b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_request_is_a_problem(request_bytes: bytes, parser: type[asyncio.Protocol]) -> None:
    with running(parser) as port:
        answer = talk(port, request_bytes)
        # A client that is still sending may see the connection reset before it reads the answer.
        if answer:
            head, _, body = answer.partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 400"), head[:80]
            assert b"application/problem+json" in head
            assert json.loads(body)["status"] == 400
        assert talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + CLOSE).startswith(b"HTTP/1.1 200")


def test_a_million_trailers_do_not_fill_the_memory(parser: type[asyncio.Protocol]) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"X-A: aaaaaaaaaaaaaa\r\n" * 100_000
    )
    with running(parser) as port:
        assert b"HTTP/1.1 200" not in talk(port, request)


def test_a_request_head_has_a_deadline(parser: type[asyncio.Protocol], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_guard, "HEAD_DEADLINE_S", 0.3)
    with running(parser) as port:
        for sent in ([], [b"GET / HTTP/1.1\r\n"], [b"G", b"E", b"T", b" "]):
            begin = time.monotonic()
            answer = talk(port, *sent, pause_s=0.02)
            assert time.monotonic() - begin < 8  # 10 with the deadline it has otherwise
            assert answer.startswith(b"HTTP/1.1 408")
        one = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
        answer = talk(port, one, b"GET / HT", pause_s=0.1)  # on a connection that has served one
        assert answer.count(b"HTTP/1.1 200") == 1


def test_a_reader_that_stops_is_left(parser: type[asyncio.Protocol], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection_guard, "WRITE_DEADLINE_S", 0.3)
    with running(parser) as port, socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
        connection.sendall(b"GET /50000000 HTTP/1.1\r\nHost: x\r\n\r\n")
        time.sleep(2.0)  # nothing is read for longer than the deadline
        received = 0
        with pytest.raises(ConnectionError):
            while chunk := connection.recv(1 << 20):
                received += len(chunk)
            raise ConnectionError  # closed in order: the system had buffered nothing more
        assert received < 50_000_000


def test_connections_are_bounded(parser: type[asyncio.Protocol]) -> None:
    with running(parser, max_connections=2) as port:
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        time.sleep(0.1)
        refused = talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert not refused or refused.startswith(b"HTTP/1.1 503")
        for connection in idle:
            connection.close()
        eventually(lambda: talk(port, b"GET / HTTP/1.1\r\nHost: x\r\n" + CLOSE).startswith(b"HTTP/1.1 200"))


def test_the_faster_parser_is_taken_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert issubclass(protocol.guarded_protocol(), GuardedHttpTools)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert issubclass(protocol.guarded_protocol(7), protocol.GuardedH11)
    assert protocol.guarded_protocol(7).max_connections == 7  # type: ignore[attr-defined]
