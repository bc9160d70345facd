"""An installation on the servers that ``CA_TEST_...`` variables name: two ``serve``, two ``work``, places of its own."""

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.errors import CampaignctlError
from tests.support.postgresql import own_database, server_in_environment
from tests.support.program import Program

_START_S = 90.0


@dataclass(slots=True)
class Process:
    """A running command of the program."""

    name: str
    process: "subprocess.Popen[bytes]"
    log_path: Path
    url: str = ""

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")

    def wait_for(self, words: str) -> str:
        """The first match of the pattern in its output."""
        end_s = time.monotonic() + _START_S
        while (found := re.search(words, self.log())) is None:
            assert self.process.poll() is None, self.log()[-4_000:]
            assert time.monotonic() < end_s, self.log()[-4_000:]
            time.sleep(0.05)
        return found[found.re.groups]

    def stop(self) -> tuple[int, float]:
        """SIGTERM; answers the exit code, and how many seconds it took."""
        started_s = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(40), time.monotonic() - started_s


@dataclass(frozen=True, slots=True)
class Installation:
    program: Program
    servers: list[Process]
    workers: list[Process]

    @property
    def urls(self) -> list[str]:
        return [server.url for server in self.servers]

    def rebalances(self) -> int:
        """How often a worker has given a partition up."""
        return sum(worker.log().count(": given up") for worker in self.workers)


@contextmanager
def installation(home: Path, *, ready_schema: bool = True, wait_s: float = _START_S) -> Iterator[Installation]:
    """Everything started; with the schema, unless the caller makes it later. Ended by SIGTERM, each with code 143."""
    with ExitStack() as stack:
        program = Program(home, stack.enter_context(own_places()))
        if ready_schema:
            program.run("init-schema", timeout_s=wait_s)
        workers = [stack.enter_context(running(program, f"work-{n}", "work")) for n in range(2)]
        servers = [stack.enter_context(running(program, f"serve-{n}", "serve", "--port", "0")) for n in range(2)]
        for server in servers:
            server.url = server.wait_for(r"serving on (\S+)")
        yield Installation(program, servers, workers)


@contextmanager
def running(program: Program, name: str, *arguments: str) -> Iterator[Process]:
    log_path = program.home / f"{name}.log"
    with log_path.open("wb") as output:
        process = subprocess.Popen(
            [*program.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=program.home,
            env=program.environment(),
            start_new_session=True,
        )
    started = Process(name, process, log_path)
    try:
        yield started
        if process.poll() is None:
            code, seconds = started.stop()
            assert code == 143, started.log()[-4_000:]
            assert seconds < 27, f"{name} took {seconds:.1f} s to stop"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)
    assert "Traceback" not in started.log(), started.log()[-8_000:]


@contextmanager
def own_places() -> Iterator[dict[str, str]]:
    """Settings with a database on each server and topics of one's own; gone at the end."""
    mark = secrets.token_hex(4)
    postgres = server_in_environment()
    assert postgres is not None
    host, port = os.environ["CA_TEST_CLICKHOUSE_HOST"], os.environ.get("CA_TEST_CLICKHOUSE_PORT", "8123")
    with own_database(postgres) as database:
        settings = {
            "CA_KAFKA_BROKERS": os.environ["CA_TEST_KAFKA_BROKERS"],
            "CA_KAFKA_EVENTS_TOPIC": f"events-{mark}",
            "CA_KAFKA_DEAD_LETTER_TOPIC": f"events-{mark}-dlq",
            "CA_KAFKA_GROUP_ID": f"worker-{mark}",
            "CA_CLICKHOUSE_HOST": host,
            "CA_CLICKHOUSE_PORT": port,
            "CA_CLICKHOUSE_DATABASE": f"chaos_{mark}",
            "CA_POSTGRES_HOST": postgres.host,
            "CA_POSTGRES_PORT": str(postgres.port),
            "CA_POSTGRES_DATABASE": database,
            "CA_POSTGRES_USERNAME": postgres.username,
            "CA_POSTGRES_PASSWORD": postgres.password,
            "CA_REDIS_ADDR": os.environ["CA_TEST_REDIS_ADDR"],
            "CA_JWT_KEY": secrets.token_urlsafe(48),
            "CA_SECRETS_KEY": secrets.token_urlsafe(48),
        }
        try:
            yield settings
        finally:
            log = KafkaEventLog([settings["CA_KAFKA_BROKERS"]], SystemClock())
            for topic in (f"events-{mark}", f"events-{mark}-dlq"):
                with suppress(CampaignctlError):
                    log.delete_topic(topic)
            log.close()
            with clickhouse_connect.get_client(host=host, port=int(port)) as client:
                client.command(f"DROP DATABASE IF EXISTS chaos_{mark}")
