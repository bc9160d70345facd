"""The schema of every store: planned, checked, and brought to this program's version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from campaignctl.errors import NewerSchema, SchemaMismatch
from campaignctl.ports.schema import AppliedMigration, Migration, MigrationTarget

_HINT = "run: campaignctl init-schema"


@dataclass(frozen=True, slots=True)
class PlannedMigrations:
    """What a store lacks, in the order in which it will be applied."""

    target: str
    """``analytics`` or ``metadata``."""
    pending: tuple[Migration, ...]


class SchemaService:
    """Migrations over all stores; safe to run again after a crash, and by several processes at once."""

    def __init__(self, targets: Sequence[MigrationTarget]) -> None:
        self._targets = targets

    def newest(self) -> dict[str, int]:
        """The newest migration that each store has had, 0 for a new one; judges nothing."""
        return {target.name: max(target.applied(), default=0) for target in self._targets}

    def plan(self) -> list[PlannedMigrations]:
        """What ``apply`` would do, for every store; changes nothing.

        Raises ``SchemaMismatch`` when a store holds a migration that was changed, and ``NewerSchema`` when it was made
        by a newer program.
        """
        return [PlannedMigrations(target.name, _pending(target)) for target in self._targets]

    def apply(self, wait_s: float) -> list[PlannedMigrations]:
        """Apply what is pending, store by store; answers what this call applied.

        Of several processes one works and the others wait, up to ``wait_s`` seconds for each store (``Unavailable``),
        then find it done.
        """
        self.plan()  # every store is judged before the first is changed
        return [PlannedMigrations(target.name, _apply(target, wait_s)) for target in self._targets]

    def check(self) -> None:
        """Raise ``SchemaMismatch`` unless every store is at this program's version."""
        lacking = [
            f"{plan.target} lacks {', '.join(f'{m.number:04d} {m.name}' for m in plan.pending)}"
            for plan in self.plan()
            if plan.pending
        ]
        if lacking:
            raise SchemaMismatch(f"the schema is older than this program: {'; '.join(lacking)}", hint=_HINT)


def _apply(target: MigrationTarget, wait_s: float) -> tuple[Migration, ...]:
    if not _pending(target):
        return ()
    with target.migration_lock(wait_s):
        pending = _pending(target)  # again: the process that held the lock before may have done it all
        for migration in pending:
            target.apply(migration)
    return pending


def _pending(target: MigrationTarget) -> tuple[Migration, ...]:
    known, applied = target.migrations(), target.applied()
    _refuse_changed(target.name, known, applied)
    _refuse_newer(target.name, known, applied)
    _refuse_gaps(target.name, applied)
    return tuple(migration for migration in known if migration.number not in applied)


def _refuse_newer(target: str, known: Sequence[Migration], applied: Mapping[int, AppliedMigration]) -> None:
    newest_known = max((migration.number for migration in known), default=0)
    newest_applied = max(applied, default=0)
    if newest_applied > newest_known:
        raise NewerSchema(
            f"{target} was made by a newer campaignctl: it has migration {newest_applied:04d}"
            f" {applied[newest_applied].name}, this program knows {newest_known} of them",
            hint="install the newer version again, or restore a backup from before its init-schema",
        )


def _refuse_changed(target: str, known: Sequence[Migration], applied: Mapping[int, AppliedMigration]) -> None:
    for migration in known:
        was = applied.get(migration.number)
        if was is not None and was.checksum != migration.checksum:
            raise SchemaMismatch(
                f"{target}: migration {migration.number:04d} {migration.name} is not the one that was applied",
                hint="a migration that was applied is never edited: put its file back, and add a new one",
            )


def _refuse_gaps(target: str, applied: Mapping[int, AppliedMigration]) -> None:
    missing = [number for number in range(1, max(applied, default=0)) if number not in applied]
    if missing:
        raise SchemaMismatch(
            f"{target}: migration {missing[0]:04d} was left out although later ones were applied",
            hint="the list of migrations was changed by hand: restore it, or restore a backup",
        )
