"""Mapped and unmapped add up to the account's total, on every day."""

from collections import Counter
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.campaigns import CampaignDraft, LinkLevel, PlatformLink
from campaignctl.domain.insights import Metric
from campaignctl.domain.periods import DayRange
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, Figures, ReportedAccount, ReportSlice
from campaignctl.ports.metadata import ClaimedNative
from campaignctl.ports.reports import AccountKey, FromRecord, ReportRows
from campaignctl.services.schema import SchemaService
from campaignctl.services.unmapped import UnmappedService, unmapped_days

DAY = date(2026, 10, 1)
DAYS = DayRange(DAY, DAY + timedelta(days=3))
ONE = Figures("", 10, 1, 2_000_000, 5_000_000, None)


@pytest.fixture(scope="module")
def analytics(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseAnalytics]:
    store = open_embedded_analytics(tmp_path_factory.mktemp("unmapped") / "analytics")
    SchemaService([store]).apply(wait_s=10)
    yield store
    store.close()


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[SQLiteMetadata]:
    store = SQLiteMetadata(tmp_path / "metadata.sqlite", SystemClock())
    SchemaService([store]).apply(wait_s=10)
    yield store
    store.close()


def land(
    store: ClickHouseAnalytics, account: ReportedAccount, *slices: tuple[str, int, Figures | None], **of: Any
) -> None:
    """Totals of native campaigns on the n-th day."""
    made = [
        ReportSlice(of.get("level", LinkLevel.CAMPAIGN), native, DAY + timedelta(days=n), Breakdown.TOTAL, at, "", rows)
        for at, (native, n, one) in enumerate(slices)
        for rows in [(one,) if one else ()]
    ]
    rows = ReportRows(1, 0, [(FromRecord(n, 1_000 + n), account, one) for n, one in enumerate(made)])
    store.append_slices(rows, f"{account.account_id}-{of}")


def test_what_nobody_claims_is_listed_and_adds_up(analytics: ClickHouseAnalytics, metadata: SQLiteMetadata) -> None:
    organization = metadata.ensure_organization("acme")
    claimed = PlatformLink(Platform.META, "act_1", "a", valid_to=DAY + timedelta(days=1))
    campaign = metadata.add_campaign(organization, CampaignDraft("a", platforms=(claimed,)))
    account = ReportedAccount(organization, Platform.META, "1", "EUR", "")
    big = Figures("", 1, 0, 0, 9_000_000, 1)
    land(analytics, account, ("a", 0, ONE), ("a", 1, ONE), ("a", 2, ONE), ("b", 0, big), ("c", 3, ONE), ("c", 3, None))
    land(analytics, ReportedAccount(organization, Platform.META, "2", "EUR", ""), ("z", 0, ONE))
    key = AccountKey(organization, "meta", "1")
    found = UnmappedService(analytics, metadata).of(key, DAYS)
    assert [(one.native.native_id, one.figures[Metric.SPEND], one.currency) for one in found.natives] == [
        ("b", 9_000_000, "EUR"),
        ("a", 5_000_000, "EUR"),
    ]
    assert (found.natives[1].first_day, found.natives[1].last_day) == (DAY + timedelta(days=2),) * 2
    spend = [
        (one.day, one.mapped[Metric.SPEND], one.unmapped[Metric.SPEND], one.total[Metric.SPEND]) for one in found.by_day
    ]
    assert spend == [
        (DAY, 5_000_000, 9_000_000, 14_000_000),
        (DAY + timedelta(days=1), 5_000_000, 0, 5_000_000),
        (DAY + timedelta(days=2), 0, 5_000_000, 5_000_000),
    ]
    totals: Counter[Metric] = Counter()
    for one in found.by_day:
        totals.update(one.total)
    assert (totals[Metric.IMPRESSIONS], totals[Metric.CONVERSIONS], totals[Metric.REVENUE]) == (31, 6_000_000, 1)
    assert not found.mixed_levels
    days = set(unmapped_days(analytics, metadata, key, DAYS.first, DAYS.last))
    assert days == {DAY, DAY + timedelta(days=2)}
    assert metadata.claims_of_account(key) == [
        ClaimedNative(campaign.id, LinkLevel.CAMPAIGN, "a", date.min, DAY + timedelta(days=1))  # type: ignore[union-attr]
    ]
    nothing = UnmappedService(analytics, metadata).of(AccountKey(organization, "meta", "9"), DAYS)
    assert (nothing.natives, nothing.by_day) == ([], [])


@pytest.mark.parametrize("mixed", [False, True])
def test_the_level_is_that_of_the_claims(
    analytics: ClickHouseAnalytics, metadata: SQLiteMetadata, *, mixed: bool
) -> None:
    metadata.ensure_organization("first")
    organization = metadata.ensure_organization(f"groups {mixed}")
    links = [PlatformLink(Platform.LINKEDIN, "5", "g", LinkLevel.CAMPAIGN_GROUP)]
    links += [PlatformLink(Platform.LINKEDIN, "5", "c1")] * mixed
    metadata.add_campaign(organization, CampaignDraft("a", platforms=tuple(links)))
    account = ReportedAccount(organization, Platform.LINKEDIN, f"{5}", "USD", "UTC")
    land(analytics, account, ("g", 0, ONE), ("h", 0, ONE), level=LinkLevel.CAMPAIGN_GROUP)
    land(analytics, account, ("c1", 0, ONE), ("c2", 0, ONE))
    found = UnmappedService(analytics, metadata).of(AccountKey(organization, "linkedin", "5"), DAYS)
    assert found.mixed_levels is mixed
    assert [one.native.native_id for one in found.natives] == ["c2" if mixed else "h"]
    [day] = found.by_day
    assert (day.mapped[Metric.SPEND], day.total[Metric.SPEND]) == (5_000_000, 10_000_000)
