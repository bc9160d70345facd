"""Reading numbered migration files, and judging a store by those it has had."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources

from campaignctl.adapters.sql_files import read_sql
from campaignctl.errors import SchemaMismatch
from campaignctl.ports.schema import AppliedMigration, Migration

_FILE_NAME = re.compile(r"([0-9]{4})_([a-z0-9_]+)\.sql")
_END_OF_STATEMENT = re.compile(r";[ \t]*$", re.MULTILINE)
_COMMENT_LINE = re.compile(r"^[ \t]*--.*$", re.MULTILINE)


@cache
def load_migrations(*folder: str) -> tuple[Migration, ...]:
    """The migrations of ``sql/<folder...>`` by number. A statement ends with a semicolon at the end of a line.

    Raises ``ValueError`` when a file is not named like ``0001_what_it_does.sql`` or the numbers do not count up from 1.
    """
    directory = resources.files("campaignctl").joinpath("sql", *folder)
    migrations = tuple(
        parse_migration(name, read_sql(*folder, name))
        for name in sorted(entry.name for entry in directory.iterdir() if entry.name.endswith(".sql"))
    )
    if [migration.number for migration in migrations] != list(range(1, len(migrations) + 1)):
        raise ValueError(f"{'/'.join(folder)}: migrations must be numbered 1, 2, 3, ...")
    return migrations


def parse_migration(file_name: str, text: str) -> Migration:
    """As ``load_migrations`` reads one file. Line endings make no difference to the checksum."""
    match = _FILE_NAME.fullmatch(file_name)
    if match is None:
        raise ValueError(f"{file_name}: a migration is named like 0001_what_it_does.sql")
    text = text.replace("\r\n", "\n")
    pieces = (piece.strip() for piece in _END_OF_STATEMENT.split(text))
    return Migration(
        number=int(match[1]),
        name=match[2],
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        statements=tuple(piece for piece in pieces if _COMMENT_LINE.sub("", piece).strip()),
    )


def refuse_unknown_schema(known: Sequence[Migration], applied: Mapping[int, AppliedMigration]) -> None:
    """Raise ``SchemaMismatch`` when the store was never set up, or by a newer program."""
    if not applied:
        raise SchemaMismatch("the metadata store has not been set up", hint="run: campaignctl init-schema")
    newest_known = max(migration.number for migration in known)
    if max(applied) > newest_known:
        raise SchemaMismatch(
            f"the metadata store was made by a newer campaignctl (migration {max(applied)}; this program knows"
            f" {newest_known})",
            hint="install the newer version again, or restore a backup from before its init-schema",
        )
