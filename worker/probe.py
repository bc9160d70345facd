"""Finding the records that end a process, by looking at each in a process that may die of it."""

import logging
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from campaignctl.domain.events import EventLimits
from campaignctl.ports.event_log import RecordBatch
from campaignctl.services.inspection import inspect

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

logger = logging.getLogger("campaignctl.worker")

Inspect = Callable[[RecordBatch, EventLimits], None]

MOST_KILLERS = 20
_LOOK_EVERY_S = 0.1
_NOT_BEGUN = -1
# Reading one record takes a fraction of a millisecond; beginning takes a second on a busy machine.
_LONGEST_RECORD_S = 60.0


class TooManyKillersError(Exception):
    """So many records end processes that the program is at fault, not they."""


class Probe:
    """``look`` is what each record is given to, in another process: a function of a module."""

    def __init__(self, limits: EventLimits, *, look: Inspect = inspect) -> None:
        self._limits = limits
        self._look = look

    def killers(self, records: RecordBatch, wait: Callable[[float], None]) -> list[int]:
        """Offsets of the records that a process which looks at them does not survive.

        ``wait`` lets seconds pass, and may raise what ends the work. Raises ``TooManyKillersError``.
        """
        found: list[int] = []
        start = 0
        while start < len(records.offsets):
            died_at = self._first_killer(records, start, wait)
            if died_at is None:
                break
            found.append(records.offsets[died_at])
            if len(found) > MOST_KILLERS:
                raise TooManyKillersError(f"more than {MOST_KILLERS} records from offset {found[0]} on end processes")
            start = died_at + 1
        return found

    def _first_killer(self, records: RecordBatch, start: int, wait: Callable[[float], None]) -> int | None:
        """Where the first process to look at the records from ``start`` on has died; None when it lives."""
        context = get_context("spawn")  # a copy of this process would have its threads' locks and its connections
        at = context.RawValue("q", _NOT_BEGUN)
        theirs, ours = context.Pipe(duplex=False)
        child = context.Process(target=_look_at_each, args=(theirs, start, self._limits, self._look, at), daemon=True)
        child.start()
        theirs.close()
        try:
            # Not among the arguments: a pipe holds those, so a child whose parent is killed now still begins, and ends.
            with suppress(BrokenPipeError), ours:
                ours.send(records)
            last, waited_s = at.value, 0.0
            while child.is_alive() and waited_s < _LONGEST_RECORD_S:
                wait(_LOOK_EVERY_S)
                waited_s = waited_s + _LOOK_EVERY_S if at.value == last else 0.0
                last = at.value
            if child.is_alive():
                logger.warning("record %d takes more than %g s to read", records.offsets[last], _LONGEST_RECORD_S)
                return None
        finally:
            if child.is_alive():
                child.kill()
            child.join()
        if child.exitcode == 0:
            return None
        if at.value == _NOT_BEGUN:
            logger.warning("a process that was to look at records did not begin: exit code %s", child.exitcode)
            return None
        return int(at.value)


def _look_at_each(given: "Connection", start: int, limits: EventLimits, look: Inspect, at: Any) -> None:
    """In the other process. An exception is no death: whoever prepares the batch meets it, and says so."""
    for number in (signal.SIGINT, signal.SIGTERM):  # they are meant for the worker
        signal.signal(number, signal.SIG_IGN)
    try:
        records: RecordBatch = given.recv()
    except (EOFError, OSError):  # the worker was killed meanwhile
        return
    for place in range(start, len(records.offsets)):
        at.value = place
        one = RecordBatch(
            records.partition,
            [records.offsets[place]],
            [records.times_ms[place]],
            [records.keys[place]],
            [records.values[place]],
            [records.headers[place]],
            records.offsets[place] + 1,
        )
        try:
            look(one, limits)
        except Exception:
            logger.exception("record %d", records.offsets[place])
