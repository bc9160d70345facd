"""Contexts: names for servers, the order in which one is chosen, and being told which it is."""

import json
from pathlib import Path

import pytest

from campaignctl.cli import invocation as asking
from campaignctl.cli.contexts import Context, ContextFile, choose, names
from campaignctl.cli.invocation import Invocation, confirm
from campaignctl.errors import ConfigurationError, NotFound
from tests.unit.cli_support import Cli, fake_api, ok

WRONG = '{"current": null, "contexts": {"x": {"api": 1}}}'
EMPTY = {"items": [], "next_cursor": None}


def test_the_most_explicit_choice_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = ContextFile()
    for name in ("flag", "variable", "used"):
        file.put(name, Context(f"http://{name}", 3))
    file.use("used")
    environ = {"CA_API_URL": "http://url", "CA_CONTEXT": "variable"}
    assert choose("http://api", "flag", environ).api == "http://api"
    assert choose(None, "flag", environ).api == "http://flag"
    assert choose(None, None, environ).api == "http://url"
    chosen = choose(None, None, {"CA_CONTEXT": "variable"})
    assert (chosen.api, chosen.organization, chosen.chosen_by) == ("http://variable", 3, "CA_CONTEXT")
    assert str(choose(None, None, {})) == "context used, http://used"
    file.use(None)
    assert (choose(None, None, {}).api, str(choose(None, None, {}))) == (None, "")
    with pytest.raises(NotFound, match="did you mean 'flag'"):
        choose(None, "flga", {})


def test_the_file_is_private_and_a_wrong_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    file = ContextFile()
    assert file.all() == {}
    file.put("prod", Context("http://one"))
    assert file.path == tmp_path / "campaignctl" / "contexts.json"
    assert file.path.stat().st_mode & 0o077 == 0
    assert names() == ["prod"]
    for damaged in (
        "[]",
        "{",
        '{"current": null, "contexts": {"x": {"url": 1}}}',
        '{"current": [], "contexts": {}}',
        WRONG,
    ):
        file.path.write_text(damaged)
        with pytest.raises(ConfigurationError, match="damaged"):
            file.all()
        assert names() == []
    file.path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="other users"):
        file.all()


def test_contexts_from_the_command_line(cli: Cli) -> None:
    assert json.loads(cli("context", "current", "-o", "json").stdout)["api"] is None
    with fake_api(lambda _: ok(EMPTY)) as server:
        assert cli("context", "add", "lab", "https://lab.example.com/").code == 0
        assert cli("context", "add", "prod", server.url, "--use", "--organization", "7").code == 0
        assert cli("campaigns", "list").code == 0
        assert cli("--organization", "8", "campaigns", "list").code == 0
        sent = [request.headers["X-Campaignctl-Organization"] for request in server.requests]
    assert sent == ["7", "8"]
    listed = json.loads(cli("context", "list", "-o", "json").stdout)["items"]
    assert listed == [
        {"name": "lab", "api": "https://lab.example.com", "organization": None, "current": False},
        {"name": "prod", "api": server.url, "organization": 7, "current": True},
    ]
    current = json.loads(cli("context", "current", "--context", "lab", "-o", "json").stdout)
    assert (current["name"], current["chosen_by"]) == ("lab", "--context")
    assert cli("context", "remove", "prod").code == 0
    assert json.loads(cli("context", "current", "-o", "json").stdout)["name"] is None


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "lab", "http://other"), 2, "there is a context lab already"),
        (("add", "-x", "http://other"), 2, "No such option"),
        (("add", "a b", "http://other"), 2, "must be letters"),
        (("add", "new", "ftp://other"), 2, "http:// or https://"),
        (("add", "new", "https://ada:secret@other"), 2, "without user"),
        (("use", "lba"), 5, "did you mean 'lab'"),
        (("use",), 2, "or --none"),
        (("use", "lab", "--none"), 2, "or --none"),
        (("remove", "none"), 5, "there is no context"),
        (("current", "--context", "none"), 5, "there is no context"),
    ],
)
def test_what_cannot_be_is_refused(arguments: tuple[str, ...], code: int, said: str, cli: Cli) -> None:
    cli("context", "add", "lab", "http://lab")
    ran = cli("context", *arguments)
    assert (ran.code, ran.stdout) == (code, "")
    assert said in ran.stderr
    assert "secret" not in ran.stderr
    assert [one["name"] for one in json.loads(cli("context", "list", "-o", "json").stdout)["items"]] == ["lab"]


def test_a_choice_that_something_overrides_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("context", "add", "lab", "http://lab")
    monkeypatch.setenv("CA_API_URL", "http://url")
    assert (
        "warning[context_overridden]: CA_API_URL is set, and comes first: http://url"
        in cli("context", "use", "lab").stderr
    )
    monkeypatch.delenv("CA_API_URL")
    assert "warning" not in cli("context", "use", "lab").stderr
    assert "warning" not in cli("context", "use", "--none").stderr


def test_it_is_told_where_it_is_dangerous_and_by_config_show(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("context", "add", "prod", "http://prod", "--use")
    ran = cli("config", "show", "-o", "json")
    assert json.loads(ran.stdout)["context"] == {"name": "prod", "api": "http://prod", "chosen_by": "context use"}
    assert "context prod, http://prod (context use)" in ran.stderr
    asked: list[str] = []
    monkeypatch.setattr(asking, "is_interactive", lambda: True)
    monkeypatch.setattr(asking, "_read_line", lambda question: asked.append(question) or "y")
    confirm("Remove it?", yes=False, on=Invocation())
    confirm("Remove it?", yes=False, on=Invocation(api="http://else"))
    confirm("Replace it?", yes=False)
    assert asked == [
        "[context prod, http://prod] Remove it? [y/N]",
        "[http://else] Remove it? [y/N]",
        "Replace it? [y/N]",
    ]
