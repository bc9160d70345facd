"""What the memory of late events' places was worth, for metrics."""

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from campaignctl.ports.places import PlaceMemory
from campaignctl.services.late_copies import PlaceCounts


class PlaceFigures(Collector):
    """Register it once, where places are remembered."""

    def __init__(self, counts: PlaceCounts, memory: PlaceMemory) -> None:
        self._counts = counts
        self._memory = memory

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        lookups = CounterMetricFamily(
            "campaignctl_dedup_places_total",
            "Late events that were asked of the memory in Redis, by what came of it.",
            labels=["outcome"],
        )
        lookups.add_metric(["confirmed"], self._counts.confirmed)
        lookups.add_metric(["unconfirmed"], self._counts.unconfirmed)
        lookups.add_metric(["unknown"], self._counts.unknown)
        unreadable = CounterMetricFamily(
            "campaignctl_dedup_places_unreadable_total",
            "Answers of that memory that were not what was kept.",
            value=self._memory.unreadable,
        )
        failures = CounterMetricFamily(
            "campaignctl_dedup_places_failures_total",
            "Visits to that memory that were not answered, or not made because earlier ones were not.",
            value=self._memory.failures,
        )
        return lookups, unreadable, failures
