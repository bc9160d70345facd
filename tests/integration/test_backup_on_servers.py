"""The procedure of docs/operations.md for backups of servers, on real ones: each server's own tools, in that order.

What was counted before the backup is there once afterwards, what came later comes out of the log, and ``verify`` agrees.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import clickhouse_connect
import pytest
from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
from confluent_kafka.admin import AdminClient

from tests.chaos.installation import own_places, running
from tests.services.places import HOST
from tests.support.clickhouse_cluster import BACKUPS, Node, running_nodes
from tests.support.drills import clicks, events, nothing_waits
from tests.support.postgresql import server_in_environment
from tests.support.program import Program
from tests.support.services import SERVERS, unset
from tests.support.waiting import eventually

_MISSING = unset(*SERVERS)
_PATIENCE_S = 120.0

pytestmark = pytest.mark.skipif(bool(_MISSING), reason=_MISSING)


@pytest.fixture
def clickhouse(tmp_path: Path) -> Iterator[Node]:
    """A server with a disk for backups; none of it concerns the one that other tests use."""
    with running_nodes(tmp_path / "clickhouse", (1,)) as (node,):
        yield node


def test_the_documented_procedure(tmp_path: Path, clickhouse: Node) -> None:
    with own_places() as shared:
        places = shared | {"CA_CLICKHOUSE_HOST": HOST, "CA_CLICKHOUSE_PORT": str(clickhouse.http_port)}
        program = Program(tmp_path, places)
        program.run("init-schema")
        program.run("campaigns", "create", "--name", "Spring")
        with running(program, "work-before", "work"):
            program.run("events", "send", "-", "--wait", stdin=events(0, 300))
            eventually(lambda: nothing_waits(program), "nothing to wait", within_s=_PATIENCE_S)

        database = places["CA_CLICKHOUSE_DATABASE"]
        # As a folder: the library that the servers of tests are packs none.
        with clickhouse_connect.get_client(host=HOST, port=clickhouse.http_port) as client:
            client.command(f"BACKUP DATABASE {database} TO Disk('{BACKUPS}', 'friday')")
            tool(
                places,
                "pg_dump",
                "--format=custom",
                f"--file={tmp_path / 'friday.dump'}",
                places["CA_POSTGRES_DATABASE"],
            )
            offsets = committed(places)
            assert sum(one.offset for one in offsets if one.offset > 0) == 300

            with running(program, "work-after", "work"):
                program.run("events", "send", "-", "--wait", stdin=events(200, 450))
                assert clicks(program) == 450

            client.command(f"DROP DATABASE {database} SYNC")
            client.command(f"RESTORE DATABASE {database} FROM Disk('{BACKUPS}', 'friday')")
        server = server_in_environment()
        assert server is not None
        server.execute(f'DROP DATABASE "{places["CA_POSTGRES_DATABASE"]}" WITH (FORCE)')
        server.execute(f'CREATE DATABASE "{places["CA_POSTGRES_DATABASE"]}"')
        tool(
            places,
            "pg_restore",
            "--no-owner",
            f"--dbname={places['CA_POSTGRES_DATABASE']}",
            str(tmp_path / "friday.dump"),
        )
        reset(places, offsets)
        program.run("init-schema", "--check")
        assert clicks(program) == 300
        with running(program, "work-restored", "work"):
            eventually(lambda: nothing_waits(program), "nothing to wait", within_s=_PATIENCE_S)
            assert clicks(program) == 450
            program.run("verify")


def tool(places: Mapping[str, str], *command: str) -> None:
    """One of PostgreSQL's own, on the server of the test."""
    named = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USERNAME", "PGPASSWORD": "PASSWORD"}
    environment = os.environ | {name: places[f"CA_POSTGRES_{key}"] for name, key in named.items()}
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stderr


def committed(places: Mapping[str, str]) -> Sequence[TopicPartition]:
    """As ``kafka-consumer-groups --describe`` shows them."""
    group = places["CA_KAFKA_GROUP_ID"]
    kafka = AdminClient({"bootstrap.servers": places["CA_KAFKA_BROKERS"]})
    asked = [ConsumerGroupTopicPartitions(group)]
    found: Sequence[TopicPartition] = kafka.list_consumer_group_offsets(asked)[group].result(60).topic_partitions
    return found


def reset(places: Mapping[str, str], offsets: Sequence[TopicPartition]) -> None:
    """As ``kafka-consumer-groups --reset-offsets --to-offset`` does: numbers alone, nothing that was noted beside them."""
    group = places["CA_KAFKA_GROUP_ID"]
    kafka = AdminClient({"bootstrap.servers": places["CA_KAFKA_BROKERS"]})
    back = [TopicPartition(one.topic, one.partition, one.offset) for one in offsets if one.offset >= 0]
    kafka.alter_consumer_group_offsets([ConsumerGroupTopicPartitions(group, back)])[group].result(60)
