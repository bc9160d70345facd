"""Processes that outlive the program that started them, known by files that hold their ids."""

import os
import signal
from pathlib import Path


def living(pid_file: Path) -> int | None:
    """The process that a file names, unless it is gone or a zombie."""
    try:
        pid = int(pid_file.read_text().split()[0])
        return None if _fields(pid)[0] == "Z" else pid
    except (OSError, ValueError, IndexError):
        return None


def signal_all(pid: int, number: int) -> None:
    """Signal a process and all below it: PostgreSQL's backends leave their group, so a group signal would miss them."""
    for member in _family(pid):
        try:
            os.kill(member, number)
        except ProcessLookupError:
            pass


def ask_to_end(pid: int, number: int = signal.SIGTERM) -> None:
    """The parent alone: it ends its own children in order. One that was frozen wakes up for it."""
    signal_all(pid, signal.SIGCONT)
    os.killpg(pid, number)


def _family(pid: int) -> list[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(entry.name)] = int(_fields(int(entry.name))[1])
        except OSError:
            continue
    family = found = [pid]
    while found:
        found = [child for child, parent in parents.items() if parent in found]
        family = family + found
    return family


def _fields(pid: int) -> list[str]:
    """State, parent and so on; the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
