"""The ground truth: repeatable, the same for stream and reports, restated as time passes, and told when asked."""

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import httpx2
import pytest

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.platforms import account_key, native_key
from campaignctl.domain.reports import Breakdown
from campaignctl.sandbox.deliveries import World, days_between
from campaignctl.sandbox.natives import accounts, campaigns_of, claimed_by, natives
from campaignctl.sandbox.reported import Reported, by_region, day_end
from campaignctl.sandbox.stream import history
from campaignctl.sandbox.world import CAMPAIGNS
from tests.support.sandbox import URL, SandboxTransport, Stage, figures

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WORLD = World(7, date(2026, 10, 1))
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")


def ask(stage: Stage, path: str, **params: Any) -> Any:
    transport = SandboxTransport(stage.sandbox.application(), stage.clock)
    with httpx2.Client(transport=transport, base_url=URL) as client:
        answer = client.get(path, params=params)
    return answer.json() if answer.headers["content-type"].startswith("application/json") else answer.text


def test_the_same_seed_is_the_same_world() -> None:
    again, other = World(7, date(2026, 10, 1)), World(8, date(2026, 10, 1))
    assert history(WORLD, NOW, 10).records == history(again, NOW, 10).records
    assert history(WORLD, NOW, 10).records != history(other, NOW, 10).records
    for native in natives():
        day = date(2026, 11, 10)
        assert Reported(WORLD).total(native, day, NOW) == Reported(again).total(native, day, NOW)


def test_ids_are_of_the_platforms_forms() -> None:
    for native in natives():
        account = native.account
        assert account_key(account.platform, account.account_id) == account.account_id
        assert native_key(account.platform, native.level, native.native_id) == native.native_id
        ZoneInfo(account.timezone)
    assert max(int(one.native_id) for one in natives()) > 2**53
    assert len({(one.account.platform, one.level, one.native_id) for one in natives()}) == len(natives())


def test_stream_and_final_report_are_the_same_deliveries() -> None:
    """Of a day that nothing was taken off, and of a campaign whose zone is its account's."""
    played = history(WORLD, NOW, 40)
    compared = 0
    for campaign in CAMPAIGNS:
        for native in claimed_by(campaign):
            if native.account.timezone != campaign.timezone:
                continue
            for day in days_between(date(2026, 10, 20), date(2026, 11, 10)):
                if any(Reported(WORLD).restatement(part, day) for part in campaigns_of(native)):
                    continue
                total = Reported(WORLD).total(native, day, NOW)
                platform = native.account.platform
                cells = [
                    sums
                    for (number, of_day, of_platform, _, _), sums in played.truth.cells.items()
                    if (number, of_day, of_platform) == (campaign.number, day, platform)
                ]
                assert total is not None
                assert total.impressions == sum(sums["impressions"] for sums in cells)
                assert total.clicks == sum(sums["clicks"] for sums in cells)
                assert total.conversions_millionths == sum(sums["conversions"] for sums in cells) * 1_000_000
                compared += 1
    assert compared > 50


def test_countries_never_add_up_to_more_or_to_all() -> None:
    missing = 0
    reported = Reported(WORLD)
    for native in natives():
        day = date(2026, 11, 5)
        total, rows = reported.total(native, day, NOW), by_region(reported.countries(native, day, NOW))
        named = sum(row.impressions for region, row in rows.items() if region != "ZZ")
        assert total is None or named <= total.impressions
        missing += total is not None and named < total.impressions
    assert missing > len(natives()) // 2


def test_days_are_restated_and_some_are_taken_back() -> None:
    reported, restated, removed = Reported(WORLD), 0, 0
    for native in natives():
        for day in days_between(date(2026, 10, 10), date(2026, 11, 10)):
            early = reported.total(native, day, day_end(native, day) + timedelta(hours=1))
            late = reported.total(native, day, day_end(native, day) + 7 * DAY)
            assert late == reported.total(native, day, NOW)  # then it is final
            restated += early != late
            removed += early is not None and late is None
    assert restated > 100
    assert removed > 3


@pytest.mark.parametrize("platform", ["meta", "google", "linkedin", "tiktok"])
def test_what_is_fetched_later_is_what_is_true_then(platform: str) -> None:
    stage = Stage(platform)
    first, last = date(2026, 11, 15), date(2026, 11, 22)
    before = figures(stage.fetched(first, last, Breakdown.TOTAL))
    stage.sandbox.clock.advance(6 * DAY)
    after = figures(stage.fetched(first, last, Breakdown.TOTAL))
    assert before != after == stage.expected(first, last, Breakdown.TOTAL)


