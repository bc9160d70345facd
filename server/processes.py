"""Several API processes behind one address: started, looked after, and stopped together.

The parent binds the addresses and opens nothing else: every process opens its own stores, so nothing is carried across
``fork``. A process that ends is started again, after a pause that grows while it keeps ending; one that says at its
start that the configuration is wrong ends all. Should the parent be killed, the others notice and stop by themselves.

Figures of all processes are kept in files of a directory of their own, so that whichever answers ``/metrics`` adds up
all of them (the multiprocess mode of prometheus_client).
"""

import contextlib
import logging
import os
import select
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType

STOP_WITHIN_S = 25.0
"""After a signal; who has not ended by then is killed."""
CONFIGURATION_EXIT = 2
METRICS_DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"

_LOOK_EVERY_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_WELL_AFTER_S = 10.0

logger = logging.getLogger(__name__)

ServeOne = Callable[[Callable[[], None]], int]
"""Runs one process's server to its end and answers the exit code; calls its argument once its start has worked."""


@dataclass(slots=True)
class _Child:
    number: int
    pid: int = 0
    started_s: float = 0.0
    said: int = -1
    """The reading end of a pipe: a byte comes when the start has worked, the end when the process has ended."""
    has_started: bool = False
    pause_s: float = _FIRST_PAUSE_S
    start_at_s: float = field(default=0.0)


class Processes:
    """Runs ``serve_one`` in ``count`` processes; ``on_start`` is called when the first one has started.

    Made and run once, in the main thread, before any other thread is.
    """

    def __init__(self, serve_one: ServeOne, count: int, *, on_start: Callable[[], None]) -> None:
        self._serve_one = serve_one
        self._on_start = on_start
        self._children = [_Child(number) for number in range(count)]
        self._alive_read, self._alive_write = os.pipe()  # nobody writes: its end says that the parent has gone
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        self._stopped_by = 0
        self._failed_with: int | None = None

    def run(self) -> int:
        """Until a signal: answers 128 plus its number, or the code of a process that cannot start."""
        with _metrics_directory(), self._signals():
            first, *others = self._children
            self._start(first)  # alone: what is wrong with the configuration is said once
            while not self._is_over and not first.has_started:
                self._look()
            if not self._is_over:
                self._on_start()
            for child in others:
                if not self._is_over:
                    self._start(child)
            while not self._is_over:
                self._look()
            self._stop_all()
        return 128 + self._stopped_by if self._stopped_by else int(self._failed_with or 0)

    @property
    def _is_over(self) -> bool:
        return bool(self._stopped_by) or self._failed_with is not None

    def _start(self, child: _Child) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os._exit(self._in_child(reading, writing))
        os.close(writing)
        child.pid, child.said, child.has_started, child.started_s = pid, reading, False, time.monotonic()
        logger.info("API process %d started", pid)

    def _in_child(self, reading: int, writing: int) -> int:
        """The life of a process; nothing of the parent's is run after it."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)  # until the server has its own
        signal.set_wakeup_fd(-1)
        siblings = [child.said for child in self._children if child.said >= 0]
        for descriptor in (reading, self._alive_write, self._wake_read, self._wake_write, *siblings):
            os.close(descriptor)
        threading.Thread(target=_end_with_parent, args=(self._alive_read,), name="parent", daemon=True).start()
        try:
            return self._serve_one(lambda: _say(writing))
        except BaseException:  # the last stop of a forked process: nothing of it may unwind into its parent's code
            logger.exception("an API process failed")
            return 1
        finally:
            for handler in logging.getLogger().handlers:
                handler.flush()

    def _look(self) -> None:
        """Wait for something to happen, a second at most, and see to it."""
        now_s = time.monotonic()
        for child in self._children:
            if not child.pid and child.start_at_s and child.start_at_s <= now_s:
                self._start(child)
        watched = {child.said: child for child in self._children if child.said >= 0}
        ready, _, _ = select.select([self._wake_read, *watched], [], [], _LOOK_EVERY_S)
        for descriptor in ready:
            if descriptor == self._wake_read:
                os.read(self._wake_read, 1_024)
            elif os.read(descriptor, 1):
                watched[descriptor].has_started = True
            else:
                self._ended(watched[descriptor])

    def _ended(self, child: _Child) -> None:
        os.close(child.said)
        _, status = os.waitpid(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        _forget_live_figures(child.pid)
        lived_s = time.monotonic() - child.started_s
        pid, child.pid, child.said = child.pid, 0, -1
        if self._is_over:
            return
        if code == CONFIGURATION_EXIT and not child.has_started:
            self._failed_with = code
            return
        was_well = child.has_started and lived_s > _WELL_AFTER_S
        child.pause_s = _FIRST_PAUSE_S if was_well else min(2 * child.pause_s, _LONGEST_PAUSE_S)
        child.start_at_s = time.monotonic() + child.pause_s
        logger.warning("API process %d ended with %d; another one starts in %.1f s", pid, code, child.pause_s)

    def _stop_all(self) -> None:
        deadline_s = time.monotonic() + STOP_WITHIN_S
        self._signal_all(signal.SIGTERM)
        while any(child.pid for child in self._children):
            if time.monotonic() > deadline_s:
                logger.warning("API processes did not end within %d s and are killed", STOP_WITHIN_S)
                self._signal_all(signal.SIGKILL)
                deadline_s += STOP_WITHIN_S
            for child in self._children:
                child.start_at_s = 0.0
            self._look()

    def _signal_all(self, number: signal.Signals) -> None:
        for child in self._children:
            if child.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child.pid, number)

    @contextlib.contextmanager
    def _signals(self) -> Iterator[None]:
        def stop(number: int, _frame: FrameType | None) -> None:
            self._stopped_by = self._stopped_by or number

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        waking = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        try:
            yield
        finally:
            signal.set_wakeup_fd(waking)
            for number, handler in before.items():
                signal.signal(number, handler)


def _say(writing: int) -> None:
    with contextlib.suppress(OSError):
        os.write(writing, b"\n")


def _end_with_parent(alive: int) -> None:
    os.read(alive, 1)
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def _metrics_directory() -> Iterator[None]:
    """Where the processes keep their figures; must be known before prometheus_client is imported in any of them."""
    directory = tempfile.mkdtemp(prefix="campaignctl-metrics-")
    os.environ[METRICS_DIRECTORY] = directory
    try:
        yield
    finally:
        del os.environ[METRICS_DIRECTORY]
        shutil.rmtree(directory, ignore_errors=True)


def _forget_live_figures(pid: int) -> None:
    """What a process was doing when it ended is done by nobody; what it had counted stays counted."""
    from prometheus_client.multiprocess import mark_process_dead

    mark_process_dead(pid)  # type: ignore[no-untyped-call]
