"""Room on disks is told at each scrape, and nobody is waited for."""

import threading
from collections.abc import Sequence
from pathlib import Path

from prometheus_client import CollectorRegistry

from campaignctl.errors import Unavailable
from campaignctl.ports.disks import Disk
from tests.support.clock import SteeredClock
from tests.support.waiting import eventually
from worker.disk_figures import LOOK_EVERY_S, DiskFigures


class _Clock(SteeredClock):
    def __init__(self) -> None:
        super().__init__()
        self._more_s = 0.0

    def advance(self, seconds: float) -> None:
        self._more_s += seconds

    def monotonic_s(self) -> float:
        return super().monotonic_s() + self._more_s


def _told(registry: CollectorRegistry, place: str, disk: str = "") -> float | None:
    return registry.get_sample_value("campaignctl_disk_free_bytes", {"place": place, "disk": disk})


def test_the_data_directorys_disk(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(DiskFigures(tmp_path, None, _Clock()))
    free = _told(registry, "data_directory")
    size = registry.get_sample_value("campaignctl_disk_bytes", {"place": "data_directory", "disk": ""})
    assert free is not None and size is not None and 0 < free <= size


def test_a_directory_that_is_not_there_yet_tells_nothing(tmp_path: Path) -> None:
    registry = CollectorRegistry()
    registry.register(DiskFigures(tmp_path / "later", None, _Clock()))
    assert _told(registry, "data_directory") is None


def test_a_server_that_hangs_holds_no_scrape_up_and_is_asked_once(tmp_path: Path) -> None:
    thaw, asked = threading.Event(), []

    def disks() -> Sequence[Disk]:
        asked.append(1)
        assert thaw.wait(30)
        return [Disk("default", 10, 100)]

    registry, clock = CollectorRegistry(), _Clock()
    registry.register(DiskFigures(tmp_path, disks, clock))
    for _ in range(3):
        assert _told(registry, "clickhouse", "default") is None
        clock.advance(LOOK_EVERY_S)
    thaw.set()
    eventually(lambda: _told(registry, "clickhouse", "default") == 10.0)
    assert len(asked) <= 2


def test_what_was_told_last_stays_while_it_is_away(tmp_path: Path) -> None:
    answers: list[Disk] = [Disk("default", 10, 100)]

    def disks() -> Sequence[Disk]:
        if not answers:
            raise Unavailable("away", service="analytics")
        return list(answers)

    registry, clock = CollectorRegistry(), _Clock()
    registry.register(DiskFigures(tmp_path, disks, clock))
    eventually(lambda: _told(registry, "clickhouse", "default") == 10.0)
    answers.clear()
    clock.advance(LOOK_EVERY_S)
    assert _told(registry, "clickhouse", "default") == 10.0
    answers.append(Disk("default", 5, 100))
    clock.advance(LOOK_EVERY_S)

    def falls() -> bool:
        clock.advance(LOOK_EVERY_S)
        return _told(registry, "clickhouse", "default") == 5.0

    eventually(falls)
