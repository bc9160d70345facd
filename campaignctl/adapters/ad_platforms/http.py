"""One careful HTTP caller for all platforms.

A call has 5 s to connect, 30 s for each wait and 120 s as a whole; an answer may have 50 MB when unpacked, counted
while it streams, whatever its headers claim. Redirects are not followed, cookies not kept, proxies of the environment
not used. A *judge* of the platform looks at each answer and says what it is: the payload, ``Retry`` (it may succeed in
a moment), ``Hold`` (nothing may be called for a while), or an error that ends it. What cannot succeed is never
repeated, and what may succeed only a bounded number of times.

Logs hold the platform, what was asked for and the status: no address with its query, no header, no body.
"""

import logging
import random
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TypeVar

import httpx2

from campaignctl import __version__
from campaignctl.adapters.ad_platforms.egress import EgressTransport
from campaignctl.adapters.ad_platforms.gate import Gate, Held
from campaignctl.errors import (
    PlatformAnswerInvalid,
    PlatformError,
    PlatformThrottled,
    PlatformUnavailable,
)
from campaignctl.ports.ad_platforms import CallOutcome, PlatformWatch, Unwatched, WaitReason
from campaignctl.ports.clock import Clock

_T = TypeVar("_T")
_log = logging.getLogger(__name__)

_CHUNK_BYTES = 256 * 1024
_MULTIPLIER = 2.0
_LONGEST_BACKOFF_S = 60.0
_HELD = "is not called before its quota is free again"
_UNKNOWN_HOLD_S = 60.0
"""For a quota that is used up where the platform does not say until when."""


@dataclass(frozen=True, slots=True)
class HttpLimits:
    connect_s: float = 5.0
    read_s: float = 30.0
    total_s: float = 120.0
    """One call, from its first byte to the last byte of its answer."""
    body_bytes: int = 50_000_000
    """Of an answer, unpacked."""
    patience_s: float = 60.0
    """The longest wait that a call waits through itself; for a longer one it raises ``PlatformThrottled``."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as often as it takes."""

    what: str
    """For people and logs: ``the report``. Holds nothing that came from credentials or answers."""
    method: str
    url: str = field(repr=False)
    account_id: str
    keys: tuple[str, ...]
    """What the gate knows the call by; the first is the account."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes | None = field(default=None, repr=False)
    shrinkable: bool = False
    """A smaller request would be possible: an answer that breaks off or is too large raises ``TooMuch`` at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: httpx2.Headers = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 300


@dataclass(frozen=True, slots=True)
class Retry:
    """It may succeed in a moment."""

    reason: str
    """For people: ``answered with status 500``."""
    first_s: float = 1.0
    """The upper end of the first wait; it doubles."""
    tries: int = 5
    """All together, the first one included."""
    error: type[PlatformError] = PlatformUnavailable
    """What it is when the tries are used up."""


@dataclass(frozen=True, slots=True)
class Hold:
    """A quota is used up."""

    reason: str
    """For people: ``the app's request limit is reached``."""
    key: str
    """Whose quota: one of the call's keys."""
    wait_s: float | None = None
    """As the platform says; None: by ``Retry-After``, else doubling from ``first_s``
    with every time in a row."""
    first_s: float = _UNKNOWN_HOLD_S
    tries: int = 4


