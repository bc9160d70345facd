"""The commands of a how-to, run as they stand there: in order, in a directory where its example is true."""

import os
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from campaignctl.domain.reports import Figures
from tests.e2e.rest import User, rest_over
from tests.e2e.test_rest_reconcile import report, send
from tests.support.pages import commands, put_program, shifted
from tests.support.program import REPOSITORY, Program

HOW_TO = REPOSITORY / "docs" / "why-two-numbers-differ.md"
TOLD_DAY = date(2026, 10, 3)
"""The day of the example in the text; here it is a day of late."""
DAY = datetime.now(UTC).date() - timedelta(days=20)
LINK = {"platform": "meta", "account_id": "act_77", "external_id": "c1"}


def asked() -> list[str]:
    """What the how-to has typed, its dates as long ago as they are here."""
    return [shifted(command, TOLD_DAY, DAY) for command in commands(HOW_TO)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Campaign 1 with events of three days, a conflict, and a report that was restated."""
    home = tmp_path_factory.mktemp("how-to")
    (home / "data").mkdir()
    with rest_over(home / "data") as rest:
        user: User = rest.user()
        campaign = user.campaign(platforms=[LINK])
        assert campaign["id"] == 1
        organization = rest.app.metadata.campaign_facts([1])[1].organization_id
        near = [DAY + timedelta(days=n) for n in (-1, 0, 1)]
        send(rest, user, campaign, [(f"e{day}", day, 10) for day in near], spend="2.5")
        send(rest, user, campaign, [(f"e{DAY}", DAY, 11)], spend="2.5")
        now_us = time.time_ns() // 1_000
        for hours_ago, spend in ((2, 4_000_000), (1, 5_000_000)):
            fetched_us = now_us - hours_ago * 3_600_000_000
            report(rest, organization, dict.fromkeys(near, Figures("", 10, 0, 0, spend, 0)), fetched_us)
    put_program(home)
    yield home


def test_the_how_to_has_commands() -> None:
    assert len(asked()) > 10


def test_every_command_does_what_it_is_there_for(home: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CA_", "PYTEST", "PYTHON"))}
    own = {"CA_DATA_DIR": str(home / "data"), "HOME": str(home), "PYTHONPATH": str(REPOSITORY), "COLUMNS": "300"}
    environment = kept | own | {"PATH": f"{home / 'bin'}:{kept['PATH']}"}
    said: dict[str, str] = {}
    with Program(home).serving():  # whose stores the commands then use, instead of opening them one by one
        for command in asked():
            ran = subprocess.run(
                ["sh", "-c", command],
                capture_output=True,
                text=True,
                cwd=home,
                env=environment,
                timeout=120,
                check=False,
            )
            is_gate = command.startswith("campaignctl reconcile") and "--tolerance" not in command
            assert ran.returncode == (1 if is_gate else 0), (command, ran.stdout[-1000:], ran.stderr[-2000:])
            assert "Traceback" not in ran.stderr
            said[command] = ran.stdout
    explained = [out for command, out in said.items() if "explain --campaign" in command and "--sql" not in command]
    assert ["5 USD   source: report" in out for out in explained] == [True, False, True]
    assert "2.5 USD   source: stream" in explained[1]
    assert "version 1  4 USD" in explained[0] and "version 2  5 USD" in explained[0]
    again = next(out for command, out in said.items() if command == "sh again.sh")
    assert "spend sum" in again and "in region" in again
    restated = next(out for command, out in said.items() if command.startswith("campaignctl restatements"))
    assert str(DAY) in restated and "spend" in restated
    conflicts = next(out for command, out in said.items() if command.startswith("campaignctl events conflicts"))
    assert f"e{DAY}" in conflicts
