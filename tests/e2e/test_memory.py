"""A worker's memory while hundreds of thousands of events pass: flat, but for the ids that it must remember."""

import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.events import write_events
from tests.support.program import REPOSITORY

EVENTS = 400_000
MOST_MIB = 390
MOST_GROWTH = 1.10


@pytest.mark.timeout(300)
def test_memory_is_flat_after_warming_up(tmp_path: Path) -> None:
    file = tmp_path / "events.ndjson"
    write_events(file, EVENTS)
    command = [sys.executable, "-m", "tests.bench.ingest", "worker", str(file), str(tmp_path / "data")]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=280, check=False)
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    samples, window = result["rss_mib"], result["window_mib"]
    fifth = len(samples) // 5
    middle = statistics.median(samples[2 * fifth : 3 * fifth]) - window / 2
    last = statistics.median(samples[4 * fifth :]) - window
    assert last <= middle * MOST_GROWTH, (middle, last, samples)
    assert max(samples) <= MOST_MIB, samples
