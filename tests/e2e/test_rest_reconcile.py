"""``restatements`` and ``reconcile`` of a campaign: through the log and the worker, as a fetch would send reports."""

import json
import time
from datetime import UTC, date, datetime, timedelta
from typing import Any

from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, Coverage, Figures, ReportedAccount, ReportSlice
from tests.e2e.rest import Rest, User, fields, problem
from tests.support.fetches import Fetch, records_of
from worker.lifecycle import working

DAY = date(2026, 10, 1)
LINK = {"platform": "meta", "account_id": "act_77", "external_id": "c1"}


def organization_of(rest: Rest, campaign: dict[str, Any]) -> int:
    return rest.app.metadata.campaign_facts([campaign["id"]])[campaign["id"]].organization_id


def at_us(day: date, hours: int) -> int:
    return int((datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hours)).timestamp()) * 1_000_000


def report(
    rest: Rest,
    organization: int,
    rows: dict[date, Figures | None],
    at: int,
    *,
    currency: str = "USD",
    native: str = "c1",
    definition: str = "d1",
) -> None:
    """One fetch of totals, sent and landed."""
    account = ReportedAccount(organization, Platform.META, "77", currency, "UTC")
    slices = tuple(
        ReportSlice(LinkLevel.CAMPAIGN, native, day, Breakdown.TOTAL, at, definition, (row,) if row else ())
        for day, row in rows.items()
    )
    covered = Coverage(LinkLevel.CAMPAIGN, "", Breakdown.TOTAL, min(rows), max(rows), at)
    rest.app.event_log.produce("campaign-events", records_of(Fetch(account, slices, (covered,))))
    time.sleep(0.002)  # each fetch has a millisecond of its own in the log
    with working(rest.app) as thread:
        wait_for_all(rest, thread)


def wait_for_all(rest: Rest, thread: Any) -> None:
    end_s = time.monotonic() + 60
    while rest.app.lag.lag().lag_records:
        assert thread.error is None
        assert time.monotonic() < end_s
        time.sleep(0.02)


def test_what_was_restated_is_listed_and_nothing_else(rest: Rest, user: User) -> None:
    campaign = user.campaign(platforms=[LINK | {"valid_to": "2026-10-02"}])
    path, organization = f"/campaigns/{campaign['id']}/restatements", organization_of(rest, campaign)
    days = {"start_date": "2026-10-01", "end_date": "2026-10-31"}
    nothing = {"campaign_id": campaign["id"], **days, "items": [], "truncated": False}
    assert user.ask("GET", path, params=days).json() == nothing

    first = Figures("", 100, 5, 1_500_000, 2_000_000, None)
    outside = DAY + timedelta(days=2)
    report(rest, organization, {DAY: first, outside: first}, at_us(DAY, 12))
    report(rest, organization, {DAY: first, outside: first}, at_us(DAY, 13))
    assert user.ask("GET", path, params=days).json() == nothing

    changed = Figures("", 100, 5, 1_500_000, 2_250_000, None)
    report(rest, organization, {DAY: changed, outside: changed}, at_us(DAY, 48))
    report(rest, organization, {DAY: None, outside: None}, at_us(DAY, 24 * 40))
    items = user.ask("GET", path, params=days | {"platform": "META"}).json()["items"]
    assert [(one["metric"], one["old"], one["new"], one["finality"]) for one in items] == [
        ("spend", 2, 2.25, "settling"),
        ("impressions", 100, 0, "final"),
        ("clicks", 5, 0, "final"),
        ("conversions", 1.5, 0, "final"),
        ("spend", 2.25, 0, "final"),
    ]
    spend = items[0]
    assert spend.pop("landed_at") > spend["fetched_at"]
    assert spend == {
        "day": "2026-10-01", "platform": "meta", "account_id": "77", "level": "campaign", "external_id": "c1",
        "metric": "spend", "old": 2, "new": 2.25, "old_currency": "USD", "currency": "USD", "finality": "settling",
        "fetched_at": "2026-10-03T00:00:00Z", "cause": "platform", "old_definition": "d1", "definition": "d1",
    }  # fmt: skip
    assert items[1]["currency"] is None
    assert (items[1]["cause"], items[1]["old_definition"], items[1]["definition"]) == ("platform", "d1", None)
    assert user.ask("GET", path, params=days | {"platform": "google"}).json()["items"] == []


