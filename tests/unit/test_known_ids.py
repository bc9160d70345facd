"""Numbers at the first TAB: from a server that answers, in every shell; nothing, and quickly, from any other."""

import json
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from campaignctl.cli.known_ids import called
from tests.support.waiting import eventually
from tests.unit.test_cli_commands import HEAVY, imported_by

ROOT = Path(__file__).parents[2]
_PATIENCE_S = 90.0
_ITEMS = {
    "/api/v1/campaigns": [{"id": 1, "name": "Diwali"}, {"id": 12, "name": 'x\\$(touch pwned) `touch pwned` "$(touch pwned)\'; touch pwned'}],
    "/api/v1/jobs": [{"job_id": 7, "kind": "fetch", "status": "running"}],
    "/api/v1/accounts": [{"id": 3, "platform": "meta", "name": "", "account_id": "act_1"}],
}  # fmt: skip


@pytest.fixture
def api() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Bearer t"
            body = json.dumps({"items": _ITEMS[self.path.partition("?")[0]]}).encode()
            self.send_response(200 if known else 401)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join(10)


def _completed(line: str, at: Path, **environ: str) -> list[str]:
    code = "from campaignctl.__main__ import main; main()"
    words = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split())), "_CAMPAIGNCTL_COMPLETE": "complete_bash"}
    env = {"PATH": "/usr/bin:/bin", "HOME": str(at), "PYTHONPATH": str(ROOT), **words, **environ}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=at, env=env, capture_output=True, text=True, check=False, timeout=30
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("insights --campaign ", ["1", "12"]), ("pacing --campaign ", ["1", "12"]), ("campaigns show ", ["1", "12"]),
        ("jobs wait ", ["7"]), ("accounts show ", ["3"]), ("fetch --campaign ", ["1", "12"]),
    ],
)  # fmt: skip
def test_numbers_come_from_the_server(line: str, numbers: list[str], api: str, tmp_path: Path) -> None:
    assert _completed(f"campaignctl {line}", tmp_path, CA_API_URL=api, CA_TOKEN="t") == numbers


def test_a_server_named_on_the_line_is_asked(api: str, tmp_path: Path) -> None:
    for line in (f"--api {api} insights --campaign ", f"insights --api {api} --campaign "):
        assert _completed(f"campaignctl {line}", tmp_path, CA_TOKEN="t") == ["1", "12"]


def test_no_server_no_right_and_no_answer_are_silence(api: str, tmp_path: Path) -> None:
    assert _completed("campaignctl insights --campaign ", tmp_path) == []
    assert list(tmp_path.iterdir()) == []  # and no data directory is made
    assert _completed("campaignctl insights --campaign ", tmp_path, CA_API_URL=api) == []
    assert _completed("campaignctl insights --campaign ", tmp_path, CA_API_URL="nonsense") == []
    with socket.socket() as mute:  # takes the connection and says nothing
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        url = f"http://127.0.0.1:{mute.getsockname()[1]}"
        assert _completed("campaignctl jobs show ", tmp_path, CA_API_URL=url) == []


@pytest.fixture
def embedded(tmp_path: Path) -> Path:
    """A directory whose stores no server has open; its metadata are as the migrations make them."""
    home = tmp_path / ".campaignctl"
    home.mkdir()
    with closing(sqlite3.connect(home / "metadata.sqlite")) as metadata:
        metadata.execute("PRAGMA journal_mode = WAL")
        for migration in sorted((ROOT / "sql" / "metadata" / "migrations" / "sqlite").glob("*.sql")):
            metadata.executescript(migration.read_text())
        _fill(metadata, "organizations", id=1, name="a")
        _fill(metadata, "organizations", id=2, name="b")
        for number, name, owner in ((1, "Spring", 1), (12, "Diwali `x`", 1), (13, "Spring two", 2)):
            _fill(metadata, "campaigns", id=number, name=name, organization_id=owner)
        for number in range(1, 130):
            _fill(metadata, "jobs", id=number, kind="fetch", status="running", organization_id=1)
        _fill(metadata, "platform_accounts", id=3, platform="meta", name="", account_id="act_1", organization_id=2)
        metadata.commit()
    return home


