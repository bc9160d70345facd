"""``man/*.1``: one page of the program, and one of each command with those below it."""

from collections.abc import Iterator

from campaignctl.cli.exit_codes import MEANINGS
from tests.reference.tree import Command, Row, tree

_MADE = '.\\" Made by the program: make reference writes it anew.'


def pages() -> dict[str, str]:
    """The text of every page by its file name."""
    root = tree()
    made = {f"{root.page}.1": _root(root)}
    made |= {f"{child.page}.1": _command(child) for child in root.children}
    return made


def _root(root: Command) -> str:
    lines = [*_head(root), ".SH COMMANDS"]
    for child in root.children:
        lines += [".TP", f"\\fB{_text(child.page)}\\fR(1)", _text(child.summary)]
    lines += [".SH OPTIONS", "They may stand before or after the command's name.", *_rows(root.options)]
    lines += [
        ".SH ENVIRONMENT",
        ".TP",
        "\\fBCA_SECTION_KEY\\fR",
        "A key of the configuration; " + _text("campaignctl config show lists all of them."),
        *_variable("CA_CONFIG", "The configuration file."),
        *_variable("CA_API_URL, CA_CONTEXT", "The server to work through."),
        *_variable("CA_TOKEN", "An access token or API key, in place of a kept session."),
        *_variable("CA_OUTPUT", "How data is printed, in place of -o."),
        *_variable("NO_COLOR", "Where it is set, nothing is coloured."),
        *_examples(root),
    ]
    return _ended([*lines, *_exits(), *_see(", ".join(f"\\fB{_text(child.page)}\\fR(1)" for child in root.children))])


def _command(command: Command) -> str:
    lines = _head(command)
    if command.children:
        lines.append(".SH COMMANDS")
        for child in list(command.flat())[1:]:
            lines += [f".SS {_text(child.path.removeprefix(command.path + ' '))}", _text(child.summary)]
            lines += [line for part in child.about for line in (".PP", _text(part))]
            lines += [".PP", f"\\fB{_text(child.usage)}\\fR", *_rows((*child.arguments, *child.options))]
            lines += [line for one in child.examples for line in (".PP", ".nf", f"    {_text(one)}", ".fi")]
    else:
        if command.arguments:
            lines += [".SH ARGUMENTS", *_rows(command.arguments)]
        lines += [".SH OPTIONS", *_rows(command.options), *_examples(command)]
    return _ended([*lines, *_exits(), *_see("\\fBcampaignctl\\fR(1)")])


def _head(command: Command) -> list[str]:
    lines = [
        _MADE,
        f'.TH "{command.page.upper()}" "1" "" "campaignctl" "campaignctl"',
        ".SH NAME",
        f"{_text(command.page)} \\- {_text(command.summary.rstrip('.'))}",
        ".SH SYNOPSIS",
        f"\\fB{_text(command.usage)}\\fR",
    ]
    if command.about:
        lines.append(".SH DESCRIPTION")
        lines += [line for part in command.about for line in (".PP", _text(part))]
    return lines


def _rows(rows: tuple[Row, ...]) -> Iterator[str]:
    for row in rows:
        yield from (".TP", f"\\fB{_text(row.names)}\\fR", _text(row.text))


def _variable(name: str, what: str) -> tuple[str, str, str]:
    return ".TP", f"\\fB{_text(name)}\\fR", _text(what)


def _examples(command: Command) -> Iterator[str]:
    if command.examples:
        yield from (".SH EXAMPLES", ".nf", *(_text(one) for one in command.examples), ".fi")


def _exits() -> Iterator[str]:
    yield ".SH EXIT STATUS"
    for code, meaning in MEANINGS:
        yield from (".TP", f"\\fB{int(code)}\\fR", _text(meaning))


def _see(pages: str) -> list[str]:
    return [".SH SEE ALSO", pages]


def _text(text: str) -> str:
    """Text that troff takes as it is: escapes doubled, hyphens kept, no line that begins like a request."""
    kept = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{kept}" if kept.startswith((".", "'")) else kept


def _ended(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
