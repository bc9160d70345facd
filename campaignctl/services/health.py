"""Health: what is well and what is not, answered from verdicts that are already there.

Every dependency has a thread of its own that looks at it once a second. A question reads the last verdicts and never
touches a store, so it is answered within microseconds whatever hangs. A probe that does not come back is reported as
failing after its deadline, while its thread is still stuck: a frozen server is seen without a second thread for it.
"""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from campaignctl.errors import (
    CampaignctlError,
    ClockSkew,
    ConfigurationError,
    NewerSchema,
    SchemaMismatch,
    StorageFull,
    Unavailable,
)
from campaignctl.ports.clock import Clock

INTERVAL_S = 1.0
DEADLINE_S = 1.0
STALE_AFTER_S = 10.0
"""A verdict older than this is no verdict any more: its thread is gone, or the machine stood still."""

logger = logging.getLogger(__name__)


class Status(StrEnum):
    OK = "ok"
    DEGRADED = "degraded"
    """Slower or with less than usual; everything is still answered."""
    FAILING = "failing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to look at."""

    name: str
    probe: Callable[[], None]
    """Returns when all is well, raises a ``CampaignctlError`` when not. Called from one thread, again and again."""
    needed: bool = True
    """Whether nothing can be served without it: a cache that is away only degrades."""
    interval_s: float | None = None
    """Seconds between two looks, for one that costs more; None: as often as the others."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last word on one check."""

    status: Status
    latency_ms: float
    """How long the probe took, or has been running."""
    detail: str = ""
    """A fixed sentence for people; never an address, a path or a driver's text."""


@dataclass(frozen=True, slots=True)
class HealthReport:
    status: Status
    checks: Mapping[str, Verdict]

    @property
    def ready(self) -> bool:
        """Whether requests are served; ``degraded`` is ready."""
        return self.status is not Status.FAILING

    def shown(self) -> dict[str, Any]:
        """The body of ``/health`` and ``/health/ready``."""
        checks = {
            name: {member: value for member, value in asdict(verdict).items() if value != ""}
            for name, verdict in self.checks.items()
        }
        return {"status": self.status, "checks": checks}


ALIVE: Mapping[str, Any] = MappingProxyType({"status": "ok", "checks": {}})
"""The body of ``/health/live``: whoever can answer it is alive."""


class HealthService:
    """Looks at the checks in the background between ``start`` and ``stop``, and answers ``report`` at any time."""

    def __init__(
        self, checks: Iterable[Check], clock: Clock, *, interval_s: float = INTERVAL_S, deadline_s: float = DEADLINE_S
    ) -> None:
        self._clock = clock
        self._interval_s = interval_s
        self._deadline_s = deadline_s
        self._stopping = threading.Event()
        self._started = False
        self._leaving = False
        self._probers: dict[str, _Prober] = {}
        for check in checks:
            self.add(check)

    def add(self, check: Check) -> None:
        """Look at one thing more (a worker inside the server, for one); its name must be new."""
        if check.name in self._probers:
            raise ValueError(f"there is a health check named {check.name!r} already")
        prober = _Prober(check, self._clock, self._interval_s, self._deadline_s, self._stopping)
        self._probers[check.name] = prober
        if self._started:
            prober.start()

    @property
    def checks(self) -> list[Check]:
        """What there is to look at, for somebody who looks at it once."""
        return [prober.check for prober in self._probers.values()]

    def start(self) -> None:
        """Begin to look; a second call does nothing."""
        if self._started:
            return
        self._started = True
        self._stopping.clear()
        for prober in self._probers.values():
            prober.start()

    def stop(self) -> None:
        """End the looking; waits for a running probe no longer than its deadline."""
        self._stopping.set()
        for prober in self._probers.values():
            prober.join(self._deadline_s)
        self._started = False

    def leave(self) -> None:
        """From now on this process is not ready, whatever the checks say: it was told to stop."""
        self._leaving = True

    def report(self) -> HealthReport:
        """The last verdicts. Never blocks; before the first one a check counts as failing."""
        verdicts = {name: prober.verdict() for name, prober in list(self._probers.items())}
        failing = {name for name, verdict in verdicts.items() if verdict.status is Status.FAILING}
        if self._leaving:
            verdicts["process"] = Verdict(Status.FAILING, 0.0, "is about to stop")
        if self._leaving or any(self._probers[name].check.needed for name in failing):
            status = Status.FAILING
        else:
            status = Status.OK if all(one.status is Status.OK for one in verdicts.values()) else Status.DEGRADED
        return HealthReport(status, MappingProxyType(verdicts))


