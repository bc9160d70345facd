"""What was erased: part of the metadata store, and the removal of its rows from analytics."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from campaignctl.domain.jobs import Job


class ErasureLookup(Protocol):
    def erased_campaigns(self) -> Mapping[int, datetime]:
        """When each campaign that was ever erased was."""
        ...


class ErasureStore(ErasureLookup, Protocol):
    def erase_campaign(self, campaign_id: int, erased_by: int | None, /) -> Job | None:
        """Remove the campaign with its links, its claims and its jobs, and queue the job that removes its rows.

        All in one transaction, which also keeps for ever that the campaign was erased. None when there is no such
        campaign.
        """
        ...


@dataclass(frozen=True, slots=True)
class CampaignRows:
    """How many rows analytics has of a campaign."""

    events: int
    rollup_rows: int
    """As they lie there: a sum may still be in parts."""
    conflicts: int

    def __bool__(self) -> bool:
        return bool(self.events or self.rollup_rows or self.conflicts)


class RemovalStore(Protocol):
    """Raises ``Unavailable``: call it again."""

    def rows_of_campaign(self, campaign_id: int, /) -> CampaignRows: ...

    def remove_campaign(self, campaign_id: int, /) -> None:
        """Remove every row of the campaign; done when it returns. What lands later stays."""
        ...
