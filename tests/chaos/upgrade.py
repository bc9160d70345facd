"""``python -m tests.chaos.upgrade``: two versions side by side under load, each process replaced again and again.

Two ``serve`` behind a balancer that reads ``/health/ready``, and two ``work``. The version before is replaced by itself
first, then the new version's ``init-schema`` is run under it; from there to the last quarter one ``serve`` and one
``work`` of the version before go on beside new ones that are replaced, then they go too. Each signal is SIGTERM: of a
``serve`` once its successor is ready, of a ``work`` before its successor starts.

Needs the four servers in ``CA_TEST_...`` variables.
"""

import argparse
import dataclasses
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.chaos.balancer import Balancer
from tests.chaos.installation import Installation, Process, own_places, running
from tests.chaos.load import Load, Window
from tests.chaos.table import Bench
from tests.chaos.versions import next_version, of_commit
from tests.support.program import REPOSITORY, Program
from tests.support.waiting import eventually

_DRAIN_S = 1
_BEFORE, _AFTER = "before", "after"
_CONSUMED = re.compile(r"^campaignctl_events_consumed_total\{.*\} (\S+)$", re.MULTILINE)
_START_S = 90.0


@dataclass(slots=True)
class Rehearsal:
    """What was seen."""

    signals: Counter[str] = field(default_factory=Counter)
    """By command."""
    window: Window = field(default_factory=Window)
    answered: Counter[str] = field(default_factory=Counter)
    """Requests by the version of the process that they were handed to, while both versions ran."""
    counted: Counter[str] = field(default_factory=Counter)
    """Events by the version of the worker that counted them."""
    mixed_s: float = 0.0
    slowest_stop_s: dict[str, float] = field(default_factory=dict)
    refused: int = 0
    events: int = 0
    lost: int = 0
    doubled: int = 0
    wrong_sums: int = 0

    @property
    def failed(self) -> int:
        """Requests that were not answered as they should have been: anything but 2xx, or a stale answer."""
        return sum(
            count
            for answers in self.window.kinds.values()
            for outcome, count in answers.outcomes.items()
            if not outcome.startswith("2")
        )

    def told(self) -> str:
        kinds = {kind: dict(answers.outcomes) for kind, answers in self.window.kinds.items()}
        slowest = {kind: round(answers.slowest_s, 2) for kind, answers in self.window.kinds.items()}
        stops = {command: round(seconds, 1) for command, seconds in self.slowest_stop_s.items()}
        return (
            f"SIGTERM {dict(self.signals)}, both versions for {self.mixed_s:.0f} s\n"
            f"requests {kinds}, the slowest {slowest} s; failed={self.failed}, connections refused={self.refused}\n"
            f"answered while mixed {dict(self.answered)}, events counted {dict(self.counted)}\n"
            f"the slowest stops {stops} s\n"
            f"sent={self.events} lost={self.lost} doubled={self.doubled} wrong sums={self.wrong_sums}"
        )


class _Bench(Bench):
    """The same campaigns, load and checks, for servers behind a balancer."""

    def checked_by(self, program: Program) -> None:
        """Ask the stores with this version from now on: the one before does not begin on a newer schema."""
        self._installed = dataclasses.replace(self._installed, program=program)

    def judge(self, seen: Rehearsal) -> None:
        with self.load.quiet():
            eventually(lambda: self._lag() == 0, "everything is counted", within_s=_START_S, every_s=0.2)
            rows, distinct = self._stored()
            seen.events = self.load.sent
            seen.lost, seen.doubled = seen.events - distinct, rows - distinct
            seen.wrong_sums = self._wrong_sums()


class _Fleet:
    """The processes, oldest first, and how one is replaced."""

    def __init__(self, programs: dict[str, Program], balancer: Balancer, seen: Rehearsal, stack: ExitStack) -> None:
        self._programs = programs
        self._balancer = balancer
        self._seen = seen
        self._stack = stack
        self._started = 0
        self._versions: dict[str, str] = {}
        """By the process's name, and by the address of a server."""
        self.servers: list[Process] = []
        self.workers: list[Process] = []

    def add_server(self, version: str) -> None:
        """Returns when the balancer sends requests there."""
        server = self._start(version, "serve", "--port", "0")
        server.url = server.wait_for(r"serving on (\S+)")
        self._versions[server.url] = version
        self._balancer.add(server.url)
        eventually(lambda: self._balancer.is_ready(server.url), f"{server.name} is ready", within_s=_START_S)
        self.servers.append(server)

    def add_worker(self, version: str) -> None:
        """Returns at once: it starts while something else does."""
        self.workers.append(self._start(version, "work", "--metrics-port", "0"))

    def settle(self) -> None:
        """Returns when every worker is at work."""
        for worker in self.workers:
            worker.url = worker.wait_for(r"metrics on (\S+)/metrics")
            worker.wait_for("counting the events in")

    def stop_server(self, index: int) -> None:
        server = self.servers.pop(index)
        self._stop("serve", server)
        self._balancer.remove(server.url)

    def stop_worker(self, index: int) -> None:
        self.settle()
        worker = self.workers.pop(index)
        self.note_counted(worker)
        self._stop("work", worker)

    def note_counted(self, worker: Process) -> None:
        text = httpx2.get(f"{worker.url}/metrics", timeout=30).text
        self._seen.counted[self._versions[worker.name]] += int(sum(map(float, _CONSUMED.findall(text))))

    def answered(self) -> Counter[str]:
        """Requests until now, by the version of the server."""
        found: Counter[str] = Counter()
        for url, requests in self._balancer.answered.items():
            found[self._versions[url]] += requests
        return found

    def _start(self, version: str, *arguments: str) -> Process:
        self._started += 1
        name = f"{self._started:03d}-{version}-{arguments[0]}"
        self._versions[name] = version
        return self._stack.enter_context(running(self._programs[version], name, *arguments))

    def _stop(self, command: str, process: Process) -> None:
        code, seconds = process.stop()
        assert code == 143, process.log()[-4_000:]
        self._seen.signals[command] += 1
        self._seen.slowest_stop_s[command] = max(self._seen.slowest_stop_s.get(command, 0.0), seconds)


