"""The analytics store: raw event rows, the daily rollup, and the questions asked of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.insight_sums import StoredSums
from campaignctl.domain.insights import Dimension
from campaignctl.domain.periods import Timeline
from campaignctl.ports.rollup import RollupStore

Integers: TypeAlias = Sequence[int] | NDArray[np.int64]


@dataclass(slots=True)
class EventRows:
    """Deduplicated events of one partition, ready to land: one sequence per column, all of one length.

    A pure function of the log's records (and of campaign settings that cannot change once there are events), so that
    a replay builds the very same rows.
    """

    event_id: Sequence[str]
    campaign_id: Sequence[int]
    day: Integers
    """Days since 1970-01-01 of the event's calendar day in the campaign's own zone."""
    event_time_us: Integers
    """Epoch microseconds, UTC."""
    platform: Sequence[str]
    event_type: Sequence[str]
    region: Sequence[str]
    ad_group_id: Sequence[str]
    ad_id: Sequence[str]
    device: Sequence[str]
    currency: Sequence[str]
    """Never empty: the campaign's where the event named none."""
    impressions: Integers
    clicks: Integers
    conversions_millionths: Integers
    spend_micros: Integers
    revenue_micros: Integers
    fingerprint: NDArray[np.uint64]
    """Hash of the content, to tell a copy from a conflict."""
    offsets: Sequence[int]
    times_ms: Integers
    """Log-append time of the record."""
    topic_id: int
    """First 32 bits of the topic's incarnation: a topic created again is another one."""
    partition: int

    def __len__(self) -> int:
        return len(self.event_id)


@dataclass(slots=True)
class ConflictRows:
    """Copies that say something else than the event that counted; column by column."""

    campaign_id: Sequence[int]
    event_id: Sequence[str]
    event_time_us: Sequence[int]
    value: Sequence[bytes]
    """The copy's original bytes."""
    offsets: Sequence[int]
    times_ms: Sequence[int]
    topic_id: int
    partition: int

    def __len__(self) -> int:
        return len(self.event_id)


@dataclass(slots=True)
class SeenEvents:
    """Events that already count, column by column (a chunk of a window being rebuilt, or a look-up's answer)."""

    campaign_id: Sequence[int]
    event_id: Sequence[str]
    event_time_us: Sequence[int]
    times_ms: Sequence[int]
    fingerprint: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.event_id)


@dataclass(frozen=True, slots=True)
class OffsetRange:
    """Records ``start <= offset < end`` of a partition of a topic's incarnation."""

    topic_id: int
    partition: int
    start: int
    end: int


class EventStore(RollupStore, Protocol):
    """What the worker needs: landing rows exactly once, and asking what has landed.

    A ``token`` names a batch for ever: appending the same rows under the same token again, after any failure, adds
    only what is missing of them, in the raw table and in every rollup derived from it.
    """

    def append_events(self, rows: EventRows, token: str, /) -> None:
        """Land the rows and their rollup. One block; raises ``Unavailable`` with the outcome unknown: call again."""
        ...

    def append_conflicts(self, rows: ConflictRows, token: str, /) -> None: ...

    def landed_before(self, topic_id: int, partition: int, offset: int, since_ms: int, /) -> Iterator[SeenEvents]:
        """Rows of the partition below ``offset`` taken by the log at or after ``since_ms``, in chunks of <= 100,000."""
        ...

    def campaigns_elsewhere(self, topic_id: int, partition: int, since_ms: int, /) -> Sequence[int]:
        """Campaigns with rows that the log took since then in another partition, or in another incarnation."""
        ...

    def landed_elsewhere(
        self, topic_id: int, partition: int, campaign_ids: Sequence[int], since_ms: int, /
    ) -> Iterator[SeenEvents]:
        """Those rows of the given campaigns, at most 10,000 campaigns, in chunks of <= 100,000."""
        ...

    def earliest_instants(self, campaign_ids: Sequence[int], before_ms: int, /) -> Mapping[int, int]:
        """The earliest ``event_time_us`` of each campaign's rows that the log took before a time, where it has any."""
        ...

    def newest_offset(self, topic_id: int, partition: int, /) -> int | None:
        """The highest offset that has landed; None when nothing has."""
        ...

    def find_by_instant(self, keys: Sequence[tuple[int, str, int]], excluding: OffsetRange, /) -> SeenEvents:
        """Which of (campaign_id, event_id, event_time_us) have landed outside ``excluding``. At most 10,000 keys."""
        ...

    def find_by_id(self, keys: Sequence[tuple[int, str]], excluding: OffsetRange, /) -> SeenEvents:
        """Which of (campaign_id, event_id) have landed outside ``excluding``, whatever their instant."""
        ...

    def landed_events(self, offsets: OffsetRange, /) -> SeenEvents:
        """The rows of a range of at most 100,000 offsets."""
        ...

    def landed_offsets(self, offsets: OffsetRange, /) -> Sequence[int]:
        """The offsets of the range that have rows, ascending."""
        ...

    def reconcile_rollup(
        self, days: Mapping[int, Sequence[int]], window_ms: int, token: str, partition: int, /
    ) -> None:
        """Make the rollup of each campaign's days equal its raw rows: ``recount``, and one insert of what it lacks."""
        ...

    def missing_windows(self) -> Sequence[str]:
        """Tables that lack a deduplication window: a worker must not run while there are any."""
        ...


