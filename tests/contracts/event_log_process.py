"""A process with an event log of its own, driven line by line: ``python -m tests.contracts.event_log_process``.

Its arguments are the adapter's kind, its place and the session timeout in seconds. It reads commands (JSON arrays) from standard input and answers each with one line of JSON:

    ["produce", topic, [values]]   the offsets, once durable
    ["flood", topic]               without end: the number of records acknowledged so far
    ["join", topic, group]         a consumer for the commands below
    ["poll", seconds]              {"gained": [...], "lost": [...], "values": [...]}
    ["seek", partition, offset]
    ["commit", partition, offset]  "ok" or "fenced"
"""

import json
import sys
from pathlib import Path
from typing import Any

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.adapters.event_log.kafka_config import KafkaTimeouts
from campaignctl.errors import Fenced
from campaignctl.ports.event_log import Consumer, EventLog, NewRecord


def open_log(kind: str, place: str, session_timeout_s: float) -> EventLog:
    if kind == "kafka":
        return KafkaEventLog(place.split(","), SystemClock(), timeouts=kafka_timeouts(session_timeout_s))
    assert kind == "embedded"
    return EmbeddedEventLog(Path(place), SystemClock(), session_timeout_s=session_timeout_s)


def kafka_timeouts(session_timeout_s: float) -> KafkaTimeouts:
    """Brokers know a dead process by its silence only, so that a test must wait it out: no longer than needed."""
    return KafkaTimeouts(session_s=min(session_timeout_s, 6.0), max_poll_interval_s=60.0)


class Process:
    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.consumer: Consumer | None = None

    def run(self, command: str, *arguments: Any) -> Any:
        return getattr(self, command)(*arguments)

    def produce(self, topic: str, values: list[str]) -> list[int]:
        return [p.offset for p in self.log.produce(topic, [NewRecord(None, v.encode()) for v in values])]

    def flood(self, topic: str) -> None:
        done = 0
        while True:
            self.log.produce(topic, [NewRecord(None, str(done + i).encode()) for i in range(7)])
            done += 7
            answer(done)

    def join(self, topic: str, group: str) -> None:
        self.consumer = self.log.consumer(topic, group)

    def poll(self, seconds: float) -> dict[str, list[Any]]:
        assert self.consumer
        polled = self.consumer.poll(1_000, seconds)
        return {
            "gained": sorted(polled.gained),
            "lost": sorted(polled.lost),
            "values": [value.decode() for batch in polled.batches for value in batch.values],
        }

    def seek(self, partition: int, offset: int) -> None:
        assert self.consumer
        self.consumer.seek(partition, offset)

    def commit(self, partition: int, offset: int) -> str:
        assert self.consumer
        try:
            self.consumer.commit(partition, offset, "")
        except Fenced:
            return "fenced"
        return "ok"


def answer(value: object) -> None:
    print(json.dumps(value), flush=True)


def main(kind: str, place: str, session_timeout_s: str) -> None:
    process = Process(open_log(kind, place, float(session_timeout_s)))
    for line in sys.stdin:
        answer(process.run(*json.loads(line)))


if __name__ == "__main__":
    main(*sys.argv[1:])
