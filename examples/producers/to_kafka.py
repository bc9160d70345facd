"""Send events to Kafka: one JSON object a line on stdin, each one record.

    pip install confluent-kafka
    python to_kafka.py BROKERS [TOPIC] < events.ndjson

The key is the campaign's number in decimal, placed as Kafka's Java client places it: then all events of a campaign lie
in its own partition, in order. A record with another key is still counted once, after a detour. Exit code 1 when the
broker has not acknowledged every record.
"""

import json
import sys

from confluent_kafka import KafkaError, Message, Producer

_WAIT_S = 60.0


def main() -> int:
    if not 2 <= len(sys.argv) <= 3:
        sys.stderr.write("usage: to_kafka.py BROKERS [TOPIC] < events.ndjson\n")
        return 2
    brokers, topic = sys.argv[1], sys.argv[2] if len(sys.argv) == 3 else "campaign-events"
    failed: list[str] = []

    def delivered(error: KafkaError | None, _: Message) -> None:
        if error is not None:
            failed.append(error.str())

    producer = Producer(
        {
            "bootstrap.servers": brokers,
            "enable.idempotence": True,  # a retry after a lost answer is no second record
            "partitioner": "murmur2_random",
            "compression.type": "lz4",
            "linger.ms": 20,
        }
    )
    sent = 0
    for line in sys.stdin.buffer:
        if not line.strip():
            continue
        while True:
            try:
                producer.produce(topic, line.strip(), key=_key(line), on_delivery=delivered)
                break
            except BufferError:  # the queue is full: let some be delivered
                producer.poll(0.1)
        producer.poll(0)
        sent += 1
    left = producer.flush(_WAIT_S)
    if failed or left:
        why = f": {failed[0]}" if failed else ""
        sys.stderr.write(f"{len(failed) + left} of {sent} records are not acknowledged{why}\n")
        return 1
    sys.stderr.write(f"{sent} records sent to {topic}\n")
    return 0


def _key(line: bytes) -> str | None:
    """The campaign's number; what has none becomes a dead letter that says so."""
    try:
        return str(json.loads(line)["campaign_id"])
    except (ValueError, KeyError, TypeError):
        return None


if __name__ == "__main__":
    raise SystemExit(main())
