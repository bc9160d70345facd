"""How much room is left: on the disk of the data directory, and on the disks of a ClickHouse server.

A scrape never waits for a store. The server is asked in a thread of its own, once a minute while somebody scrapes, and
what it said last is told until it answers again.
"""

import logging
import shutil
import threading
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from campaignctl.errors import CampaignctlError
from campaignctl.ports.clock import Clock
from campaignctl.ports.disks import Disk

LOOK_EVERY_S: Final = 60.0

logger = logging.getLogger(__name__)


class DiskFigures(Collector):
    """Register it once. ``of_server`` asks the analytics server for its disks; None: it is in the data directory."""

    def __init__(self, directory: Path, of_server: Callable[[], Sequence[Disk]] | None, clock: Clock) -> None:
        self._directory = directory
        self._of_server = of_server
        self._clock = clock
        self._lock = threading.Lock()
        self._looked_s = float("-inf")
        self._is_looking = False
        self._last: Sequence[Disk] = ()

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        self._look_now_and_then()
        free = GaugeMetricFamily("campaignctl_disk_free_bytes", "Room that is left.", labels=["place", "disk"])
        size = GaugeMetricFamily("campaignctl_disk_bytes", "Size of the disk.", labels=["place", "disk"])
        for place, disk in self._disks():
            free.add_metric([place, disk.name], disk.free_bytes)
            size.add_metric([place, disk.name], disk.total_bytes)
        return free, size

    def _disks(self) -> Iterable[tuple[str, Disk]]:
        if self._directory.exists():
            usage = shutil.disk_usage(self._directory)
            yield "data_directory", Disk("", usage.free, usage.total)
        with self._lock:
            last = self._last
        for disk in last:
            yield "clickhouse", disk

    def _look_now_and_then(self) -> None:
        if self._of_server is None:
            return
        with self._lock:
            now_s = self._clock.monotonic_s()
            if self._is_looking or now_s - self._looked_s < LOOK_EVERY_S:
                return
            self._is_looking, self._looked_s = True, now_s
        threading.Thread(target=self._look, args=(self._of_server,), name="disks", daemon=True).start()

    def _look(self, of_server: Callable[[], Sequence[Disk]]) -> None:
        try:
            disks = of_server()
        except CampaignctlError as error:
            logger.info("cannot see the disks of the analytics server: %s", error.message)
        else:
            with self._lock:
                self._last = disks
        finally:
            with self._lock:
                self._is_looking = False
