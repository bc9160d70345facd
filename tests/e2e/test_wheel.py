"""What people install: the wheel in an environment of its own, used far from this repository."""

import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.program import REPOSITORY, Program
from tests.support.scenarios import EXAMPLE, load_scenario

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the wheel and the sdist."""
    out = tmp_path_factory.mktemp("dist")
    # Without isolation: the build backend is among the development packages, so nothing has to be fetched.
    made = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, REPOSITORY],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return out


def test_the_wheel_holds_everything_that_runs(built: Path) -> None:
    (wheel,) = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    sql = {f"campaignctl/{file.relative_to(REPOSITORY)}" for file in (REPOSITORY / "sql").rglob("*.sql")}
    code = {
        str(file.relative_to(REPOSITORY))
        for package in ("campaignctl", "server", "worker")
        for file in (REPOSITORY / package).rglob("*.py")
    }
    assert sql
    assert not (sql | code | {"campaignctl/tui/app.tcss", "campaignctl/py.typed"}) - names
    assert not [name for name in names if name.startswith(("tests/", "sql/", "examples/")) or name.endswith(".pyc")]


def test_the_sdist_holds_what_makes_and_tests_it(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for wanted in ("pyproject.toml", "README.md", "LICENSE", "Makefile", "constraints.txt", "tests/e2e/test_wheel.py"):
        assert wanted in names
    assert any("sql/clickhouse/migrations/" in name for name in names)


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program as the wheel's environment has it, in an empty directory."""
    home = tmp_path_factory.mktemp("somewhere")
    environment = home / "venv"
    venv.create(environment, with_pip=True)
    (wheel,) = built.glob("*.whl")
    pip = [str(environment / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    got = subprocess.run(
        [*pip, "-c", str(REPOSITORY / "constraints.txt"), f"{wheel}[embedded]"],
        capture_output=True,
        text=True,
        cwd=home,
        timeout=500,
        check=False,
    )
    if got.returncode and ("No matching distribution" in got.stderr or "connection" in got.stderr.lower()):
        pytest.skip("no package index can be reached")
    assert got.returncode == 0, got.stderr
    place = home / "empty"
    place.mkdir()
    yield Program(place, {"CA_EVENTS_RETENTION_DAYS": "30000"}, [str(environment / "bin" / "campaignctl")], "")
    shutil.rmtree(environment)


def test_the_whole_thread_from_the_wheel(installed: Program) -> None:
    example = load_scenario(EXAMPLE)
    installed.run("version")
    assert {item["store"] for item in installed.run("init-schema", "-o", "json").json()["items"]} >= {
        "metadata",
        "analytics",
    }
    with installed.serving():
        installed.run("campaigns", "create", "Spring", "--timezone", "America/New_York", "--currency", "USD")
        installed.run("campaigns", "create", "Monsoon sale", "--timezone", "Asia/Kolkata", "--currency", "INR")
        installed.run("rates", "import", str(EXAMPLE / "rates.json"))
        sent = installed.run("events", "send", str(example.events_file), "--wait", "-o", "json", expect=6).json()
        assert sent["accepted"] == len(example.lines) - len(example.refused)
        question = example.questions[5]
        assert question.params["granularity"] == "total"
        days = ("--start-date", question.params["start_date"], "--end-date", question.params["end_date"])
        answer = installed.run("insights", "--campaign", "1", *days, "--granularity", "total", "-o", "json").json()
        assert answer["totals"] == question.expected["totals"]
        counted = installed.run("query", "SELECT count() AS n FROM events WHERE campaign_id = 1", "-o", "csv").out
        assert int(counted.split()[1]) > 100
    assert "insights" in installed.run("--help").out
