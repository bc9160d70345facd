"""Removing what ClickHouse tables hold of a campaign."""

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.erasures import CampaignRows

_SQL = load_statements("clickhouse", "queries", "erasure.sql")


class ErasedRows:
    """A ``RemovalStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def rows_of_campaign(self, campaign_id: int, /) -> CampaignRows:
        with store_failures():
            table = self._clients.read(_SQL["campaign_rows"], {"campaign": campaign_id})
        names = ("events", "rollup_rows", "conflicts")
        return CampaignRows(**{name: table.integers(name).tolist()[0] for name in names})

    def remove_campaign(self, campaign_id: int, /) -> None:
        for statement in ("remove_events", "remove_rollup", "remove_conflicts"):
            with store_failures(), self._clients.writer() as client:
                client.command(_SQL[statement], parameters={"campaign": campaign_id})
