"""``explain``: every code that the source tells has a page, and no page is left over."""

import json
import re

import pytest
import typer

from campaignctl.cli.app import root_command
from campaignctl.cli.exit_codes import ExitCode
from campaignctl.cli.explanations import findings, letters, pages, platforms, problems, requests, warnings
from campaignctl.domain.events.model import RejectReason
from tests.support.told_codes import codes
from tests.unit.cli_support import Cli


def test_every_code_of_the_source_has_a_page_and_no_page_is_left_over() -> None:
    told = codes()  # a new code gets its page in campaignctl/cli/explanations
    explained = {page.code for page in pages() if page.kind != "exit code"}
    assert {code: place for code, place in told.items() if code not in explained} == {}
    assert explained - told.keys() == set()


def test_the_collection_finds_each_way_of_telling_a_code() -> None:
    ways = {"not_found", "topic_missing", "missing_rate", "stale", "overloaded", "hole", "credentials_ended", "file"}
    assert ways <= codes().keys()
    assert set(RejectReason) <= codes().keys()


def test_a_code_has_one_page_and_every_exit_code_has_one() -> None:
    sources = (problems, requests, platforms, warnings, letters, findings)
    assert len({page.code for page in pages()}) == len(pages()) == sum(len(one.TOLD) for one in sources) + len(ExitCode)
    assert {page.code for page in pages() if page.kind == "exit code"} == {str(int(code)) for code in ExitCode}
    assert all(page.meaning and page.why and page.next for page in pages())


@pytest.mark.parametrize(
    "asked", ["not_yet_visible", "NOT_YET_VISIBLE", "error[not_yet_visible]", "urn:campaignctl:problem:not_yet_visible"]
)
def test_a_code_is_found_however_it_was_copied(asked: str, cli: Cli) -> None:
    ran = cli("explain", asked)
    assert ran.code == 0
    assert ran.stdout.startswith("not_yet_visible (error)\n")
    assert "Why: " in ran.stdout and "What to do: " in ran.stdout


def test_exit_codes_are_explained_too(cli: Cli) -> None:
    page = json.loads(cli("explain", "7", "-o", "json").stdout)
    assert (page["code"], page["kind"]) == ("7", "exit code")
    assert "cannot be reached" in page["meaning"]


def test_what_is_not_known_is_exit_5_with_the_nearest(cli: Cli) -> None:
    ran = cli("explain", "not_visible_yet")
    assert (ran.code, ran.stdout) == (5, "")
    assert "did you mean not_yet_visible" in ran.stderr


def test_all_are_listed(cli: Cli) -> None:
    listed = json.loads(cli("explain", "-o", "json").stdout)["items"]
    assert [one["code"] for one in listed] == [page.code for page in pages()]
    assert "missing_rate" in cli("explain").stdout


def test_every_command_that_a_page_names_is_there() -> None:
    group = root_command()
    for page in pages():
        for name, inner in re.findall(r"campaignctl ([a-z][a-z-]*)(?: ([a-z][a-z-]*))?", page.next):
            command = group.get_command(typer.Context(group), name)
            assert command is not None, (page.code, name)
            assert not hasattr(command, "commands") or inner in command.commands, (page.code, name, inner)
