"""The end of a program that was told to stop: within 25 s, whatever it is waiting for.

What is under way is finished where that is possible. A server that does not answer could make that last for minutes;
nothing is lost by ending sooner, because the next process repeats whatever was not acknowledged.
"""

import logging
import os
import threading
from types import TracebackType
from typing import Self

STOP_WITHIN_S = 25.0

logger = logging.getLogger(__name__)


class StopDeadline:
    """From ``begin`` on the process has 25 s until the end of the ``with``; after that it ends without a word more."""

    def __init__(self, within_s: float = STOP_WITHIN_S) -> None:
        self._within_s = within_s
        self._timer: threading.Timer | None = None

    def begin(self, signal_number: int) -> None:
        if self._timer is None:
            self._timer = threading.Timer(self._within_s, self._end, [128 + signal_number])
            self._timer.daemon = True
            self._timer.start()

    def _end(self, code: int) -> None:
        logger.warning("still waiting %d s after the signal; what is under way will be repeated", self._within_s)
        logging.shutdown()
        os._exit(code)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
