"""``python -m tests.chaos.hot``: ClickHouse takes two seconds longer for each insert, and one campaign has 90% of the events.

Needs the four servers in ``CA_TEST_...`` variables, where it has places of its own. One ``campaignctl work`` applies twelve
partitions, first while all campaigns have as many events, then while one has most of them. In both it is measured

- how long events of the *other* campaigns take from the log until they are applied and acknowledged: being beside a hot
  campaign may double it;
- how far ``campaignctl_consumer_lag_records`` is off. A worker looks about every five seconds, so the figure is compared
  with what truly waited in the time since the look before: not acknowledged, and no row in ClickHouse;
- what memory the worker has.

Afterwards everything is compared with the truth (``tests.chaos.oracle``).
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import clickhouse_connect
import httpx2
from clickhouse_connect.driver.client import Client

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.adapters.event_log.partitioner import partition_for_key
from tests.bench.usage import rss_mib
from tests.chaos.installation import Process, own_places, running
from tests.chaos.oracle import Flow, judge, look, prepare
from tests.chaos.processes import run
from tests.support.fault_proxy import fault_proxy
from tests.support.mounts import in_memory
from tests.support.program import Program
from tests.support.waiting import eventually

_PARTITIONS = 12
_SLOWER_S = 2.0
_HOT = 0.9
_INSERT = b"insert_deduplication_token="
_APPLIED = "SELECT kpart, max(koff) + 1 FROM events GROUP BY kpart"
_MOST_WAITING = 200_000
_LOOKS_EVERY_S = 0.2
_METRIC_IS_OF_THE_LAST_S = 15.0
"""It looks every five seconds, and not in the middle of inserts, of which there is one for each campaign."""
_APPLIED_WITHIN_S = 600.0
MOST_RSS_MIB, MOST_OFF, MOST_LONGER = 300, 0.05, 2.0
HEADER = (
    "flow", "events", "others' delay s: median, 95 of 100", "most waiting", "metric off at most", "RSS MiB: first, last, most",
)  # fmt: skip


@dataclass
class Watch:
    """What is seen of the log and of the worker, from ``start`` to ``stop``."""

    log: KafkaEventLog
    topic: str
    group: str
    worker: Process
    url: str
    store: Client
    ends: dict[int, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    committed: dict[int, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    waiting: list[tuple[float, int]] = field(default_factory=list)
    told: list[tuple[float, int]] = field(default_factory=list)
    rss_mib: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error

    def delays_s(self, partition: int) -> list[float]:
        """From when the log had grown up to somewhere, until all up to there was acknowledged."""
        steps = self.committed[partition]
        offsets = [offset for _, offset in steps]
        places = ((at_s, bisect_left(offsets, end)) for at_s, end in _growth(self.ends[partition]))
        return [steps[place][0] - at_s for at_s, place in places if place < len(steps)]

    def most_off(self) -> float:
        """The metric's distance from all that truly waited since the look before, as a share of that."""
        return max((self._off(at_s, told) for at_s, told in self.told), default=0.0)

    def _off(self, at_s: float, told: int) -> float:
        true = [count for when_s, count in self.waiting if at_s - _METRIC_IS_OF_THE_LAST_S <= when_s <= at_s]
        if not true or at_s - self.waiting[0][0] < _METRIC_IS_OF_THE_LAST_S:
            return 0.0
        distance = max(min(true) - told, told - max(true), 0)
        return distance / max(min(true, key=lambda count: abs(count - told)), 1)

    def _run(self) -> None:
        try:
            while not self._stopping.wait(_LOOKS_EVERY_S):
                self._look()
        except BaseException as error:  # raised by stop
            self._error = error

    def _look(self) -> None:
        kept, committed = self.log.watermarks(self.topic), self.log.committed(self.topic, self.group)
        now_s = time.monotonic()
        for number, marks in kept.items():
            self.ends[number].append((now_s, marks.end))
            self.committed[number].append((now_s, committed[number].offset if number in committed else 0))
        applied = {number: steps[-1][1] for number, steps in self.committed.items()}
        for number, next_offset in self.store.query(_APPLIED).result_rows:  # a batch is acknowledged with the next one
            applied[number] = max(applied[number], next_offset)
        self.waiting.append((now_s, sum(marks.end - applied[number] for number, marks in kept.items())))
        lines = httpx2.get(f"{self.url}/metrics", timeout=30).text.splitlines()
        lags = [float(line.split()[-1]) for line in lines if line.startswith("campaignctl_consumer_lag_records{")]
        self.told.append((time.monotonic(), round(sum(lags))))
        self.rss_mib.append(rss_mib(self.worker.process.pid))


