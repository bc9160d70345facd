"""Two ways to have the servers: processes of this user from packages, or containers of Docker Compose.

Both know the same verbs, so that tests need not know which one it is.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

from tests.services import packages, places
from tests.services.processes import ask_to_end, living, signal_all
from tests.services.servers import SERVERS, create_database

_START_S = 240.0  # of a machine whose every core has ten others waiting: Kafka alone took 60 s there
_STOP_S = 20.0
_COMPOSE_FILE = Path(__file__).with_name("compose.yaml")
_SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}
_COMPOSE_VERBS = {"kill": "kill", "freeze": "pause", "thaw": "unpause"}


class Backend(ABC):
    @abstractmethod
    def runs(self, name: str) -> bool:
        """Whether the server is there, frozen or not."""

    @abstractmethod
    def start(self, name: str) -> None:
        """Start it on the data it had; it need not answer yet."""

    @abstractmethod
    def prepare(self, name: str) -> None:
        """What it takes besides that it answers."""

    @abstractmethod
    def stop(self, name: str) -> None: ...

    @abstractmethod
    def forget(self, name: str) -> None:
        """Delete the data of a server that was stopped."""

    @abstractmethod
    def fault(self, verb: str, name: str) -> None:
        """``kill``, ``freeze`` or ``thaw``."""

    @abstractmethod
    def how_it_ended(self, name: str) -> str:
        """Of a server that ended unasked: by which signal or with which code, as far as that is known."""

    @abstractmethod
    def log_end(self, name: str) -> str: ...


class Processes(Backend):
    """From packages."""

    def __init__(self) -> None:
        self._started: dict[str, subprocess.Popen[bytes]] = {}

    def runs(self, name: str) -> bool:
        return living(_pid_file(name)) is not None

    def start(self, name: str) -> None:
        server, directory = SERVERS[name], places.state(name)
        if server.answers():
            sys.exit(f"services: another program has port {server.port} of {name}; set {name.upper()}_PORT")
        places.downloads().mkdir(parents=True, exist_ok=True)
        directory.mkdir(parents=True, exist_ok=True)
        command = server.command(directory)
        with (directory / "log").open("ab") as log:
            self._started[name] = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, cwd="/"
            )
        _pid_file(name).write_text(str(self._started[name].pid))

    def prepare(self, name: str) -> None:
        if name == "postgres":
            create_database()

    def stop(self, name: str) -> None:
        pid = living(_pid_file(name))
        if pid is None:
            return
        ask_to_end(pid, signal.Signals[SERVERS[name].stop_signal])
        deadline_s = time.monotonic() + _STOP_S
        while self.runs(name) and time.monotonic() < deadline_s:
            time.sleep(0.1)
        if self.runs(name):
            signal_all(pid, signal.SIGKILL)

    def forget(self, name: str) -> None:
        shutil.rmtree(places.state(name), ignore_errors=True)

    def fault(self, verb: str, name: str) -> None:
        pid = living(_pid_file(name))
        if pid is None:
            sys.exit(f"services: {name} is not running")
        signal_all(pid, _SIGNALS[verb])
        while verb == "kill" and (self.runs(name) or SERVERS[name].answers()):
            time.sleep(0.02)

    def how_it_ended(self, name: str) -> str:
        code = self._started[name].poll() if name in self._started else None
        if code is None:
            return "how is not known: another process had started it"
        return f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def log_end(self, name: str) -> str:
        return (places.state(name) / "log").read_text(errors="replace")[-2_000:]


class Compose(Backend):
    """From images; ``docker`` is the program."""

    def runs(self, name: str) -> bool:
        return bool(self._ask("ps", "--quiet", "--status", "running", "--status", "paused", name).strip())

    def start(self, name: str) -> None:
        self._do("up", "--detach", name)

    def prepare(self, name: str) -> None:
        """The images make what is needed themselves."""

    def stop(self, name: str) -> None:
        self._ask("unpause", name, check=False)
        self._do("stop", name)

    def forget(self, name: str) -> None:
        self._do("rm", "--force", "--volumes", name)

    def fault(self, verb: str, name: str) -> None:
        self._do(_COMPOSE_VERBS[verb], name)

    def how_it_ended(self, name: str) -> str:
        shown = self._ask("ps", "--all", "--format", "{{.State}} {{.ExitCode}}", name, check=False).strip()
        return f"as {shown or 'a container that is gone'}"

    def log_end(self, name: str) -> str:
        return self._ask("logs", "--tail", "30", name)

    def _do(self, *words: str) -> None:
        subprocess.run(self._command(words), check=True, stdout=sys.stderr, env=self._environment())

    def _ask(self, *words: str, check: bool = True) -> str:
        asked = subprocess.run(
            self._command(words), check=check, capture_output=True, text=True, env=self._environment()
        )
        return asked.stdout

    @staticmethod
    def _command(words: Sequence[str]) -> list[str]:
        project = "-".join(filter(None, ("campaignctl-services", places.other_set())))
        return ["docker", "compose", "-p", project, "--file", str(_COMPOSE_FILE), "--profile", "cluster", *words]

    @staticmethod
    def _environment() -> dict[str, str]:
        ports = {f"{name.upper()}_PORT": str(places.port(name)) for name in places.KNOWN}
        return {**os.environ, **ports, "KAFKA_VERSION": packages.KAFKA}


def choose() -> Backend:
    """Docker Compose where an engine answers, unless ``SERVICES_FROM=packages`` says not to."""
    if os.environ.get("SERVICES_FROM") == "packages" or shutil.which("docker") is None:
        return Processes()
    for question in (["docker", "info"], ["docker", "compose", "version"]):
        if subprocess.run(question, capture_output=True, timeout=20).returncode != 0:
            return Processes()
    return Compose()


def wait_until_ready(backend: Backend, name: str) -> None:
    server = SERVERS[name]
    deadline_s = time.monotonic() + _START_S
    while not server.answers():
        if not backend.runs(name) or time.monotonic() > deadline_s:
            sys.exit(f"services: {name} did not start:\n{backend.log_end(name)}")
        time.sleep(0.1)
    backend.prepare(name)
    print(f"{name} ready on {places.HOST}:{server.port}", file=sys.stderr)


def _pid_file(name: str) -> Path:
    return places.state(name) / "pid"
