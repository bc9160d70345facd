"""Reports through the product: from a record of the log, by the worker, to what the API answers."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import (
    Breakdown,
    Coverage,
    Figures,
    ReportedAccount,
    ReportSlice,
    encode_report,
    report_key,
)
from campaignctl.ports.event_log import NewRecord
from campaignctl.services.own_records import REPORT_HEADERS
from tests.support.clock import SteeredClock
from tests.support.thread import Thread, open_thread

Json = dict[str, Any]

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
D = [NOW.date() - n * DAY for n in range(10)]
LINK = {"platform": "meta", "account_id": "act_1", "external_id": "c1"}


@pytest.fixture
def clock() -> SteeredClock:
    return SteeredClock(NOW)


@pytest.fixture
def thread(tmp_path: Path, clock: SteeredClock) -> Iterator[Thread]:
    with open_thread(tmp_path, clock=clock) as thread:
        yield thread


def fetched(thread: Thread, organization: int, spends: Mapping[date, int], *, by_country: bool = False) -> None:
    """A fetch of the last ten days reaches the log, and the worker has landed it."""
    app = thread.app
    account = ReportedAccount(organization, Platform.META, "1", "USD", "UTC")
    at_us = round(app.clock.now().timestamp() * 1_000_000)
    shape = Breakdown.COUNTRY if by_country else Breakdown.TOTAL
    region = "US" if by_country else ""
    slices = [
        ReportSlice(LinkLevel.CAMPAIGN, "c1", day, shape, at_us, "", (Figures(region, 0, 0, 0, spend * 1_000_000, 0),))
        for day, spend in spends.items()
    ]
    coverage = [Coverage(LinkLevel.CAMPAIGN, "", shape, D[-1], D[0], at_us)]
    records = [
        NewRecord(report_key(account), value, REPORT_HEADERS) for value in encode_report(account, slices, coverage)
    ]
    places = app.event_log.produce(app.settings.kafka.events_topic, records)
    with thread.working():
        position = app.positions.make(organization, places)
        thread.wait([position], 1)


def spends(answer: Json) -> list[tuple[str, Any, str]]:
    return [(row["period_start"], row["spend"], row["source"]) for row in answer["rows"]]


def test_a_fetch_is_in_the_next_answer(thread: Thread, clock: SteeredClock) -> None:
    organization = thread.app.metadata.ensure_organization("reports")
    client = thread.organization("reports")
    (campaign,) = client.create([{"name": "reported", "platforms": [LINK]}])
    path = f"/api/v1/campaigns/{campaign}/insights"
    asked = {"start_date": D[3].isoformat(), "end_date": D[1].isoformat()}
    event = b'{"event_id":"%d","campaign_id":1,"platform":"meta","event_time":"%sT12:00:00Z","spend":1}'
    with thread.working():
        client.wait(client.send([event % (n, D[n].isoformat().encode()) for n in (1, 2)]).positions, campaign)
    streamed = [(D[2].isoformat(), 1, "stream"), (D[1].isoformat(), 1, "stream")]
    assert spends(client.ask(path, asked)) == streamed

    fetched(thread, organization, {D[3]: 5, D[2]: 6})
    reported = [(D[3].isoformat(), 5, "report"), (D[2].isoformat(), 6, "report"), (D[1].isoformat(), 0, "report")]
    answer = client.ask(path, asked)
    assert spends(answer) == reported
    assert {row["finality"] for row in answer["rows"]} == {"settling"}
    (fresh,) = answer["freshness"]
    assert (fresh["last_report_at"], fresh["expected_final_at"]) == ("2026-11-23T12:00:00Z", "2026-12-21T00:00:00Z")
    assert client.api.get(path, asked).headers["x-cache"] == "l1"
    assert spends(client.ask(path, {**asked, "source": "stream"})) == streamed
    assert [one["code"] for one in client.ask(path, {**asked, "group_by": "region"})["warnings"]] == [
        "breakdown_unavailable"
    ]

    ages = client.ask("/api/v1/freshness", {})["items"]
    assert [(one["platform"], one["last_report_at"], one["age_seconds"]) for one in ages] == [
        ("meta", "2026-11-23T12:00:00Z", 0)
    ]

    clock.set(NOW + timedelta(minutes=1))
    fetched(thread, organization, {D[3]: 7})
    fetched(thread, organization, {D[3]: 4}, by_country=True)
    assert spends(client.ask(path, asked))[0] == (D[3].isoformat(), 7, "report")
    rows = client.ask(path, {**asked, "group_by": "region"})["rows"]
    assert [(row["region"], row["spend"]) for row in rows] == [("US", 4), ("ZZ", 3), ("ZZ", 6)]
    assert spends(client.ask(path, {**asked, "as_of": "2026-11-23T12:00:30Z"})) == reported


def test_links_decide_what_belongs_to_a_campaign(thread: Thread) -> None:
    organization = thread.app.metadata.ensure_organization("reports")
    client = thread.organization("reports")
    (campaign,) = client.create([{"name": "reported", "platforms": [LINK]}])
    fetched(thread, organization, {D[3]: 5, D[2]: 6})
    path = f"/api/v1/campaigns/{campaign}"
    asked = {"start_date": D[3].isoformat(), "end_date": D[2].isoformat()}
    assert client.ask(f"{path}/insights", asked)["totals"]["spend"] == 11
    shown = client.api.get(path)
    changed = {
        "name": "reported",
        "platforms": [{**LINK, "account_id": "1", "valid_from": D[2].isoformat()}],
    }
    client.api.put(path, changed, headers={"If-Match": shown.headers["etag"]})
    assert client.ask(f"{path}/insights", asked)["totals"]["spend"] == 6
