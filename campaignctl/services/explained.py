"""What stands behind one number, as ``services.explanation`` finds it."""

from dataclasses import dataclass
from datetime import datetime

from campaignctl.domain.insight_rules import Rule
from campaignctl.domain.insights import (
    Finality,
    InsightQuery,
    Metric,
    Ratio,
    RowSource,
    Sums,
    Warning_,
)
from campaignctl.domain.metric_facts import MetricName
from campaignctl.domain.rates import Rate
from campaignctl.ports.evidence import RunStatement, StreamedRecords
from campaignctl.services.reported_evidence import PlatformReport


@dataclass(frozen=True, slots=True)
class Amount:
    """What takes part of one metric."""

    metric: Metric
    currency: str
    """"" of what is no money."""
    value: int | None
    """Conversions and money in millionths; None where it cannot be told."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The sum of all that is in another currency than the asked one, converted once."""

    metric: Metric
    currency: str
    amount: int
    rate: Rate | None
    """None: no rate is stored for the day or for the days before it for which one stands."""
    value: int | None
    """In the asked currency."""


@dataclass(frozen=True, slots=True)
class StreamEvidence:
    """The events of the day, whether they count or a report stands in their place."""

    events: int
    summed_events: int | None
    """How many the sums by day hold; None where the number is not made of these sums."""
    expired: bool
    """Whether raw records of the day may have passed their retention."""
    amounts: tuple[Amount, ...]
    records: tuple[StreamedRecords, ...]

    def by_partition(self) -> list[list[StreamedRecords]]:
        """The records of each partition of the log, whatever their currency."""
        found: dict[tuple[int, int], list[StreamedRecords]] = {}
        for one in self.records:
            found.setdefault((one.topic_id, one.partition), []).append(one)
        return [found[key] for key in sorted(found)]


@dataclass(frozen=True, slots=True)
class Part:
    """What one platform gives to the number."""

    platform: str
    rule: Rule
    source: RowSource | None
    """None: neither has anything to say."""
    why: str
    amounts: tuple[Amount, ...]
    """As they take part, before anything is converted."""
    finality: Finality
    why_final: str
    expected_final_at: datetime | None
    stream: StreamEvidence
    report: PlatformReport


@dataclass(frozen=True, slots=True)
class ConversionDefinition:
    """What the conversions of reports of the day were counted by."""

    version: str
    platform: str
    actions: tuple[str, ...] | None
    """The platform's own names that add up; None where the version's list is not known any more."""


@dataclass(frozen=True, slots=True)
class Explanation:
    campaign_id: int
    query: InsightQuery
    """The question as insights answer it; ``days`` is the one day."""
    metric: MetricName
    sums: Sums
    """The totals of the answer."""
    source: RowSource
    finality: Finality
    null_because: tuple[Warning_, ...]
    """Why the value is null; empty when it is not."""
    converted: tuple[Converted, ...]
    max_rate_age_days: int
    parts: tuple[Part, ...]
    """By platform."""
    definitions: tuple[ConversionDefinition, ...]
    """Of the reports that stand, where conversions or their worth take part."""
    conflicts: int
    """Copies of the day's events, of any platform and region, that say something else than what counted."""
    warnings: tuple[Warning_, ...]
    statements: tuple[RunStatement, ...]

    @property
    def value(self) -> int | None:
        """Counts as they are, everything else in millionths."""
        return self.sums.ratio(self.metric) if isinstance(self.metric, Ratio) else self.sums.metric(self.metric)
