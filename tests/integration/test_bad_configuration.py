"""What is configured wrongly gets one sentence that says what is wrong and what to do: exit code 2 or 7, nothing secret.

Each case is tried with every command that opens the stores, on real servers that were set up.
"""

import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import clickhouse_connect
import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.api_client import ApiClient
from tests.support.deployment import needs_servers, own_places, running, wait_until_ready
from tests.support.postgresql import server_in_environment
from tests.support.program import Program
from tests.support.waiting import eventually

pytestmark = needs_servers

SECRET = "a-password-nobody-may-see"
INIT, WORK, SERVE = ("init-schema",), ("work",), ("serve", "--port", "0")
INSIGHTS = ("insights", "--campaign", "1")
ALL = (INIT, WORK, SERVE, INSIGHTS)
BUT_INIT = (WORK, SERVE, INSIGHTS)

Break = Callable[[dict[str, str]], None]
"""Changes the settings, or the servers' state."""


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    sentence: str
    """A pattern."""
    hint: str
    do: Break
    commands: tuple[tuple[str, ...], ...] = ALL
    code: int = 2

    def __str__(self) -> str:
        return self.name


def _set(**changed: str) -> Break:
    return lambda settings: settings.update({f"CA_{name}": value for name, value in changed.items()})


def _kafka_s_port_is_redis_s(settings: dict[str, str]) -> None:
    settings["CA_KAFKA_BROKERS"] = settings["CA_REDIS_ADDR"]


def _postgres_port_is_redis_s(settings: dict[str, str]) -> None:
    settings["CA_POSTGRES_PORT"] = settings["CA_REDIS_ADDR"].rpartition(":")[2]


def _topic_is_gone(settings: dict[str, str]) -> None:
    log = KafkaEventLog([settings["CA_KAFKA_BROKERS"]], SystemClock())
    log.delete_topic(settings["CA_KAFKA_EVENTS_TOPIC"])
    log.close()


def _clickhouse(settings: dict[str, str], statement: str) -> None:
    host, port = settings["CA_CLICKHOUSE_HOST"], int(settings["CA_CLICKHOUSE_PORT"])
    with clickhouse_connect.get_client(host=host, port=port, database=settings["CA_CLICKHOUSE_DATABASE"]) as client:
        client.command(statement)


def _database_is_gone(settings: dict[str, str]) -> None:
    _clickhouse(settings, f"DROP DATABASE {settings['CA_CLICKHOUSE_DATABASE']} SYNC")


def _schema_is_newer(settings: dict[str, str]) -> None:
    _clickhouse(settings, "INSERT INTO schema_migrations (number, name, checksum) SELECT 9999, 'to_come', 'x'")


def _metadata(settings: dict[str, str], statement: str) -> None:
    server = server_in_environment()
    assert server is not None
    with server.connect(settings["CA_POSTGRES_DATABASE"]) as connection:
        connection.execute(statement)


def _schema_is_older(settings: dict[str, str]) -> None:
    _metadata(settings, "DELETE FROM schema_migrations WHERE number = (SELECT max(number) FROM schema_migrations)")


CASES = (
    Case("native-port-9000", r"9000 is ClickHouse's native port", "8123", _set(CLICKHOUSE_PORT="9000")),
    Case("clickhouse-password", r"ClickHouse at \S+ does not accept the user name or the password",
         "clickhouse.password", _set(CLICKHOUSE_PASSWORD=SECRET)),
    Case("postgres-user", r"refuses the user 'nobody'", "postgres.username",
         _set(POSTGRES_USERNAME="nobody", POSTGRES_PASSWORD=SECRET)),
    Case("postgres-port", r"the metadata store cannot be reached", "postgres.port", _postgres_port_is_redis_s,
         (INIT, INSIGHTS), 7),
    Case("tls-to-plain-clickhouse", r"ClickHouse at \S+ does not speak TLS", "clickhouse.secure",
         _set(CLICKHOUSE_SECURE="true")),
    Case("tls-to-plain-postgres", r"no TLS connection to the PostgreSQL server", "postgres.sslmode",
         _set(POSTGRES_SSLMODE="require")),
    Case("tls-to-plain-kafka", r"Kafka at \S+ does not speak TLS", "kafka.security_protocol",
         _set(KAFKA_SECURITY_PROTOCOL="SASL_SSL", KAFKA_SASL_MECHANISM="PLAIN", KAFKA_SASL_USERNAME="u",
              KAFKA_SASL_PASSWORD=SECRET)),
    Case("kafka-port", r"Kafka at \S+ did not answer within", "kafka.brokers", _kafka_s_port_is_redis_s, (INIT,), 7),
    Case("missing-topic", r"the event log lacks the topic events-", "campaignctl init-schema", _topic_is_gone, BUT_INIT),
    Case("missing-database-postgres", r"has no database 'not_there'", "CREATE DATABASE",
         _set(POSTGRES_DATABASE="not_there")),
    Case("missing-database-clickhouse", r"schema", "campaignctl init-schema", _database_is_gone, BUT_INIT),
    Case("older-schema", r"metadata lacks \d{4}", "campaignctl init-schema", _schema_is_older, BUT_INIT),
    Case("newer-schema", r"analytics was made by a newer campaignctl: it has migration 9999", "newer version",
         _schema_is_newer),
    Case("short-jwt-key", r"jwt\.key", "openssl", _set(JWT_KEY="short")),
)  # fmt: skip


@pytest.fixture
def program(tmp_path: Path) -> Iterator[Program]:
    with own_places() as settings:
        made = Program(tmp_path, settings)
        made.run("init-schema")
        yield made


@pytest.mark.parametrize("case", CASES, ids=str)
def test_each_command_says_what_is_wrong_and_what_to_do(program: Program, case: Case) -> None:
    case.do(program.settings)
    for command in case.commands:
        told = program.run(*command, expect=case.code, timeout_s=90)
        errors = [line for line in told.err.splitlines() if line.startswith("error[")]
        assert len(errors) == 1, told.err
        assert re.search(case.sentence, errors[0]), told.err
        assert case.hint in told.err
        for secret in (SECRET, program.settings["CA_JWT_KEY"]):
            assert len(secret) < 10 or secret not in told.err + told.out


def test_a_clock_that_is_five_minutes_off_is_told_at_start_and_in_health(program: Program) -> None:
    program.python_path = f"{_shifted_clock(program.home)}{os.pathsep}{program.python_path}"
    expected = r"the clock of this machine is (29[0-9]|30[0-9]) s ahead of that of"
    with running(program, "work", "counting the events", "work") as log:
        eventually(lambda: re.search(expected, log.read_text()) is not None)
    with running(program, "serve", "serving on", "serve", "--port", "0") as log:
        eventually(lambda: re.search(expected, log.read_text()) is not None)
        url = re.search(r"serving on (\S+)", log.read_text())
        assert url is not None
        wait_until_ready(url[1])
        with ApiClient(url[1]) as anyone:
            told = anyone.get_json("/health")
    assert told["status"] == "degraded"
    assert told["checks"]["clock"]["status"] == "failing"
    assert "clock" in told["checks"]["clock"]["detail"]


def _shifted_clock(home: Path) -> Path:
    """A folder whose presence on Python's path sets its clock 5 minutes ahead."""
    folder = home / "shifted"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(
        "import time_machine\nfrom datetime import UTC, datetime, timedelta\n"
        "time_machine.travel(datetime.now(UTC) + timedelta(minutes=5), tick=True).start()\n"
    )
    return folder