def _fill(metadata: sqlite3.Connection, table: str, **values: object) -> None:
    """A row of it, with something harmless in every other column that needs a value."""
    for _, name, kind, needed, default, key in metadata.execute(f"PRAGMA table_info({table})").fetchall():
        if name not in values and needed and default is None and not key:
            values[name] = 0 if kind == "INTEGER" else f"{name}{values['id']}"
    places = ", ".join(f":{name}" for name in values)
    metadata.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})", values)


@pytest.mark.parametrize(
    ("line", "numbers"),
    [
        ("insights --campaign ", {"1", "12", "13"}), ("--organization 1 campaigns show ", {"1", "12"}),
        ("accounts show ", {"3"}), ("--organization 1 accounts show ", set()),
    ],
)  # fmt: skip
def test_without_a_server_numbers_come_from_the_embedded_store(
    line: str, numbers: set[str], embedded: Path, tmp_path: Path
) -> None:
    before = sorted(embedded.iterdir())
    assert set(_completed(f"campaignctl {line}", tmp_path)) == numbers
    assert sorted(embedded.iterdir()) == before, "nothing is left behind"


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("insights --campaign=diw", ["12"]), ("campaigns show TWO", ["13"]), ("accounts show act_1", ["3"]),
        ("jobs show fetch", []), ("--organization 2 campaigns show diw", []),
    ],
)  # fmt: skip
def test_a_name_becomes_its_number(line: str, offered: list[str], embedded: Path, tmp_path: Path) -> None:
    words = line.replace("=", " = ").split()  # as bash splits it
    found = _completed(f"campaignctl {' '.join(words)}", tmp_path, COMP_CWORD=str(len(words)))
    assert sorted(found) == offered


def test_the_nearest_sense_of_a_name() -> None:
    known = [("1", "Spring"), ("13", "Spring two"), ("14", "Late Straße; two")]
    for name, numbers in {
        "spring": ["1"], "spr": ["1", "13"], "two": ["13", "14"], "STRASSE": ["14"], "late straße_": ["14"], "x": []
    }.items():  # fmt: skip
        assert [number for number, _ in called(name, known)] == numbers


def test_names_stand_beside_numbers_where_bash_lists_them(embedded: Path, tmp_path: Path) -> None:
    line, listing = "campaignctl campaigns show ", {"COMP_CWORD": "3", "COMP_TYPE": "9"}
    assert _completed(line, tmp_path, **listing) == ["13", "Spring", "two", "12", "Diwali", "_x_", "1", "Spring"]


def test_the_newest_jobs_come_and_a_beginning_narrows(embedded: Path, tmp_path: Path) -> None:
    assert set(_completed("campaignctl jobs show ", tmp_path)) == {str(number) for number in range(30, 130)}
    assert set(_completed("campaignctl jobs show 12", tmp_path, COMP_CWORD="3")) == {"12", *map(str, range(120, 130))}


def test_a_store_that_is_open_elsewhere_or_no_store_at_all(embedded: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(embedded / "metadata.sqlite")) as metadata:
        _fill(metadata, "campaigns", id=77, name="x", organization_id=1)
        metadata.execute("COMMIT")
        metadata.execute("BEGIN IMMEDIATE")
        assert "77" in _completed("campaignctl campaigns show ", tmp_path)
        metadata.execute("ROLLBACK")
    assert _completed("campaignctl campaigns show ", tmp_path, CA_POSTGRES_HOST="db") == []
    (embedded / "metadata.sqlite").write_bytes(b"no database")
    assert _completed("campaignctl campaigns show ", tmp_path) == []
    (embedded / "metadata.sqlite").unlink()
    assert _completed("campaignctl campaigns show ", tmp_path) == []
    assert not (embedded / "metadata.sqlite").exists()


def test_nothing_heavy_is_imported_to_look_into_the_store(embedded: Path) -> None:
    modules = imported_by(
        COMP_WORDS="campaignctl pacing --campaign ",
        COMP_CWORD="3",
        _CAMPAIGNCTL_COMPLETE="complete_bash",
        CA_DATA_DIR=str(embedded),
    )
    assert "sqlite3" in modules
    assert not modules & (HEAVY - {"pydantic", "sqlite3"})