class TooMuch(Exception):
    """The platform cannot answer a request of this size. Never leaves the adapter."""

    def __init__(self, reason: str, *, smaller_pages_help: bool = False, again_may_help: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.smaller_pages_help = smaller_pages_help
        """Whether asking for fewer rows a page may do."""
        self.again_may_help = again_may_help
        """Whether the same request may succeed: the answer broke off on its way."""


class Unauthorized(Exception):
    """The platform refused the access token. Never leaves the adapter."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Judge = Callable[[Answer], "_T | Retry | Hold"]


class Caller:
    """Calls one platform. Safe to share between threads; close it when done.

    ``origins`` are the configured addresses: a call anywhere else is refused before anything is sent. Tests give a
    ``transport`` of their own; without one, ``EgressTransport`` decides what may be connected to.
    """

    def __init__(
        self,
        platform: str,
        origins: Sequence[httpx2.URL],
        *,
        clock: Clock,
        dice: random.Random,
        gate: Gate,
        limits: HttpLimits | None = None,
        transport: httpx2.BaseTransport | None = None,
        watch: PlatformWatch | None = None,
    ) -> None:
        self.platform = platform
        self._watch = watch or Unwatched()
        self.gate = gate
        self._origins = frozenset(map(_origin, origins))
        self._clock = clock
        self._dice = dice
        self._limits = limits or HttpLimits()
        self._transport = transport or EgressTransport(clock.monotonic_s)

    def close(self) -> None:
        self._transport.close()

    def fetch(self, call: Call, judge: "Judge[_T]") -> _T:
        """What the judge makes of the answer, after as many tries as it takes and is allowed."""
        tried = 0
        while True:
            self._wait_for_turn(call)
            tried += 1
            answer, verdict = self._tried(call, judge)
            headers = None if isinstance(answer, Retry) else answer.headers
            match verdict:
                case Retry():
                    self._before_retry(call, verdict, tried, headers)
                case Hold():
                    self._before_release(call, verdict, tried, headers)
                case _:
                    self.gate.succeeded(call.keys)
                    return verdict

    def _tried(self, call: Call, judge: "Judge[_T]") -> "tuple[Answer | Retry, _T | Retry | Hold]":
        """One try and what it came to; whatever that is, the watch is told."""
        began_s, outcome = self._clock.monotonic_s(), CallOutcome.REFUSED
        try:
            answer = self._once(call)
            verdict = answer if isinstance(answer, Retry) else self._judged(call, answer, judge)
            outcome = _outcome_of(answer, verdict)
        except TooMuch:
            outcome = CallOutcome.TOO_MUCH
            raise
        except Unauthorized:
            outcome = CallOutcome.UNAUTHORIZED
            raise
        finally:
            self._watch.called(self.platform, outcome, self._clock.monotonic_s() - began_s)
        return answer, verdict

    def _judged(self, call: Call, answer: Answer, judge: "Judge[_T]") -> "_T | Retry | Hold":
        if 300 <= answer.status < 400:
            raise self.error(PlatformAnswerInvalid, call, "answered with a redirect, which is never followed")
        try:
            verdict = judge(answer)
        except TooMuch:  # the platform took the call: no quota is in the way any more
            self.gate.succeeded(call.keys)
            raise
        if isinstance(verdict, Retry | Hold):
            _log.info("%s: %s %s (status %d)", self.platform, call.what, verdict.reason, answer.status)
        return verdict

    def error(self, kind: type[PlatformError], call: Call, reason: str, *, hint: str = "") -> PlatformError:
        return kind(
            f"{self.platform}: {call.what} {reason}", platform=self.platform, account_id=call.account_id, hint=hint
        )

    # ---- waiting

    def _wait_for_turn(self, call: Call) -> None:
        try:
            waited = self.gate.enter(call.keys, patience_s=self._limits.patience_s)
        except Held as held:
            raise self._throttled(call, _HELD, held.wait_s) from None
        self._watch.waited(self.platform, WaitReason.QUOTA, waited.held_s)
        self._watch.waited(self.platform, WaitReason.PACE, waited.pace_s)

    def require_free(self, call: Call) -> None:
        """Raise ``PlatformThrottled`` where the call would have to wait for longer than it waits by itself."""
        held_s = self.gate.held_for_s(call.keys)
        if held_s > self._limits.patience_s:
            raise self._throttled(call, _HELD, held_s)

    def _throttled(self, call: Call, reason: str, retry_after_s: float) -> PlatformThrottled:
        return PlatformThrottled(
            f"{self.platform}: {call.what} {reason}",
            platform=self.platform,
            account_id=call.account_id,
            retry_after_s=retry_after_s,
        )

    def _before_retry(self, call: Call, retry: Retry, tried: int, headers: httpx2.Headers | None) -> None:
        told_s = self._retry_after_s(headers)
        if told_s is not None:
            self.gate.hold(call.keys[0], told_s)
        if tried >= retry.tries:
            error = self.error(retry.error, call, f"{retry.reason}, {tried} times in a row")
            error.retry_after_s = told_s
            raise error from None
        if told_s is None:  # otherwise the gate waits
            wait_s = self._backoff_s(retry.first_s, tried)
            self._clock.sleep(wait_s)
            self._watch.waited(self.platform, WaitReason.RETRY, wait_s)

    def _before_release(self, call: Call, hold: Hold, tried: int, headers: httpx2.Headers | None) -> None:
        told_s = hold.wait_s if hold.wait_s is not None else self._retry_after_s(headers)
        # Not all waiters should come back in the same instant, and none too early.
        wait_s = (
            told_s + self._dice.uniform(0.0, 1.0)
            if told_s is not None
            else self.gate.next_untold_hold_s(hold.key, hold.first_s) * self._dice.uniform(1.0, 1.25)
        )
        self.gate.hold(hold.key, wait_s)
        if tried >= hold.tries or wait_s > self._limits.patience_s:
            raise self._throttled(call, hold.reason, self.gate.held_for_s(call.keys)) from None

    def _backoff_s(self, first_s: float, tried: int) -> float:
        """Full jitter: anything up to a bound that doubles."""
        return self._dice.uniform(0.0, min(_LONGEST_BACKOFF_S, first_s * _MULTIPLIER ** (tried - 1)))

    def _retry_after_s(self, headers: httpx2.Headers | None) -> float | None:
        text = (headers.get("retry-after", "") if headers is not None else "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) < 12:
            return float(text)
        try:
            at = parsedate_to_datetime(text)
        except (ValueError, IndexError, TypeError, OverflowError):
            return None
        at = at if at.tzinfo is not None else at.replace(tzinfo=UTC)
        return max(0.0, (at - self._clock.now()).total_seconds())

    # ---- one try

    def _once(self, call: Call) -> "Answer | Retry":
        """The answer, or why there is none."""
        url = httpx2.URL(call.url)
        if _origin(url) not in self._origins:
            raise self.error(PlatformAnswerInvalid, call, "would lead to a host that is not configured")
        until = self._clock.monotonic_s() + self._limits.total_s
        try:
            with self._deadline(until):
                return self._exchange(call, url, until)
        except _Unreadable as error:
            if call.shrinkable and error.smaller_helps:
                raise TooMuch(error.reason, again_may_help=not error.final) from None
            if error.final:
                raise self.error(PlatformAnswerInvalid, call, error.reason) from None
            failure = Retry(error.reason)
        except httpx2.TimeoutException:
            failure = Retry("did not get an answer in time")
        except httpx2.TransportError:
            failure = Retry("could not be sent: the platform cannot be reached")
        _log.info("%s: %s %s", self.platform, call.what, failure.reason)
        return failure

    def _deadline(self, until: float) -> AbstractContextManager[None]:
        return self._transport.deadline(until) if isinstance(self._transport, EgressTransport) else nullcontext()

    def _exchange(self, call: Call, url: httpx2.URL, until: float) -> Answer:
        limits = self._limits
        headers = {
            "User-Agent": f"campaignctl/{__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip",
            **call.headers,
        }
        waits = {"connect": limits.connect_s, "read": limits.read_s, "write": limits.read_s, "pool": limits.total_s}
        request = httpx2.Request(call.method, url, headers=headers, content=call.body, extensions={"timeout": waits})
        started = self._clock.monotonic_s()
        response = self._transport.handle_request(request)
        try:
            body = self._body(response, until)
        finally:
            response.close()
        _log.debug(
            "%s: %s answered with status %d, %d bytes, in %.3f s",
            self.platform,
            call.what,
            response.status_code,
            len(body),
            self._clock.monotonic_s() - started,
        )
        return Answer(response.status_code, response.headers, body)

    def _body(self, response: httpx2.Response, until: float) -> bytes:
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "gzip", ""):
            raise _Unreadable("answered in a coding that was not asked for", final=True)
        body = bytearray()
        for piece in _unpacked(self._chunks(response), gzip=coding == "gzip"):
            body += piece
            if len(body) > self._limits.body_bytes:
                raise _Unreadable("answered with more than fits", smaller_helps=True, final=True)
            if self._clock.monotonic_s() > until:
                raise _Unreadable("was answered too slowly", smaller_helps=True)
        return bytes(body)

    def _chunks(self, response: httpx2.Response) -> Iterator[bytes]:
        stream = response.stream
        if not isinstance(stream, httpx2.SyncByteStream):
            raise _Unreadable("answered with nothing to read", final=True)
        try:
            yield from stream
        except httpx2.TransportError:
            raise _Unreadable("was answered with a body that broke off", smaller_helps=True) from None


class _Unreadable(Exception):
    def __init__(self, reason: str, *, smaller_helps: bool = False, final: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.smaller_helps = smaller_helps
        self.final = final


def _unpacked(chunks: Iterator[bytes], *, gzip: bool) -> Iterator[bytes]:
    """Pieces of bounded size, so that a bomb is noticed before it is unpacked."""
    if not gzip:
        yield from chunks
        return
    unpack = zlib.decompressobj(wbits=31)
    try:
        for chunk in chunks:
            rest = chunk
            while rest:
                yield unpack.decompress(rest, _CHUNK_BYTES)
                rest = unpack.unconsumed_tail
        yield unpack.flush(_CHUNK_BYTES)
    except zlib.error:
        raise _Unreadable("was answered with a damaged body", smaller_helps=True) from None
    if not unpack.eof:
        raise _Unreadable("was answered with a body that broke off", smaller_helps=True)


def _origin(url: httpx2.URL) -> tuple[str, str, int]:
    return url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80)


def _outcome_of(answer: "Answer | Retry", verdict: object) -> CallOutcome:
    if isinstance(answer, Retry):
        return CallOutcome.UNREACHABLE
    if isinstance(verdict, Hold) or (isinstance(verdict, Retry) and answer.status == 429):
        return CallOutcome.THROTTLED
    return CallOutcome.TRANSIENT if isinstance(verdict, Retry) else CallOutcome.OK
