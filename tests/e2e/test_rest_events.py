"""Events over HTTP: each record judged by itself, durable, repeatable, bounded."""

import gzip
import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.e2e.rest import JSON, NDJSON, Rest, User, problem


def event(campaign: Mapping[str, Any], event_id: str = "e1", **members: Any) -> dict[str, Any]:
    fixed = {
        "event_id": event_id,
        "campaign_id": campaign["id"],
        "platform": "meta",
        "event_time": "2026-11-01T12:00:00Z",
    }
    return fixed | members


@pytest.fixture(scope="module")
def campaign(user: User) -> dict[str, Any]:
    return user.campaign()


def _stored(rest: Rest) -> int:
    log, topic = rest.app.event_log, rest.app.settings.kafka.events_topic
    return sum(marks.end for marks in log.watermarks(topic).values())


def _letters(rest: Rest) -> int:
    log, topic = rest.app.event_log, rest.app.settings.kafka.dead_letter_topic
    return sum(marks.end for marks in log.watermarks(topic).values())


def test_an_array_and_lines_and_gzip(rest: Rest, user: User, campaign: dict[str, Any]) -> None:
    events = [event(campaign, f"a{n}") for n in range(3)]
    array, lines = json.dumps(events).encode(), b"\n\n".join(json.dumps(one).encode() for one in events) + b"\r\n"
    before = _stored(rest)
    for content, headers in (
        (array, {"Content-Type": JSON}),
        (lines, {"Content-Type": NDJSON}),
        (gzip.compress(array), {"Content-Type": JSON, "Content-Encoding": "gzip"}),
        (gzip.compress(lines), {"Content-Type": f"{NDJSON}; charset=utf-8", "Content-Encoding": "GZIP"}),
    ):
        answer = user.ask("POST", "/events", content=content, headers=headers)
        assert answer.status_code == 202, answer.text
        assert answer.json().keys() == {"accepted", "rejected", "position"}
        assert (answer.json()["accepted"], answer.json()["rejected"]) == (3, [])
    assert _stored(rest) == before + 12


@pytest.mark.parametrize("content", [b"[]", b" [ ] "])
def test_none_is_fine(user: User, content: bytes) -> None:
    assert user.ask("POST", "/events", content=content, headers={"Content-Type": JSON}).json()["accepted"] == 0
    assert user.ask("POST", "/events", content=b"", headers={"Content-Type": NDJSON}).json()["accepted"] == 0


def test_each_record_is_judged_by_itself(rest: Rest, user: User, stranger: User, campaign: dict[str, Any]) -> None:
    other = stranger.campaign()
    letters = _letters(rest)
    records = [
        event(campaign, "j1"), {}, event(campaign, "j2", clicks=1.5), event(campaign, "j3", spend="12 dollars"),
        event(other, "j4"), event({"id": 10**30}, "j5"), 7, event(campaign, "j6", platform="META"),
    ]  # fmt: skip
    answer = user.ask("POST", "/events", json=records)
    assert answer.status_code == 202
    body = answer.json()
    assert body["accepted"] == 2
    assert [(one["index"], one["code"]) for one in body["rejected"]] == [
        (1, "missing_field"), (2, "invalid_type"), (3, "invalid_value"), (4, "unknown_campaign"),
        (5, "unknown_campaign"), (6, "invalid_type"),
    ]  # fmt: skip
    assert all(one["message"] for one in body["rejected"])
    assert _letters(rest) == letters + 6


def test_blank_lines_are_no_records(user: User, campaign: dict[str, Any]) -> None:
    lines = b"\n\n" + json.dumps(event(campaign, "b1")).encode() + b"\n\nnot json\n"
    body = user.ask("POST", "/events", content=lines, headers={"Content-Type": NDJSON}).json()
    assert (body["accepted"], [(one["index"], one["code"]) for one in body["rejected"]]) == (1, [(1, "malformed_json")])


def test_the_body_itself(rest: Rest, user: User, campaign: dict[str, Any]) -> None:
    before = _stored(rest)
    bare = user.ask("POST", "/events", json=event(campaign))
    assert problem(bare, 422)["errors"][0]["field"] == "body"
    cut = json.dumps([event(campaign)]).encode()[:-1]
    problem(user.ask("POST", "/events", content=cut, headers={"Content-Type": JSON}), 400)
    assert _stored(rest) == before


@pytest.mark.parametrize("size", [8 << 20, (8 << 20) + 1])
def test_a_body_of_8_mib_is_taken_and_no_more(user: User, size: int) -> None:
    answer = user.ask("POST", "/events", content=b"[" + b" " * (size - 2) + b"]", headers={"Content-Type": JSON})
    assert answer.status_code == (202 if size == 8 << 20 else 413)


def test_a_large_packed_body_is_taken(user: User, campaign: dict[str, Any]) -> None:
    line = json.dumps(event(campaign, "large")).encode() + b"\n"
    content = gzip.compress(line * ((6 << 20) // len(line)), 1)
    answer = user.ask("POST", "/events", content=content, headers={"Content-Type": NDJSON, "Content-Encoding": "gzip"})
    assert answer.json()["accepted"] == (6 << 20) // len(line)


def test_a_repeated_request_stores_nothing_twice(rest: Rest, user: User, campaign: dict[str, Any]) -> None:
    key = {"Idempotency-Key": "events-1"}
    first = user.ask("POST", "/events", json=[event(campaign, "i1"), {}], headers=key)
    stored, letters = _stored(rest), _letters(rest)
    again = user.ask("POST", "/events", json=[event(campaign, "i1"), {}], headers=key)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.content == first.content
    assert (_stored(rest), _letters(rest)) == (stored, letters)
    problem(user.ask("POST", "/events", json=[event(campaign, "i2")], headers=key), 422, "idempotency_key_reused")
    packed = user.ask(
        "POST",
        "/events",
        content=gzip.compress(b"[]"),
        headers=key | {"Content-Type": JSON, "Content-Encoding": "gzip"},
    )
    problem(packed, 422, "idempotency_key_reused")


def test_a_viewer_may_not(rest: Rest, campaign: dict[str, Any]) -> None:
    viewer = rest.member(rest.user(), "viewer")
    problem(viewer.ask("POST", "/events", content=b"nonsense", headers={"Content-Type": "x/y"}), 403, "forbidden")
    problem(viewer.ask("POST", "/campaigns", json={"name": "x"}), 403, "forbidden")
    problem(viewer.ask("PUT", "/currency-rates", json=[]), 403, "forbidden")
    assert viewer.ask("GET", "/campaigns").status_code == 200
