"""Looking an installation over: every part at the same time, each for so long and no longer.

A part that is down, one that is frozen, and one that is well all answer within the deadline: what has not answered by
then is told as such, while its thread is still stuck.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from campaignctl.errors import CampaignctlError, DirectoryInUse, StorageFull, Unavailable
from campaignctl.ports.clock import Clock

DEADLINE_S = 3.0
_NEXT = {
    "metadata": "see whether it runs and is reachable from here; the keys are postgres.*",
    "analytics": "see whether it runs and is reachable from here; the keys are clickhouse.*",
    "event_log": "see whether it runs and is reachable from here; the keys are kafka.*",
    "cache": "see whether it runs and is reachable from here; the keys are redis.*",
}
"""Of what cannot be reached, where its error says nothing."""


class State(StrEnum):
    OK = "ok"
    FINDING = "finding"
    UNREACHABLE = "unreachable"
    """Down or frozen."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that is not as it should be."""

    code: str
    """As ``campaignctl explain`` knows it."""
    message: str
    next: str
    """The next thing to do or to type."""


@dataclass(frozen=True, slots=True)
class Look:
    """What one look saw."""

    facts: Mapping[str, object] = field(default_factory=dict)
    findings: Sequence[Finding] = ()


@dataclass(frozen=True, slots=True)
class Examination:
    name: str
    look: Callable[[], Look]
    """Raises a ``CampaignctlError`` where it cannot look."""


@dataclass(frozen=True, slots=True)
class Examined:
    name: str
    state: State
    latency_ms: float
    facts: Mapping[str, object]
    findings: Sequence[Finding]


def examine(examinations: Sequence[Examination], clock: Clock, *, deadline_s: float = DEADLINE_S) -> list[Examined]:
    """Look at everything at once; answers in the given order, after ``deadline_s`` at the latest."""
    running = [_Running(one, clock) for one in examinations]
    end_s = clock.monotonic_s() + deadline_s
    for one in running:
        one.join(max(end_s - clock.monotonic_s(), 0.0))
    return [one.result(deadline_s) for one in running]


class _Running:
    def __init__(self, examination: Examination, clock: Clock) -> None:
        self._examination = examination
        self._clock = clock
        self._begun_s = clock.monotonic_s()
        self._result: Examined | None = None
        # A daemon: a look that never comes back must not keep the process from ending.
        self._thread = threading.Thread(target=self._run, name=f"doctor-{examination.name}", daemon=True)
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        self._thread.join(timeout_s)

    def result(self, deadline_s: float) -> Examined:
        if self._result is not None:
            return self._result
        return Examined(
            self._examination.name,
            State.UNREACHABLE,
            self._elapsed_ms(),
            {},
            [_unreachable(self._examination.name, f"no answer within {deadline_s:g} s")],
        )

    def _run(self) -> None:
        name = self._examination.name
        try:
            found = self._examination.look()
        except Exception as error:  # whatever a look raises is what it found
            self._result = failed(name, error, self._elapsed_ms())
            return
        state = State.FINDING if found.findings else State.OK
        self._result = Examined(name, state, self._elapsed_ms(), found.facts, found.findings)

    def _elapsed_ms(self) -> float:
        return round((self._clock.monotonic_s() - self._begun_s) * 1_000, 3)


def failed(name: str, error: Exception, latency_ms: float = 0.0) -> Examined:
    """What an error of a look means. An error that nobody meant is named by its kind alone."""
    match error:
        case Unavailable(code="topic_missing") | DirectoryInUse() | StorageFull():
            found = Finding(error.code, error.message, error.hint or "campaignctl init-schema")
        case Unavailable():
            next_ = error.hint or _NEXT.get(name, "try again in a moment")
            found = Finding(error.code, error.message, next_)
            return Examined(name, State.UNREACHABLE, latency_ms, {}, [found])
        case CampaignctlError():
            found = Finding(error.code, error.message, error.hint or f"campaignctl explain {error.code}")
        case _:
            text = f"the look itself failed ({type(error).__name__})"
            found = Finding("internal_error", text, "run the command again with --debug to see the details")
    return Examined(name, State.FINDING, latency_ms, {}, [found])


def _unreachable(name: str, message: str) -> Finding:
    return Finding("unavailable", message, _NEXT.get(name, "try again in a moment"))
