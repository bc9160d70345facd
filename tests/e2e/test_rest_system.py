"""``GET /system`` and ``GET /freshness``: how the installation does, and how old data is."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.rest import Rest, User, fields, problem
from worker.lifecycle import working


def _event(campaign_id: int, number: int, age: timedelta = timedelta(0), platform: str = "meta") -> dict[str, Any]:
    at = (datetime.now(UTC) - age).isoformat()
    return {"event_id": f"s{number}", "campaign_id": campaign_id, "platform": platform, "event_time": at, "clicks": 1}


def _lag(rest: Rest, user: User) -> dict[str, Any]:
    body: dict[str, Any] = user.ask("GET", "/system").json()["lag"]
    return body


def test_the_lag_rises_with_what_is_sent_and_falls_with_what_is_counted(rest: Rest, user: User) -> None:
    campaign = user.campaign()
    before = _lag(rest, user)
    assert before["partitions"][0].keys() == {"partition", "committed", "end", "lag_records", "lag_seconds"}
    sent = user.ask("POST", "/events", json=[_event(campaign["id"], n) for n in range(7)])
    assert sent.status_code == 202, sent.text
    after = _lag(rest, user)
    assert after["lag_records"] == before["lag_records"] + 7
    assert after["lag_records"] == sum(one["lag_records"] for one in after["partitions"])
    assert after["lag_seconds"] == max(one["lag_seconds"] for one in after["partitions"]) > 0
    with working(rest.app):
        user.ask("GET", f"/campaigns/{campaign['id']}/insights", params={"after": sent.json()["position"]})
        end_s = time.monotonic() + 60
        while _lag(rest, user)["lag_records"]:
            assert time.monotonic() < end_s
            time.sleep(0.05)
    assert _lag(rest, user)["lag_seconds"] == 0


def test_the_rest_of_it(rest: Rest, user: User) -> None:
    body = user.ask("GET", "/system").json()
    assert body.keys() == {"version", "lag", "rates", "dependencies", "dead_letters"}
    assert {"metadata", "analytics", "event_log", "schema"} <= body["dependencies"].keys()
    refused = user.ask("POST", "/events", json=[{"campaign_id": 1}])
    assert refused.json()["accepted"] == 0
    assert user.ask("GET", "/system").json()["dead_letters"]["records"] == body["dead_letters"]["records"] + 1


def test_it_is_for_signed_in_operators(rest: Rest) -> None:
    problem(rest.client.get("/api/v1/system"), 401)


def test_freshness_says_how_old_what_is(rest: Rest, user: User, stranger: User) -> None:
    links = [{"platform": name, "account_id": f"a-{name}", "external_id": "x"} for name in ("google", "meta")]
    for link in links:
        link["external_id"] = f"fresh-{link['platform']}"
    campaign = user.campaign(name="Fresh", platforms=links)
    paused = user.campaign(name="Paused", status="paused", platforms=[])
    sent = user.ask("POST", "/events", json=[_event(campaign["id"], 100, timedelta(hours=2))])
    with working(rest.app):
        user.ask("GET", f"/campaigns/{campaign['id']}/insights", params={"after": sent.json()["position"]})
    items = user.ask("GET", "/freshness", params={"campaign": campaign["id"]}).json()["items"]
    assert [(one["campaign_name"], one["platform"]) for one in items] == [("Fresh", "google"), ("Fresh", "meta")]
    assert items[0]["last_event_at"] is items[0]["age_seconds"] is items[0]["last_report_at"] is None
    assert 7_200 <= items[1]["age_seconds"] < 7_400
    assert items[1]["last_event_at"].endswith("Z")
    everything = user.ask("GET", "/freshness").json()
    assert everything["truncated"] is False
    assert paused["id"] not in {one["campaign_id"] for one in everything["items"]}
    only = user.ask("GET", "/freshness", params={"platform": "META"}).json()["items"]
    assert {one["platform"] for one in only} == {"meta"}
    problem(stranger.ask("GET", "/freshness", params={"campaign": campaign["id"]}), 404)
    assert fields(problem(user.ask("GET", "/freshness", params={"platform": "myspace"}), 422)) == ["platform"]
    assert fields(problem(user.ask("GET", "/freshness", params={"max_age": "1h"}), 422)) == ["max_age"]
