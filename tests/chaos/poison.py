"""``python -m tests.chaos.poison``: a thousand bad records among a hundred thousand, then one that ends processes.

Needs the four servers in ``CA_TEST_...`` variables, where it has places of its own. One ``campaignctl work`` applies what
lies in twelve partitions of Kafka:

1. one record in a hundred is bad, each kind in turn, each like no other: it must be exactly one dead letter, with the code
   that ``KINDS`` names and the place of that record in the log, and its neighbours count;
2. the campaign that one kind of them named is made, and these are replayed, twice: each counts once;
3. a record of which every process dies comes, with good ones before and behind it, and somebody starts a worker whenever
   one has died: it is set aside, and no process dies of it any more.

After each of them everything is compared with the truth (``tests.chaos.oracle``).
"""

import argparse
import json
import re
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx2

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.domain.dead_letters import DeadLetter, FromLog
from campaignctl.ports.event_log import NewRecord
from campaignctl.services.dead_letters import DeadLetters
from tests.chaos.installation import own_places
from tests.chaos.oracle import Flow, create, judge, look, prepare
from tests.chaos.processes import run
from tests.e2e.killing import KILLER
from tests.support.mounts import in_memory
from tests.support.program import Program
from tests.support.waiting import eventually

_MORTAL = (sys.executable, "-m", "tests.chaos.mortal")
_PARTITIONS = 12
_ONE_BAD_IN = 100
_AT_ONCE = 2_000
_WITHIN_S = 900.0
_LARGE = 300_000
_AROUND_THE_KILLER = 2_000

HEADER = (
    "what", "events", "bad", "lost", "doubled", "wrong cells", "wrong dead letters", "processes died", "longest stall s",
    "all applied in s",
)  # fmt: skip

Values = dict[str, tuple[str, Callable[["Poisoned", str], bytes]]]


def _with(**members: object) -> Callable[["Poisoned", str], bytes]:
    return lambda flow, name: json.dumps(flow.good(name) | members).encode()


def _as_text(old: bytes, new: bytes) -> Callable[["Poisoned", str], bytes]:
    def changed(flow: "Poisoned", name: str) -> bytes:
        value = json.dumps(flow.good(name)).encode()
        assert old in value
        return value.replace(old, new)

    return changed


def _at(instant: str) -> Callable[["Poisoned", str], bytes]:
    return _with(event_time=instant)


KINDS: Values = {
    "cut off": ("malformed_json", lambda _, name: b'{"event_id": "%s' % name.encode()),
    "nothing but a name": ("malformed_json", lambda _, name: name.encode()),
    "NaN": ("malformed_json", _as_text(b'"clicks": 1', b'"clicks": NaN')),
    "nested deeply": ("malformed_json", lambda _, name: b"[" * 50_000 + name.encode()),
    "no UTF-8": ("malformed_json", _as_text(b"meta", b"m\xff\xfeta")),
    "UTF-16": ("malformed_json", lambda flow, name: json.dumps(flow.good(name)).encode("utf-16-be")),
    "packed": ("malformed_json", lambda _, name: b"\x28\xb5\x2f\xfd" + name.encode()),
    "of another format": ("malformed_json", lambda _, name: b"\0\0\0\0\x01" + name.encode()),
    "an array": ("invalid_type", lambda _, name: b'["%s"]' % name.encode()),
    "half a click": ("invalid_type", _with(clicks=1.5)),
    "fewer than none": ("invalid_value", _with(spend="-1.5")),
    "5,000 digits": ("invalid_value", _as_text(b'"clicks": 1', b'"clicks": ' + b"9" * 5_000)),
    "no platform": ("missing_field", _with(platform="")),
    "an unknown platform": ("unknown_platform", _with(platform="carrier pigeon")),
    "an unknown region": ("invalid_region", _with(region="NOWHERE")),
    "1970": ("event_time_too_old", _at("1970-01-01T00:00:00Z")),
    "2200": ("event_time_in_future", _at("2200-01-01T00:00:00Z")),
    "300 KB": ("too_large", _with(device="x" * _LARGE)),
    "too early": ("unknown_campaign", lambda flow, name: flow.early(name)),
    "far too early": ("unknown_campaign", _with(campaign_id=10**9)),
}
"""Each with the code that the contract has for it."""


