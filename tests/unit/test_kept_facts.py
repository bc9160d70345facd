"""Facts that a process keeps of a server's: how old they may be, and that they never go back."""

import threading
from collections.abc import Collection, Iterator
from dataclasses import replace

import pytest

from campaignctl.adapters.metadata.kept_facts import KEPT_S, KeptFacts
from campaignctl.errors import Unavailable
from campaignctl.ports.metadata import CampaignFacts
from tests.fakes.clock import ManualClock
from tests.support.waiting import eventually

FACTS = CampaignFacts(1, 1, "UTC", "USD", ("meta",), version=1, data_version=5, rates_version=0)
NEWER = replace(FACTS, data_version=6)


class Bench:
    """What is kept of a server whose campaigns the test sets; only what the test does reads again."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(threading.Thread, "start", lambda _thread: None)
        self.clock = ManualClock()
        self.server: dict[int, CampaignFacts] = {1: FACTS}
        self.asked: list[list[int]] = []
        self.down = False
        self.takes_s = 0.0
        self.kept = KeptFacts(self._read, self.clock.monotonic_s)

    def _read(self, campaign_ids: Collection[int]) -> dict[int, CampaignFacts]:
        self.asked.append(sorted(campaign_ids))
        found = {one: self.server[one] for one in campaign_ids if one in self.server}
        self.clock.advance(self.takes_s)
        if self.down:
            raise Unavailable("PostgreSQL does not answer", service="metadata", hint="wait")
        return found

    def read(self, *campaign_ids: int) -> None:
        """As the store does for whoever asks it."""
        began_s = self.clock.monotonic_s()
        self.kept.note(began_s, self._read(campaign_ids), campaign_ids)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_what_was_read_is_given_for_half_a_second_from_before_it_was_read(bench: Bench) -> None:
    assert bench.kept.find(1) is None
    bench.takes_s = 0.3
    bench.read(1)
    bench.server[1] = NEWER
    assert bench.kept.find(1) == FACTS
    bench.clock.advance(KEPT_S - 0.3)
    assert bench.kept.find(1) == FACTS
    bench.clock.advance(0.01)
    assert bench.kept.find(1) is None
    bench.read(1)
    assert bench.kept.find(1) == NEWER


def test_what_is_asked_for_is_read_again_and_what_is_not_is_not(bench: Bench) -> None:
    bench.server[2] = replace(FACTS, id=2)
    bench.read(1)
    bench.read(2)
    for data_version in range(6, 20):
        bench.clock.advance(0.2)
        bench.server[1] = replace(FACTS, data_version=data_version)
        found = bench.kept.find(1)
        assert found is not None and found.data_version == data_version - 1
        assert bench.kept.refresh()
        assert bench.asked[-1] == [1]
        assert bench.kept.find(1) == bench.server[1]
        assert bench.kept.refresh()  # it was asked for
    assert not bench.kept.refresh()
    assert bench.kept.find(2) is None


@pytest.mark.parametrize("takes_s", [0.0, 2.0])
def test_a_server_that_is_away_or_frozen_leaves_nothing_to_give(bench: Bench, takes_s: float) -> None:
    bench.read(1)
    bench.down, bench.takes_s = True, takes_s
    assert bench.kept.find(1) == FACTS
    assert bench.kept.refresh()
    bench.clock.advance(KEPT_S + 0.01)
    assert bench.kept.find(1) is None
    bench.down, bench.takes_s = False, 0.0
    bench.clock.advance(0.1)
    bench.read(1)  # by whoever asked
    assert bench.kept.find(1) == FACTS


def test_a_reading_that_took_too_long_is_not_given(bench: Bench) -> None:
    bench.takes_s = KEPT_S + 0.1
    bench.read(1)
    assert bench.kept.find(1) is None


def test_of_readings_that_overlap_the_newer_one_holds(bench: Bench) -> None:
    began_s = bench.clock.monotonic_s()
    bench.clock.advance(0.1)
    bench.kept.note(bench.clock.monotonic_s(), {1: NEWER}, [1])
    bench.kept.note(began_s, {1: FACTS}, [1])  # began earlier, and came later
    assert bench.kept.find(1) == NEWER
    bench.kept.note(began_s, {1: FACTS})
    assert bench.kept.find(1) == NEWER
    bench.clock.advance(0.1)
    bench.server[1] = FACTS  # a backup was restored
    bench.read(1)
    assert bench.kept.find(1) == FACTS


def test_a_reading_of_many_counts_too(bench: Bench) -> None:
    bench.read(1)
    bench.clock.advance(0.1)
    many = {1: NEWER, 2: replace(FACTS, id=2)}
    began_s = bench.clock.monotonic_s()
    bench.kept.note(began_s, many)
    assert bench.kept.find(1) == NEWER
    assert bench.kept.find(2) is None
    bench.clock.advance(0.1)
    bench.kept.note(began_s, {2: replace(FACTS, id=2, data_version=4)}, [2])  # overlapped: it may be the older one
    assert bench.kept.find(2) is None
    bench.clock.advance(0.1)
    bench.server |= many
    bench.read(2)
    assert bench.kept.find(2) == many[2]


def test_own_writes_are_seen_at_once(bench: Bench) -> None:
    bench.read(1)
    began_s = bench.clock.monotonic_s()
    bench.clock.advance(0.1)
    bench.kept.forget()
    assert bench.kept.find(1) is None
    bench.kept.note(began_s, {1: FACTS}, [1])  # read before it was written
    assert bench.kept.find(1) is None
    bench.clock.advance(0.1)
    bench.server[1] = NEWER
    bench.read(1)
    assert bench.kept.find(1) == NEWER


def test_an_erased_campaign_does_not_come_back(bench: Bench) -> None:
    bench.read(1)
    began_s = bench.clock.monotonic_s()
    bench.clock.advance(0.1)
    del bench.server[1]
    bench.kept.find(1)
    bench.kept.refresh()
    assert bench.kept.find(1) is None
    bench.kept.note(began_s, {1: NEWER}, [1])
    assert bench.kept.find(1) is None


def test_what_nobody_asks_for_is_forgotten(bench: Bench) -> None:
    for one in range(1, 500):
        bench.server[one] = replace(FACTS, id=one)
        bench.read(one)
    bench.clock.advance(2.1)
    assert not bench.kept.refresh()
    assert bench.kept._entries == {}


def test_more_campaigns_than_fit_make_nothing_wrong(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignctl.adapters.metadata.kept_facts._MOST", 1)
    bench.server[2] = replace(FACTS, id=2)
    bench.read(1)
    began_s = bench.clock.monotonic_s()
    bench.clock.advance(0.1)
    bench.read(2)
    assert (bench.kept.find(1), bench.kept.find(2)) == (FACTS, None)
    bench.clock.advance(2.1)
    bench.kept.refresh()
    bench.kept.refresh()
    bench.kept.note(began_s, {2: bench.server[2]}, [2])
    assert bench.kept.find(2) is None


@pytest.fixture
def living() -> Iterator[tuple[KeptFacts, dict[int, CampaignFacts]]]:
    server = {1: FACTS}
    kept = KeptFacts(lambda ids: {one: server[one] for one in ids})
    yield kept, server
    kept.close()


def test_a_thread_reads_again_while_somebody_asks(living: tuple[KeptFacts, dict[int, CampaignFacts]]) -> None:
    kept, server = living

    def shown() -> CampaignFacts | None:
        found = kept.find(1)
        if found is None:  # the machine was away for longer than facts are kept
            kept.note(kept.now_s(), server, [1])
        return found

    shown()
    eventually(lambda: shown() == FACTS, "what was read")
    thread = kept._thread
    assert thread is not None and thread.daemon
    server[1] = NEWER
    eventually(lambda: shown() == NEWER, "what is there now")
    kept.close()
    assert not thread.is_alive()
    assert kept.find(1) is None
    kept.note(kept.now_s(), server, [1])
    assert kept.find(1) is None


def test_the_thread_ends_when_nobody_asks(living: tuple[KeptFacts, dict[int, CampaignFacts]]) -> None:
    kept, server = living
    kept.note(kept.now_s(), server, [1])
    kept.find(1)
    thread = kept._thread
    assert thread is not None
    eventually(lambda: not thread.is_alive(), "the end of the thread")
    assert kept._thread is None
