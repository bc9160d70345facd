"""The list of seeded bugs is up to date: each place to change is there once, and each named test exists."""

import subprocess
import sys

from tests.mutants import BUGS, REPOSITORY


def test_each_place_to_change_is_there_once() -> None:
    assert len(BUGS) >= 10
    for name, bug in BUGS.items():
        text = (REPOSITORY / bug.file).read_text(encoding="utf-8")
        assert [text.count(right) for right, _ in bug.changes] == [1] * len(bug.changes), name


def test_each_named_test_is_there() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"]
    found = subprocess.run(
        [*command, *(bug.test for bug in BUGS.values())],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert found.returncode == 0, found.stdout[-2_000:]
