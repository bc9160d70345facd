"""``GET /campaigns/{id}/pacing``: events through the log and the worker, held against the budget."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.rest import Rest, User, fields, problem
from worker.lifecycle import working

DAY = timedelta(days=1)


def spend(rest: Rest, user: User, campaign: dict[str, Any], amounts: dict[int, str], currency: str = "USD") -> None:
    """So many days ago that much."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    events = [
        {"event_id": f"{currency}{ago}", "campaign_id": campaign["id"], "platform": "meta", "spend": amount,
         "event_time": (today - ago * DAY).isoformat(), "currency": currency}
        for ago, amount in amounts.items()
    ]  # fmt: skip
    sent = user.ask("POST", "/events", json=events)
    with working(rest.app):
        user.ask("GET", f"/campaigns/{campaign['id']}/insights", params={"after": sent.json()["position"]})


def dated(user: User, **members: Any) -> dict[str, Any]:
    today = datetime.now(UTC).date()
    days = {"start_date": (today - 9 * DAY).isoformat(), "end_date": (today + 10 * DAY).isoformat()}
    return user.campaign(platforms=[], budget="2000", budget_period="total", **(days | members))


def test_spend_is_held_against_the_budget(rest: Rest, user: User, stranger: User) -> None:
    campaign = dated(user)
    path = f"/campaigns/{campaign['id']}/pacing"
    spend(rest, user, campaign, dict.fromkeys(range(1, 10), "150.000001") | {0: "20"})
    found = user.ask("GET", path).json()
    assert (found["budget"], found["spend"], found["remaining"]) == (2000, 1370.000009, 629.999991)
    assert (found["percent"], found["daily"]) == (68.5, 150.000001)
    assert found["projected"] == 3000.00002
    assert found["days"] == {"total": 20, "elapsed": 9, "left": 11}
    assert 900 <= found["expected"] <= 1000
    assert found["flags"] == {"stopped": False, "stale": False, "overspending": True, "underspending": False}
    assert found["warnings"] == []
    assert "average" in found["projection_method"]
    insights = user.ask("GET", f"/campaigns/{campaign['id']}/insights", params={"granularity": "total"}).json()
    assert insights["totals"]["spend"] == found["spend"]
    problem(stranger.ask("GET", path), 404)


def test_what_cannot_be_told_is_null_with_a_warning(rest: Rest, user: User) -> None:
    campaign = dated(user)
    path = f"/campaigns/{campaign['id']}/pacing"
    spend(rest, user, campaign, {1: "5"}, "EUR")
    found = user.ask("GET", path).json()
    nothing = ("spend", "remaining", "percent", "daily", "projected")
    assert [found[name] for name in nothing] == [None] * 5
    assert found["flags"]["overspending"] is found["flags"]["underspending"] is None
    assert "missing_rate" in [one["code"] for one in found["warnings"]]
    bare = user.campaign(platforms=[], budget=None)
    found = user.ask("GET", f"/campaigns/{bare['id']}/pacing").json()
    assert (found["budget"], found["spend"], found["expected"], found["end_date"]) == (None, 0, None, None)
    assert "no_budget" in [one["code"] for one in found["warnings"]]


def test_what_is_wrong_is_named(user: User) -> None:
    path = f"/campaigns/{dated(user)['id']}/pacing"
    assert fields(problem(user.ask("GET", path, params={"platform": "myspace"}), 422)) == ["platform"]
    assert fields(problem(user.ask("GET", path, params={"start_date": "2026"}), 422)) == ["start_date"]
    assert fields(problem(user.ask("GET", path, params={"granularity": "daily"}), 422)) == ["granularity"]
