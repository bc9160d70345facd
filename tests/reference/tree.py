"""The command tree as documents need it: what ``--help`` says, in parts."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from campaignctl.cli.app import COMMANDS, root_command
from campaignctl.cli.invocation import PROGRAM

_EXAMPLES = "Examples:\n"


@dataclass(frozen=True, slots=True)
class Row:
    """An option or an argument, as help shows it."""

    names: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command, or a group of commands (``usage`` says which)."""

    path: str
    usage: str
    summary: str
    """The first sentence of its help."""
    about: tuple[str, ...]
    """The paragraphs after it, and those behind the examples."""
    arguments: tuple[Row, ...]
    options: tuple[Row, ...]
    examples: tuple[str, ...]
    children: tuple["Command", ...]

    def flat(self) -> Iterator["Command"]:
        """The command and, in order, those below it."""
        yield self
        for child in self.children:
            yield from child.flat()

    @property
    def page(self) -> str:
        """The name of its man page."""
        return self.path.replace(" ", "-")


def tree() -> Command:
    """The whole program, in the order of its help."""
    return _described(root_command(), None, PROGRAM)


def sections() -> dict[str, list[str]]:
    """The names of the commands by the headings of ``campaignctl --help``."""
    found: dict[str, list[str]] = {}
    for entry in COMMANDS:
        found.setdefault(entry.section, []).append(entry.name)
    return found


def _described(command: Any, parent: Any, name: str) -> Command:
    context = command.context_class(command, info_name=name, parent=parent, **command.context_settings)
    paragraphs = [_one_line(part) for part in (command.help or "").split("\n\n")]
    shown, behind = _epilog(command.epilog or "")
    names = command.list_commands(context) if hasattr(command, "list_commands") else []
    rows: dict[str, list[Row]] = {"argument": [], "option": []}
    for param in command.params:
        record = param.get_help_record(context)
        if record is not None:
            rows[param.param_type_name].append(Row(_one_line(record[0]), _one_line(record[1])))
    return Command(
        path=context.command_path,
        usage=_one_line(command.get_usage(context)).removeprefix("Usage: "),
        summary=paragraphs[0],
        about=(*paragraphs[1:], *behind),
        arguments=tuple(rows["argument"]),
        options=tuple(rows["option"]),
        examples=tuple(shown),
        children=tuple(_described(command.get_command(context, one), context, one) for one in names),
    )


def _epilog(text: str) -> tuple[list[str], list[str]]:
    """The examples, and the paragraphs that stand behind them."""
    shown: list[str] = []
    behind: list[str] = []
    for part in text.replace("\b\n", "").split("\n\n"):
        if part.startswith(_EXAMPLES):
            shown += [line.strip() for line in part.removeprefix(_EXAMPLES).splitlines()]
        elif part.strip():
            behind.append(_one_line(part))
    return shown, behind


def _one_line(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\b", "")).strip()
