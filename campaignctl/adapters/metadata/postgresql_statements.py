"""The shared statements as psycopg takes them: ``:name`` becomes ``%(name)s``."""

import re
from functools import cache

from campaignctl.adapters.metadata.database import statements
from campaignctl.adapters.sql_files import load_statements

# What may hold a colon that opens no parameter comes first: texts, quoted names, comments, dollar quotes and casts.
_PIECE = re.compile(
    r"""
      '(?:[^']|'')*'
    | "(?:[^"]|"")*"
    | --[^\n]*
    | /\*.*?\*/
    | \$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$
    | ::
    | (?<![A-Za-z0-9_\]]):(?P<name>[a-z_][a-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)


@cache
def postgresql_statements() -> dict[str, str]:
    """Every statement by name: the shared ones, PostgreSQL's own, and its own wording where it has one."""
    own = load_statements("metadata", "queries", "postgresql.sql")
    return {name: with_driver_parameters(text) for name, text in (statements() | own).items()}


def with_driver_parameters(text: str) -> str:
    """The statement with its named parameters as the driver wants them; every other percent sign is doubled for it."""
    pieces: list[str] = []
    end = 0
    for found in _PIECE.finditer(text):
        pieces.append(text[end : found.start()].replace("%", "%%"))
        name = found["name"]
        pieces.append(f"%({name})s" if name else found[0].replace("%", "%%"))
        end = found.end()
    pieces.append(text[end:].replace("%", "%%"))
    return "".join(pieces)
