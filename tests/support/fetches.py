"""Random histories of fetches: out of order, repeated, restated, with rows that vanish and days that are left out."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

from msgspec.structs import replace

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import (
    Breakdown,
    Coverage,
    Figures,
    ReportedAccount,
    ReportSlice,
    decode_report,
    encode_report,
    report_key,
)
from campaignctl.ports.event_log import EventLog, NewRecord
from campaignctl.ports.reports import NativeCampaign
from campaignctl.services.own_records import REPORT_HEADERS
from tests.model.reports import Told

FIRST = date(2026, 10, 1)
DAYS = 6
START_US = 1_790_000_000_000_000
_DEFINITIONS = ("d1", "d1", "d2")
_NUMBERS = (0, 1, 7, 10**6, 10**15, -5, None)
_COUNTRIES = ("IN", "US", "FR", "ZZ")


@dataclass(frozen=True)
class Fetch:
    """What one fetch sends, in this order."""

    account: ReportedAccount
    slices: tuple[ReportSlice, ...]
    coverage: tuple[Coverage, ...]


class FetchHistory:
    """A few accounts with a few native campaigns each; ``fetches`` is the order in which things reach the log."""

    def __init__(self, seed: int, *, fetches: int | None = None, organization_id: int = 1) -> None:
        rng = self._rng = random.Random(seed)
        self.accounts = [
            ReportedAccount(organization_id, platform, account_id, rng.choice(("USD", "EUR")), zone)
            for platform, account_id, zone in (
                (Platform.META, "1", "Europe/Berlin"),
                rng.choice(((Platform.META, "2", ""), (Platform.GOOGLE, "2", "America/New_York"))),
                (Platform.LINKEDIN, "1", "UTC"),
            )[: rng.randint(1, 3)]
        ]
        self.natives = [
            NativeCampaign(organization_id, account.platform, account.account_id, level, native_id)
            for account in self.accounts
            for level in (list(LinkLevel) if account.platform is Platform.LINKEDIN else [LinkLevel.CAMPAIGN])
            for native_id in ("a", "b", "c")[: rng.randint(1, 3)]
        ]
        self.last = FIRST + timedelta(days=DAYS - 1)
        self.fetches = self._reordered(list(self._made(fetches or rng.randint(2, 12))))

    def _made(self, count: int) -> Iterator[Fetch]:
        rng = self._rng
        at_us = START_US
        for _ in range(count):
            at_us += rng.choice((0, 1, 3_600_000_000))
            account = rng.choice(self.accounts)
            if rng.random() < 0.05:
                account = self._other_currency(account)
            own = [one for one in self.natives if one.account[1:] == (account.platform, account.account_id)]
            level = LinkLevel(rng.choice(own).level)
            asked = [one.native_id for one in own if one.level == level]
            alone = rng.random() < 0.4
            wanted = [rng.choice(asked)] if alone else asked
            first = FIRST + timedelta(days=rng.randrange(DAYS))
            last = first if rng.random() < 0.4 else min(first + timedelta(days=rng.randrange(DAYS)), self.last)
            breakdown = rng.choice((Breakdown.TOTAL, Breakdown.TOTAL, Breakdown.COUNTRY))
            definition = rng.choice(_DEFINITIONS)
            slices = [
                ReportSlice(
                    level, native, first + timedelta(days=n), breakdown, at_us, definition, self._rows(breakdown)
                )
                for native in wanted
                for n in range((last - first).days + 1)
                if rng.random() < 0.6
            ]
            covered = [Coverage(level, wanted[0] if alone else "", breakdown, first, last, at_us)]
            yield Fetch(account, tuple(slices), tuple(covered) if rng.random() < 0.85 else ())
            if rng.random() < 0.3:
                yield Fetch(account, tuple(map(self._derived_again, slices)), ())

    def _rows(self, breakdown: Breakdown) -> tuple[Figures, ...]:
        rng = self._rng
        regions = [""] if breakdown is Breakdown.TOTAL else rng.sample(_COUNTRIES, rng.randint(1, 3))
        if rng.random() < 0.2:
            return ()
        return tuple(Figures(region, *(rng.choice(_NUMBERS) for _ in range(5))) for region in regions)

    def _derived_again(self, one: ReportSlice) -> ReportSlice:
        """The same answer of the platform's, counted by another definition of conversions."""
        definition = next(name for name in _DEFINITIONS if name != one.definition)
        rows = tuple(
            replace(row, conversions_millionths=self._rng.choice(_NUMBERS), revenue_micros=self._rng.choice(_NUMBERS))
            for row in one.rows
        )
        return replace(one, definition=definition, rows=rows)

    def _reordered(self, fetches: list[Fetch]) -> list[Fetch]:
        """Some come late, some come again."""
        rng = self._rng
        for _ in range(rng.randrange(4)):
            again = rng.choice(fetches)
            if rng.random() < 0.5:
                fetches.remove(again)
            fetches.insert(rng.randrange(len(fetches) + 1), again)
        return fetches

    def _other_currency(self, account: ReportedAccount) -> ReportedAccount:
        other = "EUR" if account.currency == "USD" else "USD"
        return ReportedAccount(account.organization_id, account.platform, account.account_id, other, account.timezone)


def records_of(fetch: Fetch) -> list[NewRecord]:
    """As the product puts them into the log; small pieces, so that a fetch is often more than one record."""
    values = encode_report(fetch.account, fetch.slices, fetch.coverage, piece_bytes=400)
    return [NewRecord(report_key(fetch.account), value, REPORT_HEADERS) for value in values]


def told_in(log: EventLog, topic: str) -> list[Told]:
    """What the records of a topic say, in the order of each partition."""
    told = []
    for partition, kept in log.watermarks(topic).items():
        at = kept.start
        while at < kept.end:
            records = log.read(topic, partition, at, 1_000)
            for offset, time_ms, value, headers in zip(
                records.offsets, records.times_ms, records.values, records.headers, strict=True
            ):
                report = decode_report(value) if headers == REPORT_HEADERS else None
                if report is not None:
                    for n, what in enumerate((*report.slices, *report.coverage)):
                        told.append(Told(time_ms, (offset, n), report.account, what))
            at = records.next_offset
    return told
