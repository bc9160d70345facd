"""When a partition's records are due, and that none is lost between being read and being taken."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.ports.event_log import RecordBatch
from worker.batching import FlushPolicy, PartitionBuffer

POLICY = FlushPolicy(rows=10, bytes=1_000, age_s=0.5, pause_s=0.2)


def batch(offsets: Sequence[int], next_offset: int, *, size: int = 1) -> RecordBatch:
    count = len(offsets)
    values = [str(offset).encode().ljust(size) for offset in offsets]
    return RecordBatch(0, list(offsets), list(offsets), [None] * count, values, [()] * count, next_offset)


def test_nothing_is_never_due() -> None:
    assert POLICY.due_in_s(PartitionBuffer(0, 0), 5.0, drained=True) == float("inf")


def test_a_full_batch_is_due_at_once() -> None:
    buffer = PartitionBuffer(0, 0)
    buffer.add(batch(range(10), 10), 1.0)
    assert POLICY.due_in_s(buffer, 1.0, drained=False) == 0
    buffer = PartitionBuffer(0, 0)
    buffer.add(batch(range(2), 2, size=500), 1.0)
    assert POLICY.due_in_s(buffer, 1.0, drained=False) == 0


def test_a_lone_record_is_due_at_once_when_the_log_has_no_more() -> None:
    buffer = PartitionBuffer(0, 0)
    buffer.add(batch([0], 1), 1.0)
    assert POLICY.due_in_s(buffer, 1.0, drained=True) == 0
    assert round(POLICY.due_in_s(buffer, 1.1, drained=False), 6) == 0.4


def test_a_trickle_lands_no_more_often_than_every_pause() -> None:
    buffer = PartitionBuffer(0, 0)
    buffer.add(batch([0], 1), 1.0)
    buffer.take(1.0)
    buffer.add(batch([1], 2), 1.05)
    assert round(POLICY.due_in_s(buffer, 1.05, drained=True), 6) == 0.15
    assert POLICY.due_in_s(buffer, 1.2, drained=True) == 0


def test_age_is_that_of_the_oldest_record() -> None:
    buffer = PartitionBuffer(0, 0)
    buffer.add(batch([0], 1), 1.0)
    buffer.add(batch([1], 2), 1.4)
    assert POLICY.due_in_s(buffer, 1.5, drained=False) == 0


@pytest.mark.parametrize(("lag_s", "due_s"), [(0.0, 0.5), (4.0, 0.5), (20.0, 2.0), (1e6, 5.0), (-1e6, 0.5)])
def test_records_that_lay_in_the_log_for_long_may_wait_longer_for_a_large_batch(lag_s: float, due_s: float) -> None:
    buffer = PartitionBuffer(0, 0)
    buffer.add(batch([0], 1), 1.0, lag_s)
    buffer.add(batch([1], 2), 1.4, 0.0)
    assert round(POLICY.due_in_s(buffer, 1.0, drained=False), 6) == due_s
    assert POLICY.due_in_s(buffer, 1.0, drained=True) == 0
    buffer.take(2.0)
    buffer.add(batch([2], 3), 2.0)
    assert round(POLICY.due_in_s(buffer, 2.0, drained=False), 6) == 0.5


@given(
    gaps=st.lists(st.integers(0, 3), min_size=1, max_size=40),
    cuts=st.lists(st.integers(1, 40), max_size=6),
    ends=st.lists(st.integers(0, 140), max_size=6),
)
def test_ranges_follow_each_other_and_hold_every_record_once(gaps: list[int], cuts: list[int], ends: list[int]) -> None:
    """Offsets with gaps, read in pieces, taken up to any ends."""
    offsets, at = [], 5
    for gap in gaps:
        at += gap
        offsets.append(at)
        at += 1
    buffer, start = PartitionBuffer(0, 5), 0
    for cut in [*sorted(set(cuts)), len(offsets)]:
        piece = offsets[start:cut]
        if piece:
            following = offsets[cut] if cut < len(offsets) else at
            buffer.add(batch(piece, following), 0.0)
        start = max(start, cut)
    taken, position = [], 5
    for end in [*sorted(ends), None]:
        if end is not None and end < position:
            continue
        ranged = buffer.take(0.0, end=end)
        assert ranged.start == position
        assert all(ranged.start <= offset < ranged.end for offset in ranged.records.offsets)
        assert end is None or ranged.end <= max(end, position)
        taken += ranged.records.offsets
        position = ranged.end
    assert taken == offsets
    assert position == at
    assert len(buffer) == buffer.size_bytes == 0


def test_offsets_without_gaps_stay_a_range() -> None:
    buffer = PartitionBuffer(0, 5)
    for piece in (range(5, 8), range(8, 8), range(8, 9)):
        buffer.add(replace(batch(piece, piece.stop), offsets=piece), 0.0)
    assert buffer.take(0.0).records.offsets == range(5, 9)
    buffer.add(batch([11], 12), 0.0)
    buffer.add(batch([12, 14], 15), 0.0)
    assert buffer.take(0.0).records.offsets == [11, 12, 14]
