"""The reference is what the program gives, and reads as what it is."""

import itertools
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from campaignctl.cli.app import root_command
from campaignctl.cli.invocation import PROGRAM, Invocation
from tests.reference import MAN, REPOSITORY, files
from tests.reference.tree import tree


def test_each_command_has_a_heading_a_man_page_and_an_example() -> None:
    made = files()
    commands = next(text for path, text in made.items() if path.name == "cli.md")
    headings = {line.lstrip("#").strip() for line in commands.splitlines() if line.startswith("#")}
    for command in list(tree().flat())[1:]:
        assert command.path in headings
        assert command.children or command.examples, f"{command.path} has no example"
    assert {path.stem for path in made if path.suffix == ".1"} == {"campaignctl", *(c.page for c in tree().children)}


@pytest.mark.skipif(shutil.which("man") is None, reason="there is no man here")
def test_man_reads_each_page_without_a_complaint() -> None:
    for page in sorted((REPOSITORY / MAN).glob("*.1")):
        ran = subprocess.run(
            ["man", "--warnings", "-E", "UTF-8", "-l", str(page)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={"PATH": "/usr/bin:/bin", "MANPAGER": "cat", "LC_ALL": "C.UTF-8", "MANWIDTH": "100"},
        )
        assert (ran.returncode, ran.stderr) == (0, ""), page
        assert "EXIT STATUS" in ran.stdout


def _parsed(words: list[str]) -> None:
    """Parse a command line to its last option, and run nothing."""
    command: Any = root_command()
    parent: Any = None
    name, rest = PROGRAM, words
    while True:
        context = command.make_context(name, list(rest), parent=parent, obj=Invocation())
        if not hasattr(command, "list_commands"):
            return
        left = [*context._protected_args, *context.args]
        name, command, rest = command.resolve_command(context, left)
        parent = context


def test_each_example_of_the_help_is_a_command_line_that_the_program_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words after ``|``, ``&&`` and redirections are other commands' or the shell's."""
    monkeypatch.chdir(tmp_path)
    for command in tree().flat():
        for example in command.examples:
            words = shlex.split(example.partition(" #")[0])
            starts = [place for place, word in enumerate(words) if word == PROGRAM]
            assert starts, example
            for place in starts:
                own = list(
                    itertools.takewhile(
                        lambda word: word not in ("|", "&&", "||", ">", "<", "&", ";"), words[place + 1 :]
                    )
                )
                for word in own:
                    if re.fullmatch(r"[\w./-]+\.(?:gz|csv|ndjson|json|sql|yaml|txt)", word) and not word.startswith(
                        "/"
                    ):
                        Path(word).parent.mkdir(parents=True, exist_ok=True)
                        Path(word).touch()
                try:
                    _parsed(own)
                except typer.Exit:
                    assert {"--version", "--help"} & set(own), example
