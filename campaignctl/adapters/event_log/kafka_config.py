"""How the Kafka adapter's clients are set up: addresses, security, deadlines, and where the library's log goes.

Every setting that is not the library's default stands here, with its reason.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

from confluent_kafka import KafkaError

from campaignctl.adapters.event_log.kafka_errors import wrong_setting
from campaignctl.errors import ConfigurationError

logger = logging.getLogger("campaignctl.event_log.kafka")

PROTOCOLS = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")

# A batch of several records must fit every topic of ours (see HEADROOM_BYTES of kafka_topics): the library does not
# split a batch that a broker finds too large. On loopback 64 KiB are as fast as the default of 1 MB.
_BATCH_BYTES = 65_000
# The topic's own bound is checked before; the library's must only not be in its way (it takes up to 1e9).
_LARGEST_MESSAGE_BYTES = 1_000_000_000
# What one consumer holds in memory of records that were fetched ahead.
_FETCHED_AHEAD_KIB = 32_768
_SAME_NEWS_EVERY_S = 60.0


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How to speak to the brokers. Raises ``ConfigurationError`` for what cannot work."""

    protocol: str = "PLAINTEXT"
    """``PLAINTEXT``, ``SSL``, ``SASL_PLAINTEXT`` or ``SASL_SSL``."""
    sasl_mechanism: str = ""
    """``PLAIN``, ``SCRAM-SHA-256`` or ``SCRAM-SHA-512``, with a ``SASL_`` protocol only."""
    username: str = ""
    password: str = field(default="", repr=False)
    ca_file: Path | None = None
    """PEM file of the authorities that brokers' certificates are checked against; None: those of the system."""
    cert_file: Path | None = None
    """PEM file of this client's certificate, where brokers ask for one; needs ``key_file``."""
    key_file: Path | None = None
    key_password: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        _check_one_of("protocol", self.protocol, PROTOCOLS)
        if self.protocol.startswith("SASL_"):
            _check_one_of("SASL mechanism", self.sasl_mechanism, MECHANISMS)
            if not self.username or not self.password:
                raise ConfigurationError(f"Kafka's protocol {self.protocol} needs a user name and a password.")
        elif self.sasl_mechanism or self.username or self.password:
            raise ConfigurationError(
                f"Kafka's protocol {self.protocol} takes no user name, password or SASL mechanism.",
                hint="Set the protocol to SASL_SSL (or SASL_PLAINTEXT in a trusted network), or remove them.",
            )
        if (self.cert_file is None) != (self.key_file is None):
            raise ConfigurationError("Kafka's client certificate and its key go together: name both files or neither.")
        for file in (self.ca_file, self.cert_file, self.key_file):
            if file is not None and not file.is_file():
                raise ConfigurationError(f"Kafka's certificate or key file {file} is not there.")

    def properties(self) -> dict[str, str]:
        """The library's words for it."""
        found = {
            "security.protocol": self.protocol,
            "sasl.mechanism": self.sasl_mechanism,
            "sasl.username": self.username,
            "sasl.password": self.password,
            "ssl.ca.location": str(self.ca_file or ""),
            "ssl.certificate.location": str(self.cert_file or ""),
            "ssl.key.location": str(self.key_file or ""),
            "ssl.key.password": self.key_password,
        }
        return {name: value for name, value in found.items() if value}


@dataclass(frozen=True, slots=True)
class KafkaTimeouts:
    """All in seconds."""

    session_s: float = 10.0
    """A member that is silent for so long loses its partitions; the broker's ``group.min.session.timeout.ms`` binds."""
    max_poll_interval_s: float = 60.0
    """A member that does not poll for so long leaves the group by itself; at least ``session_s``."""
    request_s: float = 10.0
    """Every question to a broker is answered, or has failed, after so long."""
    delivery_s: float = 30.0
    """Until then the producer tries again by itself; the outcome of a record that is not acknowledged is unknown."""


