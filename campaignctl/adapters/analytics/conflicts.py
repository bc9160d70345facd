"""Listing conflicts, and the events that counted in their place."""

from collections.abc import Mapping, Sequence

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.native import Table
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.conflicts import Conflict, ConflictFilter, ConflictPlace, CountedEvent

_SQL = load_statements("clickhouse", "queries", "conflicts.sql")
_TEXTS = ("event_id", "platform", "event_type", "region", "ad_group_id", "ad_id", "device", "currency")
_NUMBERS = (
    "campaign_id",
    "event_time_us",
    "impressions",
    "clicks",
    "conversions_millionths",
    "spend_micros",
    "revenue_micros",
    "time_ms",
)
# As far as the store's times of milliseconds go: 2299.
_LAST_MS = 10_413_791_999_999
_BEHIND_ALL = ConflictPlace(2**62, 2**32 - 1, 2**16 - 1, 2**63 - 1)


class ListedConflicts:
    """A ``ConflictStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def list_conflicts(self, wanted: ConflictFilter, before: ConflictPlace | None, limit: int, /) -> list[Conflict]:
        place = before or _BEHIND_ALL
        table = self._ask(
            "list_conflicts",
            {
                "every_campaign": wanted.campaign_ids is None,
                "campaigns": list(wanted.campaign_ids or ()),
                "left_out": list(wanted.left_out),
                "since_ms": min(max(wanted.since_ms or 0, 0), _LAST_MS),
                "until_ms": _LAST_MS if wanted.until_ms is None else min(max(wanted.until_ms, 0), _LAST_MS),
                "before_ms": place.time_ms,
                "before_topic": place.topic_id,
                "before_partition": place.partition,
                "before_offset": place.offset,
                "limit": limit,
            },
        )
        places = map(
            ConflictPlace,
            *(table.integers(name).tolist() for name in ("time_ms", "ktopic", "kpart", "koff")),
        )
        return [
            Conflict(at, campaign_id, event_id, event_time_us, bytes.fromhex(value))
            for at, campaign_id, event_id, event_time_us, value in zip(
                places,
                table.integers("campaign_id").tolist(),
                table.strings("event_id"),
                table.integers("event_time_us").tolist(),
                table.strings("value_hex"),
                strict=True,
            )
        ]

    def counted_events(self, keys: Sequence[tuple[int, str]], /) -> list[CountedEvent]:
        if not keys:
            return []
        campaigns, ids = (list(column) for column in zip(*keys, strict=True))
        return counted_events_of(self._ask("counted_events", {"campaigns": campaigns, "ids": ids}))

    def _ask(self, statement: str, parameters: Mapping[str, object]) -> Table:
        with store_failures():
            return self._clients.read(_SQL[statement], parameters)


def counted_events_of(table: Table) -> list[CountedEvent]:
    """The rows of an answer that has an event's columns."""
    if not table.rows:
        return []
    columns: dict[str, list[object]] = {name: list(table.strings(name)) for name in _TEXTS}
    columns |= {name: list(table.integers(name).tolist()) for name in _NUMBERS}
    columns["partition"] = list(table.integers("kpart").tolist())
    columns["offset"] = list(table.integers("koff").tolist())
    rows = zip(*columns.values(), strict=True)
    return [CountedEvent(**dict(zip(columns, row, strict=True))) for row in rows]
