"""What a stretch of work costs this process: seconds, CPU seconds, memory over time."""

import resource
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

_PAGE_BYTES = resource.getpagesize()
_EVERY_S = 0.25
MIB = 1 << 20


def rss_mib(process: int | str = "self") -> float:
    """Memory of this process, or of the one with that id, that is in RAM."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE_BYTES / MIB


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


class Processes:
    """CPU seconds of some processes for the length of a ``with``, and the most memory that each has had."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._processes = [psutil.Process(pid) for pid in pids]
        self.cpu_s = 0.0
        self.peak_rss_mib = 0.0

    def __enter__(self) -> Self:
        self.cpu_s = -self._cpu_s()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cpu_s += self._cpu_s()
        self.peak_rss_mib = sum(_peak_rss_mib(process.pid) for process in self._processes)

    def _cpu_s(self) -> float:
        times = [process.cpu_times() for process in self._processes]
        return sum(float(one.user + one.system) for one in times)


def _peak_rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def listening_on(port: int) -> int:
    """The process of this machine that listens on the port."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
            return int(connection.pid)
    raise SystemExit(f"no process of this machine listens on port {port}")
