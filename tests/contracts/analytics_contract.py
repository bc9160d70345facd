"""What every analytics store must do, written against the ports alone.

A test module inherits ``AnalyticsContract`` and gives it the fixture ``harness``: ``open`` gives the store, set up and
ready; after ``close`` another process can have it. What no port can do (spoiling things) the harness does.
"""

import random
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pytest

from campaignctl.domain.erased_events import event_digest
from campaignctl.domain.insights import Dimension, Metric
from campaignctl.domain.periods import (
    DayRange,
    Granularity,
    WeekStart,
    buckets_of_days,
    timeline_of_buckets,
    timeline_of_days,
)
from campaignctl.domain.rollup import Totals
from campaignctl.errors import Unavailable
from campaignctl.ports.analytics import (
    ConflictRows,
    EventStore,
    InsightStore,
    OffsetRange,
    SqlConsole,
    SumsQuestion,
)
from campaignctl.ports.conflicts import ConflictFilter, ConflictStore
from campaignctl.ports.erasures import CampaignRows, EventTraces, RemovalStore
from campaignctl.ports.event_listing import EventListing, EventPlace
from campaignctl.ports.evidence import EvidenceStore
from campaignctl.ports.reports import ArrivalStore, ReportStore
from campaignctl.ports.schema import MigrationTarget
from campaignctl.ports.verification import VerificationStore
from tests.contracts.analytics_rows import (
    DAY_US,
    DAYS,
    FIRST_DAY,
    METRICS,
    PARTITION,
    TOPIC,
    WINDOW_MS,
    Row,
    day_number,
    days_of,
    event_rows,
    last_day,
    random_rows,
    row,
    stored_by,
    sums_by,
)

ROOT = Path(__file__).parents[2]
TEXTS = (
    "it's",
    'say "hi"',
    "a\\b",
    "\\'",
    "tab\there",
    "line\nbreak",
    "nul\0in",
    "é漢😀",
    "{a:b}",
    "x" * 128,
    "😀" * 128,
    "",
)


class Store(
    EventStore,
    ConflictStore,
    EventListing,
    VerificationStore,
    RemovalStore,
    InsightStore,
    EvidenceStore,
    ReportStore,
    ArrivalStore,
    SqlConsole,
    MigrationTarget,
    Protocol,
):
    def ping(self) -> None: ...

    def close(self) -> None: ...


class Harness(Protocol):
    place: str

    def open(self) -> Store: ...

    def close(self) -> None: ...

    def cut_off(self, store: Store, rows: Sequence[Row], token: str) -> None:
        """Land whole months of a batch in the raw table alone, as an insert does that is killed on its way."""
        ...

    def drift(self, store: Store, day: int, impressions: int) -> None:
        """Make the rollup wrong: impressions of campaign 1 on meta in ZZ that never happened."""
        ...

    def forget_window(self, store: Store, table: str) -> None: ...

    def merge(self, store: Store) -> None:
        """Have all background merging done at once."""
        ...


