"""A cache that processes share, on a Redis server that may be away, slow, full, flushed or lying.

Every failure is a miss: nothing here raises but ``ping``. The driver's own defaults would stall for a minute on a
frozen server (10 retries of 5 s), so there are no retries, 0.2 s to connect and 0.1 s to answer; after five failures in
a row the server is left alone for five seconds at a time.

A value is stored in a frame with a checksum of its key and itself. What is not such a frame (truncated, written by
something else, answered to another question) is a miss too.
"""

import hashlib
import logging
import re
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import redis
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthenticationWrongNumberOfArgsError,
    NoPermissionError,
    RedisError,
    ResponseError,
)
from redis.retry import Retry

from campaignctl.adapters.cache.breaker import Breaker, Circuit
from campaignctl.errors import ConfigurationError, Unavailable
from campaignctl.ports.cache import Hit

if TYPE_CHECKING:
    from campaignctl.adapters.cache.tiered import SharedCache

MAX_VALUE_BYTES = 8 * 1024 * 1024
CONNECT_S = 0.2
ANSWER_S = 0.1
CLOSE_AFTER_FAILURES = 5
OPEN_S = 5.0
_MAX_CONNECTIONS = 32
_PREFIX = "campaignctl:cache:2:"
"""The number is the frame's format: another one never reads what this one wrote."""
_MAGIC = b"ca1\x00"
_DIGEST_BYTES = 16
_HEAD_BYTES = len(_MAGIC) + _DIGEST_BYTES
_ADDRESS = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s/@:\[\]]+)):(\d{1,5})")
# What the driver raises, and what its parsing of answers to its own greetings may raise when they are of no known kind.
_FAILURES = (RedisError, OSError, ValueError, TypeError, AttributeError, LookupError, RecursionError)

_TAKEN = b"OK"

_T = TypeVar("_T")
_Command: TypeAlias = tuple[str | bytes | int, ...]
_log = logging.getLogger(__name__)


_NO_WRITES = {
    "OOM": "; nothing is cached: raise its maxmemory, or set maxmemory-policy to allkeys-lru",
    "READONLY": "; nothing is cached: it is a replica, name the primary in redis.addr",
    "MISCONF": "; nothing is cached: it cannot write its snapshot, free its disk or turn snapshots off",
}
"""What to do about a server that answers, and takes no writes."""


@dataclass(slots=True)
class CacheCounts:
    """What has happened since the start."""

    failures: int = 0
    """Calls that the server did not answer, or refused."""
    skipped: int = 0
    """Calls that were not made: the server had not answered before, or all connections were busy."""
    unreadable: int = 0
    """Values that were not what was put."""


