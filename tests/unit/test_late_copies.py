"""Late copies with a memory of places: it saves look-ups, and whatever it loses or says changes no verdict."""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from campaignctl.ports.analytics import OffsetRange
from campaignctl.services import late_copies
from campaignctl.services.late_copies import WORTH_IT, LateCopies, PlaceCounts
from tests.fakes.places import FakePlaces, unreliable
from tests.unit.stream_support import DAY_MS, NOW_MS, TOPIC, Stream, at, event, range_of

MANY = WORTH_IT + 100
LATER_MS = NOW_MS + 8 * DAY_MS


def backfill(count: int = MANY, **members: Any) -> list[bytes]:
    return [event(f"old{n}", event_time=at(100 - n / count), **members) for n in range(count)]


def remembered(places: FakePlaces | None = None) -> Stream:
    """A stream whose backfill has landed, more than a window ago; what it looked up until then is forgotten."""
    stream = Stream(places=places or FakePlaces())
    stream.take((event("a", event_time=at(30)), NOW_MS - 20 * DAY_MS))
    stream.take(*((value, NOW_MS) for value in backfill()))
    stream.reopen(offset=stream.end, log_time_ms=LATER_MS)
    stream.store.lookups.clear()
    return stream


def counts_of(stream: Stream) -> PlaceCounts:
    return stream.ingestor.place_counts


class TestWhatItSaves:
    def test_many_sent_again_are_read_by_their_places(self) -> None:
        stream = remembered()
        prepared = stream.take(*((value, LATER_MS) for value in backfill()))
        assert (len(prepared.rows), prepared.counts.copies, prepared.counts.conflicts) == (0, MANY, 0)
        assert stream.store.lookups == {"landed_events": 1}
        assert counts_of(stream) == PlaceCounts(confirmed=MANY)

    def test_those_that_say_something_else_are_conflicts(self) -> None:
        stream = remembered()
        prepared = stream.take(*((value, LATER_MS) for value in backfill(clicks=3)))
        assert (len(prepared.rows), prepared.counts.conflicts) == (0, MANY)

    def test_only_what_it_does_not_know_is_looked_up(self) -> None:
        stream = remembered()
        new = [event(f"new{n}", event_time=at(50)) for n in range(50)]
        prepared = stream.take(*((value, LATER_MS) for value in [*backfill(), *new]))
        assert prepared.rows.event_id == [f"new{n}" for n in range(50)]
        assert stream.store.lookups == {"landed_events": 1, "find_by_instant": 50}
        assert counts_of(stream) == PlaceCounts(confirmed=MANY, unknown=50)

    def test_few_late_events_neither_ask_nor_fill_it(self) -> None:
        places = FakePlaces()
        stream = Stream(places=places)
        stream.take((event("a", event_time=at(30)), NOW_MS - 20 * DAY_MS))
        for time_ms in (NOW_MS, LATER_MS):
            stream.reopen(offset=stream.end, log_time_ms=time_ms)
            stream.take(*((value, time_ms) for value in backfill(WORTH_IT - 1)))
        assert (places.asked, places.known) == (0, {})

    def test_events_of_the_window_do_not_fill_it(self) -> None:
        places = FakePlaces()
        Stream(places=places).take(*((event(f"e{n}", event_time=at(1)), NOW_MS) for n in range(MANY)))
        assert places.known == {}


