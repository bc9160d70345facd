"""What was erased: part of the metadata store, and the removal of its rows from analytics."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from campaignctl.domain.erased_events import EventErasure
from campaignctl.domain.jobs import Job
from campaignctl.ports.reports import NativeCampaign


class ErasureLookup(Protocol):
    def erased_campaigns(self) -> Mapping[int, datetime]:
        """When each campaign that was ever erased was."""
        ...

    def erased_events(self, known: Collection[int] = (), /) -> Mapping[int, EventErasure]:
        """Every erasure of single events by its number, for ever, without those whose numbers are known."""
        ...

    def erasing(self) -> set[int]:
        """The campaigns of which a job is still to remove something."""
        ...


class ErasureStore(ErasureLookup, Protocol):
    def erase_campaign(self, campaign_id: int, erased_by: int | None, /) -> Job | None:
        """Remove the campaign with its links, its claims and its jobs, and queue the job that removes its rows.

        All in one transaction, which also keeps for ever that the campaign was erased. None when there is no such
        campaign.
        """
        ...

    def erase_campaign_again(
        self, campaign_id: int, organization_id: int | None, erased_by: int | None, /, *, only_failed: bool
    ) -> Job | None:
        """Queue another job that removes the rows of a campaign that is erased; the one under way, if there is one.

        None when the campaign is not erased, or another organization's (None: any will do), and with ``only_failed``
        unless the last job has failed.
        """
        ...

    def erase_events(
        self, campaign_id: int, digests: Collection[bytes], reason: str, erased_by: int | None, /
    ) -> Job | None:
        """Keep for ever that these events (``event_digest``) are erased, and queue the job that removes their rows.

        In one transaction; the erasure's number is the job's. None when there is no such campaign.
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


@dataclass(frozen=True, slots=True)
class EventTraces:
    """What analytics has of some events of a campaign."""

    events: int
    conflicts: int
    days: tuple[int, ...]
    """The days of their raw rows, since 1970-01-01, ascending."""


class RemovalStore(Protocol):
    """Raises ``Unavailable``: call it again."""

    def rows_of_campaign(self, campaign_id: int, /) -> CampaignRows: ...

    def remove_campaign(self, campaign_id: int, /) -> None:
        """Remove every row of the campaign; done when it returns. What lands later stays."""
        ...

    def report_slices_of(self, natives: Collection[NativeCampaign], /) -> int:
        """How many versions of slices are there of native campaigns, all of one organization."""
        ...

    def traces_of_events(self, campaign_id: int, digests: Collection[bytes], /) -> EventTraces:
        """What is there of the events with these digests, 1,000 at most."""
        ...

    def remove_events(self, campaign_id: int, digests: Collection[bytes], /) -> None:
        """Remove their raw rows and conflicts; sums are not touched. What lands later stays."""
        ...
