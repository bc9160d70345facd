"""The command ``dashboard`` where there is no screen to draw on."""

import os
import subprocess
import sys

import pytest

from campaignctl.cli.dashboard import require_terminal
from campaignctl.errors import CampaignctlError


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


def test_a_terminal_that_cannot_place_text_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = os.openpty()
    try:
        with os.fdopen(theirs, "r") as terminal:
            monkeypatch.setattr("sys.stdin", terminal)
            monkeypatch.setattr("sys.stdout", terminal)
            monkeypatch.setenv("TERM", "xterm-256color")
            require_terminal()
            monkeypatch.setenv("TERM", "dumb")
            with pytest.raises(CampaignctlError, match="TERM says dumb"):
                require_terminal()
    finally:
        os.close(ours)