class TestWhatItCannotDo:
    def test_what_has_not_landed_is_not_kept(self) -> None:
        places = FakePlaces()
        Stream(places=places).prepare(*((value, NOW_MS) for value in backfill()))
        assert places.known == {}

    def test_a_batch_that_is_repeated_does_not_see_its_own_rows(self) -> None:
        stream = remembered()
        new = [(event(f"new{n}", event_time=at(50)), LATER_MS) for n in range(MANY)]
        first = stream.prepare(*new)
        stream.store.append_events(first.rows, "token")
        stream.ingestor.remember(first, stream.window)
        stream.reopen(offset=stream.end, log_time_ms=LATER_MS)
        assert stream.prepare(*new).rows.offsets == first.rows.offsets

    def test_a_store_that_was_put_back_takes_what_it_lost_again(self) -> None:
        stream = remembered()
        stream.store.rows = stream.store.rows[: MANY // 2]
        prepared = stream.take(*((value, LATER_MS) for value in backfill()))
        assert prepared.rows.event_id == [f"old{n}" for n in range(MANY // 2 - 1, MANY)]

    def test_an_event_at_another_instant_is_another_one(self) -> None:
        stream = remembered()
        moved = [event(f"old{n}", event_time=at(90 - n / MANY)) for n in range(MANY)]
        assert len(stream.take(*((value, LATER_MS) for value in moved)).rows) == MANY

    def test_a_topic_made_anew_has_other_places(self) -> None:
        stream = remembered()
        topic = replace(TOPIC, incarnation="11111111-2222-3333-4444-555555555555")
        again = Stream(topic=topic, store=stream.store, places=stream.places)
        again.reopen(offset=0, log_time_ms=LATER_MS)
        assert len(again.take(*((value, LATER_MS) for value in backfill())).rows) == 0
        assert again.store.lookups == {"find_by_instant": MANY}

    @pytest.mark.parametrize("lie", [None, 0, 5, 2**40, 2**64 - 1, -1])
    def test_a_memory_that_says_the_same_of_everything_only_costs_look_ups(self, lie: int | None) -> None:
        stream = remembered(FakePlaces(lambda _: lie))
        new = [event(f"new{n}", event_time=at(50)) for n in range(MANY)]
        prepared = stream.take(*((value, LATER_MS) for value in [*backfill(), *new]))
        assert (len(prepared.rows), prepared.counts.copies) == (MANY, MANY)
        assert stream.store.lookups["find_by_instant"] == 2 * MANY

    def test_places_of_others_are_not_believed(self) -> None:
        """Each answer is the place of a row that is there, and another event's."""
        stream = remembered(FakePlaces(lambda place: None if place is None else place - 1))
        prepared = stream.take(*((value, LATER_MS) for value in backfill()))
        assert (len(prepared.rows), prepared.counts.copies) == (0, MANY)
        places = FakePlaces(lambda _: next(offsets))
        offsets = iter(list(range(1, MANY + 1)) * 2)
        wrong = remembered(places)
        new = [event(f"new{n}", event_time=at(50)) for n in range(MANY)]
        assert len(wrong.take(*((value, LATER_MS) for value in new)).rows) == MANY
        assert counts_of(wrong) == PlaceCounts(unconfirmed=MANY)

    @pytest.mark.parametrize("seed", range(30))
    def test_loss_and_lies_change_no_verdict(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Random histories over weeks of log time, with restarts and repeated batches, with the memory and without."""
        monkeypatch.setattr(late_copies, "WORTH_IT", 1 + seed % 2)
        monkeypatch.setattr(late_copies, "_STRETCH", 2 ** (seed % 5))

        def history(places: FakePlaces | None) -> tuple[Stream, list[tuple[Any, ...]]]:
            rng, now_ms = random.Random(seed), NOW_MS - 60 * DAY_MS
            stream, verdicts = Stream(places=places), []
            stream.campaigns.add(2)
            for _ in range(60):
                now_ms += rng.choice((0, 1, DAY_MS // 2, 5 * DAY_MS))
                records = [_record(rng, now_ms) for _ in range(rng.randint(1, 8))]
                if rng.random() < 0.2:
                    stream.reopen(offset=stream.end, log_time_ms=now_ms)
                prepared = stream.prepare(*records)
                if rng.random() < 0.3:  # it lands, and whoever landed it ends before that is acknowledged
                    stream.store.append_events(prepared.rows, f"{prepared.source.start}-{prepared.source.end}")
                    stream.ingestor.remember(prepared, stream.window)
                    stream.reopen(offset=stream.end, log_time_ms=now_ms)
                    again = stream.ingestor.prepare(range_of(records, start=stream.end), stream.topic, stream.window)
                    assert again.rows.offsets == prepared.rows.offsets
                stream.land(prepared)
                verdicts.append((list(prepared.rows.offsets), prepared.counts.copies, list(prepared.conflicts.offsets)))
            return stream, verdicts

        alone, expected = history(None)
        for lie in (lambda place: place, unreliable(random.Random(seed))):
            places = FakePlaces(lie)
            stream, verdicts = history(places)
            assert verdicts == expected
            assert stream.store.lookups["find_by_instant"] <= alone.store.lookups["find_by_instant"]
            assert places.asked == alone.store.lookups["find_by_instant"] or seed % 2


def _record(rng: random.Random, now_ms: int) -> tuple[bytes, int]:
    instant_ms = now_ms - rng.choice((0, 6, 8, 15, 16, 40)) * DAY_MS
    instant_ms -= instant_ms % (5 * DAY_MS)
    members = {"campaign_id": rng.randint(1, 2), "event_time": instant_ms, "clicks": rng.choice((0, 0, 1))}
    return event(f"e{rng.randint(0, 5)}", **members), now_ms


class TestStretches:
    def read(self, offsets: Sequence[int], *, batch_start: int = 10**9) -> list[tuple[int, int]]:
        """The ranges that are read when the memory answers these offsets."""
        read: list[tuple[int, int]] = []

        class Store(Stream().store.__class__):  # type: ignore[misc]
            def landed_events(self, stretch: OffsetRange, /) -> Any:
                read.append((stretch.start, stretch.end))
                return super().landed_events(stretch)

        answers = iter(offsets)
        keys = [(1, f"e{n}", n) for n in range(len(offsets))]
        batch = OffsetRange(7, 0, batch_start, batch_start + 10)
        LateCopies(Store(), FakePlaces(lambda _: next(answers))).find(keys, batch)
        return read

    def test_places_side_by_side_are_one(self) -> None:
        assert self.read(range(5, 10_005)) == [(5, 10_005)]

    def test_their_order_does_not_matter(self) -> None:
        assert self.read(random.Random(1).sample(range(5, 10_005), 10_000)) == [(5, 10_005)]

    def test_far_apart_they_are_several(self) -> None:
        far = 50 * 8_192
        assert self.read([*range(1_100), *range(far, far + 1_100)]) == [(0, 1_100), (far, far + 1_100)]

    def test_single_ones_are_not_read(self) -> None:
        assert self.read([n * 1_000 for n in range(5_000)]) == []

    def test_none_reaches_into_the_batch(self) -> None:
        assert self.read(range(10_000), batch_start=3_000) == [(0, 3_000)]