class ClientConfig:
    """Makes the configuration of every client, and remembers what the clients last complained of."""

    def __init__(
        self,
        brokers: Sequence[str],
        security: KafkaSecurity,
        timeouts: KafkaTimeouts,
        instance_id: str | None,
    ) -> None:
        if not brokers:
            raise ConfigurationError("No Kafka broker is named.", hint="Name at least one as host:port.")
        self.brokers = ",".join(brokers)
        self.timeouts = timeouts
        self.last_complaint = ""
        """Why brokers could not be reached or refused this client, in the library's words; empty after no trouble."""
        self.has_answered = False
        """Whether a broker has ever answered: then the settings are right, and what fails is the brokers' matter."""
        self._log = LibraryLog()
        self._security = security
        self._instance_id = instance_id

    def wrong_setting(self) -> ConfigurationError | None:
        """What the brokers' refusal says about the settings, until one has answered; None when it may be an outage."""
        return None if self.has_answered else wrong_setting(self.last_complaint, self.brokers)

    @property
    def is_refused_by_all(self) -> bool:
        """Whether waiting longer is in vain: the only broker that is named refuses what the settings say."""
        return "," not in self.brokers and self.wrong_setting() is not None

    def admin(self) -> dict[str, Any]:
        return self._common("admin")

    def producer(self) -> dict[str, Any]:
        return self._common("producer") | {
            "enable.idempotence": True,  # acks=all, and no copies or changes of order by the library's own retries
            "acks": "all",
            "compression.type": "lz4",
            # The same partition as Kafka's Java client and partition_for_key; the library's own default is CRC32.
            "partitioner": "murmur2_random",
            # A caller waits for the answer: waiting for more records would only delay it. A call's own records are
            # enqueued faster than they are sent, so they share batches all the same.
            "linger.ms": 0,
            "batch.size": _BATCH_BYTES,
            "message.max.bytes": _LARGEST_MESSAGE_BYTES,
            "message.timeout.ms": _ms(self.timeouts.delivery_s),
        }

    def member(self, group: str) -> dict[str, Any]:
        """A consumer that takes part in the group."""
        timeouts = self.timeouts
        properties = self.reader(group) | {
            # Classic and eager: a killed member is replaced after the session time that is set here (KIP-848: 45 s, set
            # at the broker), and all partitions stop while they are dealt out, so that no commit meets a rebalance.
            "group.protocol": "classic",
            "partition.assignment.strategy": "range",
            "session.timeout.ms": _ms(timeouts.session_s),
            "heartbeat.interval.ms": _ms(timeouts.session_s / 6),
            "max.poll.interval.ms": _ms(max(timeouts.max_poll_interval_s, timeouts.session_s)),
        }
        if self._instance_id is not None:
            properties["group.instance.id"] = self._instance_id
        return properties

    def reader(self, group: str) -> dict[str, Any]:
        """A consumer that reads what it is told to, or asks what the group has committed."""
        return self._common("consumer") | {
            "group.id": group,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "error",  # a lost range is told, never skipped
            "isolation.level": "read_committed",
            # The one setting that matters for speed: 3 to 6 times the records per second of the default of 1,000.
            "fetch.queue.backoff.ms": 10,
            # A partition that is sought or resumed waits for the long poll of the others under way: 0.5 s by default.
            "fetch.wait.max.ms": 100,
            "queued.max.messages.kbytes": _FETCHED_AHEAD_KIB,
        }

    def _common(self, kind: str) -> dict[str, Any]:
        request_ms = _ms(self.timeouts.request_s)
        return self._security.properties() | {
            "bootstrap.servers": self.brokers,
            "client.id": f"campaignctl-{kind}",
            "socket.timeout.ms": request_ms,
            "socket.connection.setup.timeout.ms": max(request_ms, 1_000),
            "reconnect.backoff.max.ms": 2_000,  # back at work soon after a broker is (the default waits up to 10 s)
            "log.connection.close": False,  # brokers close idle connections: no news
            "error_cb": self._complain,
            "logger": self._log,
        }

    def _complain(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # comes after the reason, and has none
            self.last_complaint = error.str()


class LibraryLog:
    """Where the library's own lines go: each kind once a minute, the others with level DEBUG.

    Every client of a process says the same about the same outage, several times a second. Looks like a ``Logger`` to
    the library. No line holds a password: the library names settings, never their values.
    """

    def __init__(self) -> None:
        self._said_at_s: dict[object, float] = {}

    def log(self, level: int, text: str, *arguments: object) -> None:
        kind = arguments[0] if arguments else text  # such as FAIL or REQTMOUT; client and details come after it
        now_s = monotonic()
        if now_s - self._said_at_s.get(kind, float("-inf")) < _SAME_NEWS_EVERY_S:
            level = logging.DEBUG
        else:
            self._said_at_s[kind] = now_s
        # An outage heals by itself, and whoever waits for it gets an error of its own: no line here is worth more.
        logger.log(min(level, logging.WARNING), text, *arguments)


def _check_one_of(what: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ConfigurationError(f"Kafka's {what} must be one of {', '.join(known)}.")


def _ms(seconds: float) -> int:
    return round(seconds * 1_000)
