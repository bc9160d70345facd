"""Real Kafka, ClickHouse, PostgreSQL and Redis on loopback, for tests and development.

    services up [NAME...]        fetch what is missing, start, wait until each answers
    services down [NAME...]      stop
    services wipe [NAME...]      stop, and delete the data
    services status              one line a server
    services env [PREFIX]        their places as shell variables: CA_TEST_ for tests (default), CA_ for the product
    services run COMMAND...      run a command with the CA_TEST_ variables; servers that it had to start for it are
                                 stopped at the end, with their data, once no other command uses them
    services kill NAME           end it without a word; `up` brings it back on the same data
    services freeze|thaw NAME    stop it in its tracks, and let it go on

Names: kafka clickhouse postgres redis zookeeper. Without names the first four are meant, for `down` and `wipe` all.
They run in Docker Compose where an engine answers, else from packages (SERVICES_FROM=packages has them so anyhow):
Kafka from Maven Central with JDK 17, ClickHouse's library from npm, Debian's PostgreSQL and Redis.
Data and downloads are below $SERVICES_DIR; $KAFKA_PORT and the like move a server to another port; $SERVICES_SET names
one more set beside the usual one, on ports a hundred higher.
"""

import fcntl
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from tests.services import places
from tests.services.backends import Backend, choose, wait_until_ready
from tests.services.servers import SERVERS

_FAULTS = ("kill", "freeze", "thaw")


def main(words: Sequence[str]) -> int:
    verb, names = (words[0], words[1:]) if words else ("help", [])
    if verb == "env":
        for name, value in (places.variables(names[0]) if names else places.test_variables()).items():
            print(f"export {name}={shlex.quote(value)}")
        return 0
    if verb == "run" and names:
        return _run(choose(), names)
    unknown = [name for name in names if name not in places.KNOWN]
    if unknown:
        sys.exit(f"services: {unknown[0]!r} is none of {', '.join(places.KNOWN)}")
    if verb in _FAULTS and names:
        for name in names:
            choose().fault(verb, name)
    elif verb == "up":
        _up(choose(), names or places.DEFAULT)
        if not names:  # started by hand: they stay
            _temporary().unlink(missing_ok=True)
    elif verb in ("down", "wipe"):
        _down(choose(), names or places.KNOWN, forget=verb == "wipe")
    elif verb == "status":
        _status(choose())
    else:
        print(__doc__)
        return 0 if verb in ("help", "--help", "-h") else 2
    return 0


def _up(backend: Backend, names: Sequence[str]) -> list[str]:
    """Start what does not run; answers what that was."""
    with _held(places.home() / "starting", fcntl.LOCK_EX):  # of every set: what is missing is fetched once
        missing = [name for name in names if not backend.runs(name)]
        for name in missing:
            backend.start(name)
        for name in names:
            wait_until_ready(backend, name)
    return missing


def _down(backend: Backend, names: Sequence[str], *, forget: bool) -> None:
    for name in names:
        if backend.runs(name):
            backend.stop(name)
            print(f"{name} stopped", file=sys.stderr)
        if forget:
            backend.forget(name)


def _status(backend: Backend) -> None:
    for name in places.KNOWN:
        server = SERVERS[name]
        word = "down" if not backend.runs(name) else "up" if server.answers() else "does not answer"
        print(f"{name:<11} {places.HOST}:{server.port:<6} {word}")


def _run(backend: Backend, command: Sequence[str]) -> int:
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with _held(places.state() / "used", fcntl.LOCK_SH):
            started = _up(backend, places.DEFAULT)
            if started:
                with _temporary().open("a") as file:
                    file.write("".join(f"{name}\n" for name in started))
            environment = {**os.environ, **places.test_variables()}
            code = subprocess.run(command, env=environment).returncode
            _tell_of_ended(backend)
            return code
    except KeyboardInterrupt:
        return 130
    finally:
        _end_temporary(backend)


def _tell_of_ended(backend: Backend) -> None:
    """Failures of the command that met a server which had ended are not the command's: say so where they are read."""
    for name in places.DEFAULT:
        if not backend.runs(name):
            how, log = backend.how_it_ended(name), backend.log_end(name)
            print(f"services: {name} ended while it was used, {how}. The end of its log:\n{log}", file=sys.stderr)


def _end_temporary(backend: Backend) -> None:
    """Stop what was started for commands, unless one still uses it: the last one to end does it then."""
    try:
        with _held(places.state() / "used", fcntl.LOCK_EX | fcntl.LOCK_NB):
            if _temporary().exists():
                _down(backend, sorted(set(_temporary().read_text().split())), forget=True)
                _temporary().unlink()
    except BlockingIOError:
        print("services: another command uses the servers, they stay up", file=sys.stderr)


def _temporary() -> Path:
    """Names the servers that are stopped with the last command that uses them."""
    return places.state() / "temporary"


@contextmanager
def _held(name: Path, kind: int) -> Iterator[None]:
    name.parent.mkdir(parents=True, exist_ok=True)
    with name.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, kind)
        yield


def _interrupted(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
