"""An ad platform whose figures a test says, with the port's own manners: windows, pages, places to resume from."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta

from campaignctl.domain.reports import ReportRow
from campaignctl.ports.ad_platforms import AccountAccess, AccountFacts, NativeCampaignFacts, ReportPage, ReportRequest
from campaignctl.ports.clock import Clock

_WINDOW_DAYS = 10


@dataclass
class FakePlatform:
    """``rows_of`` says what stands for a window; each call is remembered in ``calls``."""

    clock: Clock
    rows_of: Callable[[AccountAccess, ReportRequest], Sequence[ReportRow]] = lambda _access, _window: ()
    facts: AccountFacts = field(default_factory=lambda: AccountFacts("Shop", "USD", "UTC", None, ()))
    page_rows: int = 3
    before_page: Callable[[ReportRequest, int], None] = lambda _window, _page: None
    """Called before each page; what it raises, the platform answers."""
    calls: list[tuple[ReportRequest, int]] = field(default_factory=list)
    asked_facts: int = 0

    def windows(self, access: AccountAccess, request: ReportRequest, /) -> Sequence[ReportRequest]:
        found, first = [], request.first
        while first <= request.last:
            last = min(first + timedelta(days=_WINDOW_DAYS - 1), request.last)
            found.append(replace(request, first=first, last=last))
            first = last + timedelta(days=1)
        return found

    def pages(self, access: AccountAccess, window: ReportRequest, resume: str | None, /) -> Iterator[ReportPage]:
        number = int(resume or 0)
        rows = list(self.rows_of(access, window))
        while True:
            self.before_page(window, number)
            self.calls.append((window, number))
            mine = rows[number * self.page_rows : (number + 1) * self.page_rows]
            more = (number + 1) * self.page_rows < len(rows)
            yield ReportPage(mine, _raw(mine), str(number + 1) if more else None, self.clock.now())
            if not more:
                return
            number += 1

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        for raw in raws:
            yield [ReportRow(row[0], date.fromisoformat(row[1]), *row[2:]) for row in json.loads(raw)]

    def definition(self, access: AccountAccess, /) -> str:
        return "fake-1"

    def account_facts(self, access: AccountAccess, /) -> AccountFacts:
        self.asked_facts += 1
        return self.facts

    def native_campaigns(self, access: AccountAccess, /) -> Iterator[NativeCampaignFacts]:
        return iter(())

    def close(self) -> None:
        """Nothing to close."""


def _raw(rows: Sequence[ReportRow]) -> bytes:
    members = [
        [
            row.native_id,
            row.day.isoformat(),
            row.region,
            row.impressions,
            row.clicks,
            row.conversions_millionths,
            row.spend_micros,
            row.revenue_micros,
        ]
        for row in rows
    ]
    return json.dumps(members).encode()


def total(native_id: str, day: date, impressions: int, *, spend_micros: int = 0) -> ReportRow:
    return ReportRow(native_id, day, "", impressions, impressions // 10, 0, spend_micros, 0)


def by_country(native_id: str, day: date, figures: Mapping[str, int]) -> list[ReportRow]:
    return [ReportRow(native_id, day, region, count, 0, None, 0, None) for region, count in figures.items()]
