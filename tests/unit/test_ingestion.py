"""From records to rows: every step by itself, and all of them against the independent model."""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.dead_letters import FromLog
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, Coverage, Figures, ReportedAccount, ReportSlice, encode_report
from campaignctl.errors import Unavailable
from campaignctl.ports.reports import FromRecord, NativeCampaign
from campaignctl.services.ingestion import ERASURES_KNOWN_WITHIN_S, PreparedBatch
from campaignctl.services.own_records import REPORT_HEADERS
from tests.fakes.analytics import Row
from tests.model.histories import random_history
from tests.model.records import Event, RefusedError, read_event
from tests.model.reference import Model
from tests.unit.stream_support import DAY_MS, NOW, NOW_MS, TOPIC, Stream, at, event


def codes(prepared: PreparedBatch) -> dict[int, str]:
    origins = {letter: letter.origin for letter in prepared.dead_letters}
    return {origin.offset: letter.code for letter, origin in origins.items() if isinstance(origin, FromLog)}


class TestRows:
    def test_a_row_says_what_the_event_says_and_where_it_came_from(self) -> None:
        stream = Stream()
        stream.campaigns.add(1, timezone="Asia/Kolkata", currency="INR")
        prepared = stream.prepare((event("e1", clicks=2, spend="1.5", event_time="2026-11-22T18:30:00Z"), NOW_MS))
        rows = prepared.rows
        assert (rows.event_id, rows.clicks, rows.spend_micros) == (["e1"], [2], [1_500_000])
        assert rows.currency == ["INR"]
        assert rows.day == [(NOW.date().toordinal()) - 719_163]  # 00:00 on the 23rd in Kolkata
        assert (rows.offsets, rows.times_ms, rows.partition) == ([0], [NOW_MS], 0)
        assert rows.topic_id == 0x8F14E45F

    def test_an_empty_range_makes_an_empty_batch(self) -> None:
        prepared = Stream().prepare()
        assert not prepared.writes_anything
        assert len(prepared.rows) == 0
        assert prepared.touched_days() == {}

    def test_touched_days_are_each_campaigns_local_days(self) -> None:
        stream = Stream()
        stream.campaigns.add(2, timezone="Pacific/Kiritimati")
        records = [event("a", campaign_id=1), event("a", campaign_id=2, event_time="2026-11-23T11:00:00Z")]
        days = stream.prepare(*((record, NOW_MS) for record in records)).touched_days()
        today = NOW.date().toordinal() - 719_163
        assert days == {1: [today], 2: [today + 1]}


