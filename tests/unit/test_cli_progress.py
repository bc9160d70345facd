"""Progress: a bar for a person, lines elsewhere, nothing where quiet is asked."""

import io
import sys

import pytest

from campaignctl.cli import progress as progress_module
from campaignctl.cli.progress import progress


class Screen(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


def before(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A terminal as standard error, for the rest of the test."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = Screen()
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


def test_a_person_sees_how_many_of_how_many(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = before(monkeypatch)
    with progress("events sent", 20_000) as told:
        told.advance(1_200)
    assert "events sent" in screen.getvalue()
    assert "1,200 of 20,000" in screen.getvalue()


def test_no_total_is_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = before(monkeypatch)
    with progress("events sent", None) as told:
        told.advance(1_200)
    assert "1,200" in screen.getvalue()
    assert "?" not in screen.getvalue().replace("\x1b[?25", "")
    assert " of " not in screen.getvalue()


def test_a_dumb_terminal_and_a_pipe_get_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = before(monkeypatch)
    monkeypatch.setattr(progress_module, "_EVERY_S", 0.0)
    pipe = io.StringIO()
    with progress("events sent", 20_000, stderr=pipe) as told:
        told.advance(1_200)
    assert pipe.getvalue() == "events sent: 1,200 of 20,000\n"
    monkeypatch.setenv("TERM", "dumb")
    with progress("events sent", None) as told:
        told.advance(7)
    assert screen.getvalue() == "events sent: 7\n"


def test_quiet_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = before(monkeypatch)
    with progress("events sent", 2, quiet=True) as told:
        told.advance(2)
    assert not screen.getvalue()
