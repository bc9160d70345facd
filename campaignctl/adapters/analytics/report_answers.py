"""What stood of reports, and when: columns for answers, whole versions for the list of restatements."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from campaignctl.adapters.analytics.clients import Clients
from campaignctl.adapters.analytics.failures import question_failures
from campaignctl.adapters.analytics.native import Table
from campaignctl.adapters.analytics.questions import sorted_keys
from campaignctl.adapters.analytics.report_coverage import NOT_ASKED, WHOLE_ACCOUNT, Fetches, Places
from campaignctl.adapters.sql_files import load_statements
from campaignctl.domain.insights import Metric
from campaignctl.domain.periods import EPOCH
from campaignctl.domain.reports import TOTAL_REGION, Breakdown, Figures
from campaignctl.ports.reports import (
    NEVER,
    AccountKey,
    CoveredDays,
    GivenFigures,
    LastFetch,
    NativeCampaign,
    NativeHistory,
    ReportDays,
    SliceVersion,
    StandingSlice,
)

_SQL = load_statements("clickhouse", "queries", "reports.sql")
# Native campaigns times days of one statement: a total is one row, a day's countries are fifty and more.
_TOTALS_AT_ONCE, _COUNTRIES_AT_ONCE = 200_000, 20_000
_NATIVES_AT_ONCE = 5_000
_FOR_EVER_MS = 7_258_118_400_000  # 2200-01-01


class ReportAnswers:
    """The answering half of a ``ReportStore`` on ClickHouse tables."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def report_days(
        self,
        natives: Sequence[NativeCampaign],
        first: date,
        last: date,
        as_of_ms: int | None,
        /,
        *,
        by_country: bool,
    ) -> ReportDays:
        breakdowns = list(Breakdown) if by_country else [Breakdown.TOTAL]
        until_ms = _FOR_EVER_MS if as_of_ms is None else as_of_ms
        asked = {"first": first, "last": last, "as_of_ms": until_ms}
        days = (last - first).days + 1
        at_once = min((_COUNTRIES_AT_ONCE if by_country else _TOTALS_AT_ONCE) // days + 1, _NATIVES_AT_ONCE)
        places = Places(natives)
        standing, fetches = [], Fetches(places, first, days)
        for some in _chunks(natives, at_once):
            rows = self._read("standing_rows", {**asked, **some, "breakdowns": [*map(str, breakdowns)]})
            standing.append(rows)
            fetches.add(self._read("coverage", {**asked, **some}))
            fetches.see(places.of(rows))
        unseen = [natives[place] for place in np.flatnonzero(~fetches.ever_seen).tolist()]
        for some in _chunks(unseen, _NATIVES_AT_ONCE):  # what has a row on these days need not be asked
            seen = self._read("first_rows", some)
            fetches.see(places.of(seen)[seen.integers("seen_ms") <= until_ms])
        return _report_days(Table.joined(standing), places, fetches, breakdowns)

    def history(self, natives: Sequence[NativeCampaign], first: date, last: date, /) -> NativeHistory:
        asked = {"first": first, "last": last}
        places = Places(natives)
        chunks = list(_chunks(natives, _NATIVES_AT_ONCE))
        seen_ms = np.full(len(natives) + 1, NEVER, np.int64)  # the last one is for what was not asked
        for some in chunks:
            seen = self._read("first_rows", some)
            seen_ms[places.of(seen)] = seen.integers("seen_ms")
        versions = Table.joined(self._read("total_versions", {**asked, **some}) for some in chunks)
        coverage = Table.joined(self._read("first_coverage", {**asked, **some}) for some in chunks)
        return NativeHistory(
            versions=_versions(versions, places),
            coverage=list(_covered_days(coverage, places)),
            first_seen_ms=seen_ms[:-1].tolist(),
        )

    def standing_slices(
        self, account: AccountKey, level: str, breakdown: Breakdown, first: date, last: date, /
    ) -> Mapping[tuple[str, date], StandingSlice]:
        scope = {"level": level, "breakdown": breakdown.value, "first": first, "last": last}
        table = self._read("standing_digests", {**_account(account), **scope})
        slices = map(
            StandingSlice,
            table.strings("digest"),
            table.integers("fetched_us").tolist(),
            (table.integers("has_rows") == 1).tolist(),
        )
        keys = zip(table.strings("native_id"), map(_day, table.integers("day_number").tolist()), strict=True)
        return dict(zip(keys, slices, strict=True))

    def natives_between(self, account: AccountKey, first: date, last: date, /) -> list[NativeCampaign]:
        table = self._read("natives_between", {**_account(account), "first": first, "last": last})
        named = zip(table.strings("level"), table.strings("native_id"), strict=True)
        return [NativeCampaign(*account, level, native_id) for level, native_id in sorted(named)]

    def last_fetches(self, accounts: Sequence[AccountKey], as_of_ms: int | None, /) -> Mapping[AccountKey, LastFetch]:
        found: dict[AccountKey, LastFetch] = {}
        wanted = set(accounts)
        asked = {
            "organizations": sorted({account.organization_id for account in wanted}),
            "platforms": sorted({account.platform for account in wanted}),
            "accounts": sorted({account.account_id for account in wanted}),
            "as_of_ms": _FOR_EVER_MS if as_of_ms is None else as_of_ms,
        }
        table = self._read("last_fetches", asked)
        organizations, at_us = table.integers("organization").tolist(), table.integers("at_us").tolist()
        names = [table.strings(name) for name in ("platform", "account_id", "money", "zone")]
        for organization, us, platform, account_id, currency, zone in zip(organizations, at_us, *names, strict=True):
            key = AccountKey(organization, platform, account_id)
            if key in wanted:
                found[key] = LastFetch(us, currency, zone)
        return found

    def last_arrivals(self, campaign_id: int, first: date, last: date, /) -> Mapping[tuple[str, date], int]:
        edges = (datetime(day.year, day.month, day.day, tzinfo=UTC) for day in (first, last))
        start, end = edges
        asked = {
            "campaign": campaign_id,
            "first": first,
            "last": last,
            "from": start - timedelta(days=2),
            "until": end + timedelta(days=3),
        }
        table = self._read("last_arrivals", asked)
        days = map(_day, table.integers("day_number").tolist())
        keys = zip(table.strings("platform"), days, strict=True)
        return dict(zip(keys, table.integers("arrived_ms").tolist(), strict=True))

    def _read(self, statement: str, parameters: Mapping[str, object]) -> Table:
        with question_failures():
            return self._clients.read(_SQL[statement], parameters)


def _chunks(natives: Sequence[NativeCampaign], size: int) -> Iterator[dict[str, object]]:
    """The parameters that name some of the native campaigns."""
    for start in range(0, len(natives), size):
        some = natives[start : start + size]
        yield {
            "organizations": sorted({native.organization_id for native in some}),
            "platforms": sorted({native.platform for native in some}),
            "accounts": sorted({native.account_id for native in some}),
            "natives": sorted({native.native_id for native in some}),
        }


def _report_days(table: Table, places: Places, fetches: Fetches, breakdowns: Sequence[Breakdown]) -> ReportDays:
    native, day = places.of(table), table.integers("day_number")
    region = sorted_keys(table.labels("in_region"), np.arange(table.rows)).codes
    order = np.lexsort((region, day, native))
    placed = np.stack([native, day, region])[:, order]
    # Statements that ask for other native campaigns by some of the same names may tell a row twice.
    told_before = np.zeros(table.rows, np.bool_)
    told_before[1:] = (placed[:, 1:] == placed[:, :-1]).all(axis=0)
    order = order[~told_before & (placed[0] != NOT_ASKED)]
    metrics = {metric: table.nullable(metric) for metric in Metric}
    last_fetched_us, timezone = fetches.last()
    return ReportDays(
        native=native[order],
        day=day[order],
        region=sorted_keys(table.labels("in_region"), order),
        currency=sorted_keys(table.labels("currency"), order),
        definition=sorted_keys(table.labels("definition"), order),
        fetched_us=table.integers("fetched_us")[order],
        metrics={metric: GivenFigures(values[order], given[order]) for metric, (values, given) in metrics.items()},
        ever_seen=fetches.ever_seen,
        last_fetched_us=last_fetched_us,
        timezone=timezone,
        covered_us={breakdown: fetches.covered_us(breakdown) for breakdown in breakdowns},
    )


def _versions(table: Table, places: Places) -> list[SliceVersion]:
    metrics = [table.nullable(metric) for metric in Metric]
    figures = [
        Figures(TOTAL_REGION, *(number if there else None for number, there in zip(numbers, given, strict=True)))
        for numbers, given in zip(
            zip(*(values.tolist() for values, _ in metrics), strict=True),
            zip(*(given.tolist() for _, given in metrics), strict=True),
            strict=True,
        )
    ]
    has_rows = (table.integers("has_rows") == 1).tolist()
    versions = map(
        SliceVersion,
        places.of(table).tolist(),
        map(_day, table.integers("day_number").tolist()),
        table.integers("fetched_us").tolist(),
        table.integers("landed_ms").tolist(),
        table.strings("currency"),
        table.strings("zone"),
        table.strings("definition"),
        (row if there else None for row, there in zip(figures, has_rows, strict=True)),
    )
    return [version for version in versions if version.native != NOT_ASKED]


def _covered_days(table: Table, places: Places) -> Iterator[CoveredDays]:
    """By native campaign, what was said of it or of all of its account's."""
    whose = zip(places.of(table).tolist(), places.accounts_of(table).tolist(), strict=True)
    windows = zip(*(table.integers(name).tolist() for name in ("from_day", "to_day", "landed_ms")), strict=True)
    for (native, account), (from_day, to_day, landed_ms) in zip(whose, windows, strict=True):
        members = places.members(account) if native == WHOLE_ACCOUNT else [native]
        for place in members:
            if place != NOT_ASKED:
                yield CoveredDays(place, _day(from_day), _day(to_day), landed_ms)


def _account(account: AccountKey) -> dict[str, object]:
    return {
        "organization": account.organization_id,
        "platform": account.platform,
        "account": account.account_id,
    }


def _day(number: int) -> date:
    return EPOCH + timedelta(days=number)
