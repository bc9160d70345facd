"""What the alert rules read must be what the program counts."""

import re

import yaml

from tests.deploy.figures import told
from tests.deploy.promql import named
from tests.deploy.support import DEPLOY

PROMETHEUS = DEPLOY / "prometheus"
_NAME = re.compile(r"\bcampaignctl_[a-z0-9_]+")


def test_every_metric_an_alert_reads_exists() -> None:
    figures = told()
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert rules
    for rule in rules:
        used = named(rule["expr"])
        assert used.series, rule["alert"]
        assert used.series <= figures.keys(), rule["alert"]
        assert used.labels <= set.union(*(figures[name] for name in used.series)), rule["alert"]
        for name in _NAME.findall(rule["annotations"]["description"]):
            assert name in figures or f"{name}_bucket" in figures, rule["alert"]


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    for rule in (rule for group in groups for rule in group["rules"]):
        assert rule["labels"]["severity"] in {"page", "warn"}, rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description"}, rule["alert"]


def test_the_scrape_configuration_loads_the_rules() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules.yml"]
    assert config["scrape_configs"][0]["job_name"] == "campaignctl"