class TestCampaigns:
    def test_a_campaign_made_after_its_event_was_refused_is_known_at_once(self) -> None:
        stream = Stream()
        assert codes(stream.take((event("a", campaign_id=5), NOW_MS))) == {0: "unknown_campaign"}
        stream.campaigns.add(5)
        assert stream.take((event("a", campaign_id=5), NOW_MS)).rows.event_id == ["a"]

    def test_known_campaigns_are_asked_for_once_and_marked_as_having_events(self) -> None:
        stream = Stream()
        for number in range(3):
            stream.take((event(f"e{number}"), NOW_MS))
        assert stream.campaigns.asked[1] == 1
        assert stream.campaigns.claimed == {1}
        stream.ingestor.forget_campaigns([1])
        stream.campaigns.remove(1)
        assert codes(stream.take((event("late"), NOW_MS))) == {3: "unknown_campaign"}

    def test_an_erased_campaign_is_unknown_and_leaves_no_dead_letter_of_what_was_there_before(self) -> None:
        stream = Stream()
        stream.campaigns.add(2)
        stream.take((event("a"), NOW_MS))
        stream.campaigns.erase(1, NOW + timedelta(milliseconds=5))
        stream.reopen(offset=0, log_time_ms=NOW_MS)
        prepared = stream.prepare(
            (event("a"), NOW_MS),
            (event("bad", region="nowhere"), NOW_MS + 5),
            (event("late"), NOW_MS + 6),
            (event("other", campaign_id=2), NOW_MS + 6),
        )
        assert codes(prepared) == {2: "unknown_campaign"}
        assert prepared.rows.event_id == ["other"]
        assert prepared.counts.erased == 2

    def test_a_worker_that_knows_a_campaign_learns_of_its_erasure(self) -> None:
        stream = Stream()
        stream.take((event("a"), NOW_MS))
        stream.campaigns.erase(1, NOW)
        stream.clock.advance(ERASURES_KNOWN_WITHIN_S)
        assert codes(stream.take((event("b"), NOW_MS + 1))) == {1: "unknown_campaign"}

    def test_an_erased_event_leaves_nothing_however_it_comes(self) -> None:
        stream = Stream()
        stream.campaigns.add(2)
        stream.campaigns.erase_event(1, "gone", NOW)
        prepared = stream.take(
            (event("gone"), NOW_MS),
            (event("gone", clicks=7), NOW_MS + 1),
            (event("gone", region="nowhere"), NOW_MS + 2),
            (event("gone", campaign_id=2), NOW_MS + 3),
            (event("other", region="nowhere"), NOW_MS + 4),
        )
        assert (prepared.rows.event_id, prepared.rows.campaign_id) == (["gone"], [2])
        assert codes(prepared) == {4: "invalid_region"}
        assert len(prepared.conflicts) == 0
        assert (prepared.counts.erased, prepared.counts.copies) == (3, 0)

    def test_a_worker_learns_of_an_erased_event_that_it_has_counted(self) -> None:
        stream = Stream()
        stream.take((event("a"), NOW_MS))
        stream.campaigns.erase_event(1, "a", NOW)
        stream.clock.advance(ERASURES_KNOWN_WITHIN_S)
        prepared = stream.take((event("a", clicks=9), NOW_MS + 1), (event("b"), NOW_MS + 1))
        assert (prepared.rows.event_id, len(prepared.conflicts), prepared.counts.erased) == (["b"], 0, 1)

    @pytest.mark.parametrize("campaign_id", [2**63 - 1, 2**63, 2**64, 10**30])
    def test_an_id_of_any_size_is_unknown(self, campaign_id: int) -> None:
        prepared = Stream().prepare((event("a", campaign_id=campaign_id), NOW_MS), (event("b"), NOW_MS))
        assert codes(prepared) == {0: "unknown_campaign"}
        assert prepared.rows.event_id == ["b"]
        assert prepared.dead_letters[0].campaign_id == (campaign_id if campaign_id < 2**63 else None)

    def test_no_metadata_store_is_an_error_and_no_dead_letter(self) -> None:
        stream = Stream()
        stream.campaigns.down = True
        with pytest.raises(Unavailable):
            stream.prepare((event(), NOW_MS))


class TestRouting:
    def test_a_record_in_another_partition_is_produced_in_its_own_with_the_right_key(self) -> None:
        topic = replace(TOPIC, partitions=8)
        home = partition_for_key(b"1", 8)
        stream = Stream(topic=topic, partition=(home + 1) % 8)
        headers = (("x", b"y"),)
        prepared = stream.prepare((event("a"), NOW_MS), headers=[headers])
        assert len(prepared.rows) == 0
        [record] = prepared.rerouted
        assert (record.key, record.partition, record.value, record.headers) == (b"1", home, event("a"), headers)
        assert prepared.counts.rerouted == 1

    def test_a_bad_record_and_one_of_an_unknown_campaign_are_refused_where_they_lie(self) -> None:
        topic = replace(TOPIC, partitions=8)
        stream = Stream(topic=topic, partition=(partition_for_key(b"1", 8) + 1) % 8)
        prepared = stream.prepare((b"[]", NOW_MS), (event("a", campaign_id=9), NOW_MS))
        assert codes(prepared) == {0: "invalid_type", 1: "unknown_campaign"}
        assert prepared.rerouted == []

    def test_records_of_the_products_own_do_nothing(self) -> None:
        own = (("campaignctl-kind", b"reaggregate"),)
        prepared = Stream().prepare((b"{}", NOW_MS), (event("a"), NOW_MS), headers=[own, ()])
        assert prepared.dead_letters == []
        assert prepared.rows.offsets == [1]
        assert prepared.counts.own_records == 1


