"""What every store of reports must do, held against the brute-force model."""

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.insights import Metric
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, Coverage, Figures, ReportedAccount, ReportSlice, slice_digest
from campaignctl.ports.analytics import OffsetRange
from campaignctl.ports.reports import (
    AccountKey,
    FromRecord,
    LastFetch,
    NativeCampaign,
    ReportDays,
    ReportRows,
    ReportStore,
)
from tests.contracts.analytics_contract import Harness
from tests.contracts.analytics_rows import DAY_US, EPOCH, PARTITION, TOPIC, day_number, event_rows, row
from tests.model.reports import METRICS, Reports, Told, days_between
from tests.support.fetches import FIRST, FetchHistory

ACCOUNT = ReportedAccount(1, Platform.META, "123", "EUR", "Europe/Berlin")
KEY = AccountKey(1, "meta", "123")
A, B = (NativeCampaign(1, "meta", "123", "campaign", name) for name in "ab")
WHOLE = Figures("", 1000, 20, 1_500_000, 2**63 - 1, None)


def a_slice(*rows: Figures, native_id: str = "a", at_us: int = 5, **members: Any) -> ReportSlice:
    given = {"level": LinkLevel.CAMPAIGN, "day": FIRST, "breakdown": Breakdown.TOTAL, "definition": "d1", **members}
    return ReportSlice(native_id=native_id, fetched_at_us=at_us, rows=rows, **given)


def covering(native_id: str = "", *, at_us: int = 5, days: int = 1, **members: Any) -> Coverage:
    last = FIRST + timedelta(days=days - 1)
    given = {"level": LinkLevel.CAMPAIGN, "breakdown": Breakdown.TOTAL, "first_day": FIRST, "last_day": last, **members}
    return Coverage(native_id=native_id, fetched_at_us=at_us, **given)


def rows_of(told: Sequence[Told]) -> ReportRows:
    def of(kind: type) -> list[Any]:
        chosen = [one for one in told if isinstance(one.what, kind)]
        return [(FromRecord(one.place[0], one.time_ms), one.account, one.what) for one in chosen]

    return ReportRows(TOPIC, PARTITION, of(ReportSlice), of(Coverage))


def tell(store: ReportStore, *told: Told, token: str = "t") -> Reports:
    """Land what was told in one batch."""
    store.append_slices(rows_of(told), f"{token}-slices")
    store.append_coverage(rows_of(told), f"{token}-coverage")
    return Reports(told)


def records(*contents: ReportSlice | Coverage, account: ReportedAccount = ACCOUNT, first: int = 0) -> list[Told]:
    """Each in a record of its own, a millisecond apart."""
    return [Told(1_000 + n, (n, 0), account, what) for n, what in enumerate(contents, first)]


def told_by(history: FetchHistory) -> list[Told]:
    """One record for each fetch; several in some milliseconds."""
    rng, told, time_ms = random.Random(1), list[Told](), 10_000
    for offset, fetch in enumerate(history.fetches):
        time_ms += rng.randrange(3)
        told += [Told(time_ms, (offset, n), fetch.account, one) for n, one in enumerate(fetch.slices)]
        told += [Told(time_ms, (offset, 0), fetch.account, one) for one in fetch.coverage]
    return told


def as_model(days: ReportDays) -> dict[tuple[int, date, str], Any]:
    """By place of the native campaign, day and region what ``Reports.rows`` answers."""
    found: dict[tuple[int, date, str], Any] = {}
    metrics = [days.metrics[Metric(metric)] for metric in METRICS]
    for n, (native, day) in enumerate(zip(days.native.tolist(), days.day.tolist(), strict=True)):
        key = native, EPOCH + timedelta(days=day), str(days.region.names[days.region.codes[n]])
        assert key not in found
        figures = tuple(int(one.values[n]) if one.given[n] else None for one in metrics)
        currency, definition = (keys.names[keys.codes[n]] for keys in (days.currency, days.definition))
        found[key] = (figures, currency, definition, int(days.fetched_us[n]))
    return found


