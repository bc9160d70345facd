"""Topics as they are, held against the configuration: what differs is told, and never changed.

More partitions would move keys to other partitions, and a shorter retention would delete records: both are decisions of
whoever runs the log.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from campaignctl.ports.event_log import EventLog, Topic, TopicSpec

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class TopicDifference:
    """One thing in which a topic is not as configured."""

    topic: str
    setting: str
    """``partitions``, ``retention``, ``max_record_bytes``, ``cleanup`` or ``timestamps``."""
    found: str
    wanted: str
    remedy: str
    """What to do about it."""

    def __str__(self) -> str:
        return f"topic {self.topic}: {self.setting} is {self.found}, not {self.wanted}; {self.remedy}"


def topic_differences(log: EventLog, specs: Sequence[TopicSpec]) -> list[TopicDifference]:
    """Everything in which topics that are there differ; one that is missing differs in nothing."""
    found = [(spec, log.topic(spec.name)) for spec in specs]
    return [difference for spec, topic in found if topic is not None for difference in _differences(spec, topic)]


def _differences(spec: TopicSpec, topic: Topic) -> list[TopicDifference]:
    name, said = spec.name, []

    def differs(setting: str, found: str, wanted: str, remedy: str) -> None:
        said.append(TopicDifference(name, setting, found, wanted, remedy))

    if topic.partitions != spec.partitions:
        differs(
            "partitions",
            str(topic.partitions),
            str(spec.partitions),
            "set the kafka.*_partitions key to what is there, or add partitions while no worker runs",
        )
    if topic.retention_ms != spec.retention_ms:
        differs(
            "retention",
            _days(topic.retention_ms),
            _days(spec.retention_ms),
            "set kafka.retention_days to what is there, or the topic's retention.ms",
        )
    if topic.max_record_bytes != spec.max_record_bytes:
        differs(
            "max_record_bytes",
            str(topic.max_record_bytes),
            str(spec.max_record_bytes),
            "set kafka.max_record_bytes to what is there, or the topic's max.message.bytes",
        )
    if not topic.keeps_all:
        differs("cleanup", "compact", "delete", "records are lost: set the topic's cleanup.policy=delete")
    if not topic.has_log_time:
        differs(
            "timestamps",
            "CreateTime",
            "LogAppendTime",
            "ages are judged by what producers claim: set the topic's message.timestamp.type=LogAppendTime",
        )
    return said


def _days(retention_ms: int) -> str:
    if retention_ms < 0:
        return "for ever"
    days = retention_ms / _DAY_MS
    return f"{days:g} {'day' if days == 1 else 'days'}"
