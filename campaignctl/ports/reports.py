"""The store of reports: every version of every slice, what fetches covered, and what stood when.

Account ids and native ids are keys (``domain.platforms``) throughout. A version is *there* from the log time of its
record on (``ktime``), and so is coverage. Of the versions of a slice that are there the one that was fetched last
*stands*; of equal instants the one that lies later in the log.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.insight_sums import Keys
from campaignctl.domain.insights import Metric
from campaignctl.domain.reports import Breakdown, Coverage, Figures, ReportedAccount, ReportSlice
from campaignctl.ports.analytics import OffsetRange

I64 = NDArray[np.int64]
NEVER = -1
"""In a column of instants: nothing of the kind has happened."""


class AccountKey(NamedTuple):
    organization_id: int
    platform: str
    account_id: str


@dataclass(frozen=True, slots=True, order=True)
class NativeCampaign:
    """What a platform calls a campaign, or on LinkedIn also a campaign group."""

    organization_id: int
    platform: str
    account_id: str
    level: str
    native_id: str

    @property
    def account(self) -> AccountKey:
        return AccountKey(self.organization_id, self.platform, self.account_id)


class FromRecord(NamedTuple):
    """The record of the log that something comes from."""

    offset: int
    time_ms: int


@dataclass(slots=True)
class ReportRows:
    """Slices and coverage of one partition's records, ready to land: a pure function of the records."""

    topic_id: int
    partition: int
    slices: Sequence[tuple[FromRecord, ReportedAccount, ReportSlice]] = ()
    coverage: Sequence[tuple[FromRecord, ReportedAccount, Coverage]] = ()

    def __len__(self) -> int:
        return len(self.slices) + len(self.coverage)

    def without(self, slices: Collection[int], coverage: Collection[int]) -> "ReportRows":
        """Only the slices and the coverage of records at other offsets."""
        return replace(
            self,
            slices=[one for one in self.slices if one[0].offset not in slices],
            coverage=[one for one in self.coverage if one[0].offset not in coverage],
        )

    def natives(self) -> set["NativeCampaign"]:
        """The native campaigns of which something is said; a ``native_id`` of "" is all of an account's."""
        told = {(account, one.level, one.native_id) for _, account, one in self.slices}
        told |= {(account, one.level, one.native_id) for _, account, one in self.coverage}
        return {
            NativeCampaign(account.organization_id, account.platform, account.account_id, level, native_id)
            for account, level, native_id in told
        }


@dataclass(frozen=True, slots=True)
class GivenFigures:
    """A column of figures."""

    values: I64
    """0 where the figure is not given."""
    given: NDArray[np.bool_]
    """False where the platform does not give the metric in this breakdown."""


@dataclass(frozen=True, slots=True)
class ReportDays:
    """What stood for some native campaigns on some days: the rows of the standing slices, and what was covered.

    Of a day that is covered for a native campaign that has ever been seen, no row means 0.
    """

    native: I64
    """Of each row: the place of its native campaign in the question."""
    day: I64
    """Days since 1970-01-01; the account's own day."""
    region: Keys
    """"" in the row of a total; a country, or ZZ, in one of the breakdown by country."""
    currency: Keys
    definition: Keys
    """The version of the definition that the conversions were counted by."""
    fetched_us: I64
    metrics: Mapping[Metric, GivenFigures]
    """Conversions and money in millionths."""

    ever_seen: NDArray[np.bool_]
    """Of each native campaign asked: whether any fetch until then had a row of it, for any day in any breakdown."""
    last_fetched_us: I64
    """Of each native campaign asked: when a fetch last covered any of its days; ``NEVER``."""
    timezone: Sequence[str]
    """Of each native campaign asked: its account's zone as that fetch had it; "" when it is not known."""
    covered_us: Mapping[Breakdown, I64]
    """Of each native campaign (first axis) and day asked: when a fetch last covered it in the breakdown; ``NEVER``.

    ``Breakdown.COUNTRY`` is there when it was asked for.
    """


