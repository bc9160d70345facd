"""A call that runs in a thread of its own while its maker does something else."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Errand(Generic[T]):
    """Begins at once. The thread is a daemon: a store that never answers does not keep the process from ending."""

    def __init__(self, call: Callable[[], T], name: str) -> None:
        self.seconds = 0.0
        """How long the call took; known once it has ended."""
        self._answers: list[T] = []
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(call,), name=name, daemon=True)
        self._thread.start()

    def wait(self) -> None:
        """Until the call has ended, one way or the other."""
        self._thread.join()

    def result(self) -> T:
        """Wait for the call to end; answers what it answered, or raises what it raised."""
        self.wait()
        if self._error is not None:
            raise self._error
        return self._answers[0]

    def _run(self, call: Callable[[], T]) -> None:
        started_s = time.perf_counter()
        try:
            self._answers.append(call())
        except BaseException as error:  # raised by ``result``, in the thread that asks
            self._error = error
        self.seconds = time.perf_counter() - started_s
