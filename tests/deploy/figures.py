"""The figures that the program and its Python library really tell, for whoever names one in a rule or a dashboard."""

from datetime import timedelta
from pathlib import Path

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from campaignctl.adapters.clock import SystemClock
from campaignctl.exposition import Told
from campaignctl.ports.accounts import AccountWatch
from campaignctl.services.health import HealthReport, Status, Verdict
from campaignctl.services.late_copies import PlaceCounts
from campaignctl.services.platform_tally import PlatformTally
from server.metrics import HttpMetrics
from tests.fakes.places import FakePlaces
from worker.disk_figures import DiskFigures
from worker.jobs import JobMetrics
from worker.metrics import WorkerMetrics
from worker.place_figures import PlaceFigures
from worker.platform_figures import PlatformFigures

PROMETHEUS_OWN = {"up": {"job", "instance"}}
"""What Prometheus adds to every scrape."""


def told() -> dict[str, set[str]]:
    """The labels of every series by its name, those of the scrape (``job``, ``instance``) included."""
    registry = CollectorRegistry()
    WorkerMetrics(registry)
    JobMetrics(registry)
    for collector in written_by_hand():
        registry.register(collector)
    report = HealthReport(Status.OK, {"metadata": Verdict(Status.OK, 1.0)})
    served = HttpMetrics(lambda: report)._registry
    always = CollectorRegistry()
    always.register(Told(lambda: report))
    found = {name: set(labels) for name, labels in PROMETHEUS_OWN.items()}
    for source in (registry, served, always, REGISTRY):
        for family in source.collect():
            for name in _series(family):
                found[name] = {"job", "instance", *_labels(source, family)} | (
                    {"le"} if name.endswith("_bucket") else set()
                )
    return found


def written_by_hand() -> tuple[Collector, ...]:
    """The worker's figures that are read when they are asked for, with a sample of each."""
    places = PlaceFigures(PlaceCounts(), FakePlaces())
    return _platform_figures(), DiskFigures(Path("/"), None, SystemClock()), places


def _platform_figures() -> PlatformFigures:
    """Of one account, so that the figures of accounts have their labels."""
    clock = SystemClock()
    figures = PlatformFigures(PlatformTally().totals, clock, fetched_every=timedelta(minutes=30))
    figures.saw([AccountWatch(1, "meta", True, clock.now(), clock.now(), None)])
    return figures


def _series(family: Metric) -> list[str]:
    match family.type:
        case "counter":
            return [f"{family.name}_total"]
        case "histogram":
            return [f"{family.name}_{end}" for end in ("bucket", "sum", "count")]
    return [family.name]


def _labels(source: CollectorRegistry, family: Metric) -> set[str]:
    collector = source._names_to_collectors.get(family.name) or source._names_to_collectors.get(f"{family.name}_total")
    declared = getattr(collector, "_labelnames", ())
    return {*declared, *(label for sample in family.samples for label in sample.labels)}
