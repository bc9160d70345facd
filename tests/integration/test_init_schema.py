"""``init-schema`` on real servers: what it makes, and that it tells of topics that are not as configured."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, ConfigResource, NewTopic

from tests.support.deployment import needs_servers, own_places
from tests.support.program import Program

pytestmark = needs_servers

CONFIGURED = {
    "CA_KAFKA_EVENTS_PARTITIONS": "3",
    "CA_KAFKA_RETENTION_DAYS": "2",
    "CA_KAFKA_MAX_RECORD_BYTES": "3000000",
    "CA_KAFKA_REPLICATION_FACTOR": "1",
}


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with own_places() as settings:
        yield Program(tmp_path, settings | CONFIGURED)


def test_topics_are_made_as_configured(program: Program) -> None:
    program.run("init-schema", "--check", expect=2)
    program.run("init-schema")
    events, dead_letters = topics(program)
    assert (events["partitions"], dead_letters["partitions"]) == ("3", "1")
    for settings in (events, dead_letters):
        assert settings["message.timestamp.type"] == "LogAppendTime"
        assert settings["cleanup.policy"] == "delete"
        assert int(settings["retention.ms"]) == 2 * 86_400_000
        assert int(settings["max.message.bytes"]) >= 3_000_000
    assert program.run("init-schema", "-o", "json").json() == {"dry_run": False, "items": [], "differences": []}
    program.run("init-schema", "--check")


def test_topics_of_others_are_told_of_and_never_altered(program: Program) -> None:
    name = program.settings["CA_KAFKA_EVENTS_TOPIC"]
    config = {"cleanup.policy": "compact", "message.timestamp.type": "CreateTime", "retention.ms": "3600000"}
    asking = admin(program)  # its answers end with it
    asking.create_topics([NewTopic(name, 5, 1, config=config)])[name].result(10)
    made = program.run("init-schema", "-o", "json")
    told = {one["setting"]: (one["found"], one["wanted"]) for one in made.json()["differences"]}
    assert told["partitions"] == ("5", "3")
    assert told["cleanup"] == ("compact", "delete")
    assert told["timestamps"] == ("CreateTime", "LogAppendTime")
    assert told.keys() == {"partitions", "retention", "max_record_bytes", "cleanup", "timestamps"}
    assert made.err.count("warning[topic_differs]") == 5
    before = topics(program)
    checked = program.run("init-schema", "--check", "-o", "json", expect=2)
    assert json.loads(checked.err)["code"] == "topic_differs"
    assert f"topic {name}: partitions is 5, not 3" in json.loads(checked.err)["detail"]
    program.run("init-schema")
    assert topics(program) == before


def admin(program: Program) -> AdminClient:
    return AdminClient({"bootstrap.servers": program.settings["CA_KAFKA_BROKERS"]})


def topics(program: Program) -> list[dict[str, str]]:
    """The settings of both topics as the cluster has them, with the number of partitions."""
    asking = admin(program)
    found = []
    for key in ("CA_KAFKA_EVENTS_TOPIC", "CA_KAFKA_DEAD_LETTER_TOPIC"):
        name = program.settings[key]
        resource = ConfigResource(ConfigResource.Type.TOPIC, name)
        settings = asking.describe_configs([resource])[resource].result(10)
        partitions = asking.list_topics(name, timeout=10).topics[name].partitions
        found.append({**{key: entry.value for key, entry in settings.items()}, "partitions": str(len(partitions))})
    return found
