"""Where connections may go, and what real sockets do: a server on loopback that misbehaves."""

import contextlib
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator

import httpx2
import pytest

from campaignctl.adapters.ad_platforms.egress import EgressTransport, checked_url, may_connect
from campaignctl.adapters.ad_platforms.gate import Gate
from campaignctl.adapters.ad_platforms.http import Answer, Call, Caller, HttpLimits, Retry
from campaignctl.adapters.clock import SystemClock
from campaignctl.errors import ConfigurationError, PlatformAnswerInvalid, PlatformError, PlatformUnavailable
from tests.fakes.clock import ManualClock

Serve = Callable[[socket.socket], None]


@pytest.mark.parametrize(
    ("host", "address", "allowed"),
    [
        ("graph.facebook.com", "157.240.1.1", True),
        ("graph.facebook.com", "2a03:2880:f12f:83:face:b00c:0:25de", True),
        ("graph.facebook.com", "127.0.0.1", False),
        ("graph.facebook.com", "::1", False),
        ("graph.facebook.com", "10.1.2.3", False),
        ("graph.facebook.com", "172.16.0.1", False),
        ("graph.facebook.com", "192.168.1.1", False),
        ("graph.facebook.com", "100.64.0.1", False),
        ("graph.facebook.com", "169.254.169.254", False),
        ("graph.facebook.com", "fe80::1%eth0", False),
        ("graph.facebook.com", "fd00:ec2::254", False),
        ("graph.facebook.com", "::ffff:169.254.169.254", False),
        ("graph.facebook.com", "::ffff:127.0.0.1", False),
        ("graph.facebook.com", "2002:7f00:0001::", False),
        ("graph.facebook.com", "0.0.0.0", False),
        ("graph.facebook.com", "224.0.0.1", False),
        ("graph.facebook.com", "255.255.255.255", False),
        ("graph.facebook.com", "no address", False),
        ("2130706433", "127.0.0.1", False),
        ("0x7f000001", "127.0.0.1", False),
        ("localhost", "127.0.0.1", True),
        ("localhost", "::1", True),
        ("localhost", "8.8.8.8", False),
        ("127.0.0.1", "127.0.0.1", True),
        ("127.0.0.1", "169.254.169.254", False),
    ],
)
def test_an_address_is_judged_by_what_the_operator_configured(host: str, address: str, allowed: bool) -> None:
    assert may_connect(host, address) is allowed


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000", "http://localhost:1/x", "http://[::1]:9", "https://graph.facebook.com"]
)
def test_https_is_asked_of_every_host_but_loopback(url: str) -> None:
    assert str(checked_url(url, "meta.base_url")) == url


@pytest.mark.parametrize(
    "url",
    [
        "http://graph.facebook.com",
        "http://10.0.0.1",
        "file:///etc/passwd",
        "gopher://x",
        "https://u:p@x",
        "https://x/?a=1",
        "",
        "https://",
        "http://127.0.0.1.evil.example",
    ],
)
def test_other_addresses_are_configuration_errors(url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"meta\.base_url"):
        checked_url(url, "meta.base_url")


@pytest.mark.parametrize("addresses", [["169.254.169.254"], ["8.8.8.8", "127.0.0.1"], []])
def test_a_name_that_leads_inside_is_not_connected_to(addresses: list[str]) -> None:
    clock = ManualClock()
    transport = EgressTransport(clock.monotonic_s, resolve=lambda host, port: addresses)
    url = "https://graph.facebook.com/x"
    caller = Caller(
        "meta", [httpx2.URL(url)], clock=clock, dice=random.Random(1), gate=Gate(clock, 0), transport=transport
    )
    with pytest.raises(PlatformUnavailable, match="cannot be reached"):
        caller.fetch(Call("the report", "GET", url, account_id="1", keys=("account:1",)), _judge)
    caller.close()


# ---- real sockets


@contextlib.contextmanager
def server(serve: Serve) -> Iterator[tuple[str, list[int]]]:
    """Accepts connections on loopback, reads one request of each and lets ``serve`` answer; counts them."""
    listener = socket.create_server(("127.0.0.1", 0))
    accepted: list[int] = []

    def run() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                accepted.append(1)
                with connection, contextlib.suppress(OSError):
                    connection.recv(65_536)
                    serve(connection)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", accepted
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


class _ImpatientClock(SystemClock):
    """Real time, without the waits between tries."""

    def sleep(self, seconds: float, /) -> None:
        pass


def _judge(answer: Answer) -> bytes | Retry:
    return answer.body if answer.ok else Retry("failed")


def fetched(url: str, *, read_s: float = 0.3, total_s: float = 0.6) -> bytes:
    clock = _ImpatientClock()
    limits = HttpLimits(connect_s=1, read_s=read_s, total_s=total_s)
    caller = Caller("meta", [httpx2.URL(url)], clock=clock, dice=random.Random(1), gate=Gate(clock, 0), limits=limits)
    try:
        return caller.fetch(Call("the report", "GET", url + "/x", account_id="1", keys=("account:1",)), _judge)
    finally:
        caller.close()


def _says(*pieces: bytes, pause_s: float = 0.0) -> Serve:
    def serve(connection: socket.socket) -> None:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause_s)

    return serve


def test_an_answer_over_a_real_connection() -> None:
    with server(_says(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine")) as (url, _):
        assert fetched(url) == b"fine"


@pytest.mark.parametrize(
    ("serve", "error", "tries"),
    [
        (_says(b"HTTP/1.1 200 OK\r\nContent-Length: 400\r\n\r\nfine"), PlatformUnavailable, 5),
        (_says(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n"), PlatformUnavailable, 5),
        (_says(b"hello\r\n\r\n"), PlatformUnavailable, 5),
        (_says(), PlatformUnavailable, 5),
        (
            _says(b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"),
            PlatformAnswerInvalid,
            1,
        ),
        (_says(b"HTTP/1.1 200 OK\r\n", pause_s=0.5), PlatformUnavailable, 5),
        (_says(b"HTTP/1.1 200 OK\r\n", *[b"X: 1\r\n"] * 20, pause_s=0.05), PlatformUnavailable, 5),
        (_says(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x"] * 20, pause_s=0.05), PlatformUnavailable, 5),
    ],
    ids=["short body", "cut chunks", "no HTTP", "closed at once", "redirect", "silent", "slow headers", "slow body"],
)
def test_a_server_that_misbehaves(serve: Serve, error: type[PlatformError], tries: int) -> None:
    with server(serve) as (url, accepted), pytest.raises(error):
        fetched(url)
    assert len(accepted) == tries


def test_a_host_that_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(PlatformUnavailable, match="cannot be reached"):
        fetched(url)
