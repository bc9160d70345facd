"""Landing events, asking what has landed, and keeping the rollup equal to it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from campaignctl.adapters.analytics.clients import Clients, Shard
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.native import Column, Table, encode_block
from campaignctl.adapters.analytics.rollup import recounted, rollup_columns
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.analytics import ConflictRows, EventRows, OffsetRange, SeenEvents
from campaignctl.ports.rollup import Recount, RollupRows

_SQL = load_statements("clickhouse", "queries", "events.sql")
_WINDOWS = load_statements("clickhouse", "queries", "schema.sql")["windows"]
WRITTEN_TABLES = ("event_conflicts", "events", "report_coverage", "report_slices", "rollup_1d")
_WINDOW = re.compile(r"non_replicated_deduplication_window\s*=\s*([0-9]+)")
_LABEL = "LowCardinality(String)"
_MICROSECONDS = "DateTime64(6, 'UTC')"
_MILLISECONDS = "DateTime64(3, 'UTC')"
# The time limit of questions does not suit scans whose pace is the caller's, or that a worker cannot begin without.
_UNHURRIED = {"max_execution_time": 0}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# An event's UTC time is less than a day away from its local day.
_DAY = timedelta(days=1)


class LandedEvents:
    """An ``EventStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def append_events(self, rows: EventRows, token: str, /) -> None:
        if len(rows):
            block = encode_block(_event_columns(rows), len(rows))
            with store_failures():
                self._clients.of_partition(rows.partition).insert("events", block, token)

    def append_conflicts(self, rows: ConflictRows, token: str, /) -> None:
        if len(rows):
            block = encode_block(_conflict_columns(rows), len(rows))
            with store_failures():
                self._clients.of_partition(rows.partition).insert("event_conflicts", block, token)

    def landed_before(self, topic_id: int, partition: int, offset: int, since_ms: int, /) -> Iterator[SeenEvents]:
        where = {"topic": topic_id, "partition": partition, "offset": offset, "since_ms": since_ms}
        return self._stream("landed_before", partition, where)

    def campaigns_elsewhere(self, topic_id: int, partition: int, since_ms: int, /) -> Sequence[int]:
        where = {"topic": topic_id, "partition": partition, "since_ms": since_ms}
        with store_failures():
            shard = self._clients.of_partition(partition)
            table = shard.read(_SQL["campaigns_elsewhere"], where, settings=_UNHURRIED)
        found: list[int] = table.integers("campaign_id").tolist()
        return found

    def landed_elsewhere(
        self, topic_id: int, partition: int, campaign_ids: Sequence[int], since_ms: int, /
    ) -> Iterator[SeenEvents]:
        where = {"topic": topic_id, "partition": partition, "campaigns": list(campaign_ids), "since_ms": since_ms}
        return self._stream("landed_elsewhere", partition, where)

    def _stream(self, statement: str, partition: int, parameters: Mapping[str, object]) -> Iterator[SeenEvents]:
        with store_failures(), self._clients.of_partition(partition).reader() as client:
            # Blocks of the engine hold at most 65,409 rows.
            blocks = client.query_column_block_stream(
                _SQL[statement], parameters=dict(parameters), settings=dict(_UNHURRIED)
            )
            with blocks as columns:
                for campaign_id, event_id, time_us, time_ms, fingerprint in columns:
                    yield SeenEvents(campaign_id, event_id, time_us, time_ms, np.array(fingerprint, np.uint64))

    def earliest_instants(self, campaign_ids: Sequence[int], before_ms: int, /) -> Mapping[int, int]:
        where = {"campaigns": list(campaign_ids), "before_ms": before_ms}
        with store_failures():
            table = self._clients.read(_SQL["earliest_instants"], where, settings=_UNHURRIED)
        campaigns, earliest = table.integers("campaign_id").tolist(), table.integers("earliest_us").tolist()
        return dict(zip(campaigns, earliest, strict=True))

    def newest_offset(self, topic_id: int, partition: int, /) -> int | None:
        table = _read(
            self._clients.of_partition(partition), "newest_offset", {"topic": topic_id, "partition": partition}
        )
        return int(table.integers("newest")[0]) if table.integers("landed")[0] else None

    def find_by_instant(self, keys: Sequence[tuple[int, str, int]], excluding: OffsetRange, /) -> SeenEvents:
        if not keys:
            return _seen(Table(b""))
        campaigns, ids, times_us = (list(column) for column in zip(*keys, strict=True))
        wanted = {"campaigns": campaigns, "ids": ids, "times_us": times_us}
        shard = self._clients.of_partition(excluding.partition)
        return _seen(_read(shard, "find_by_instant", {**wanted, **_range(excluding)}))

    def find_by_id(self, keys: Sequence[tuple[int, str]], excluding: OffsetRange, /) -> SeenEvents:
        if not keys:
            return _seen(Table(b""))
        campaigns, ids = (list(column) for column in zip(*keys, strict=True))
        shard = self._clients.of_partition(excluding.partition)
        return _seen(_read(shard, "find_by_id", {"campaigns": campaigns, "ids": ids, **_range(excluding)}))

    def landed_events(self, offsets: OffsetRange, /) -> SeenEvents:
        return _seen(_read(self._clients.of_partition(offsets.partition), "landed_events", _range(offsets)))

    def landed_offsets(self, offsets: OffsetRange, /) -> Sequence[int]:
        shard = self._clients.of_partition(offsets.partition)
        found: list[int] = _read(shard, "landed_offsets", _range(offsets)).integers("koff").tolist()
        return found

    def reconcile_rollup(
        self, days: Mapping[int, Sequence[int]], window_ms: int, token: str, partition: int, /
    ) -> None:
        self.add_to_rollup(self.recount(days, window_ms, partition).lacking, token, partition)

    def recorded_days(self, campaign_id: int, /) -> tuple[int, int] | None:
        table = _read(self._clients, "recorded_days", {"campaign": campaign_id})
        first, last = table.integers("first_day"), table.integers("last_day")
        return (int(first[0]), int(last[0])) if table.rows else None

    def recount(self, days: Mapping[int, Sequence[int]], window_ms: int, partition: int, /) -> Recount:
        pairs = [(campaign, day) for campaign, some in days.items() for day in sorted(set(some))]
        if not pairs:
            return recounted(Table(b""))
        campaigns, numbers = (list(column) for column in zip(*pairs, strict=True))
        parameters = {
            "campaigns": campaigns,
            "days": numbers,
            "from": _EPOCH + timedelta(days=min(numbers)) - _DAY,
            "until": _EPOCH + timedelta(days=max(numbers)) + 2 * _DAY,
            "window_ms": window_ms,
        }
        with store_failures():
            return recounted(self._clients.of_partition(partition).read_without_limits(_SQL["recount"], parameters))

    def add_to_rollup(self, rows: RollupRows, token: str, partition: int, /) -> None:
        if len(rows):
            block = encode_block(rollup_columns(rows), len(rows))
            with store_failures():
                self._clients.of_partition(partition).insert("rollup_1d", block, token)

    def missing_windows(self) -> Sequence[str]:
        with store_failures():
            table = self._clients.read(_WINDOWS, {})
        made = dict(zip(table.strings("name"), table.strings("create_table_query"), strict=True))
        return [name for name in WRITTEN_TABLES if not _has_window(made.get(name, ""))]