@dataclass(frozen=True, slots=True)
class StandingSlice:
    """What a fetch has to compare with."""

    digest: str
    """``domain.reports.slice_digest`` of the version."""
    fetched_us: int
    has_rows: bool


@dataclass(frozen=True, slots=True)
class SliceVersion:
    """One version of a slice of totals."""

    native: int
    """The place of its native campaign in the question."""
    day: date
    fetched_us: int
    landed_ms: int
    """Log time of its record."""
    currency: str
    timezone: str
    definition: str
    figures: Figures | None
    """None: it has no row."""


@dataclass(frozen=True, slots=True)
class CoveredDays:
    """That a fetch covered totals of these days of a native campaign."""

    native: int
    first: date
    last: date
    landed_ms: int


@dataclass(frozen=True, slots=True)
class NativeHistory:
    """All there is about totals of some native campaigns and days, of each in the order in which it was logged."""

    versions: Sequence[SliceVersion]
    coverage: Sequence[CoveredDays]
    first_seen_ms: Sequence[int]
    """Of each native campaign asked: log time of the first version that had a row, of any day; ``NEVER``."""


@dataclass(frozen=True, slots=True)
class LastFetch:
    """The newest coverage of an account."""

    fetched_us: int
    currency: str
    timezone: str


class ReportSink(Protocol):
    """Where reports land. Every method raises ``Unavailable``.

    A ``token`` names a batch for ever, as in ``EventStore``: appending the same rows under it again adds only what is
    missing of them. Rows that are there twice change no answer.
    """

    def append_slices(self, rows: ReportRows, token: str, /) -> None:
        """Land the slices; each becomes visible whole. One block: with the outcome unknown, call again."""
        ...

    def append_coverage(self, rows: ReportRows, token: str, /) -> None:
        """Land the coverage, after the slices it speaks of."""
        ...

    def landed_reports(self, offsets: OffsetRange, /) -> tuple[frozenset[int], frozenset[int]]:
        """The offsets of the range that have slices, and those that have coverage."""
        ...


class ArrivalStore(Protocol):
    def last_arrivals(self, campaign_id: int, first: date, last: date, /) -> Mapping[tuple[str, date], int]:
        """By platform and (inclusive) day of the campaign's zone when the log took the last event of the day.

        Only of what raw records are there for. Epoch milliseconds.
        """
        ...


class ReportStore(ReportSink, Protocol):
    """What is asked of reports. Every method raises ``Unavailable``, or ``InvalidInput`` for too large an answer."""

    def report_days(
        self,
        natives: Sequence[NativeCampaign],
        first: date,
        last: date,
        as_of_ms: int | None,
        /,
        *,
        by_country: bool,
    ) -> ReportDays:
        """What stood for each native campaign and (inclusive) day as of then (inclusive; None: now).

        ``by_country`` adds the rows of the breakdown by country to those of the totals. A native campaign is asked
        once. Coverage of all native campaigns of a level counts for each of them. Rows come by native, day and region.
        """
        ...

    def history(self, natives: Sequence[NativeCampaign], first: date, last: date, /) -> NativeHistory:
        """Every version of the totals of these native campaigns on the (inclusive) days, and what led to them."""
        ...

    def standing_slices(
        self, account: AccountKey, level: str, breakdown: Breakdown, first: date, last: date, /
    ) -> Mapping[tuple[str, date], StandingSlice]:
        """By native id and day what stands now, for a fetch that sends only what is different.

        Records that have not landed yet are not known here: whoever fetches an account lets its own land first.
        """
        ...

    def natives_between(self, account: AccountKey, first: date, last: date, /) -> list[NativeCampaign]:
        """The account's native campaigns, of any level, that have had a row on one of the (inclusive) days."""
        ...

    def last_fetches(self, accounts: Sequence[AccountKey], as_of_ms: int | None, /) -> Mapping[AccountKey, LastFetch]:
        """The newest coverage of each account that has any."""
        ...
