"""What the alert rules read must be what the program counts."""

import re
from pathlib import Path

import yaml
from prometheus_client import CollectorRegistry

from campaignctl.exposition import Told
from campaignctl.services.health import HealthReport, Status, Verdict
from server.metrics import HttpMetrics
from worker.metrics import WorkerMetrics

DEPLOY = Path(__file__).parents[2] / "deploy" / "prometheus"
_NAME = re.compile(r"\bcampaignctl_[a-z0-9_]+")


def _counted() -> set[str]:
    registry = CollectorRegistry()
    WorkerMetrics(registry)
    report = HealthReport(Status.OK, {"metadata": Verdict(Status.OK, 1.0)})
    served = HttpMetrics(lambda: report)._registry
    told = CollectorRegistry()
    told.register(Told(lambda: report))
    return {
        name
        for source in (registry, served, told)
        for family in source.collect()
        for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }


def test_every_metric_an_alert_reads_exists() -> None:
    counted = _counted()
    groups = yaml.safe_load((DEPLOY / "rules.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    read = {name for rule in rules for name in _NAME.findall(rule["expr"])}
    assert read
    assert read <= counted
    mentioned = {name for rule in rules for name in _NAME.findall(rule["annotations"]["description"])}
    assert {name for name in mentioned if f"{name}_bucket" not in counted and name not in counted} == set()


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    groups = yaml.safe_load((DEPLOY / "rules.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["labels"]["severity"] in {"page", "warn"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]


def test_the_scrape_configuration_loads_the_rules() -> None:
    config = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules.yml"]
    assert config["scrape_configs"][0]["job_name"] == "campaignctl"