class TestReports:
    ACCOUNT = ReportedAccount(7, Platform.META, "act_123", "EUR", "Europe/Berlin")
    SLICE = ReportSlice(
        LinkLevel.CAMPAIGN, "c1", date(2026, 11, 22), Breakdown.TOTAL, 5, "d1", (Figures("", 1, 2, 3, 4, None),)
    )
    COVERAGE = Coverage(LinkLevel.CAMPAIGN, "", Breakdown.TOTAL, date(2026, 11, 1), date(2026, 11, 23), 5)

    def test_what_a_report_says_is_read_by_keys_and_is_no_event(self) -> None:
        [value] = encode_report(self.ACCOUNT, [self.SLICE], [self.COVERAGE])
        prepared = Stream().prepare(
            (event("a"), NOW_MS), (value, NOW_MS + 5), headers=[(), (("x", b"y"), *REPORT_HEADERS)]
        )
        account = ReportedAccount(7, Platform.META, "123", "EUR", "Europe/Berlin")
        record = FromRecord(1, NOW_MS + 5)
        assert prepared.reports.slices == [(record, account, self.SLICE)]
        assert prepared.reports.coverage == [(record, account, self.COVERAGE)]
        assert prepared.reports.natives() == {
            NativeCampaign(7, "meta", "123", "campaign", "c1"),
            NativeCampaign(7, "meta", "123", "campaign", ""),
        }
        assert prepared.rows.event_id == ["a"]
        assert prepared.counts.slices_by_platform == {"meta": 1}
        assert prepared.counts.own_records == 0
        assert prepared.writes_anything

    def test_a_damaged_report_does_nothing_and_is_counted(self) -> None:
        values = [b"", b"{}", b'{"v":2}', event("a")]
        prepared = Stream().prepare(*((value, NOW_MS) for value in values), headers=[REPORT_HEADERS] * 4)
        assert prepared.counts.own_records == 4
        assert not prepared.writes_anything


