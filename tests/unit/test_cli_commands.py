"""Every command's manners: streams, exit codes, hints, help, and what it asks of the API."""

import gzip
import io
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import typer

from campaignctl.cli.app import COMMANDS, root_command, run
from campaignctl.cli.completions import Shell, script
from campaignctl.cli.exit_codes import MEANINGS, ExitCode
from tests.golden import matches_golden
from tests.reference import outdated
from tests.support.waiting import eventually
from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok, problem
from tests.unit.test_cli_output import BODY, INSIGHTS

ROOT = Path(__file__).parents[2]
CAMPAIGN = {
    "id": 42,
    "name": "Spring [bold]sale[/bold]\x1b[31m",
    "platforms": [
        {
            "platform": "meta",
            "account_id": "act_1",
            "external_id": "2384",
            "level": "campaign",
            "valid_from": None,
            "valid_to": "2026-12-31",
        }
    ],
    "budget": 5000.5,
    "budget_period": "monthly",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "start_date": "2026-03-01",
    "end_date": None,
    "status": "active",
    "created_at": "2026-02-20T09:00:00Z",
    "updated_at": "2026-02-20T09:00:00Z",
}
RECEIPT = {"accepted": 1, "rejected": [], "position": "p1"}

pytestmark = pytest.mark.usefixtures("alone")


def query_of(request: Request) -> dict[str, list[str]]:
    return parse_qs(urlsplit(request.path).query)


# ---------------------------------------------------------------- errors and exit codes


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (problem(400, "malformed_request"), ExitCode.USAGE),
        (problem(401, "not_signed_in"), ExitCode.NOT_ALLOWED),
        (problem(403, "forbidden"), ExitCode.NOT_ALLOWED),
        (problem(404, "not_found"), ExitCode.NOT_FOUND),
        (problem(409, "conflict"), ExitCode.FAILED),
        (problem(412, "precondition_failed"), ExitCode.FAILED),
        (problem(413, "too_large"), ExitCode.USAGE),
        (problem(422, "invalid_input", errors=[{"field": "x", "message": "bad"}]), ExitCode.USAGE),
        (problem(429, "throttled"), ExitCode.UNREACHABLE),
        (problem(500, "internal_error"), ExitCode.FAILED),
        (problem(503, "unavailable"), ExitCode.UNREACHABLE),
        (problem(503, "not_yet_visible"), ExitCode.DECLINED),
    ],
)
@pytest.mark.parametrize(
    "command",
    [
        ("insights", "--campaign", "1"),
        ("campaigns", "list"),
        ("campaigns", "show", "1"),
        ("campaigns", "create", "--name", "x"),
        ("campaigns", "update", "1", "--name", "x"),
        ("rates", "list"),
        ("rates", "import", "rates.csv"),
        ("query", "SELECT 1"),
    ],
)
def test_each_problem_has_its_exit_code_in_every_command(
    command: tuple[str, ...], answer: Answer, code: ExitCode, cli: Cli
) -> None:
    Path("rates.csv").write_text("date,currency,base,rate\n2026-10-01,EUR,USD,1.1\n")
    with fake_api(lambda _: answer) as server:
        ran = cli("--api", server.url, *command)
        as_json = cli("--api", server.url, *command, "-o", "json")
    said = json.loads(answer[2])["code"]
    assert (ran.code, ran.stdout) == (code, "")
    assert ran.stderr.startswith(f"error[{said}]: ")
    assert "Traceback" not in ran.stderr
    told = json.loads(as_json.stderr)
    assert (as_json.code, told["code"], told["exit_code"]) == (code, said, int(code))
    assert told["retryable"] is (answer[0] == 503)