class AnalyticsContract:
    # Landing

    def test_an_empty_store_answers(self, harness: Harness) -> None:
        store = harness.open()
        assert store.newest_offset(TOPIC, PARTITION) is None
        assert list(store.landed_before(TOPIC, PARTITION, 10**9, 0)) == []
        assert list(store.landed_offsets(OffsetRange(TOPIC, PARTITION, 0, 10**9))) == []
        assert len(store.find_by_instant([(1, "a", 0)], _NOTHING)) == 0
        assert len(store.find_by_id([(1, "a")], _NOTHING)) == 0
        assert len(store.find_by_instant([], _NOTHING)) == len(store.find_by_id([], _NOTHING)) == 0
        assert _by_day(store) == _by_time(store) == {}
        assert store.newest_events([1, 2]) == {}
        store.append_events(event_rows([]), "nothing")
        store.reconcile_rollup({}, WINDOW_MS, "nothing", PARTITION)

    def test_a_campaign_is_removed_whole_and_no_other(self, harness: Harness) -> None:
        store = harness.open()
        rows = [row(n, event_id=f"e{n}", campaign_id=1 + n % 2) for n in range(40)]
        store.append_events(event_rows(rows), "batch")
        copies = ConflictRows([1, 2], ["e0", "e1"], [5, 6], [b"{1}", b"{2}"], [50, 51], [1_000, 2_000], TOPIC,
                              PARTITION)  # fmt: skip
        store.append_conflicts(copies, "copies")
        held = {campaign_id: store.rows_of_campaign(campaign_id) for campaign_id in (1, 2, 3)}
        assert (held[1].events, held[1].conflicts, held[3]) == (20, 1, CampaignRows(0, 0, 0))
        assert held[1].rollup_rows > 0
        store.remove_campaign(1)
        store.remove_campaign(1)
        store.remove_campaign(3)
        assert not store.rows_of_campaign(1)
        assert store.rows_of_campaign(2) == held[2]
        assert store.raw_rows_by_campaign() == {2: 20}
        assert store.rollup_differences(2, 0) == store.rollup_differences(1, 0) == []
        assert [one.campaign_id for one in store.list_conflicts(ConflictFilter(), None, 10)] == [2]
        assert store.list_conflicts(ConflictFilter(left_out=(2, 9)), None, 10) == []
        store.append_events(event_rows(rows), "batch")  # the token is remembered: nothing comes back by it
        assert not store.rows_of_campaign(1)

    def test_single_events_are_removed_and_no_other(self, harness: Harness) -> None:
        store = harness.open()
        ids = ["a", "b", "é'\\", "a"]
        rows = [row(n, event_id=event_id, campaign_id=1, day=20_000 + n) for n, event_id in enumerate(ids)]
        store.append_events(event_rows([*rows, row(9, event_id="a", campaign_id=2)]), "batch")
        copies = ConflictRows([1, 2], ["a", "a"], [5, 6], [b"{1}", b"{2}"], [50, 51], [1_000, 2_000], TOPIC,
                              PARTITION)  # fmt: skip
        store.append_conflicts(copies, "copies")
        gone = [event_digest(1, event_id) for event_id in ("a", "é'\\", *(f"none {n}" for n in range(998)))]
        assert store.traces_of_events(1, gone) == EventTraces(3, 1, (20_000, 20_002, 20_003))
        assert store.traces_of_events(3, gone) == store.traces_of_events(1, gone[2:]) == EventTraces(0, 0, ())
        store.remove_events(1, gone)
        store.remove_events(1, gone)
        assert store.traces_of_events(1, gone) == EventTraces(0, 0, ())
        assert store.raw_rows_by_campaign() == {1: 1, 2: 1}
        assert [one.campaign_id for one in store.list_conflicts(ConflictFilter(), None, 10)] == [2]
        store.append_events(event_rows(rows[:1]), "batch")  # the token is remembered
        assert store.raw_rows_by_campaign() == {1: 1, 2: 1}

    def test_conflicts_are_listed_with_what_counted(self, harness: Harness) -> None:
        store = harness.open()
        copies = ConflictRows([1, 1, 2], ["a", "b", "a"], [5, 6, 7], [b"{1}", b"\xff\x00", b"{3}"], [10, 11, 12],
                              [1_000, 2_000, 2_000], TOPIC, PARTITION)  # fmt: skip
        assert store.list_conflicts(ConflictFilter(), None, 10) == []
        store.append_conflicts(copies, "one")
        store.append_conflicts(copies, "one more, after a crash")
        listed = store.list_conflicts(ConflictFilter(), None, 10)
        assert [(one.place.offset, one.campaign_id, one.event_id, one.event_time_us, one.value) for one in listed] == [
            (12, 2, "a", 7, b"{3}"), (11, 1, "b", 6, b"\xff\x00"), (10, 1, "a", 5, b"{1}"),
        ]  # fmt: skip
        assert store.list_conflicts(ConflictFilter(), listed[0].place, 1) == [listed[1]]
        assert store.list_conflicts(ConflictFilter(campaign_ids=[1]), None, 10) == listed[1:]
        assert store.list_conflicts(ConflictFilter(campaign_ids=[]), None, 10) == []
        assert store.list_conflicts(ConflictFilter(since_ms=2_000), None, 10) == listed[:2]
        assert store.list_conflicts(ConflictFilter(until_ms=2_000), None, 10) == listed[2:]
        rows = [row(n, event_id=event_id, clicks=-n) for n, event_id in enumerate(["b", "a", "it's", "a"])]
        store.append_events(event_rows(rows), "rows")
        found = store.counted_events([(1, "a"), (1, "it's"), (2, "b")])
        assert [(one.event_id, one.offset, one.clicks, one.spend_micros, one.region) for one in found] == [
            ("a", 1, -1, 1_000_000, "ZZ"), ("it's", 2, -2, 1_000_000, "ZZ"), ("a", 3, -3, 1_000_000, "ZZ"),
        ]  # fmt: skip
        assert store.counted_events([]) == []

    def test_events_are_listed_by_their_time_page_by_page(self, harness: Harness) -> None:
        store, day = harness.open(), day_number(FIRST_DAY)
        assert store.list_events(1, 0, day + 400, None, 10) == []
        rows = random_rows(4, 300, campaigns=2)
        rows += [row(300 + n, event_id=text, event_time_us=day * DAY_US + n // 3) for n, text in enumerate(TEXTS)]
        store.append_events(event_rows(rows), "rows")
        store.append_events(event_rows(rows[-2:]), "the same rows again, as after a fault")
        own = sorted(
            (one for one in rows if one["campaign_id"] == 1),
            key=lambda one: (one["event_time_us"], one["event_id"].encode()),
        )
        found, after = [], None
        while page := store.list_events(1, 0, day + 400, after, 7):
            found += page
            after = EventPlace(page[-1].event_time_us, page[-1].event_id)
        members = ("event_id", "event_time_us", "platform", "region", "device", "currency", *METRICS)
        assert [[getattr(one, name) for name in members] for one in found] == [
            [one[name] for name in members] for one in own
        ]
        some = store.list_events(1, day + 10, day + 20, None, 1_000)
        assert [one.event_id for one in some] == [one["event_id"] for one in own if day + 10 <= one["day"] <= day + 20]

    def test_a_verification_finds_what_is_wrong(self, harness: Harness) -> None:
        store, day = harness.open(), day_number(FIRST_DAY)
        assert store.raw_rows_by_campaign() == {}
        assert store.repeated_rows(1, 0, 0, 1) == store.rollup_differences(1, 0) == []
        rows = [row(n, campaign_id=n % 2 + 1, clicks=1) for n in range(10)]
        store.append_events(event_rows(rows), "rows")
        assert store.raw_rows_by_campaign() == {1: 5, 2: 5}
        assert store.repeated_rows(1, 0, 0, 1) == store.rollup_differences(1, 0) == []
        store.append_events(event_rows([rows[0]]), "the same record again")
        store.append_events(event_rows([rows[2] | {"offsets": 99}]), "the same event again")
        found = [one for bucket in range(3) for one in store.repeated_rows(1, 0, bucket, 3)]
        assert sorted((one.event_id, one.offset) for one in found) == [
            ("event-0", 0), ("event-0", 0), ("event-2", 2), ("event-2", 99),
        ]  # fmt: skip
        assert {(one.topic_id, one.partition, one.day) for one in found} == {(TOPIC, PARTITION, day)}
        assert store.repeated_rows(1, rows[-1]["times_ms"] + 1, 0, 1) == store.repeated_rows(2, 0, 0, 1) == []
        store.remove_rows(1, [])
        store.remove_rows(1, [next(one.place for one in found if one.offset == 0), ("no_such_part", 0)])
        store.remove_rows(1, [next(one.place for one in store.repeated_rows(1, 0, 0, 1) if one.offset == 99)])
        assert store.repeated_rows(1, 0, 0, 1) == []
        assert store.raw_rows_by_campaign() == {1: 5, 2: 5}
        (difference,) = store.rollup_differences(1, 0)
        assert (difference.day, difference.platform, difference.region, difference.currency) == (
            day,
            "meta",
            "ZZ",
            "USD",
        )
        assert difference.lacks == {"events": -2, "clicks": -2, "spend_micros": -2_000_000}
        assert store.rollup_differences(1, day + 1) == store.rollup_differences(2, 0) == []

    def test_what_campaigns_counted_elsewhere_and_how_early(self, harness: Harness) -> None:
        store = harness.open()
        here = [row(n, campaign_id=n % 3 + 1, event_time_us=DAY_US * (100 + n), times_ms=1_000 * n) for n in range(9)]
        there = [row(n, event_id=f"t{n}", campaign_id=4 + n % 2, times_ms=5_000 + n) for n in range(4)]
        store.append_events(event_rows(here), "here")
        store.append_events(event_rows(there, partition=PARTITION + 1), "other partition")
        store.append_events(event_rows(there[:1], topic_id=TOPIC + 1), "other topic")
        assert list(store.campaigns_elsewhere(TOPIC, PARTITION, 0)) == [4, 5]
        assert list(store.campaigns_elsewhere(TOPIC, PARTITION, 5_003)) == [5]
        assert list(store.campaigns_elsewhere(TOPIC, PARTITION, 6_000)) == []
        found = [seen for seen in store.landed_elsewhere(TOPIC, PARTITION, [4, 9], 0) if len(seen)]
        assert sorted(name for seen in found for name in seen.event_id) == ["t0", "t0", "t2"]
        assert store.earliest_instants([1, 2, 9], 3_001) == {1: DAY_US * 100, 2: DAY_US * 101}
        assert store.earliest_instants([1], 0) == store.earliest_instants([], 9_000) == {}

    def test_rows_land_in_the_raw_table_and_in_the_rollup(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(1, 300)
        store.append_events(event_rows(rows), "one")
        _assert_exact(store, rows)

    def test_a_token_lands_its_rows_once(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(2, 200)
        for _ in range(3):
            store.append_events(event_rows(rows), "same")
        _assert_exact(store, rows)
        store.append_events(event_rows(rows), "another")
        _assert_exact(store, [*rows, *rows])

    def test_a_token_outlives_the_process(self, harness: Harness) -> None:
        rows = random_rows(3, 100)
        harness.open().append_events(event_rows(rows), "kept")
        harness.close()
        store = harness.open()
        store.append_events(event_rows(rows), "kept")
        _assert_exact(store, rows)

    def test_an_insert_that_was_cut_off_is_completed_by_its_token(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(4, 200)
        september = day_number(date(2026, 9, 1))
        harness.cut_off(store, [one for one in rows if one["day"] < september], "cut off")
        assert _by_day(store) == {} != _by_time(store)
        for _ in range(2):
            store.append_events(event_rows(rows), "cut off")
            _assert_exact(store, rows)

    def test_one_token_from_many_threads_lands_once(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(5, 200)
        with ThreadPoolExecutor(4) as pool:
            for landed in [pool.submit(store.append_events, event_rows(rows), f"at once {n // 4}") for n in range(12)]:
                landed.result()
        _assert_exact(store, [*rows, *rows, *rows])

    def test_a_batch_may_span_ten_years(self, harness: Harness) -> None:
        store = harness.open()
        rows = [row(n, event_time_us=(day_number(date(2016, 1, 15)) + 30 * n) * DAY_US) for n in range(130)]
        store.append_events(event_rows(rows), "long")
        assert len(store.landed_offsets(OffsetRange(TOPIC, PARTITION, 0, 1000))) == 130

    def test_texts_survive(self, harness: Harness) -> None:
        store = harness.open()
        rows = [row(n, event_id=text or "-", ad_group_id=text, ad_id=text, device=text) for n, text in enumerate(TEXTS)]
        store.append_events(event_rows(rows), "texts")
        found = store.find_by_id([(1, text or "-") for text in TEXTS], _NOTHING)
        assert sorted(found.event_id) == sorted(text or "-" for text in TEXTS)
        group_by = (Dimension.AD_GROUP, Dimension.AD, Dimension.DEVICE)
        labels = {key[1:4] for key in _by_time(store, group_by)}
        assert labels == {(text, text, text) for text in TEXTS}

    def test_columns_may_have_many_labels(self, harness: Harness) -> None:
        store = harness.open()
        rows = [row(n, device=f"{n % 70_000:x}" * (n % 3), region=f"US-{n % 300}") for n in range(70_000)]
        store.append_events(event_rows(rows), "labels")
        found = {key[1]: sums[3] for key, sums in _by_time(store, (Dimension.DEVICE,)).items()}
        assert found == {key[0]: sums[3] for key, sums in sums_by(rows, "device").items()}
        by_region = {key[1]: sums[3] for key, sums in _by_day(store, (Dimension.REGION,)).items()}
        assert by_region == {key[0]: sums[3] for key, sums in sums_by(rows, "region").items()}

    def test_sums_are_exact_beyond_64_bits(self, harness: Harness) -> None:
        store = harness.open()
        huge = {"impressions": 10**16, "clicks": 2**53 + 1, "spend_micros": 10**15 - 1, "revenue_micros": -(10**15) + 1}
        rows = [row(n, **huge) for n in range(3_000)]
        store.append_events(event_rows(rows), "huge")
        _assert_exact(store, rows)
        assert sum(one["impressions"] for one in rows) > 2**64

    def test_adjustments_may_bring_sums_below_zero(self, harness: Harness) -> None:
        store = harness.open()
        rows = [row(0, impressions=-5, spend_micros=-1), row(1, impressions=5), row(2, clicks=-(10**16))]
        store.append_events(event_rows(rows), "negative")
        _assert_exact(store, rows)

    def test_rows_of_nothing_but_zeros_stay(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows([row(0, spend_micros=0)]), "zero")
        harness.merge(store)
        assert _by_day(store) == _by_time(store) == {(0, "USD", -1): (0, 0, 0, 0, 0)}

    def test_merging_changes_nothing(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(6, 400)
        for n in range(8):
            store.append_events(event_rows(rows[n * 50 : n * 50 + 50]), f"part {n}")
        newest = store.newest_events(_CAMPAIGNS)
        harness.merge(store)
        _assert_exact(store, rows)
        assert store.newest_events(_CAMPAIGNS) == newest == _newest(rows)

    def test_conflicts_land_once(self, harness: Harness) -> None:
        store = harness.open()
        times_us, times_ms = [FIRST_US, FIRST_US], [1, 2]
        values = [b'{"a": "\xff\x00\'"}', b"x" * 200_000]
        rows = ConflictRows([1, 2], ["a", "b"], times_us, values, [5, 6], times_ms, TOPIC, PARTITION)
        for _ in range(2):
            store.append_conflicts(rows, "conflicts")
        asked = "SELECT campaign_id, event_id, hex(value), koff FROM event_conflicts ORDER BY koff"
        answer = store.run_sql(asked, {}, max_rows=10, timeout_s=5)
        assert answer.rows == [[1, "a", values[0].hex().upper(), 5], [2, "b", values[1].hex().upper(), 6]]

    def test_killed_in_the_middle_of_inserts_a_replay_makes_it_exact(self, harness: Harness) -> None:
        batches, size = 30, 2_000
        harness.open()
        rng = random.Random(7)
        for _ in range(3):
            harness.close()
            _run_and_kill(harness.place, batches, size, after_s=rng.uniform(0.05, 0.6))
            harness.open().ping()
        store, every = harness.open(), []
        for number in range(batches):
            rows = random_rows(number, size, first_offset=number * size)
            store.append_events(event_rows(rows), f"batch-{number}")
            every += rows
        _repair(store, every)
        _assert_exact(store, every)

    # What has landed

    def test_landed_rows_are_read_back(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(8, 500)
        store.append_events(event_rows(rows), "here")
        store.append_events(event_rows(random_rows(9, 50), partition=PARTITION + 1), "elsewhere")
        store.append_events(event_rows(random_rows(10, 50), topic_id=TOPIC + 1), "other topic")
        since = rows[100]["times_ms"]
        seen = [
            one
            for chunk in store.landed_before(TOPIC, PARTITION, 400, since)
            for one in zip(
                chunk.campaign_id,
                chunk.event_id,
                chunk.event_time_us,
                chunk.times_ms,
                chunk.fingerprint.tolist(),
                strict=True,
            )
        ]
        names = ("campaign_id", "event_id", "event_time_us", "times_ms", "fingerprint")
        assert sorted(seen) == sorted(tuple(one[name] for name in names) for one in rows[100:400])

    def test_a_window_is_read_in_chunks(self, harness: Harness) -> None:
        store = harness.open()
        rows = [row(n) for n in range(150_000)]
        store.append_events(event_rows(rows), "many")
        sizes = [len(chunk) for chunk in store.landed_before(TOPIC, PARTITION, 10**9, 0)]
        assert sum(sizes) == 150_000
        assert max(sizes) <= 100_000

    def test_a_window_may_be_left_half_read(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows([row(n) for n in range(100_000)]), "many")
        for _ in range(10):  # more than there are connections
            chunks = iter(store.landed_before(TOPIC, PARTITION, 10**9, 0))
            next(chunks)
            chunks.close()  # type: ignore[attr-defined]
        assert store.newest_offset(TOPIC, PARTITION) == 99_999

    def test_offsets_of_a_range(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows([row(n) for n in (9, 5, 2**40, 7)]), "holes")
        assert list(store.landed_offsets(OffsetRange(TOPIC, PARTITION, 5, 9))) == [5, 7]
        assert store.newest_offset(TOPIC, PARTITION) == 2**40
        assert store.newest_offset(TOPIC, PARTITION + 1) is None

    def test_rows_of_a_range(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(12, 300)
        store.append_events(event_rows(rows), "here")
        store.append_events(event_rows(random_rows(13, 300), partition=PARTITION + 1), "elsewhere")
        store.append_events(event_rows(random_rows(14, 300), topic_id=TOPIC + 1), "other topic")
        seen = store.landed_events(OffsetRange(TOPIC, PARTITION, 40, 200))
        found = zip(
            *(seen.campaign_id, seen.event_id, seen.event_time_us, seen.times_ms, seen.fingerprint.tolist()),
            strict=True,
        )
        names = ("campaign_id", "event_id", "event_time_us", "times_ms", "fingerprint")
        assert sorted(found) == sorted(tuple(one[name] for name in names) for one in rows[40:200])
        assert len(store.landed_events(OffsetRange(TOPIC, PARTITION, 300, 400))) == 0

    def test_events_are_found_outside_of_a_range(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows([row(n, event_time_us=FIRST_US + n) for n in range(6)]), "some")
        copy = row(9, event_id="event-4", event_time_us=FIRST_US + 4, campaign_id=2)
        store.append_events(event_rows([copy], partition=PARTITION + 1), "other campaign")
        own = OffsetRange(TOPIC, PARTITION, 2, 4)
        keys = [(1, f"event-{n}", FIRST_US + n) for n in range(8)]
        assert sorted(store.find_by_instant(keys, own).event_id) == ["event-0", "event-1", "event-4", "event-5"]
        assert len(store.find_by_instant([(1, "event-0", FIRST_US + 1)], own)) == 0
        found = store.find_by_id([(1, "event-0"), (2, "event-4"), (3, "event-5"), (1, "event-2")], own)
        assert sorted(zip(found.campaign_id, found.event_id, strict=True)) == [(1, "event-0"), (2, "event-4")]
        elsewhere = OffsetRange(TOPIC, PARTITION + 1, 2, 4)
        assert list(store.find_by_id([(1, "event-2")], elsewhere).fingerprint) == [2**64 - 3]

    def test_ten_thousand_keys_are_looked_up_at_once(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows([row(n, event_id=f"{n:0128d}") for n in range(5_000)]), "some")
        keys = [(1, f"{n:0128d}", FIRST_US) for n in range(10_000)]
        assert len(store.find_by_instant(keys, _NOTHING)) == 5_000
        assert len(store.find_by_id([key[:2] for key in keys], _NOTHING)) == 5_000

    # The rollup

    def test_the_rollup_is_brought_back_to_its_raw_rows(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(11, 300)
        store.append_events(event_rows(rows), "rows")
        day = days_of(rows)[1][0]
        harness.drift(store, day, 1_000)
        harness.drift(store, day_number(last_day()) + 1, 5)  # a day without any raw row
        with pytest.raises(AssertionError):
            _assert_exact(store, rows)
        store.reconcile_rollup({1: [day, day_number(last_day()) + 1], 77: [day]}, WINDOW_MS, "heal", PARTITION)
        _assert_exact(store, rows)
        for token in ("heal", "heal again"):
            store.reconcile_rollup(days_of(rows), WINDOW_MS, token, PARTITION)
            _assert_exact(store, rows)
        harness.merge(store)
        _assert_exact(store, rows)

    def test_only_the_days_asked_for_are_brought_back(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows([row(0), row(1, event_time_us=FIRST_US + DAY_US)]), "rows")
        first = day_number(FIRST_DAY)
        harness.drift(store, first, 10)
        harness.drift(store, first + 1, 10)
        store.reconcile_rollup({1: [first + 1]}, WINDOW_MS, "one day", PARTITION)
        assert {key[0]: sums[0] for key, sums in _by_day(store, daily=True).items()} == {0: 10, 1: 0}

    def test_a_recount_tells_what_is_there_and_what_lacks(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(12, 400, campaigns=2)
        store.append_events(event_rows(rows), "rows")
        assert store.recorded_days(3) is None
        own = [one for one in rows if one["campaign_id"] == 1]
        first, last = min(one["day"] for one in own), max(one["day"] for one in own)
        assert store.recorded_days(1) == (first, last)
        right = store.recount({1: range(first, last + 1)}, WINDOW_MS, PARTITION)
        assert (right.rows_read, right.copies, len(right.lacking)) == (len(own), 0, 0)
        assert right.current.totals() == _totals(own)
        harness.drift(store, last + 1, 1_000)
        harness.drift(store, first, -7)
        assert store.recorded_days(1) == (first, last + 1)
        wrong = store.recount({1: range(first, last + 2), 2: [first]}, WINDOW_MS, PARTITION)
        assert (
            wrong.current.totals().counts["impressions"]
            - _totals([*own, *(one for one in rows if (one["campaign_id"], one["day"]) == (2, first))]).counts[
                "impressions"
            ]
            == 993
        )
        assert len(wrong.lacking) == 2
        assert wrong.lacking.totals().counts["impressions"] == -993
        assert wrong.lacking.totals().counts["events"] == -2
        for _ in range(2):
            store.add_to_rollup(wrong.lacking, "difference", PARTITION)
            assert len(store.recount({1: range(first, last + 2)}, WINDOW_MS, PARTITION).lacking) == 0
            _assert_exact(store, rows)

    def test_a_recount_keeps_the_first_copy(self, harness: Harness) -> None:
        """Same instant at any distance, or within the window of log time; another campaign's id is another event."""
        store, window = harness.open(), WINDOW_MS
        start = 1_795_000_000_000
        told = [
            row(0, event_id="a", impressions=1, times_ms=start),
            row(1, event_id="a", impressions=10, times_ms=start + window * 3),  # the same instant: a copy
            row(2, event_id="a", impressions=100, times_ms=start + window, event_time_us=FIRST_US + 5),  # in the window
            row(3, event_id="b", impressions=1_000, times_ms=start),
            row(4, event_id="b", impressions=10_000, times_ms=start + window + 1, event_time_us=FIRST_US + 5),
            row(5, event_id="a", impressions=100_000, times_ms=start, campaign_id=2),
            row(6, event_id="c", impressions=2**62, times_ms=start),
            row(7, event_id="c", impressions=2**62, times_ms=start + 1, region="US"),
        ]
        store.append_events(event_rows(told), "copies")
        day = day_number(FIRST_DAY)
        found = store.recount({1: [day], 2: [day]}, window, PARTITION)
        assert (found.rows_read, found.copies) == (8, 3)
        store.reconcile_rollup({1: [day], 2: [day]}, window, "collapse", PARTITION)
        exact = store.recount({1: [day], 2: [day]}, window, PARTITION)
        assert len(exact.lacking) == 0
        assert exact.current.totals().counts["impressions"] == 1 + 1_000 + 10_000 + 100_000 + 2**62
        assert exact.current.totals().counts["events"] == 5

    def test_tables_without_a_window_are_named(self, harness: Harness) -> None:
        store = harness.open()
        assert list(store.missing_windows()) == []
        harness.forget_window(store, "rollup_1d")
        assert list(store.missing_windows()) == ["rollup_1d"]

    def test_it_names_its_version(self, harness: Harness) -> None:
        name, _, version = harness.open().server_version().partition(" ")
        assert name == "ClickHouse" and version[0].isdigit()

    def test_it_tells_what_room_its_disks_have(self, harness: Harness) -> None:
        disks = harness.open().disks()
        assert disks
        assert all(0 <= disk.free_bytes <= disk.total_bytes > 0 for disk in disks)

    # Questions

    def test_both_roads_give_the_sums(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(12, 600)
        store.append_events(event_rows(rows), "rows")
        for granularity in (Granularity.DAILY, Granularity.WEEKLY, Granularity.MONTHLY, Granularity.TOTAL):
            for names in ((), ("platform",), ("region", "campaign"), ("campaign", "region", "platform")):
                group_by = tuple(map(Dimension, names))
                expected = _expected(rows, granularity, group_by)
                assert _by_day(store, group_by, granularity=granularity) == expected
                assert _by_time(store, group_by, granularity=granularity) == expected

    def test_questions_are_narrowed(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(13, 400)
        store.append_events(event_rows(rows), "rows")
        for platforms, regions in (
            (("meta", "tiktok"), ()),
            ((), ("US",)),
            (("google",), ("US-CA", "IN")),
            ((), ("FR",)),
        ):
            kept = [
                one
                for one in rows
                if (not platforms or one["platform"] in platforms)
                and (not regions or {one["region"], one["region"][:2]} & set(regions))
            ]
            narrowed = {"platforms": platforms, "regions": regions}
            expected = _expected(kept, Granularity.TOTAL, ())
            assert _by_day(store, granularity=Granularity.TOTAL, **narrowed) == expected
            assert _by_time(store, granularity=Granularity.TOTAL, **narrowed) == expected

    def test_what_was_taken_later_is_not_there_yet(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(16, 300)
        store.append_events(event_rows(rows), "rows")
        taken_ms = sorted(one["times_ms"] for one in rows)
        for then_ms in (0, taken_ms[0] - 1, taken_ms[0], taken_ms[150], taken_ms[-1]):
            there = [one for one in rows if one["times_ms"] <= then_ms]
            expected = _expected(there, Granularity.WEEKLY, (Dimension.PLATFORM,))
            as_of_us = then_ms * 1_000 + 999
            found = _by_time(store, (Dimension.PLATFORM,), granularity=Granularity.WEEKLY, as_of_us=as_of_us)
            assert found == expected
            assert store.newest_events(_CAMPAIGNS, as_of_us) == _newest(there)
        with pytest.raises(ValueError, match="earlier"):
            _by_day(store, as_of_us=0)

    def test_days_of_a_campaign_and_platform_are_left_out(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(17, 600)
        store.append_events(event_rows(rows), "rows")
        first = day_number(FIRST_DAY)
        cells = {(one["campaign_id"], one["platform"], one["day"] - first) for one in rows[::2]}
        cells |= {(1, "meta", day) for day in range(DAYS)}
        kept = [one for one in rows if (one["campaign_id"], one["platform"], one["day"] - first) not in cells]
        for left_out in (cells, {cell for cell in cells if cell[0] == 1}):
            kept = [one for one in rows if (one["campaign_id"], one["platform"], one["day"] - first) not in left_out]
            expected = _expected(kept, Granularity.MONTHLY, (Dimension.REGION,))
            for asked in (_by_day, _by_time):
                assert asked(store, (Dimension.REGION,), granularity=Granularity.MONTHLY, left_out=left_out) == expected

    def test_tens_of_thousands_of_days_are_left_out(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(18, 200)
        store.append_events(event_rows(rows), "rows")
        strangers = [(10**9 + number, "linkedin", number % DAYS) for number in range(20_000)]
        kept = [one for one in rows if (one["campaign_id"], one["platform"]) != (1, "meta")]
        left_out = [*strangers, *((1, "meta", day) for day in range(DAYS))]
        expected = _expected(kept, Granularity.TOTAL, ())
        for asked in (_by_day, _by_time):
            assert asked(store, granularity=Granularity.TOTAL, left_out=left_out) == expected

    def test_a_day_that_is_cut_in_two_is_left_out_whole(self, harness: Harness) -> None:
        store = harness.open()
        zone, day = ZoneInfo("America/Goose_Bay"), date(2010, 11, 6)  # goes on an hour after it ended at midnight
        midnight = round(datetime(2010, 11, 7, tzinfo=zone).timestamp()) * 1_000_000
        times = [midnight - 1, midnight + 90_000_000, midnight + 7_200_000_000]
        rows = [row(n, event_time_us=time_us, spend_micros=10**n) for n, time_us in enumerate(times)]
        store.append_events(event_rows(rows), "rows")
        days = DayRange(day, date(2010, 11, 7))
        found = _by_time(store, days=days, zone=zone, left_out={(1, "meta", 0), (1, "google", 1)})
        assert found == {(1, "USD", -1): (0, 0, 0, 100, 0)}

    def test_instants_belong_to_days_of_the_asked_zone(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(14, 500)
        store.append_events(event_rows(rows), "rows")
        zone = ZoneInfo("Australia/Lord_Howe")
        days = DayRange(date(2026, 10, 1), date(2026, 10, 31))
        found = _by_time(store, days=days, zone=zone)
        expected: set[int] = set()
        for one in rows:
            local = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=one["event_time_us"])).astimezone(zone)
            if days.first <= local.date() <= days.last:
                expected.add((local.date() - days.first).days)
        assert {key[0] for key in found} == expected

    def test_stretches_that_nobody_owns_are_left_out(self, harness: Harness) -> None:
        store = harness.open()
        zone, day = ZoneInfo("America/Goose_Bay"), date(2010, 11, 7)  # at 00:01 clocks went back to 23:01 of the 6th
        minute = 60_000_000
        midnight = round(datetime(2010, 11, 7, tzinfo=zone).timestamp()) * 1_000_000
        times = [midnight - 1, midnight, midnight + minute, midnight + 60 * minute, midnight + 61 * minute]
        rows = [row(n, event_time_us=time_us, spend_micros=10**n) for n, time_us in enumerate(times)]
        store.append_events(event_rows(rows), "rows")
        found = _by_time(store, days=DayRange(day, day), zone=zone)
        assert found == {(0, "USD", -1): (0, 0, 0, 11_010, 0)}

    def test_the_records_of_a_day(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(18, 3_000)
        store.append_events(event_rows(rows), "rows")
        day = FIRST_DAY + timedelta(days=5)
        when = timeline_of_days(DayRange(day, day), ZoneInfo("UTC"))
        question = SumsQuestion([1, 2], ["meta", "google"], ["US"], [], "USD")
        own = [
            one
            for one in rows
            if one["campaign_id"] in (1, 2) and one["platform"] in ("meta", "google") and one["region"][:2] == "US"
            if one["event_time_us"] // DAY_US == day_number(day)
        ]
        assert own
        found = store.streamed_records(question, when)
        assert [(one.platform, one.currency) for one in found] == sorted({(r["platform"], r["currency"]) for r in own})
        for one in found:
            mine = [r for r in own if (r["platform"], r["currency"]) == (one.platform, one.currency)]
            offsets, times = [r["offsets"] for r in mine], [r["event_time_us"] for r in mine]
            assert (one.topic_id, one.partition, one.events) == (TOPIC, PARTITION, len(mine))
            assert (one.first_offset, one.last_offset) == (min(offsets), max(offsets))
            assert (one.first_event_us, one.last_event_us) == (min(times), max(times))
            assert list(one.figures.values()) == [sum(r[metric] for r in mine) for metric in METRICS]
        platforms = [one["platform"] for one in own]
        assert store.summed_events(question, day) == {name: platforms.count(name) for name in set(platforms)}
        earlier = SumsQuestion([1, 2], [], [], [], "USD", as_of_us=min(r["times_ms"] for r in rows) * 1_000 - 1_000)
        assert store.streamed_records(earlier, when) == []

    def test_the_records_of_a_day_that_is_cut_in_two(self, harness: Harness) -> None:
        store = harness.open()
        zone, day = ZoneInfo("America/Goose_Bay"), date(2010, 11, 7)  # at 00:01 clocks went back to 23:01 of the 6th
        minute = 60_000_000
        midnight = round(datetime(2010, 11, 7, tzinfo=zone).timestamp()) * 1_000_000
        times = [midnight - 1, midnight, midnight + minute, midnight + 60 * minute, midnight + 61 * minute]
        rows = [row(n, event_time_us=time_us, spend_micros=10**n) for n, time_us in enumerate(times)]
        store.append_events(event_rows(rows), "rows")
        copies = ConflictRows([1] * 5, ["a"] * 5, times, [b"{}"] * 5, [10, 11, 12, 13, 14], [1_000] * 5, TOPIC,
                              PARTITION)  # fmt: skip
        store.append_conflicts(copies, "one")
        store.append_conflicts(copies, "one more, after a crash")
        when = timeline_of_days(DayRange(day, day), zone)
        (found,) = store.streamed_records(SumsQuestion([1], [], [], [], "USD"), when)
        assert (found.events, found.figures[Metric.SPEND]) == (3, 11_010)
        assert store.count_conflicts(1, when, None) == 3
        assert store.count_conflicts(1, when, 999_999) == 0
        assert store.count_conflicts(2, when, None) == 0

    def test_statements_are_told_as_they_were_run(self, harness: Harness) -> None:
        store = harness.open()
        store.append_events(event_rows(random_rows(19, 200)), "rows")
        question = SumsQuestion(
            [1, 2], ["meta"], ["US", "IN-KA"], [Dimension.PLATFORM], "USD", left_out=[(1, "meta", 3)]
        )
        with store.run_statements() as told:
            store.sums_by_day(question, [FIRST_DAY], FIRST_DAY + timedelta(days=DAYS))
            store.newest_events([1])
        store.newest_events([2])
        assert [(one.file, one.name) for one in told] == [
            ("sql/clickhouse/queries/insights.sql", name) for name in ("sums_of_rollup", "newest_events")
        ]
        for one in told:
            assert store.run_sql(one.sql, one.parameters, max_rows=10, timeout_s=10).rows

    def test_the_newest_events(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(15, 100)
        store.append_events(event_rows(rows), "rows")
        assert store.newest_events(_CAMPAIGNS) == _newest(rows)
        assert store.newest_events([1]) == _newest([one for one in rows if one["campaign_id"] == 1])
        assert store.newest_events([99]) == {}

    def test_the_newest_events_by_campaign(self, harness: Harness) -> None:
        store, rows = harness.open(), random_rows(17, 100)
        assert store.newest_events_by_campaign([1, 2]) == {}
        store.append_events(event_rows(rows), "rows")
        expected = {
            (id_, platform): at_us
            for id_ in _CAMPAIGNS
            for platform, at_us in _newest([one for one in rows if one["campaign_id"] == id_]).items()
        }
        assert store.newest_events_by_campaign([*_CAMPAIGNS, 99]) == expected
        assert store.newest_events_by_campaign([]) == {}

    def test_questions_and_batches_do_not_wait_for_each_other(self, harness: Harness) -> None:
        store = harness.open()
        rows = random_rows(16, 2_000)
        with ThreadPoolExecutor(6) as pool:
            landing = [
                pool.submit(store.append_events, event_rows(rows[n * 100 : n * 100 + 100]), f"t{n}") for n in range(20)
            ]
            asking = [pool.submit(_by_time, store) for _ in range(40)]
            for one in [*landing, *asking]:
                one.result()
        _assert_exact(store, rows)

    # The schema, and the end

    def test_migrations_are_applied_once(self, harness: Harness) -> None:
        store = harness.open()
        known = {migration.number: migration for migration in store.migrations()}
        applied = store.applied()
        assert store.name == "analytics"
        assert {n: (m.name, m.checksum) for n, m in applied.items()} == {
            n: (m.name, m.checksum) for n, m in known.items()
        }
        store.append_events(event_rows([row(0)]), "rows")
        for migration in store.migrations():
            store.apply(migration)  # as after a crash before it was recorded
        assert store.applied() == applied
        store.append_events(event_rows([row(0)]), "rows")
        _assert_exact(store, [row(0)])

    def test_a_closed_store_is_unavailable(self, harness: Harness) -> None:
        store = harness.open()
        store.ping()
        harness.close()
        with pytest.raises(Unavailable):
            store.ping()
        with pytest.raises(Unavailable):
            store.append_events(event_rows([row(0)]), "late")


FIRST_US = day_number(FIRST_DAY) * DAY_US
_NOTHING = OffsetRange(0, 0, 0, 0)
_CAMPAIGNS = range(1, 6)
_RANGE = DayRange(FIRST_DAY, last_day())
_UTC = ZoneInfo("UTC")


def _by_day(
    store: Store,
    group_by: Sequence[Dimension] = (),
    *,
    granularity: Granularity = Granularity.TOTAL,
    daily: bool = False,
    **narrowed: Any,
) -> dict[tuple[Any, ...], tuple[int, ...]]:
    granularity = Granularity.DAILY if daily else granularity
    starts = [bucket.days.first for bucket in buckets_of_days(_RANGE, granularity, WeekStart.MONDAY)]
    question = _question(group_by, **narrowed)
    return stored_by(store.sums_by_day(question, starts, FIRST_DAY + timedelta(days=DAYS)), group_by)


def _by_time(
    store: Store,
    group_by: Sequence[Dimension] = (),
    *,
    granularity: Granularity | None = None,
    days: DayRange = _RANGE,
    zone: ZoneInfo = _UTC,
    **narrowed: Any,
) -> dict[tuple[Any, ...], tuple[int, ...]]:
    granularity = granularity or (Granularity.TOTAL if days == _RANGE else Granularity.DAILY)
    buckets = buckets_of_days(days, granularity, WeekStart.MONDAY)
    timelines = timeline_of_buckets(buckets, days, zone), timeline_of_days(days, zone)
    return stored_by(store.sums_by_time(_question(group_by, **narrowed), *timelines), group_by)


def _question(
    group_by: Sequence[Dimension], platforms: Sequence[str] = (), regions: Sequence[str] = (), **more: Any
) -> SumsQuestion:
    return SumsQuestion(list(_CAMPAIGNS), platforms, regions, group_by, "USD", **more)


def _expected(
    rows: Sequence[Row], granularity: Granularity, group_by: Sequence[Dimension]
) -> dict[tuple[Any, ...], tuple[int, ...]]:
    buckets = buckets_of_days(_RANGE, granularity, WeekStart.MONDAY)
    bucket_of = {day_number(day): n for n, bucket in enumerate(buckets) for day in bucket.days}
    first = day_number(FIRST_DAY)
    marked = [
        {**one, "bucket": bucket_of[one["day"]], "money_day": -1 if one["currency"] == "USD" else one["day"] - first}
        for one in rows
    ]
    return sums_by(marked, "bucket", *(dimension.member for dimension in group_by), "currency", "money_day")


def _assert_exact(store: Store, rows: Sequence[Row]) -> None:
    """The raw rows and the rollup, by campaign, platform and region of each day, say what the rows say."""
    group_by = (Dimension.CAMPAIGN, Dimension.PLATFORM, Dimension.REGION)
    expected = _expected(rows, Granularity.DAILY, group_by)
    assert _by_time(store, group_by, granularity=Granularity.DAILY) == expected
    found = _by_day(store, group_by, granularity=Granularity.DAILY)
    assert {key: sums for key, sums in found.items() if key in expected or any(sums)} == expected


def _newest(rows: Sequence[Row]) -> dict[str, int]:
    newest: dict[str, int] = {}
    for one in rows:
        newest[one["platform"]] = max(newest.get(one["platform"], 0), one["event_time_us"])
    return newest


def _run_and_kill(place: str, batches: int, size: int, after_s: float) -> None:
    command = [sys.executable, "-m", "tests.contracts.analytics_process", place, str(batches), str(size)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        time.sleep(after_s)
    finally:
        process.kill()
        process.communicate()


def _repair(store: Store, rows: Sequence[Row]) -> None:
    """What a worker does after an uncertain insert: a token can be known although its rows are lost."""
    landed = set(store.landed_offsets(OffsetRange(TOPIC, PARTITION, 0, 10**9)))
    missing = [one for one in rows if one["offsets"] not in landed]
    store.append_events(event_rows(missing), "repair")
    store.reconcile_rollup(days_of(rows), WINDOW_MS, "repair rollup", PARTITION)


def _totals(rows: Sequence[Row]) -> Totals:
    totals = Totals()
    for one in rows:
        totals.counts.update(
            events=1,
            impressions=one["impressions"],
            clicks=one["clicks"],
            conversions=one["conversions_millionths"],
        )
        totals.money["spend"][one["currency"]] += one["spend_micros"]
        totals.money["revenue"][one["currency"]] += one["revenue_micros"]
    return totals
