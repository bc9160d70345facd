"""What every store of attempts must do; ``harness`` is ``metadata_contract``'s."""

import pytest

from campaignctl.ports.metadata import MetadataStore
from tests.contracts.metadata_contract import Harness, at_once


class AttemptsContract:
    @pytest.fixture
    def metadata(self, harness: Harness) -> MetadataStore:
        return harness.open()

    def test_processes_that_die_at_one_place_are_counted(self, harness: Harness, metadata: MetadataStore) -> None:
        assert metadata.begin_work("t", 0, 100, "one") == 0
        assert metadata.begin_work("t", 0, 100, "one") == 0  # opened again by itself
        assert harness.open().begin_work("t", 0, 100, "two") == 1
        assert metadata.begin_work("t", 0, 100, "three") == 2
        assert metadata.begin_work("t", 0, 100, "three") == 2
        assert metadata.begin_work("t", 0, 150, "four") == 1  # the third got further before it died
        assert metadata.begin_work("t", 0, 160, "four") == 0
        assert metadata.begin_work("t", 1, 160, "five") == 0
        assert metadata.begin_work("u", 0, 160, "five") == 0

    def test_who_gives_up_alive_is_no_death(self, metadata: MetadataStore) -> None:
        metadata.begin_work("t", 0, 100, "one")
        metadata.begin_work("t", 0, 100, "two")
        metadata.end_work("t", 0, "one")  # too late: another one has begun
        assert metadata.begin_work("t", 0, 100, "three") == 2
        metadata.end_work("t", 0, "three")
        assert metadata.begin_work("t", 0, 100, "four") == 2
        metadata.end_work("t", 0, "four")
        assert metadata.begin_work("t", 0, 101, "five") == 0
        metadata.end_work("t", 7, "five")

    def test_of_several_that_begin_at_once_each_is_counted(self, harness: Harness, metadata: MetadataStore) -> None:
        metadata.begin_work("t", 0, 100, "first")
        stores = [metadata, harness.open(), harness.open()]
        deaths = at_once(
            [lambda n=n, store=store: store.begin_work("t", 0, 100, f"p{n}") for n, store in enumerate(stores)]
        )
        assert sorted(deaths) == [1, 2, 3]

    def test_what_is_set_aside_is_known_for_ever(self, harness: Harness, metadata: MetadataStore) -> None:
        assert metadata.quarantined_records("t") == frozenset()
        metadata.quarantine("t", 1, [7, 5, 7])
        metadata.quarantine("t", 1, [5])
        metadata.quarantine("t", 2, [])
        metadata.quarantine("u", 1, [9])
        assert metadata.quarantined_records("t") == harness.open().quarantined_records("t") == {(1, 5), (1, 7)}
