"""A glance at the embedded metadata store from beside it, for completion at a shell.

Takes no lock of the data directory and leaves nothing behind: the database is read as it lies there, by a connection
that cannot write.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from campaignctl.adapters.sql_files import load_statements

FILE = "metadata.sqlite"
_BUSY_WAIT_S = 0.2


def known_items(
    directory: Path, kind: str, begun: str, organization_id: int | None, *, most: int
) -> list[tuple[int, str]]:
    """Numbers that begin so, then those of what has it in the words about it in any case; newest first, with the words.

    ``kind`` is ``campaigns``, ``jobs`` or ``accounts``. Raises ``sqlite3.Error`` where there is nothing to be read.
    """
    path = (directory / FILE).resolve()
    # Without a write-ahead log nobody has the database open: then it need not be shared, for which SQLite would put
    # files beside it. One who opens it in this instant can at worst make this glance fail.
    how = "mode=ro" if path.with_name(f"{FILE}-wal").exists() else "mode=ro&immutable=1"
    statement = load_statements("metadata", "queries", "known.sql")[f"known_{kind}"]
    given = {"organization_id": organization_id, "begun": begun, "folded": begun.casefold(), "most": most}
    with closing(sqlite3.connect(f"{path.as_uri()}?{how}", uri=True, timeout=_BUSY_WAIT_S)) as connection:
        connection.create_function("folded", 1, str.casefold, deterministic=True)
        return [(int(number), str(about)) for number, about in connection.execute(statement, given)]
