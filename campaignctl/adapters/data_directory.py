"""The data directory: home of the embedded stores, of the keys made for them, and of the lock that keeps them whole.

lock            held by the one process that has the embedded stores open (an flock: free the moment it dies)
server.json     where that process answers, while it serves: readable by this user only
secrets/<name>  keys made once: readable by this user only
"""

import errno
import fcntl
import json
import os
import re
import secrets
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from campaignctl.adapters.private_files import create_private_once, read_private, replace_private
from campaignctl.adapters.process_identity import ProcessIdentity, is_known_dead, this_process
from campaignctl.errors import CampaignctlError, ConfigurationError, DirectoryInUse, StorageFull

_RETRY_S = 0.05
# ``running_server`` holds the lock for an instant to see whether it is free; a lock without waiting outlasts that.
_LEAST_WAIT_S = 0.2
_PRIVATE_FILE = 0o600
_PRIVATE_DIRECTORY = 0o700
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_SECRET_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """The server that has the stores open."""

    url: str
    token: str = field(repr=False)
    """The operator's token: a secret."""
    pid: int


@dataclass(frozen=True, slots=True)
class _Holder:
    process: ProcessIdentity
    purpose: str


class DirectoryLock:
    """The right to open the embedded stores, until ``release`` or the end of the process; also a context manager."""

    def __init__(self, directory: "DataDirectory", descriptor: int) -> None:
        self._directory = directory
        self._descriptor: int | None = descriptor
        _locks.add(self)

    def release(self) -> None:
        """Withdraw the server's address, if one was published, and let go. Safe to call twice."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            try:
                self._directory.withdraw_server()
                with suppress(OSError):  # the text is a courtesy; the lock itself goes with the descriptor
                    os.ftruncate(descriptor, 0)
            finally:
                os.close(descriptor)

    def forget(self) -> None:
        """In a forked child: close the copy of the descriptor, so that the lock is free when the parent ends."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


_locks: weakref.WeakSet[DirectoryLock] = weakref.WeakSet()


def _forget_locks() -> None:
    for lock in list(_locks):
        lock.forget()


os.register_at_fork(after_in_child=_forget_locks)


class DataDirectory:
    """Makes the directory (0700) unless it is there; raises ``ConfigurationError`` when it cannot be used."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock_path = path / "lock"
        self._server_path = path / "server.json"
        with self._errors():
            path.mkdir(mode=_PRIVATE_DIRECTORY, parents=True, exist_ok=True)
        if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
            raise self._unusable("this user may not read and write it")

    def lock(self, wait_s: float, purpose: str) -> DirectoryLock:
        """Take the lock, waiting for it for ``wait_s`` at most; ``purpose`` (such as ``serve``) is shown to others.

        Raises ``DirectoryInUse``, which names the holder, when the time is over.
        """
        deadline = time.monotonic() + max(wait_s, _LEAST_WAIT_S)
        with self._errors():
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE_FILE)
        try:
            with self._errors():
                while not _try_lock(descriptor, fcntl.LOCK_EX):
                    if time.monotonic() >= deadline:
                        raise self._in_use()
                    time.sleep(_RETRY_S)
                _write_holder(descriptor, _Holder(this_process(), purpose))
                self._server_path.unlink(missing_ok=True)  # whoever left it held the lock, and is gone
        except BaseException:
            os.close(descriptor)
            raise
        return DirectoryLock(self, descriptor)

    def publish_server(self, url: str, token: str) -> None:
        """Say where the server answers, and with which operator's token; only while holding the lock, whose release
        withdraws it.
        """
        text = json.dumps({"url": url, "token": token, "process": asdict(this_process())})
        with self._errors():
            replace_private(self._server_path, text)

    def withdraw_server(self) -> None:
        with self._errors():
            self._server_path.unlink(missing_ok=True)

    def running_server(self) -> RunningServer | None:
        """The server that has the stores open, or None: also when the file was left by one that has gone."""
        try:
            published = json.loads(self._server_path.read_text(encoding="utf-8"))
            process = ProcessIdentity(**published["process"])
            server = RunningServer(str(published["url"]), str(published["token"]), process.pid)
        except (OSError, ValueError, KeyError, TypeError):
            return None
        holder = self._holder()
        if holder is None or holder.process != process or is_known_dead(process) or not self._is_locked():
            return None
        return server

    def secret(self, name: str, nbytes: int = 32) -> str:
        """The secret of that name: random text of ``nbytes`` bytes of entropy, made when first asked for.

        Five processes that ask at once get the same one. Raises ``ConfigurationError`` when other users may read it.
        """
        if not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"not a secret's name: {name}")
        path = self.path / "secrets" / name
        with self._errors():
            path.parent.mkdir(mode=_PRIVATE_DIRECTORY, exist_ok=True)
            if not path.exists():
                create_private_once(path, secrets.token_urlsafe(nbytes))
            return read_private(path)

    def _is_locked(self) -> bool:
        try:
            descriptor = os.open(self._lock_path, os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)

    def _holder(self) -> _Holder | None:
        """Who wrote itself into the lock file last; None when it let go or the text is not whole."""
        try:
            text = json.loads(self._lock_path.read_text(encoding="utf-8"))
            return _Holder(ProcessIdentity(**text["process"]), str(text["purpose"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _in_use(self) -> DirectoryInUse:
        holder = self._holder()
        who = f"process {holder.process.pid} ({holder.purpose})" if holder else "another process"
        return DirectoryInUse(
            f"The data directory {self.path} is in use by {who}.",
            service="analytics",  # the store that only one process may open
            hint="Wait until it has finished or stop it; while a server runs, ask it instead with --api.",
        )

    def _unusable(self, reason: str) -> ConfigurationError:
        return ConfigurationError(
            f"data_dir: {self.path} cannot be used: {reason}.",
            hint="Name a directory this user may write: data_dir in the configuration, or CA_DATA_DIR.",
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._translate(error) from error

    def _translate(self, error: OSError) -> CampaignctlError:
        if error.errno in _FULL:
            return StorageFull(
                f"The data directory {self.path} cannot be written: {error.strerror}.",
                service="analytics",
                hint="Free space on that disk.",
            )
        if isinstance(error, FileExistsError | NotADirectoryError):
            return self._unusable("there is a file of that name, or above it")
        return self._unusable(str(error.strerror))


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _write_holder(descriptor: int, holder: _Holder) -> None:
    text = json.dumps(asdict(holder)).encode()
    os.ftruncate(descriptor, os.pwrite(descriptor, text, 0))