def test_nothing_heavy_is_imported_to_ask(api: str) -> None:
    modules = imported_by(
        COMP_WORDS="campaignctl pacing --campaign ",
        COMP_CWORD="3",
        _CAMPAIGNCTL_COMPLETE="complete_bash",
        CA_API_URL=api,
        CA_TOKEN="t",
    )
    assert "http.client" in modules
    assert not modules & (HEAVY - {"pydantic", "ssl"})  # the HTTP client of the standard library knows TLS


_SHELLS = {
    "bash": 'source {root}/completions/campaignctl.bash; COMP_WORDS=(campaignctl insights --campaign ""); COMP_CWORD=3;'
    " _campaignctl_completion campaignctl; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
    "fish": "source {root}/completions/campaignctl.fish; complete --do-complete 'campaignctl insights --campaign '",
    "zsh": "_arguments() {{ print -rl -- $@; }}; _describe() {{ print -rl -- ${{(P)4}} ${{(P)3}} ${{(P)2}}; }};"
    " words=(campaignctl insights --campaign ''); CURRENT=4; compdef() {{ :; }}; source {root}/completions/_campaignctl;"
    " _campaignctl_completion",
}


def _executable(at: Path) -> None:
    program = at / "bin" / "campaignctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m campaignctl "$@"\n')
    program.chmod(0o755)


@pytest.mark.parametrize("shell", _SHELLS)
def test_a_name_is_never_run_by_a_shell(shell: str, api: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    _executable(tmp_path)
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    env = {"PATH": path, "HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "CA_API_URL": api, "CA_TOKEN": "t"}
    script = _SHELLS[shell].format(root=ROOT)
    done = subprocess.run(
        [shell, "-c", script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert "12" in done.stdout, done.stderr
    assert not (tmp_path / "pwned").exists()


_FIRST_TAB: dict[str, tuple[str, tuple[str, ...]]] = {
    "bash": (".bashrc", ("bash", "--noprofile")),
    "zsh": (".zshrc", ("zsh", "--no-globalrcs")),
    "fish": (".config/fish/config.fish", ("fish",)),
}
_RC = {
    "bash": "PS1='ready> '; source {root}/completions/campaignctl.bash",
    "zsh": "PS1='ready> '; fpath=({root}/completions $fpath); autoload -U compinit; compinit -D -u",
    "fish": "function fish_prompt; echo 'ready> '; end; set fish_greeting; "
    "set --prepend fish_complete_path {root}/completions",
}


@pytest.mark.parametrize("shell", _FIRST_TAB)
def test_the_first_tab_in_a_terminal(shell: str, embedded: Path, tmp_path: Path) -> None:
    """As somebody types it: a command, a campaign's name, a name that several have, and a job's number."""
    if shutil.which(shell) is None or shutil.which("tmux") is None:
        pytest.skip(f"{shell} or tmux is not installed")
    _executable(tmp_path)
    file, command = _FIRST_TAB[shell]
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text(_RC[shell].format(root=ROOT) + "\n")
    environ = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environ |= {"TERM": "screen", "SHELL": "/bin/sh", "LC_ALL": "C.UTF-8"}

    def tmux(*words: str) -> str:
        tmux = ("tmux", "-S", str(tmp_path / "terminal"), "-f", "/dev/null")
        return subprocess.run([*tmux, *words], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True).stdout  # fmt: skip

    def types(*keys: str, until: str) -> None:
        tmux("send-keys", "-t", "0", "--", *keys)
        eventually(lambda: re.search(until, tmux("capture-pane", "-p", "-t", "0")), until, within_s=_PATIENCE_S)

    tmux("new-session", "-d", "-x", "100", "-y", "40", *command)
    try:
        types(until="ready>")
        types("campaignctl ins", "Tab", until=r"campaignctl insights\b")
        types("--campaign diw", "Tab", until=r"insights --campaign 12\b")
        types("C-u", "campaignctl pacing --campaign sprin", "Tab", "Tab", until=r"\b13\b")
        types("C-c", until=r"ready> ?\s*$")
        types("campaignctl jobs show 12", "Tab", "Tab", until=r"\b128\b")
    finally:
        tmux("kill-server")
