"""Dead letters over HTTP: whose they are, filters, pages, bytes that are no text; and on the command line."""

import base64
import json
from typing import Any

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.domain.dead_letters import FromLog, dead_letter
from campaignctl.domain.events import Reject, RejectReason
from campaignctl.ports.event_log import NewRecord
from campaignctl.services.landing import letter_record
from tests.e2e.rest import NDJSON, Rest, User, fields, problem


def refuse(user: User, *lines: bytes) -> str:
    """Post records that are all refused; answers the request's id."""
    answer = user.ask("POST", "/events", content=b"\n".join(lines), headers={"Content-Type": NDJSON})
    assert answer.json()["accepted"] == 0, answer.text
    return str(answer.headers["x-request-id"])


def letters(user: User, **params: Any) -> list[dict[str, Any]]:
    answer = user.ask("GET", "/dead-letters", params=params)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def by_log(rest: Rest, value: bytes, campaign_id: int | None, offset: int) -> None:
    """A dead letter as a worker leaves it."""
    reject = Reject(0, RejectReason.UNKNOWN_CAMPAIGN, "campaign_id", "There is no such campaign", campaign_id)
    origin = FromLog("campaign-events", "8f14e45f-ceea-467f-a0e6-8e6d5a1c2b3d", 3, offset)
    letter = letter_record(dead_letter(reject, value, SystemClock().now(), origin))
    rest.app.event_log.produce(rest.app.settings.kafka.dead_letter_topic, [letter])


def test_what_was_refused_is_listed_with_its_bytes(rest: Rest) -> None:
    user = rest.user()
    request_id = refuse(user, b"not json \xc3\xa9", b'{"event_id": "\xff"}')
    latest, first = letters(user)
    assert (latest["code"], latest["value"]) == ("malformed_json", None)
    assert base64.b64decode(latest["value_base64"]) == b'{"event_id": "\xff"}'
    assert (first["value"], first["value_base64"]) == ("not json é", None)
    assert (first["source"], first["request_id"], first["index"]) == ("http", request_id, 0)
    assert (first["topic"], first["partition"], first["offset"]) == (None, None, None)
    assert user.ask("GET", f"/dead-letters/{first['id']}").json() == first


def test_filters_and_pages(rest: Rest) -> None:
    user = rest.user()
    campaign = user.campaign()["id"]
    named = json.dumps({"event_id": "e", "campaign_id": campaign, "platform": "myspace"}).encode()
    refuse(user, b"{", b"[]", named, b"{", b"7")
    assert [one["code"] for one in letters(user, reason="malformed_json")] == ["malformed_json"] * 2
    assert [one["value"].encode() for one in letters(user, campaign_id=campaign)] == [named]
    newest = letters(user)[0]["at"]
    assert letters(user, until="2026-01-01T00:00:00Z") == []
    assert len(letters(user, since="2026-01-01T00:00:00+05:30", until="2999-01-01T00:00:00Z")) == 5
    assert len(letters(user, since=newest)) == 5  # one request, one time
    shown, cursor, pages = [], None, 0
    while True:
        answer = user.ask("GET", "/dead-letters", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        shown += [one["value"] for one in answer.json()["items"]]
        cursor, pages = answer.json()["next_cursor"], pages + 1
        assert ("link" in answer.headers) == (cursor is not None)
        if cursor is None:
            break
    assert (shown, pages) == (["7", "{", named.decode(), "[]", "{"], 3)


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"reason": "nonsense"}, "reason"),
        ({"campaign_id": "0"}, "campaign_id"),
        ({"campaign_id": str(2**63)}, "campaign_id"),
        ({"since": "yesterday"}, "since"),
        ({"until": "2026-10-01"}, "until"),
        ({"limit": "201"}, "limit"),
        ({"cursor": "made-up"}, "cursor"),
        ({"reasn": "malformed_json"}, "reasn"),
    ],
)
def test_wrong_filters_are_named(user: User, params: dict[str, str], field: str) -> None:
    assert fields(problem(user.ask("GET", "/dead-letters", params=params), 422)) == [field]


