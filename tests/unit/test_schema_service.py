"""Bringing stores to this program's schema."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from campaignctl.errors import NewerSchema, SchemaMismatch, Unavailable
from campaignctl.ports.schema import AppliedMigration, Migration
from campaignctl.services.schema import SchemaService


def migration(number: int, checksum: str = "") -> Migration:
    return Migration(number, f"step_{number}", checksum or f"sum {number}", (f"-- {number}",))


class Store:
    """A store that remembers what was done to it."""

    def __init__(self, name: str, known: int, applied: Sequence[int] = ()) -> None:
        self.name = name
        self.known = [migration(number) for number in range(1, known + 1)]
        self.had = {number: AppliedMigration(number, f"step_{number}", f"sum {number}") for number in applied}
        self.locked = False
        self.log: list[str] = []
        self.others_work = 0
        self.fail_at = 0

    def migrations(self) -> Sequence[Migration]:
        return self.known

    def applied(self) -> dict[int, AppliedMigration]:
        return dict(self.had)

    @contextmanager
    def migration_lock(self, wait_s: float, /) -> Iterator[None]:
        self.log.append(f"lock {wait_s:g}")
        for number in range(1, self.others_work + 1):  # while we waited
            self.had[number] = AppliedMigration(number, f"step_{number}", f"sum {number}")
        self.locked = True
        yield
        self.locked = False

    def apply(self, migration: Migration, /) -> None:
        assert self.locked
        if migration.number == self.fail_at:
            raise Unavailable("gone", service=self.name)
        self.log.append(f"apply {migration.number}")
        self.had[migration.number] = AppliedMigration(migration.number, migration.name, migration.checksum)


def numbers(plans: object) -> dict[str, list[int]]:
    return {plan.target: [step.number for step in plan.pending] for plan in plans}  # type: ignore[attr-defined]


def test_what_is_pending_is_planned_then_applied_then_checked() -> None:
    analytics, metadata = Store("analytics", 2), Store("metadata", 3, applied=[1])
    service = SchemaService([analytics, metadata])
    assert numbers(service.plan()) == {"analytics": [1, 2], "metadata": [2, 3]}
    assert analytics.log == metadata.log == []
    with pytest.raises(
        SchemaMismatch, match=r"analytics lacks 0001 step_1, 0002 step_2; metadata lacks 0002"
    ) as caught:
        service.check()
    assert caught.value.hint == "run: campaignctl init-schema"
    assert numbers(service.apply(5)) == {"analytics": [1, 2], "metadata": [2, 3]}
    assert metadata.log == ["lock 5", "apply 2", "apply 3"]
    service.check()
    assert numbers(service.apply(5)) == {"analytics": [], "metadata": []}
    assert metadata.log == ["lock 5", "apply 2", "apply 3"]


def test_what_another_process_did_meanwhile_is_not_done_again() -> None:
    store = Store("metadata", 3)
    store.others_work = 2
    assert numbers(SchemaService([store]).apply(5)) == {"metadata": [3]}
    assert store.log == ["lock 5", "apply 3"]


def test_a_failure_half_way_is_picked_up_where_it_happened() -> None:
    store = Store("metadata", 3)
    store.fail_at = 2
    with pytest.raises(Unavailable):
        SchemaService([store]).apply(5)
    store.fail_at = 0
    assert numbers(SchemaService([store]).apply(5)) == {"metadata": [2, 3]}


@pytest.mark.parametrize(
    ("store", "words"),
    [(Store("metadata", 1, applied=[1, 2]), "newer"), (Store("metadata", 3, applied=[1, 3]), "0002 was left out")],
)
def test_a_schema_of_somebody_else_is_refused(store: Store, words: str) -> None:
    analytics = Store("analytics", 1)
    service = SchemaService([analytics, store])
    for attempt in (service.plan, service.check, lambda: service.apply(1)):
        with pytest.raises(SchemaMismatch, match=words):
            attempt()
    assert analytics.log == []


def test_newer_is_told_apart_from_changed() -> None:
    with pytest.raises(NewerSchema):
        SchemaService([Store("metadata", 1, applied=[1, 2])]).check()
    changed = Store("metadata", 1, applied=[1, 2])
    changed.known[0] = migration(1, "another sum")
    with pytest.raises(SchemaMismatch, match="0001 step_1 is not the one") as caught:
        SchemaService([changed]).check()
    assert not isinstance(caught.value, NewerSchema)


def test_a_migration_that_was_edited_is_refused() -> None:
    store = Store("metadata", 2, applied=[1])
    store.known[0] = migration(1, "another sum")
    for attempt in (SchemaService([store]).plan, lambda: SchemaService([store]).apply(1)):
        with pytest.raises(SchemaMismatch, match="0001 step_1 is not the one that was applied"):
            attempt()