def test_another_definition_is_told_from_what_the_platform_changed(rest: Rest) -> None:
    user = rest.user()
    campaign = user.campaign(platforms=[LINK])
    organization = organization_of(rest, campaign)
    report(rest, organization, {DAY: Figures("", 100, 5, 1_500_000, 2_000_000, 3_000_000)}, at_us(DAY, 12))
    # The same answer counted anew, a later one counted anew again, and one that is only later.
    for row, hours, definition in (
        (Figures("", 100, 5, 2_500_000, 2_000_000, 4_000_000), 12, "d2"),
        (Figures("", 101, 5, 3_500_000, 2_000_000, 4_000_000), 36, "d3"),
        (Figures("", 101, 5, 4_500_000, 2_000_000, 4_000_000), 60, "d3"),
    ):
        report(rest, organization, {DAY: row}, at_us(DAY, hours), definition=definition)
    asked = {"start_date": "2026-10-01", "end_date": "2026-10-31"}
    items = user.ask("GET", f"/campaigns/{campaign['id']}/restatements", params=asked).json()["items"]
    told = [(one["metric"], one["new"], one["cause"], one["old_definition"], one["definition"]) for one in items]
    assert told == [
        ("conversions", 2.5, "definition", "d1", "d2"),
        ("revenue", 4, "definition", "d1", "d2"),
        ("impressions", 101, "platform", "d2", "d3"),
        ("conversions", 3.5, "unclear", "d2", "d3"),
        ("conversions", 4.5, "platform", "d3", "d3"),
    ]


def test_who_may_ask_and_what(rest: Rest, user: User) -> None:
    campaign = user.campaign()
    path = f"/campaigns/{campaign['id']}/restatements"
    problem(rest.user().ask("GET", path), 404)
    wrong = problem(user.ask("GET", path, params={"start_date": "2026-13-01", "platform": "x"}), 422)
    assert sorted(fields(wrong)) == ["platform", "start_date"]
    assert fields(problem(user.ask("GET", path, params={"start": "2026-01-01"}), 422)) == ["start"]
    today = json.loads(user.ask("GET", path).text)
    assert date.fromisoformat(today["end_date"]) - date.fromisoformat(today["start_date"]) == timedelta(days=29)


def test_streamed_beside_reported(rest: Rest) -> None:
    user = rest.user()
    campaign = user.campaign(platforms=[LINK], timezone="Asia/Kolkata")
    path, organization = f"/campaigns/{campaign['id']}/reconcile", organization_of(rest, campaign)
    days = {"start_date": "2026-10-01", "end_date": "2026-10-31"}
    empty = user.ask("GET", path, params=days).json()
    assert (empty["within"], empty["items"], empty["tolerance"]) == (True, [], 0.05)

    send(rest, user, campaign, [(f"a{n}", DAY, 50) for n in range(2)], spend="1.00")
    send(rest, user, campaign, [("b", DAY + timedelta(days=1), 40), ("c", DAY + timedelta(days=9), 7)])
    rows = {DAY: Figures("", 102, 0, 0, 2_000_000, 0), DAY + timedelta(days=1): Figures("", 30, 0, 3_000_000, 0, None)}
    report(rest, organization, rows, at_us(DAY, 24 * 40), native="c1")
    report(rest, organization, {DAY: Figures("", 1, 0, 0, 9_000_000, 0)}, at_us(DAY, 24 * 40), native="nobody's")

    found = user.ask("GET", path, params=days).json()
    assert (found["within"], found["days_compared"], found["days_outside"], found["days_not_covered"]) == (
        False,
        2,
        1,
        1,
    )
    assert found["timezone"] == "Asia/Kolkata"
    first, second, third = found["items"]
    assert (first["day"], first["platform"], first["covered"], first["within"]) == ("2026-10-01", "meta", True, True)
    assert first["fetched_at"] == "2026-11-10T00:00:00Z"
    spend = {"streamed": 2, "reported": 2, "difference": 0, "relative": 0, "within": True, "hints": []}
    assert first["metrics"]["spend"] == spend
    impressions = first["metrics"]["impressions"]
    assert (impressions["difference"], impressions["relative"], impressions["within"]) == (-2, -0.019608, True)
    assert second["metrics"]["impressions"] == {
        "streamed": 40, "reported": 30, "difference": 10, "relative": 0.333333, "within": False,
        "hints": ["time_zone", "lateness"],
    }  # fmt: skip
    assert second["metrics"]["conversions"]["hints"] == ["time_zone", "definition"]
    assert second["within"] is False
    assert found["unexplained"] == dict.fromkeys(("impressions", "clicks", "conversions", "spend", "revenue"), 0)
    assert (third["day"], third["covered"], third["within"], third["fetched_at"]) == ("2026-10-10", False, None, None)
    assert third["metrics"]["impressions"] == {
        "streamed": 7, "reported": None, "difference": None, "relative": None, "within": None, "hints": [],
    }  # fmt: skip

    assert user.ask("GET", path, params=days | {"tolerance": "0.5"}).json()["days_outside"] == 1  # conversions: 0 of 3
    strict = user.ask("GET", path, params=days | {"tolerance": "0"}).json()
    assert [one["within"] for one in strict["items"]] == [False, False, None]
    assert strict["items"][0]["metrics"]["impressions"]["hints"] == ["time_zone"]


