"""Fixtures of the tests of the command line."""

import os
from pathlib import Path

import pytest

from campaignctl.cli.app import run
from tests.unit.cli_support import Cli, Ran


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No configuration, session or terminal of whoever runs the tests; signed in by a token."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CA_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("CA_TOKEN", "t0k")


@pytest.fixture
def cli(alone: None, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs a command of its own; answers the exit code and both streams."""

    def call(*arguments: str) -> Ran:
        code = run(arguments)
        captured = capsys.readouterr()
        return Ran(int(code), captured.out, captured.err)

    return call
