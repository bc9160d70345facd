"""Events that a plain Kafka producer writes, into whatever partition: the answers are the same."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer

from tests.model.make_example import make
from tests.support.answers import decoded, differences
from tests.support.deployment import deployed, needs_servers, own_places, wait_until_counted
from tests.support.program import REPOSITORY
from tests.support.scenarios import Scenario, load_scenario
from tests.support.thread import Client

SAMPLES = os.environ.get("CA_TEST_SAMPLES")
TO_KAFKA = REPOSITORY / "examples" / "producers" / "to_kafka.py"

pytestmark = [needs_servers, pytest.mark.timeout(600)]


@dataclass(frozen=True, slots=True)
class Way:
    """How a producer that knows nothing of campaigns places its records."""

    partitioner: str
    key: str | None
    """The member of the event that is the record's key."""

    def __str__(self) -> str:
        return f"{self.partitioner}-{self.key or 'no'}-key"


WAYS = (Way("consistent_random", "campaign_id"), Way("random", "event_id"), Way("consistent_random", None))


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """All copies of an event say the same in it, so that their order does not matter."""
    if SAMPLES:
        return load_scenario(Path(SAMPLES) / "steady")
    folder = tmp_path_factory.mktemp("agreeing")
    for name, content in make(conflicts=False).items():
        (folder / name).write_bytes(content)
    return load_scenario(folder)


@pytest.fixture(params=WAYS, ids=str)
def counted(request: pytest.FixtureRequest, scenario: Scenario, tmp_path: Path) -> Iterator[tuple[Scenario, Client]]:
    with own_places() as settings, deployed(tmp_path, settings, workers=2) as (_, client):
        assert client.create(scenario.campaigns) == list(range(1, len(scenario.campaigns) + 1))
        client.put_rates(scenario.rates)
        _produce(settings, scenario.lines, request.param)
        wait_until_counted(settings, timeout_s=240.0)
        yield scenario, client


def test_every_answer_is_exact(counted: tuple[Scenario, Client]) -> None:
    _compare(*counted)


def test_what_the_example_producer_sends_is_counted(scenario: Scenario, tmp_path: Path) -> None:
    with own_places() as settings, deployed(tmp_path, settings, workers=1) as (_, client):
        client.create(scenario.campaigns)
        client.put_rates(scenario.rates)
        command = [sys.executable, str(TO_KAFKA), settings["CA_KAFKA_BROKERS"], settings["CA_KAFKA_EVENTS_TOPIC"]]
        ran = subprocess.run(command, input=b"\n".join(scenario.lines), capture_output=True, timeout=120, check=False)
        assert ran.returncode == 0, ran.stderr.decode()
        assert f"{len(scenario.lines)} records sent" in ran.stderr.decode()
        wait_until_counted(settings, timeout_s=240.0)
        _compare(scenario, client)


def test_the_example_producer_says_what_no_broker_took() -> None:
    program = "import to_kafka, sys; to_kafka._WAIT_S = 2.0; sys.exit(to_kafka.main())"
    ran = subprocess.run(
        [sys.executable, "-c", program, "127.0.0.1:1"],
        input=b"{}",
        capture_output=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(TO_KAFKA.parent)},
    )
    assert ran.returncode == 1
    assert b"1 of 1 records are not acknowledged" in ran.stderr


def _compare(scenario: Scenario, client: Client) -> None:
    for question in scenario.questions:
        found = differences(client.ask(question.path, question.params), question.expected)
        assert not found, f"{question}: {found[:5]}"


def _produce(settings: dict[str, str], lines: list[bytes], way: Way) -> None:
    producer = Producer(
        {
            "bootstrap.servers": settings["CA_KAFKA_BROKERS"],
            "partitioner": way.partitioner,
            "linger.ms": 20,
            "compression.type": "zstd",
        }
    )
    for line in lines:
        producer.poll(0)
        producer.produce(settings["CA_KAFKA_EVENTS_TOPIC"], line, key=_key(line, way.key))
    assert producer.flush(60) == 0
    producer.close()


def _key(line: bytes, member: str | None) -> bytes | None:
    if member is None:
        return None
    try:
        return str(decoded(line)[member]).encode()
    except (ValueError, KeyError, TypeError, RecursionError):  # one that is refused whatever its key
        return None
