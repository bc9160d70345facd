"""Fetching one window of an account's reports: pages in, what is different out into the log.

1. read the pages that are still missing, and keep each as it came before the next one is asked for;
2. make slices of all of them, and compare each with the version that stands;
3. produce the slices that are different, those of rows that have vanished, and behind them what was covered;
4. once that has landed, write down that the window is complete. The next window may be read meanwhile: no two of a
   fetch have a slice in common, so that what one compares with is never what another has on its way.

Every step bears repetition: a process that dies anywhere is followed by one that reads on from the last page kept.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from campaignctl.domain.accounts import PlatformAccount
from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.reports import (
    REPORT_KIND,
    Coverage,
    ReportedAccount,
    ReportSlice,
    encode_report,
    report_key,
    slice_digest,
)
from campaignctl.ports.accounts import FetchWindow, KeptPage, PageStore
from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform, PlatformWatch, ReportRequest
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord, Position
from campaignctl.ports.reports import AccountKey, ReportStore, StandingSlice
from campaignctl.services.own_records import OWN_KIND_HEADER
from campaignctl.services.report_spool import ReportSpool

_RECORDS_AT_ONCE = 16


class Landed(Protocol):
    """Waits until records that were produced are applied."""

    def __call__(self, produced: Sequence[Position], /) -> None: ...


@dataclass(frozen=True, slots=True)
class WindowOutcome:
    """What became of one window."""

    rows: int
    changed: int
    """Slices that differ from what stood before, vanished ones among them."""


@dataclass(frozen=True, slots=True)
class PublishedWindow:
    """A window whose records are in the log."""

    outcome: WindowOutcome
    produced: Sequence[Position]
    complete: Callable[[], None]
    """Writes down that the window is complete; to be called once the records have landed."""


@dataclass(frozen=True, slots=True)
class KeptWindow:
    """A window that was fetched, with its answers."""

    place: FetchWindow
    job_id: int
    pages: tuple[KeptPage, ...]
    days: frozenset[date]
    """Of which it has the newest answers."""


@dataclass(frozen=True, slots=True)
class FetchedAccount:
    """An account at the time of its fetch."""

    account: PlatformAccount
    access: AccountAccess
    reported: ReportedAccount
    client: AdPlatform


class WindowFetcher:
    """``checkpoint`` is called between steps, and may raise what ends the fetch."""

    def __init__(
        self,
        pages: PageStore,
        reports: ReportStore,
        event_log: EventLog,
        clock: Clock,
        *,
        topic: str,
        landed: Landed,
        checkpoint: Callable[[], None],
        watch: PlatformWatch,
    ) -> None:
        self._pages = pages
        self._reports = reports
        self._event_log = event_log
        self._clock = clock
        self._topic = topic
        self._landed = landed
        self._checkpoint = checkpoint
        self._watch = watch

    def fetch(self, of: FetchedAccount, window: ReportRequest, job_id: int) -> PublishedWindow:
        """Fetch the window for the job, from where it stopped. Raises the platform's errors and ``Unavailable``.

        It is complete once its records have landed and the caller says so.
        """
        place, started_at = window_place(of.account.id, window), self._clock.now()
        kept = self._pages.pages_of(place, job_id)
        with ReportSpool() as spool:
            if kept and kept[-1].resume is None:
                started_at = kept[0].fetched_at
                self._read_again(of, window, place, job_id, kept, spool)
            elif kept:  # rows that came before the place may come again behind it: only a reading of all of them tells
                kept = self._read_on(of, window, place, job_id, kept, None)
                self._read_again(of, window, place, job_id, kept, spool)
            else:
                kept = self._read_on(of, window, place, job_id, kept, spool)
            outcome, produced = self._publish(of, window, spool, kept[-1].fetched_at)
        since = min(started_at, kept[0].fetched_at)
        return PublishedWindow(outcome, produced, lambda: self._pages.complete_window(place, job_id, since))

    def derive(self, of: FetchedAccount, window: KeptWindow) -> WindowOutcome:
        """Make the slices of the window's days again, as the account's conversions are counted now; asks nobody.

        Only what is different is produced, and nothing in the place of what was fetched later.
        """
        place = window.place
        asked = ReportRequest(
            place.level,
            place.breakdown,
            date.fromisoformat(place.first_day),
            date.fromisoformat(place.last_day),
            None,
        )
        key = AccountKey(of.account.organization_id, of.account.platform.value, of.account.key)
        fetched_us = _microseconds(window.pages[-1].fetched_at)
        counter = _Counter()
        with ReportSpool() as spool:
            raws = (self._pages.raw_page(place, window.job_id, page.number) for page in window.pages)
            for rows in of.client.read(of.access, asked, raws):
                self._checkpoint()
                spool.add(row for row in rows if row.day in window.days)
            standing = self._reports.standing_slices(key, place.level, place.breakdown, asked.first, asked.last)
            level, definition = LinkLevel(place.level), of.client.definition(of.access)

            def changed() -> Iterator[ReportSlice]:
                for (native_id, day), figures in spool.slices():
                    stood = standing.get((native_id, day))
                    one = ReportSlice(level, native_id, day, place.breakdown, fetched_us, definition, figures)
                    if _differs(of.reported, one, stood) and (stood is None or stood.fetched_us <= fetched_us):
                        counter.changed += 1
                        yield one

            self._landed(self._produce(of.reported, changed(), ()))
            return WindowOutcome(spool.count, counter.changed)

    def _read_again(
        self,
        of: FetchedAccount,
        window: ReportRequest,
        place: FetchWindow,
        job_id: int,
        kept: Sequence[KeptPage],
        spool: ReportSpool,
    ) -> None:
        raws = (self._pages.raw_page(place, job_id, page.number) for page in kept)
        for rows in of.client.read(of.access, window, raws):
            self._checkpoint()
            spool.add(rows)

    def _read_on(
        self,
        of: FetchedAccount,
        window: ReportRequest,
        place: FetchWindow,
        job_id: int,
        kept: list[KeptPage],
        spool: ReportSpool | None,
    ) -> list[KeptPage]:
        """Read what is missing, and keep it; with a ``spool`` its rows go there, so that nothing is read twice."""
        for page in of.client.pages(of.access, window, kept[-1].resume if kept else None):
            if page.afresh and kept:
                self._pages.drop_pages(place, job_id)
                kept = []
                if spool is not None:
                    spool.clear()
            one = KeptPage(len(kept), page.fetched_at, page.resume)
            self._pages.add_page(place, job_id, one, page.raw)
            if spool is not None:
                spool.add(page.rows)
            self._watch.rows_read(of.account.platform.value, len(page.rows))
            kept = [*kept, one]
            self._checkpoint()
        return kept

    def _publish(
        self, of: FetchedAccount, window: ReportRequest, spool: ReportSpool, fetched_at: datetime
    ) -> tuple[WindowOutcome, list[Position]]:
        fetched_us = _microseconds(fetched_at)
        key = AccountKey(of.account.organization_id, of.account.platform.value, of.account.key)
        standing = dict(self._reports.standing_slices(key, window.level, window.breakdown, window.first, window.last))
        level, definition = LinkLevel(window.level), of.client.definition(of.access)
        counter = _Counter()

        def changed() -> Iterator[ReportSlice]:
            for (native_id, day), figures in spool.slices():
                stood = standing.pop((native_id, day), None)
                one = ReportSlice(level, native_id, day, window.breakdown, fetched_us, definition, figures)
                if _differs(of.reported, one, stood):
                    counter.changed += 1
                    yield one
            for (native_id, day), stood in standing.items():
                if stood.has_rows and (window.native_ids is None or native_id in window.native_ids):
                    counter.changed += 1
                    yield ReportSlice(level, native_id, day, window.breakdown, fetched_us, definition, ())

        covered = [
            Coverage(level, native_id, window.breakdown, window.first, window.last, fetched_us)
            for native_id in window.native_ids or ("",)
        ]
        produced = self._produce(of.reported, changed(), covered)
        return WindowOutcome(spool.count, counter.changed), produced

    def _produce(
        self, reported: ReportedAccount, slices: Iterator[ReportSlice], covered: Sequence[Coverage]
    ) -> list[Position]:
        key, headers = report_key(reported), ((OWN_KIND_HEADER, REPORT_KIND.encode()),)
        positions: list[Position] = []
        waiting: list[NewRecord] = []
        for value in encode_report(reported, slices, covered):
            waiting.append(NewRecord(key, value, headers))
            if len(waiting) == _RECORDS_AT_ONCE:
                positions += self._event_log.produce(self._topic, waiting)
                waiting = []
                self._checkpoint()
        return positions + (self._event_log.produce(self._topic, waiting) if waiting else [])


@dataclass(slots=True)
class _Counter:
    changed: int = 0


def window_place(account_id: int, window: ReportRequest) -> FetchWindow:
    """What the window is called in the store."""
    scope = ""
    if window.native_ids is not None:
        scope = hashlib.blake2b("\n".join(sorted(window.native_ids)).encode(), digest_size=8).hexdigest()
    return FetchWindow(
        account_id, window.level, window.breakdown, window.first.isoformat(), window.last.isoformat(), scope
    )


def _microseconds(instant: datetime) -> int:
    return int(instant.timestamp() * 1_000_000)


def _differs(reported: ReportedAccount, one: ReportSlice, stood: StandingSlice | None) -> bool:
    return stood is None or stood.digest != slice_digest(reported, one)
