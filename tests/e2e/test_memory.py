"""A worker's memory while hundreds of thousands of events pass: flat, but for the ids that it must remember."""

import statistics
from pathlib import Path

import pytest

from tests.bench.events import write_events
from tests.bench.memory import worker_memory

EVENTS = 400_000
MOST_MIB = 340
MOST_GROWTH = 1.10


@pytest.mark.timeout(600)
def test_memory_is_flat_after_warming_up(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    write_events(file, EVENTS)
    used = worker_memory(file, tmp_path / "data")
    samples, window = used.rss_mib, used.window_mib
    assert window > 4, "16 bytes an id"
    fifth = len(samples) // 5
    middle = statistics.median(samples[2 * fifth : 3 * fifth]) - window / 2
    last = statistics.median(samples[4 * fifth :]) - window
    assert last <= middle * MOST_GROWTH, (middle, last, samples)
    assert max(samples) <= MOST_MIB, samples
