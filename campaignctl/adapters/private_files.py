"""Files that only this user may read, written so that nobody ever sees half of one."""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from campaignctl.errors import ConfigurationError

_MODE = 0o600
_READ_BY_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def replace_private(path: Path, text: str) -> None:
    """Write the file anew; who reads it meanwhile sees the old or the new text. Raises ``OSError``."""
    temporary = _write_beside(path, text)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def create_private_once(path: Path, text: str) -> None:
    """Create the file unless it is there: of several processes one wins, and all find its text. Raises ``OSError``."""
    temporary = _write_beside(path, text)
    try:
        with suppress(FileExistsError):
            path.hardlink_to(temporary)  # unlike a rename, refuses to replace
            sync_directory(path.parent)
    finally:
        temporary.unlink()


def read_private(path: Path) -> str:
    """The text; raises ``ConfigurationError`` when other users may read or write it or it is empty, and ``OSError``."""
    with path.open(encoding="utf-8") as file:
        mode = os.fstat(file.fileno()).st_mode
        text = file.read().strip()
    if mode & _READ_BY_OTHERS:
        raise ConfigurationError(
            f"{path} holds a secret, and other users of this machine may read or change it.",
            hint=f"chmod 600 {path}; if others may have read it, delete it instead, and a new one is made.",
        )
    if not text:
        raise ConfigurationError(f"{path} is empty, but should hold a secret.", hint="Delete it: a new one is made.")
    return text


def _write_beside(path: Path, text: str) -> Path:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
    except OSError:
        temporary.unlink()
        raise
    return temporary


def sync_directory(path: Path) -> None:
    """Make the names in the directory survive a loss of power. Raises ``OSError``."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