class Poisoned(Flow):
    """Records that are produced when they are asked for. ``next_campaign`` will be made later."""

    def __init__(self, log: KafkaEventLog, places: dict[str, str], campaigns: list[int], seed: int) -> None:
        super().__init__(log, places["CA_KAFKA_EVENTS_TOPIC"], places["CA_KAFKA_GROUP_ID"], campaigns, seed)
        self.next_campaign = max(campaigns) + 1
        self.codes: dict[bytes, str] = {}
        self._early: list[str] = []
        self._kinds = list(KINDS.values())

    def send(self, count: int) -> None:
        records = []
        for n in range(count):
            if (n + 1) % _ONE_BAD_IN == 0:
                code, make = self._kinds[len(self.codes) % len(self._kinds)]
                value = make(self, f"bad-{len(self.codes)}")
                self.set_aside(code, value)
                records.append(NewRecord(str(self._random.choice(self._campaigns)).encode(), value))
            else:
                records.append(self._good_record())
        for start in range(0, count, _AT_ONCE):
            self._produce(records[start : start + _AT_ONCE])

    def set_aside(self, code: str, value: bytes) -> None:
        self.codes[value] = code
        self.bad[value] += 1

    def send_killer(self) -> None:
        """Between good ones."""
        value = json.dumps(self.good("killer") | {KILLER.strip(b'"').decode(): True}).encode()
        self.set_aside("quarantined", value)
        key = str(self._campaigns[0]).encode()
        before, behind = ([self._good_record() for _ in range(_AROUND_THE_KILLER)] for _ in range(2))
        self._produce([*before, NewRecord(key, value), *behind])

    def good(self, name: str) -> dict[str, object]:
        now = datetime.now(UTC).isoformat()
        members: dict[str, object] = {"event_id": name, "campaign_id": self._campaigns[0], "platform": "meta"}
        return members | {"event_time": now, "clicks": 1}

    def early(self, name: str) -> bytes:
        self._early.append(name)
        at = self._early_at(name)
        return json.dumps(self.good(name) | {"campaign_id": self.next_campaign, "event_time": at}).encode()

    def make_good(self) -> None:
        """The campaign is there: from now on what named it is to count."""
        for name in self._early:
            day = self._early_at(name)[:10]
            sums = {"events": 1, "clicks": 1, "impressions": 0, "conversions": 0, "spend": 0, "revenue": 0}
            self._cells[self.next_campaign, day, "meta", "ZZ"].update(sums)
            self.events += 1

    def _early_at(self, name: str) -> str:
        return (datetime.now(UTC).replace(hour=0, minute=0) - timedelta(days=int(name[-1]))).isoformat()

    def _good_record(self) -> NewRecord:
        while (record := self._record()).value in self.bad:
            self.bad.pop(record.value)
        return record


