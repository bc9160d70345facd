"""The commands that documents tell people to type, and running those of one page in a directory of its own."""

import os
import re
import shlex
import signal
import socket
import stat
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from tests.support.program import REPOSITORY

_BLOCK = re.compile(r"^```(\S*)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
_DATE = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}")
_HEREDOC = re.compile(r"<<-?\s*'?(\w+)'?")
_BACKGROUND = re.compile(r"(?<!&)&\s*(?:#.*)?$")
_TIMEOUT_S = 240.0
_READY_S = 60


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    language: str
    text: str


def blocks(page: Path) -> list[Block]:
    """Every fenced block of the page."""
    return [Block(language, text) for language, text in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(page: Path) -> list[str]:
    """What stands behind a prompt in the page's ``console`` blocks, with the lines that belong to it; output is left out."""
    found: list[str] = []
    for block in blocks(page):
        if block.language != "console":
            continue
        open_ended = False
        for line in block.text.splitlines():
            if line.startswith("$ "):
                assert not open_ended, f"{page}: {found[-1]!r} has no end"
                found.append(line.removeprefix("$ "))
            elif open_ended:
                found[-1] += "\n" + line
            else:
                continue
            open_ended = _goes_on(found[-1])
    return found


def shifted(text: str, told_today: date, today: date) -> str:
    """The text with each of its days as long ago as the page tells it, seen from today."""
    return _DATE.sub(lambda told: str(today + (date.fromisoformat(told[0]) - told_today)), text)


@dataclass(frozen=True, slots=True)
class Said:
    """How one command of a page ended."""

    command: str
    code: int
    out: str
    err: str


def run_in(home: Path, asked: list[str], settings: dict[str, str]) -> list[Said]:
    """Type the commands into one shell, as a reader would; what runs in the background is ready before the next one.

    Ports that pages name are free ones here. Stops after a command that ends with another code than 0 or, where the
    command says so itself (``|| ...``), whatever it makes of that.
    """
    served, simulated = _free_port(), _free_port()
    script = [_opening(served)]
    for number, command in enumerate(asked):
        here = _with_ports(command, served, simulated)
        script += [f"exec 1>{number}.out 2>{number}.err", here, "code=$?"]
        if _BACKGROUND.search(here):
            port, path = (simulated, "accounts") if "campaignctl sandbox" in here else (served, "health/ready")
            script.append(f"ready {port} {path} || code=125")
        script.append(f'echo "$code" > {number}.code; [ "$code" = 0 ] || exit 1')
    (home / "page.sh").write_text("\n".join(script) + "\n", encoding="utf-8")
    shell = subprocess.Popen(
        ["bash", "page.sh"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=home,
        env=_environment(home, served) | settings,
        start_new_session=True,
    )
    try:
        shell.wait(_TIMEOUT_S)
    finally:
        _end(shell.pid)
    return [_said(home, number, command) for number, command in enumerate(asked) if (home / f"{number}.out").exists()]


def put_program(home: Path) -> None:
    """``bin/campaignctl`` of that directory: this checkout's."""
    program = home / "bin" / "campaignctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m campaignctl "$@"\n')
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def _said(home: Path, number: int, command: str) -> Said:
    code = home / f"{number}.code"
    texts = [(home / f"{number}.{end}").read_text(encoding="utf-8", errors="replace") for end in ("out", "err")]
    return Said(command, int(code.read_text()) if code.exists() else -1, *texts)


def _goes_on(command: str) -> bool:
    if command.endswith("\\"):
        return True
    here = _HEREDOC.search(command)
    if here:
        return here[1] not in command.splitlines()[1:]
    try:
        shlex.split(command, comments=True)
    except ValueError:  # a quotation is open
        return True
    return False


def _with_ports(command: str, served: int, simulated: int) -> str:
    command = re.sub(r"(localhost|127\.0\.0\.1):8080", rf"\1:{served}", command)
    command = re.sub(r"(localhost|127\.0\.0\.1):8090", rf"\1:{simulated}", command)
    return command.replace("campaignctl sandbox >", f"campaignctl sandbox --port {simulated} >")


def _opening(served: int) -> str:
    return f"""
ready() {{
  for _ in $(seq {_READY_S * 10}); do
    curl -sf -o /dev/null "http://127.0.0.1:$1/$2" && return 0
    sleep 0.1
  done
  return 1
}}
export CA_SERVER_PORT={served}
"""


def _environment(home: Path, served: int) -> dict[str, str]:
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("CA_", "PYTEST", "PYTHON", "XDG_"))}
    own = {"HOME": str(home), "PYTHONPATH": str(REPOSITORY), "PATH": f"{home / 'bin'}:{kept['PATH']}", "NO_COLOR": "1"}
    return kept | own | {"CA_SERVER_PORT": str(served), "COLUMNS": "160"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(group: int) -> None:
    """End what the page left running, the polite way first."""
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGTERM)
        for _ in range(300):
            time.sleep(0.1)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)
