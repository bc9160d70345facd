"""Conflicts: both versions of an event are shown, to its own organization, by campaign and time, page by page."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from campaignctl.cli.app import run
from tests.e2e.rest import Rest, User, fields, problem
from tests.e2e.test_replay import event, to_log
from tests.unit.cli_support import fake_api, ok
from worker.lifecycle import working


@pytest.fixture(scope="module", autouse=True)
def _worker(rest: Rest) -> Iterator[None]:
    with working(rest.app):
        yield


def conflicts(user: User, **params: Any) -> list[dict[str, Any]]:
    answer = user.ask("GET", "/conflicts", params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_both_versions_are_shown(rest: Rest) -> None:
    user = rest.user()
    campaign_id = user.campaign(currency="EUR")["id"]
    first, other = event(campaign_id, "a", spend="0.420001"), event(campaign_id, "a", spend="0.43")
    to_log(rest, campaign_id, first, first, event(campaign_id, "b"), other)
    (one,) = conflicts(user)
    assert (one["campaign_id"], one["event_id"], one["value"].encode()) == (campaign_id, "a", other)
    assert one["value_base64"] is None
    counted = one["counted"]
    assert (counted["spend"], counted["clicks"], counted["currency"], counted["conversions"]) == (0.420001, 1, "EUR", 0)
    assert (counted["event_time"], counted["platform"]) == ("2026-11-01T12:00:00Z", "meta")
    assert counted["partition"] == one["partition"]
    assert one["offset"] - counted["offset"] == 3
    assert counted["at"] <= one["at"]


def test_filters_pages_and_organizations(rest: Rest) -> None:
    mine, theirs = rest.user(), rest.user()
    campaign_id, other_id = mine.campaign()["id"], mine.campaign()["id"]
    for number in (campaign_id, other_id):
        to_log(rest, number, event(number, "a"), *(event(number, "a", clicks=2 + n) for n in range(3)))
    assert len(conflicts(mine)) == 6
    assert {one["campaign_id"] for one in conflicts(mine, campaign_id=other_id)} == {other_id}
    assert conflicts(theirs) == conflicts(theirs, campaign_id=campaign_id) == []
    latest = conflicts(mine)[0]["at"]
    assert 0 < len(conflicts(mine, since=latest)) <= 3
    assert len(conflicts(mine, since=latest)) + len(conflicts(mine, until=latest)) == 6
    shown, cursor = [], None
    while True:
        answer = mine.ask("GET", "/conflicts", params={"limit": 4} | ({"cursor": cursor} if cursor else {})).json()
        shown += [(one["campaign_id"], one["offset"]) for one in answer["items"]]
        cursor = answer["next_cursor"]
        if cursor is None:
            break
    assert shown == [(one["campaign_id"], one["offset"]) for one in conflicts(mine)]
    everything = rest.client.get("/api/v1/conflicts", headers=rest.operator, params={"limit": 200}).json()["items"]
    assert len(everything) >= 6


@pytest.mark.parametrize(
    ("params", "field"),
    [({"campaign_id": "x"}, "campaign_id"), ({"since": "now"}, "since"), ({"cursor": "x"}, "cursor"), ({"a": 1}, "a")],
)
def test_wrong_questions_are_named(user: User, params: dict[str, Any], field: str) -> None:
    assert fields(problem(user.ask("GET", "/conflicts", params=params), 422)) == [field]


def test_it_takes_an_operator(rest: Rest, user: User) -> None:
    problem(rest.member(user, "analyst").ask("GET", "/conflicts"), 403, "forbidden")


def test_the_command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_TOKEN", "t0k")
    monkeypatch.setenv("COLUMNS", "200")
    copy = {"campaign_id": 42, "event_id": "a", "at": "2026-10-01T00:00:00Z", "partition": 0, "offset": 7}
    copy |= {"value": None, "value_base64": "/wA=", "counted": {"clicks": 1, "spend": 0.42}}
    with fake_api(lambda _: ok({"items": [copy], "next_cursor": None})) as server:
        assert (
            run(["--api", server.url, "events", "conflicts", "--campaign", "42", "--since", "2026-10-01T00:00:00Z"])
            == 0
        )
        shown = capsys.readouterr().out
        assert run(["--api", server.url, "events", "conflicts", "-o", "ndjson"]) == 0
        assert json.loads(capsys.readouterr().out) == copy
    assert server.requests[0].path == "/api/v1/conflicts?campaign_id=42&since=2026-10-01T00%3A00%3A00Z"
    assert "base64:/wA=" in shown
    assert '{"clicks":1,"spend":"0.42"}' in shown
