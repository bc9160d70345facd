"""What every acting command prints, each four times in a row on one installation: as a table at 80 and 120 columns, as
JSON and as CSV.

One test does all, in the order below: what a command does is there for those behind it. ``CA_TEST_UPDATE_GOLDEN=1``
writes the files of ``golden/cli/acts`` anew.
"""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.golden_cli import DAYS, EVENT, RANGE, Command, command_in, installation
from tests.e2e.test_cli_goldens import OTHERWISE, READS
from tests.golden import matches_golden
from tests.reference.tree import tree

ACTS: dict[str, tuple[str, ...]] = {
    "campaigns-create": ("campaigns", "create", "Number {n}", "--budget", "100", "--link", "google/123/{n}"),
    "campaigns-update": ("campaigns", "update", "{campaign}", "--status", "paused", "--budget", "none"),
    "fetch": ("fetch", "--campaign", "1", *RANGE),
    "reaggregate-dry-run": ("reaggregate", "--campaign", "{campaign}", *RANGE, "--dry-run"),
    "jobs-cancel": ("jobs", "cancel", "{job}"),
    "jobs-wait": ("jobs", "wait", "{job}"),
    "reaggregate": ("reaggregate", "--campaign", "{campaign}", *RANGE, "--reason", "asked"),
    "rates-import": ("rates", "import", "rates.csv"),
    "events-send": ("events", "send", "events.ndjson"),
    "events-erase-dry-run": ("events", "erase", "--campaign", "1", "--event-id", "t1", "--dry-run"),
    "events-erase": ("events", "erase", "--campaign", "1", "--event-id", "x{n}", "--reason", "asked", "--yes"),
    "dlq-replay": ("dlq", "replay", "--reason", "unknown_platform", "--again"),
    "dlq-purge-dry-run": ("dlq", "purge", "--reason", "unknown_platform", "--dry-run"),
    "dlq-purge": ("dlq", "purge", "--reason", "unknown_platform", "--yes"),
    "api-keys-create": ("api-keys", "create", "key {n}", "--scope", "read"),
    "api-keys-revoke": ("api-keys", "revoke", "{key}", "--yes"),
    "members-invite": ("members", "invite", "m{n}@example.com", "--role", "viewer"),
    "members-set-role": ("members", "set-role", "1", "--role", "admin"),
    "members-remove": ("members", "remove", "1", "--yes"),
    "users-reset-password": ("users", "reset-password", "1"),
    "accounts-add": ("accounts", "add", "tiktok", "70{n}", "--name", "Shop {n}", "--credentials", "credentials.json"),
    "accounts-update": ("accounts", "update", "{account}", "--name", "Other {n}"),
    "accounts-conversions": ("accounts", "conversions", "{account}", "--action", "result"),
    "accounts-rotate-keys": ("accounts", "rotate-keys"),
    "accounts-remove": ("accounts", "remove", "{account}", "--yes"),
    "campaigns-delete": ("campaigns", "delete", "{campaign}", "--yes"),
    "context-add": ("context", "add", "new{n}", "http://127.0.0.1:9{n}"),
    "context-use": ("context", "use", "new{n}"),
    "context-remove": ("context", "remove", "new{n}"),
    "config-validate": ("config", "validate", "config.yaml"),
}
"""In the order in which they run."""
HERE: dict[str, tuple[str, ...]] = {
    "init-schema-dry-run": ("init-schema", "--dry-run"),
    "init-schema": ("init-schema",),
    "init-schema-check": ("init-schema", "--check"),
    "backup": ("backup", "backup{n}.tar.gz"),
    "restore-dry-run": ("restore", "backup{n}.tar.gz", "--data-dir", "restored{n}", "--dry-run"),
    "restore": ("restore", "backup{n}.tar.gz", "--data-dir", "restored{n}"),
}
"""Those of the stores on this machine: a directory of their own."""