class Worker:
    """One ``campaignctl work`` after the other, and what became of them."""

    def __init__(self, program: Program) -> None:
        self._program = replace(program, command=_MORTAL)
        self._process: subprocess.Popen[bytes] | None = None
        self._logs: list[Path] = []
        self.deaths = 0

    def keep_going(self) -> None:
        """Start one where none is."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            assert self._process.returncode == -signal.SIGKILL, self._said()
            self.deaths += 1
        path = self._program.home / f"work-{len(self._logs)}.log"
        with path.open("wb") as output:
            self._process = subprocess.Popen(
                [*self._program.command, "work", "--metrics-port", "0"],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                cwd=self._program.home,
                env=self._program.environment(),
                start_new_session=True,
            )
        self._logs.append(path)

    def metric(self, name: str) -> float:
        found = re.search(r"metrics on (http\S+)", self._said())
        assert found is not None, self._said()
        text = httpx2.get(found[1]).text
        return sum(float(line.split()[-1]) for line in text.splitlines() if re.match(rf"{name}[ {{]", line))

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(60) == 143, self._said()
        for path in self._logs:
            assert "Traceback" not in path.read_text(errors="replace"), path

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)

    def _said(self) -> str:
        return self._logs[-1].read_text(errors="replace")


class Progress:
    """How the group gets on."""

    def __init__(self, log: KafkaEventLog, topic: str, group: str) -> None:
        self._log, self._topic, self._group = log, topic, group
        self.longest_stall_s = 0.0

    def wait(self, worker: Worker) -> float:
        """Until everything is applied; answers how long that took from the first record on."""
        applied, moved_s, began_s = -1, time.monotonic(), 0.0
        end_s = moved_s + _WITHIN_S
        while True:
            worker.keep_going()
            committed, kept = self._log.committed(self._topic, self._group), self._log.watermarks(self._topic)
            now_s, total = time.monotonic(), sum(one.offset for one in committed.values())
            if total != applied:
                if applied > 0:
                    self.longest_stall_s = max(self.longest_stall_s, now_s - moved_s)
                    began_s = began_s or moved_s
                applied, moved_s = total, now_s
            if all(
                marks.end == 0
                or (number in committed and committed[number].offset == marks.end and not committed[number].metadata)
                for number, marks in kept.items()
            ):
                return now_s - (began_s or now_s)
            assert now_s < end_s, f"{total} of {sum(marks.end for marks in kept.values())} records are applied"
            time.sleep(0.05)


@contextmanager
def _set_up(seed: int) -> Iterator[tuple[Program, Poisoned, KafkaEventLog, list[int]]]:
    with ExitStack() as stack:
        disk = stack.enter_context(tempfile.TemporaryDirectory())
        home = stack.enter_context(in_memory(Path(disk)))
        places = stack.enter_context(own_places())
        program = Program(home, places | {"CA_KAFKA_EVENTS_PARTITIONS": str(_PARTITIONS)})
        campaigns = run(program, prepare).result
        log = stack.enter_context(closing(KafkaEventLog([places["CA_KAFKA_BROKERS"]], SystemClock())))
        yield program, Poisoned(log, places, list(campaigns), seed), log, campaigns


def poisoned(records: int, seed: int = 0) -> bool:
    """Prints a line for each of the three; answers whether everything was right."""
    with _set_up(seed) as (program, flow, log, campaigns), ExitStack() as stack:
        topic, group = program.settings["CA_KAFKA_EVENTS_TOPIC"], program.settings["CA_KAFKA_GROUP_ID"]
        letters = DeadLetters(log, topic=program.settings["CA_KAFKA_DEAD_LETTER_TOPIC"])
        worker, progress = Worker(program), Progress(log, topic, group)
        stack.callback(worker.kill)

        def told(what: str, seconds: float) -> bool:
            verdict = judge(run(program, look, campaigns).result, flow, log, letters.topic)
            wrong = verdict.wrong_letters + _wrong_letters(letters, flow, log)
            cells = verdict.wrong_raw + verdict.wrong_rollup + verdict.wrong_answers
            counts = (flow.events, flow.bad.total(), verdict.lost, verdict.doubled, cells, wrong, worker.deaths)
            _print_row(what, *counts, f"{progress.longest_stall_s:.1f}", f"{seconds:.1f}")
            return verdict.is_right and not wrong

        _print_row(*HEADER)
        _print_row(*["---"] * len(HEADER))
        flow.send(records)
        right = told("bad records", progress.wait(worker)) and worker.deaths == 0
        (made,) = run(program, create, ["Early"]).result
        assert made == flow.next_campaign
        flow.make_good()
        campaigns.append(made)
        for again in ((), ("--again",)):
            asked = ("--reason", "unknown_campaign", "--campaign", str(made))
            program.run("dlq", "replay", *asked, *again, "--wait", timeout_s=_WITHIN_S)
        right &= told("replayed twice", progress.wait(worker)) and worker.deaths == 0
        flow.send_killer()
        seconds = progress.wait(worker)
        right &= told("a deadly record", seconds) and worker.deaths == 2
        eventually(lambda: worker.metric("campaignctl_events_quarantined_total") == 1, "the metric tells of it")
        worker.end()
        return right


def _print_row(*cells: object) -> None:
    print(f"| {' | '.join(map(str, cells))} |", flush=True)


def _wrong_letters(letters: DeadLetters, flow: Poisoned, log: KafkaEventLog) -> int:
    """Those with another code than the contract's, no sentence, or the place of another record."""
    return sum(not _is_right(stored.letter, flow, log) for stored in letters.all())


def _is_right(letter: DeadLetter, flow: Poisoned, log: KafkaEventLog) -> bool:
    origin = letter.origin
    if not isinstance(origin, FromLog) or not letter.message or flow.codes.get(letter.value) != letter.code:
        return False
    return bytes(log.read(origin.topic, origin.partition, origin.offset, 1).values[0]) == letter.value


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.poison", description=__doc__)
    parser.add_argument("--records", type=int, default=100_000, help="one in a hundred is bad")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**6))
    given = parser.parse_args()
    print(f"seed {given.seed}", file=sys.stderr)
    return int(not poisoned(given.records, given.seed))


if __name__ == "__main__":
    sys.exit(main())
