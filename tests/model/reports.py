"""What reports say, by brute force: every question goes through everything that was ever told, one thing at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from campaignctl.domain.reports import Breakdown, Coverage, ReportedAccount, ReportSlice
from campaignctl.ports.reports import NativeCampaign

Figures = tuple[int | None, ...]
"""Impressions, clicks, conversions, spend, revenue."""
NOTHING: Figures = (0, 0, 0, 0, 0)
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")


@dataclass(frozen=True)
class Told:
    """One thing that a record of the log told: a version of a slice, or what a fetch covered."""

    time_ms: int
    place: tuple[int, int]
    """The record's offset, and which of the record's slices it is."""
    account: ReportedAccount
    what: ReportSlice | Coverage

    def is_about(self, native: NativeCampaign) -> bool:
        account = (self.account.organization_id, self.account.platform, self.account.account_id, self.what.level)
        return account == (*native.account, native.level) and self.what.native_id in {native.native_id, ""}


@dataclass(frozen=True)
class Restated:
    native: NativeCampaign
    day: date
    metric: str
    old: int | None
    new: int | None
    fetched_us: int
    landed_ms: int
    cause: str
    """``platform``, ``definition`` or ``unclear``."""
    old_definition: str
    definition: str


@dataclass(frozen=True)
class Stood:
    """What a day's total was, all of it; without a row all of it is nothing."""

    figures: Figures = NOTHING
    currency: str = ""
    definition: str = ""
    fetched_us: int = -1


def days_between(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range((last - first).days + 1))


@dataclass(frozen=True)
class Reports:
    """All that was told. ``as_of_ms`` is inclusive; None asks for now."""

    told: Sequence[Told]

    def standing(
        self, native: NativeCampaign, day: date, breakdown: Breakdown, as_of_ms: int | None = None
    ) -> Told | None:
        found = None
        for one in self._until(as_of_ms):
            what = one.what
            if not isinstance(what, ReportSlice) or not one.is_about(native):
                continue
            if (what.day, what.breakdown) == (day, breakdown) and (found is None or _stands_before(one, found)):
                found = one
        return found

    def rows(
        self, native: NativeCampaign, day: date, as_of_ms: int | None, *, by_country: bool
    ) -> dict[str, tuple[Figures, str, str, int]]:
        """By region the figures, currency, definition and instant of the fetch."""
        found = {}
        for breakdown in Breakdown if by_country else [Breakdown.TOTAL]:
            one = self.standing(native, day, breakdown, as_of_ms)
            if one is not None and isinstance(one.what, ReportSlice):
                for row in one.what.rows:
                    figures = (row.impressions, row.clicks, row.conversions_millionths, row.spend_micros)
                    about = one.account.currency, one.what.definition, one.what.fetched_at_us
                    found[row.region] = ((*figures, row.revenue_micros), *about)
        return found

    def seen(self, native: NativeCampaign, as_of_ms: int | None) -> bool:
        slices = (one.what for one in self._until(as_of_ms) if one.is_about(native))
        return any(isinstance(what, ReportSlice) and what.rows for what in slices)

    def covered_us(self, native: NativeCampaign, day: date, breakdown: Breakdown, as_of_ms: int | None) -> int:
        covered = [
            what.fetched_at_us
            for what in self._coverage(native, as_of_ms)
            if what.breakdown == breakdown and what.first_day <= day <= what.last_day
        ]
        return max(covered, default=-1)

    def last_fetched_us(self, native: NativeCampaign, as_of_ms: int | None) -> int:
        return max((what.fetched_at_us for what in self._coverage(native, as_of_ms)), default=-1)

    def restatements(self, natives: Sequence[NativeCampaign], first: date, last: date) -> list[Restated]:
        """Every change of a figure that was there before, step by step of the log's time."""
        found = []
        times = sorted({one.time_ms for one in self.told})
        for native in natives:
            for day in days_between(first, last):
                before: Stood | None = None
                for time_ms in times:
                    after = self._figures(native, day, time_ms)
                    if before is not None and after is not None and before != after:
                        found += self._changes(native, day, before, after, time_ms)
                    before = after
        return found

    def _figures(self, native: NativeCampaign, day: date, as_of_ms: int) -> Stood | None:
        """The day's total; None where there is no report of the day."""
        if not self.seen(native, as_of_ms) or self.covered_us(native, day, Breakdown.TOTAL, as_of_ms) < 0:
            return None
        total = self.rows(native, day, as_of_ms, by_country=False).get("")
        return Stood() if total is None else Stood(*total)

    def _changes(
        self, native: NativeCampaign, day: date, before: Stood, after: Stood, time_ms: int
    ) -> Iterator[Restated]:
        standing = self.standing(native, day, Breakdown.TOTAL, time_ms)
        assert standing is not None
        assert isinstance(standing.what, ReportSlice)
        currencies = {before.currency, after.currency} - {""}
        for n, metric in enumerate(METRICS):
            old, new = before.figures[n], after.figures[n]
            other_money = len(currencies) > 1 and metric in {"spend", "revenue"} and bool(old or new)
            if (old or 0) != (new or 0) or other_money:
                fetched_us, cause = standing.what.fetched_at_us, _cause(native, metric, before, after)
                definitions = before.definition, after.definition
                yield Restated(native, day, metric, old, new, fetched_us, time_ms, cause, *definitions)

    def _coverage(self, native: NativeCampaign, as_of_ms: int | None) -> list[Coverage]:
        told = (one.what for one in self._until(as_of_ms) if one.is_about(native))
        return [what for what in told if isinstance(what, Coverage)]

    def _until(self, as_of_ms: int | None) -> list[Told]:
        return [one for one in self.told if as_of_ms is None or one.time_ms <= as_of_ms]


def _cause(native: NativeCampaign, metric: str, before: Stood, after: Stood) -> str:
    """A definition can have changed only what it counts, and only where it and another have counted a row each."""
    counted = {"conversions", "revenue"} if native.platform in ("meta", "google") else {"conversions"}
    if "" in (before.definition, after.definition) or before.definition == after.definition or metric not in counted:
        return "platform"
    return "definition" if before.fetched_us == after.fetched_us else "unclear"


def _stands_before(one: Told, other: Told) -> bool:
    assert isinstance(one.what, ReportSlice)
    assert isinstance(other.what, ReportSlice)
    return (one.what.fetched_at_us, one.time_ms, one.place) > (other.what.fetched_at_us, other.time_ms, other.place)
