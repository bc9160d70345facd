"""``python -m tests.chaos.workers``: several workers, and what they stand on, killed, frozen, cut off and moved under load.

Needs the four servers in ``CA_TEST_...`` variables, where it has places of its own, and for faults of servers the program
in ``CA_TEST_SERVICES``; these servers must belong to nobody else meanwhile. Events flow into Kafka all the time, three
``campaignctl work`` apply them from twelve partitions, and one kind of fault is done again and again:

- ``kill``: a worker is killed with SIGKILL every three seconds, and another one started in its place;
- ``storm``: one more worker is started, or one is asked to stop, every five seconds: partitions move each time;
- ``zombie``: a worker is frozen (SIGSTOP) for longer than its session, and goes on when others have its partitions;
- ``cut``: connections to ClickHouse are ended after a random number of bytes of its answers;
- ``clickhouse``: ClickHouse is killed with SIGKILL in the middle of inserts, and started again;
- ``kafka``: the broker is killed with SIGKILL, and started again;
- ``replay``: all workers stop, the group is set back to the beginning of the log, and they start again.

Afterwards everything is compared with the truth (``tests.chaos.oracle``).
"""

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.errors import Unavailable
from tests.chaos.failpoints import SMALL_BATCHES
from tests.chaos.installation import own_places
from tests.chaos.oracle import Flow, Verdict, judge, look, prepare
from tests.chaos.processes import run
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.mounts import in_memory
from tests.support.program import Program
from tests.support.services import Faults
from tests.support.waiting import eventually