class TestCopies:
    def test_the_first_counts_and_a_copy_that_says_the_same_is_only_counted(self) -> None:
        stream = Stream()
        stream.take((event("a", clicks=1), NOW_MS), (event("a", clicks=1), NOW_MS))
        prepared = stream.take((event("a", clicks=1, currency="usd", event_time="2026-11-23T12:00:00+01:00"), NOW_MS))
        assert stream.landed_ids == ["a"]
        assert (prepared.counts.copies, prepared.counts.conflicts) == (1, 0)
        assert not prepared.writes_anything

    def test_a_copy_that_says_something_else_is_kept_as_a_conflict(self) -> None:
        stream = Stream()
        other = event("a", clicks=2)
        prepared = stream.take((event("a", clicks=1), NOW_MS), (other, NOW_MS))
        assert prepared.rows.clicks == [1]
        assert stream.store.conflicts == [(1, "a", 1, other)]
        assert stream.take((other, NOW_MS)).counts.conflicts == 1

    def test_within_the_window_the_same_id_is_a_copy_whatever_instant_it_names(self) -> None:
        stream = Stream()
        first_ms = NOW_MS - 7 * DAY_MS
        stream.take((event("a", event_time=at(8)), first_ms))
        assert len(stream.take((event("a"), first_ms + 7 * DAY_MS)).rows) == 0
        assert stream.landed_ids == ["a"]

    def test_a_millisecond_after_the_window_another_instant_is_another_event(self) -> None:
        stream = Stream()
        first_ms = NOW_MS - 7 * DAY_MS
        stream.take((event("a", event_time=at(8)), first_ms))
        assert len(stream.take((event("a"), first_ms + 7 * DAY_MS + 1)).rows) == 1

    def test_a_copy_does_not_renew_the_window(self) -> None:
        stream = Stream()
        first_ms = NOW_MS - 8 * DAY_MS
        stream.take((event("a", event_time=at(9)), first_ms))
        stream.take((event("a", event_time=at(9)), first_ms + 6 * DAY_MS))
        assert len(stream.take((event("a"), NOW_MS)).rows) == 1

    @pytest.mark.parametrize("late_days", [8, 30, 300])
    def test_after_the_window_the_same_instant_is_still_the_same_event(self, late_days: int) -> None:
        stream = Stream()
        stream.take((event("a", event_time=at(late_days)), NOW_MS - late_days * DAY_MS))
        stream.reopen(offset=1, log_time_ms=NOW_MS)
        prepared = stream.take((event("a", event_time=at(late_days), clicks=3), NOW_MS))
        assert len(prepared.rows) == 0
        assert prepared.counts.conflicts == 1

    def test_an_event_a_day_ahead_of_its_time_is_found_after_the_window_too(self) -> None:
        stream = Stream()
        first_ms = NOW_MS - 7 * DAY_MS - 1
        ahead = event("a", event_time=(first_ms + DAY_MS))
        stream.take((ahead, first_ms))
        assert len(stream.take((ahead, NOW_MS)).rows) == 0

    def test_one_batch_may_span_more_than_the_window(self) -> None:
        stream = Stream()
        early, late = NOW_MS - 20 * DAY_MS, NOW_MS
        moved, same = event("a", event_time=at(10)), event("a", event_time=at(21))
        prepared = stream.take((same, early), (moved, late), (same, late), (moved, late))
        assert prepared.rows.offsets == [0, 1]
        assert prepared.counts.copies == 2

    def test_only_events_older_than_the_window_are_looked_up(self) -> None:
        stream = Stream()
        stream.take((event("first", event_time=at(50)), NOW_MS - 20 * DAY_MS))
        stream.take(*((event(f"e{number}"), NOW_MS) for number in range(10)))
        assert stream.store.lookups == {}
        stream.take((event("old", event_time=at(30)), NOW_MS), (event("e1"), NOW_MS))
        assert stream.store.lookups == {"find_by_instant": 1}

    def test_what_is_older_than_all_that_counted_before_the_window_is_not_looked_up(self) -> None:
        stream = Stream()
        stream.campaigns.add(2)
        stream.take((event("a", event_time=at(30)), NOW_MS - 20 * DAY_MS))
        backfill = [event(f"old{number}", event_time=at(100 - number)) for number in range(50)]
        stream.take(*((value, NOW_MS) for value in backfill))
        stream.take((event("other", event_time=at(30), campaign_id=2), NOW_MS))
        assert stream.store.lookups == {}
        assert len(stream.take(*((value, NOW_MS + 1) for value in backfill)).rows) == 0
        later_ms = NOW_MS + 8 * DAY_MS
        prepared = stream.take(*((value, later_ms) for value in backfill))
        assert len(prepared.rows) == 0
        assert stream.store.lookups == {"find_by_instant": 50}

    @pytest.mark.parametrize("seed", range(30))
    def test_not_looking_up_changes_no_verdict(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Random histories over weeks of log time, with restarts, once as they are and once with every look-up made."""

        def history() -> tuple[list[tuple[int, int]], int]:
            rng, stream, now_ms = random.Random(seed), Stream(), NOW_MS - 60 * DAY_MS
            stream.campaigns.add(2)
            for _ in range(40):
                now_ms += rng.choice((0, 1, DAY_MS // 2, 5 * DAY_MS))
                records = []
                for _ in range(rng.randint(1, 6)):
                    now_ms += rng.choice((0, 0, 1, 3 * DAY_MS))
                    instant_ms = now_ms - rng.choice((0, 6, 8, 15, 16, 40)) * DAY_MS // DAY_MS * DAY_MS
                    instant_ms -= instant_ms % (5 * DAY_MS)
                    members = {"campaign_id": rng.randint(1, 2), "event_time": instant_ms}
                    records.append((event(f"e{rng.randint(0, 5)}", **members), now_ms))
                if rng.random() < 0.2:
                    stream.reopen(offset=stream.end, log_time_ms=records[0][1])
                stream.take(*records)
            return [(row.offset, row.campaign_id) for row in stream.store.rows], stream.store.lookups.total()

        landed, lookups = history()
        monkeypatch.setattr(
            "campaignctl.domain.earliest_instants.EarliestInstants.may_be_copies",
            lambda self, campaign_ids, *_, **__: np.ones(len(campaign_ids), np.bool_),
        )
        all_landed, all_lookups = history()
        assert landed == all_landed
        assert lookups <= all_lookups

    @pytest.mark.parametrize("partitions", [1, 4])
    def test_a_copy_in_a_topic_made_anew_is_a_copy(self, partitions: int) -> None:
        stream = Stream()
        stream.take((event("a", clicks=1), NOW_MS), (event("b"), NOW_MS - DAY_MS))
        topic = replace(TOPIC, incarnation="11111111-2222-3333-4444-555555555555", partitions=partitions)
        again = Stream(topic=topic, partition=partition_for_key(b"1", partitions), store=stream.store)
        again.reopen(offset=0, log_time_ms=NOW_MS)
        prepared = again.take((event("a", clicks=1), NOW_MS), (event("b", clicks=2), NOW_MS), (event("c"), NOW_MS))
        assert prepared.rows.event_id == ["c"]
        assert (prepared.counts.copies, prepared.counts.conflicts) == (2, 1)

    def test_two_ids_that_share_a_window_key_are_both_counted(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def same_key(campaign_ids: Any, event_ids: Any) -> Any:
            return np.full(len(event_ids), 7, np.uint64)

        monkeypatch.setattr("campaignctl.services.deduplication.event_keys", same_key)
        monkeypatch.setattr("campaignctl.services.ingestion.event_keys", same_key)
        stream = Stream()
        stream.take((event("a", clicks=1), NOW_MS), (event("b", clicks=2), NOW_MS))
        stream.take((event("c", clicks=3), NOW_MS), (event("a", clicks=1), NOW_MS), (event("b", clicks=9), NOW_MS))
        assert stream.landed_ids == ["a", "b", "c"]
        assert [conflict[:3] for conflict in stream.store.conflicts] == [(1, "b", 4)]

    def test_a_row_of_another_partition_or_topic_is_found_when_the_event_is_old(self) -> None:
        stream = Stream()
        stream.take((event("a", event_time=at(30)), NOW_MS - 20 * DAY_MS))
        again = Stream(topic=replace(TOPIC, incarnation="11111111-2222-3333-4444-555555555555"), store=stream.store)
        assert len(again.take((event("a", event_time=at(30)), NOW_MS)).rows) == 0

    def test_offsets_refused_before_are_left_out(self) -> None:
        stream = Stream()
        from tests.unit.stream_support import range_of

        batch = range_of([(event("a"), NOW_MS), (event("b"), NOW_MS)])
        prepared = stream.ingestor.prepare(batch, TOPIC, stream.window, {0})
        assert prepared.rows.event_id == ["b"]
        assert prepared.dead_letters == []


def as_event(row: Row) -> Event:
    return Event(
        row.campaign_id, row.event_id, row.platform, row.event_time_us, row.event_type, row.region, row.ad_group_id,
        row.ad_id, row.device, row.impressions, row.clicks, row.conversions_millionths, row.spend_micros,
        row.revenue_micros, row.currency,
    )  # fmt: skip


class TestAgainstTheModel:
    """Random histories over several partitions, in any batches, with crashes: what counts is what the model counts."""

    @pytest.mark.parametrize("seed", range(60))
    def test_rows_refusals_copies_and_conflicts(self, seed: int) -> None:
        rng = random.Random(seed)
        history = random_history(seed, now=NOW, size=250, spread_days=rng.choice((0, 20, 60)))
        topic = replace(TOPIC, partitions=rng.choice((1, 3)))
        model = Model()
        first = Stream(topic=topic)
        currencies = {}
        for number, campaign in enumerate(history.campaigns, 1):
            model.add_campaign(number, timezone=campaign["timezone"], currency=campaign["currency"])
            first.campaigns.add(number, timezone=campaign["timezone"], currency=campaign["currency"])
            currencies[number] = campaign["currency"]
        streams = [
            Stream(topic=topic, partition=number, store=first.store, campaigns=first.campaigns)
            for number in range(topic.partitions)
        ]
        logs: list[list[tuple[bytes, int]]] = [[] for _ in streams]
        copies = conflicts = 0
        steps = list(history.steps)
        now_ms = 0
        while steps or any(stream.end < len(log) for stream, log in zip(streams, logs, strict=True)):
            for step in steps[: rng.randint(0, 40)]:
                logs[_some_partition(rng, step.record, topic.partitions)].append((step.record, step.log_time_ms))
                now_ms = step.log_time_ms
                steps.pop(0)
            stream = rng.choice(streams)
            log = logs[stream.partition]
            records = log[stream.end : stream.end + rng.randint(1, 60)]
            if not records:
                continue
            start = stream.end
            expected_codes, expected_rerouted = {}, []
            for place, (value, time_ms) in enumerate(records):
                home = _home(value, time_ms, currencies, model, topic.partitions)
                if home is not None and home != stream.partition:
                    expected_rerouted.append((value, home))
                elif (code := model.feed(value, time_ms)) is not None:
                    expected_codes[start + place] = code

            prepared = stream.prepare(*records)
            assert codes(prepared) == expected_codes
            assert [(record.value, record.partition) for record in prepared.rerouted] == expected_rerouted
            stream.land(prepared)
            if rng.random() < 0.3:  # a crash before the acknowledgement: the same range again makes the same rows
                stream.reopen(offset=start, log_time_ms=records[0][1])
                again = stream.prepare(*records)
                assert again.rows.offsets == prepared.rows.offsets
                assert again.conflicts.offsets == prepared.conflicts.offsets
                stream.land(again)
            copies += prepared.counts.copies
            conflicts += prepared.counts.conflicts
            for value, home in expected_rerouted:
                logs[home].append((value, max(now_ms, logs[home][-1][1] if logs[home] else 0)))

        counted = defaultdict(list)
        for row in first.store.rows:
            counted[row.campaign_id].append(as_event(row))
        for campaign_id in currencies:
            expected = model.counted(campaign_id)
            assert sorted(counted[campaign_id], key=repr) == sorted(expected, key=repr)
        assert copies == sum(model.duplicates.values())
        assert conflicts == sum(model.conflicts.values()) == len(first.store.conflicts)
        assert first.store.rollup == first.store.true_rollup()


def _home(value: bytes, time_ms: int, currencies: dict[int, str], model: Model, partitions: int) -> int | None:
    """The own partition of a record's campaign; None for a record that is refused."""
    try:
        read = read_event(value, time_ms, currencies, model._limits)
    except RefusedError:
        return None
    return partition_for_key(str(read.campaign_id).encode(), partitions)


def _some_partition(rng: random.Random, record: bytes, partitions: int) -> int:
    """Mostly the campaign's own, as producers do it, sometimes any."""
    for campaign_id in (1, 2, 3):
        if rng.random() < 0.8 and f'"campaign_id":{campaign_id}'.encode() in record.replace(b" ", b""):
            return partition_for_key(str(campaign_id).encode(), partitions)
    return rng.randrange(partitions)
