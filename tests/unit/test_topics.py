"""What is said of topics that are not as configured."""

from dataclasses import replace
from typing import Any, cast

import pytest

from campaignctl.ports.event_log import EventLog, Topic, TopicSpec
from campaignctl.services.topics import topic_differences

DAY_MS = 86_400_000
SPEC = TopicSpec("events", 4, 7 * DAY_MS, 1_000)
AS_CONFIGURED = Topic("events", "8f14e45f-ceea-467f-a0e6-8e6d5a1c2b3d", 4, 7 * DAY_MS, 1_000)


class Log:
    def __init__(self, topic: Topic | None) -> None:
        self._topic = topic

    def topic(self, name: str) -> Topic | None:
        assert name == SPEC.name
        return self._topic


def differences(topic: Topic | None) -> list[tuple[str, str, str]]:
    found = topic_differences(cast("EventLog", Log(topic)), [SPEC])
    return [(one.setting, one.found, one.wanted) for one in found]


@pytest.mark.parametrize("topic", [None, AS_CONFIGURED])
def test_a_topic_that_is_missing_or_as_configured_differs_in_nothing(topic: Topic | None) -> None:
    assert differences(topic) == []


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"partitions": 2}, ("partitions", "2", "4")),
        ({"partitions": 12}, ("partitions", "12", "4")),
        ({"retention_ms": -1}, ("retention", "for ever", "7 days")),
        ({"retention_ms": DAY_MS}, ("retention", "1 day", "7 days")),
        ({"retention_ms": DAY_MS // 2}, ("retention", "0.5 days", "7 days")),
        ({"max_record_bytes": 999}, ("max_record_bytes", "999", "1000")),
        ({"keeps_all": False}, ("cleanup", "compact", "delete")),
        ({"has_log_time": False}, ("timestamps", "CreateTime", "LogAppendTime")),
    ],
)
def test_each_difference_is_told(changed: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert differences(replace(AS_CONFIGURED, **changed)) == [expected]


def test_a_difference_is_one_sentence_that_says_what_to_do() -> None:
    (one,) = topic_differences(cast("EventLog", Log(replace(AS_CONFIGURED, partitions=2))), [SPEC])
    assert str(one) == (
        "topic events: partitions is 2, not 4; set the kafka.*_partitions key to what is there, or add partitions while"
        " no worker runs"
    )
