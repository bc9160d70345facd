"""Looking for what is wrong with the rows that have landed, and taking out what is there twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class RepeatedRow:
    """A row whose event id has come up more than once in its campaign."""

    event_id: str
    event_time_us: int
    day: int
    """Days since 1970-01-01."""
    topic_id: int
    partition: int
    offset: int
    time_ms: int
    place: tuple[str, int]
    """Where the store has it now: good until the store merges its parts."""


@dataclass(frozen=True, slots=True)
class RollupDifference:
    """What must be added to one row of the rollup so that it equals its raw rows."""

    day: int
    platform: str
    region: str
    currency: str
    lacks: Mapping[str, int]
    """By column, those other than 0; wrapped at 64 bits."""


class VerificationStore(Protocol):
    """Raises ``Unavailable``. Scans whole campaigns, so it takes its time."""

    def raw_rows_by_campaign(self) -> Mapping[int, int]:
        """Raw rows of every campaign that has any, or has sums."""
        ...

    def repeated_rows(self, campaign_id: int, since_ms: int, bucket: int, buckets: int, /) -> list[RepeatedRow]:
        """Rows of ids that came up again at or after ``since_ms``, by id and then in the order of the log.

        Of one share of all ids: what is held in memory is bounded by it. At most 100,000 rows.
        """
        ...

    def remove_rows(self, campaign_id: int, places: Sequence[tuple[str, int]], /) -> None:
        """Remove the rows at these places; one whose place no longer holds stays. Sums are not touched."""
        ...

    def rollup_differences(self, campaign_id: int, first_day: int, /) -> list[RollupDifference]:
        """Where the rollup of the campaign's days from ``first_day`` on differs from its raw rows; at most 10,000."""
        ...
