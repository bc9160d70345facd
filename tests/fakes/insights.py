"""The question half of the analytics store, in memory."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from campaignctl.domain.insight_sums import StoredSums, keys_of, wide_of
from campaignctl.domain.insights import Dimension, GroupValue, Metric
from campaignctl.domain.periods import EPOCH, Timeline
from campaignctl.domain.regions import region_matches
from campaignctl.ports.analytics import SumsQuestion

_DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event that counts; decimals in millionths."""

    at_us: int
    taken_us: int = 0
    """When the log took it."""
    day: int
    """Days since 1970-01-01, in the campaign's zone."""
    campaign: int = 1
    platform: str = "meta"
    region: str = "ZZ"
    ad_group: str = ""
    ad: str = ""
    device: str = ""
    currency: str = "USD"
    impressions: int = 0
    clicks: int = 0
    conversions: int = 0
    spend: int = 0
    revenue: int = 0


def event(day: date, campaign: int = 1, **members: str | int) -> Event:
    """An event at noon of the day in UTC."""
    number = (day - EPOCH).days
    given = {"at_us": number * _DAY_US + _DAY_US // 2, "day": number, "campaign": campaign, **members}
    return Event(**given)  # type: ignore[arg-type]


class FakeInsightStore:
    """An ``InsightStore``; ``before`` is called with the name of each question before it is answered."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.asked: Counter[str] = Counter()
        self.before: Callable[[str], None] = lambda name: None

    def sums_by_day(self, question: SumsQuestion, bucket_starts: Sequence[date], end: date, /) -> StoredSums:
        self._count("sums_by_day")
        edges = [(start - EPOCH).days for start in (*bucket_starts, end)]
        return self._sums(
            question,
            lambda one: next((n for n in range(len(edges) - 1) if edges[n] <= one.day < edges[n + 1]), -1),
            lambda one: one.day - edges[0],
        )

    def sums_by_time(self, question: SumsQuestion, buckets: Timeline, days: Timeline, /) -> StoredSums:
        self._count("sums_by_time")
        return self._sums(question, lambda one: _owner(buckets, one.at_us), lambda one: _owner(days, one.at_us))

    def newest_events(self, campaign_ids: Sequence[int], as_of_us: int | None = None, /) -> Mapping[str, int]:
        self._count("newest_events")
        newest: dict[str, int] = {}
        for one in self.events:
            if one.campaign in campaign_ids and (as_of_us is None or one.taken_us <= as_of_us):
                newest[one.platform] = max(newest.get(one.platform, one.at_us), one.at_us)
        return newest

    def _count(self, name: str) -> None:
        self.asked[name] += 1
        self.before(name)

    def _sums(
        self, question: SumsQuestion, bucket_of: Callable[[Event], int], day_of: Callable[[Event], int]
    ) -> StoredSums:
        """Every event is a row of its own: what is alike may come in several rows."""
        left_out = set(question.left_out)
        found = [
            one
            for one in self.events
            if _asked(question, one)
            and bucket_of(one) >= 0
            and (one.campaign, one.platform, day_of(one)) not in left_out
        ]
        return StoredSums(
            bucket=np.array([bucket_of(one) for one in found], np.int64),
            groups=tuple(keys_of([_value(one, dimension) for one in found]) for dimension in question.group_by),
            currency=keys_of([one.currency for one in found]),
            money_day=np.array(
                [day_of(one) if one.currency != question.base_currency else -1 for one in found], np.int64
            ),
            metrics={metric: wide_of([getattr(one, metric) for one in found]) for metric in Metric},
        )


def _asked(question: SumsQuestion, one: Event) -> bool:
    return (
        one.campaign in question.campaign_ids
        and (question.as_of_us is None or one.taken_us <= question.as_of_us)
        and (not question.platforms or one.platform in question.platforms)
        and (not question.regions or any(region_matches(asked, one.region) for asked in question.regions))
    )


def _value(one: Event, dimension: Dimension) -> GroupValue:
    value: GroupValue = getattr(one, dimension)
    return value


def _owner(timeline: Timeline, at_us: int) -> int:
    for start, end, owner in zip(timeline.edges_us, timeline.edges_us[1:], timeline.owners, strict=False):
        if start <= at_us < end:
            return owner
    return -1
