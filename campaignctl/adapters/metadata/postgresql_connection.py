"""One connection to PostgreSQL that keeps deadlines, and what is known of the server from the connections before it.

A frozen server (stopped, swapped out, waiting for a dead disk) still acknowledges packets, so neither keepalives nor
timeouts of TCP notice it, and asking it to cancel a statement hangs as the statement does. A connection whose server
does not answer in time is therefore closed on this side and never asked again.
"""

import threading
import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.rows import DictRow
from psycopg.types.numeric import Int8Dumper

from campaignctl.errors import CampaignctlError

Result = TypeVar("Result")

_FAILURES_BEFORE_PAUSE = 3
_PAUSE_S = 0.5
"""While the server fails, one call in each such time asks it; the others fail at once. Also the longest that a server
which is back goes unnoticed."""
_ROLL_BACK_S = 0.5


class NoAnswerError(psycopg.OperationalError):
    """The server did not answer in time; the connection is closed."""


class Reachability:
    """What the last calls say of the server: answering, or failing and why. Shared by all connections and threads.

    It measures real time, whatever clock the store is given: sockets know no other.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed_calls = 0
        self._why: Callable[[], CampaignctlError] | None = None
        self._ask_again_at_s = 0.0
        self.answers = False
        """Whether the server answered when it was last asked; False before the first time."""
        self.failed_connects = 0
        """Rises with every attempt to connect that fails."""

    def admit(self) -> None:
        """Raise what the last failure was, unless it is worth asking the server."""
        with self._lock:
            if self._failed_calls < _FAILURES_BEFORE_PAUSE or self._why is None:
                return
            now_s = time.monotonic()
            if now_s >= self._ask_again_at_s:
                self._ask_again_at_s = now_s + _PAUSE_S
                return
            why = self._why
        raise why()

    def answered(self) -> None:
        if self.answers:  # without the lock: this is after every transaction
            return
        with self._lock:
            self._failed_calls, self._why, self.answers = 0, None, True

    def connect_failed(self, why: Callable[[], CampaignctlError]) -> None:
        with self._lock:
            self._why, self.answers = why, False
            self.failed_connects += 1

    def call_failed(self, why: Callable[[], CampaignctlError] | None = None) -> CampaignctlError | None:
        """Count a call that failed for the reason, or for what the last attempt to connect failed for.

        Answers the reason as an error to raise; None, and nothing is counted, when there is none.
        """
        with self._lock:
            reason = why or self._why
            if reason is None:
                return None
            self._failed_calls += 1
            self._why, self.answers = reason, False
            self._ask_again_at_s = time.monotonic() + _PAUSE_S
        return reason()


class DeadlineConnection(psycopg.Connection[DictRow]):
    """A connection on which nothing takes longer than it was allowed; ``NoAnswerError`` otherwise."""

    _answer_s = 0.0
    _until_s = 0.0
    opened_at_s = 0.0

    @classmethod
    def connect(  # type: ignore[override]
        cls,
        conninfo: str = "",
        *,
        on_failure: Callable[[psycopg.Error], None],
        on_success: Callable[[], None],
        **settings: Any,
    ) -> Self:
        """As the driver's, and says how it went: the pool that calls this keeps the reason of a failure to itself."""
        opened_at_s = time.monotonic()
        try:
            made = super().connect(conninfo, **settings)
        except psycopg.Error as error:
            on_failure(error)
            raise
        # One type for all integers: else a prepared statement and a plan for every width that a value happens to have.
        made.adapters.register_dumper(int, Int8Dumper)
        made.opened_at_s = opened_at_s
        on_success()
        return made

    def allow(self, *, answer_s: float, total_s: float) -> None:
        """From now on every answer may take ``answer_s``, and all of them together ``total_s``."""
        self._answer_s = answer_s
        self._until_s = time.monotonic() + total_s

    def wait(self, gen: PQGen[Result], interval: float = 0.1, timeout: float | None = None) -> Result:
        """As the driver's, for every statement; ``timeout`` is the driver's own and may only shorten the deadline."""
        now_s = time.monotonic()
        deadline_s = min(now_s + self._answer_s, self._until_s)
        if timeout is not None:
            deadline_s = min(deadline_s, now_s + timeout)
        try:
            return super().wait(gen, interval=interval, timeout=max(deadline_s - now_s, 0.0))
        except psycopg.OperationalError as error:
            if time.monotonic() < deadline_s or error.sqlstate is not None:
                raise
            self.pgconn.finish()
            raise NoAnswerError("no answer in time") from None

    def roll_back(self) -> None:
        """End the transaction, or the connection where that is not possible. Raises nothing of the driver's."""
        if self.closed:
            return
        self.allow(answer_s=_ROLL_BACK_S, total_s=_ROLL_BACK_S)
        try:
            self.execute("ROLLBACK")
        except psycopg.Error:
            self.close()