CODES = {"events-send": 6, "jobs-wait": 1, "members-remove": 1}
"""Ends other than 0: bad events in the file, a job that was cancelled, the last admin."""
ELSEWHERE = {
    "accounts verify": "asks a platform: tests/unit/test_cli_accounts.py",
    "events export": "prints NDJSON alone, as it was sent: tests/unit/test_cli_commands.py",
    "demo": "tests/e2e/test_demo.py",
    "login": "tests/unit/test_cli_commands.py",
    "members accept": "asks for a password: tests/unit/test_cli_access.py",
    "sandbox": "tests/e2e/test_sandbox.py",
    "serve": "tests/e2e/test_rest_server.py",
    "users set-password": "asks for a password: tests/unit/test_cli_access.py",
    "work": "tests/e2e/test_worker_lifecycle.py",
}
"""Acting commands that have no file here, with where they are tested."""
_STYLES: tuple[tuple[str, int, tuple[str, ...]], ...] = (
    ("80 columns", 80, ()),
    ("120 columns", 120, ()),
    ("json", 80, ("-o", "json")),
    ("csv", 80, ("-o", "csv")),
)
_BACKUP = (
    (re.compile(r"(bytes[\": ,]+)[\d,]*\d"), r"\1BYTES"),
    (re.compile(r"(made.at[\": ,]+)[\dTZ:-]+"), r"\1WHEN"),
    (re.compile(r"(data.dir[\": ,]+)[^\s\",]+"), r"\1DIRECTORY"),
    (re.compile("─+"), "───"),  # as long as the directory's path
)
"""What a copy of files that the engine writes, made now, shows."""


def test_what_acting_commands_print(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, here = tmp_path / "data", tmp_path / "here"
    data.mkdir()
    here.mkdir()
    files_of_commands(here)
    with installation(data) as url:
        command = command_in(here, url, monkeypatch, capsys)
        for name, words in ACTS.items():
            assert matches_golden(f"cli/acts/{name}.txt", printed_by(command, name, words))
    monkeypatch.delenv("CA_API_URL")
    for name, words in HERE.items():
        assert matches_golden(f"cli/acts/{name}.txt", printed_by(command, name, words))


def test_every_command_that_acts_is_here() -> None:
    here = {" ".join(words) for words in (*READS.values(), *ACTS.values(), *HERE.values())} | ELSEWHERE.keys()
    for command in tree().flat():
        path = command.path.partition(" ")[2]
        if not command.children and path.split(" ")[0] not in OTHERWISE:
            assert any(f"{words} ".startswith(f"{path} ") for words in here), (
                f"{path}: name it in ACTS, or in ELSEWHERE"
            )


def printed_by(command: Command, name: str, words: Sequence[str]) -> str:
    printed = []
    for n, (style, columns, options) in enumerate(_STYLES, 1):
        asked = [word.format(n=n, campaign=n + 2, key=n + 1, account=n + 1, job=n + 2) for word in words]
        ran = command(*asked, *options, columns=columns)
        assert ran.code == CODES.get(name, 0), (name, ran)
        if style == "json" and ran.out:
            json.loads(ran.out)
        out = ran.out
        for pattern, word in _BACKUP if words[0] in ("backup", "restore") else ():
            out = pattern.sub(word, out)
        printed.append(f"=== {style}\n{out}--- stderr\n{ran.err}")
    return "".join(printed)


def files_of_commands(directory: Path) -> None:
    (directory / "rates.csv").write_text("date,currency,base,rate\n2026-11-18,EUR,USD,1.09\n")
    events = [
        EVENT | {"event_id": f"s{n}", "event_time": f"{day}T16:00:00Z", "spend": "1.5"} for n, day in enumerate(DAYS)
    ]
    lines = [json.dumps(event) for event in [*events, events[0], EVENT | {"event_id": "no time"}]]
    (directory / "events.ndjson").write_text("\n".join([*lines, "{"]) + "\n")
    (directory / "credentials.json").write_text('{"access_token": "a-token-of-nobody"}')
    (directory / "config.yaml").write_text("server:\n  port: 9002\n")
