"""What the alert rules read must be what the program counts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from campaignctl.cli.app import root_command
from tests.deploy.figures import told
from tests.deploy.promql import named
from tests.deploy.support import DEPLOY, REPOSITORY

PROMETHEUS = DEPLOY / "prometheus"
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
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
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}, rule["alert"]


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    rules = {rule["alert"]: rule for group in groups for rule in group["rules"]}
    overview = (RUNBOOKS / "README.md").read_text()
    assert {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"} == rules.keys()
    for name, rule in rules.items():
        page = REPOSITORY / rule["annotations"]["runbook"]
        assert page == RUNBOOKS / f"{name}.md"
        lines = page.read_text().splitlines()
        assert lines[0] == f"# {name}"
        assert {"## Look", "## Do"} <= set(lines), name
        assert f"[{name}]({name}.md) | {rule['labels']['severity']} |" in overview


@pytest.mark.parametrize("page", sorted((REPOSITORY / "docs" / "runbooks").glob("*.md")), ids=lambda page: page.stem)
def test_a_page_names_what_there_is(page: Path) -> None:
    text, figures = page.read_text(), told()
    for name in _NAME.findall(text):
        assert name in figures or f"{name}_bucket" in figures, name
    for target, anchor in re.findall(r"\]\(([^)#]+)(?:#([^)]+))?\)", text):
        other = (page.parent / target).resolve()
        assert other.is_file(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.+)$", other.read_text())
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}, anchor
    for words in re.findall(r"`campaignctl ([^`]+)`", text):
        _known(words)
    titles = {
        panel["title"]
        for file in (DEPLOY / "grafana").glob("*.json")
        for panel in json.loads(file.read_text())["panels"]
    }
    files = {file.stem.lower() for file in (DEPLOY / "grafana").glob("*.json")}
    for name in re.findall(r"(?<!\*)\*([A-Za-z][^*\n]+)\*(?!\*)", text):
        assert name in titles or name.lower() in files, name


def _known(words: str) -> None:
    """The command exists, and each of its flags."""
    first, *rest = words.split()
    group = root_command()
    command: Any = group.get_command(typer.Context(group), first)
    assert command is not None, words
    while rest and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    flags = {flag for parameter in command.params for flag in (*parameter.opts, *parameter.secondary_opts)}
    for word in rest:
        assert not word.startswith("--") or word in flags, words


def test_the_scrape_configuration_loads_the_rules() -> None:
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    assert config["rule_files"] == ["rules.yml"]
    assert config["scrape_configs"][0]["job_name"] == "campaignctl"