class _Prober:
    """One check, its thread, and the last verdict."""

    def __init__(
        self, check: Check, clock: Clock, interval_s: float, deadline_s: float, stopping: threading.Event
    ) -> None:
        self.check = check
        self._clock = clock
        self._interval_s = interval_s if check.interval_s is None else check.interval_s
        self._deadline_s = deadline_s
        self._stopping = stopping
        self._running_since_s: float | None = None
        self._judged: tuple[Verdict, float] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        # A daemon: a probe that never returns must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"health-{self.check.name}", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)

    def verdict(self) -> Verdict:
        now_s = self._clock.monotonic_s()
        running_since_s, judged = self._running_since_s, self._judged
        if running_since_s is not None and now_s - running_since_s > self._deadline_s:
            elapsed_ms = (now_s - running_since_s) * 1_000
            return Verdict(Status.FAILING, round(elapsed_ms, 3), f"no answer within {self._deadline_s:g} s")
        if judged is None:
            return Verdict(Status.FAILING, 0.0, "not checked yet")
        last, at_s = judged
        if now_s - at_s > max(STALE_AFTER_S, 3 * self._interval_s):
            return Verdict(Status.FAILING, last.latency_ms, "not checked lately")
        return last

    def _run(self) -> None:
        while not self._stopping.is_set():
            started_s = self._clock.monotonic_s()
            self._running_since_s = started_s
            status, detail = self._probe()
            ended_s = self._clock.monotonic_s()
            if ended_s - started_s > self._deadline_s:
                status, detail = Status.FAILING, detail or f"no answer within {self._deadline_s:g} s"
            self._judge(Verdict(status, round((ended_s - started_s) * 1_000, 3), detail), ended_s)
            self._running_since_s = None
            self._stopping.wait(min(self._interval_s, INTERVAL_S) if status is Status.FAILING else self._interval_s)

    def _probe(self) -> tuple[Status, str]:
        try:
            self.check.probe()
        except NewerSchema as error:  # a new version changes a schema so that the one before can go on
            if self._judged is None or self._judged[0].status is not Status.DEGRADED:
                logger.warning("%s: %s", self.check.name, error)
            return Status.DEGRADED, "a newer version has changed the schema: replace this process by that version"
        except Exception as error:  # whatever a probe raises is the verdict, and the looking goes on
            detail = _sentence(error)
            if self._judged is None or (self._judged[0].status, self._judged[0].detail) != (Status.FAILING, detail):
                logger.warning("%s: %s", self.check.name, error)
            return Status.FAILING, detail
        return Status.OK, ""

    def _judge(self, verdict: Verdict, at_s: float) -> None:
        if self._judged is not None and self._judged[0].status is Status.FAILING and verdict.status is Status.OK:
            logger.warning("%s: well again", self.check.name)
        self._judged = (verdict, at_s)


def _sentence(error: Exception) -> str:
    """What may be said to anyone about a failed probe: an error's own text may name hosts and paths."""
    match error:
        case StorageFull():
            return "the disk is full, or the store cannot be written"
        case Unavailable():
            return "cannot be reached"
        case SchemaMismatch():
            return "the schema is not the one of this program: run campaignctl init-schema"
        case ConfigurationError():
            return "does not let this program in, or is not what the configuration says"
        case ClockSkew():
            return "the clock of this machine is not that of the servers"
        case CampaignctlError():
            return "not ready"
    return "the check failed"
