"""The arithmetic of the simulation, where it can be done by hand."""

import math

import pytest

from tests.bench.catch_up import advise, outage, shares

_EVEN = [0.25] * 4


@pytest.mark.parametrize(
    ("workers", "caught_up_s"),
    [
        (1, 100.0),  # 10,000 wait; one does 200 a second while 100 come in
        (2, 34.0),  # 300 a second more than come in: 33 1/3, in whole seconds
        (4, 15.0),  # 700: 14.3
        (8, 15.0),  # four partitions are four workers' at most
    ],
)
def test_what_waits_is_done_at_the_rate_that_is_left(workers: int, caught_up_s: float) -> None:
    found = outage(_EVEN, workers, events_per_s=100, worker_rate=200, outage_s=100)
    assert found.peak_lag == pytest.approx(10_000)
    assert found.caught_up_s == caught_up_s
    assert found.oldest_s == 100.0


def test_who_cannot_keep_up_never_catches_up() -> None:
    assert outage(_EVEN, 1, events_per_s=200, worker_rate=200, outage_s=10).caught_up_s == math.inf


def test_one_partition_that_is_too_large_holds_all_up() -> None:
    """Four workers could do 400 a second of 150, and the one with the large partition does 100 of its 105."""
    assert outage([0.7, 0.1, 0.1, 0.1], 4, events_per_s=150, worker_rate=100, outage_s=10).caught_up_s == math.inf
    # 70 of 100 come into it, so it catches up 30 a second: 700 take 23 1/3 s.
    found = outage([0.7, 0.1, 0.1, 0.1], 4, events_per_s=100, worker_rate=100, outage_s=10)
    assert found.caught_up_s == 24.0


def test_a_worker_gives_one_partitions_time_to_another() -> None:
    """1,000 wait in one of its two partitions, which is as fast as one partition alone."""
    both = outage([1.0, 0.0], 1, events_per_s=10, worker_rate=110, outage_s=100)
    assert both.caught_up_s == outage([1.0], 1, events_per_s=10, worker_rate=110, outage_s=100).caught_up_s == 10.0


def test_shares_are_of_one_and_by_the_products_own_partitioner() -> None:
    even = shares(10_000, 8, exponent=0.0)
    assert sum(even) == pytest.approx(1.0)
    assert max(even) < 1.2 / 8
    assert max(shares(10_000, 8, exponent=1.5)) > 1 / 3, "the largest campaign alone has more than a third"


def test_advice() -> None:
    """A million a second at 60 % of 10,000 each: 167 workers, and partitions for twice as many, a power of two."""
    found = advise(1_000_000, worker_rate=10_000)
    assert (found.workers, found.partitions, found.shards) == (167, 512, 1)
    assert found.insert_cores == pytest.approx(2.7)
    assert advise(1_000, worker_rate=10_000).partitions == 4
    with pytest.raises(ValueError, match="split it"):
        advise(100_000, worker_rate=10_000, largest_share=0.2)