def test_a_server_that_is_not_there_is_exit_7_with_a_hint(cli: Cli) -> None:
    ran = cli("--api", "http://127.0.0.1:1", "campaigns", "list")
    assert ran.code == ExitCode.UNREACHABLE
    assert ran.stderr == (
        "error[unavailable]: the server at http://127.0.0.1:1 cannot be reached\n"
        "hint: check the address and that the server runs (campaignctl serve)\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "a command is missing"),
        (("campaigns",), "a command is missing"),
        (("campagns", "list"), "there is no command 'campagns'; did you mean 'campaigns'?"),
        (("campaigns", "lst"), "Did you mean 'list'?"),
        (("insights", "--campain", "1"), "--campain"),
        (("insights", "--campaign", "one"), "--campaign: must be the number of a campaign"),
        (("insights", "--campaign", "1", "--limit", "x"), "must be a valid integer"),
        (("campaigns", "show"), "Missing argument"),
        (("campaigns", "show", "0"), "greater than or equal to 1"),
        (("campaigns", "update", "1"), "nothing to change was given"),
        (("campaigns", "create", "--name", "x", "--link", "meta:1:2"), "--link: must be PLATFORM/ACCOUNT/ID"),
        (("-o", "xml", "version"), "'xml' is not one of"),
        (("completions", "tcsh"), "'tcsh' is not one of"),
        (("init-schema", "--check", "--dry-run"), "cannot be combined"),
        (("serve", "--workers", "2"), "server.workers must be 1"),
        (("insights", "--campaign", "1", "--plot", "-o", "csv"), "--plot"),
        (("config", "validate", "none.yaml"), "does not exist"),
        (("--config", "none.yaml", "serve"), "does not exist"),
        (("--api", "localhost", "campaigns", "list"), "must be http:// or https://"),
        (("campaigns", "list"), "there is no data directory .campaignctl"),
    ],
)
def test_wrong_usage_is_exit_2_with_a_sentence_and_a_hint(arguments: tuple[str, ...], said: str, cli: Cli) -> None:
    ran = cli(*arguments)
    assert ran.code == ExitCode.USAGE
    assert ran.stdout == ""
    assert said in ran.stderr
    assert "error[" in ran.stderr
    assert "Input should be" not in ran.stderr
    assert "Value error" not in ran.stderr