class RedisCache:
    """A ``Cache`` on the server at ``addr`` (``host:port``, ``[::1]:6379``). Thread-safe. Nothing is connected yet.

    Values of more than 8 MiB are not kept. ``prefix`` stands before every key, behind the product's own;
    ``tls_ca_file`` names certificates to trust in place of the system's. Raises ``ConfigurationError`` when ``addr``
    cannot be read.
    """

    def __init__(
        self,
        addr: str,
        *,
        username: str = "",
        password: str = "",
        db: int = 0,
        tls: bool = False,
        tls_ca_file: str = "",
        prefix: str = "",
        max_connections: int = _MAX_CONNECTIONS,
        breaker: Breaker | None = None,
    ) -> None:
        self.counts = CacheCounts()
        self._addr = addr
        self._prefix = f"{_PREFIX}{prefix}"
        self._breaker = breaker or Breaker(CLOSE_AFTER_FAILURES, OPEN_S)
        self._refusals: set[str] = set()
        self._closed = False
        options: dict[str, Any] = {"username": username or None, "password": password or None, "db": db}
        if tls:
            options |= {"connection_class": redis.SSLConnection, "ssl_ca_certs": tls_ca_file or None}
        self._connections = BoundedSemaphore(max_connections)
        self._client = redis.Redis(connection_pool=_pool(addr, max_connections, options))

    @property
    def circuit(self) -> Circuit:
        """Whether the server is being asked at present."""
        return self._breaker.circuit

    def get(self, key: str, /) -> bytes | None:
        name = self._name(key)
        frame = self._call(lambda: self._client.get(name))
        return self._opened(name, frame)

    def find(self, key: str, /) -> Hit | None:
        value = self.get(key)
        return None if value is None else Hit(value, "l2")

    def at_hand(self, key: str, /) -> bytes | None:
        return None

    def get_with_ttl(self, key: str, /) -> tuple[bytes, float] | None:
        """As ``get``, with the seconds that the value has left."""
        name = self._name(key)

        answers = self._call(lambda: self._together(("GET", name), ("PTTL", name)))
        if answers is None:
            return None
        value, left_ms = self._opened(name, answers[0]), answers[1]
        if value is None:
            return None
        return value, max(0, left_ms) / 1000 if isinstance(left_ms, int) else 0.0

    def get_all(self, keys: Sequence[str], /) -> list[bytes | None] | None:
        """As ``get`` for each of one key or more, in one visit; None when the server does not answer it."""
        names = [self._name(key) for key in keys]
        answers = self._call(lambda: self._together(("MGET", *names)))
        if answers is None:
            return None
        frames = answers[0]
        if not isinstance(frames, list) or len(frames) != len(names):
            self.counts.unreadable += 1
            return None
        return [self._opened(name, frame) for name, frame in zip(names, frames, strict=True)]

    def put(self, key: str, value: bytes, ttl_s: float, /) -> None:
        self.put_all({key: (value, ttl_s)})

    def put_all(self, entries: Mapping[str, tuple[bytes, float]], /) -> None:
        commands: list[_Command] = []
        summed_up: bytes | None = None
        for key, (value, ttl_s) in entries.items():
            name, ttl_ms = self._name(key), round(ttl_s * 1000)
            if ttl_ms <= 0 or len(value) > MAX_VALUE_BYTES:
                commands.append(("DEL", name))  # what was there before is not the value any more
                continue
            if value is not summed_up:  # an answer is put under two keys
                summed_up, sum_of_value = value, _sum(value)
            frame = b"".join((_MAGIC, _digest(name, sum_of_value), value))
            commands.append(("SET", name, frame, "PX", ttl_ms))
        answers = self._call(lambda: self._together(*commands))
        if answers is not None and _TAKEN in answers:
            self._refusals.clear()

    def ping(self) -> None:
        """Ask the server, whatever it did before; raises ``Unavailable`` when it does not answer."""
        try:
            self._client.ping()
        except _FAILURES as error:
            raise Unavailable(f"Redis at {self._addr} {_reason(error)}", service="cache", hint=_hint(error)) from error

    def close(self) -> None:
        """Let go of the connections; whatever is asked afterwards is a miss."""
        self._closed = True
        self._client.connection_pool.disconnect()

    def _together(self, *commands: "_Command") -> list[object]:
        """The answers to commands that are sent together: the driver's own way takes twice the CPU.

        Raises what the server refused one of them with, when it has answered all of them.
        """
        pool = self._client.connection_pool
        connection: Any = pool.get_connection()
        try:
            connection.send_packed_command(connection.pack_commands(commands))
            answers = [_answer_or_refusal(connection) for _ in commands]
        except BaseException:
            connection.disconnect()  # what was not read is no answer to whoever asks next
            raise
        finally:
            pool.release(connection)
        for answer in answers:
            if isinstance(answer, ResponseError):
                raise answer
        return answers

    def _call(self, ask: Callable[[], _T]) -> _T | None:
        """The server's answer; None for every failure."""
        if self._closed:
            return None
        # All connections busy: waiting longer than for an answer would cost more than the answer saves. That is our
        # own load, and says nothing about the server.
        if not self._connections.acquire(timeout=ANSWER_S):
            self.counts.skipped += 1
            return None
        try:
            return self._ask(ask)
        finally:
            self._connections.release()

    def _ask(self, ask: Callable[[], _T]) -> _T | None:
        if not self._breaker.lets_through():
            self.counts.skipped += 1
            return None
        try:
            answer = ask()
        except _FAILURES as error:
            self.counts.failures += 1
            self._judge(error)
            return None
        if self._breaker.succeeded():
            _log.info("the cache at %s answers again", self._addr)
        return answer

    def _judge(self, error: Exception) -> None:
        """Tell a server that is away from one that answers, and refuses this."""
        if isinstance(error, ResponseError) and not _refuses_everything(error):
            self._breaker.succeeded()
            refusal = _refusal(error)
            if refusal not in self._refusals:
                self._refusals.add(refusal)
                remedy = _NO_WRITES.get(refusal, "")
                _log.warning("the cache at %s refuses a command: %s%s", self._addr, refusal, remedy)
        elif self._breaker.failed():
            _log.warning("the cache at %s %s; going on without it", self._addr, _reason(error))

    def _opened(self, name: bytes, frame: object) -> bytes | None:
        """The value in a frame; None when there is none, or it is not the one that was put under the name."""
        if frame is None:
            return None
        if isinstance(frame, bytes) and frame.startswith(_MAGIC):
            value = frame[_HEAD_BYTES:]
            if len(value) <= MAX_VALUE_BYTES and frame[len(_MAGIC) : _HEAD_BYTES] == _digest(name, _sum(value)):
                return value
        self.counts.unreadable += 1
        return None

    def _name(self, key: str) -> bytes:
        return f"{self._prefix}{key}".encode(errors="surrogatepass")


