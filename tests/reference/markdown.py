"""``docs/reference/cli.md``: every command, its options and examples."""

from collections.abc import Iterable, Iterator, Sequence

from tests.reference.tree import Command, Row, sections, tree

MADE = "<!-- Made by the program: make reference writes it anew. -->"


def cell(text: str) -> str:
    """Text for a cell of a table."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace(">", "&gt;").replace("*", "\\*")


def code(text: str) -> str:
    """Text as code, for a cell of a table. What ends a cell is written as HTML: of an escape some would show the escape."""
    if "|" not in text:
        return f"`{text}`"
    return f"<code>{text.replace('<', '&lt;').replace('>', '&gt;').replace('|', '&#124;')}</code>"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table's lines."""
    yield f"| {' | '.join(head)} |"
    yield "|" + "---|" * len(head)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def page() -> str:
    """The whole page."""
    root = tree()
    by_name = {child.path.split(" ")[1]: child for child in root.children}
    lines = [
        MADE,
        "",
        "# Commands",
        "",
        f"{root.summary} `campaignctl COMMAND --help` says the same as this page, and so do the man pages in `man/`.",
        "Data goes to standard output, everything else to standard error; what exit codes mean is",
        "[on the page of codes](errors.md#exit-codes).",
        "",
    ]
    for heading, names in sections().items():
        links = ", ".join(f"[`{name}`](#campaignctl-{name})" for name in names)
        lines += [f"- **{heading}**: {links}"]
    lines += ["", "## Options of every command", "", "They may stand before or after the command's name.", ""]
    lines += [*_rows("option", root.options), ""]
    for names in sections().values():
        for name in names:
            for command in by_name[name].flat():
                lines += _command(command)
    return "\n".join(lines).rstrip("\n") + "\n"


def _command(command: Command) -> Iterator[str]:
    yield f"{'#' * len(command.path.split(' '))} {command.path}"
    yield ""
    for paragraph in (command.summary, *command.about):
        yield cell(paragraph)
        yield ""
    if not command.children:
        yield from ("```text", command.usage, "```", "")
    for heading, rows in (("argument", command.arguments), ("option", command.options)):
        if rows:
            yield from _rows(heading, rows)
            yield ""
    if command.examples:
        yield from ("```sh", *command.examples, "```", "")


def _rows(heading: str, rows: Iterable[Row]) -> Iterator[str]:
    return table((heading, "what"), ((code(row.names), cell(row.text)) for row in rows))
