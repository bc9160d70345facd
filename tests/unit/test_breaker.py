"""A partition stops when everything is suddenly refused, and only then."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import eventually
from tests.unit.test_worker import fresh
from tests.unit.worker_support import Bench
from worker.batching import FlushPolicy
from worker.breaker import BreakerPolicy

POLICY = BreakerPolicy(bad_share=0.5, records=100)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.session._STALLED_RETRY_S", 0.05)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def good(prefix: str, count: int) -> list[bytes]:
    return [fresh(f"{prefix}{number}") for number in range(count)]


def test_a_sudden_rise_stops_the_partition_until_it_is_put_right(bench: Bench) -> None:
    bench.produce(*good("before", 500))
    bench.drain(breaker=POLICY)
    known = bench.campaigns.facts[1]
    bench.campaigns.remove(1)  # as after a release that reads another database
    bench.produce(*good("after", 300))
    worker = bench.worker(breaker=POLICY, poll_records=40)
    thread = worker.run_in_thread()
    eventually(lambda: bench.metric("ingest_stops_total") >= 2)
    assert "300" not in str(bench.letters)
    sent_away = len(bench.letters)
    assert sent_away < 100
    assert "events.stop_at_bad_percent" in worker.status().problems[0]
    bench.campaigns.facts[1] = known
    eventually(lambda: bench.is_drained() and not worker.status().problems)
    assert thread.stop()
    assert len(bench.ids) == 800 - sent_away
    assert len(bench.letters) == sent_away


def test_while_it_stands_nothing_trickles_away(bench: Bench) -> None:
    bench.produce(*good("before", 500))
    bench.drain(breaker=POLICY)
    bench.produce(*[b"{"] * 300)
    worker = bench.worker(breaker=POLICY, poll_records=40)
    thread = worker.run_in_thread()
    eventually(lambda: bench.metric("ingest_stops_total") >= 1)
    sent_away = len(bench.letters)
    eventually(lambda: bench.metric("ingest_stops_total") >= 6)
    assert thread.stop()
    assert len(bench.letters) == sent_away < 100


@pytest.mark.parametrize(
    ("before", "bad", "policy"),
    [
        ([], 500, POLICY),  # nothing is known of what was before
        (good("few", 99), 500, POLICY),
        ([*good("some", 100), *[b"{"] * 400], 500, POLICY),  # it was bad all along
        (good("many", 500), 99, POLICY),
        (good("many", 500), 500, BreakerPolicy(bad_share=0.0, records=100)),
    ],
)
def test_what_never_stops_anything(bench: Bench, before: list[bytes], bad: int, policy: BreakerPolicy) -> None:
    bench.produce(*before)
    bench.drain(breaker=policy)
    letters = len(bench.letters)
    bench.produce(*[b"{"] * bad)
    bench.drain(breaker=policy, poll_records=50)
    assert len(bench.letters) == letters + bad
    assert bench.metric("ingest_stops_total") == 0


def test_many_bad_ones_among_more_good_ones_stop_nothing(bench: Bench) -> None:
    bench.produce(*good("before", 300))
    mixed = [value for number in range(300) for value in (fresh(f"g{number}"), fresh(f"h{number}"), b"{")]
    bench.produce(*mixed)
    bench.drain(breaker=POLICY, poll_records=90)
    assert len(bench.letters) == 300
    assert bench.metric("ingest_stops_total") == 0


def test_a_bad_record_now_and_then_never_stops_anything(bench: Bench) -> None:
    """However many they become in the end: what counted between them counts here as well."""
    few = BreakerPolicy(bad_share=0.5, records=20)
    bench.produce(*good("before", 60))
    for number in range(30):
        bench.produce(*good(f"between{number}-", 3), b"{")
    bench.drain(breaker=few, policy=FlushPolicy(rows=1, age_s=0.0, pause_s=0.0), poll_records=1)
    assert len(bench.ids) == 150
    assert len(bench.letters) == 30
    assert bench.metric("ingest_stops_total") == 0
