"""TLS and SASL against a real broker: it works as configured, and what is configured wrongly gets one clear sentence."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.adapters.event_log.kafka_config import KafkaSecurity
from campaignctl.ports.event_log import NewRecord, TopicSpec
from tests.contracts.event_log_harness import gain_and_seek, take
from tests.support.kafka_broker import PASSWORD, USER, SecureBroker, secure_broker
from tests.support.program import Program
from tests.support.services import unset

# Whoever has named brokers has a JDK or brokers of another machine; without any there is nothing to hold this against.
pytestmark = pytest.mark.skipif(bool(unset("CA_TEST_KAFKA_BROKERS")), reason=unset("CA_TEST_KAFKA_BROKERS"))

WRONG = "another-word-417"


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    with secure_broker(tmp_path_factory.mktemp("broker")) as made:
        yield made


@pytest.fixture
def program(broker: SecureBroker, tmp_path: Path) -> Program:
    """Kafka with TLS and a password; everything else embedded."""
    settings = {
        "CA_KAFKA_BROKERS": broker.secure,
        "CA_KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
        "CA_KAFKA_SASL_MECHANISM": "SCRAM-SHA-256",
        "CA_KAFKA_SASL_USERNAME": USER,
        "CA_KAFKA_SASL_PASSWORD": PASSWORD,
        "CA_KAFKA_SSL_CA_FILE": str(broker.ca_file),
    }
    return Program(tmp_path, settings)


@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256", "PLAIN"])
def test_records_go_in_and_come_out(broker: SecureBroker, mechanism: str) -> None:
    security = KafkaSecurity("SASL_SSL", mechanism, USER, PASSWORD, broker.ca_file)
    log = KafkaEventLog([broker.secure], SystemClock(), security=security)
    try:
        name = log.ensure_topic(TopicSpec(f"secure-{mechanism.lower()}", 1, -1, 2**21)).name
        values = [f"value {number}".encode() for number in range(100)]
        log.produce(name, [NewRecord(None, value) for value in values])
        consumer = log.consumer(name, "readers")
        gain_and_seek(consumer, 1)
        taken = take(consumer, len(values))
        assert [value for batch in taken for value in batch.values] == values
        consumer.commit(0, 100, "all")
        assert log.committed(name, "readers")[0].offset == 100
    finally:
        log.close()


def test_the_program_makes_its_topics_there(program: Program) -> None:
    program.run("init-schema")
    program.run("init-schema", "--check")


@pytest.mark.parametrize(
    ("changed", "sentence", "hint"),
    [
        ({"SASL_PASSWORD": WRONG}, "does not accept the user name or the password", "kafka.sasl_password"),
        ({"SASL_USERNAME": "mallory"}, "does not accept the user name or the password", "kafka.sasl_username"),
        ({"SASL_MECHANISM": "SCRAM-SHA-512"}, "does not take the SASL mechanism", "kafka.sasl_mechanism"),
        ({"SSL_CA_FILE": "{other}"}, "shows a certificate that cannot be trusted", "kafka.ssl_ca_file"),
        ({"SSL_CA_FILE": ""}, "shows a certificate that cannot be trusted", "kafka.ssl_ca_file"),
        ({"BROKERS": "{plain}"}, "does not speak TLS", "kafka.security_protocol"),
        ({"SSL_CA_FILE": "/nowhere.pem"}, "/nowhere.pem is not there", ""),
        ({"SECURITY_PROTOCOL": "SSL"}, "takes no user name, password or SASL mechanism", "SASL_SSL"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_a_wrong_setting_is_told_at_once(
    program: Program, broker: SecureBroker, changed: dict[str, str], sentence: str, hint: str
) -> None:
    for name, value in changed.items():
        program.settings[f"CA_KAFKA_{name}"] = value.format(other=broker.other_ca_file, plain=broker.plain)
    started_s = time.monotonic()
    told = program.run("init-schema", expect=2, timeout_s=60).err
    assert time.monotonic() - started_s < 30
    (error,) = [line for line in told.splitlines() if line.startswith("error[")]
    assert error.startswith("error[configuration]: Kafka")
    assert sentence in error
    assert hint in told
    assert PASSWORD not in told and WRONG not in told


def test_a_listener_with_tls_says_nothing_to_who_does_not_speak_it(program: Program, broker: SecureBroker) -> None:
    program.settings = {"CA_KAFKA_BROKERS": broker.secure}
    told = program.run("init-schema", expect=7).err
    assert f"error[unavailable]: Kafka at {broker.secure} did not answer within 10 s" in told
    assert "whether kafka.security_protocol is that of their listener" in told
