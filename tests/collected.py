"""``python -m tests.collected``: every test module can be imported, and the tests are the same in every process.

pytest-xdist refuses to run when two of its workers collect different tests, and says so minutes later: a set in a test's
name, or a number drawn while tests are collected. So they are collected twice here, under two seeds of Python's hashes.
"""

import difflib
import os
import subprocess
import sys

_SEEDS = ("1", "2")


def main() -> int:
    running = [_collect(seed) for seed in _SEEDS]
    collected = [process.communicate()[0].splitlines() for process in running]
    if any(process.returncode for process in running):
        print("\n".join(line for line in collected[0] if "::" not in line))
        return 1
    differences = list(difflib.unified_diff(*collected, *(f"hash seed {seed}" for seed in _SEEDS), lineterm="", n=0))
    differences = [line for line in differences if "::" in line or line.startswith(("---", "+++"))]
    if any("::" in line for line in differences):
        print("\n".join(differences))
        return 1
    print(f"{sum('::' in line for line in collected[0]):,} tests, the same in every process")
    return 0


def _collect(seed: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "-p", "no:cacheprovider", "tests"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONHASHSEED": seed},
    )


if __name__ == "__main__":
    raise SystemExit(main())
