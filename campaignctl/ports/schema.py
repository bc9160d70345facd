"""Schema migrations: what ``services.schema`` needs of a store to bring it to this program's version."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Migration:
    """One numbered file of ``sql/.../migrations``: ``0001_create_campaigns.sql``."""

    number: int
    name: str
    checksum: str
    """SHA-256 of the file's text, hexadecimal."""
    statements: tuple[str, ...]
    """Each may be run again after a crash between two of them."""


@dataclass(frozen=True, slots=True)
class AppliedMigration:
    number: int
    name: str
    checksum: str


class MigrationTarget(Protocol):
    """A store that keeps the list of migrations applied to it."""

    @property
    def name(self) -> str:
        """``analytics`` or ``metadata``."""
        ...

    def migrations(self) -> Sequence[Migration]:
        """What this program knows, by number."""
        ...

    def applied(self) -> Mapping[int, AppliedMigration]:
        """What the store has had; empty for a new one. Changes nothing."""
        ...

    def migration_lock(self, wait_s: float, /) -> AbstractContextManager[None]:
        """Held by one migrating process at a time; ``Unavailable`` when it is not had within ``wait_s``."""
        ...

    def apply(self, migration: Migration, /) -> None:
        """Run the statements in order, then record the migration; safe to repeat after a crash at any point."""
        ...
