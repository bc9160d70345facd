"""The whole event files on real servers: two workers and an API process, every answer exactly as on embedded stores.

Needs all four servers (``CA_TEST_KAFKA_BROKERS``, ``CA_TEST_CLICKHOUSE_HOST``, ``CA_TEST_POSTGRES_HOST``,
``CA_TEST_REDIS_ADDR``, with their ports and users); skipped by name otherwise.
"""

import os
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.api_client import ApiClient
from tests.support.answers import decoded, differences
from tests.support.postgresql import own_database, server_in_environment
from tests.support.program import Program
from tests.support.scenarios import Scenario, load_scenario, scenario_folders
from tests.support.thread import Client

_NEEDED = ("CA_TEST_KAFKA_BROKERS", "CA_TEST_CLICKHOUSE_HOST", "CA_TEST_POSTGRES_HOST", "CA_TEST_REDIS_ADDR")
_MISSING = [name for name in _NEEDED if not os.environ.get(name)]
_START_TIMEOUT_S = 60.0
WORKERS = 2

pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"servers: {', '.join(_MISSING)} not set")


@dataclass(frozen=True, slots=True)
class Played:
    scenario: Scenario
    program: Program
    client: Client


@pytest.fixture(scope="module", params=scenario_folders(), ids=lambda folder: folder.name)
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    scenario = load_scenario(request.param)
    with ExitStack() as stack:
        settings = stack.enter_context(_own_places())
        program = Program(tmp_path_factory.mktemp(scenario.folder.name), settings)
        program.run("init-schema")
        program.run("init-schema", "--check")
        for number in range(WORKERS):
            stack.enter_context(_running(program, f"work-{number}", "counting the events", "work"))
        log = stack.enter_context(_running(program, "serve", "serving on", "serve", "--port", "0"))
        url = re.search(r"serving on (\S+)", log.read_text())
        assert url is not None
        client = Client(stack.enter_context(_signed_in(url[1])))
        assert client.create(scenario.campaigns) == list(range(1, len(scenario.campaigns) + 1))
        client.put_rates(_rates(scenario.folder))
        sent = client.send(scenario.lines)
        assert sent.refused == scenario.refused
        client.wait(sent.positions, 1)
        yield Played(scenario, program, client)


def test_every_answer_is_exact(played: Played) -> None:
    wrong = []
    for question in played.scenario.questions:
        answer = played.client.ask(question.path, question.params)
        wrong += [f"{question}: {text}" for text in differences(answer, question.expected)[:5]]
    assert not wrong, "\n".join(wrong[:40])


def test_sending_the_file_again_changes_no_answer(played: Played) -> None:
    sent = played.client.send(played.scenario.lines)
    played.client.wait(sent.positions, 1)
    for question in played.scenario.questions[::7]:
        assert not differences(played.client.ask(question.path, question.params), question.expected), question


def test_a_command_beside_the_servers_reads_the_same_rows(played: Played) -> None:
    counted = played.program.run("query", "SELECT count(), uniqExact(campaign_id, event_id) FROM events", "-o", "json")
    ((rows, distinct),) = (tuple(row) for row in _rows(counted.json()))
    assert rows == distinct > 0


def _rows(answer: object) -> list[list[int]]:
    assert isinstance(answer, dict)
    return [list(row.values()) if isinstance(row, dict) else list(row) for row in answer["rows"]]


def _rates(folder: Path) -> list[dict[str, object]]:
    return [{**rate, "rate": str(rate["rate"])} for rate in decoded((folder / "rates.json").read_bytes())]


@contextmanager
def _own_places() -> Iterator[dict[str, str]]:
    """A database on each server and topics of a test's own; gone at the end."""
    mark = secrets.token_hex(4)
    postgres = server_in_environment()
    assert postgres is not None
    brokers = os.environ["CA_TEST_KAFKA_BROKERS"]
    host, port = os.environ["CA_TEST_CLICKHOUSE_HOST"], os.environ.get("CA_TEST_CLICKHOUSE_PORT", "8123")
    with own_database(postgres) as database:
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
def _running(program: Program, name: str, ready: str, *arguments: str) -> Iterator[Path]:
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
def _signed_in(url: str) -> Iterator[ApiClient]:
    credentials = {"email": "someone@example.com", "password": secrets.token_urlsafe(24)}

    def sign_in() -> str:
        with ApiClient(url) as anyone:
            return str(anyone.post("/api/v1/auth/login", credentials).json()["access_token"])

    with ApiClient(url) as anyone:
        anyone.post("/api/v1/auth/register", credentials)
    with ApiClient(url, sign_in(), renew=sign_in, timeout_s=60.0) as api:
        yield api
