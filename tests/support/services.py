"""Real servers for tests: where they are, and the faults that can be done to them.

``CA_TEST_KAFKA_BROKERS``, ``CA_TEST_CLICKHOUSE_HOST`` and ``_PORT``, ``CA_TEST_POSTGRES_HOST`` (see ``postgresql``) and
``CA_TEST_REDIS_ADDR`` say where servers are; ``CA_TEST_SERVICES`` names the program that freezes, thaws, kills and starts
them (``tests/services``). What is not set skips its tests; with ``CA_TEST_REQUIRE_SERVERS`` set, no test runs at all then,
so that a green run has spoken to every server.

Tests of several processes use a server side by side; one that does a fault to it has it alone.
"""

import fcntl
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.services import places

SERVERS = ("CA_TEST_KAFKA_BROKERS", "CA_TEST_CLICKHOUSE_HOST", "CA_TEST_POSTGRES_HOST", "CA_TEST_REDIS_ADDR")
_PATIENCE_S = 240.0


def unset(*names: str) -> str:
    """Why tests that need all these variables are skipped; empty when they need not be."""
    missing = [name for name in names if not os.environ.get(name)]
    return f"{', '.join(missing)} not set" if missing else ""


def check_required() -> None:
    """Stop the run when servers are required and not all of them are named."""
    reason = unset(*SERVERS, "CA_TEST_SERVICES")
    if reason and os.environ.get("CA_TEST_REQUIRE_SERVERS"):
        raise pytest.UsageError(f"CA_TEST_REQUIRE_SERVERS is set, and {reason}: a server would be skipped")


def variable(name: str) -> str:
    """The variable's value; without one the test is skipped, and says so."""
    value = os.environ.get(name, "")
    if not value:
        pytest.skip(f"{name} is not set")
    return value


def clickhouse_place() -> tuple[str, int]:
    host = variable("CA_TEST_CLICKHOUSE_HOST")
    return host, int(os.environ.get("CA_TEST_CLICKHOUSE_PORT", "8123"))


def redis_addr() -> str:
    return variable("CA_TEST_REDIS_ADDR")


@contextmanager
def using(service: str, *, alone: bool = False) -> Iterator[None]:
    """Keep tests that do faults to the service from doing them meanwhile; ``alone``: keep all others from using it."""
    of_this_set = f"campaignctl-test-{os.getuid()}-{service}-{places.port(service)}.lock"
    deadline_s = time.monotonic() + _PATIENCE_S
    with Path(tempfile.gettempdir(), of_this_set).open("w") as file:
        while True:
            try:
                fcntl.flock(file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                assert time.monotonic() < deadline_s, f"other tests do not let go of {service}"
                time.sleep(0.02)
        yield


class Faults:
    """What can be done to a service. Whoever does it has the service ``alone``."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._program = variable("CA_TEST_SERVICES")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stopped in its tracks, and going on afterwards."""
        self._do("freeze")
        try:
            yield
        finally:
            self._do("thaw")

    @contextmanager
    def killed(self) -> Iterator[None]:
        """Gone without a word, and there again afterwards, on the same data."""
        self._do("kill")
        try:
            yield
        finally:
            self._do("up")

    def _do(self, verb: str) -> None:
        subprocess.run([self._program, verb, self._service], check=True, timeout=90, capture_output=True)
