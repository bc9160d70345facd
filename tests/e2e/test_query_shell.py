"""The query shell in a terminal, on embedded stores with and without a server; and the tables' reference."""

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from campaignctl.cli.query_tables import TABLES
from tests.support.program import REPOSITORY, Program

REFERENCE = REPOSITORY / "docs" / "query.md"
_BLOCK = re.compile(r"(?<=<!-- tables -->\n).*?(?=<!-- end of tables -->)", re.DOTALL)
_TIMEOUT_S = 60.0
_PROMPT = "campaignctl=>"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    made = Program(tmp_path_factory.mktemp("shell"), {"COLUMNS": "100", "TERM": "xterm", "PROMPT_TOOLKIT_NO_CPR": "1"})
    made.run("init-schema")
    return made


class Terminal:
    """What a person sees of a command, and types."""

    def __init__(self, process: "subprocess.Popen[bytes]", descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self.seen = ""

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str, then: str = "") -> None:
        """Until the text has come, and the other one behind it."""
        deadline_s = time.monotonic() + _TIMEOUT_S
        while text not in self.seen or then not in self.seen.partition(text)[2]:
            assert time.monotonic() < deadline_s, f"{text!r} did not come: {self.seen!r}"
            if select.select([self._descriptor], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self._descriptor, 65_536).decode(errors="replace")
                except OSError:  # the other end is closed: the command has ended
                    raise AssertionError(f"{text!r} did not come: {self.seen!r}") from None


@contextmanager
def shell(program: Program, *options: str) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*program.command, "query", *options],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=program.home,
        env=program.environment(),
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # so that its Ctrl-C is a signal
    )
    os.close(theirs)
    try:
        terminal = Terminal(process, ours)
        terminal.wait_for(_PROMPT)
        yield terminal
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(30)
        os.close(ours)


def test_one_shell_without_a_server_then_with_one_then_without(program: Program) -> None:
    with shell(program) as terminal:
        terminal.type("SELECT 40 +\r2 AS n;\r")
        terminal.wait_for("(1 row)", _PROMPT)
        with program.serving():  # the shell does not hold the stores while nothing is asked
            terminal.type("SELECT count() + 6000 + 1000 AS n FROM events;\r")
            terminal.wait_for("7000", _PROMPT)
        terminal.type("SELECT nope FROM events;\r")
        terminal.wait_for("error[invalid_query]", _PROMPT)
        terminal.type("SELECT 'still' || ' here';\r")
        terminal.wait_for("still here", _PROMPT)
        terminal.type("\x04")
        assert terminal.process.wait(30) == 0


def test_ctrl_c_ends_the_statement_in_the_store_and_not_the_shell(program: Program) -> None:
    with shell(program, "--timeout", "300") as terminal, program.serving() as server:
        terminal.type("SELECT sum(number) FROM numbers(100000000000000);\r")
        running = (
            "SELECT count() FROM system.processes WHERE query LIKE '%FROM numbers(1000%' AND query NOT LIKE '%LIKE%'"
        )
        deadline_s = time.monotonic() + _TIMEOUT_S
        while server.api.post("/internal/query", {"sql": running}).json()["rows"] != [[1]]:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        terminal.type("\x03")
        terminal.wait_for("cancelled", _PROMPT)
        while server.api.post("/internal/query", {"sql": running}).json()["rows"] != [[0]]:
            assert time.monotonic() < deadline_s
            time.sleep(0.1)
        terminal.type("SELECT 4000 + 242;\r")
        terminal.wait_for("4242", _PROMPT)


def test_tab_shows_tables_and_sigterm_ends_the_shell(program: Program) -> None:
    with shell(program) as terminal:
        terminal.type("SELECT * FROM event_c\t")
        terminal.wait_for("onflicts")
        terminal.type("\x03")
        terminal.wait_for(_PROMPT)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.process.wait(30) == 143


def _reference(types: dict[str, dict[str, str]]) -> str:
    parts = []
    for table, meaning in TABLES.items():
        lines = [f"| `{name}` | {types[table][name].replace('|', chr(92) + '|')} | {about} |" for name, about in meaning.columns.items()]  # fmt: skip
        parts.append(
            "\n".join(
                [f"\n### {table}\n", f"{meaning.about}\n", "| column | type | what |", "|---|---|---|", *lines, ""]
            )
        )
    return "".join(parts) + "\n"


def test_the_reference_of_the_tables_is_the_schema(program: Program) -> None:
    asked = (
        "SELECT table, name, type FROM system.columns WHERE database = currentDatabase()"
        " AND table NOT IN ('schema_migrations', 'rollup_1d_of_events') ORDER BY table, position"
    )
    types: dict[str, dict[str, str]] = {}
    for table, name, type_ in program.run("query", asked, "-o", "json").json()["rows"]:
        types.setdefault(table, {})[name] = type_
    assert {table: list(columns) for table, columns in types.items()} == {
        table: list(meaning.columns) for table, meaning in TABLES.items()
    }
    text = REFERENCE.read_text(encoding="utf-8")
    if os.environ.get("CA_TEST_UPDATE_GOLDEN"):
        REFERENCE.write_text(_BLOCK.sub(lambda _: _reference(types), text), encoding="utf-8")
        return
    found = _BLOCK.search(text)
    assert found is not None and found[0] == _reference(types)


def test_the_statements_of_the_document_run(program: Program, tmp_path: Path) -> None:
    blocks = re.findall(r"```sql\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL)
    assert len(blocks) >= 3
    file = tmp_path / "all.sql"
    file.write_text("\n".join(blocks))
    program.run("query", "--file", str(file), "--param", "id=1", "--param", "since=2026-10-01")
