"""The program as a person runs it: ``campaignctl`` in a process of its own, in a directory of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from campaignctl.adapters.data_directory import DataDirectory, RunningServer
from campaignctl.api_client import ApiClient
from tests.support.answers import decoded
from tests.support.thread import Client

REPOSITORY = Path(__file__).parents[2]
_START_TIMEOUT_S = 60.0
_TRACEBACK = "Traceback (most recent call last)"


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return decoded(self.out.encode())


@dataclass
class Program:
    """Commands on the data directory ``home / "data"``, run in ``home``; ``settings`` are ``CA_`` variables.

    No output of any command may hold a traceback.
    """

    home: Path
    settings: dict[str, str] = field(default_factory=dict)
    command: Sequence[str] = (sys.executable, "-m", "campaignctl")
    python_path: str = str(REPOSITORY)

    @property
    def data_dir(self) -> Path:
        return Path(self.settings.get("CA_DATA_DIR", self.home / "data"))

    def environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("CA_", "PYTEST", "PYTHON"))}
        own = {"CA_DATA_DIR": str(self.data_dir), "HOME": str(self.home), "PYTHONUTF8": "1", "NO_COLOR": "1"}
        if self.python_path:
            own["PYTHONPATH"] = self.python_path
        return kept | own | self.settings

    def run(self, *arguments: str, stdin: bytes = b"", timeout_s: float = 120.0, expect: int | None = 0) -> Finished:
        """Run a command to its end. Fails unless its exit code is ``expect`` (None takes any)."""
        ran = subprocess.run(
            [*self.command, *arguments],
            input=stdin,
            capture_output=True,
            cwd=self.home,
            env=self.environment(),
            timeout=timeout_s,
            check=False,
        )
        finished = Finished(ran.returncode, ran.stdout.decode(), ran.stderr.decode())
        shown = (
            f"campaignctl {' '.join(arguments)}: exit {finished.code}\n{finished.out[-2000:]}\n{finished.err[-4000:]}"
        )
        assert _TRACEBACK not in finished.out + finished.err, shown
        assert expect is None or finished.code == expect, shown
        return finished

    def kill_while_starting(self, after_s: float) -> None:
        """``kill -9`` a server so many seconds after it was started."""
        command = [*self.command, "serve", "--port", "0"]
        with (self.home / "killed.log").open("wb") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.home, env=self.environment()
            )
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
        assert process.wait(30) == -signal.SIGKILL, (self.home / "killed.log").read_text(errors="replace")

    @contextmanager
    def serving(self, *options: str) -> Iterator["Server"]:
        """``campaignctl serve`` for the length of a ``with``, ended by SIGTERM unless the test has ended it."""
        with Server(self, options) as server:
            yield server


class Server:
    """A running ``campaignctl serve``; ``client`` speaks as the operator of the machine."""

    def __init__(self, program: Program, options: Sequence[str] = ()) -> None:
        self._program = program
        self._said: str | None = None
        self._log_path = program.home / f"serve-{time.monotonic_ns()}.log"
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*program.command, "serve", "--port", "0", *options],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=program.home,
                env=program.environment(),
                start_new_session=True,
            )
        try:
            self.published = self._wait_until_published()
        except BaseException:
            self.kill()
            raise
        self.url = self.published.url
        self.api = ApiClient(self.url, self.published.token, timeout_s=60.0)
        self.client = Client(self.api)

    def log(self) -> str:
        return self._log_path.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """``kill -9``, as a power cut would.

        What it says is judged up to here: a process that this one is just starting complains that its parent is gone.
        """
        self._said = self.log()
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)
        if hasattr(self, "api"):
            self.api.close()

    def stop(self) -> int:
        """SIGTERM; answers the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        finally:
            self.api.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            try:
                self.stop()
            except BaseException:
                self.kill()
                raise
        if kind is None:
            said = self.log() if self._said is None else self._said
            assert _TRACEBACK not in said, said

    def _wait_until_published(self) -> RunningServer:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while time.monotonic() < deadline_s:
            if self.process.poll() is not None:
                raise AssertionError(f"serve ended with {self.process.returncode}:\n{self.log()}")
            if re.search(r"serving on http", self.log()):
                found = DataDirectory(self._program.data_dir).running_server()
                if found is not None:
                    return found
            time.sleep(0.02)
        raise AssertionError(f"serve did not start:\n{self.log()}")
