"""Records to answers without a log or a worker: decoded, the first copy of each event landed, and asked."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.domain.campaigns import LinkLevel, campaign_draft
from campaignctl.domain.events import EventColumns, EventLimits, decode_events, fingerprints
from campaignctl.domain.local_days import LocalDays
from campaignctl.domain.platforms import Platform
from campaignctl.domain.rates import Rate
from campaignctl.domain.reports import Breakdown, Coverage, Figures, ReportedAccount, ReportSlice
from campaignctl.domain.users import Actor
from campaignctl.ports.analytics import EventRows
from campaignctl.ports.reports import FromRecord, ReportRows
from campaignctl.services.insight_answers import InsightRules
from campaignctl.services.insights import InsightAnswer, InsightService
from campaignctl.services.schema import SchemaService
from tests.fakes.clock import ManualClock
from tests.fakes.rates import FakeInsightMetadata
from tests.model.reported import Slice

Json = dict[str, Any]
ORGANIZATION = 1
TOPIC = 0xCAFE
_COPIED = tuple(EventColumns.__slots__)[1:]


class InsightBench:
    """A store, an embedded one unless given, with the insight service above it; campaigns and rates are in memory."""

    def __init__(self, directory: Path, clock: ManualClock, store: ClickHouseAnalytics | None = None) -> None:
        self.clock = clock
        self.store: ClickHouseAnalytics = store or open_embedded_analytics(directory)
        SchemaService([self.store]).apply(wait_s=10)
        self.metadata = FakeInsightMetadata()
        self.cache = InProcessCache(64 * 1024 * 1024)
        self.service = InsightService(
            self.store,
            self.store,
            self.metadata,
            self.cache,
            clock,
            rules=InsightRules(),
            cursor_key=b"a secret of the bench",
        )
        self._offset = 0

    def add_campaigns(self, campaigns: Sequence[Json], organization_id: int = ORGANIZATION) -> int:
        """Add campaigns as the API takes them; answers what to add to a 1-based number to get its id."""
        first = len(self.metadata.facts)
        for number, campaign in enumerate(campaigns, first + 1):
            self.metadata.add(
                number,
                timezone=campaign["timezone"],
                currency=campaign["currency"],
                organization_id=organization_id,
                links=campaign_draft({"name": "linked", "platforms": campaign.get("platforms")}).platforms,
            )
        return first

    def add_rates(self, rates: Iterable[Mapping[str, Any]], organization_id: int = ORGANIZATION) -> None:
        read = [Rate(date.fromisoformat(r["date"]), r["currency"], r["base"], Decimal(str(r["rate"]))) for r in rates]
        self.metadata.put_rates(organization_id, read)

    def land(self, lines: Sequence[bytes], id_shift: int = 0, times_ms: Sequence[int] = ()) -> int:
        """Land what the lines say, each event once; ``id_shift`` is added to their campaigns' numbers.

        ``times_ms`` are the lines' log times, now when there are none; then each line is an event that counts.
        """
        now_ms = round(self.clock.now().timestamp() * 1000)
        if times_ms:
            columns, refused = decode_events(lines, times_ms, EventLimits())
            assert not refused, refused
            columns.campaign_id = [number + id_shift for number in columns.campaign_id]
            self._append(columns, times_ms)
            return len(lines)
        columns, _ = decode_events(lines, [now_ms] * len(lines), EventLimits())
        columns.campaign_id = [number + id_shift for number in columns.campaign_id]
        chosen: dict[tuple[int, str], int] = {}
        for place, key in enumerate(zip(columns.campaign_id, columns.event_id, strict=True)):
            if key[0] in self.metadata.facts:
                chosen.setdefault(key, place)
        places = list(chosen.values())
        if places:
            self._append(_selected(columns, places), [now_ms] * len(places))
        return len(places)

    def ask(self, path: str, params: Mapping[str, str | Sequence[str]], id_shift: int = 0) -> InsightAnswer:
        """The answer to a question as the API takes it; numbers of campaigns are shifted."""
        asked = {name: [value] if isinstance(value, str) else list(value) for name, value in params.items()}
        actor = Actor.machine_operator()
        if path.endswith("/api/v1/insights"):
            if "campaign" in asked:
                numbers = [int(n) for value in asked["campaign"] for n in value.split(",")]
                asked["campaign"] = [",".join(str(n + id_shift) for n in numbers)]
            return self.service.run(asked, actor)
        number = int(path.split("/")[-2])
        return self.service.run(asked, actor, campaign_id=number + id_shift)

    def whole_answer(self, path: str, params: Mapping[str, str | Sequence[str]], id_shift: int = 0) -> Json:
        """The answer with the rows of all its pages, and the numbers of campaigns as they were asked."""
        pages = [exact(self.ask(path, params, id_shift).body)]
        while pages[-1]["next_cursor"]:
            following = {**params, "cursor": pages[-1]["next_cursor"]}
            pages.append(exact(self.ask(path, following, id_shift).body))
            assert pages[-1]["totals"] == pages[0]["totals"]
        answer = {**pages[0], "rows": [row for page in pages for row in page["rows"]]}
        beside = [row for page in pages if page["comparison"] for row in page["comparison"]["rows"]]
        if answer["comparison"]:
            answer["comparison"]["rows"] = beside
        for row in (*answer["rows"], *beside):
            if row is not None and "campaign_id" in row:
                row["campaign_id"] -= id_shift
        return answer

    def close(self) -> None:
        self.store.close()

    def land_reports(self, told: Sequence[Slice], organization_id: int) -> None:
        """Land what fetches found, in order."""
        slices: list[tuple[FromRecord, ReportedAccount, ReportSlice]] = []
        coverage: list[tuple[FromRecord, ReportedAccount, Coverage]] = []
        for offset, one in enumerate(told, self._offset):
            platform, account_id, level, native_id = one.native
            account = ReportedAccount(organization_id, Platform(platform), account_id, one.currency, one.timezone)
            record, at_us = FromRecord(offset, one.time_ms), one.fetched_ms * 1_000
            scope = LinkLevel(level), native_id
            breakdown = Breakdown.COUNTRY if one.by_country else Breakdown.TOTAL
            if one.rows is None:
                covered = Coverage(*scope, breakdown, one.first, one.last, at_us)
                coverage.append((record, account, covered))
            else:
                rows = tuple(Figures(region, *amounts) for region, amounts in one.rows.items())
                slices.append((record, account, ReportSlice(*scope, one.first, breakdown, at_us, "", rows)))
        rows_ = ReportRows(TOPIC, 0, slices, coverage)
        self.store.append_slices(rows_, f"bench-{self._offset}-slices")
        self.store.append_coverage(rows_, f"bench-{self._offset}-coverage")
        self._offset += len(told)

    def _append(self, columns: EventColumns, times_ms: Sequence[int]) -> None:
        facts = [self.metadata.facts[campaign] for campaign in columns.campaign_id]
        days = np.zeros(len(facts), np.int64)
        times_us = np.array(columns.event_time_us, np.int64)
        local_days = LocalDays()
        for zone in {one.timezone for one in facts}:
            there = np.array([one.timezone == zone for one in facts])
            days[there] = local_days.days(zone, times_us[there])
        copied = {name: getattr(columns, name) for name in _COPIED}
        copied["currency"] = [own or one.currency for own, one in zip(columns.currency, facts, strict=True)]
        rows = EventRows(
            **copied,
            day=days.tolist(),
            fingerprint=fingerprints(columns),
            offsets=list(range(self._offset, self._offset + len(facts))),
            times_ms=list(times_ms),
            topic_id=TOPIC,
            partition=0,
        )
        self.store.append_events(rows, f"bench-{self._offset}")
        self._offset += len(facts)


def exact(body: bytes) -> Json:
    """An answer with its decimals as they were written."""
    answer: Json = json.loads(body, parse_float=Decimal)
    return answer


def _selected(columns: EventColumns, places: Sequence[int]) -> EventColumns:
    return EventColumns(
        **{name: [getattr(columns, name)[place] for place in places] for name in EventColumns.__slots__}
    )