def test_the_truth_of_any_moment() -> None:
    stage = Stage("meta")
    asked = {"campaign": 1, "platform": "meta", "start_date": "2026-11-19", "end_date": "2026-11-20"}
    native = claimed_by(CAMPAIGNS[0])[0]
    for at in (NOW, NOW - 2 * DAY, NOW + 30 * DAY):
        body = ask(stage, "/truth", **asked, at=at.isoformat())
        rows = {date.fromisoformat(row["day"]): row for row in body["rows"]}
        for day in (date(2026, 11, 19), date(2026, 11, 20)):
            total = stage.sandbox.reported.total(native, day, at)
            assert (day in rows) == (total is not None)
            if total is not None:
                assert Decimal(rows[day]["spend"]) * 1_000_000 == total.spend_micros
                assert rows[day]["impressions"] == total.impressions
    by_country = ask(stage, "/truth", **asked, breakdown="country", at=NOW.isoformat())["rows"]
    assert {row["region"] for row in by_country} >= {"US", "CA"}


def test_the_truth_of_the_stream_is_the_sum_of_its_events() -> None:
    stage = Stage("meta")
    days = {"start_date": "2026-11-18", "end_date": "2026-11-22"}
    lines = [json.loads(line) for line in ask(stage, "/events", **days, ids="1:41").splitlines()]
    assert {line["campaign_id"] for line in lines} == {41, *range(2, 13)}
    assert len({line["event_id"] for line in lines}) == len(lines)
    rows = ask(stage, "/truth", source="stream", campaign=6, start_date="2026-11-19", end_date="2026-11-21")["rows"]
    mine = [one for one in lines if one["campaign_id"] == 6 and "19" <= _utc_day(one) <= "21"]  # a campaign of UTC
    for metric in METRICS:
        assert sum(Decimal(str(row[metric])) for row in rows) == sum(_metric(one, metric) for one in mine)


def _utc_day(event: Mapping[str, Any]) -> str:
    at = event["event_time"]
    moment = datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at / 1000, UTC)
    return f"{moment.astimezone(UTC).day:02}"


def _metric(event: Mapping[str, Any], metric: str) -> Decimal:
    implied = {"impression": "impressions", "click": "clicks", "conversion": "conversions"}.get(event["event_type"])
    return Decimal(str(event.get(metric, 1 if implied == metric else 0)))


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("/truth", {"campagn": "1"}, "campagn"),
        ("/truth", {"at": "yesterday"}, "at"),
        ("/truth", {"at": "2026-11-20T00:00:00"}, "at"),
        ("/truth", {"start_date": "2026-13-01"}, "start_date"),
        ("/truth", {"start_date": "2026-11-02", "end_date": "2026-11-01"}, "end_date"),
        ("/truth", {"breakdown": "region"}, "breakdown"),
        ("/truth", {"campaign": "one"}, "campaign"),
        ("/events", {"ids": "1-2"}, "ids"),
        ("/events", {"at": "2026-11-20T00:00:00Z"}, "at"),
    ],
)
def test_a_bad_question_names_its_parameter(path: str, params: dict[str, str], message: str) -> None:
    assert ask(Stage("meta"), path, **params)["message"].startswith(f"{message}:")


def test_what_else_it_tells() -> None:
    stage = Stage("meta", ["429"])
    assert [one["name"] for one in ask(stage, "/faults") if one["is_on"]] == ["429"]
    assert len(ask(stage, "/accounts")) == len(accounts())
    bodies = ask(stage, "/campaigns")
    assert [len(body["platforms"]) for body in bodies] == [len(one.platforms) for one in CAMPAIGNS]
    assert {link.get("level") for body in bodies for link in body["platforms"]} == {None, LinkLevel.CAMPAIGN_GROUP}
    stage.fetched(date(2026, 11, 1), date(2026, 11, 2), Breakdown.TOTAL)
    seen = ask(stage, "/requests", platform="meta")
    assert seen
    assert "token" not in json.dumps(seen)


def test_what_is_kept_of_a_day_is_what_a_fresh_look_tells() -> None:
    """Back and forth in time, to the very instants at which something happens."""
    dice, first, world = Random(3), date(2026, 10, 1), World(3, date(2026, 10, 1))
    kept, changes = Reported(world), 0
    wanted = [one for one in natives() if one.campaign.number in (1, 4)]
    for native in wanted:
        day, before = first + timedelta(days=dice.randrange(1, 5)), None
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for _ in range(12):
            at = start + timedelta(seconds=dice.choice([0, 60, 3_600]) * dice.randrange(200))
            fresh = Reported(world)
            told = fresh.total(native, day, at), fresh.countries(native, day, at)
            assert (kept.total(native, day, at), kept.countries(native, day, at)) == told
            changes += told != before
            before = told
    assert changes > len(wanted)
