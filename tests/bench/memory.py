"""A worker's memory: ``campaignctl work`` in a process of its own, over a log that holds all events already."""

import re
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.events import CAMPAIGNS
from tests.bench.ingest import produce
from tests.bench.usage import MIB, rss_mib
from tests.support.program import Program
from tests.support.thread import open_thread

_EVERY_S = 0.25
_ASK_EVERY_S = 5.0
_WAIT_S = 1_800.0


@dataclass
class WorkerMemory:
    rss_mib: list[float] = field(default_factory=list)
    """A sample each quarter of a second, from the worker's start until it has counted everything."""
    window_mib: float = 0.0
    """Of it the ids that the worker has to remember, in the end."""


def worker_memory(file: Path, directory: Path) -> WorkerMemory:
    """What a worker on the embedded stores takes while it counts the events of ``file``."""
    with open_thread(directory) as thread:
        thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
        produce(thread, file)
    program = Program(directory, {"CA_DATA_DIR": str(directory)})
    log_path = directory / "work.log"
    with log_path.open("wb") as log:
        worker = subprocess.Popen(
            [*program.command, "work", "--metrics-port", "0"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=directory,
            env=program.environment(),
        )
    try:
        used = _watched(worker, log_path)
        worker.send_signal(signal.SIGTERM)
        ended = worker.wait(60)
        if ended != 128 + signal.SIGTERM:
            raise SystemExit(f"the worker ended with {ended}:\n{log_path.read_text()[-2000:]}")
    finally:
        worker.kill()
        worker.wait()
    return used


def _watched(worker: subprocess.Popen[bytes], log_path: Path) -> WorkerMemory:
    used = WorkerMemory()
    started_s = next_s = time.monotonic()
    while time.monotonic() < started_s + _WAIT_S:
        if worker.poll() is not None:
            raise SystemExit(f"the worker ended:\n{log_path.read_text()[-2000:]}")
        used.rss_mib.append(rss_mib(worker.pid))
        time.sleep(_EVERY_S)
        if time.monotonic() < next_s:
            continue
        next_s = time.monotonic() + _ASK_EVERY_S
        published = re.search(r"metrics on (\S+)", log_path.read_text())
        if published is None:
            continue
        with urllib.request.urlopen(published[1], timeout=60) as answer:
            shown = answer.read().decode()
        used.window_mib = _sum(shown, "campaignctl_dedup_window_bytes") / MIB
        if _sum(shown, "campaignctl_events_consumed_total") and not _sum(shown, "campaignctl_consumer_lag_records"):
            return used
    raise SystemExit(f"the worker was not done within {_WAIT_S:.0f} s")


def _sum(shown: str, metric: str) -> float:
    return sum(
        float(line.rpartition(" ")[2]) for line in shown.splitlines() if line.startswith((f"{metric}{{", f"{metric} "))
    )
