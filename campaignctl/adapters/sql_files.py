"""Named SQL statements, read from the files below ``sql/`` that are installed with the package.

A file is a list of blocks. Each opens with a comment line that holds nothing but the statement's name and stands
first in the file, after a blank line or after a line that ends in a semicolon; comment lines directly below it describe
the statement; then comes the statement itself, to the next block or the end of the file::

    -- fetch_topic
    -- The topic as it is; no row when there is none.
    SELECT id, partitions FROM topics WHERE name = :name;

Comments before the first block belong to the file. Parameters (``:name``, ``{name:Type}``) stay as they are written.

Lines may be conditional: one that ends in ``-- if NAME`` belongs to a statement that is asked with the name, one in
``-- if not NAME`` to one that is not. ``as_asked`` makes such a statement's text.
"""

import re
from collections.abc import Collection
from functools import lru_cache
from importlib import resources

_CONDITION = re.compile(r"\s*-- if (?P<unless>not )?(?P<name>[a-z_]+)$")
_PARAMETER = re.compile(r"\{(\w+):")
_REMEMBERED_FORMS = 1_024
_NAME_LINE = re.compile(r"--\s+([a-z][a-z0-9_]*)\s*")


def load_statements(*path: str) -> dict[str, str]:
    """The statements of ``sql/<path...>`` by name, in the order of the file, without their closing semicolon.

    ``load_statements("metadata", "queries", "campaigns.sql")``. Raises ``FileNotFoundError`` when there is no such file
    and ``ValueError`` when a name is used twice, a statement is missing or text stands before the first name.
    """
    return parse_statements(read_sql(*path), source="/".join(path))


def read_sql(*path: str) -> str:
    """The text of ``sql/<path...>``; raises ``FileNotFoundError``."""
    return resources.files("campaignctl").joinpath("sql", *path).read_text(encoding="utf-8")


def parse_statements(text: str, *, source: str) -> dict[str, str]:
    """As ``load_statements``, from text in hand; ``source`` names it in errors."""
    blocks: dict[str, list[str]] = {}
    current: list[str] | None = None
    at_boundary = True
    for line in text.splitlines():
        name_line = _NAME_LINE.fullmatch(line) if at_boundary else None
        is_blank = not line.strip()
        at_boundary = is_blank or line.rstrip().endswith(";")
        if name_line:
            name = name_line[1]
            if name in blocks:
                raise ValueError(f"{source}: the statement {name} is there twice")
            current = blocks[name] = []
        elif current is not None:
            if current or not (is_blank or line.startswith("--")):  # the lines directly below a name describe it
                current.append(line)
        elif not (is_blank or line.startswith("--")):
            raise ValueError(f"{source}: text stands before the first statement's name: {line.strip()}")
    return {name: _statement(name, lines, source) for name, lines in blocks.items()}


def as_asked(statement: str, asked: Collection[str]) -> str:
    """The statement with those of its conditional lines that belong to it when it is asked with these names."""
    return _form(statement, frozenset(asked))


@lru_cache(_REMEMBERED_FORMS)
def _form(statement: str, asked: frozenset[str]) -> str:
    lines = []
    for line in statement.splitlines():
        condition = _CONDITION.search(line)
        if condition is None:
            lines.append(line)
        elif (condition["name"] in asked) is (condition["unless"] is None):
            lines.append(line[: condition.start()])
    return "\n".join(lines)


@lru_cache(_REMEMBERED_FORMS)
def parameters_of(text: str) -> tuple[str, ...]:
    """The names of a statement's parameters ``{name:Type}``, each once."""
    return tuple(dict.fromkeys(_PARAMETER.findall(text)))


def _statement(name: str, lines: list[str], source: str) -> str:
    statement = "\n".join(lines).strip().removesuffix(";").rstrip()
    if not statement:
        raise ValueError(f"{source}: the statement {name} is empty")
    return statement
