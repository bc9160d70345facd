"""The Kafka library's errors in the product's words."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from confluent_kafka import KafkaError, KafkaException

from campaignctl.adapters.event_log.topics import missing_topic
from campaignctl.errors import CampaignctlError, ConfigurationError, TooLarge, Unavailable

# The broker answers these to a member of an older generation, and the library where it knows by itself. Nothing was
# written. They are told apart from failures whose outcome is unknown.
FENCING = frozenset(
    {
        KafkaError.UNKNOWN_MEMBER_ID,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.FENCED_INSTANCE_ID,
        KafkaError.FENCED_MEMBER_EPOCH,
        KafkaError.STALE_MEMBER_EPOCH,
        KafkaError._ASSIGNMENT_LOST,
        KafkaError._FENCED,
    }
)
MISSING_TOPIC = frozenset(
    {
        KafkaError.UNKNOWN_TOPIC_OR_PART,
        KafkaError.UNKNOWN_TOPIC_ID,
        KafkaError.INCONSISTENT_TOPIC_ID,
        KafkaError._UNKNOWN_TOPIC,
        KafkaError._UNKNOWN_PARTITION,
    }
)
_REFUSED = frozenset(
    {
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    }
)
_TOO_LARGE = frozenset({KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE})
_WRONG_SETTING = frozenset(
    {
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.POLICY_VIOLATION,
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.INCONSISTENT_GROUP_PROTOCOL,
        KafkaError._INVALID_ARG,
    }
)


# What the library says of a handshake that failed, what it means, and what to do.
_WRONG_SETTINGS = (
    (
        re.compile(r"SASL authentication error"),
        "does not accept the user name or the password",
        "check kafka.sasl_username, kafka.sasl_password and kafka.sasl_mechanism",
    ),
    (
        re.compile(r"mechanism handshake failed"),
        "does not take the SASL mechanism that is set",
        "set kafka.sasl_mechanism to one that the brokers offer, or kafka.security_protocol to that of their listener",
    ),
    (
        re.compile(r"certificate verify failed|certificate could not be verified"),
        "shows a certificate that cannot be trusted",
        "name the PEM file of the authority that signed it in kafka.ssl_ca_file; it must be made for the broker's name",
    ),
    (
        re.compile(r"connecting to a PLAINTEXT broker listener"),
        "does not speak TLS",
        "set kafka.security_protocol to PLAINTEXT or SASL_PLAINTEXT, or name the listener with TLS in kafka.brokers",
    ),
)


def wrong_setting(complaint: str, brokers: str) -> ConfigurationError | None:
    """What has to be set otherwise, where the library's complaint says so; None for what may be an outage."""
    for pattern, what, hint in _WRONG_SETTINGS:
        if pattern.search(complaint):
            return ConfigurationError(f"Kafka at {brokers} {what}", hint=hint)
    return None


def kafka_error(exception: KafkaException) -> KafkaError:
    """What the exception carries."""
    error = exception.args[0]
    assert isinstance(error, KafkaError)  # noqa: S101 - the library raises it with nothing else
    return error


def translated(error: KafkaError, doing: str, *, topic: str, complaint: str = "") -> CampaignctlError:
    """The product's error for what the library or a broker said while ``doing`` (a phrase: "reading the topic x")."""
    code = error.code()
    if code in MISSING_TOPIC:
        return missing_topic(topic)
    if code in _TOO_LARGE:
        return TooLarge(
            f"Kafka refused a record while {doing}: it is larger than the topic takes.",
            hint="Raise max.message.bytes of the topic.",
        )
    if code in _WRONG_SETTING:
        return ConfigurationError(f"Kafka refused {doing}: {error.str()}.")
    if code in _REFUSED:
        return Unavailable(
            f"Kafka refused {doing}: {error.str()}.",
            service="event_log",
            retry_after_s=5.0,
            hint="Check user name, password and certificates, and what the brokers allow this user.",
        )
    said = error.str() if not complaint or complaint == error.str() else f"{error.str()}; {complaint}"
    return Unavailable(
        f"Kafka did not answer, or failed, while {doing} ({said}).",
        service="event_log",
        hint="See whether the brokers are up and can be reached from here; it goes on by itself when they are back.",
    )


def never_answered(brokers: str, seconds: float, complaint: str) -> Unavailable:
    """At the first question of a program, that of an outage or of a wrong address; a listener with TLS says nothing."""
    said = f" ({complaint})" if complaint else ""
    return Unavailable(
        f"Kafka at {brokers} did not answer within {seconds:g} s{said}.",
        service="event_log",
        hint="See whether the brokers are up and kafka.brokers names them, and whether kafka.security_protocol is that"
        " of their listener.",
    )


def timed_out(doing: str, seconds: float, complaint: str = "") -> Unavailable:
    said = f" ({complaint})" if complaint else ""
    return Unavailable(
        f"Kafka did not answer within {seconds:g} s while {doing}{said}.",
        service="event_log",
        hint="See whether the brokers are up and can be reached from here; it goes on by itself when they are back.",
    )


def closed() -> Unavailable:
    return Unavailable("This connection to Kafka has been closed.", service="event_log")


@contextmanager
def making_a_client() -> Iterator[None]:
    """The library refuses wrong settings when a client is made."""
    try:
        yield
    except KafkaException as exception:
        raise ConfigurationError(
            f"Kafka's settings cannot work: {kafka_error(exception).str()}.",
            hint="See the kafka section of the configuration.",
        ) from exception