def test_a_wrong_environment_is_exit_2(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_SERVR_PORT", "1")
    ran = cli("config", "show")
    assert (ran.code, ran.stdout) == (2, "")
    assert "did you mean 'CA_SERVER_PORT'" in ran.stderr
    monkeypatch.delenv("CA_SERVR_PORT")
    monkeypatch.setenv("CA_OUTPUT", "xml")
    assert "CA_OUTPUT must be one of table, json, csv, ndjson" in cli("version").stderr


def test_several_processes_have_no_worker_inside(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    servers = {"POSTGRES_HOST": "127.0.0.1", "CLICKHOUSE_HOST": "127.0.0.1", "KAFKA_BROKERS": "127.0.0.1:9092"}
    for name, value in servers.items():
        monkeypatch.setenv(f"CA_{name}", value)
    monkeypatch.setenv("CA_JWT_KEY", secrets.token_urlsafe(32))
    monkeypatch.setenv("CA_SECRETS_KEY", secrets.token_urlsafe(32))
    ran = cli("serve", "--workers", "2", "--with-worker")
    assert ran.code == 2
    assert "campaignctl work" in ran.stderr


def test_an_unexpected_error_shows_no_traceback_but_in_the_log_or_with_debug(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("secret=canary-4711-canary")

    monkeypatch.setattr("campaignctl.config.Settings.origin", fail)
    ran = cli("config", "show")
    assert (ran.code, ran.stdout) == (1, "")
    assert ran.stderr.splitlines() == [
        "error[internal_error]: something unexpected went wrong (ZeroDivisionError)",
        "hint: run the command again with --debug to see the details",
    ]
    Path(".campaignctl").mkdir()
    log = Path(".campaignctl/campaignctl.log")
    assert f"the details are in {log}" in cli("config", "show").stderr
    assert "ZeroDivisionError" in log.read_text()
    assert "canary-4711" not in log.read_text()
    debugged = cli("--debug", "config", "show").stderr
    assert "Traceback" in debugged
    assert "canary-4711" not in debugged


def test_exit_codes_are_documented(cli: Cli) -> None:
    assert {code for code, _ in MEANINGS} == set(ExitCode)
    assert matches_golden("cli/exit-codes.txt", cli("exit-codes").stdout)


# ---------------------------------------------------------------- help, start-up, completion


def paths() -> list[tuple[str, ...]]:
    """Every command of the tree."""
    found: list[tuple[str, ...]] = []
    group = root_command()
    context = typer.Context(group)
    for entry in COMMANDS:
        command = group.get_command(context, entry.name)
        inner = getattr(command, "commands", None)
        found += [(entry.name, name) for name in inner] if inner else [(entry.name,)]
    return found


@pytest.mark.parametrize("path", paths(), ids="-".join)
def test_every_command_has_help_with_an_example(path: tuple[str, ...], cli: Cli) -> None:
    for flag in ("-h", "--help"):
        ran = cli(*path, flag)
        assert ran.code == 0
        assert "Examples:\n    campaignctl " in ran.stdout.replace("    CA_SERVER_PORT=9000 ", "    ")
        assert "--install-completion" not in ran.stdout
        assert all(len(line) <= 160 for line in ran.stdout.splitlines())


def test_the_table_of_commands_says_what_each_says_itself() -> None:
    group = root_command()
    for entry in COMMANDS:
        command = group.get_command(typer.Context(group), entry.name)
        assert command is not None
        assert (command.help or "").splitlines()[0] == entry.help, entry.name


@pytest.mark.parametrize("width", [80, 120])
def test_the_root_help(width: int, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    assert matches_golden(f"cli/help-{width}.txt", cli("--help").stdout)


HEAVY = {
    "chdb", "clickhouse_connect", "fastapi", "httpx2", "msgspec", "numpy", "pandas", "prometheus_client", "pyarrow",
    "prompt_toolkit", "pydantic", "pydantic_settings", "pygments", "rich", "sqlite3", "starlette", "textual", "uvicorn", "yaml", "asyncio", "ssl",
}  # fmt: skip


def imported_by(*arguments: str, **environ: str) -> set[str]:
    code = (
        "import sys; sys.argv = ['campaignctl', *sys.argv[1:]]\n"
        "from campaignctl.__main__ import main\n"
        "try:\n    main()\n"
        "finally:\n    print(*sys.modules, file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    return set(done.stderr.split())


def test_version_and_help_import_nothing_heavy() -> None:
    for flag in ("--version", "-V"):
        modules = imported_by(flag)
        assert not modules & (HEAVY | {"typer", "inspect", "difflib"})
        assert {name for name in modules if name.startswith("campaignctl.")} <= {"campaignctl.__main__"}
    modules = imported_by("--help")
    assert not modules & HEAVY
    assert "campaignctl.config" not in modules
    assert not {f"campaignctl.cli.{name}" for name in ("insights", "serve", "output", "connection")} & modules


def test_completion_of_a_command_name_imports_no_command() -> None:
    modules = imported_by(COMP_WORDS="campaignctl ins", COMP_CWORD="1", _CAMPAIGNCTL_COMPLETE="complete_bash")
    assert not modules & (HEAVY - {"pydantic"})  # the framework reads values with it
    assert "campaignctl.cli.insights" not in modules


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", "campaignctl.bash"), ("zsh", "_campaignctl"), ("fish", "campaignctl.fish")]
)
def test_the_committed_completion_scripts_are_what_the_program_prints(shell: str, file: str, cli: Cli) -> None:
    assert cli("completions", shell).stdout == (ROOT / "completions" / file).read_text()
    assert script(Shell(shell)).endswith("\n")


def test_the_reference_pages_and_man_pages_are_those_of_the_program() -> None:
    assert outdated() == [], "run: make reference"


def test_bash_completes_commands_options_and_choices(tmp_path: Path) -> None:
    program = tmp_path / "bin" / "campaignctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m campaignctl "$@"\n')
    program.chmod(0o755)
    source = ROOT / "completions" / "campaignctl.bash"
    for words, expected in ((["ins"], "insights"), (["campaigns", "up"], "update"), (["completions", "z"], "zsh")):
        line = " ".join(["campaignctl", *words])
        script_text = (
            f"source {source}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; "
            "_campaignctl_completion campaignctl; printf '%s\\n' \"${COMPREPLY[@]}\""
        )
        environ = {"PATH": f"{program.parent}:/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(["bash", "-c", script_text], env=environ, capture_output=True, text=True, check=True)
        assert done.stdout.split() == [expected]


def test_version(cli: Cli) -> None:
    from campaignctl import __version__

    assert cli("version").stdout == cli("--version").stdout == f"campaignctl {__version__}\n"
    assert json.loads(cli("version", "-o", "json").stdout) == {"version": __version__}


# ---------------------------------------------------------------- insights


def test_insights_passes_every_flag_on(cli: Cli) -> None:
    flags = {
        "start_date": "2026-10-01",
        "end_date": "2026-10-31",
        "platform": "meta,google",
        "region": "US",
        "granularity": "weekly",
        "group_by": "platform",
        "timezone": "Asia/Kolkata",
        "week_start": "sunday",
        "source": "stream",
        "compare": "previous_year",
        "as_of": "2026-10-05T00:00:00Z",
        "currency": "EUR",
        "fill": "zero",
        "sort": "spend",
        "order": "asc",
        "limit": "7",
        "cursor": "c",
        "after": "p",
    }
    given = [part for name, value in flags.items() for part in (f"--{name.replace('_', '-')}", value)]
    with fake_api(lambda _: ok(BODY)) as server:
        ran = cli("--api", server.url, "insights", "--campaign", "42", *given, "--region", "IN", "-o", "json")
    assert ran.code == 0
    assert ran.stdout.encode() == BODY + b"\n"
    assert ran.stderr == ""
    (request,) = server.requests
    assert request.path.startswith("/api/v1/campaigns/42/insights?")
    assert query_of(request) == {name: [value] for name, value in flags.items()} | {"region": ["US", "IN"]}


def test_insights_of_several_campaigns_or_of_all(cli: Cli) -> None:
    body = {key: value for key, value in INSIGHTS.items() if key != "campaign_id"} | {"campaign_ids": [1, 2]}
    with fake_api(lambda _: ok(body)) as server:
        assert "campaigns 1, 2, " in cli("--api", server.url, "insights", "--campaign", "1,2", "--campaign", "3").stderr
        cli("--api", server.url, "insights")
    assert [urlsplit(request.path).path for request in server.requests] == ["/api/v1/insights"] * 2
    assert query_of(server.requests[0]) == {"campaign": ["1", "2", "3"]}
    assert query_of(server.requests[1]) == {}


def test_insights_as_parquet(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    import pyarrow.parquet as parquet

    with fake_api(lambda _: ok(BODY)) as server:
        asked = ("--api", server.url, "insights", "--campaign", "42", "-o")
        assert run([*asked, "parquet"]) == 0
        table = parquet.read_table(io.BytesIO(capfdbinary.readouterr().out))
        assert run([*asked, "parquet", "--output-file", "i.parquet"]) == 0
        assert run([*asked, "csv", "--output-file", "i.csv"]) == 0
        assert run([*asked, "csv"]) == 0
    assert [str(one) for one in table["spend"].to_pylist()] == ["812.345678", "None"]
    assert table.schema.metadata[b"currency"] == b"USD"
    assert parquet.read_table("i.parquet").equals(table)
    assert Path("i.csv").read_bytes() == capfdbinary.readouterr().out
    assert "output_file" not in query_of(server.requests[1])


def test_any_rows_can_be_parquet(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    import pyarrow.parquet as parquet

    page = {"items": [CAMPAIGN, CAMPAIGN | {"id": 43, "budget": None}], "next_cursor": None}
    with fake_api(lambda _: ok(page)) as server:
        asked = ("--api", server.url, "campaigns", "list", "-o")
        assert run([*asked, "csv"]) == 0
        header = capfdbinary.readouterr().out.splitlines()[0].decode().split(",")
        assert run([*asked, "parquet"]) == 0
        table = parquet.read_table(io.BytesIO(capfdbinary.readouterr().out))
    assert table.column_names == header
    assert table["id"].to_pylist() == [CAMPAIGN["id"], 43]


def test_parquet_is_refused_before_anything_is_done(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    create = ("campaigns", "create", "--name", "x", "-o", "parquet")
    with fake_api(lambda _: ok(BODY)) as server:
        watched = cli("--api", server.url, "lag", "--watch", "-o", "parquet")
        twice = cli("--api", server.url, "query", "SELECT 1; SELECT 2", "-o", "parquet")
        monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
        on_terminal = cli("--api", server.url, "insights", "--campaign", "42", "-o", "parquet")
        created_there = cli("--api", server.url, *create)
        monkeypatch.undo()
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        without = ("--api", server.url, "insights", "--campaign", "42", "-o", "parquet", "--output-file", "x")
        not_installed = [cli(*without), cli("--api", server.url, *create)]
    assert (watched.code, watched.stdout) == (ExitCode.USAGE, "") and "cannot be combined with -o" in watched.stderr
    assert (twice.code, twice.stdout) == (ExitCode.USAGE, "") and "2 statements" in twice.stderr
    assert (on_terminal.code, on_terminal.stdout) == (ExitCode.USAGE, "") and "--output-file FILE" in on_terminal.stderr
    assert (created_there.code, created_there.stdout) == (ExitCode.USAGE, "") and "> FILE" in created_there.stderr
    for ran in not_installed:
        assert ran.code == ExitCode.USAGE and "campaignctl[export]" in ran.stderr
    assert server.requests == [] and not Path("x").exists()


def test_insights_for_people(cli: Cli) -> None:
    warned = INSIGHTS | {"warnings": [{"code": "mixed_currency", "message": "EUR\x1b[2J"}], "next_cursor": "abc"}
    with fake_api(lambda _: ok(warned)) as server:
        ran = cli("--api", server.url, "insights", "--campaign", "42")
        as_json = cli("--api", server.url, "insights", "--campaign", "42", "-o", "json")
        lines = cli("--api", server.url, "-o", "ndjson", "insights", "--campaign", "42").stdout.splitlines()
        quiet = cli("--api", server.url, "insights", "--campaign", "42", "-q")
    assert matches_golden("cli/insights-command.txt", f"{ran.stdout}--- stderr\n{ran.stderr}")
    assert json.loads(as_json.stdout) == warned
    assert as_json.stderr == ""
    assert [json.loads(line) for line in lines] == INSIGHTS["rows"]
    assert (quiet.stdout, quiet.stderr) == (ran.stdout, "")


# ---------------------------------------------------------------- campaigns and rates


def test_campaigns_are_listed_and_shown(cli: Cli) -> None:
    page = {"items": [CAMPAIGN, CAMPAIGN | {"id": 43, "name": "=SUM(A1)", "budget": None}], "next_cursor": "next"}
    with fake_api(lambda request: ok(page if "42" not in request.path else CAMPAIGN)) as server:
        listed = cli("--api", server.url, "campaigns", "list", "--status", "active", "--limit", "2")
        as_csv = cli("--api", server.url, "campaigns", "list", "-o", "csv")
        shown = cli("--api", server.url, "campaigns", "show", "42")
    assert query_of(server.requests[0]) == {"status": ["active"], "limit": ["2"]}
    text = "".join(f"{ran.stdout}--- stderr\n{ran.stderr}=====\n" for ran in (listed, as_csv, shown))
    assert "\x1b" not in text
    assert matches_golden("cli/campaigns.txt", text)


def test_a_campaign_is_created_and_changed(cli: Cli) -> None:
    with fake_api(lambda _: ok(CAMPAIGN, ETag='"7"')) as server:
        cli(
            "--api",
            server.url,
            "campaigns",
            "create",
            "--name",
            "Launch",
            "--link",
            "meta/act_1/2384",
            "--budget",
            "5000.10",
        )
        cli("--api", server.url, "campaigns", "update", "42", "--status", "paused", "--budget", "none")
    created, _, changed = server.requests
    assert json.loads(created.body) == {
        "name": "Launch",
        "platforms": [{"platform": "meta", "account_id": "act_1", "external_id": "2384"}],
        "budget": "5000.10",
    }
    assert (changed.method, changed.path, changed.headers["If-Match"]) == ("PUT", "/api/v1/campaigns/42", '"7"')
    assert json.loads(changed.body) == {
        key: value for key, value in CAMPAIGN.items() if key not in ("id", "created_at", "updated_at")
    } | {"status": "paused", "budget": None}


@pytest.mark.parametrize(
    "text",
    [
        "date,currency,base,rate\n2026-10-01,EUR,USD,1.0834\n",
        "\ufeffrate,base,currency,date\r\n1.0834,USD,EUR,2026-10-01\r\n",
        '[{"date": "2026-10-01", "currency": "EUR", "base": "USD", "rate": 1.0834}]',
    ],
)
def test_rates_are_imported_exactly(text: str, cli: Cli) -> None:
    Path("rates").write_text(text, encoding="utf-8")
    with fake_api(lambda _: ok({"stored": 1})) as server:
        ran = cli("--api", server.url, "rates", "import", "rates", "-o", "json")
    assert json.loads(ran.stdout) == {"stored": 1}
    rate = {"date": "2026-10-01", "currency": "EUR", "base": "USD", "rate": "1.0834"}
    assert json.loads(server.requests[0].body) == [rate]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("day,currency\n", "must begin with the header date,currency,base,rate"),
        ("date,currency,base,rate\n2026-10-01,EUR\n", "FILE line 2"),
        ("[{}]", "FILE.0: must be an object with"),
        ("[", "is not valid JSON"),
        ("", "must begin with the header"),
    ],
)
def test_a_wrong_file_of_rates_is_refused_before_anything_is_sent(text: str, said: str, cli: Cli) -> None:
    Path("rates").write_text(text)
    with fake_api(lambda _: ok({"stored": 1})) as server:
        ran = cli("--api", server.url, "rates", "import", "rates")
    assert (ran.code, server.requests) == (2, [])
    assert said in ran.stderr
    assert cli("rates", "import", "missing").stderr.startswith("error[file]: missing: No such file")


# ---------------------------------------------------------------- events


def events_file(path: str, *lines: bytes) -> None:
    content = b"\n".join(lines)
    Path(path).write_bytes(gzip.compress(content) if path.endswith(".gz") else content)


@pytest.mark.parametrize("path", ["events.ndjson", "events.ndjson.gz"])
def test_events_are_sent_and_a_refusal_is_named_by_its_line(path: str, cli: Cli) -> None:
    events_file(path, b'{"campaign_id": 1}', b"", b"nonsense", b"  ", b'{"campaign_id": 2}')
    refused = {"index": 1, "code": "malformed_json", "message": "is not JSON"}
    with fake_api(lambda _: ok({"accepted": 2, "rejected": [refused], "position": "p9"})) as server:
        ran = cli("--api", server.url, "events", "send", path, "-o", "json")
    (request,) = server.requests
    assert gzip.decompress(request.body) == b'{"campaign_id": 1}\nnonsense\n{"campaign_id": 2}\n'
    assert ran.code == ExitCode.PARTLY
    assert json.loads(ran.stdout) == {
        "sent": 3,
        "accepted": 2,
        "rejected": {"malformed_json": 1},
        "position": "p9",
    }
    assert "line 3: malformed_json: is not JSON\n" in ran.stderr


@pytest.mark.parametrize("path", ["events.ndjson", "events.ndjson.gz"])
def test_how_far_a_file_is_sent_is_told_in_its_own_bytes(path: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignctl.cli.progress._EVERY_S", 0.0)
    events_file(path, b'{"campaign_id": 1}', b'{"campaign_id": 2}')
    size = Path(path).stat().st_size
    with fake_api(lambda _: ok({"accepted": 2, "rejected": [], "position": "p"})) as server:
        told = cli("--api", server.url, "events", "send", path).stderr
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(Path(path).read_bytes()))))
        from_a_pipe = cli("--api", server.url, "events", "send", "-").stderr
    assert f"2 events sent, bytes of the file: {size:,} of {size:,}\n" in told
    assert "events sent: 2\n" in from_a_pipe


def test_events_are_exported_page_by_page_as_they_are(cli: Cli) -> None:
    pages = {
        None: b'{"items": [{"spend": 0.10, "n": 123456789012345678901}, {"a": 1}], "next_cursor": "c"}',
        "c": b'{"items": [{"b": 2.50}], "next_cursor": null}',
    }
    with fake_api(lambda request: ok(pages[query_of(request).get("cursor", [None])[0]])) as server:
        ran = cli("--api", server.url, "events", "export", "--campaign", "7", "--start-date", "2026-10-01")
        refused = cli("--api", server.url, "events", "export", "--campaign", "7", "-o", "csv")
    assert (ran.code, ran.stdout) == (0, '{"spend": 0.10, "n": 123456789012345678901}\n{"a": 1}\n{"b": 2.50}\n')
    assert (refused.code, refused.stdout) == (ExitCode.USAGE, "") and "as ndjson only" in refused.stderr
    assert [urlsplit(request.path).path for request in server.requests] == ["/api/v1/campaigns/7/events"] * 2
    assert all(query_of(request)["start_date"] == ["2026-10-01"] for request in server.requests)


def test_events_come_from_standard_input_too(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for content in (b'{"campaign_id": 1}\n', gzip.compress(b'{"campaign_id": 1}\n')):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
        with fake_api(lambda _: ok(RECEIPT)) as server:
            assert cli("--api", server.url, "events", "send", "-").code == 0
        assert gzip.decompress(server.requests[0].body) == b'{"campaign_id": 1}\n'


def test_a_large_file_goes_in_several_requests_under_keys_of_their_own(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaignctl.cli.event_file.BATCH_LINES", 2)
    events_file("e", *[b'{"n": %d}' % n for n in range(5)])
    with fake_api(lambda _: ok(RECEIPT | {"accepted": 1})) as server:
        ran = cli("--api", server.url, "events", "send", "e", "-o", "json")
    assert [len(gzip.decompress(r.body).splitlines()) for r in server.requests] == [2, 2, 1]
    assert len({r.headers["Idempotency-Key"] for r in server.requests}) == 3
    assert json.loads(ran.stdout)["sent"] == 5


def test_a_server_that_is_away_for_a_moment_gets_the_same_batch_again(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaignctl.cli.events.time.sleep", lambda _: None)
    answers = [problem(503, "unavailable"), problem(429, "throttled"), ok(RECEIPT)]
    events_file("e", b'{"campaign_id": 1}')
    with fake_api(lambda _: answers.pop(0)) as server:
        assert cli("--api", server.url, "events", "send", "e").code == 0
    assert len({r.headers["Idempotency-Key"] for r in server.requests}) == 1
    with fake_api(lambda _: problem(503, "unavailable")) as server:
        assert cli("--api", server.url, "events", "send", "e").code == ExitCode.UNREACHABLE
    assert len(server.requests) == 6


def test_events_can_be_sent_as_another_campaigns(cli: Cli) -> None:
    events_file("e", b'{"campaign_id": 1, "spend": 0.10, "x": 1e2}', b"nonsense", b"[1]")
    with fake_api(lambda _: ok(RECEIPT)) as server:
        cli("--api", server.url, "events", "send", "e", "--as", "77")
    sent = gzip.decompress(server.requests[0].body).splitlines()
    assert sent == [b'{"campaign_id":77,"spend":0.10,"x":1e2}', b"nonsense", b"[1]"]


def test_waiting_asks_with_the_position_until_it_is_visible_or_the_time_is_over(cli: Cli) -> None:
    events_file("e", b'{"campaign_id": 7}')
    answers = [ok(RECEIPT), problem(503, "not_yet_visible"), ok(BODY)]
    with fake_api(lambda _: answers.pop(0)) as server:
        assert cli("--api", server.url, "events", "send", "e", "--wait").code == 0
    assert server.requests[-1].path == "/api/v1/campaigns/7/insights?granularity=total&after=p1"
    never = lambda request: ok(RECEIPT) if request.method == "POST" else problem(503, "not_yet_visible")  # noqa: E731
    with fake_api(never) as server:
        ran = cli("--api", server.url, "events", "send", "e", "--wait", "--timeout", "0")
    assert ran.code == ExitCode.DECLINED
    assert "stored safely" in ran.stderr


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b'{"campaign_id": 1}\n' * 1000, mtime=0)[:-20], b"\x1f\x8bnonsense"],
    ids=["cut short", "no gzip inside"],
)
def test_a_damaged_file_is_refused(content: bytes, cli: Cli) -> None:
    Path("e.gz").write_bytes(content)
    with fake_api(lambda _: ok(RECEIPT)) as server:
        ran = cli("--api", server.url, "events", "send", "e.gz")
    assert ran.code == ExitCode.USAGE
    assert "damaged or cut short" in ran.stderr


# ---------------------------------------------------------------- signing in


def test_login_keeps_a_session_that_later_commands_use(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CA_TOKEN")
    tokens = {"access_token": "acc", "refresh_token": "ref", "token_type": "bearer", "expires_in": 900}

    def answer(request: Request) -> Answer:
        return ok(tokens if "auth" in request.path else {"items": [], "next_cursor": None})

    monkeypatch.setattr("sys.stdin", io.StringIO("correct horse battery\n"))
    with fake_api(answer) as server:
        ran = cli("--api", server.url, "login", "--email", "ada@example.com", "--password-stdin")
        assert (ran.code, ran.stdout) == (0, "")
        assert "signed in" in ran.stderr
        assert cli("--api", server.url, "campaigns", "list").code == 0
        assert cli("--api", server.url, "login", "--forget").code == 0
        assert cli("--api", server.url, "campaigns", "list").code == 0
    sent = server.requests
    assert json.loads(sent[0].body) == {"email": "ada@example.com", "password": "correct horse battery"}
    assert sent[1].headers["Authorization"] == "Bearer acc"
    assert sent[2].path == "/api/v1/auth/logout"
    assert "Authorization" not in sent[3].headers


@pytest.mark.parametrize(
    ("arguments", "flag"), [(("login",), "--email"), (("login", "--email", "a@b"), "--password-stdin")]
)
def test_without_a_terminal_nothing_is_asked(arguments: tuple[str, ...], flag: str, cli: Cli) -> None:
    ran = cli("--api", "http://127.0.0.1:1", *arguments)
    assert ran.code == ExitCode.USAGE
    assert f"{flag}: must be given, as there is no terminal to ask on" in ran.stderr


# ---------------------------------------------------------------- configuration


CANARIES = {
    "CA_POSTGRES_PASSWORD": "canary-one-8f1e77aa5d21",
    "CA_CLICKHOUSE_PASSWORD": "canary-two-8f1e77aa5d21",
    "CA_REDIS_PASSWORD": "canary-three-8f1e77aa5d21",
    "CA_JWT_KEY": "canary-four-8f1e77aa5d21-b7Qm0eWz4uYxT1nR",
    "CA_SECRETS_KEY": "canary-five-8f1e77aa5d21-b7Qm0eWz4uYxT1nR",
    "CA_TOKEN": "canary-six-8f1e77aa5d21",
}


@pytest.mark.parametrize("style", ["table", "json", "csv", "ndjson"])
def test_planted_secrets_never_come_out(style: str, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    out = ""
    with fake_api(lambda _: problem(401, "not_signed_in")) as server:
        for command in (
            ("config", "show"),
            ("--debug", "config", "show"),
            ("--debug", "--api", server.url, "campaigns", "list"),
            ("--debug", "--api", "http://user:canary-seven@127.0.0.1", "campaigns", "list"),
            ("--debug", "serve", "--workers", "2"),
        ):
            ran = cli("-o", style, *command)
            out += ran.stdout + ran.stderr
    assert "canary" not in out
    assert "********" in out


def test_config_show_says_where_a_value_came_from(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("config").mkdir()
    Path("config/config.yaml").write_text("server: {port: 9001}\njwt: {access_ttl: 20m}\n")
    monkeypatch.setenv("CA_KAFKA_BROKERS", "a:9092,b:9092")
    items = {item["key"]: item for item in json.loads(cli("config", "show", "-o", "json").stdout)["items"]}
    assert (items["server.port"]["value"], items["server.port"]["origin"]) == (9001, "config/config.yaml")
    assert items["kafka.brokers"]["value"] == ["a:9092", "b:9092"]
    assert items["kafka.brokers"]["origin"] == "CA_KAFKA_BROKERS"
    assert items["server.host"]["origin"] == "default"
    assert matches_golden("cli/config-changed.txt", cli("config", "show", "--changed").stdout)
    assert cli("config", "validate", "config/config.yaml").code == 0


def test_late_events_are_not_remembered_without_a_redis(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("late.yaml").write_text("events: {redis_dedup: true}\n")
    lacking = cli("config", "validate", "late.yaml")
    assert (lacking.code, lacking.stderr.count("warning[dedup_without_redis]")) == (0, 1)
    monkeypatch.setenv("CA_REDIS_ADDR", "127.0.0.1:1")
    assert "dedup_without_redis" not in cli("config", "validate", "late.yaml").stderr


def test_a_configuration_for_servers_says_which_keys_it_lacks(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("servers.yaml").write_text("postgres: {host: 127.0.0.1}\n")
    lacking = cli("config", "validate", "servers.yaml")
    assert (lacking.code, lacking.stderr.count("warning[secret_not_set]")) == (0, 2)
    assert "CA_JWT_KEY" in lacking.stderr
    monkeypatch.setenv("CA_JWT_KEY", "k" * 48)
    monkeypatch.setenv("CA_SECRETS_KEY", "s" * 48)
    assert "warning" not in cli("config", "validate", "servers.yaml").stderr


# ---------------------------------------------------------------- streams and signals


def start(*arguments: str, **pipes: object) -> "subprocess.Popen[bytes]":
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "campaignctl", *arguments]
    return subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, **pipes)  # type: ignore[call-overload,no-any-return]


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    program = start("config", "show", stdout=writer)
    os.close(writer)
    assert program.communicate(timeout=30)[1] == b""
    assert program.returncode == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command_with_its_code_and_no_traceback(number: int, code: int) -> None:
    ended = threading.Event()

    def slow(_: Request) -> Answer:
        ended.wait(60)
        return ok({"items": [], "next_cursor": None})

    with fake_api(slow) as server:
        program = start("--api", server.url, "campaigns", "list", stdout=subprocess.PIPE)
        eventually(lambda: server.requests)
        program.send_signal(number)
        stdout, stderr = program.communicate(timeout=60)
        ended.set()
    assert (program.returncode, stdout) == (code, b"")
    assert b"Traceback" not in stderr
