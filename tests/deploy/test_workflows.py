"""The forge's workflows: pinned, with few rights, and running what everybody runs."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.support import REPOSITORY
from tests.services import packages, places

WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_actions_are_pinned_and_rights_are_few(file: Path) -> None:
    text = file.read_text()
    workflow = yaml.safe_load(text)
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"] in ({"contents": "read"}, {"id-token": "write"}), name
        assert job["timeout-minutes"], name
    used = [line.strip() for line in text.splitlines() if "uses:" in line]
    assert used
    for line in used:
        assert re.fullmatch(r"- uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line), line


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_the_checks_are_those_of_everybody(file: Path) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert "bash .ci/run" in [step.get("run") for step in steps(workflow)]


def test_nothing_that_is_built_can_ask_for_the_indexs_token() -> None:
    jobs = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    trusted = [job for job in jobs.values() if "id-token" in job["permissions"]]
    assert len(trusted) == 1
    assert not any("run" in step for step in trusted[0]["steps"])
    assert trusted[0]["environment"] == "release"


@pytest.mark.parametrize(("name", "job"), [("ci", "dependencies"), ("release", "build")])
def test_what_is_released_is_audited_and_listed(name: str, job: str) -> None:
    """By tools of fixed versions, over an environment that holds nothing else."""
    workflow = yaml.safe_load((REPOSITORY / ".github" / "workflows" / f"{name}.yml").read_text())
    ran = "\n".join(step.get("run", "") for step in workflow["jobs"][job]["steps"])
    assert re.search(r"pip-audit==[\d.]+ cyclonedx-bom==[\d.]+\n", ran)
    assert "tools/bin/pip-audit --path released/" in ran
    assert "tools/bin/cyclonedx-py environment --output-format JSON --output-file sbom.json released" in ran
    assert "sbom.json" in [step.get("with", {}).get("path") for step in workflow["jobs"][job]["steps"]]


def test_servers_are_given_to_the_suites_as_everywhere_else() -> None:
    """The integration job's containers are those of ``tests/services``; each variable is one that tests read."""
    job = yaml.safe_load((REPOSITORY / ".github" / "workflows" / "ci.yml").read_text())["jobs"]["integration"]
    elsewhere = yaml.safe_load((REPOSITORY / "tests" / "services" / "compose.yaml").read_text())["services"]
    containers, environment = job["services"], job["env"]
    assert containers.keys() == set(places.DEFAULT)
    for name, container in containers.items():
        expected = elsewhere[name]
        assert container["image"] == expected["image"].replace("${KAFKA_VERSION}", packages.KAFKA), name
        port = container["ports"][0].partition(":")[0]
        named = {
            key: str(value).replace("${KAFKA_PORT}", port) for key, value in expected.get("environment", {}).items()
        }
        assert container.get("env", {}) == named, name
        assert "--health-cmd" in container["options"], name
        assert port in {place.rpartition(":")[2] for place in environment.values()}, name
    assert environment.keys() == places.variables("CA_TEST_").keys()
    assert {environment["CA_TEST_POSTGRES_DATABASE"], environment["CA_TEST_POSTGRES_USERNAME"]} == {
        elsewhere["postgres"]["environment"]["POSTGRES_DB"]
    }
    assert "make integration" in [step.get("run") for step in job["steps"]]
