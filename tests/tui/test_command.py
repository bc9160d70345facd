"""The command ``dashboard`` where there is no screen to draw on."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("arguments", "exit_code", "told"),
    [
        (["--web"], 2, "the dashboard is not served to browsers"),
        ([], 1, "the dashboard needs a terminal"),
    ],
)
def test_says_why_not_and_what_to_do(arguments: list[str], exit_code: int, told: str) -> None:
    words = [sys.executable, "-m", "campaignctl", "dashboard", *arguments]
    ended = subprocess.run(words, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)
    assert (ended.returncode, ended.stdout) == (exit_code, "")
    assert told in ended.stderr
    assert "hint:" in ended.stderr
