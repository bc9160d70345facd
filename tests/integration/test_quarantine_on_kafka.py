"""A record that ends processes, on a real broker: the workers that die over it are members of a group of Kafka's.

Needs ``CA_TEST_KAFKA_BROKERS``; skipped by name otherwise. The stores beside it are in memory.
"""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.domain.events import EventLimits
from campaignctl.ports.event_log import EventLog
from tests.contracts.test_event_log import BROKERS, KafkaHarness
from tests.e2e.killing import look
from tests.unit import worker_support
from tests.unit.test_quarantine import DEADLY, _mortal
from tests.unit.test_worker import fresh
from tests.unit.worker_support import Bench
from worker.probe import Probe
from worker.quarantine import Quarantine

pytestmark = pytest.mark.skipif(not BROKERS, reason="CA_TEST_KAFKA_BROKERS names no brokers")
__all__ = ["_mortal"]  # the fixture holds for every test here


class KafkaBench(Bench):
    """The same workers over topics of their own on the broker."""

    def __init__(self, directory: Path) -> None:
        self._harness = KafkaHarness(directory)
        super().__init__(directory)

    def open_log(self) -> KafkaEventLog:  # type: ignore[override]
        return self._harness.open()

    def close(self) -> None:
        self._harness.close()


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KafkaBench]:
    for name in ("EVENTS", "LETTERS", "GROUP"):
        monkeypatch.setattr(worker_support, name, f"quarantine-{name.lower()}-{uuid4().hex}")
    made = KafkaBench(tmp_path)
    yield made
    made.close()


def dies(bench: KafkaBench) -> bool:
    """Whether a worker process dies over what is in the log."""
    log: EventLog = bench.open_log()
    worker = bench.worker(
        log=log,
        quarantine=Quarantine(bench.campaigns, Probe(EventLimits(), look=look)),
        failpoint=bench.stop_when_drained(lambda: worker),
    )
    return bench.crash(worker, log)  # type: ignore[arg-type]


def test_it_is_set_aside_its_neighbours_count_and_nobody_dies_of_it_again(bench: KafkaBench) -> None:
    bench.produce(*(fresh(f"a{n}") for n in range(20)), DEADLY, *(fresh(f"b{n}") for n in range(20)), b"{")
    assert [dies(bench) for _ in range(3)] == [True, True, False]  # the probe's was the third death
    assert bench.ids == sorted([f"a{n}" for n in range(20)] + [f"b{n}" for n in range(20)])
    assert bench.letters == [("malformed_json", 41), ("quarantined", 20)]
    assert bench.metric("events_quarantined_total") == 1
    bench.produce(fresh("later"))
    assert not dies(bench)
    assert bench.ids[-1] == "later"
    assert len(bench.letters) == 2
