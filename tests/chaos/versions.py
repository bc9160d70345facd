"""Two versions of the program as trees: this one, a commit before it, or one that stands for the next version."""

import io
import re
import shutil
import subprocess
import tarfile
from pathlib import Path

from tests.support.program import REPOSITORY

_PARTS = ("campaignctl", "server", "worker", "sql")
_NEXT = "rehearsed"
_METADATA = """\
ALTER TABLE campaigns ADD COLUMN rehearsed TEXT NOT NULL DEFAULT '';
CREATE TABLE rehearsed (id BIGINT NOT NULL PRIMARY KEY);
"""
_ANALYTICS = """\
ALTER TABLE events ADD COLUMN IF NOT EXISTS rehearsed String DEFAULT '';
"""


def of_commit(commit: str, tree: Path) -> Path:
    """The program as it was at a commit, in a new directory."""
    archive = subprocess.run(
        ["git", "-C", str(REPOSITORY), "archive", commit, *_PARTS], check=True, capture_output=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(tree, filter="data")
    return tree


def next_version(tree: Path) -> Path:
    """A copy of this tree with another version and one migration more in each database.

    They do what a migration may do while the version before it runs: they add.
    """
    for part in _PARTS:
        shutil.copytree(REPOSITORY / part, tree / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    about = tree / "campaignctl" / "__init__.py"
    about.write_text(re.sub(r'(__version__ = ").*"', rf'\1{_NEXT}"', about.read_text()))
    for folder, text in (("metadata/migrations/postgresql", _METADATA), ("clickhouse/migrations", _ANALYTICS)):
        migrations = tree / "sql" / folder
        number = len(list(migrations.glob("*.sql"))) + 1
        (migrations / f"{number:04d}_{_NEXT}.sql").write_text(text)
    return tree
