"""What the alert rules read must be what the program counts."""

import json
import re
import shutil
import subprocess
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
RULE_TESTS = ("rules.test.yml", "rules.days.test.yml")
RUNBOOKS = REPOSITORY / "docs" / "runbooks"
_NAME = re.compile(r"\bcampaignctl_[a-z0-9_]+")


def rules(kind: str) -> dict[str, dict[str, Any]]:
    """``alert`` or ``record``: the rules by name."""
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return {rule[kind]: rule for group in groups for rule in group["rules"] if kind in rule}


def recorded() -> dict[str, set[str]]:
    """The series that recording rules make, by name: all of them are one number, without labels."""
    return {key: set() for key in rules("record")}


def test_every_metric_an_alert_reads_exists() -> None:
    figures = told() | recorded()
    assert rules("alert") and rules("record")
    for name, rule in (rules("alert") | rules("record")).items():
        used = named(rule["expr"])
        assert used.series, name
        assert used.series <= figures.keys(), name
        assert used.labels <= set.union(*(figures[series] for series in used.series)), name
        for series in _NAME.findall(rule.get("annotations", {}).get("description", "")):
            assert series in figures or f"{series}_bucket" in figures, name


def test_what_is_recorded_is_read() -> None:
    """Or shown by its name in the documents: nothing is computed for nobody."""
    read = set.union(*(named(rule["expr"]).series for rule in rules("alert").values()))
    documents = (REPOSITORY / "docs" / "operations.md").read_text()
    assert {name for name in rules("record") if name not in read and name not in documents} == set()


def test_every_alert_says_how_bad_it_is_and_what_to_do() -> None:
    for name, rule in rules("alert").items():
        assert rule["labels"]["severity"] in {"page", "warn"}, name
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}, name


def test_every_alert_is_tried_with_figures_of_its_fault() -> None:
    """By promtool, where there is one; that each has a case in which it fires is seen anywhere."""
    tests = [test for file in RULE_TESTS for test in yaml.safe_load((PROMETHEUS / file).read_text())["tests"]]
    cases = [case for test in tests for case in test["alert_rule_test"]]
    fired = {case["alertname"] for case in cases if case["exp_alerts"]}
    assert fired == rules("alert").keys()


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_the_rules_and_their_tests() -> None:
    for words in (("check", "config", "prometheus.yml"), ("test", "rules", *RULE_TESTS)):
        done = subprocess.run(["promtool", *words], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_page_and_every_page_an_alert() -> None:
    overview = (RUNBOOKS / "README.md").read_text()
    assert {page.stem for page in RUNBOOKS.glob("*.md")} - {"README"} == rules("alert").keys()
    for name, rule in rules("alert").items():
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
