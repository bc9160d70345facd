"""A program in a terminal of its own: its keys, and what it writes, as a person would see it come."""

import fcntl
import os
import re
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

_SEQUENCE = re.compile(
    rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P[^\x1b]*\x1b\\|[()][0-9A-B]|[=>78])"
)
_KEPT_BYTES = 1 << 20


class Terminal:
    """Runs ``command`` on a pseudo terminal for the length of a ``with``; ended by SIGTERM at its end."""

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], home: Path, *, columns: int = 140, rows: int = 44
    ) -> None:
        self._ours, theirs = os.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        looks = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "COLUMNS": str(columns), "LINES": str(rows)}
        try:
            self.process = subprocess.Popen(
                command,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                cwd=home,
                env=dict(environment) | looks,
                start_new_session=True,
            )
        finally:
            os.close(theirs)
        self._written = b""
        self._dropped = 0
        self._came = threading.Condition()
        self._reads = threading.Thread(target=self._read, daemon=True)
        self._reads.start()

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._ours, 1 << 16)
            except OSError:  # the other end is closed
                piece = b""
            with self._came:
                self._written += piece
                if (over := len(self._written) - _KEPT_BYTES) > 0:
                    self._written, self._dropped = self._written[over:], self._dropped + over
                self._came.notify_all()
            if not piece:
                return

    @property
    def position(self) -> int:
        """How much was written so far; ``text`` begins at such a place."""
        with self._came:
            return self._dropped + len(self._written)

    def written(self, since: int = 0) -> bytes:
        """What was written from there on, as far as it is kept."""
        with self._came:
            return self._written[max(0, since - self._dropped) :]

    def text(self, since: int = 0) -> str:
        """What was written from there on, without the sequences that place and colour it."""
        return _SEQUENCE.sub(b"", self.written(since)).decode(errors="replace")

    def press(self, keys: str) -> int:
        """Types them; answers the place from which on an answer to them is written."""
        since = self.position
        os.write(self._ours, keys.encode())
        return since

    def wait_for(self, pattern: str, since: int, timeout_s: float) -> float:
        """Seconds until something that matches was written from ``since`` on."""
        begun_s = time.monotonic()
        wanted = re.compile(pattern)
        while True:
            with self._came:
                seen = self._dropped + len(self._written)
            if wanted.search(self.text(since)):
                return time.monotonic() - begun_s
            if time.monotonic() - begun_s > timeout_s or self.process.poll() is not None:
                raise AssertionError(f"{pattern!r} never came; the last of it: {self.text(since)[-3000:]!r}")
            with self._came:
                if self._dropped + len(self._written) == seen:
                    self._came.wait(0.05)

    def wait_for_the_end(self, timeout_s: float) -> int:
        """The exit code, when all that was written has been read."""
        code = self.process.wait(timeout_s)
        self._reads.join(timeout_s)
        return code

    def scheduled_s(self) -> tuple[float, float]:
        """How long its first thread has run so far, and for how long it was ready to and waited for a processor."""
        scheduled = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/schedstat").read_text(encoding="ascii")
        ran, queued, _ = map(int, scheduled.split())
        return ran / 1e9, queued / 1e9

    def resident_bytes(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        self._reads.join(20)
        os.close(self._ours)