def _read(shard: Shard, statement: str, parameters: Mapping[str, object]) -> Table:
    with store_failures():
        return shard.read(_SQL[statement], parameters)


def _has_window(create_table: str) -> bool:
    found = _WINDOW.search(create_table)
    return found is not None and int(found[1]) > 0


def _range(offsets: OffsetRange) -> dict[str, int]:
    return {
        "topic": offsets.topic_id,
        "partition": offsets.partition,
        "start": offsets.start,
        "end": offsets.end,
    }


def _seen(table: Table) -> SeenEvents:
    return SeenEvents(
        campaign_id=table.integers("campaign_id").tolist(),
        event_id=table.strings("event_id"),
        event_time_us=table.integers("event_time_us").tolist(),
        times_ms=table.integers("time_ms").tolist(),
        fingerprint=table.unsigned("fingerprint"),
    )


def _event_columns(rows: EventRows) -> list[Column]:
    return [
        Column("event_id", "String", rows.event_id),
        Column("campaign_id", "UInt64", rows.campaign_id),
        Column("event_time", _MICROSECONDS, rows.event_time_us),
        Column("day", "Date32", rows.day),
        Column("platform", _LABEL, rows.platform),
        Column("event_type", _LABEL, rows.event_type),
        Column("region", _LABEL, rows.region),
        Column("ad_group_id", "String", rows.ad_group_id),
        Column("ad_id", "String", rows.ad_id),
        Column("device", _LABEL, rows.device),
        Column("currency", _LABEL, rows.currency),
        Column("impressions", "Int64", rows.impressions),
        Column("clicks", "Int64", rows.clicks),
        Column("conversions_millionths", "Int64", rows.conversions_millionths),
        Column("spend_micros", "Int64", rows.spend_micros),
        Column("revenue_micros", "Int64", rows.revenue_micros),
        Column("fingerprint", "UInt64", rows.fingerprint),
        *_record_columns(rows),
    ]


def _conflict_columns(rows: ConflictRows) -> list[Column]:
    return [
        Column("campaign_id", "UInt64", rows.campaign_id),
        Column("event_id", "String", rows.event_id),
        Column("event_time", _MICROSECONDS, rows.event_time_us),
        Column("value", "String", rows.value),
        *_record_columns(rows),
    ]


def _record_columns(rows: EventRows | ConflictRows) -> list[Column]:
    return [
        Column("ktopic", "UInt32", np.full(len(rows), rows.topic_id, np.uint32)),
        Column("kpart", "UInt16", np.full(len(rows), rows.partition, np.uint16)),
        Column("koff", "UInt64", rows.offsets),
        Column("ktime", _MILLISECONDS, rows.times_ms),
    ]
