"""What every reading command prints of one fixed installation: as a table at 80 and 120 columns, as JSON and as CSV.

``CA_TEST_UPDATE_GOLDEN=1`` writes the files of ``golden/cli/reads`` anew.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.golden_cli import COLOURS, RANGE, Command, command_in, installation
from tests.golden import matches_golden

READS: dict[str, tuple[str, ...]] = {
    "accounts-list": ("accounts", "list"),
    "accounts-show": ("accounts", "show", "1"),
    "accounts-unmapped": ("accounts", "unmapped", "1", *RANGE),
    "api-keys-list": ("api-keys", "list"),
    "audit": ("audit", "--limit", "4"),
    "campaigns-list": ("campaigns", "list"),
    "campaigns-show": ("campaigns", "show", "1"),
    "config-changed": ("config", "show", "--changed"),
    "context-current": ("--context", "lab", "context", "current"),
    "context-list": ("context", "list"),
    "dlq-list": ("dlq", "list"),
    "dlq-show": ("dlq", "show", "0-0"),
    "events-conflicts": ("events", "conflicts", "--campaign", "1"),
    "exit-codes": ("exit-codes",),
    "doctor": ("doctor",),
    "explain-code": ("explain", "not_yet_visible"),
    "explain-metric": ("explain", "--metric", "cpc"),
    "explain-number": ("explain", "--campaign", "1", "--date", "2026-11-17", "--metric", "spend"),
    "freshness": ("freshness",),
    "insights-daily": ("insights", "--campaign", "1", *RANGE, "--group-by", "platform"),
    "insights-hourly": ("insights", "--campaign", "1", *RANGE, "--granularity", "hourly", "--source", "stream"),
    "insights-total": ("insights", "--campaign", "1", *RANGE, "--granularity", "total", "--compare", "previous_period"),
    "insights-campaigns": ("insights", "--group-by", "campaign", "--granularity", "total", "--currency", "USD",
                           "--timezone", "UTC", *RANGE),
    "jobs-list": ("jobs", "list"),
    "jobs-show": ("jobs", "show", "1"),
    "lag": ("lag",),
    "members-list": ("members", "list"),
    "pacing": ("pacing", "--campaign", "1", "--start-date", "2026-11-01", "--end-date", "2026-11-30"),
    "query": ("query", "SELECT number, toString(number * 1000) AS text FROM numbers(3)"),
    "rates-list": ("rates", "list"),
    "reconcile": ("reconcile", "--campaign", "1", *RANGE, "--tolerance", "0.1"),
    "restatements": ("restatements", "--campaign", "1", *RANGE),
    "users-list": ("users", "list"),
    "verify": ("verify", "--campaign", "1"),
    "version": ("version",),
}  # fmt: skip
"""Every command that reads, by the name of its file."""

GATES = {"reconcile": 1}
"""Commands that end with another code here, because they are gates."""

OTHERWISE = {
    "completions": "prints a script, held against completions/ by tests/unit/test_cli_commands.py",
    "config": "config-changed; every key is in docs/reference/configuration.md, held against the program",
    "context": "context-list and context-current",
    "dashboard": "tests/tui has snapshots",
}
"""Commands that read and have no file here, with where they are tested."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with installation(tmp_path_factory.mktemp("data")) as url:
        yield url


@pytest.fixture
def command(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Command:
    monkeypatch.setattr("campaignctl.services.doctor.DEADLINE_S", 60.0)  # how fast a look is says nothing of its form
    return command_in(tmp_path, server, monkeypatch, capsys)


def unpadded(text: str) -> list[str]:
    """Lines without the blanks at their ends, which a bold header has in a terminal."""
    return [line.rstrip() for line in text.splitlines()]


@pytest.mark.parametrize("name", READS)
def test_what_a_command_prints(name: str, command: Command) -> None:
    asked = READS[name]
    printed = []
    for columns in (80, 120):
        ran = command(*asked, columns=columns)
        assert ran.code == GATES.get(name, 0), ran
        assert max(len(line) for line in ran.out.splitlines()) <= columns or name.startswith(
            ("explain", "dlq-show", "doctor")
        )
        printed.append(f"=== {columns} columns\n{ran.out}--- stderr\n{ran.err}")
    for style in ("json", "csv"):
        ran = command(*asked, "-o", style)
        assert ran.code == GATES.get(name, 0), ran
        if style == "json":
            json.loads(ran.out)
        printed.append(f"=== {style}\n{ran.out}--- stderr\n{ran.err}")
    assert matches_golden(f"cli/reads/{name}.txt", "".join(printed))


@pytest.mark.parametrize("name", READS)
def test_a_terminal_without_colours_shows_what_a_pipe_gets(name: str, command: Command) -> None:
    piped = command(*READS[name], columns=120)
    assert "\x1b" not in piped.out + piped.err
    dumb = command(*READS[name], columns=120, screen=True, TERM="dumb")
    assert "\x1b" not in dumb.out + dumb.err
    assert unpadded(dumb.out) == unpadded(piped.out)
    plain = command(*READS[name], columns=120, screen=True, TERM="xterm-256color", NO_COLOR="1")
    assert unpadded(COLOURS.sub("", plain.out)) == unpadded(piped.out)
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])[;m]", plain.out)


def test_every_command_that_reads_is_here() -> None:
    from tests.reference.tree import tree

    reading = {"list", "show", "unmapped", "conflicts"}
    lone = {"accounts", "api-keys", "campaigns", "dlq", "events", "jobs", "members", "rates", "users"}
    here = {" ".join(words[: 2 if words[0] in lone else 1]) for words in READS.values()}
    acting = {"backup", "demo", "fetch", "init-schema", "login", "reaggregate", "restore", "sandbox", "serve", "work"}
    for entry in tree().children:
        name = entry.path.split(" ")[1]
        if name in acting | OTHERWISE.keys():
            continue
        wanted = [child.path.split(" ", 1)[1] for child in entry.children if child.path.split(" ")[2] in reading] or [
            name
        ]
        assert set(wanted) <= here, f"{wanted}: name it in READS, or in OTHERWISE with the reason"
