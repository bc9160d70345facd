"""Asking a ClickHouse store what is wrong with its rows."""

from collections.abc import Mapping, Sequence

from campaignctl.adapters.analytics.clients import Clients, Shard
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.native import Table
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.verification import RepeatedRow, RollupDifference

_SQL = load_statements("clickhouse", "queries", "verification.sql")
REPEATED_ROWS = _SQL["repeated_rows"]
# Whole campaigns are read, and their groups go to disk before they fill the memory.
_UNHURRIED = {"max_execution_time": 0, "max_rows_to_group_by": 0}
_COLUMNS = (
    "events",
    "impressions",
    "impressions_high",
    "clicks",
    "clicks_high",
    "conversions_millionths",
    "conversions_millionths_high",
    "spend_micros",
    "spend_micros_high",
    "revenue_micros",
    "revenue_micros_high",
)


class VerifiedEvents:
    """A ``VerificationStore`` on ClickHouse tables."""

    _repeated_rows = REPEATED_ROWS

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def raw_rows_by_campaign(self) -> Mapping[int, int]:
        table = self._scan(_SQL["raw_rows_by_campaign"], {})
        return dict(zip(table.integers("campaign_id").tolist(), table.integers("raw_rows").tolist(), strict=True))

    def repeated_rows(self, campaign_id: int, since_ms: int, bucket: int, buckets: int, /) -> list[RepeatedRow]:
        where = {"campaign": campaign_id, "since_ms": max(since_ms, 0), "bucket": bucket, "buckets": buckets}
        table = self._scan(self._repeated_rows, where)
        names = ("event_time_us", "day_number", "ktopic", "kpart", "koff", "time_ms")
        numbers = [table.integers(name).tolist() for name in names]
        places = zip(table.strings("part"), table.integers("part_offset").tolist(), strict=True)
        return list(map(RepeatedRow, table.strings("event_id"), *numbers, places))

    def remove_rows(self, campaign_id: int, places: Sequence[tuple[str, int]], /) -> None:
        if not places:
            return
        self._remove_rows(self._clients, campaign_id, places)

    def _remove_rows(self, shard: Shard, campaign_id: int, places: Sequence[tuple[str, int]]) -> None:
        parts, offsets = (list(column) for column in zip(*places, strict=True))
        where = {"campaign": campaign_id, "parts": parts, "offsets": offsets}
        with store_failures(), shard.writer() as client:
            client.command(_SQL["remove_rows"], parameters=where)

    def rollup_differences(self, campaign_id: int, first_day: int, /) -> list[RollupDifference]:
        table = self._scan(_SQL["rollup_differences"], {"campaign": campaign_id, "first_day": first_day})
        sums = {name: table.integers(name).tolist() for name in _COLUMNS}
        keys = zip(
            table.integers("day_number").tolist(),
            table.strings("platform"),
            table.strings("region"),
            table.strings("currency"),
            strict=True,
        )
        return [
            RollupDifference(*key, lacks={name: values[n] for name, values in sums.items() if values[n]})
            for n, key in enumerate(keys)
        ]

    def _scan(self, statement: str, parameters: Mapping[str, object]) -> Table:
        with store_failures():
            return self._clients.read(statement, parameters, settings=_UNHURRIED)
