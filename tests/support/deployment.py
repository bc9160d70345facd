"""The product on real servers, in places of a test's own: databases, topics, processes, a person who signs in."""

import os
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import clickhouse_connect
import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.api_client import ApiClient
from tests.support.postgresql import own_database, server_in_environment
from tests.support.program import Program
from tests.support.services import SERVERS, unset, using

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
