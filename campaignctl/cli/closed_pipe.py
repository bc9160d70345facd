"""The end of a command that waits for news once nobody reads what it prints.

A closed pipe is told to whoever writes into it. What has nothing to write (``insights --watch`` while no number
changes) would not learn of it and stay for ever, as ``campaignctl insights --watch | head -1`` did.
"""

import errno
import os
import select
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

_LOOK_EVERY_MS = 250
_TOLD_BY = signal.SIGURG
"""Ignored by whoever does not handle it, so one that comes late does nothing."""


class _Gone(BaseException):
    """No ``OSError``: a client that is waiting would take one for a broken connection, and try again."""


@contextmanager
def ends_with_its_reader(stream: IO[str]) -> Iterator[None]:
    """Raise ``BrokenPipeError`` in here soon after the pipe behind ``stream`` has lost its reader.

    Does nothing where ``stream`` is no pipe, and outside of the main thread, where no signal can end a wait.
    """
    pipe = _pipe_of(stream)
    if pipe is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    over, waiting = threading.Event(), threading.get_ident()
    looks = threading.Thread(target=_look, args=(pipe, waiting, over), name="closed-pipe", daemon=True)
    before = signal.signal(_TOLD_BY, _raise)
    try:
        looks.start()
        try:
            yield
        finally:
            over.set()
            looks.join()
    except _Gone:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE)) from None
    finally:
        signal.signal(_TOLD_BY, before)


def _pipe_of(stream: IO[str]) -> int | None:
    try:
        number = stream.fileno()
        kind = os.fstat(number).st_mode
    except (OSError, ValueError):  # none behind it, or closed
        return None
    return number if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind) else None


def _look(pipe: int, waiting: int, over: threading.Event) -> None:
    poll = select.poll()
    poll.register(pipe, 0)  # an error is told without being asked for
    while not over.is_set():
        if poll.poll(_LOOK_EVERY_MS):
            signal.pthread_kill(waiting, _TOLD_BY)
            return


def _raise(_number: int, _frame: object) -> None:
    raise _Gone
