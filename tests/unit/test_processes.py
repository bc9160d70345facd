"""Several processes behind one address: started, replaced when they die, stopped together."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SCRIPT = """
import logging, os, signal, sys, threading, time
from server.processes import Processes

logging.basicConfig(level="INFO")
directory, mode = sys.argv[1:]
stopping = threading.Event()

def serve_one(started):
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    if mode == "misconfigured":
        return 2
    if mode == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    open(f"{directory}/{os.getpid()}", "w").close()
    started()
    while not stopping.wait(0.02):
        pass
    os.remove(f"{directory}/{os.getpid()}")
    return 143

import server.processes
server.processes.STOP_WITHIN_S = 0.5 if mode == "deaf" else 25
code = Processes(serve_one, 2, on_start=lambda: print("serving", flush=True)).run()
print("ended", os.environ.get("PROMETHEUS_MULTIPROC_DIR"), flush=True)
sys.exit(code)
"""


@contextmanager
def _running(directory: Path, mode: str = "well") -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SCRIPT, str(directory), mode],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.kill()
        process.communicate(timeout=30)


def _children(directory: Path, count: int = 2, without: int = 0) -> list[int]:
    end_s = time.monotonic() + 30
    while True:
        found = sorted(int(path.name) for path in directory.iterdir())
        if len([pid for pid in found if pid != without]) == count:
            return [pid for pid in found if pid != without]
        assert time.monotonic() < end_s, found
        time.sleep(0.02)


def _kill(pid: int, number: signal.Signals = signal.SIGKILL) -> None:
    subprocess.run(["kill", f"-{int(number)}", str(pid)], check=True)


def test_a_signal_stops_all_and_is_the_exit_code(tmp_path: Path) -> None:
    with _running(tmp_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "serving\n"
        _children(tmp_path)
        process.terminate()
        out, _ = process.communicate(timeout=30)
        assert (process.returncode, out) == (143, "ended None\n")
        assert list(tmp_path.iterdir()) == []


def test_a_process_that_dies_is_replaced(tmp_path: Path) -> None:
    with _running(tmp_path) as process:
        first, _ = _children(tmp_path)
        _kill(first)
        assert first not in _children(tmp_path, 2, without=first)
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 143
        assert f"API process {first} ended with -9" in err


def test_a_wrong_configuration_ends_all_at_once(tmp_path: Path) -> None:
    with _running(tmp_path, "misconfigured") as process:
        out, err = process.communicate(timeout=30)
        assert (process.returncode, out, err.count("started")) == (2, "ended None\n", 1)


def test_who_does_not_end_in_time_is_killed(tmp_path: Path) -> None:
    with _running(tmp_path, "deaf") as process:
        _children(tmp_path)
        process.terminate()
        _, err = process.communicate(timeout=30)
        assert process.returncode == 143
        assert "are killed" in err


def test_without_the_parent_the_others_stop_by_themselves(tmp_path: Path) -> None:
    with _running(tmp_path) as process:
        _children(tmp_path)
        process.kill()
        assert _children(tmp_path, 0) == []
