"""Removing what ClickHouse tables hold of a campaign."""

from collections.abc import Collection, Mapping, Sequence

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.sql_files import load_statements
from campaignctl.ports.erasures import CampaignRows, EventTraces
from campaignctl.ports.reports import NativeCampaign

_SQL = load_statements("clickhouse", "queries", "erasure.sql")
# A whole campaign is read: its key does not lead to ids.
_UNHURRIED = {"max_execution_time": 0}


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
        self._remove(("remove_events", "remove_rollup", "remove_conflicts"), {"campaign": campaign_id})

    def report_slices_of(self, natives: Collection[NativeCampaign], /) -> int:
        if not natives:
            return 0
        wanted: dict[str, object] = {
            "organization": next(iter(natives)).organization_id,
            "platforms": [one.platform for one in natives],
            "accounts": [one.account_id for one in natives],
            "levels": [one.level for one in natives],
            "natives": [one.native_id for one in natives],
        }
        with store_failures():
            table = self._clients.read(_SQL["report_slices_of"], wanted)
        return int(table.integers("slices")[0])

    def traces_of_events(self, campaign_id: int, digests: Collection[bytes], /) -> EventTraces:
        with store_failures():
            table = self._clients.read(_SQL["event_traces"], _named(campaign_id, digests), settings=_UNHURRIED)
        events, conflicts = (table.integers(name).tolist()[0] for name in ("events", "conflicts"))
        days = table.strings("days")[0]
        return EventTraces(events, conflicts, tuple(map(int, days.split(","))) if days else ())

    def remove_events(self, campaign_id: int, digests: Collection[bytes], /) -> None:
        self._remove(("remove_single_events", "remove_single_conflicts"), _named(campaign_id, digests))

    def _remove(self, statements: Sequence[str], where: Mapping[str, object]) -> None:
        with store_failures():
            for shard in self._clients.shards().values():  # all of them: an older topic may have had other partitions
                for statement in statements:
                    with shard.writer() as client:
                        client.command(_SQL[statement], parameters=dict(where))


def _named(campaign_id: int, digests: Collection[bytes]) -> dict[str, object]:
    return {"campaign": campaign_id, "digests": [digest.hex().upper() for digest in digests]}
