"""What could stand at the cursor of the query shell: commands, tables, columns, keywords and functions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from campaignctl.cli.formats import Format
from campaignctl.cli.query_tables import TABLES
from campaignctl.domain.sql_text import Token, tokens_of

COMMANDS: Mapping[str, str] = {
    "\\d": "the tables, or the columns of one: \\d TABLE",
    "\\dt": "the tables",
    "\\i": "run the statements of a file: \\i FILE",
    "\\o": "how answers are printed: \\o table, csv, json or ndjson",
    "\\q": "leave (Ctrl-D does too)",
    "\\set": "give {NAME:Type} a value: \\set NAME VALUE; alone, show all",
    "\\timing": "show how long each statement took: on, off",
    "\\unset": "take a value back: \\unset NAME",
    "\\x": "give each column a line of its own: on, off",
    "\\?": "this list",
}
FORMATS = tuple(one.value for one in Format if one is not Format.PARQUET)
_WORD = re.compile(r"[A-Za-z0-9_]*\Z")
_BEFORE_TABLE = frozenset({"from", "join", "table", "describe", "desc"})
# Offered before anything was typed; all that the store knows once a letter was.
_USUAL = ("SELECT", "FROM", "WHERE", "GROUP BY", "ORDER BY", "LIMIT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN")
_SHOWN = 200


class Word(NamedTuple):
    text: str
    about: str


class ColumnOf(NamedTuple):
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the store knows."""

    tables: Mapping[str, Sequence[ColumnOf]] = field(default_factory=dict)
    functions: Sequence[str] = ()
    keywords: Sequence[str] = _USUAL


def candidates(text: str, cursor: int, catalogue: Catalogue) -> tuple[str, list[Word]]:
    """What was begun at the cursor, and what it could become."""
    before = text[:cursor]
    if before.lstrip().startswith("\\"):
        return _of_command(before.lstrip(), catalogue)
    found = _WORD.search(before)
    begun = found[0] if found is not None else ""
    tokens = list(tokens_of(before[: len(before) - len(begun)]))
    if tokens and (tokens[-1].kind == "open" or _is_open_comment(tokens[-1])):
        return begun, []
    meaning = [token for token in tokens if token.kind not in ("space", "comment")]
    everything = [token for token in tokens_of(text) if token.kind not in ("space", "comment")]
    last = meaning[-1] if meaning else Token("end", ";")
    if last.text == "." and len(meaning) > 1:
        table = _named_tables(everything, catalogue).get(meaning[-2].name, "")
        return begun, _starting(begun, _columns(catalogue, [table]))
    if last.name in _BEFORE_TABLE:
        return begun, _starting(begun, _tables(catalogue))
    used = list(dict.fromkeys(_named_tables(everything, catalogue).values()))
    if not used and begun:  # the table is named behind the columns
        used = list(catalogue.tables)
    keywords = catalogue.keywords if begun else _USUAL
    case = str.lower if begun and begun == begun.lower() else str
    known = [
        *_columns(catalogue, used if last.kind != "end" else []),
        *(_tables(catalogue) if begun else []),
        *(Word(case(keyword), "") for keyword in keywords),
        *(Word(function, "function") for function in catalogue.functions if begun),
    ]
    return begun, _starting(begun, known)


def _of_command(before: str, catalogue: Catalogue) -> tuple[str, list[Word]]:
    name, blank, rest = before.partition(" ")
    if not blank:
        return name, [Word(command, about) for command, about in COMMANDS.items() if command.startswith(name)]
    begun = rest.lstrip()
    known: list[Word] = []
    if name in ("\\d", "\\dt"):
        known = _tables(catalogue)
    elif name == "\\o":
        known = [Word(one, "") for one in FORMATS]
    elif name in ("\\x", "\\timing"):
        known = [Word("on", ""), Word("off", "")]
    return begun, _starting(begun, known)


def _is_open_comment(token: Token) -> bool:
    return token.kind == "comment" and not token.text.endswith("*/")


def _named_tables(tokens: Sequence[Token], catalogue: Catalogue) -> dict[str, str]:
    """The tables that the text names, by their own names and by those it gives them."""
    keywords = {keyword.casefold() for keyword in catalogue.keywords}
    named: dict[str, str] = {}
    for at, token in enumerate(tokens):
        if token.name not in catalogue.tables or not at or tokens[at - 1].name not in (*_BEFORE_TABLE, ""):
            continue
        named[token.name] = token.name
        following = [one.name for one in tokens[at + 1 : at + 3]]
        if following[:1] == ["as"]:
            following = following[1:]
        if following and following[0] and following[0] not in keywords:
            named[following[0]] = token.name
    return named


def _columns(catalogue: Catalogue, tables: Sequence[str]) -> list[Word]:
    return [
        Word(column.name, f"{column.type}, {table}") for table in tables for column in catalogue.tables.get(table, ())
    ]


def _tables(catalogue: Catalogue) -> list[Word]:
    return [Word(table, TABLES[table].about if table in TABLES else "") for table in catalogue.tables]


def _starting(begun: str, known: Sequence[Word]) -> list[Word]:
    folded = begun.casefold()
    found = {word.text: word for word in reversed(known) if word.text.casefold().startswith(folded)}
    return list(reversed(found.values()))[:_SHOWN]
