"""What stands behind a number: the raw records of a day, and the statements that were run for it."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from campaignctl.domain.insights import Metric
from campaignctl.domain.periods import Timeline
from campaignctl.ports.analytics import SumsQuestion


@dataclass(frozen=True, slots=True)
class StreamedRecords:
    """The events of one platform, currency and partition of the log, added up."""

    platform: str
    currency: str
    topic_id: int
    """First 32 bits of the topic's incarnation."""
    partition: int
    events: int
    first_offset: int
    last_offset: int
    first_event_us: int
    last_event_us: int
    last_taken_ms: int
    """When the log took the newest of them."""
    figures: Mapping[Metric, int]
    """Conversions and money in millionths of the currency."""


@dataclass(frozen=True, slots=True)
class RunStatement:
    """A statement as it was run."""

    file: str
    """Where it is in the repository; "" for one that stands in no file."""
    name: str
    sql: str
    parameters: Mapping[str, str]
    """By name, written as ``campaignctl query --param`` takes them."""


class EvidenceStore(Protocol):
    """Every method raises ``Unavailable``, or ``InvalidInput`` for too large an answer."""

    def streamed_records(self, question: SumsQuestion, day: Timeline, /) -> list[StreamedRecords]:
        """The raw events of a day, whether or not a report stands in their place; by platform, currency, partition.

        ``day`` says when the day is; ``group_by``, ``base_currency`` and ``left_out`` of the question do not matter.
        """
        ...

    def summed_events(self, question: SumsQuestion, day: date, /) -> Mapping[str, int]:
        """How many events the sums by day hold of each platform, for a day of the campaign's own zone."""
        ...

    def count_conflicts(self, campaign_id: int, day: Timeline, as_of_us: int | None, /) -> int:
        """How many copies that say something else than the event that counted name an instant of the day."""
        ...

    def run_statements(self) -> AbstractContextManager[Sequence[RunStatement]]:
        """While it is entered, what this thread reads from the store is added to the sequence, in order."""
        ...