def assert_days_match(
    store: ReportStore, reports: Reports, natives: Sequence[NativeCampaign], first: date, last: date, as_of: int | None
) -> None:
    for by_country in (False, True):
        days = store.report_days(natives, first, last, as_of, by_country=by_country)
        expected = {
            (n, day, region): row
            for n, native in enumerate(natives)
            for day in days_between(first, last)
            for region, row in reports.rows(native, day, as_of, by_country=by_country).items()
        }
        found = as_model(days)
        assert found == expected
        assert list(found) == sorted(found)
        assert days.ever_seen.tolist() == [reports.seen(native, as_of) for native in natives]
        assert days.last_fetched_us.tolist() == [reports.last_fetched_us(native, as_of) for native in natives]
        assert set(days.covered_us) == set(Breakdown) if by_country else {Breakdown.TOTAL}
        for breakdown, covered in days.covered_us.items():
            assert covered.tolist() == [
                [reports.covered_us(native, day, breakdown, as_of) for day in days_between(first, last)]
                for native in natives
            ]


class ReportsContract:
    def test_an_empty_store_answers(self, harness: Harness) -> None:
        store = harness.open()
        assert_days_match(store, Reports([]), [A, B], FIRST, FIRST, None)
        assert_days_match(store, Reports([]), [], FIRST, FIRST, None)
        assert store.history([A], FIRST, FIRST).versions == []
        assert store.history([], FIRST, FIRST).first_seen_ms == []
        assert store.standing_slices(KEY, "campaign", Breakdown.TOTAL, FIRST, FIRST) == {}
        assert store.natives_between(KEY, FIRST, FIRST) == []
        assert store.last_fetches([KEY], None) == {}
        assert store.last_fetches([], None) == {}
        assert store.landed_reports(OffsetRange(TOPIC, PARTITION, 0, 100)) == (frozenset(), frozenset())
        tell(store)

    def test_versions_of_slices_are_counted_by_native_campaign(self, harness: Harness) -> None:
        store = harness.open()
        told = (a_slice(WHOLE), a_slice(WHOLE, at_us=6), a_slice(WHOLE, native_id="b"), covering())
        tell(
            store,
            *records(*told),
            *records(a_slice(WHOLE), account=ReportedAccount(2, Platform.META, "123", "EUR", "Europe/Berlin"), first=9),
        )
        assert [store.report_slices_of(natives) for natives in ([A], [A, B], [], [replace(A, native_id="c")])] == [
            2, 3, 0, 0
        ]  # fmt: skip

    def test_a_version_replaces_the_one_before_it_whole(self, harness: Harness) -> None:
        store = harness.open()
        old = a_slice(Figures("IN", 1, 1, 1, 1, 1), Figures("US", 2, 2, 2, 2, 2), breakdown=Breakdown.COUNTRY)
        new = a_slice(Figures("FR", 3, None, 3, 3, 3), breakdown=Breakdown.COUNTRY, at_us=6)
        gone = a_slice(breakdown=Breakdown.COUNTRY, at_us=7)
        reports = tell(store, *records(old, a_slice(WHOLE), new, covering(days=3), gone))
        for as_of in (None, 999, 1_000, 1_001, 1_002, 1_003, 1_004):
            assert_days_match(store, reports, [B, A], FIRST - timedelta(days=1), FIRST + timedelta(days=3), as_of)

    def test_a_version_that_was_fetched_earlier_and_came_later_does_not_stand(self, harness: Harness) -> None:
        store = harness.open()
        late = a_slice(Figures("", 9, 9, 9, 9, 9), at_us=4)
        same_instant = a_slice(Figures("", 8, 8, 8, 8, 8), at_us=5)
        reports = tell(store, *records(a_slice(WHOLE), late))
        assert_days_match(store, reports, [A], FIRST, FIRST, None)
        reports = Reports([*reports.told, *tell(store, *records(same_instant, first=2), token="u").told])
        assert_days_match(store, reports, [A], FIRST, FIRST, None)

    def test_of_two_slices_in_one_record_the_later_stands(self, harness: Harness) -> None:
        store = harness.open()
        told = [Told(1_000, (0, n), ACCOUNT, a_slice(Figures("", n, n, n, n, n))) for n in (0, 1, 2)]
        assert_days_match(store, tell(store, *told), [A], FIRST, FIRST, None)

    def test_a_token_lands_once_and_twice_changes_nothing(self, harness: Harness) -> None:
        store = harness.open()
        told = records(a_slice(WHOLE), covering(), a_slice(native_id="b"), covering("b", at_us=9))
        for token in ("t", "t", "u"):
            reports = tell(store, *told, token=token)
        assert_days_match(store, reports, [A, B], FIRST, FIRST, None)
        assert store.landed_reports(OffsetRange(TOPIC, PARTITION, 0, 4)) == ({0, 2}, {1, 3})
        assert store.landed_reports(OffsetRange(TOPIC, PARTITION, 1, 3)) == ({2}, {1})
        assert store.landed_reports(OffsetRange(TOPIC, PARTITION + 1, 0, 4)) == (frozenset(), frozenset())
        assert store.newest_offset(TOPIC, PARTITION) == 3

    def test_names_of_other_accounts_and_levels_are_not_mixed_up(self, harness: Harness) -> None:
        store = harness.open()
        told, natives = [], []
        for n, (organization, platform, account_id, level, native_id) in enumerate(
            (o, p, a, level, c) for o in (1, 2) for p in ("meta", "linkedin") for a in "xy" for level in LinkLevel
            for c in "ab"
        ):  # fmt: skip
            account = ReportedAccount(organization, Platform(platform), account_id, "USD", f"Zone/{n}")
            one = a_slice(Figures("", n, n, n, n, n), native_id=native_id, level=level)
            told += [Told(1_000 + n, (n, 0), account, one)] if n % 3 else []
            covered = covering(native_id if n % 2 else "", level=level, at_us=n)
            told += [Told(1_000 + n, (n, 0), account, covered)] if n % 5 else []
            natives.append(NativeCampaign(organization, platform, account_id, level, native_id))
        reports = tell(store, *told)
        assert_days_match(store, reports, natives[::-1], FIRST, FIRST, None)
        assert_days_match(store, reports, [natives[1], natives[14]], FIRST, FIRST, None)

    def test_answers_do_not_depend_on_how_many_are_asked_at_once(
        self, harness: Harness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store, history = harness.open(), FetchHistory(7, fetches=40)
        reports = tell(store, *told_by(history))
        monkeypatch.setattr("campaignctl.adapters.analytics.report_answers._NATIVES_AT_ONCE", 1)
        assert_days_match(store, reports, history.natives, FIRST, history.last, None)
        assert len(store.history(history.natives, FIRST, history.last).first_seen_ms) == len(history.natives)

    @pytest.mark.parametrize("seed", range(6))
    def test_random_histories(self, harness: Harness, seed: int) -> None:
        store, history = harness.open(), FetchHistory(seed, fetches=25)
        told = told_by(history)
        reports = tell(store, *told)
        for as_of in (None, *random.Random(seed).sample([one.time_ms for one in told], 3)):
            assert_days_match(store, reports, history.natives, FIRST, history.last, as_of)
            assert_days_match(store, reports, history.natives[:1], FIRST + timedelta(days=1), history.last, as_of)

    def test_a_history_is_everything_there_was(self, harness: Harness) -> None:
        store = harness.open()
        versions = [a_slice(WHOLE), a_slice(Figures("", 1, 1, 1, 1, 1), at_us=3), a_slice(at_us=9, definition="d2")]
        tell(store, *records(covering(days=2), *versions, covering("b"), a_slice(native_id="b"), covering()))
        history = store.history([B, A], FIRST, FIRST)
        told = [(one.native, one.day, one.fetched_us, one.landed_ms, one.figures) for one in history.versions]
        assert told == [
            (1, FIRST, 5, 1_001, WHOLE),
            (1, FIRST, 3, 1_002, Figures("", 1, 1, 1, 1, 1)),
            (1, FIRST, 9, 1_003, None),
            (0, FIRST, 5, 1_005, None),
        ]
        assert [(one.currency, one.timezone, one.definition) for one in history.versions][2] == (
            "EUR", "Europe/Berlin", "d2"
        )  # fmt: skip
        assert sorted((one.native, one.last, one.landed_ms) for one in history.coverage) == [
            (0, FIRST, 1_004),
            (0, FIRST, 1_006),
            (0, FIRST + timedelta(days=1), 1_000),
            (1, FIRST, 1_006),
            (1, FIRST + timedelta(days=1), 1_000),
        ]
        assert history.first_seen_ms == [-1, 1_001]

    def test_a_fetch_compares_with_what_stands(self, harness: Harness) -> None:
        store = harness.open()
        old, new, gone = a_slice(WHOLE), a_slice(Figures("", 1, 1, 1, 1, 1), at_us=6), a_slice(native_id="b", at_us=8)
        elsewhere = a_slice(WHOLE, day=FIRST + timedelta(days=1))
        tell(store, *records(new, old, gone, elsewhere))
        standing = store.standing_slices(KEY, "campaign", Breakdown.TOTAL, FIRST, FIRST)
        assert {key: (one.digest, one.fetched_us, one.has_rows) for key, one in standing.items()} == {
            ("a", FIRST): (slice_digest(ACCOUNT, new), 6, True),
            ("b", FIRST): (slice_digest(ACCOUNT, gone), 8, False),
        }
        assert store.standing_slices(KEY, "campaign_group", Breakdown.TOTAL, FIRST, FIRST) == {}
        assert store.standing_slices(KEY, "campaign", Breakdown.COUNTRY, FIRST, FIRST) == {}

    def test_native_campaigns_that_have_had_a_row(self, harness: Harness) -> None:
        store = harness.open()
        group = a_slice(WHOLE, native_id="g", level=LinkLevel.CAMPAIGN_GROUP)
        tell(store, *records(a_slice(WHOLE), a_slice(native_id="b"), group, a_slice(at_us=9)))
        assert store.natives_between(KEY, FIRST, FIRST) == [A, NativeCampaign(1, "meta", "123", "campaign_group", "g")]
        assert store.natives_between(KEY, FIRST + timedelta(days=1), FIRST + timedelta(days=9)) == []
        assert store.natives_between(AccountKey(2, "meta", "123"), FIRST, FIRST) == []

    def test_the_last_fetch_of_an_account(self, harness: Harness) -> None:
        store = harness.open()
        other = ReportedAccount(2, Platform.META, "123", "USD", "")
        told = records(covering(at_us=7), covering("a", at_us=6, breakdown=Breakdown.COUNTRY))
        tell(store, *told, Told(2_000, (9, 0), other, covering(at_us=8)))
        keys = [KEY, AccountKey(2, "meta", "123"), AccountKey(3, "meta", "123")]
        assert store.last_fetches(keys, None) == {
            keys[0]: LastFetch(7, "EUR", "Europe/Berlin"),
            keys[1]: LastFetch(8, "USD", ""),
        }
        assert store.last_fetches(keys, 1_999) == {KEY: LastFetch(7, "EUR", "Europe/Berlin")}
        assert store.last_fetches(keys, 999) == {}

    def test_when_the_last_event_of_a_day_came(self, harness: Harness) -> None:
        store, noon_us = harness.open(), day_number(FIRST) * DAY_US + DAY_US // 2
        number = day_number(FIRST)
        store.append_events(
            event_rows([
                row(0, event_time_us=noon_us, times_ms=2_000),
                row(1, event_time_us=noon_us, times_ms=5_000),
                row(2, event_time_us=noon_us, times_ms=9_000, platform="google"),
                row(3, event_time_us=noon_us, times_ms=9_000, campaign_id=2),
                row(4, event_time_us=noon_us + DAY_US, day=number + 2, times_ms=7_000),
                row(5, event_time_us=noon_us - DAY_US, day=number - 1, times_ms=7_000),
            ]),
            "t",
        )  # fmt: skip
        later = FIRST + timedelta(days=2)
        assert store.last_arrivals(1, FIRST, later) == {
            ("meta", FIRST): 5_000, ("google", FIRST): 9_000, ("meta", later): 7_000,
        }  # fmt: skip
        assert store.last_arrivals(3, FIRST, later) == {}