@dataclass(frozen=True, slots=True)
class Row:
    flow: str
    events: int
    delays_s: Sequence[float]
    """Of the campaigns that are not the hot one."""
    most_waiting: int
    most_off: float
    rss_mib: Sequence[float]

    def cells(self) -> list[str]:
        high = statistics.quantiles(self.delays_s, n=20)[-1]
        memory = f"{self.rss_mib[0]:.0f}, {self.rss_mib[-1]:.0f}, {max(self.rss_mib):.0f}"
        delays = f"{statistics.median(self.delays_s):.1f}, {high:.1f}"
        return [self.flow, str(self.events), delays, str(self.most_waiting), f"{self.most_off:.1%}", memory]


def _growth(ends: Sequence[tuple[float, int]]) -> Iterator[tuple[float, int]]:
    for (_, before), (at_s, end) in pairwise(ends):
        if end > before:
            yield at_s, end


@contextmanager
def _worker(program: Program, port: int) -> Iterator[tuple[Process, str]]:
    behind_the_proxy = Program(program.home, program.settings | {"CA_CLICKHOUSE_PORT": str(port)})
    with running(behind_the_proxy, "work", "work", "--metrics-port", "0") as worker:
        url = worker.wait_for(r"metrics on (\S+)/metrics")
        worker.wait_for(r"(counting the events)")
        yield worker, url


def measure(seconds: float, *, per_second: int, seed: int = 0) -> bool:
    """Prints a table; answers whether everything was right, and as good as it should be."""
    with ExitStack() as stack:
        disk = stack.enter_context(tempfile.TemporaryDirectory())
        home = stack.enter_context(in_memory(Path(disk)))
        places = stack.enter_context(own_places())
        program = Program(home, places | {"CA_KAFKA_EVENTS_PARTITIONS": str(_PARTITIONS)})
        campaigns = run(program, prepare).result
        topic, group = places["CA_KAFKA_EVENTS_TOPIC"], places["CA_KAFKA_GROUP_ID"]
        log = stack.enter_context(closing(KafkaEventLog([places["CA_KAFKA_BROKERS"]], SystemClock())))
        proxy = stack.enter_context(fault_proxy(places["CA_CLICKHOUSE_HOST"], int(places["CA_CLICKHOUSE_PORT"]), seed))
        store = stack.enter_context(
            clickhouse_connect.get_client(
                host=places["CA_CLICKHOUSE_HOST"],
                port=int(places["CA_CLICKHOUSE_PORT"]),
                database=places["CA_CLICKHOUSE_DATABASE"],
            )
        )
        worker, url = stack.enter_context(_worker(program, proxy.port))
        others = {partition_for_key(str(number).encode(), _PARTITIONS) for number in campaigns[1:]}
        others.discard(partition_for_key(str(campaigns[0]).encode(), _PARTITIONS))
        assert others, "all campaigns share a partition"
        flow = Flow(log, topic, group, campaigns, seed, per_second=per_second, most_waiting=_MOST_WAITING)
        proxy.hold(_INSERT, _SLOWER_S)
        flow.start()
        rows = []
        try:
            for name, hot in (("even", None), ("one campaign has 90%", _HOT)):
                flow.hot, before = hot, flow.events
                time.sleep(_METRIC_IS_OF_THE_LAST_S)  # what came before is applied
                watch = Watch(log, topic, group, worker, url, store)
                time.sleep(seconds)
                watch.stop()
                delays_s = [delay_s for number in others for delay_s in watch.delays_s(number)]
                most = max(count for _, count in watch.waiting)
                rows.append(Row(name, flow.events - before, delays_s, most, watch.most_off(), watch.rss_mib))
                print(" | ".join(rows[-1].cells()), file=sys.stderr, flush=True)
        finally:
            flow.stop()
        proxy.mend()
        eventually(
            lambda: _is_done(log, topic, group), "everything is applied", within_s=_APPLIED_WITHIN_S, every_s=0.2
        )
        verdict = judge(run(program, look, campaigns).result, flow, log, places["CA_KAFKA_DEAD_LETTER_TOPIC"])
    for cells in (HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)):
        print(f"| {' | '.join(cells)} |")
    even, hot_row = (statistics.median(row.delays_s) for row in rows)
    print(f"{hot_row / even:.2f} of the even flow's delay; {verdict}")
    is_good = hot_row <= MOST_LONGER * even and all(
        row.most_off <= MOST_OFF and max(row.rss_mib) <= MOST_RSS_MIB for row in rows
    )
    return verdict.is_right and is_good


def _is_done(log: KafkaEventLog, topic: str, group: str) -> bool:
    committed, kept = log.committed(topic, group), log.watermarks(topic)
    return all(
        marks.end == 0
        or (number in committed and committed[number].offset == marks.end and not committed[number].metadata)
        for number, marks in kept.items()
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.hot", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long each flow is looked at")
    parser.add_argument("--per-second", type=int, default=1_000, help="records that are sent each second")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    return int(not measure(given.seconds, per_second=given.per_second, seed=given.seed))


if __name__ == "__main__":
    sys.exit(main())
