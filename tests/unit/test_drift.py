"""The check of the sums: what it looks at, when, and what it tells."""

from itertools import pairwise
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Gauge

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.errors import Unavailable
from tests.contracts.metadata_contract import StillClock
from tests.fakes.analytics import FakeEventStore
from tests.fakes.metadata import FakeCampaigns
from tests.unit.worker_support import AT_ONCE, Bench
from worker.drift import DriftCheck

DAY_S = 86_400.0
TODAY = 20_727  # 2026-10-01, where StillClock stands


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
def store() -> FakeEventStore:
    return FakeEventStore()


@pytest.fixture
def gauge() -> Gauge:
    return Gauge("drift", "of a test", registry=CollectorRegistry())


def checking(
    store: FakeEventStore, clock: StillClock, gauge: Gauge, *, campaigns: int = 3, every_s: float = DAY_S
) -> DriftCheck:
    known = FakeCampaigns()
    for number in range(1, campaigns + 1):
        known.add(number)
    return DriftCheck(
        store,
        known,
        partition_of=partition_for_key,
        window_days=7,
        retention_days=400,
        every_s=every_s,
        clock=clock,
        gauge=gauge,
    )


def spoil(store: FakeEventStore, campaign_id: int, day: int) -> None:
    store.rollup[campaign_id, day, "meta", "ZZ", "USD"] = [1, 5, 0, 0, 0, 0]


def value(gauge: Gauge) -> float:
    return next(iter(gauge.collect())).samples[0].value


def run_a_round(check: DriftCheck, clock: StillClock, partitions: tuple[int, ...] = (0,), of: int = 1) -> None:
    for _ in range(2 * 24 * 60):
        clock.advance(60)
        check.turn(partitions, of)


def test_differences_are_counted_until_they_are_made_right(
    store: FakeEventStore, clock: StillClock, gauge: Gauge, caplog: pytest.LogCaptureFixture
) -> None:
    check = checking(store, clock, gauge)
    spoil(store, 1, TODAY - 3)
    spoil(store, 1, TODAY - 60)
    spoil(store, 3, TODAY)
    run_a_round(check, clock)
    assert value(gauge) == 3
    assert "campaignctl reaggregate --campaign 3" in caplog.text
    store.rollup.clear()
    run_a_round(check, clock)
    assert value(gauge) == 0


def test_a_campaign_whose_sums_were_made_anew_is_looked_at_at_once(
    store: FakeEventStore, clock: StillClock, gauge: Gauge
) -> None:
    check = checking(store, clock, gauge)
    spoil(store, 1, TODAY - 3)
    spoil(store, 1, TODAY - 60)
    spoil(store, 2, TODAY)
    run_a_round(check, clock)
    assert value(gauge) == 3
    del store.rollup[1, TODAY - 3, "meta", "ZZ", "USD"]
    check.look_again(1)
    check.look_again(3)  # nothing was told of it
    check.turn((0,), 1)
    assert value(gauge) == 2, "the older month still differs"
    store.rollup.clear()
    check.look_again(1)
    check.look_again(2)
    check.turn((0,), 1)
    check.turn((0,), 1)
    assert value(gauge) == 0


def test_a_store_that_is_away_is_asked_again_after_a_while(
    store: FakeEventStore, clock: StillClock, gauge: Gauge
) -> None:
    check = checking(store, clock, gauge)
    spoil(store, 1, TODAY)
    run_a_round(check, clock)

    def away(name: str) -> None:
        if name == "recount":
            raise Unavailable("away", service="analytics")

    store.fault = away
    check.look_again(1)
    with pytest.raises(Unavailable):
        check.turn((0,), 1)
    store.fault = lambda name: None
    store.rollup.clear()
    check.turn((0,), 1)
    assert value(gauge) == 1, "not at once"
    clock.advance(10)
    check.turn((0,), 1)
    assert value(gauge) == 0


def test_only_campaigns_of_own_partitions_are_looked_at(store: FakeEventStore, clock: StillClock, gauge: Gauge) -> None:
    check = checking(store, clock, gauge, campaigns=20)
    for number in range(1, 21):
        spoil(store, number, TODAY)
    ours = sum(partition_for_key(str(number).encode(), 4) in (1, 2) for number in range(1, 21))
    run_a_round(check, clock, (1, 2), 4)
    assert value(gauge) == ours
    run_a_round(check, clock, (), 4)
    assert value(gauge) == 0


def test_days_whose_raw_records_are_gone_are_no_difference(
    store: FakeEventStore, clock: StillClock, gauge: Gauge
) -> None:
    check = checking(store, clock, gauge)
    spoil(store, 1, TODAY - 402)
    run_a_round(check, clock)
    assert value(gauge) == 0


def test_an_interval_of_0_never_looks(store: FakeEventStore, clock: StillClock, gauge: Gauge) -> None:
    check = checking(store, clock, gauge, every_s=0)
    store.fault = lambda name: pytest.fail(f"asked for {name}")
    run_a_round(check, clock)


def test_a_round_is_spread_over_the_interval(store: FakeEventStore, clock: StillClock, gauge: Gauge) -> None:
    check = checking(store, clock, gauge, campaigns=10)
    for number in range(1, 11):
        spoil(store, number, TODAY)
    asked: list[float] = []

    def count(name: str) -> None:
        if name == "recount":
            asked.append(clock.monotonic_s())

    store.fault = count
    run_a_round(check, clock)
    gaps = [after - before for before, after in pairwise(asked)]
    assert len(asked) >= 10
    assert min(gaps) >= DAY_S / 40


def test_the_worker_looks_between_its_batches(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.produce(b'{"event_id": "a", "campaign_id": 1, "platform": "meta", "event_time": "2026-11-20T00:00:00Z"}')
    bench.drain()
    spoil(bench.store, 1, 20_777)
    check = DriftCheck(
        bench.store,
        bench.campaigns,
        partition_of=partition_for_key,
        window_days=7,
        retention_days=400,
        every_s=0.01,
        clock=bench.clock,
        gauge=bench.metrics.drift,
    )
    worker = bench.worker(policy=AT_ONCE, drift_check=check, failpoint=lambda name: turned(name))
    turns = 0

    def turned(name: str) -> None:
        nonlocal turns
        turns += name == "after_poll"
        if bench.metric("rollup_drift_rows") or turns > 500:
            worker.stop()

    worker.run()
    assert bench.metric("rollup_drift_rows") == 1
    bench.close()