@contextmanager
def _loaded(load: Load) -> Iterator[None]:
    load.start()
    try:
        yield
    finally:
        load.stop()


@dataclass(frozen=True, slots=True)
class Plan:
    """When what happens; in each round a ``serve`` and a ``work`` are replaced."""

    pairs: int
    rounds: int
    changed: int
    """The new version's schema comes before this round, counted from 0."""
    last: int
    """Until this round the oldest pair stays."""

    @classmethod
    def of(cls, rounds: int) -> "Plan":
        """A quarter before the change, half of them mixed, a quarter after it."""
        return cls(2, rounds, rounds // 4, rounds - rounds // 4)


SHORTEST = Plan(pairs=1, rounds=1, changed=0, last=0)


def rehearse(home: Path, before: Path, after: Path, plan: Plan, told: Callable[[str], None]) -> Rehearsal:
    """Everything from a new schema to what is left at the end, compared with what was sent."""
    seen = Rehearsal()
    with ExitStack() as stack:
        places = stack.enter_context(own_places()) | {"CA_JWT_ACCESS_TTL": "2h"}
        programs = {_BEFORE: Program(home, places, python_path=str(before))}
        if "drain_s" in (before / "campaignctl" / "config" / "settings.py").read_text():
            programs[_BEFORE] = dataclasses.replace(programs[_BEFORE], settings=_draining(places))
        programs[_AFTER] = Program(home, _draining(places), python_path=str(after))
        programs[_BEFORE].run("init-schema", timeout_s=_START_S)
        balancer = stack.enter_context(Balancer())
        fleet = _Fleet(programs, balancer, seen, stack)
        for _ in range(plan.pairs):
            fleet.add_worker(_BEFORE)
            fleet.add_server(_BEFORE)
        behind = Process("balancer", fleet.servers[0].process, fleet.servers[0].log_path, balancer.url)
        bench = stack.enter_context(_Bench(Installation(programs[_BEFORE], [behind], fleet.workers)))
        with _loaded(bench.load):
            _replace_all(fleet, programs, plan, seen, told)
            bench.checked_by(programs[_AFTER])
            bench.judge(seen)
            seen.window = bench.load.new_window()
        fleet.settle()
        for worker in fleet.workers:
            fleet.note_counted(worker)
        seen.refused = balancer.refused
    return seen


def _draining(places: dict[str, str]) -> dict[str, str]:
    return places | {"CA_SERVER_DRAIN_S": str(_DRAIN_S)}


def _replace_all(
    fleet: _Fleet, programs: dict[str, Program], plan: Plan, seen: Rehearsal, told: Callable[[str], None]
) -> None:
    for number in range(plan.rounds):
        if number == plan.changed:
            programs[_AFTER].run("init-schema", timeout_s=_START_S)
            began_s, answered_before = time.monotonic(), fleet.answered()
            told("the schema is the new version's")
        # The oldest goes; but while versions are mixed it stays, so that the version before sees all of it.
        index = 1 if plan.changed <= number < plan.last else 0
        version = _BEFORE if number < plan.changed else _AFTER
        fleet.add_server(version)
        if number == plan.last:
            seen.mixed_s, seen.answered = time.monotonic() - began_s, fleet.answered() - answered_before
        fleet.stop_server(index)
        fleet.stop_worker(index)
        fleet.add_worker(version)
        told(f"round {number + 1} of {plan.rounds}: replaced by the version {version}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.upgrade", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how often a serve and a work are replaced")
    parser.add_argument(
        "--before", metavar="COMMIT", help="upgrade from this commit to this tree; else from this tree to a made-up one"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        trees = Path(home) / "trees"
        before = of_commit(given.before, trees / _BEFORE) if given.before else REPOSITORY
        after = REPOSITORY if given.before else next_version(trees / _AFTER)
        seen = rehearse(Path(home), before, after, Plan.of(given.rounds), _tell)
    print(seen.told())
    return int(bool(seen.failed or seen.lost or seen.doubled or seen.wrong_sums))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
