"""Deriving again: what stands afterwards is what stood had every fetch counted by the new definition."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from campaignctl.domain.accounts import PlatformAccount
from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, ReportedAccount, ReportRow, decode_report, slice_digest
from campaignctl.ports.accounts import FetchWindow, KeptPage
from campaignctl.ports.ad_platforms import AccountAccess, ReportPage, ReportRequest, Unwatched
from campaignctl.ports.reports import StandingSlice
from campaignctl.services.rederivation import planned
from campaignctl.services.report_windows import FetchedAccount, WindowFetcher, window_place
from tests.fakes.clock import ManualClock

DAY = date(2026, 11, 1)
NATIVES = ("1", "2", "3")
_T0 = datetime(2026, 11, 20, tzinfo=UTC)
_ACCOUNT = PlatformAccount(1, 1, Platform.META, "77", "", "UTC", "USD", True, None, None, _T0, _T0)
_REPORTED = ReportedAccount(1, Platform.META, "77", "USD", "UTC")
Told = Mapping[tuple[str, date], tuple[int, int]]
"""What the platform says: two kinds of conversions."""


@dataclass
class _Pages:
    """The answers, of complete windows and of others."""

    pages: dict[tuple[FetchWindow, int], list[tuple[KeptPage, bytes]]] = field(default_factory=dict)
    complete: dict[FetchWindow, int] = field(default_factory=dict)

    def add_page(self, window: FetchWindow, job_id: int, page: KeptPage, raw: bytes, /) -> None:
        self.pages.setdefault((window, job_id), []).append((page, raw))

    def pages_of(self, window: FetchWindow, job_id: int, /) -> list[KeptPage]:
        return [page for page, _ in self.pages.get((window, job_id), ())]

    def raw_page(self, window: FetchWindow, job_id: int, number: int, /) -> bytes:
        return self.pages[window, job_id][number][1]

    def complete_window(self, window: FetchWindow, job_id: int, _started_at: datetime, /) -> None:
        self.complete[window] = job_id

    def kept(self) -> list[tuple[FetchWindow, int, list[KeptPage]]]:
        return [(window, job, self.pages_of(window, job)) for window, job in self.complete.items()]


@dataclass
class _Standing:
    """A log that is applied at once, and what stands by it."""

    slices: dict[tuple[Breakdown, str, date], Any] = field(default_factory=dict)
    produced: int = 0

    def produce(self, _topic: str, records: Sequence[Any], /) -> list[Any]:
        for record in records:
            told = decode_report(record.value)
            assert told is not None
            for one in told.slices:
                self.produced += 1
                known = self.slices.get((one.breakdown, one.native_id, one.day))
                if known is None or known.fetched_at_us <= one.fetched_at_us:
                    self.slices[one.breakdown, one.native_id, one.day] = one
        return []

    def standing_slices(
        self, _key: object, _level: str, breakdown: Breakdown, first: date, last: date, /
    ) -> dict[tuple[str, date], StandingSlice]:
        return {
            (native, day): StandingSlice(slice_digest(_REPORTED, one), one.fetched_at_us, bool(one.rows))
            for (kind, native, day), one in self.slices.items()
            if kind is breakdown and first <= day <= last
        }

    def figures(self) -> dict[Any, Any]:
        return {key: (one.definition, one.rows) for key, one in self.slices.items() if one.rows}


@dataclass
class _TwoKinds:
    """A platform whose answers have two kinds of conversions, of which the definition chooses."""

    told: Told
    clock: ManualClock
    page_rows: int = 2

    def pages(self, access: AccountAccess, window: ReportRequest, _resume: str | None, /) -> Iterator[ReportPage]:
        rows = [
            [native, day.isoformat(), *counts]
            for (native, day), counts in sorted(self.told.items())
            if window.first <= day <= window.last
        ]
        pieces = [rows[n : n + self.page_rows] for n in range(0, len(rows), self.page_rows)] or [[]]
        for number, piece in enumerate(pieces, 1):
            resume = str(number) if number < len(pieces) else None
            raw = json.dumps(piece).encode()
            (fresh,) = self.read(access, window, [raw])
            yield ReportPage(fresh, raw, resume, self.clock.now())

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        region = "US" if window.breakdown is Breakdown.COUNTRY else ""
        for raw in raws:
            yield [
                ReportRow(row[0], date.fromisoformat(row[1]), region, 1, 1, row[2 + self._kind(access)], 1, 0)
                for row in json.loads(raw)
            ]

    def definition(self, access: AccountAccess, /) -> str:
        return f"kind-{self._kind(access)}"

    def _kind(self, access: AccountAccess) -> int:
        return int(access.conversion_actions == ("second",))


@dataclass
class _Account:
    """An account under one definition after the other."""

    actions: tuple[str, ...] = ()
    pages: _Pages = field(default_factory=_Pages)
    standing: _Standing = field(default_factory=_Standing)
    clock: ManualClock = field(default_factory=lambda: ManualClock(_T0))
    client: _TwoKinds = field(init=False)

    def __post_init__(self) -> None:
        self.client = _TwoKinds({}, self.clock)

    def fetch(self, job_id: int, window: ReportRequest, told: Told) -> None:
        self.client.told = told
        self.clock.advance(60)
        self._fetcher().fetch(self._of(), window, job_id).complete()

    def derive(self, stop_after: int | None = None) -> int:
        """Answers how many slices were produced; ``stop_after`` so many windows the process dies."""
        windows = planned(self.pages.kept())
        return sum(self._fetcher().derive(self._of(), window).changed for window in windows[:stop_after])

    def _of(self) -> FetchedAccount:
        access = AccountAccess("meta", "77", {}, conversion_actions=self.actions)
        return FetchedAccount(_ACCOUNT, access, _REPORTED, self.client)  # type: ignore[arg-type]

    def _fetcher(self) -> WindowFetcher:
        return WindowFetcher(
            self.pages,  # type: ignore[arg-type]
            self.standing,  # type: ignore[arg-type]
            self.standing,  # type: ignore[arg-type]
            self.clock,
            topic="t",
            landed=lambda _: None,
            checkpoint=lambda: None,
            watch=Unwatched(),
        )


_days = st.integers(0, 7).map(lambda n: DAY + timedelta(days=n))
_counts = st.tuples(st.integers(0, 3), st.integers(0, 3))
_tellings = st.dictionaries(st.tuples(st.sampled_from(NATIVES), _days), _counts, max_size=12)
_fetches = st.tuples(_days, st.integers(0, 7), st.sampled_from(Breakdown), _tellings)


def _window(first: date, length: int, breakdown: Breakdown) -> ReportRequest:
    return ReportRequest(LinkLevel.CAMPAIGN, breakdown, first, first + timedelta(days=length), None)


@given(history=st.lists(_fetches, min_size=1, max_size=6), dies_after=st.integers(0, 5))
def test_what_is_derived_is_what_fetches_under_the_new_definition_gave(history: list[Any], dies_after: int) -> None:
    derived, fresh = _Account(), _Account(("second",))
    for job_id, (first, length, breakdown, told) in enumerate(history):
        for account in (derived, fresh):
            account.fetch(job_id, _window(first, length, breakdown), told)
    before = derived.standing.figures()
    derived.actions = ("second",)
    derived.derive(stop_after=dies_after)
    derived.derive()
    assert derived.standing.figures() == fresh.standing.figures()
    assert derived.derive() == 0
    derived.actions = ()
    derived.derive()
    assert derived.standing.figures() == before


def test_each_slice_gets_one_new_version_however_often_it_was_fetched() -> None:
    account = _Account()
    told = {("1", DAY + timedelta(days=n)): (1, 2) for n in range(8)}
    for job_id, first in enumerate((0, 2, 4)):
        account.fetch(job_id, _window(DAY + timedelta(days=first), 7 - first, Breakdown.TOTAL), told)
    assert account.standing.produced == 8
    account.actions = ("second",)
    assert account.derive() == 8


def test_nothing_takes_the_place_of_what_was_fetched_later() -> None:
    account = _Account()
    window = _window(DAY, 0, Breakdown.TOTAL)
    account.fetch(0, window, {("1", DAY): (1, 2)})
    old = account.pages.kept()
    account.fetch(1, window, {("1", DAY): (3, 4)})
    stood = dict(account.standing.slices)
    account.actions = ("second",)
    place = window_place(1, window)
    (kept,) = planned([(place, 0, account.pages.pages_of(place, 0))])
    assert old
    assert account._fetcher().derive(account._of(), kept).changed == 0
    assert account.standing.slices == stood


def test_windows_whose_days_others_have_newer_are_left_out() -> None:
    def kept(day: str, last: str, minutes: int, scope: str = "") -> tuple[FetchWindow, int, list[KeptPage]]:
        place = FetchWindow(1, "campaign", Breakdown.TOTAL, day, last, scope)
        return place, minutes, [KeptPage(0, _T0 + timedelta(minutes=minutes), None)]

    whole, recent = kept("2026-11-01", "2026-11-03", 1), kept("2026-11-02", "2026-11-03", 2)
    inside, scoped = kept("2026-11-02", "2026-11-02", 0), kept("2026-11-02", "2026-11-02", 3, "x")
    found = planned([recent, scoped, inside, whole])
    assert [one.job_id for one in found] == [1, 2, 3]
    assert [sorted(day.day for day in one.days) for one in found] == [[1], [2, 3], [2]]
    assert replace(found[0], days=frozenset()).pages == tuple(whole[2])
