"""``docs/reference/metrics.md``: every figure of the registries, so none is missing and none is left over."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from campaignctl.exposition import Told
from campaignctl.services.health import HealthReport, Status, Verdict
from server.metrics import HttpMetrics
from tests.deploy.figures import written_by_hand
from tests.reference.markdown import MADE, cell, table
from worker.jobs import JobMetrics
from worker.metrics import WorkerMetrics

_BEFORE = """
# Metrics

Prometheus text at `/metrics`, on the API's port and, with `--metrics-port`, on a port of its own, also of `work`; who may
read it is told [in operations](../operations.md#figures). No label is ever a campaign, a user or a path; an account's is its number here. The usual
figures of a Python process (`process_`, `python_`) stand beside these. Rules for alerts and a dashboard are in
`deploy/prometheus` and `deploy/grafana`; what each alert means is [in the runbooks](../runbooks/README.md).
"""


def page() -> str:
    """The whole page."""
    report = HealthReport(Status.OK, {"metadata": Verdict(Status.OK, 1.0)})
    told, served, worked = CollectorRegistry(), HttpMetrics(lambda: report)._registry, CollectorRegistry()
    told.register(Told(lambda: report))
    for source in written_by_hand():
        worked.register(source)
    WorkerMetrics(worked)
    JobMetrics(worked)
    lines = [MADE, *_BEFORE.splitlines(), ""]
    for heading, registry in (("Every process", told), ("The API", served), ("The worker", worked)):
        lines += [f"## {heading}", "", *_table(registry), ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _table(registry: CollectorRegistry) -> Iterable[str]:
    families = sorted(registry.collect(), key=lambda family: family.name)
    return table(("metric", "type", "labels", "what"), (_row(registry, family) for family in families))


def _row(registry: CollectorRegistry, family: Metric) -> tuple[str, str, str, str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    collector = registry._names_to_collectors.get(name)
    declared = getattr(collector, "_labelnames", None)
    labels = declared if declared is not None else dict.fromkeys(name for one in family.samples for name in one.labels)
    return f"`{name}`", family.type, ", ".join(f"`{label}`" for label in labels), cell(family.documentation)
