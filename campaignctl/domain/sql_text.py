"""SQL as text: its tokens, where one statement ends and the next begins, and where an engine's complaint points.

The tokens are those of the ClickHouse dialect. Nothing here judges what a statement does.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

_TOKEN = re.compile(
    r"""
      (?P<space>\s+)
    | (?P<comment>--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    | (?P<text>'(?:[^'\\]|\\.|'')*')
    | (?P<quoted>`(?:[^`\\]|\\.|``)*`|"(?:[^"\\]|\\.|"")*")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[0-9][A-Za-z0-9_]*)
    | (?P<sign>[-+*/%(){}\[\],.:=<>!?|&^@~])
    | (?P<end>;)
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
_OPENING = ("'", '"', "`", "/*")
_POSITION = re.compile(r"\bposition (\d+)\b")
_NAMED = re.compile(r"[`']([^`']{1,200})[`']")


class Token(NamedTuple):
    kind: str
    """A group of the pattern; ``open`` is a text, name or comment that does not end, ``unread`` a character that
    begins no token.
    """
    text: str

    @property
    def name(self) -> str:
        """The identifier or keyword it is, folded; "" for anything else."""
        if self.kind == "quoted":
            return self.text[1:-1].casefold()
        return self.text.casefold() if self.kind == "word" else ""


def tokens_of(text: str) -> Iterator[Token]:
    """All of the text, token by token: put together again they are the text."""
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if text.startswith(_OPENING, at) and (match is None or match.lastgroup == "sign"):
            yield Token("open", text[at:])
            return
        if match is None or match.lastgroup is None:
            yield Token("unread", text[at])
            at += 1
            continue
        yield Token(match.lastgroup, match[0])
        at = match.end()


def blanked(text: str) -> str:
    """As many bytes of blanks, with the same line ends: what stands behind keeps its position and its line."""
    return re.sub(rb"[^\n]", b" ", text.encode()).decode()


class Statement(NamedTuple):
    text: str
    """Without the closing semicolon, blanks and comments around it."""
    line: int
    """Of the whole text, from 1, where it begins."""


def split_statements(text: str) -> tuple[list[Statement], str]:
    """The statements that a semicolon ends, and what stands behind the last one ("" where nothing has a meaning)."""
    found: list[Statement] = []
    parts: list[Token] = []
    line = 1
    begins_at = 1
    for token in tokens_of(text):
        if token.kind == "end":
            if parts:
                found.append(Statement(_joined(parts), begins_at))
            parts = []
        elif parts or token.kind not in ("space", "comment"):
            if not parts:
                begins_at = line
            parts.append(token)
        line += token.text.count("\n")
    return found, "".join(token.text for token in parts)


def all_statements(text: str) -> list[Statement]:
    """As ``split_statements``; the last one needs no semicolon."""
    found, rest = split_statements(text)
    if rest:
        found.append(Statement(rest.rstrip(), 1 + text[: len(text) - len(rest)].count("\n")))
    return found


def _joined(parts: list[Token]) -> str:
    while parts and parts[-1].kind in ("space", "comment"):
        parts.pop()
    return "".join(token.text for token in parts)


def pointed_at(statement: str, message: str) -> int | None:
    """The index in the statement that a complaint is about: its position in bytes, else the one name in quotes that
    stands in the statement once; None where it tells neither.
    """
    if (told := _POSITION.search(message)) is not None:
        before = statement.encode()[: max(0, int(told[1]) - 1)]
        return len(before.decode(errors="ignore"))
    for name in _NAMED.findall(message):
        places = [found.start() for found in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", statement)]
        if len(places) == 1:
            return places[0]
    return None


class Spot(NamedTuple):
    """A place in a text, for people."""

    line: int
    column: int
    text: str
    """The line it is in."""


def spot_of(text: str, index: int) -> Spot:
    """The line and column of an index, both from 1."""
    begins = text.rfind("\n", 0, index) + 1
    ends = text.find("\n", index)
    return Spot(text.count("\n", 0, index) + 1, index - begins + 1, text[begins : ends if ends >= 0 else len(text)])
