"""``explain`` of a campaign's number: what the log, reports and rates say of it, and statements that say so again."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from campaignctl.domain.reports import Figures
from campaignctl.ports.analytics import SqlColumn
from tests.e2e.rest import Rest, User, fields, problem
from tests.e2e.test_rest_reconcile import DAY, at_us, organization_of, report, send

Json = dict[str, Any]
LINK = {"platform": "meta", "account_id": "act_77", "external_id": "explained"}
EVEN_LATER = 24 * 40


def explained(user: User, campaign: Json, metric: str, **params: str) -> Json:
    asked = {"date": DAY.isoformat(), "metric": metric, **params}
    answer = user.ask("GET", f"/campaigns/{campaign['id']}/explain", params=asked)
    assert answer.status_code == 200, answer.text
    found: Json = json.loads(answer.text, parse_float=Decimal)
    return found


def insights(user: User, campaign: Json, **params: str) -> Json:
    days = {"start_date": DAY.isoformat(), "end_date": DAY.isoformat()}
    answer = user.ask("GET", f"/campaigns/{campaign['id']}/insights", params=days | params)
    found: Json = json.loads(answer.text, parse_float=Decimal)
    return found


@pytest.fixture(scope="module")
def campaign(rest: Rest, user: User) -> Json:
    """A day with a restated report in euros of one platform, and events of it and of another one."""
    made = user.campaign(platforms=[LINK], timezone="Asia/Kolkata")
    organization = organization_of(rest, made)
    rate = {"date": "2026-09-29", "currency": "EUR", "base": "USD", "rate": "1.1"}
    assert user.ask("PUT", "/currency-rates", json=[rate]).status_code == 200
    send(rest, user, made, [("a", DAY, 50), ("b", DAY, 25)], spend="1.25")
    send(rest, user, made, [("c", DAY, 10)], spend="3", platform="google")
    send(rest, user, made, [("a", DAY, 51)], spend="1.25")
    first = {DAY: Figures("", 70, 4, 1_500_000, 2_000_000, 0), DAY + timedelta(days=1): Figures("", 1, 1, 0, 1, 0)}
    report(rest, organization, first, at_us(DAY, 30), currency="EUR", native="explained")
    second = {DAY: Figures("", 70, 4, 1_500_000, 2_500_000, 0)}
    report(rest, organization, second, at_us(DAY, EVEN_LATER), currency="EUR", native="explained")
    return made


def test_a_number_and_all_that_stands_behind_it(rest: Rest, user: User, campaign: Json) -> None:
    found = explained(user, campaign, "spend")
    told = insights(user, campaign)
    assert found["value"] == told["totals"]["spend"] == Decimal("5.75")
    assert (found["source"], found["finality"]) == (told["rows"][0]["source"], told["rows"][0]["finality"])
    assert found["warnings"] == told["warnings"]
    assert found["null_because"] == []
    assert found["conversions"] == [
        {"metric": "spend", "day": "2026-10-01", "currency": "EUR", "amount": Decimal("2.5"), "base": "USD",
         "rate": Decimal("1.1"), "rate_date": "2026-09-29", "value": Decimal("2.75")}
    ]  # fmt: skip
    assert found["conflicts"] == 1
    google, meta = found["platforms"]
    assert (google["platform"], google["source"], google["rule"]) == ("google", "stream", "not_linked")
    assert google["amounts"] == [{"metric": "spend", "currency": "USD", "value": 3}]
    assert (google["stream"]["events"], google["natives"]) == (1, [])
    assert (meta["source"], meta["rule"], meta["finality"]) == ("report", "report_stands", "final")
    assert meta["amounts"] == [{"metric": "spend", "currency": "EUR", "value": Decimal("2.5")}]
    assert meta["expected_final_at"] == "2026-10-30T00:00:00Z"

    stream = meta["stream"]
    assert (stream["events"], stream["events_in_sums"], stream["expired"]) == (2, 2, False)
    assert stream["amounts"] == [{"metric": "spend", "currency": "USD", "value": Decimal("2.5")}]
    assert stream["first_event_at"] == stream["last_event_at"] == "2026-10-01T06:30:00Z"
    (log,) = stream["log"]
    assert (log["events"], log["last_offset"] - log["first_offset"]) == (2, 1)

    (native,) = meta["natives"]
    assert (native["account_id"], native["external_id"], native["timezone"]) == ("77", "explained", "UTC")
    assert (native["covered_at"], native["seen"]) == ("2026-11-10T00:00:00Z", True)
    assert [(one["version"], one["stands"], one["amounts"][0]["value"]) for one in native["versions"]] == [
        (2, True, Decimal("2.5")),
        (1, False, 2),
    ]
    assert native["versions"][1]["fetched_at"] == "2026-10-02T06:00:00Z"
    assert native["rows"][0]["definition"] == "d1"


def test_the_statements_can_be_run_again(rest: Rest, user: User, campaign: Json) -> None:
    found = explained(user, campaign, "spend")
    answers = {}
    for one in found["statements"]:
        answers[one["name"]] = rest.app.analytics.run_sql(one["sql"], one["params"], max_rows=100, timeout_s=10)
        assert one["file"].startswith("sql/clickhouse/queries/")
    assert {"sums_of_rollup", "standing_rows", "coverage", "total_versions", "streamed_records", "count_conflicts"} <= (
        answers.keys()
    )
    assert SqlColumn("spend_sum", "Int64") in answers["sums_of_rollup"].columns
    records = answers["streamed_records"]
    names = [column.name for column in records.columns]
    assert [dict(zip(names, row, strict=True))["counted"] for row in records.rows] == [1, 2]
    assert answers["count_conflicts"].rows == [[1]]


def test_a_ratio_has_its_parts(user: User, campaign: Json) -> None:
    found = explained(user, campaign, "cpc", platform="meta")
    assert found["value"] == insights(user, campaign, platform="meta")["totals"]["cpc"] == Decimal("0.6875")
    assert [(one["role"], one["metric"], one["value"]) for one in found["terms"]] == [
        ("dividend", "spend", Decimal("2.75")),
        ("divisor", "clicks", 4),
    ]
    assert found["definition"]["formula"].startswith("spend / clicks;")
    assert [one["platform"] for one in found["platforms"]] == ["meta"]


def test_conversions_name_their_definition(user: User, campaign: Json) -> None:
    found = explained(user, campaign, "conversions")
    assert found["value"] == Decimal("1.5")
    assert found["definitions"] == [{"version": "d1", "platform": "meta", "actions": None}]
    assert "google-1" in found["terms"][0]["platforms"]["google"]


def test_null_says_why(user: User, campaign: Json) -> None:
    lacking = explained(user, campaign, "spend", currency="CHF")
    assert (lacking["value"], [one["code"] for one in lacking["null_because"]]) == (None, ["missing_rate"])
    assert {one["currency"]: one["rate"] for one in lacking["conversions"]} == {"EUR": None, "USD": None}
    divided = explained(user, campaign, "cpc", platform="google")
    assert (divided["value"], [one["code"] for one in divided["null_because"]]) == (None, ["divisor_not_positive"])
    passed = explained(user, campaign, "clicks", source="report", region="US")
    assert (passed["value"], [one["code"] for one in passed["null_because"]]) == (None, ["breakdown_unavailable"])
    assert [(one["rule"], one["source"]) for one in passed["platforms"]] == [("no_countries", None)]


def test_what_it_said_at_an_earlier_time(rest: Rest, user: User, campaign: Json) -> None:
    (native,) = explained(user, campaign, "spend", platform="meta")["platforms"][0]["natives"]
    landed = native["versions"][1]["landed_at"]
    found = explained(user, campaign, "spend", platform="meta", as_of=landed)
    assert found["value"] == Decimal("2.2")
    (part,) = found["platforms"]
    assert [one["version"] for one in part["natives"][0]["versions"]] == [1]
    assert part["stream"]["events_in_sums"] is None


def test_who_may_ask_and_what(rest: Rest, user: User, stranger: User) -> None:
    path = f"/campaigns/{user.campaign()['id']}/explain"
    asked = {"date": "2026-10-01", "metric": "spend"}
    nothing = user.ask("GET", path, params=asked).json()
    assert (nothing["value"], nothing["platforms"], nothing["source"]) == (0, [], "stream")
    problem(stranger.ask("GET", path, params=asked), 404)
    assert fields(problem(user.ask("GET", path), 422)) == ["date", "metric"]
    wrong = {"date": "2026-13-01", "metric": "spent", "platform": "x", "source": "y"}
    answer = problem(user.ask("GET", path, params=wrong), 422)
    assert sorted(fields(answer)) == ["date", "metric", "platform", "source"]
    assert "did you mean spend?" in answer["errors"][0]["message"]
    assert fields(problem(user.ask("GET", path, params=asked | {"group_by": "ad"}), 422)) == ["group_by"]
