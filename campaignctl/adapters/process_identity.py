"""Which process is this, and is that one still there?

A process id alone does not say: ids are used again, and are numbered apart in every container. Linux gives all that is
needed; elsewhere (macOS) the fields that are not known are empty, and only "there is no process of that id" is certain.
"""

import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    boot_id: str
    """Differs each time the machine starts."""
    pid_namespace: str
    """Process ids can be compared within one namespace (a container has its own)."""
    pid: int
    started: str
    """When the process started, in the kernel's own ticks: tells it from a later one with the same id."""


def this_process() -> ProcessIdentity:
    boot_id, pid_namespace = _machine()
    pid = os.getpid()  # asked each time: a forked child is another process
    return ProcessIdentity(boot_id, pid_namespace, pid, _started(pid) or "")


def is_known_dead(process: ProcessIdentity) -> bool:
    """True when the process is certainly gone; False when it lives or nothing is known about it."""
    boot_id, pid_namespace = _machine()
    if process.boot_id and boot_id and process.boot_id != boot_id:
        return True
    if process.pid_namespace != pid_namespace:
        return False
    if not pid_namespace:  # no /proc
        return not _pid_exists(process.pid)
    return _started(process.pid) != process.started


@cache
def _machine() -> tuple[str, str]:
    try:
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return boot_id, str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return "", ""


def _started(pid: int) -> str | None:
    """None when there is no such process, or only its entry that the parent has not collected yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return None
    state, *fields = stat[stat.rindex(b")") + 2 :].split()  # the name in parentheses may hold anything
    return None if state in (b"Z", b"X") else fields[18].decode()


def _pid_exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True  # there, and another user's
    return True
