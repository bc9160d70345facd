"""Exit codes: every cause of an end x every command of the tree. A command without a row fails.

Commands that reach data do so through a server of the test, in this process. A local command is stopped as it begins its
work; those that run until they are stopped are stopped again by the test that their cells name.
"""

import io
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.cli.exit_codes import ExitCode
from campaignctl.cli.invocation import Invocation
from tests.unit.cli_support import Answer, Cli, FakeApi, Request, fake_api, ok, problem
from tests.unit.test_cli_commands import paths

NOWHERE = "http://127.0.0.1:1"
PASSWORD = "a password of twenty characters\n"
pytestmark = pytest.mark.usefixtures("alone", "hangups")

ANSWERS: Mapping[str, tuple[Answer, ExitCode]] = {
    "forbidden": (problem(403, "forbidden"), ExitCode.NOT_ALLOWED),
    "not_found": (problem(404, "not_found"), ExitCode.NOT_FOUND),
    "conflict": (problem(409, "conflict"), ExitCode.FAILED),
    "refused": (problem(422, "invalid_input", errors=[{"field": "x", "message": "bad"}]), ExitCode.USAGE),
}
"""What a server answers, and the exit code that it is."""
SIGNALS = {
    "sigint": (signal.SIGINT, ExitCode.INTERRUPTED),
    "sigterm": (signal.SIGTERM, ExitCode.TERMINATED),
    "sighup": (signal.SIGHUP, ExitCode.TERMINATED),
}


@dataclass(frozen=True)
class Row:
    """How a command is called so that it reaches its server, and where its cells differ from those of all."""

    arguments: tuple[str, ...] = ()
    stdin: str = ""
    cells: Mapping[str, int | str] = field(default_factory=dict)
    """By cause: another exit code; why there is no such end; or the test that shows it (``file::function``)."""

    writes: bool = False
    """Whether data comes out with nothing but these arguments."""


def row(*arguments: str, stdin: str = "", writes: bool = False, **cells: int | str) -> Row:
    return Row(arguments, stdin, cells, writes)


FINDING = dict.fromkeys(("configuration", *ANSWERS), int(ExitCode.FAILED))
"""Of a command that tells what is wrong instead of failing of it."""
ASKING: Mapping[tuple[str, ...], Row] = {
    ("insights",): row("--campaign", "1"),
    ("reconcile",): row("--campaign", "1"),
    ("restatements",): row("--campaign", "1"),
    ("freshness",): row(),
    ("pacing",): row("--campaign", "1"),
    ("lag",): row(),
    ("query",): row("SELECT 1"),
    ("verify",): row(),
    ("events", "send"): row("e.ndjson"),
    ("events", "export"): row("--campaign", "1"),
    ("events", "conflicts"): row("--campaign", "1"),
    ("events", "erase"): row("--campaign", "1", "--event-id", "a", "--yes"),
    ("dlq", "list"): row(),
    ("dlq", "show"): row("0-1"),
    ("dlq", "replay"): row("0-1"),
    ("dlq", "purge"): row("--until", "2026-10-01T00:00:00Z", "--yes"),
    ("fetch",): row("--campaign", "1"),
    ("rates", "import"): row("r.csv"),
    ("rates", "list"): row(),
    ("campaigns", "list"): row(),
    ("campaigns", "show"): row("1"),
    ("campaigns", "create"): row("--name", "x"),
    ("campaigns", "update"): row("1", "--name", "x"),
    ("campaigns", "delete"): row("1", "--yes"),
    ("reaggregate",): row("--campaign", "1"),
    ("jobs", "list"): row(),
    ("jobs", "show"): row("1"),
    ("jobs", "wait"): row("1"),
    ("jobs", "cancel"): row("1"),
    ("accounts", "add"): row("meta", "act_1", "--credentials", "-", stdin='{"access_token": "x"}'),
    ("accounts", "list"): row(),
    ("accounts", "show"): row("1"),
    ("accounts", "update"): row("1", "--name", "x"),
    ("accounts", "verify"): row("1"),
    ("accounts", "remove"): row("1", "--yes"),
    ("accounts", "unmapped"): row("1"),
    ("accounts", "rotate-keys"): row(),
    ("accounts", "conversions"): row("1"),
    ("members", "list"): row(),
    ("members", "invite"): row("a@example.com", "--role", "viewer"),
    ("members", "accept"): row("--token-stdin", stdin=f"token\n{PASSWORD}"),
    ("members", "set-role"): row("1", "--role", "viewer"),
    ("members", "remove"): row("1", "--yes"),
    ("users", "list"): row(),
    ("users", "reset-password"): row("1"),
    ("users", "set-password"): row("--token-stdin", stdin=f"token\n{PASSWORD}"),
    ("api-keys", "list"): row(),
    ("api-keys", "create"): row("x", "--scope", "read"),
    ("api-keys", "revoke"): row("1", "--yes"),
    ("audit",): row(),
    ("login",): row("--email", "a@example.com", "--password-stdin", stdin=PASSWORD),
    ("explain",): row("--campaign", "1", "--date", "2026-10-01", "--metric", "spend"),
    ("doctor",): row(**FINDING),
}
"""Commands that go through the API."""

