"""``python -m tests.chaos.failpoints``: worker processes killed at every step of the protocol, while events flow.

Each process is killed with SIGKILL by itself at the step; the next one starts at once. After the last kill one more
applies what is left, and everything is compared with the truth (``tests.chaos.oracle``). ``--log embedded`` uses
directories of its own; ``--log kafka`` needs the four servers in ``CA_TEST_...`` variables, where it has places of its
own. ``--without`` switches the protocol off, to see events lost or doubled: then exit code 0 says that they were.
"""

import argparse
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.ports.event_log import EventLog
from tests.chaos.installation import own_places
from tests.chaos.oracle import Flow, Verdict, judge, look, prepare
from tests.chaos.processes import run
from tests.chaos.steps import STEPS
from tests.chaos.unprotected import WITHOUT
from tests.chaos.worker import Death, work
from tests.support.mounts import in_memory
from tests.support.program import Program

LOGS = ("embedded", "kafka")
SMALL_BATCHES = {
    "CA_EVENTS_FLUSH_AGE_MS": "20",
    "CA_EVENTS_FLUSH_ROWS": "200",
    "CA_EVENTS_STOP_AT_BAD_PERCENT": "100",
    "CA_KAFKA_EVENTS_PARTITIONS": "3",
}
HEADER = (
    "step", "kills", "events", "lost", "doubled", "wrong raw", "wrong rollup", "wrong answers", "wrong dead letters",
    "taken over s (median, longest)",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    step: str
    kills: int
    events: int
    verdict: Verdict
    taken_over_s: Sequence[float]
    """For each kill: until the next process, started at once, had the first partition open."""

    def cells(self) -> list[str]:
        told, took = self.verdict, self.taken_over_s or [0.0]
        numbers = (
            *(self.kills, self.events, told.lost, told.doubled, told.wrong_raw, told.wrong_rollup),
            *(told.wrong_answers, told.wrong_letters),
        )
        return [self.step, *map(str, numbers), f"{statistics.median(took):.1f}, {max(took):.1f}"]


def under(log: str, steps: Sequence[str], kills: int, *, seed: int = 0, without: str = "") -> Row:
    """Kill so many processes at each of the steps, in turn, in places of their own."""
    with tempfile.TemporaryDirectory() as disk, in_memory(Path(disk)) as home, _places(log) as places:
        program = Program(home, SMALL_BATCHES | places)
        campaigns = run(program, prepare).result
        topic = places.get("CA_KAFKA_EVENTS_TOPIC", "campaign-events")
        letters = places.get("CA_KAFKA_DEAD_LETTER_TOPIC", "campaign-events-dlq")
        group = places.get("CA_KAFKA_GROUP_ID", "campaignctl-worker")
        with closing(_opened(program, places)) as event_log:
            flow = Flow(event_log, topic, group, campaigns, seed)
            flow.start()
            try:
                took = _kill(program, steps, kills, seed, without)
            finally:
                flow.stop()
            code, _ = _work(program, None, without)
            assert code == 0, code
            found = run(program, look, campaigns).result
            verdict = judge(found, flow, event_log, letters)
            return Row(", ".join(steps), kills * len(steps), flow.events, verdict, took)


def _kill(program: Program, steps: Sequence[str], kills: int, seed: int, without: str) -> list[float]:
    """Answers the seconds from each kill until the next process had taken over."""
    rng = random.Random(f"{' '.join(steps)} {seed}")
    took: list[float] = []
    died_at_s: float | None = None
    left = dict.fromkeys(steps, 3 * kills + 3)
    """Attempts: with little to apply, a process may end before it gets there."""
    to_kill = [step for _ in range(kills) for step in steps]
    while to_kill:
        step = to_kill[0]
        assert left[step], f"{step}: too few processes got there, {to_kill.count(step)} of {kills} are missing"
        left[step] -= 1
        code, opened_at_s = _work(program, Death(step, rng.randint(1, STEPS[step]), rng.randrange(10**9)), without)
        if died_at_s is not None and opened_at_s is not None:
            took.append(opened_at_s - died_at_s)
        died_at_s = None
        if code == -signal.SIGKILL:
            died_at_s = time.time()
            del to_kill[0]
    return took


def _work(program: Program, death: Death | None, without: str) -> tuple[int, float | None]:
    """One worker process to its end: its exit code, and when it had the first partition open."""
    opened = program.home / "opened"
    opened.unlink(missing_ok=True)
    code = run(program, work, opened, death, without).code
    return code, opened.stat().st_mtime if opened.exists() else None


@contextmanager
def _places(log: str) -> Iterator[dict[str, str]]:
    if log == "embedded":
        yield {}
        return
    with own_places() as places:
        yield places


def _opened(program: Program, places: dict[str, str]) -> EventLog:
    if places:
        return KafkaEventLog([places["CA_KAFKA_BROKERS"]], SystemClock())
    return EmbeddedEventLog(program.data_dir / "event_log.sqlite", SystemClock())


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.failpoints", description=__doc__)
    parser.add_argument("--log", choices=LOGS, default="embedded")
    parser.add_argument("--kills", type=int, default=20, help="at each step")
    parser.add_argument("--step", choices=STEPS, action="append", help="only this one (may be repeated)")
    parser.add_argument("--at-once", type=int, default=2, help="how many steps are gone through side by side")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--without", choices=WITHOUT, default="", help="switch the protocol off")
    given = parser.parse_args()

    def one(step: str) -> Row:
        row = under(given.log, [step], given.kills, seed=given.seed, without=given.without)
        print(" | ".join(row.cells()), file=sys.stderr, flush=True)
        return row

    with ThreadPoolExecutor(given.at_once) as pool:
        rows = list(pool.map(one, given.step or STEPS))
    print(as_markdown(rows))
    is_right = all(row.verdict.is_right for row in rows)
    return int(is_right if given.without else not is_right)


if __name__ == "__main__":
    sys.exit(main())
