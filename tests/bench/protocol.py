"""What counting once costs: the worker beside itself with all that makes it so switched off.

Without, it is a plain consumer that commits behind its insert: no intents, no tokens, no deduplication window and nothing
looked up (``tests.chaos.unprotected``); it counts the copies among the events, so it has two in a hundred rows more to
write. Both take turns, on embedded stores and, where ``CA_TEST_`` variables name servers, on Kafka and ClickHouse.

``python -m tests.bench.protocol with|without FILE DIR`` is one run on embedded stores, and prints one line of JSON.
"""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tests.bench.events import CAMPAIGNS, write_events
from tests.bench.ingest import from_log, produce
from tests.bench.usage import Usage
from tests.chaos.unprotected import everything
from tests.support.program import REPOSITORY
from tests.support.thread import open_thread

MODULES = {"with": "campaignctl", "without": "tests.chaos.unprotected"}
Costs = tuple[float, float]
"""Seconds, and CPU seconds."""


def compare(directory: Path, events: int, rounds: int) -> None:
    """Let both take turns, and print medians and ratios."""
    file = directory / "events.ndjson"
    write_events(file, events)
    print(f"counting once: {events:,} events, {rounds} rounds in turns, medians")
    print(f"  {'':40}{'s':>8}{'CPU s':>8}{'throughput':>12}{'per CPU s':>11}   of without")
    _compare("embedded stores", rounds, partial(_embedded, directory, file))
    if "CA_TEST_KAFKA_BROKERS" in os.environ:
        from tests.bench.servers import full_log

        with full_log(directory, file) as places:
            _compare("Kafka and ClickHouse", rounds, partial(_on_servers, directory, places))


def _compare(where: str, rounds: int, run: Callable[[str, int], Costs]) -> None:
    costs: dict[str, list[Costs]] = {variant: [] for variant in MODULES}
    for turn in range(rounds):
        for variant in MODULES if turn % 2 else reversed(MODULES):
            costs[variant].append(run(variant, turn))
    without = _medians(costs["without"])
    for variant in MODULES:
        seconds, cpu_s = _medians(costs[variant])
        name = f"{where}, {variant}"
        print(f"  {name:40}{seconds:>8.2f}{cpu_s:>8.2f}{without[0] / seconds:>12.2f}{without[1] / cpu_s:>11.2f}")
    print(f"  rounds, s and CPU s: {costs}")


def _medians(costs: Sequence[Costs]) -> Costs:
    return statistics.median(one[0] for one in costs), statistics.median(one[1] for one in costs)


def _embedded(directory: Path, file: Path, variant: str, turn: int) -> Costs:
    command = (sys.executable, "-m", "tests.bench.protocol", variant, str(file), str(directory / f"{variant}-{turn}"))
    ran = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    if ran.returncode:
        raise SystemExit(f"{variant} failed:\n{ran.stderr[-3000:]}")
    taken = json.loads(ran.stdout.splitlines()[-1])
    return taken["seconds"], taken["cpu_s"]


def _on_servers(directory: Path, places: dict[str, str], variant: str, turn: int) -> Costs:
    """CPU of the worker and of ClickHouse."""
    from tests.bench.servers import by_workers, in_own_tables

    taken = in_own_tables(places, turn, lambda own: by_workers(directory, own, 1, MODULES[variant]))
    return taken.seconds, taken.cpu_s


def main() -> int:
    variant, file, directory = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if variant == "without":
        everything()
    with open_thread(directory) as thread:
        thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
        produce(thread, file)
        with Usage() as usage:
            from_log(thread, file)
    sys.stdout.write(json.dumps({"seconds": usage.seconds, "cpu_s": usage.cpu_s}) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
