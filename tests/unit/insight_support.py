"""The insight service over stores in memory."""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from campaignctl.adapters.cache.in_process import InProcessCache
from campaignctl.domain.rates import Rate
from campaignctl.domain.users import Actor, Role
from campaignctl.services.insight_answers import InsightRules
from campaignctl.services.insights import InsightAnswer, InsightService
from tests.fakes.clock import ManualClock
from tests.fakes.insights import FakeInsightStore
from tests.fakes.rates import FakeInsightMetadata
from tests.fakes.reports import FakeReports

Json = dict[str, Any]
NOW = datetime(2026, 11, 23, 12, 30, tzinfo=UTC)
TODAY = NOW.date()
DAY = timedelta(days=1)
ACTOR = Actor(organization_id=1, role=Role.VIEWER, user_id=5)
MILLION = 1_000_000


class Bench:
    def __init__(self) -> None:
        self.store = FakeInsightStore()
        self.reports = FakeReports()
        self.metadata = FakeInsightMetadata()
        self.clock = ManualClock(NOW)
        self.cache = InProcessCache(10_000_000, monotonic_s=self.clock.monotonic_s)
        self.service = self.new_service(b"key")
        self.metadata.add(1)

    def new_service(self, key: bytes, *, retention_days: int = 400) -> InsightService:
        own = InsightRules(max_rate_age_days=2, retention_days=retention_days)
        return InsightService(
            self.store, self.reports, self.metadata, self.cache, self.clock, rules=own, cursor_key=key
        )

    def rate(self, day: date, currency: str, rate: str, base: str = "USD") -> None:
        self.metadata.put_rates(1, [Rate(day, currency, base, Decimal(rate))])

    def run(self, campaign_id: int | None = 1, actor: Actor = ACTOR, /, **params: str | Sequence[str]) -> InsightAnswer:
        asked = {name: [value] if isinstance(value, str) else list(value) for name, value in params.items()}
        return self.service.run(asked, actor, campaign_id=campaign_id)

    def ask(self, campaign_id: int | None = 1, actor: Actor = ACTOR, /, **params: str | Sequence[str]) -> Json:
        answer: Json = json.loads(self.run(campaign_id, actor, **params).body, parse_float=Decimal)
        return answer


def between(first: date, last: date) -> dict[str, str]:
    return {"start_date": first.isoformat(), "end_date": last.isoformat()}


def codes(answer: Json) -> list[str]:
    return [warning["code"] for warning in answer["warnings"]]