LOCAL: Mapping[tuple[str, ...], Row] = {
    ("demo",): row(
        configuration="makes a configuration of its own",
        running="e2e/test_demo.py::test_a_demo_that_is_stopped_leaves_nothing_behind",
    ),
    ("sandbox",): row(
        configuration="its flags are its configuration", running="e2e/test_sandbox.py::test_it_ends_when_told_to"
    ),
    ("init-schema",): row(),
    ("serve",): row("--port", "0", signal="is silent until it serves", running="e2e/test_rest_server.py::test_a_signal_ends_it_in_order"),
    ("work",): row(running="e2e/test_worker_lifecycle.py::test_a_signal_ends_it_with_its_exit_code_and_nothing_undone"),
    ("dashboard",): row(
        "--api", NOWHERE, configuration=int(ExitCode.FAILED),
        signal="is refused without a terminal",
        running="e2e/test_demo.py::test_a_dashboard_ends_by_a_signal",
    ),
    ("backup",): row("b.tgz", signal="has nothing to keep here; it is stopped holding the directory"),
    ("restore",): row("b.tgz"),
    ("context", "list"): row(configuration=0, writes=True),
    ("context", "add"): row("a", NOWHERE, configuration=0),
    ("context", "use"): row("known", configuration=int(ExitCode.NOT_FOUND)),
    ("context", "remove"): row("known", configuration=int(ExitCode.NOT_FOUND)),
    ("context", "current"): row(configuration=0, writes=True),
    ("config", "show"): row(writes=True),
    ("config", "validate"): row("right.yaml"),
    ("completions",): row("bash", configuration=0, writes=True),
    ("exit-codes",): row(configuration=0, writes=True),
    ("version",): row(configuration=0, writes=True),
}  # fmt: skip
"""Commands that ask no server: they begin with the configuration, or need none at all."""


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    """What a command has begun beside itself ends with it (``doctor`` asks several at once), and asks no next test."""
    before = set(threading.enumerate())
    yield
    until_s = time.monotonic() + 30
    while set(threading.enumerate()) - before and time.monotonic() < until_s:
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server() -> Iterator[FakeApi]:
    """One server for all cells; each sets what it answers."""
    with fake_api(lambda _: problem(500, "internal_error")) as api:
        yield api


class Caller:
    """Calls one command of the tree."""

    def __init__(self, cli: Cli, path: tuple[str, ...], called: Row, monkeypatch: pytest.MonkeyPatch) -> None:
        self._cli, self._path, self._row, self._patch = cli, path, called, monkeypatch
        self.stderr = ""

    def __call__(self, *options: str) -> int:
        self._patch.setattr("sys.stdin", io.StringIO(self._row.stdin))
        ran = self._cli(*options, *self._path, *self._row.arguments)
        assert "Traceback" not in ran.stdout + ran.stderr
        self.stderr = ran.stderr
        return ran.code


def _call(cli: Cli, path: tuple[str, ...], called: Row, monkeypatch: pytest.MonkeyPatch) -> Caller:
    Path("e.ndjson").write_text('{"campaign_id": 1}\n')
    Path("right.yaml").write_text("server: {port: 8081}\n")
    Path("r.csv").write_text("date,currency,base,rate\n2026-10-01,EUR,USD,1.1\n")
    monkeypatch.setattr("campaignctl.cli.events.time.sleep", lambda _: None)  # between two tries
    monkeypatch.setattr("campaignctl.cli.job_wait._PATIENCE_S", 1.0)
    return Caller(cli, path, called, monkeypatch)


def test_every_command_has_a_row() -> None:
    assert ASKING.keys() | LOCAL.keys() == set(paths())
    assert not ASKING.keys() & LOCAL.keys()


