"""The query shell: typed at by a pipe, on a server that answers what it is told."""

import io
import json
import signal
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from campaignctl.cli.invocation import Invocation
from campaignctl.cli.query_run import Limits, Reach, ask
from campaignctl.cli.query_shell import StoreCompleter, is_whole, kept_history, run_shell
from campaignctl.cli.query_words import Catalogue, ColumnOf
from tests.unit.cli_support import Answer, Cli, Ran, Request, fake_api, ok, problem

COLUMNS = [["events", "clicks", "Int64"], ["events", "platform", "LowCardinality(String)"], ["own", "x", "UInt8"]]
Typed = Callable[..., Ran]

pytestmark = pytest.mark.usefixtures("alone")


def rows(names: list[str], values: list[list[object]], *, truncated: bool = False) -> Answer:
    columns = [{"name": name, "type": "String"} for name in names]
    return ok({"columns": columns, "rows": values, "truncated": truncated})


class Store:
    """Answers the shell's own questions, and the person's in turn."""

    def __init__(self) -> None:
        self.asked: list[dict[str, object]] = []
        self.stopped: list[str] = []
        self.answers: list[Answer] = []

    def __call__(self, request: Request) -> Answer:
        body = json.loads(request.body)
        if request.path == "/internal/query/stop":
            self.stopped.append(body["mark"])
            return ok({})
        assert request.path == "/internal/query"
        if "system.columns" in body["sql"]:
            return rows(["table", "name", "type"], COLUMNS)
        if "system.functions" in body["sql"]:
            return rows(["name"], [["sum"], ["sumIf"]])
        if "system.keywords" in body["sql"]:
            return problem(422, "invalid_query", "Unknown table expression identifier 'system.keywords'")
        if "system.tables" in body["sql"]:
            return rows(["name", "engine", "rows"], [["events", "MergeTree", 1234], ["own", "Memory", 0]])
        self.asked.append(body)
        return self.answers.pop(0) if self.answers else rows(["1"], [[1]])


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def typed(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def type_(keys: str, **limits: object) -> Ran:
        with fake_api(store) as server, create_pipe_input() as source:
            source.send_text(keys)
            invocation = Invocation(api=server.url)
            run_shell(invocation, Limits(10, 5.0, **limits), source=source, screen=DummyOutput())  # type: ignore[arg-type]
        captured = capsys.readouterr()
        return Ran(0, captured.out, captured.err)

    return type_


def test_a_statement_ends_at_its_semicolon(typed: Typed, store: Store) -> None:
    ran = typed("SELECT ';'\r, 2\r; SELECT 3;\r\x04", params={"id": "7"})
    assert [one["sql"] for one in store.asked] == ["SELECT ';'\n, 2", "SELECT 3"]
    assert {key: store.asked[0][key] for key in ("params", "max_rows", "timeout_s")} == {
        "params": {"id": "7"}, "max_rows": 10, "timeout_s": 5.0,
    }  # fmt: skip
    assert ran.stdout.split() == ["1", "─", "1"] * 2
    assert ran.stderr.count("(1 row)") == 2


@pytest.mark.parametrize("leaving", ["\x04", "\\q\r", "quit\r", "exit\r", " EXIT \r"])
def test_ways_to_leave(leaving: str, typed: Typed, store: Store) -> None:
    typed(f"{leaving}SELECT 1;\r")
    assert store.asked == []


def test_ctrl_c_abandons_what_was_typed(typed: Typed, store: Store) -> None:
    typed("SELECT 1\r+\x03SELECT 2;\r\x04")
    assert [one["sql"] for one in store.asked] == ["SELECT 2"]


def test_ctrl_c_stops_the_statement_that_runs(typed: Typed, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    running = threading.Event()
    usual = store.__call__

    def slow(request: Request) -> Answer:
        if b"slow" in request.body:
            signal.pthread_kill(cast(int, threading.main_thread().ident), signal.SIGINT)  # as the terminal does
            running.wait(10)
            return problem(422, "query_cancelled", "the query was cancelled")
        if request.path.endswith("/stop"):
            running.set()
        return usual(request)

    monkeypatch.setattr(Store, "__call__", lambda _, request: slow(request))
    ran = typed("SELECT 'slow'; SELECT 'never';\rSELECT 2;\r\x04")
    assert len(store.stopped) == 1 and store.stopped[0].isalnum()
    assert "cancelled" in ran.stderr
    assert [one["sql"] for one in store.asked] == ["SELECT 2"], "the rest of that input is not run"


def test_ctrl_c_before_the_wait_stops_the_statement_as_well(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, stopped = threading.Event(), threading.Event()
    start = threading.Thread.start

    def held(request: Request) -> Answer:
        if request.path.endswith("/stop"):
            stopped.set()
        else:
            asked.set()
            stopped.wait(10)
        return store(request)

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        if thread.name == "query":
            assert asked.wait(10)
            raise KeyboardInterrupt

    with fake_api(held) as server, Reach(Invocation(api=server.url), 5.0) as reach, reach.connection() as connection:
        monkeypatch.setattr(threading.Thread, "start", interrupted)
        with pytest.raises(KeyboardInterrupt):
            ask(connection, "SELECT 1", Limits(10, 5.0))
    assert len(store.stopped) == 1


def test_an_error_shows_its_place_and_ends_nothing(typed: Typed, store: Store) -> None:
    said = "Syntax error: failed at position 12 (BYE) (line 2, col 4): BYE"
    store.answers = [problem(422, "invalid_query", said), problem(503, "unavailable"), problem(422, "query_limit")]
    ran = typed("SELECT 1\r, BYE;\rSELECT 2;\rSELECT 3;\rSELECT 4;\r\x04")
    assert len(store.asked) == 4
    assert f"error[invalid_query]: {said}\nline 2: , BYE\n          ^\n" in ran.stderr
    assert "error[unavailable]: " in ran.stderr and "error[query_limit]: " in ran.stderr
    assert ran.stdout.split() == ["1", "─", "1"]


def test_tables_and_columns_are_described(typed: Typed) -> None:
    ran = typed("\\dt\r\\d events\r\\d nothing\r\x04")
    assert "events  1,234  Every event that counts, once" in ran.stdout
    assert "platform  LowCardinality(String)  meta, google, linkedin or tiktok" in ran.stdout
    assert "there is no table 'nothing'; \\dt shows all" in ran.stderr


def test_the_form_of_answers(typed: Typed, store: Store) -> None:
    store.answers = [rows(["a", "long"], [[1, "x\x1b[2J"]]) for _ in range(4)] + [rows(["a"], [[1]], truncated=True)]
    ran = typed(
        "\\x\rSELECT 1;\r\\o csv\rSELECT 1;\r\\o ndjson\r\\timing on\rSELECT 1;\r\\o json\rSELECT 1;\r\\o table\r\\x off\rSELECT 1;\r\\o xml\r\\x maybe\r\x04"
    )
    assert ran.stdout.startswith("-[ row 1 ]\na    | 1\nlong | x\\x1b[2J\na,long\n1,x\\x1b[2J\n")
    assert '[1,"x\\u001b[2J"]\n{"columns":' in ran.stdout.replace(", ", ",")
    assert ran.stderr.count("time: ") == 3
    assert "only the first 10 rows are shown" in ran.stderr
    assert "\\o takes table, json, csv, ndjson; for a file:" in ran.stderr and "\\x takes on or off" in ran.stderr


def test_values_are_given_by_name(typed: Typed, store: Store) -> None:
    ran = typed("\\set id 42\r\\set name 'a b'\r\\set\r\\unset id\rSELECT {name:String};\r\\unset id\r\\set 1 2\r\x04")
    assert "id = 42\nname = a b\n" in ran.stdout
    assert store.asked[0]["params"] == {"name": "a b"}
    assert ran.stderr.count("error[usage]") == 2


def test_a_file_of_statements(typed: Typed, store: Store) -> None:
    Path("some.sql").write_text("SELECT 1;\n-- and\nSELECT 2")
    ran = typed("\\i some.sql\r\\i none.sql\r\\i\r\\nonsense\r\\d 'open\r\\?\r\r\x04")
    assert [one["sql"] for one in store.asked] == ["SELECT 1", "SELECT 2"]
    for said in (
        "none.sql: No such file",
        "\\i needs a file",
        "there is no command \\nonsense",
        "no closing quotation",
    ):
        assert said in ran.stderr
    assert "\\timing" in ran.stdout


def test_tab_completes() -> None:
    catalogue = Catalogue({"events": [ColumnOf("clicks", "Int64")]}, ["sum"])
    document = Document("SELECT cli FROM events", 10)
    (found,) = StoreCompleter(lambda: catalogue).get_completions(document, CompleteEvent())
    assert (found.text, found.start_position, found.display_meta_text) == ("clicks", -3, "Int64, events")


def test_history_is_kept_for_this_user_alone(typed: Typed, store: Store, tmp_path: Path) -> None:
    typed("SELECT\r 1;\r SELECT 'hidden';\r\\set token canary\r\x04")
    file = tmp_path / "state" / "campaignctl" / "query_history"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "+SELECT\n+ 1;" in file.read_text()
    assert "hidden" not in file.read_text() and "canary" not in file.read_text()
    store.asked.clear()
    typed("\x1b[A\r\x04")  # arrow up
    assert [one["sql"] for one in store.asked] == ["SELECT\n 1"]


def test_a_long_history_is_cut_at_an_entry(tmp_path: Path) -> None:
    path = tmp_path / "h"
    path.write_bytes(b"".join(b"\n# t\n+SELECT %d;\n" % n for n in range(100_000)))
    path.chmod(0o644)
    kept = list(kept_history(path).load_history_strings())
    assert kept[0] == "SELECT 99999;" and 10_000 < len(kept) < 60_000
    assert all(one.startswith("SELECT ") for one in kept)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(kept_history(tmp_path / "h" / "below").load_history_strings()) == []


@pytest.mark.parametrize(
    ("text", "whole"),
    [("", True), ("SELECT 1", False), ("SELECT 1;", True), ("\\d", True), ("SELECT ';", False), ("quit", True), ("quit now", False), ("SELECT 1; -- x", True)],
)  # fmt: skip
def test_when_enter_ends_the_input(text: str, whole: bool) -> None:
    assert is_whole(text) is whole


def test_a_store_that_cannot_be_asked_is_told_at_once(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignctl.cli.query.is_interactive", lambda: True)
    ran = cli("--api", "http://127.0.0.1:1", "query")
    assert (ran.code, ran.stdout) == (7, "")
    with fake_api(lambda _: problem(403, "forbidden")) as server:
        assert cli("--api", server.url, "query").code == 4


def test_several_statements_from_a_file_or_a_pipe(cli: Cli, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("r.sql").write_text("SELECT 1;\nSELECT\n nope;\nSELECT 3")
    store.answers = [rows(["1"], [[1]]), problem(422, "invalid_query", "Unknown identifier `nope`")]
    with fake_api(store) as server:
        ran = cli("--api", server.url, "query", "-f", "r.sql", "-o", "csv")
        monkeypatch.setattr("sys.stdin", io.StringIO("SELECT 4; SELECT 5;"))
        piped = cli("--api", server.url, "query", "-o", "csv")
    assert (ran.code, ran.stdout, len(store.asked)) == (2, "1\n1\n", 4)
    assert "hint: at line 3, column 2: nope" in ran.stderr
    assert (piped.code, piped.stdout) == (0, "1\n1\n\n1\n1\n")
    monkeypatch.setattr("sys.stdin", io.StringIO(" -- nothing\n"))
    nothing = cli("query")
    assert nothing.code == 2 and "SQL: give the statement" in nothing.stderr
    assert "not both" in cli("query", "SELECT 1", "-f", "r.sql").stderr
