"""Insights: what can be asked, and what is answered. Sums are exact integers, everything else is made from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from math import gcd
from typing import NamedTuple
from zoneinfo import ZoneInfo

from campaignctl.domain.money import MILLION, ratio_micros, ratios_micros
from campaignctl.domain.periods import Bucket, DayRange, Granularity, WeekStart


class Dimension(StrEnum):
    PLATFORM = "platform"
    REGION = "region"
    AD_GROUP = "ad_group"
    AD = "ad"
    DEVICE = "device"
    CAMPAIGN = "campaign"

    @property
    def member(self) -> str:
        """The name of its value in a row."""
        return _MEMBERS.get(self, self.value)


_MEMBERS = {
    Dimension.AD_GROUP: "ad_group_id",
    Dimension.AD: "ad_id",
    Dimension.CAMPAIGN: "campaign_id",
}


class Metric(StrEnum):
    IMPRESSIONS = "impressions"
    CLICKS = "clicks"
    CONVERSIONS = "conversions"
    SPEND = "spend"
    REVENUE = "revenue"

    @property
    def is_count(self) -> bool:
        """Counts are whole numbers; the others are kept in millionths."""
        return self in {Metric.IMPRESSIONS, Metric.CLICKS}


MONEY = (Metric.SPEND, Metric.REVENUE)


class Ratio(StrEnum):
    CTR = "ctr"
    CPC = "cpc"
    CPM = "cpm"
    CPA = "cpa"
    CVR = "cvr"
    ROAS = "roas"

    @property
    def parts(self) -> tuple[Metric, Metric]:
        """Dividend and divisor."""
        over, under, _ = _RATIOS[self]
        return over, under

    def of(self, dividend: int | None, divisor: int | None) -> int | None:
        """In millionths, rounded half to even; None where the divisor is not above 0 or a sum is not known."""
        if dividend is None or divisor is None:
            return None
        dividend_scale, divisor_scale = _SCALES[self]
        return ratio_micros(dividend * dividend_scale, divisor * divisor_scale)

    @property
    def scales(self) -> tuple[int, int]:
        """What a dividend and a divisor are multiplied by, so that their quotient is in millionths."""
        return _SCALES[self]

    def of_each(self, dividends: Iterable[int | None], divisors: Iterable[int | None]) -> list[int | None]:
        """As ``of``, of columns."""
        return ratios_micros(dividends, divisors, *_SCALES[self])


_RATIOS = {
    Ratio.CTR: (Metric.CLICKS, Metric.IMPRESSIONS, 1),
    Ratio.CPC: (Metric.SPEND, Metric.CLICKS, 1),
    Ratio.CPM: (Metric.SPEND, Metric.IMPRESSIONS, 1_000),
    Ratio.CPA: (Metric.SPEND, Metric.CONVERSIONS, 1),
    Ratio.CVR: (Metric.CONVERSIONS, Metric.CLICKS, 1),
    Ratio.ROAS: (Metric.REVENUE, Metric.SPEND, 1),
}
"""Dividend, divisor, factor."""


def _scales(over: Metric, under: Metric, factor: int) -> tuple[int, int]:
    scales = factor * MILLION * (MILLION if over.is_count else 1), MILLION if under.is_count else 1
    common = gcd(*scales)
    return scales[0] // common, scales[1] // common


_SCALES = {ratio: _scales(*parts) for ratio, parts in _RATIOS.items()}
"""What brings both to millionths (a count is a million of them for each), and the ratio too, without common factors."""


class Source(StrEnum):
    AUTO = "auto"
    STREAM = "stream"
    REPORT = "report"


class RowSource(StrEnum):
    STREAM = "stream"
    REPORT = "report"
    MIXED = "mixed"
    """Both took part."""


class Compare(StrEnum):
    PREVIOUS_PERIOD = "previous_period"
    PREVIOUS_YEAR = "previous_year"


class Fill(StrEnum):
    NONE = "none"
    ZERO = "zero"


class Order(StrEnum):
    ASC = "asc"
    DESC = "desc"


class Finality(StrEnum):
    """How settled numbers are, the weakest first."""

    LIVE = "live"
    PROVISIONAL = "provisional"
    SETTLING = "settling"
    FINAL = "final"


GroupValue = str | int
"""A campaign's id is a number, everything else that rows are grouped by a string."""
SortKey = Metric | Ratio | Dimension