@pytest.mark.parametrize("path", ASKING, ids="-".join)
def test_whatever_the_server_says_has_its_code(
    path: tuple[str, ...], server: FakeApi, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = _call(cli, path, ASKING[path], monkeypatch)
    for cause, (answer, code) in ANSWERS.items():
        cell = ASKING[path].cells.get(cause, code)
        if isinstance(cell, int):
            server.answer = lambda _, answer=answer: answer  # type: ignore[misc]
            assert (cause, call("--api", server.url)) == (cause, cell), call.stderr
    assert call("--api", NOWHERE) == ASKING[path].cells.get("unreachable", ExitCode.UNREACHABLE), call.stderr


@pytest.mark.parametrize("path", ASKING, ids="-".join)
@pytest.mark.parametrize("cause", SIGNALS)
def test_a_signal_while_the_server_is_asked(
    cause: str, path: tuple[str, ...], server: FakeApi, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, code = SIGNALS[cause]
    sent = threading.Event()

    def interrupt(_: Request) -> Answer:
        if not sent.is_set():
            sent.set()
            signal.pthread_kill(cast(int, threading.main_thread().ident), number)
        return problem(404, "not_found")

    server.answer = interrupt
    call = _call(cli, path, ASKING[path], monkeypatch)
    assert call("--api", server.url) == code, call.stderr
    assert sent.is_set()


@pytest.mark.parametrize("path", LOCAL, ids="-".join)
def test_a_signal_as_a_local_command_begins(path: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    if "signal" in LOCAL[path].cells:
        pytest.skip(str(LOCAL[path].cells["signal"]))
    call = _call(cli, path, LOCAL[path], monkeypatch)
    for cause, (number, code) in SIGNALS.items():
        shutil.rmtree("xdg", ignore_errors=True)
        cli("context", "add", "known", NOWHERE)
        before = sorted(Path().rglob("*"))
        with monkeypatch.context() as patched:
            patched.setattr(Invocation, "out", lambda _, number=number: signal.raise_signal(number))
            assert (cause, call()) == (cause, code), call.stderr
        assert path[0] == "context" or sorted(Path().rglob("*")) == before


def test_a_signal_while_the_data_directory_is_held(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".campaignctl").mkdir()
    Path(".campaignctl/metadata.sqlite").touch()
    home = DataDirectory(Path(".campaignctl"))
    for cause, (number, code) in SIGNALS.items():
        with monkeypatch.context() as patched:
            patched.setattr(
                "campaignctl.bootstrap.open_stores", lambda *_, stop=number, **__: signal.raise_signal(stop)
            )
            for path in (("init-schema",), ("work",), ("serve", "--port", "0"), ("backup", "b.tgz")):
                assert (cause, path, cli(*path).code) == (cause, path, code)
                home.lock(0, "test").release()
    assert not Path("b.tgz").exists()


def test_the_tests_that_cells_name_are_there() -> None:
    for called in LOCAL.values():
        file, _, name = str(called.cells.get("running", "")).partition("::")
        assert not name or f"def {name}(" in (Path(__file__).parents[1] / file).read_text()


@pytest.mark.parametrize("path", [*ASKING, *LOCAL], ids="-".join)
def test_a_wrong_configuration_and_a_wrong_option(
    path: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    called = ASKING.get(path) or LOCAL[path]
    call = _call(cli, path, called, monkeypatch)
    assert call("--no-such-option") == ExitCode.USAGE
    assert cli(*path, "--no-such-option").code == ExitCode.USAGE
    cell = called.cells.get("configuration", ExitCode.USAGE)
    if isinstance(cell, int):
        monkeypatch.setenv("CA_SERVR_PORT", "1")
        assert call() == cell, call.stderr


class _Closed(io.StringIO):
    """The end of a pipe whose reader has gone."""

    def write(self, text: str) -> int:
        raise BrokenPipeError(32, "Broken pipe")


@pytest.mark.parametrize("path", paths(), ids="-".join)
def test_a_closed_pipe_is_the_end_of_it(path: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who closes the pipe has seen enough, of help too: nothing is wrong, and nothing is said."""
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", _Closed())
        ran = cli(*path, "--help")
    assert (ran.code, ran.stderr) == (ExitCode.DONE, "")


@pytest.mark.parametrize("path", [path for path, called in LOCAL.items() if called.writes], ids="-".join)
def test_a_closed_pipe_while_a_local_command_prints(
    path: tuple[str, ...], cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    for form in ("table", "json"):
        with monkeypatch.context() as patched:
            patched.setattr("sys.stdout", _Closed())
            ran = cli(*path, *LOCAL[path].arguments, "-o", form)
        assert (form, ran.code) == (form, ExitCode.DONE)
        assert "error" not in ran.stderr


@pytest.mark.parametrize("path", [("campaigns", "list"), ("jobs", "list"), ("audit",), ("rates", "list")], ids="-".join)
@pytest.mark.parametrize("form", ["table", "json", "csv", "ndjson"])
def test_a_closed_pipe_while_data_is_printed(
    form: str, path: tuple[str, ...], server: FakeApi, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answer = lambda _: ok({"items": [], "next_cursor": None})
    with monkeypatch.context() as patched:
        patched.setattr("sys.stdout", _Closed())
        ran = cli("--api", server.url, *path, "-o", form)
    assert (ran.code, ran.stderr) == (ExitCode.DONE, "")
