"""Landing reports: versions of slices, what fetches covered, and which native campaigns have been seen."""

from collections.abc import Sequence

import numpy as np

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.native import Column, encode_block
from campaignctl.adapters.sql_files import load_statements
from campaignctl.domain.periods import day_number
from campaignctl.domain.reports import Coverage, ReportedAccount, ReportSlice, slice_digest
from campaignctl.ports.analytics import OffsetRange
from campaignctl.ports.reports import FromRecord, ReportRows

_SQL = load_statements("clickhouse", "queries", "reports.sql")
_LABEL = "LowCardinality(String)"
_MICROSECONDS = "DateTime64(6, 'UTC')"
_MILLISECONDS = "DateTime64(3, 'UTC')"
_FIGURES = ("impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros")


class LandedReports:
    """The landing half of a ``ReportStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def append_slices(self, rows: ReportRows, token: str, /) -> None:
        if not rows.slices:
            return
        seen, shard = _first_rows(rows), self._clients.of_partition(rows.partition)
        with store_failures():
            if seen:
                # First, so that no row is ever there of a native campaign that has not been seen. Said twice it is the
                # same, so its token only spares work.
                shard.insert("report_natives", encode_block(_native_columns(seen), len(seen)), f"{token}-seen")
            shard.insert("report_slices", encode_block(_slice_columns(rows), len(rows.slices)), token)

    def append_coverage(self, rows: ReportRows, token: str, /) -> None:
        if rows.coverage:
            block = encode_block(_coverage_columns(rows), len(rows.coverage))
            with store_failures():
                self._clients.of_partition(rows.partition).insert("report_coverage", block, token)

    def landed_reports(self, offsets: OffsetRange, /) -> tuple[frozenset[int], frozenset[int]]:
        where = {
            "topic": offsets.topic_id,
            "partition": offsets.partition,
            "start": offsets.start,
            "end": offsets.end,
        }
        with store_failures():
            table = self._clients.of_partition(offsets.partition).read(_SQL["landed_reports"], where)
        found = table.integers("koff")
        of_slices = table.integers("of_slices") == 1
        return frozenset(found[of_slices].tolist()), frozenset(found[~of_slices].tolist())


_Seen = dict[tuple[int, str, str, str, str], int]


def _first_rows(rows: ReportRows) -> _Seen:
    """The smallest log time of the native campaigns that have a row."""
    seen: _Seen = {}
    for record, account, one in rows.slices:
        if one.rows:
            key = (account.organization_id, account.platform, account.account_id, one.level, one.native_id)
            seen[key] = min(record.time_ms, seen.get(key, record.time_ms))
    return seen


def _native_columns(seen: _Seen) -> list[Column]:
    organizations, platforms, accounts, levels, natives = zip(*seen, strict=True)
    return [
        Column("organization_id", "UInt64", organizations),
        Column("platform", _LABEL, platforms),
        Column("account_id", "String", accounts),
        Column("level", _LABEL, levels),
        Column("native_id", "String", natives),
        Column("first_ktime", _MILLISECONDS, list(seen.values())),
    ]


def _slice_columns(rows: ReportRows) -> list[Column]:
    records, accounts, slices = zip(*rows.slices, strict=True)
    return [
        *_account_columns(accounts),
        *_scope_columns(slices),
        Column("day", "Date32", [day_number(one.day) for one in slices]),
        Column("definition", _LABEL, [one.definition for one in slices]),
        Column("digest", "String", [slice_digest(account, one) for account, one in zip(accounts, slices, strict=True)]),
        Column("regions", "Array(String)", [[row.region for row in one.rows] for one in slices]),
        *(
            Column(name, "Array(Nullable(Int64))", [[getattr(row, name) for row in one.rows] for one in slices])
            for name in _FIGURES
        ),
        *_record_columns(rows, records),
        Column("kindex", "UInt32", _indexes(records)),
    ]


def _coverage_columns(rows: ReportRows) -> list[Column]:
    records, accounts, covered = zip(*rows.coverage, strict=True)
    return [
        *_account_columns(accounts),
        *_scope_columns(covered),
        Column("first_day", "Date32", [day_number(one.first_day) for one in covered]),
        Column("last_day", "Date32", [day_number(one.last_day) for one in covered]),
        *_record_columns(rows, records),
    ]


def _account_columns(accounts: Sequence[ReportedAccount]) -> list[Column]:
    return [
        Column("organization_id", "UInt64", [account.organization_id for account in accounts]),
        Column("platform", _LABEL, [account.platform.value for account in accounts]),
        Column("account_id", "String", [account.account_id for account in accounts]),
        Column("currency", _LABEL, [account.currency for account in accounts]),
        Column("timezone", _LABEL, [account.timezone for account in accounts]),
    ]


def _scope_columns(scopes: Sequence[ReportSlice] | Sequence[Coverage]) -> list[Column]:
    return [
        Column("level", _LABEL, [one.level.value for one in scopes]),
        Column("native_id", "String", [one.native_id for one in scopes]),
        Column("breakdown", _LABEL, [one.breakdown.value for one in scopes]),
        Column("fetched_at", _MICROSECONDS, [one.fetched_at_us for one in scopes]),
    ]


def _record_columns(rows: ReportRows, records: Sequence[FromRecord]) -> list[Column]:
    return [
        Column("ktopic", "UInt32", np.full(len(records), rows.topic_id, np.uint32)),
        Column("kpart", "UInt16", np.full(len(records), rows.partition, np.uint16)),
        Column("koff", "UInt64", [record.offset for record in records]),
        Column("ktime", _MILLISECONDS, [record.time_ms for record in records]),
    ]


def _indexes(records: Sequence[FromRecord]) -> list[int]:
    """Which of its record's slices each one is."""
    indexes: list[int] = []
    for place, record in enumerate(records):
        follows = place > 0 and records[place - 1].offset == record.offset
        indexes.append(indexes[-1] + 1 if follows else 0)
    return indexes
