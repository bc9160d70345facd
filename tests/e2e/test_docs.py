"""The commands of README and docs/, run as they stand there: in order, in a directory where their page is true."""

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from tests.e2e.rest import User, rest_over
from tests.e2e.test_rest_reconcile import send
from tests.support.pages import blocks, commands, put_program, run_in, shifted
from tests.support.program import REPOSITORY

pytestmark = pytest.mark.timeout(300)
TODAY = datetime.now(UTC).date()
TOLD_TODAY = date(2026, 11, 21)
"""The day on which the pages were told; their days are as long ago here as they are there."""

SERVERS = "needs Kafka, ClickHouse, PostgreSQL and Redis by those names; tests/integration runs the same commands on real ones"
TERMINAL = "needs a terminal; tests/tui drives it"
ENVIRONMENT = "sets an environment up; tests/e2e/test_wheel.py installs the package into one"
DOCKER = "needs a container engine; tests/deploy judges the files"
ELSEWHERE = "speaks to a server of the reader's; tests/unit/test_cli_contexts.py has the same"

NOT_RUN = (
    ("README.md", "make ", "the checks of a clone run both by themselves"),
    ("README.md", "python3 -m venv", ENVIRONMENT),
    ("README.md", 'export PATH="$PWD', ENVIRONMENT),
    ("README.md", "campaignctl dashboard", TERMINAL),
    ("README.md", ".venv/bin/pip install", ENVIRONMENT),
    ("README.md", "export CA_", SERVERS),
    ("README.md", "campaignctl init-schema", SERVERS),
    ("README.md", "campaignctl -q work", SERVERS),
    ("README.md", "campaignctl serve --host 0.0.0.0", SERVERS),
    ("docs/dashboard.md", "campaignctl", TERMINAL),
    ("docs/deployment.md", "docker", DOCKER),
    ("docs/operations.md", "campaignctl --context prod", ELSEWHERE),
    ("docs/tutorial.md", "python3 -m venv", ENVIRONMENT),
    ("docs/tutorial.md", 'export PATH="$PWD', ENVIRONMENT),
    ("docs/tutorial.md", "campaignctl dashboard", TERMINAL),
    ("docs/how-to/move-to-servers.md", "export CA_", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl init-schema", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl doctor", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl -q work", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl -q serve", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl campaigns create", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl rates import", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl events send", SERVERS),
    ("docs/how-to/move-to-servers.md", "campaignctl verify", SERVERS),
)
"""Page, how the command begins, and why it is not run here. Every other command of every page is."""

OWN_TEST = {"docs/why-two-numbers-differ.md": "tests/e2e/test_how_to_numbers.py"}
"""Pages whose commands another test runs, and looks at what they say."""


def pages() -> list[str]:
    found = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return [str(page.relative_to(REPOSITORY)) for page in found]


def reason(page: str, command: str) -> str | None:
    """Why the command is not run, if it is not."""
    return next((why for named, begins, why in NOT_RUN if named == page and command.startswith(begins)), None)


def run_of(page: str) -> list[str]:
    told = [command for command in commands(REPOSITORY / page) if reason(page, command) is None]
    return [shifted(command, TOLD_TODAY, TODAY) for command in told]


def nothing(_: Path) -> dict[str, str]:
    """An empty directory."""
    return {}


def stores(home: Path) -> dict[str, str]:
    """Embedded stores with campaign 1 and events of it; ``TOKEN`` is a key that reads it."""
    (home / ".campaignctl").mkdir(mode=0o700)
    with rest_over(home / ".campaignctl") as rest:
        user: User = rest.user()
        campaign = user.campaign(name="Spring")
        send(rest, user, campaign, [(f"e{n}", TODAY - timedelta(days=n), 10) for n in range(1, 4)], spend="2.5")
        made = user.ask("POST", "/api-keys", json={"name": "reader", "scopes": ["read"]})
        return {"TOKEN": made.json()["key"]}


@dataclass(frozen=True)
class Page:
    """What a page needs to be true, and what its commands must say."""

    begin: Callable[[Path], dict[str, str]] = nothing
    """Makes the directory, and answers what stands in the environment."""
    before: tuple[str, ...] = ()
    """What the page takes for done: commands of another one."""
    says: dict[str, str] = field(default_factory=dict)
    """By the beginning of a command: a pattern that its output matches."""


PAGES = {
    "README.md": Page(
        says={"campaignctl insights": r"meta +1,200", "curl -s localhost:8080/api/v1/auth/login": "access_token"}
    ),
    "docs/tutorial.md": Page(
        says={
            "campaignctl insights --campaign 1 --group-by": r"total +2,000 +51 +2.5 +13\.85",
            "campaignctl insights --campaign 1 --granularity hourly": r"T0(1:00:00-05|2:00:00-04):00",
            "campaignctl events send bad": "exit code 6",
            "campaignctl dlq list": "unknown_platform",
            "campaignctl explain --campaign": r"13\.85 USD",
        }
    ),
    "docs/sandbox.md": Page(says={"campaignctl reconcile": "impressions", "curl -s 'localhost:8090/truth": "meta"}),
    "docs/insights.md": Page(
        stores,
        ("campaignctl -q serve &", "export API=http://127.0.0.1:8080/api/v1"),
        says={"timeout 2 curl": "event: insights"},
    ),
    "docs/query.md": Page(stores, says={'campaignctl query "SELECT platform': r"meta +0"}),
    "docs/operations.md": Page(stores, says={"campaignctl context current": "lab"}),
    "docs/how-to/connect-an-account.md": Page(
        says={"campaignctl accounts verify": "Sandbox meta USD", "campaignctl insights": "report|mixed"}
    ),
    "docs/how-to/backfill-a-month.md": Page(
        says={"campaignctl fetch": "succeeded", "campaignctl insights": r"report|mixed", "campaignctl verify": "kind"}
    ),
    "docs/how-to/replay-dead-letters.md": Page(
        says={
            "campaignctl events send": "exit code 6",
            "campaignctl dlq show": '"event_id":"a1"',
            "campaignctl dlq replay": r"replayed +1",
            "campaignctl insights": r"total +0 +3",
        }
    ),
    "docs/how-to/move-to-servers.md": Page(stores, says={"campaignctl backup": "before-the-move"}),
    "docs/how-to/upgrade.md": Page(stores, says={"campaignctl init-schema --check": "up to date"}),
    "docs/how-to/back-up-and-restore.md": Page(stores, says={"campaignctl restore friday.tar.gz --yes": "moved aside"}),
    "docs/reference/rest.md": Page(
        says={
            'curl -sf "$API/campaigns/1/insights?granularity': '"clicks": ?31',
            'curl -s "$API': "did you mean",
            'curl -sf "$API/campaigns/1" -H "Authorization: Bearer $TOKEN" -H "If-None': "304",
        }
    ),
}


def test_every_page_with_commands_is_run() -> None:
    with_commands = {page for page in pages() if commands(REPOSITORY / page)}
    only_elsewhere = {page for page in with_commands if not run_of(page)}
    assert with_commands - only_elsewhere - OWN_TEST.keys() == PAGES.keys()
    for named, begins, why in NOT_RUN:
        assert why
        assert any(command.startswith(begins) for command in commands(REPOSITORY / named)), (named, begins)


def test_no_shell_hides_in_a_block_of_another_kind() -> None:
    for page in pages():
        text = (REPOSITORY / page).read_text(encoding="utf-8")
        made = (
            "make reference writes it anew" in text.partition("\n")[0]
        )  # examples of help, which test_reference parses
        known = {"console", "text", "yaml", "json", "sql", ""} | ({"sh"} if made else set())
        assert {block.language for block in blocks(REPOSITORY / page)} <= known, page
        assert not re.findall(
            r"^ {4}(?:\$ |campaignctl |curl )", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
        )
        for block in blocks(REPOSITORY / page):
            if block.language in ("text", ""):
                assert not re.findall(r"^\$ ", block.text, re.MULTILINE), page


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_works(page: str, tmp_path: Path) -> None:
    assert shutil.which("curl")
    put_program(tmp_path)
    settings = PAGES[page].begin(tmp_path)
    asked = [*PAGES[page].before, *run_of(page)]
    said = run_in(tmp_path, asked, settings)
    shown = json.dumps([(one.command, one.code, one.out[-1500:], one.err[-1500:]) for one in said[-2:]], indent=1)
    assert [one.code for one in said] == [0] * len(asked), shown
    assert not [one.command for one in said if "Traceback" in one.out + one.err]
    for begins, pattern in PAGES[page].says.items():
        outs = [one.out + one.err for one in said if one.command.startswith(begins)]
        assert outs, f"no command begins with {begins}"
        assert any(re.search(pattern, out) for out in outs), (begins, outs)
