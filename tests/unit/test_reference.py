"""The reference is what the program gives, and reads as what it is."""

import shutil
import subprocess

import pytest

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