@dataclass(frozen=True, slots=True)
class SumsQuestion:
    """Which events to sum, and into which groups."""

    campaign_ids: Sequence[int]
    platforms: Sequence[str]
    """Only these; empty for all."""
    regions: Sequence[str]
    """Only these, upper-case; a country also stands for its subdivisions; empty for all."""
    group_by: Sequence[Dimension]
    base_currency: str
    """Amounts in it are summed across days; amounts in others stay apart by day."""
    as_of_us: int | None = None
    """Only what the log had taken by then, inclusive (epoch microseconds); None: all. Asked by time only."""
    left_out: Collection[tuple[int, str, int]] = ()
    """(Campaign, platform, number of the day in the asked range, from 0) of which nothing is summed."""


class InsightStore(Protocol):
    """What insights need: sums of events. One question is one statement.

    Raises ``Unavailable``, or ``InvalidInput`` when the answer would have more rows than can be given.
    """

    def sums_by_day(self, question: SumsQuestion, bucket_starts: Sequence[date], end: date, /) -> StoredSums:
        """Sums over days in the campaigns' own zones. Bucket ``n`` runs from its start up to the next one's.

        Ascending starts; ``end`` is the first day behind the last bucket. Groups by platform, region and campaign only.
        """
        ...

    def sums_by_time(self, question: SumsQuestion, buckets: Timeline, days: Timeline, /) -> StoredSums:
        """Sums over instants: ``buckets`` says when each bucket is, ``days`` when each day of the range is."""
        ...

    def newest_events(self, campaign_ids: Sequence[int], as_of_us: int | None = None, /) -> Mapping[str, int]:
        """Epoch microseconds of each platform's newest event, for the platforms that have any.

        Of those that the log had taken by ``as_of_us``, inclusive; None: of all.
        """
        ...


class FreshnessStore(Protocol):
    """How new the data is."""

    def newest_events_by_campaign(self, campaign_ids: Sequence[int], /) -> Mapping[tuple[int, str], int]:
        """Epoch microseconds of the newest event of each campaign and platform that has any."""
        ...


@dataclass(frozen=True, slots=True)
class SqlColumn:
    name: str
    type: str
    """The engine's name of it: ``UInt64``, ``LowCardinality(String)``."""


SqlValue: TypeAlias = bool | int | float | str | list["SqlValue"] | dict[str, "SqlValue"] | None
"""As JSON has it: integers exact at any size; decimals, days and times as strings; no NaN and no infinity (null)."""


@dataclass(frozen=True, slots=True)
class SqlAnswer:
    columns: tuple[SqlColumn, ...]
    rows: list[list[SqlValue]]
    truncated: bool
    """Whether there were more rows than were asked for."""


class SqlConsole(Protocol):
    """Read-only SQL on the store, for the operator of the machine."""

    def run_sql(
        self, statement: str, parameters: Mapping[str, str], /, *, max_rows: int, timeout_s: float, mark: str = ""
    ) -> SqlAnswer:
        """One statement that only reads, with values for its ``{name:Type}`` parameters.

        Under a ``mark`` (letters and digits that nobody else gives) ``stop_sql`` finds it while it runs.

        Raises ``InvalidInput`` with code ``invalid_query`` (not read-only, or wrong: the message is the engine's),
        ``query_limit`` (too slow, too large) or ``query_cancelled``, or ``Unavailable``. A position in a message is in
        bytes of the statement as it was given, from 1.
        """
        ...

    def stop_sql(self, mark: str, /) -> None:
        """Have the statement under the mark end as soon as it can; nothing where none runs."""
        ...
