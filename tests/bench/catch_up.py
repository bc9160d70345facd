"""How far workers fall behind and how long they take to catch up, simulated from what one of them does a second.

``python -m tests.bench.catch_up`` prints the tables of docs/operations.md. A campaign's events are all in one partition, a
partition is one worker's, a worker does so many events a second over all of its partitions: that is all there is to it, and
the numbers follow from the rate that was measured. ``--worker-rate`` takes the rate of your machines.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from campaignctl.adapters.event_log.partitioner import partition_for_key

WORKER_EVENTS_PER_S = 95_034.0
"""``make bench ARGS="--only servers"``, one process: docs/performance.md."""
SERVER_CPU_S_PER_MILLION = 2.7
"""What ClickHouse took for the same, merges under way included."""
_USED = 0.6
"""How much of a worker, a partition or a core is planned for: the rest is for rebalances, bursts and catching up."""
_SHARD_CORES = 16
_SHARD_INSERT_PART = 0.25
"""How much of a shard may go into inserts: the rest is for merges and questions."""
_STEP_S = 1.0
_LONGEST_S = 7 * 86_400.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of an outage."""

    peak_lag: float
    """Records that waited when the workers were back."""
    caught_up_s: float
    """From their being back until nothing waits any more; ``inf``: never, or later than the log keeps records."""
    oldest_s: float
    """How old the oldest record was when it was counted, at the worst."""


def shares(campaigns: int, partitions: int, *, exponent: float = 1.0) -> list[float]:
    """Of each partition the part of all events, when the n-th largest campaign has 1/n to the ``exponent`` of the largest.

    0 has all campaigns equal.
    """
    found = [0.0] * partitions
    for n in range(1, campaigns + 1):
        found[partition_for_key(str(n).encode(), partitions)] += n**-exponent
    total = sum(found)
    return [part / total for part in found]


def outage(
    partition_shares: Sequence[float], workers: int, *, events_per_s: float, worker_rate: float, outage_s: float
) -> Outcome:
    """Nothing is counted for so long, then everybody works; events come in all the while.

    Partitions are dealt out in turn. A worker goes round its partitions, and gives what one does not need to the others.
    """
    lags = [share * events_per_s * outage_s for share in partition_shares]
    arriving = [share * events_per_s * _STEP_S for share in partition_shares]
    owned = [range(worker, len(lags), workers) for worker in range(min(workers, len(lags)))]
    peak, passed_s, oldest_s = sum(lags), 0.0, outage_s
    while sum(lags) > 0:
        if passed_s >= _LONGEST_S or (
            passed_s > 0 and not _shrinks(partition_shares, owned, events_per_s, worker_rate)
        ):
            return Outcome(peak, math.inf, math.inf)
        for partitions in owned:
            _count(lags, arriving, partitions, worker_rate * _STEP_S)
        passed_s += _STEP_S
        waits = (lag / (share * events_per_s) for lag, share in zip(lags, partition_shares, strict=True) if share)
        oldest_s = max(oldest_s, max(waits))
    return Outcome(peak, passed_s, oldest_s)


def _shrinks(
    partition_shares: Sequence[float], owned: Sequence[range], events_per_s: float, worker_rate: float
) -> bool:
    return all(sum(partition_shares[n] for n in mine) * events_per_s < worker_rate for mine in owned)


def _count(lags: list[float], arriving: Sequence[float], partitions: range, can: float) -> None:
    """One step of a worker: the same for each partition that has something, until nothing or no time is left."""
    for n in partitions:
        lags[n] += arriving[n]
    waiting = [n for n in partitions if lags[n] > 0]
    while waiting and can > 1e-9:
        each = can / len(waiting)
        for n in waiting:
            done = min(each, lags[n])
            lags[n] -= done
            can -= done
        waiting = [n for n in waiting if lags[n] > 1e-9]
    for n in partitions:
        if lags[n] <= arriving[n] * 1e-6:
            lags[n] = 0.0


@dataclass(frozen=True, slots=True)
class Advice:
    workers: int
    partitions: int
    shards: int
    insert_cores: float
    """Cores of ClickHouse, over all shards, that inserts alone keep busy."""


def advise(events_per_s: float, *, worker_rate: float = WORKER_EVENTS_PER_S, largest_share: float = 0.0) -> Advice:
    """For a peak of so many events a second, of which the largest campaign has ``largest_share``.

    Raises ``ValueError`` when that campaign alone is more than one worker can do: no number of partitions helps it.
    """
    if events_per_s * largest_share > worker_rate:
        raise ValueError(
            f"the largest campaign has {events_per_s * largest_share:,.0f} events a second, one worker does"
            f" {worker_rate:,.0f}: split it into several campaigns"
        )
    workers = math.ceil(events_per_s / (worker_rate * _USED))
    partitions = 4
    while partitions < 2 * workers:  # so that the workers can be doubled without moving a campaign
        partitions *= 2
    cores = events_per_s / 1e6 * SERVER_CPU_S_PER_MILLION
    return Advice(workers, partitions, max(1, math.ceil(cores / (_SHARD_CORES * _SHARD_INSERT_PART))), cores)


_WORKERS = (1, 4, 16, 64)
_PARTITIONS = 128
_CAMPAIGNS = 10_000
_OUTAGE_S = 3_600.0
_RATES = (5_000.0, 20_000.0, 100_000.0, 400_000.0)
_ADVISED = (1_000.0, 10_000.0, 50_000.0, 100_000.0, 250_000.0, 1_000_000.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.catch_up", description=__doc__)
    parser.add_argument("--worker-rate", type=float, default=WORKER_EVENTS_PER_S, help="events a second of one worker")
    rate = parser.parse_args().worker_rate
    even, skewed = shares(_CAMPAIGNS, _PARTITIONS, exponent=0.0), shares(_CAMPAIGNS, _PARTITIONS, exponent=0.7)
    print(
        f"An hour without workers, {_PARTITIONS} partitions, {_CAMPAIGNS:,} campaigns; a worker does {rate:,.0f} a second.\n"
    )
    print(
        "| events/s | waiting after it | "
        + " | ".join(f"{workers} worker{'s' * (workers > 1)}" for workers in _WORKERS)
        + " |"
    )
    print("|---" * (2 + len(_WORKERS)) + "|")
    for events_per_s in _RATES:
        cells = []
        for workers in _WORKERS:
            both = [
                outage(one, workers, events_per_s=events_per_s, worker_rate=rate, outage_s=_OUTAGE_S)
                for one in (even, skewed)
            ]
            cells.append(" / ".join(_shown(outcome.caught_up_s) for outcome in both))
        print(f"| {events_per_s:,.0f} | {events_per_s * _OUTAGE_S / 1e6:,.0f} M | {' | '.join(cells)} |")
    print(f"\nThe largest partition has {max(even):.1%} / {max(skewed):.1%} of the events.\n")
    print(
        "| events/s at the peak | workers | partitions | shards | ClickHouse cores for inserts |\n|---|---|---|---|---|"
    )
    for events_per_s in _ADVISED:
        advice = advise(events_per_s, worker_rate=rate)
        print(
            f"| {events_per_s:,.0f} | {advice.workers} | {advice.partitions} | {advice.shards} | {advice.insert_cores:.1f} |"
        )
    return 0


def _shown(seconds: float) -> str:
    if seconds == math.inf:
        return "never"
    return f"{seconds / 60:,.0f} min" if seconds < 7_200 else f"{seconds / 3_600:,.1f} h"


if __name__ == "__main__":
    sys.exit(main())
