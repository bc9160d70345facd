"""The product on real servers, in places of a test's own: databases, topics, processes, a person who signs in."""

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import clickhouse_connect
import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.api_client import ApiClient
from campaignctl.errors import Unavailable
from tests.support.postgresql import own_database, server_in_environment
from tests.support.program import Program
from tests.support.services import SERVERS, unset, using
from tests.support.thread import Client

_START_TIMEOUT_S = 60.0

needs_servers = pytest.mark.skipif(bool(unset(*SERVERS)), reason=unset(*SERVERS))


@contextmanager
def own_places() -> Iterator[dict[str, str]]:
    """A database on each server and topics of a test's own; gone at the end."""
    mark = secrets.token_hex(4)
    postgres = server_in_environment()
    assert postgres is not None
    brokers = os.environ["CA_TEST_KAFKA_BROKERS"]
    host, port = os.environ["CA_TEST_CLICKHOUSE_HOST"], os.environ.get("CA_TEST_CLICKHOUSE_PORT", "8123")
    with using("kafka"), using("clickhouse"), using("redis"), own_database(postgres) as database:
        settings = {
            "CA_KAFKA_BROKERS": brokers,
            "CA_KAFKA_EVENTS_TOPIC": f"events-{mark}",
            "CA_KAFKA_DEAD_LETTER_TOPIC": f"events-{mark}-dlq",
            "CA_KAFKA_GROUP_ID": f"worker-{mark}",
            "CA_CLICKHOUSE_HOST": host,
            "CA_CLICKHOUSE_PORT": port,
            "CA_CLICKHOUSE_DATABASE": f"test_{mark}",
            "CA_POSTGRES_HOST": postgres.host,
            "CA_POSTGRES_PORT": str(postgres.port),
            "CA_POSTGRES_DATABASE": database,
            "CA_POSTGRES_USERNAME": postgres.username,
            "CA_POSTGRES_PASSWORD": postgres.password,
            "CA_REDIS_ADDR": os.environ["CA_TEST_REDIS_ADDR"],
            "CA_JWT_KEY": secrets.token_urlsafe(48),
            "CA_SECRETS_KEY": secrets.token_urlsafe(48),
            "CA_EVENTS_RETENTION_DAYS": "30000",
        }
        try:
            yield settings
        finally:
            log = KafkaEventLog([brokers], SystemClock())
            for topic in (f"events-{mark}", f"events-{mark}-dlq"):
                log.delete_topic(topic)
            log.close()
            with clickhouse_connect.get_client(host=host, port=int(port)) as client:
                client.command(f"DROP DATABASE IF EXISTS test_{mark}")


@contextmanager
def deployed(home: Path, settings: dict[str, str], *, workers: int) -> Iterator[tuple[Program, Client]]:
    """Schema, so many workers and an API process in places that ``own_places`` gave; a client that has signed in."""
    program = Program(home, settings)
    with ExitStack() as stack:
        program.run("init-schema")
        program.run("init-schema", "--check")
        for number in range(workers):
            stack.enter_context(running(program, f"work-{number}", "counting the events", "work"))
        log = stack.enter_context(running(program, "serve", "serving on", "serve", "--port", "0"))
        url = re.search(r"serving on (\S+)", log.read_text())
        assert url is not None
        wait_until_ready(url[1])
        yield program, Client(stack.enter_context(signed_in(url[1])))


def wait_until_ready(url: str) -> None:
    """Return when ``/health/ready`` says so: a server begins to listen before it has asked its stores."""
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    with ApiClient(url) as anyone:
        while True:
            try:
                anyone.get("/health/ready")
                return
            except Unavailable:
                assert time.monotonic() < deadline_s, "the server did not become ready"
                time.sleep(0.1)


@contextmanager
def running(program: Program, name: str, ready: str, *arguments: str) -> Iterator[Path]:
    """A process of the program for the length of a ``with``; SIGTERM ends it, with exit code 143."""
    log = program.home / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*program.command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=program.home,
            env=program.environment(),
            start_new_session=True,
        )
    try:
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while ready not in log.read_text(errors="replace"):
            assert process.poll() is None, log.read_text(errors="replace")
            assert time.monotonic() < deadline_s, log.read_text(errors="replace")
            time.sleep(0.05)
        yield log
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 143, log.read_text(errors="replace")
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(30)
    assert "Traceback" not in log.read_text(errors="replace")


@contextmanager
def signed_in(url: str) -> Iterator[ApiClient]:
    credentials = {"email": "someone@example.com", "password": secrets.token_urlsafe(24)}

    def sign_in() -> str:
        with ApiClient(url) as anyone:
            return str(anyone.post("/api/v1/auth/login", credentials).json()["access_token"])

    with ApiClient(url) as anyone:
        anyone.post("/api/v1/auth/register", credentials)
    with ApiClient(url, sign_in(), renew=sign_in, timeout_s=60.0) as api:
        yield api


def wait_until_counted(settings: dict[str, str], *, timeout_s: float = 120.0) -> None:
    """Return when the group has counted the whole log: also what lay in a strange partition and was produced again."""
    deadline_s = time.monotonic() + timeout_s
    with closing(KafkaEventLog([settings["CA_KAFKA_BROKERS"]], SystemClock())) as log:
        while left := records_left(log, settings):
            assert time.monotonic() < deadline_s, f"records by partition that are not counted: {left}"
            time.sleep(0.2)


def records_left(log: KafkaEventLog, settings: dict[str, str]) -> dict[int, int]:
    """How many records of each partition the group has not counted yet; empty when it has counted the whole log."""
    topic, group = settings["CA_KAFKA_EVENTS_TOPIC"], settings["CA_KAFKA_GROUP_ID"]
    ends = log.watermarks(topic)
    committed = log.committed(topic, group)
    left = {p: end.end - (committed[p].offset if p in committed else 0) for p, end in ends.items()}
    return left if any(left.values()) or log.watermarks(topic) != ends else {}
