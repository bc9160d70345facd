"""What a stretch of work costs this process: seconds, CPU seconds, memory over time."""

import resource
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

_PAGE_BYTES = resource.getpagesize()
_EVERY_S = 0.25
MIB = 1 << 20


def rss_mib() -> float:
    """Memory of this process that is in RAM."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE_BYTES / MIB


@dataclass
class Usage:
    """Measures the length of a ``with``."""

    seconds: float = 0.0
    cpu_s: float = 0.0
    rss_mib: list[float] = field(default_factory=list)
    """A sample each quarter of a second."""

    def __enter__(self) -> Self:
        self._stop = threading.Event()
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._started_s, self._cpu_started_s = time.perf_counter(), _cpu_s()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.seconds, self.cpu_s = time.perf_counter() - self._started_s, _cpu_s() - self._cpu_started_s
        self._stop.set()
        self._sampler.join()

    def _sample(self) -> None:
        while True:
            self.rss_mib.append(rss_mib())
            if self._stop.wait(_EVERY_S):
                return


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime
