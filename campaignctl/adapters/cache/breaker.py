"""A circuit breaker: what keeps failing is left alone for a while, then tried once."""

import time
from collections.abc import Callable
from enum import StrEnum
from threading import Lock


class Circuit(StrEnum):
    CLOSED = "closed"
    """All is well: calls go through."""
    OPEN = "open"
    """No call goes through."""
    HALF_OPEN = "half_open"
    """One call is on its way; the others do not go through until it is judged."""


class Breaker:
    """Opens after ``failures`` in a row, for ``open_s`` seconds; the first call after that decides. Thread-safe."""

    def __init__(self, failures: int, open_s: float, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._open_s = open_s
        self._monotonic_s = monotonic_s
        self._lock = Lock()
        self._circuit = Circuit.CLOSED
        self._in_a_row = 0
        self._tried_s = 0.0

    @property
    def circuit(self) -> Circuit:
        return self._circuit

    def lets_through(self) -> bool:
        """Whether to make the call; whoever makes it says ``succeeded`` or ``failed`` afterwards."""
        with self._lock:
            if self._circuit is Circuit.CLOSED:
                return True
            # A try that was never judged (its thread is gone) must not keep the circuit half open for ever.
            if self._monotonic_s() - self._tried_s < self._open_s:
                return False
            self._circuit = Circuit.HALF_OPEN
            self._tried_s = self._monotonic_s()
            return True

    def succeeded(self) -> bool:
        """Whether this closed the circuit."""
        with self._lock:
            was_closed = self._circuit is Circuit.CLOSED
            self._circuit = Circuit.CLOSED
            self._in_a_row = 0
            return not was_closed

    def failed(self) -> bool:
        """Whether this opened a circuit that was closed."""
        with self._lock:
            was_closed = self._circuit is Circuit.CLOSED
            self._in_a_row += 1
            if was_closed and self._in_a_row < self._limit:
                return False
            self._circuit = Circuit.OPEN
            self._tried_s = self._monotonic_s()
            return was_closed
