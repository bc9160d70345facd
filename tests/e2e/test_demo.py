"""What runs in front of somebody and is stopped: by Ctrl-C, by SIGTERM, by a terminal that is closed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.program import Program
from tests.support.terminal import Terminal
from tests.support.waiting import eventually

CODES = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 143}
_PATIENCE_S = 120.0
pytestmark = pytest.mark.usefixtures("hangups")


def test_a_demo_that_is_stopped_leaves_nothing_behind(tmp_path: Path) -> None:
    for number, code in CODES.items():
        home = tmp_path / number.name
        home.mkdir()
        with _demo(home) as process:
            eventually(lambda: "API and worker on" in _told(home), "the demo to run", within_s=_PATIENCE_S)  # noqa: B023
            process.send_signal(number)
            assert (number, process.wait(_PATIENCE_S)) == (number, code), _told(home)
        assert sorted(one.name for one in home.iterdir()) == ["told"], _told(home)
        assert "Traceback" not in _told(home)


def _demo(home: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "campaignctl", "demo", "--once", "--days", "2"]
    environment = Program(home).environment() | {"TMPDIR": str(home), "XDG_CACHE_HOME": str(home.parent / "cache")}
    del environment["CA_DATA_DIR"]
    with (home / "told").open("wb") as told:
        return subprocess.Popen(command, cwd=home, env=environment, stdin=subprocess.DEVNULL, stdout=told, stderr=told)


def _told(home: Path) -> str:
    return (home / "told").read_text(errors="replace")


@pytest.mark.parametrize("number", CODES)
def test_a_dashboard_ends_by_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    """In a terminal, with no server that answers. (Ctrl-C on the keyboard is a key there, and no signal.)"""
    command = [sys.executable, "-m", "campaignctl", "--api", "http://127.0.0.1:1", "dashboard"]
    with Terminal(command, Program(tmp_path).environment(), tmp_path, columns=100, rows=30) as terminal:
        terminal.wait_for("OFFLINE", 0, _PATIENCE_S)
        terminal.process.send_signal(number)
        assert terminal.wait_for_the_end(_PATIENCE_S) == CODES[number]
        painted = terminal.written()
        assert b"Traceback" not in painted
        assert b"\x1b[?1049l" in painted, "the terminal is given back"
