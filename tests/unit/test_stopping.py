"""A program that was told to stop ends, whatever it is waiting for."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
_SCRIPT = """
import sys, time
from campaignctl.cli.stopping import StopDeadline

with StopDeadline(float(sys.argv[1])) as deadline:
    deadline.begin(15)
    deadline.begin(2)
    time.sleep(float(sys.argv[2]))
print("in time")
"""


def _run(within_s: float, busy_s: float) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", _SCRIPT, str(within_s), str(busy_s)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_who_hangs_is_ended_with_the_code_of_the_first_signal() -> None:
    ended = _run(0.1, 50)
    assert (ended.returncode, ended.stdout) == (143, "")
    assert "will be repeated" in ended.stderr


def test_who_ends_in_time_is_left_alone() -> None:
    ended = _run(30, 0.0)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "in time\n", "")