def _pool(addr: str, max_connections: int, options: dict[str, Any]) -> redis.ConnectionPool:
    address = _ADDRESS.fullmatch(addr)
    if address is None or not 1 <= int(address[3]) <= 65_535:
        raise ConfigurationError("redis.addr must be host:port", hint="for example localhost:6379")
    return redis.ConnectionPool(
        max_connections=max_connections,
        host=address[1] or address[2],
        port=int(address[3]),
        socket_connect_timeout=CONNECT_S,
        socket_timeout=ANSWER_S,
        retry=Retry(NoBackoff(), 0),
        protocol=2,  # one greeting less for each connection, and servers older than 6 know no other
        driver_info=None,  # two more
        socket_keepalive=True,
        **options,
    )


def _answer_or_refusal(connection: Any) -> object:
    """What the server answers next."""
    try:
        return connection.read_response()
    except ResponseError as refusal:
        return refusal


def _sum(value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=_DIGEST_BYTES).digest()


def _digest(name: bytes, sum_of_value: bytes) -> bytes:
    return hashlib.blake2b(sum_of_value + name, digest_size=_DIGEST_BYTES).digest()


def _refuses_everything(error: ResponseError) -> bool:
    """Without the right user nothing will ever be answered."""
    refusals = (AuthenticationError, AuthenticationWrongNumberOfArgsError, NoPermissionError)
    return isinstance(error, refusals) or str(error).startswith(("NOAUTH", "WRONGPASS"))


def _reason(error: Exception) -> str:
    """In our words: the driver's may repeat what it was sent."""
    if isinstance(error, AuthenticationError) or (isinstance(error, ResponseError) and _refuses_everything(error)):
        return "does not accept the user name or the password"
    if isinstance(error, redis.exceptions.TimeoutError):
        return "does not answer in time"
    if isinstance(error, redis.exceptions.InvalidResponse):
        return "does not speak the Redis protocol"
    if isinstance(error, redis.exceptions.BusyLoadingError):
        return "is still loading its data"
    if isinstance(error.__context__, ssl.SSLCertVerificationError):
        return "shows a certificate that is not trusted"
    if isinstance(error.__context__, ssl.SSLError):
        return "does not speak TLS"
    if isinstance(error, redis.exceptions.ConnectionError | OSError):
        return "cannot be reached"
    if isinstance(error, ResponseError):
        return f"refuses commands ({_refusal(error)})"
    return "gives answers that cannot be read"


def _refusal(error: ResponseError) -> str:
    """OOM, READONLY, WRONGTYPE, DB: what follows may name the key. The driver takes some of them off the sentence."""
    if isinstance(error, redis.exceptions.OutOfMemoryError):
        return "OOM"
    if isinstance(error, redis.exceptions.ReadOnlyError):
        return "READONLY"
    return str(error).partition(" ")[0]


def _hint(error: Exception) -> str:
    if isinstance(error, AuthenticationError | ResponseError):
        return "check redis.username, redis.password and redis.db"
    return "check redis.addr; answers come without the cache until then"


if TYPE_CHECKING:

    def _conforms(adapter: RedisCache) -> SharedCache:
        return adapter