def test_a_difference_that_nothing_explains_is_added_up(rest: Rest) -> None:
    user = rest.user()
    campaign = user.campaign(platforms=[LINK])
    path, organization = f"/campaigns/{campaign['id']}/reconcile", organization_of(rest, campaign)
    send(rest, user, campaign, [("a", DAY, 10)])
    report(rest, organization, {DAY: Figures("", 15, 0, 0, 0, 0)}, at_us(DAY, 24 * 40))
    found = user.ask("GET", path, params={"start_date": "2026-10-01", "end_date": "2026-10-01"}).json()
    assert found["unexplained"]["impressions"] == -5
    assert found["items"][0]["metrics"]["impressions"]["hints"] == []


def test_what_cannot_be_a_tolerance(rest: Rest, user: User) -> None:
    path = f"/campaigns/{user.campaign()['id']}/reconcile"
    for wrong in ("-0.1", "1.01", "x", "NaN", "Infinity"):
        assert fields(problem(user.ask("GET", path, params={"tolerance": wrong}), 422)) == ["tolerance"]
    problem(rest.user().ask("GET", path), 404)


def send(
    rest: Rest, user: User, campaign: dict[str, Any], events: list[tuple[str, date, int]], **members: object
) -> None:
    """Events at noon of their days, sent and counted."""
    body = [
        {"event_id": name, "campaign_id": campaign["id"], "platform": "meta", "impressions": impressions, **members,
         "event_time": f"{day}T12:00:00+05:30"}
        for name, day, impressions in events
    ]  # fmt: skip
    assert user.ask("POST", "/events", json=body).json()["accepted"] == len(body)
    with working(rest.app) as thread:
        wait_for_all(rest, thread)


def test_what_nobody_claims_is_listed_with_its_figures(rest: Rest, user: User, stranger: User) -> None:
    campaign = user.campaign(platforms=[{"platform": "meta", "account_id": "78", "external_id": "c1"}])
    made = user.ask("POST", "/accounts", json={"platform": "meta", "account_id": "act_78"}).json()
    organization, path = organization_of(rest, campaign), f"/accounts/{made['id']}/unmapped"
    account = ReportedAccount(organization, Platform.META, "78", "EUR", "UTC")
    at = at_us(DAY, 30)
    slices = tuple(
        ReportSlice(LinkLevel.CAMPAIGN, native, DAY, Breakdown.TOTAL, at, "d1", (Figures("", 10, 1, 0, spend, 0),))
        for native, spend in (("c1", 5_000_000), ("c2", 7_250_000))
    )
    covered = Coverage(LinkLevel.CAMPAIGN, "", Breakdown.TOTAL, DAY, DAY, at)
    rest.app.event_log.produce("campaign-events", records_of(Fetch(account, slices, (covered,))))
    with working(rest.app) as thread:
        wait_for_all(rest, thread)
    found = user.ask("GET", path, params={"start_date": "2026-10-01", "end_date": "2026-10-03"}).json()
    (one,) = found["items"]
    assert (one["external_id"], one["spend"], one["currency"], one["first_day"]) == ("c2", 7.25, "EUR", "2026-10-01")
    (of_day,) = found["days"]
    assert (of_day["mapped"]["spend"], of_day["unmapped"]["spend"]) == (5, 7.25)
    assert (found["level"], found["mixed_levels"], found["truncated"]) == ("campaign", False, False)
    assert user.ask("GET", path, params={"end_date": "2026-09-30"}).json()["items"] == []
    assert fields(problem(user.ask("GET", path, params={"start_date": "soon"}), 422)) == ["start_date"]
    problem(stranger.ask("GET", path), 404)