@dataclass(frozen=True, slots=True)
class InsightQuery:
    """A question, checked and complete: nothing in it depends on a default any more."""

    campaign_ids: tuple[int, ...]
    several: bool
    """Whether it was asked of several campaigns (then the answer names all of them, also when there is one)."""
    days: DayRange
    granularity: Granularity
    zone: ZoneInfo
    week_start: WeekStart
    currency: str
    source: Source
    group_by: tuple[Dimension, ...]
    platforms: tuple[str, ...]
    """Sorted; empty for all."""
    regions: tuple[str, ...]
    """Countries and subdivisions, sorted; empty for all."""
    compare: Compare | None
    fill: Fill
    sort: SortKey | None
    order: Order
    limit: int
    cursor: str | None
    as_of: datetime | None
    """What is asked is what would have been answered then; None for the present."""
    now: datetime
    """The moment that the answer is of: ``as_of``, or else the present."""
    today: date
    """The day of ``now`` in the asked zone."""
    asked_at: datetime
    """The present, whatever moment is asked about."""

    @property
    def earlier_days(self) -> DayRange | None:
        """The days to compare with; None when nothing is to be compared."""
        if self.compare is None:
            return None
        return self.days.year_before() if self.compare is Compare.PREVIOUS_YEAR else self.days.before()

    @property
    def filled_source(self) -> RowSource:
        """The source that a row without any data names."""
        return RowSource.REPORT if self.source is Source.REPORT else RowSource.STREAM

    def finality(self, days: DayRange) -> Finality:
        """Of what the stream says about the days: the weakest of them decides."""
        return Finality.PROVISIONAL if days.last < self.today else Finality.LIVE


class Sums(NamedTuple):
    """The metrics of a row or of all rows; money in millionths of the asked currency. None where it cannot be told."""

    impressions: int | None = 0
    clicks: int | None = 0
    conversions_millionths: int | None = 0
    spend_micros: int | None = 0
    revenue_micros: int | None = 0

    def metric(self, metric: Metric) -> int | None:
        """Counts as they are, everything else in millionths."""
        match metric:
            case Metric.IMPRESSIONS:
                return self.impressions
            case Metric.CLICKS:
                return self.clicks
            case Metric.CONVERSIONS:
                return self.conversions_millionths
            case Metric.SPEND:
                return self.spend_micros
            case Metric.REVENUE:
                return self.revenue_micros

    def in_order(self) -> tuple[int | None, ...]:
        """All of them, in the order of ``Metric``."""
        return self

    def ratio(self, ratio: Ratio) -> int | None:
        """In millionths; see ``Ratio.of``."""
        over, under = ratio.parts
        return ratio.of(self.metric(over), self.metric(under))

    def change_from(self, earlier: "Sums", metric: Metric) -> int | None:
        """(this - earlier) / earlier in millionths; None where the earlier value is not above 0."""
        now, then = self.metric(metric), earlier.metric(metric)
        if now is None or then is None:
            return None
        return ratio_micros((now - then) * MILLION, then)


class InsightRow(NamedTuple):
    number: int
    """Which of the range's buckets it is about, from 0."""
    bucket: Bucket
    group: tuple[GroupValue, ...]
    """A value for each dimension of the question's ``group_by``, in its order."""
    sums: Sums
    source: RowSource
    finality: Finality


@dataclass(frozen=True, slots=True)
class EarlierRow:
    """What stands beside a row: the bucket of the same number in the earlier range, the same group."""

    bucket: Bucket
    sums: Sums


@dataclass(frozen=True, slots=True)
class Comparison:
    kind: Compare
    days: DayRange
    totals: Sums
    rows: tuple[EarlierRow | None, ...]
    """Beside each row of the page; None where the earlier range has fewer buckets."""


@dataclass(frozen=True, slots=True)
class Freshness:
    platform: str
    last_event_us: int | None = None
    """Epoch microseconds of the newest event that counts; None when there is none."""
    last_report_us: int | None = None
    """When a fetch last succeeded; None when there was none."""
    data_through: date | None = None
    """The last day that is no longer live; None without any data."""
    finality: Finality | None = None
    """That day's."""
    expected_final_at: datetime | None = None
    """When that day's report is, or was, final; None where it has none."""


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801  # Warning is Python's own
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Insights:
    """An answer."""

    query: InsightQuery
    rows: tuple[InsightRow, ...]
    """A page of them, in the asked order."""
    totals: Sums
    """Of all rows, whatever the page."""
    comparison: Comparison | None
    next_cursor: str | None
    freshness: tuple[Freshness, ...]
    warnings: tuple[Warning_, ...]
    """By code."""
