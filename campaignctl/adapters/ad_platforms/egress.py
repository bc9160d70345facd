"""Where a platform's client may connect to, and the transport that connects nowhere else.

The hosts are the operator's configuration (``meta.base_url`` and its like), never a platform's answer or a user's
input. A host that is loopback by its name (``localhost``, ``127.0.0.1``, ``::1``) may be spoken to over HTTP and must
lead to loopback; every other one needs HTTPS and must lead to public addresses only: private networks and the metadata
services of clouds (169.254.169.254) are refused. The addresses are judged after the name was resolved, and the
connection goes to an address that was judged, so a name that changes its mind in between leads nowhere.
"""

import ipaddress
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from campaignctl.errors import ConfigurationError

_MAX_CONNECTIONS = 32
_LOOPBACK_NAMES = frozenset({"localhost"})

Resolve = Callable[[str, int], Sequence[str]]
"""A host and a port to its addresses, in the order in which they are tried; raises ``OSError``."""
MonotonicS = Callable[[], float]


class EgressRefused(httpx2.ConnectError):
    """The host led to an address that a platform cannot have."""


def is_loopback_name(host: str) -> bool:
    """Whether the operator said loopback: by the name itself, not by what it resolves to."""
    if host.lower() in _LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def checked_url(text: str, key: str) -> httpx2.URL:
    """An address from the configuration; ``key`` names it in the ``ConfigurationError`` that a bad one raises."""
    try:
        url = httpx2.URL(text)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise ConfigurationError(f"{key} must be https:// with a host, and without user, query or fragment")
    if url.scheme == "http" and not is_loopback_name(url.host):
        raise ConfigurationError(
            f"{key} must begin with https://: credentials are sent there", hint="http:// serves loopback alone"
        )
    return url


def may_connect(host: str, address: str) -> bool:
    """Whether ``address``, to which ``host`` was resolved, is one that the host may have."""
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, ipaddress.IPv6Address):
        ip = ip.ipv4_mapped or ip.sixtofour or ip
    if is_loopback_name(host):
        return ip.is_loopback
    return ip.is_global and not ip.is_multicast


def resolve(host: str, port: int) -> Sequence[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class _Deadline(threading.local):
    """When the present call of this thread has to be over, on the monotonic clock."""

    at: float | None = None


class EgressTransport(httpx2.BaseTransport):
    """HTTP/1.1 over pooled connections, made only to addresses that ``may_connect`` allows.

    No proxy of the environment, no cookie, no redirect. ``deadline`` bounds everything that the thread does inside it,
    headers that come byte by byte included.
    """

    def __init__(self, monotonic_s: MonotonicS, *, resolve: Resolve = resolve) -> None:
        self._deadline = _Deadline()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False),
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_CONNECTIONS,
            keepalive_expiry=30.0,
            network_backend=_Backend(resolve, monotonic_s, self._deadline),
        )

    @contextmanager
    def deadline(self, at: float) -> Iterator[None]:
        self._deadline.at = at
        try:
            yield
        finally:
            self._deadline.at = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        url = request.url
        core = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.read(),
            extensions=request.extensions,
        )
        with _as_httpx():
            response = self._pool.handle_request(core)
        return httpx2.Response(response.status, headers=response.headers, stream=_Body(response))

    def close(self) -> None:
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, response: httpcore2.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _as_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextmanager
def _as_httpx() -> Iterator[None]:
    """The driver's failures in the terms of ``httpx2``, so that a test's transport and the real one fail alike."""
    try:
        yield
    except httpcore2.TimeoutException as error:
        raise httpx2.ReadTimeout(str(error)) from error
    except (httpcore2.NetworkError, httpcore2.ProtocolError, httpcore2.UnsupportedProtocol) as error:
        raise httpx2.NetworkError(str(error)) from error


class _Backend(httpcore2.NetworkBackend):
    """Resolves, judges, and connects to what was judged. TLS still asks for the certificate of the host's name."""

    def __init__(self, resolve: Resolve, monotonic_s: MonotonicS, deadline: _Deadline) -> None:
        self._resolve = resolve
        self._monotonic_s = monotonic_s
        self._deadline = deadline
        self._sockets = httpcore2.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        try:
            addresses = self._resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise httpcore2.ConnectError("the host's name cannot be resolved") from error
        if not addresses or not all(may_connect(host, address) for address in addresses):
            raise EgressRefused(f"{host} leads to an address that no platform has")
        failure: Exception = httpcore2.ConnectError("no address")
        for address in addresses:
            try:
                stream = self._sockets.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
                continue
            return _Stream(stream, self._monotonic_s, self._deadline)
        raise failure


class _Stream(httpcore2.NetworkStream):
    """A connection whose every wait also ends at the call's deadline."""

    def __init__(self, stream: httpcore2.NetworkStream, monotonic_s: MonotonicS, deadline: _Deadline) -> None:
        self._stream = stream
        self._monotonic_s = monotonic_s
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, self._left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, self._left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        left = self._left(timeout, httpcore2.ConnectTimeout)
        stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _Stream(stream, self._monotonic_s, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def _left(self, timeout: float | None, kind: type[Exception]) -> float | None:
        at = self._deadline.at
        if at is None:
            return timeout
        left = at - self._monotonic_s()
        if left <= 0:
            raise kind("the call took too long as a whole")
        return left if timeout is None else min(timeout, left)
