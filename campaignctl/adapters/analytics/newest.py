"""The newest events, campaign by campaign."""

from collections.abc import Mapping, Sequence

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import question_failures
from campaignctl.adapters.sql_files import load_statements

_SQL = load_statements("clickhouse", "queries", "freshness.sql")


class NewestEvents:
    """A ``FreshnessStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def newest_events_by_campaign(self, campaign_ids: Sequence[int], /) -> Mapping[tuple[int, str], int]:
        with question_failures():
            table = self._clients.read(_SQL["newest_events_by_campaign"], {"campaigns": list(campaign_ids)})
        keys = zip(table.integers("campaign").tolist(), table.strings("platform"), strict=True)
        return dict(zip(keys, table.integers("newest_us").tolist(), strict=True))
