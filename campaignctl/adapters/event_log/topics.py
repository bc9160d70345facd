"""Topics and the records of their partitions, as they lie in the log file."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from uuid import uuid4

from campaignctl.adapters.event_log.chunks import Chunk, decode_chunk
from campaignctl.adapters.event_log.log_file import QUERIES, Connection, Row
from campaignctl.errors import InvalidInput, Unavailable
from campaignctl.ports.event_log import Headers, OffsetLost, RecordBatch, Topic, TopicSpec

# What one poll or read holds in memory at most, whatever number of records was asked for.
MAX_READ_BYTES = 33_554_432


@dataclass(frozen=True, slots=True)
class TopicRow:
    id: int
    topic: Topic


def missing_topic(name: str) -> Unavailable:
    return Unavailable(
        f"The event log has no topic {name}.",
        service="event_log",
        code="topic_missing",
        hint="campaignctl init-schema creates the topics.",
    )


def check_least(field: str, value: int, least: int) -> None:
    if not least <= value < 2**63:
        raise InvalidInput.of(field, f"must be at least {least}, and fit 63 bits")


def find_topic(connection: Connection, name: str) -> TopicRow | None:
    row = connection.execute(QUERIES["topic_by_name"], {"name": name}).fetchone()
    return None if row is None else _topic_row(row)


def all_topics(connection: Connection) -> list[TopicRow]:
    return [_topic_row(row) for row in connection.execute(QUERIES["all_topics"])]


def _topic_row(row: Row) -> TopicRow:
    return TopicRow(
        row["id"],
        Topic(row["name"], row["incarnation"], row["partitions"], row["retention_ms"], row["max_record_bytes"]),
    )


def create_topic(connection: Connection, spec: TopicSpec) -> TopicRow:
    """The topic, made now unless it is there; inside a write."""
    parameters = {
        "name": spec.name,
        "incarnation": str(uuid4()),
        "partitions": spec.partitions,
        "retention_ms": spec.retention_ms,
        "max_record_bytes": spec.max_record_bytes,
    }
    connection.execute(QUERIES["insert_topic"], parameters)
    found = find_topic(connection, spec.name)
    if found is None:
        raise missing_topic(spec.name)
    for partition in range(found.topic.partitions):
        connection.execute(QUERIES["insert_partition"], {"topic_id": found.id, "partition": partition})
    return found


def delete_topic(connection: Connection, topic_id: int) -> None:
    for statement in ("chunks", "partitions", "members", "ownership", "commits"):
        connection.execute(QUERIES[f"delete_topic_{statement}"], {"topic_id": topic_id})
    connection.execute(QUERIES["delete_topic"], {"topic_id": topic_id})


def append(connection: Connection, topic: TopicRow, partition: int, chunks: Sequence[Chunk], now_ms: int) -> int | None:
    """Append the chunks; answers the offset of the first record, or None when the topic is gone. Inside a write."""
    where = {"topic_id": topic.id, "partition": partition}
    row = connection.execute(QUERIES["partition"], where).fetchone()
    if row is None:
        return None
    first_offset: int = row["next_offset"]
    next_offset = first_offset
    time_ms = max(now_ms, row["last_time_ms"])
    for chunk in chunks:
        parameters = where | {
            "first_offset": next_offset,
            "last_offset": next_offset + chunk.count - 1,
            "time_ms": time_ms,
            "body": chunk.body,
        }
        connection.execute(QUERIES["insert_chunk"], parameters)
        next_offset += chunk.count
    connection.execute(QUERIES["advance_partition"], where | {"next_offset": next_offset, "last_time_ms": time_ms})
    return first_offset


def read_records(
    connection: Connection, topic: TopicRow, partition: int, start: int, max_records: int, max_bytes: int
) -> RecordBatch:
    """Records from ``start`` on (offsets have no gaps); raises ``OffsetLost``. Inside a read: one state of the file.

    Stops after ``max_records`` or when values of ``max_bytes`` were read, but answers one record if there is one.
    """
    times_ms: list[int] = []
    keys: list[bytes | None] = []
    values: list[bytes] = []
    headers: list[Headers] = []
    parameters = {"topic_id": topic.id, "partition": partition, "offset": start}
    with closing(connection.execute(QUERIES["chunks_from"], parameters)) as rows:
        for row in rows:
            position = start + len(values)
            if row["first_offset"] > position:
                raise OffsetLost(topic.topic.name, partition, position, row["first_offset"])
            columns = decode_chunk(row["body"], position - row["first_offset"], max_records - len(values), max_bytes)
            times_ms += [row["time_ms"]] * len(columns.values)
            keys += columns.keys
            values += columns.values
            headers += columns.headers
            max_bytes -= columns.values_bytes
            if len(values) >= max_records or max_bytes <= 0 or start + len(values) <= row["last_offset"]:
                break
    end = start + len(values)
    return RecordBatch(partition, range(start, end), times_ms, keys, values, headers, next_offset=end)


def expire(connection: Connection, topic: TopicRow, partition: int, before_ms: int, max_chunks: int) -> tuple[int, int]:
    """Remove the oldest chunks that were appended before a time; answers numbers of records and of chunks removed."""
    where = {"topic_id": topic.id, "partition": partition}
    oldest = connection.execute(
        QUERIES["expired_until"], where | {"before_ms": before_ms, "max_chunks": max_chunks}
    ).fetchone()
    if oldest["chunks"] == 0:
        return 0, 0
    start_offset = oldest["last_offset"] + 1
    removed = start_offset - connection.execute(QUERIES["partition"], where).fetchone()["start_offset"]
    connection.execute(QUERIES["delete_chunks"], where | {"last_offset": oldest["last_offset"]})
    connection.execute(QUERIES["raise_start"], where | {"start_offset": start_offset})
    return removed, oldest["chunks"]


def delete_before(connection: Connection, topic: TopicRow, partition: int, offset: int) -> None:
    """Remove the records below an offset; a chunk goes when its last record does. Inside a write."""
    where = {"topic_id": topic.id, "partition": partition}
    kept = connection.execute(QUERIES["partition"], where).fetchone()
    if kept is None:
        raise missing_topic(topic.topic.name)
    if offset > kept["next_offset"]:
        raise InvalidInput.of("offset", f"must not lie above the end of the partition, {kept['next_offset']}")
    if offset > kept["start_offset"]:
        connection.execute(QUERIES["delete_chunks"], where | {"last_offset": offset - 1})
        connection.execute(QUERIES["raise_start"], where | {"start_offset": offset})
