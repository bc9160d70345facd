"""Reports through the worker: crashes at every step, a store that fails, an offset set back."""

import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import NewRecord
from campaignctl.ports.reports import NativeCampaign
from campaignctl.services.own_records import OWN_KIND_HEADER, REPORT_HEADERS
from tests.support.fetches import FetchHistory, records_of, told_in
from tests.unit.test_worker import FAILPOINTS, fresh
from tests.unit.worker_support import EVENTS, GROUP, Bench, both, once
from worker.batching import FlushPolicy


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.partition._FIRST_PAUSE_S", 0.005)
    monkeypatch.setattr("worker.session._FIRST_RETRY_S", 0.02)
    monkeypatch.setattr("campaignctl.services.landing._SETTLE_S", 0.01)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = Bench(tmp_path)
    yield made
    made.close()


def produce(bench: Bench, history: FetchHistory, *, events: bool = True) -> None:
    for number, fetch in enumerate(history.fetches):
        bench.log.produce(EVENTS, records_of(fetch))
        if events:
            bench.produce(fresh(f"e{number}"))


def landed(bench: Bench) -> list[Any]:
    """Everything that landed, as (offset, account, content); in order, repeated ones too."""
    return sorted(((one[0].offset, *one[1:]) for *_, one in (*bench.store.slices, *bench.store.coverage)), key=repr)


def expected(bench: Bench) -> list[Any]:
    return sorted(((one.place[0], one.account, one.what) for one in told_in(bench.log, EVENTS)), key=repr)


def test_reports_land_with_the_events_around_them(bench: Bench) -> None:
    history = FetchHistory(1, fetches=9)
    own, other = history.natives[0], NativeCampaign(2, "meta", "1", "campaign", "a")
    bench.campaigns.claims = {own: 5, other: 6}
    produce(bench, history)
    bench.drain()
    assert landed(bench) == expected(bench) != []
    assert len(bench.ids) == len(history.fetches)
    assert bench.campaigns.bumps[5] > 0
    assert bench.campaigns.bumps[6] == 0
    applied = sum(bench.metric("report_slices_total", platform=platform) for platform in ("meta", "linkedin"))
    assert applied == len(bench.store.slices)


def test_what_is_damaged_or_of_another_kind_is_counted_and_does_nothing(bench: Bench) -> None:
    unknown = ((OWN_KIND_HEADER, b"later"),)
    bench.log.produce(EVENTS, [NewRecord(b"x", b"{", REPORT_HEADERS), NewRecord(b"x", b"{", unknown)])
    bench.drain()
    assert bench.metric("own_records_ignored_total") == 2
    assert bench.letters == []
    assert landed(bench) == []


@pytest.mark.parametrize("name", FAILPOINTS)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_crash_at_any_step_loses_and_repeats_nothing(bench: Bench, name: str, times: int) -> None:
    produce(bench, FetchHistory(2, fetches=12))
    for _ in range(3):
        log = bench.open_log()
        worker = bench.worker(
            log=log,
            policy=FlushPolicy(rows=8, pause_s=0.0),
            failpoint=both(once(name, times), bench.stop_when_drained(lambda: worker)),  # noqa: B023
        )
        bench.crash(worker, log)
    bench.drain()
    assert landed(bench) == expected(bench)


@pytest.mark.parametrize("seed", range(10))
def test_failures_of_the_store_are_made_good(bench: Bench, seed: int) -> None:
    rng = random.Random(seed)
    faulty = {"append_slices", "append_coverage", "landed_reports"}
    bench.store.fault = lambda name: (
        rng.choice(("before", "after", "hole")) if name in faulty and rng.random() < 0.4 else None
    )
    produce(bench, FetchHistory(seed, fetches=8))
    bench.drain(policy=FlushPolicy(rows=rng.randint(1, 20), pause_s=0.0))
    assert landed(bench) == expected(bench)


@pytest.mark.parametrize("call", ["erased_campaigns", "campaigns_claiming"])
def test_metadata_away_stops_nothing_for_good(bench: Bench, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    history = FetchHistory(1, fetches=9)
    bench.campaigns.claims = {history.natives[0]: 5}
    produce(bench, history, events=False)
    tries, answer = count(), getattr(bench.campaigns, call)

    def away_at_first(*asked: Any) -> Any:
        if next(tries) < 3:
            raise Unavailable("The metadata store is away.", service="metadata")
        return answer(*asked)

    monkeypatch.setattr(bench.campaigns, call, away_at_first)
    bench.drain()
    assert next(tries) > 3
    assert landed(bench) == expected(bench)
    assert bench.campaigns.bumps[5] > 0


def test_an_offset_set_back_fills_in_what_is_missing(bench: Bench) -> None:
    produce(bench, FetchHistory(3, fetches=10))
    bench.drain()
    bench.store.slices = bench.store.slices[::2]
    bench.store.coverage = bench.store.coverage[1:]
    consumer = bench.log.consumer(EVENTS, GROUP)
    while 0 not in consumer.poll(1, 0.1).gained:
        pass
    consumer.commit(0, 0, "")
    consumer.close()
    bench.drain()
    offsets = {offset for offset, *_ in expected(bench)}
    assert {offset for offset, *_ in landed(bench)} == offsets
    assert bench.metric("ingest_holes_total") > 0
