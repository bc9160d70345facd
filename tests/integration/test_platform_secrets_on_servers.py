"""No credential of an ad platform leaves the database: Kafka's topics, Redis, ClickHouse and PostgreSQL read whole."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path

import clickhouse_connect
import redis

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from tests.support.deployment import deployed, needs_servers, own_places
from tests.support.leaks import Leaks, Place, of_files, of_values
from tests.support.platform_secrets import FAULTS, Usage, leaks_of
from tests.support.postgresql import server_in_environment
from tests.support.sandbox_process import sandbox
from tests.support.services import redis_addr

pytestmark = needs_servers


def test_no_server_keeps_one_in_the_clear(tmp_path: Path) -> None:
    with ExitStack() as stack:
        place, _ = stack.enter_context(sandbox("--latency-ms", "1", "--speed", "0", "--faults", FAULTS))
        settings = stack.enter_context(own_places())
        settings |= place["environment"] | {"CA_LOG_LEVEL": "debug", "CA_LOG_FORMAT": "json"}
        program, client = stack.enter_context(deployed(tmp_path, settings, workers=1))
        key = client.api.post("/api/v1/api-keys", {"name": "accounts", "scopes": ["admin"]}).json()["key"]
        program.settings |= {"CA_API_URL": str(client.api.base_url), "CA_TOKEN": key}
        usage = Usage(program)
        usage.all_of_it(place, client.api)
        client.api.get("/api/v1/campaigns/1/insights", {"group_by": "platform"})  # kept in Redis
        stored = [*_kafka(settings), *_redis(), *_clickhouse(settings), *_postgres(settings)]
        assert not leaks_of(place).among([*stored, *of_files(tmp_path), *usage.places()])
        # The search would find what lies there: reports and their answers name their account.
        account = next(one["account_id"] for one in place["accounts"] if one["currency"] == "USD")
        named = Leaks([account]).among(stored)
        assert {one.split(" ")[0] for one in named} >= {"kafka", "clickhouse", "postgres"}
        assert any(where == "redis" for where, _ in stored)


def _kafka(settings: Mapping[str, str]) -> Iterator[Place]:
    with closing(KafkaEventLog([settings["CA_KAFKA_BROKERS"]], SystemClock())) as log:
        for topic in (settings["CA_KAFKA_EVENTS_TOPIC"], settings["CA_KAFKA_DEAD_LETTER_TOPIC"]):
            for partition, kept in log.watermarks(topic).items():
                at = kept.start
                while at < kept.end:
                    records = log.read(topic, partition, at, 1_000)
                    for value, headers in zip(records.values, records.headers, strict=True):
                        yield f"kafka {topic}", value or b""
                        yield f"kafka {topic}", repr(headers).encode()
                    at = records.next_offset


def _redis() -> Iterator[Place]:
    """Every key of the server, whoever made it."""
    host, _, port = redis_addr().rpartition(":")
    with redis.Redis(host=host, port=int(port)) as server:
        for key in server.scan_iter(count=1_000):
            yield "redis", key
            yield f"redis {key!r}", server.dump(key) or b""


def _clickhouse(settings: Mapping[str, str]) -> Iterator[Place]:
    host, port, database = (settings[f"CA_CLICKHOUSE_{name}"] for name in ("HOST", "PORT", "DATABASE"))
    with clickhouse_connect.get_client(host=host, port=int(port), database=database) as client:
        tables = "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree%'"
        for (name,) in client.query(tables).result_rows:
            for row in client.query(f"SELECT toString(tuple(*)) FROM {name}").result_rows:
                yield from of_values(f"clickhouse {name}", row)


def _postgres(settings: Mapping[str, str]) -> Iterator[Place]:
    server = server_in_environment()
    assert server is not None
    with server.connect(settings["CA_POSTGRES_DATABASE"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall()
        for (name,) in tables:
            for row in connection.execute(f'SELECT * FROM "{name}"'):
                yield from of_values(f"postgres {name}", [one if isinstance(one, bytes) else str(one) for one in row])