_WORKERS, _PARTITIONS = 3, 12
_KILL_EVERY_S, _STORM_EVERY_S = 3.0, 5.0
_FROZEN_S = 14.0
"""The session is 10 s: two seconds for the others to notice, and two to land something."""
_APPLIED_WITHIN_S = 600.0
_STARTED_WITHIN_S = 240.0
_LONGEST_ANSWER = 3_000
_CUTS_AT_ONCE = 8
HEADER = (
    "fault", "times", "events", "lost", "doubled", "wrong raw", "wrong rollup", "wrong answers", "wrong dead letters",
    "all applied after s", "partitions given up",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    fault: str
    times: int
    events: int
    verdict: Verdict
    applied_s: float
    """From the last fault and the last event until nothing was left to apply."""
    given_up: int

    def cells(self) -> list[str]:
        told = self.verdict
        numbers = (
            *(self.times, self.events, told.lost, told.doubled, told.wrong_raw, told.wrong_rollup),
            *(told.wrong_answers, told.wrong_letters),
        )
        return [self.fault, *map(str, numbers), f"{self.applied_s:.1f}", str(self.given_up)]


class Workers:
    """``campaignctl work`` processes, with ClickHouse behind a proxy; each may end by a signal only."""

    def __init__(self, program: Program, log: KafkaEventLog, proxy: FaultProxy) -> None:
        self.log = log
        self._program = program
        self._proxy = proxy
        self._running: list[tuple[subprocess.Popen[bytes], Path]] = []
        self._logs: list[Path] = []

    def __len__(self) -> int:
        return len(self._running)

    def start(self) -> None:
        path = self._program.home / f"work-{len(self._logs)}.log"
        with path.open("wb") as output:
            process = subprocess.Popen(
                [*self._program.command, "work"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._program.home,
                env=self._program.environment() | {"CA_CLICKHOUSE_PORT": str(self._proxy.port)},
                start_new_session=True,
            )
        self._running.append((process, path))
        self._logs.append(path)

    def start_all(self) -> None:
        for _ in range(_WORKERS):
            self.start()
        for _, path in self._running:
            counts = partial(_says, path, "counting the events")
            eventually(counts, f"{path.name} counts", within_s=_STARTED_WITHIN_S, every_s=0.1)

    def kill(self, place: int) -> None:
        process, path = self._running.pop(place)
        process.send_signal(signal.SIGKILL)
        assert process.wait(60) == -signal.SIGKILL, _end(path)

    def stop(self, place: int) -> None:
        process, path = self._running.pop(place)
        process.send_signal(signal.SIGTERM)
        # One that is still starting has no handler yet.
        assert process.wait(120) in (143, -signal.SIGTERM), _end(path)

    def freeze(self, place: int, seconds: float) -> None:
        process, _ = self._running[place]
        process.send_signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            process.send_signal(signal.SIGCONT)

    def cut_off(self, times: int) -> None:
        """Every connection to ClickHouse is ended in its answers, until so many were."""
        before = self._proxy.cuts
        self._proxy.cut(_LONGEST_ANSWER)
        try:
            within_s = _APPLIED_WITHIN_S
            eventually(
                lambda: self._proxy.cuts >= before + times, "answers are cut off", within_s=within_s, every_s=0.05
            )
        finally:
            self._proxy.mend()

    def set_back(self) -> None:
        """The whole group, to where the log begins; nobody else may be a member."""
        while self._running:
            self.stop(0)
        topic, group = self._topic_and_group()
        kept = self.log.watermarks(topic)
        with closing(self.log.consumer(topic, group)) as consumer:
            gained: set[int] = set()
            end_s = time.monotonic() + _STARTED_WITHIN_S
            while len(gained) < len(kept):
                assert time.monotonic() < end_s, f"only {sorted(gained)} of {len(kept)} partitions were given"
                gained.update(consumer.poll(1, 0.2).gained)
            for number, marks in kept.items():
                consumer.commit(number, marks.start, "")

    def is_done(self) -> bool:
        """Whether everything in the log is applied and acknowledged."""
        topic, group = self._topic_and_group()
        try:
            committed, kept = self.log.committed(topic, group), self.log.watermarks(topic)
        except Unavailable:
            return False
        return all(
            marks.end == 0
            or (number in committed and committed[number].offset == marks.end and not committed[number].metadata)
            for number, marks in kept.items()
        )

    def end(self) -> None:
        while self._running:
            self.stop(0)
        for path in self._logs:
            assert not _says(path, "Traceback"), _end(path)

    def kill_all(self) -> None:
        while self._running:
            process, _ = self._running.pop()
            process.kill()
            process.wait(60)

    @property
    def given_up(self) -> int:
        return sum(path.read_text(errors="replace").count(": given up") for path in self._logs)

    def _topic_and_group(self) -> tuple[str, str]:
        places = self._program.settings
        return places["CA_KAFKA_EVENTS_TOPIC"], places["CA_KAFKA_GROUP_ID"]


def _says(path: Path, words: str) -> bool:
    return words in path.read_text(errors="replace")


def _end(path: Path) -> str:
    return path.read_text(errors="replace")[-4_000:]


def _kill(workers: Workers, rng: random.Random, _: int) -> None:
    time.sleep(_KILL_EVERY_S * rng.uniform(0.7, 1.3))
    workers.kill(rng.randrange(len(workers)))
    workers.start()


def _storm(workers: Workers, rng: random.Random, turn: int) -> None:
    time.sleep(_STORM_EVERY_S)
    if turn % 2:
        workers.stop(rng.randrange(len(workers)))
    else:
        workers.start()


def _zombie(workers: Workers, rng: random.Random, _: int) -> None:
    time.sleep(rng.uniform(0.5, 2.0))
    workers.freeze(rng.randrange(len(workers)), _FROZEN_S)


def _cut(workers: Workers, rng: random.Random, _: int) -> None:
    workers.cut_off(_CUTS_AT_ONCE)
    time.sleep(rng.uniform(0.2, 1.0))


def _kill_server(name: str, _: Workers, rng: random.Random, __: int) -> None:
    """Batches land all the time, several at once: whenever it is killed, it is in the middle of some."""
    time.sleep(rng.uniform(1.0, 4.0))
    with Faults(name).killed():
        time.sleep(rng.uniform(0.0, 2.0))


def _replay(workers: Workers, rng: random.Random, _: int) -> None:
    time.sleep(rng.uniform(3.0, 6.0))
    workers.set_back()
    workers.start_all()
    time.sleep(rng.uniform(5.0, 10.0))


FAULTS: dict[str, tuple[int, Callable[[Workers, random.Random, int], None]]] = {
    "kill": (30, _kill),
    "storm": (40, _storm),
    "zombie": (10, _zombie),
    "cut": (25, _cut),
    "clickhouse": (15, partial(_kill_server, "clickhouse")),
    "kafka": (10, partial(_kill_server, "kafka")),
    "replay": (3, _replay),
}
"""Each with how many times it is done in the full form."""


def under(fault: str, times: int, *, seed: int = 0, per_second: int = 300) -> Row:
    with ExitStack() as stack:
        disk = stack.enter_context(tempfile.TemporaryDirectory())
        home = stack.enter_context(in_memory(Path(disk)))
        places = stack.enter_context(own_places())
        program = Program(home, SMALL_BATCHES | places | {"CA_KAFKA_EVENTS_PARTITIONS": str(_PARTITIONS)})
        campaigns = run(program, prepare).result
        topic, letters = places["CA_KAFKA_EVENTS_TOPIC"], places["CA_KAFKA_DEAD_LETTER_TOPIC"]
        log = stack.enter_context(closing(KafkaEventLog([places["CA_KAFKA_BROKERS"]], SystemClock())))
        clickhouse = places["CA_CLICKHOUSE_HOST"], int(places["CA_CLICKHOUSE_PORT"])
        workers = Workers(program, log, stack.enter_context(fault_proxy(*clickhouse, seed)))
        stack.callback(workers.kill_all)
        workers.start_all()
        flow = Flow(log, topic, places["CA_KAFKA_GROUP_ID"], campaigns, seed, per_second=per_second)
        flow.start()
        rng = random.Random(f"{fault} {seed}")
        try:
            for turn in range(times):
                FAULTS[fault][1](workers, rng, turn)
        finally:
            flow.stop()
        since_s = time.monotonic()
        eventually(workers.is_done, "everything is applied", within_s=_APPLIED_WITHIN_S, every_s=0.2)
        applied_s = time.monotonic() - since_s
        workers.end()
        verdict = judge(run(program, look, campaigns).result, flow, log, letters)
        return Row(fault, times, flow.events, verdict, applied_s, workers.given_up)


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.workers", description=__doc__)
    parser.add_argument("--fault", choices=FAULTS, action="append", help="only this one (may be repeated)")
    parser.add_argument("--times", type=int, help="how often each is done")
    parser.add_argument("--per-second", type=int, default=300, help="records that are sent each second")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    rows = []
    for fault in given.fault or FAULTS:
        row = under(fault, given.times or FAULTS[fault][0], seed=given.seed, per_second=given.per_second)
        print(" | ".join(row.cells()), file=sys.stderr, flush=True)
        rows.append(row)
    print(as_markdown(rows))
    return int(not all(row.verdict.is_right for row in rows))


if __name__ == "__main__":
    sys.exit(main())