def test_a_cursor_is_good_for_its_list_alone(rest: Rest, stranger: User) -> None:
    user = rest.user()
    refuse(user, b"1", b"2", b"3")
    cursor = user.ask("GET", "/dead-letters", params={"limit": 1}).json()["next_cursor"]
    other_filter = user.ask("GET", "/dead-letters", params={"cursor": cursor, "reason": "too_large"})
    assert fields(problem(other_filter, 422)) == ["cursor"]
    assert fields(problem(stranger.ask("GET", "/dead-letters", params={"cursor": cursor}), 422)) == ["cursor"]


def test_each_letter_is_for_its_own_organization(rest: Rest) -> None:
    mine, theirs = rest.user(), rest.user()
    campaign = mine.campaign()["id"]
    line = json.dumps({"event_id": "e", "campaign_id": campaign, "platform": "meta"}).encode()
    refuse(theirs, line)  # names my campaign, and is theirs all the same
    by_log(rest, b"by the log", campaign, 100)
    by_log(rest, b"of no campaign", None, 101)
    by_log(rest, b"of no known campaign", 10**9, 102)
    assert [one["value"] for one in letters(mine)] == ["by the log"]
    assert [one["value"] for one in letters(theirs)] == [line.decode()]
    (one,) = letters(mine)
    assert (one["source"], one["topic"], one["partition"], one["offset"]) == ("kafka", "campaign-events", 3, 100)
    problem(theirs.ask("GET", f"/dead-letters/{one['id']}"), 404)
    problem(mine.ask("GET", f"/dead-letters/{letters(theirs)[0]['id']}"), 404)
    everything = rest.client.get("/api/v1/dead-letters", headers=rest.operator).json()["items"]
    assert [one["value"] for one in everything[:4]] == [
        "of no known campaign", "of no campaign", "by the log", line.decode()
    ]  # fmt: skip


def test_it_takes_an_operator(rest: Rest, user: User) -> None:
    analyst = rest.member(user, "analyst")
    problem(analyst.ask("GET", "/dead-letters"), 403, "forbidden")
    problem(analyst.ask("GET", "/dead-letters/0-0"), 403, "forbidden")
    problem(analyst.ask("POST", "/dead-letters/replay", json={}), 403, "forbidden")


def test_a_record_of_another_program_is_no_letter(rest: Rest) -> None:
    user = rest.user()
    refuse(user, b"1")
    (position,) = rest.app.event_log.produce(rest.app.settings.kafka.dead_letter_topic, [NewRecord(None, b"x")])
    refuse(user, b"2")
    assert [one["value"] for one in letters(user)] == ["2", "1"]
    path = f"/api/v1/dead-letters/{position.partition}-{position.offset}"
    problem(rest.client.get(path, headers=rest.operator), 404)


def test_purging_is_for_the_operator_of_the_machine(rest: Rest, user: User) -> None:
    refuse(user, b"1")
    body = {"until": "2999-01-01T00:00:00Z", "dry_run": True}
    problem(rest.client.post("/internal/dead-letters/purge", json=body, headers=user.headers), 403)
    wrong = rest.client.post("/internal/dead-letters/purge", json={"reason": "x", "dry_run": 1}, headers=rest.operator)
    assert fields(problem(wrong, 422)) == ["dry_run"]
    plan = rest.client.post("/internal/dead-letters/purge", json=body, headers=rest.operator).json()
    assert plan["removed"] > 0
    assert plan["kept_behind"] == 0
    done = rest.client.post(
        "/internal/dead-letters/purge", json=body | {"dry_run": False}, headers=rest.operator
    ).json()
    assert done["removed"] == plan["removed"]
    assert letters(user) == []
