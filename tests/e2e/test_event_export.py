"""Events that were exported and sent as another campaign's give the same insights."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from campaignctl.cli.embedded_worker import working
from campaignctl.cli.event_file import with_campaign
from campaignctl.tabular import decode, next_cursor, raw_items
from tests.e2e.rest import NDJSON, Rest, User, fields, problem

FIRST = datetime(2026, 10, 24, tzinfo=UTC)
QUESTIONS = (
    "granularity=hourly&group_by=platform,region,device",
    "granularity=daily&group_by=ad_group,ad&timezone=America/New_York",
    "granularity=total",
)
RANGE = "start_date=2026-10-20&end_date=2026-10-31"


@pytest.fixture(scope="module", autouse=True)
def worker(rest: Rest) -> Iterator[None]:
    with working(rest.app):
        yield


def _events(campaign_id: int, count: int) -> list[dict[str, Any]]:
    rng = random.Random(7)
    return [
        {
            "event_id": rng.choice(("e", "é漢", "=1+'\"", "a\\")) + str(number),
            "campaign_id": campaign_id,
            "platform": rng.choice(("meta", "Google", "linkedin", "tiktok")),
            "event_time": (FIRST + timedelta(microseconds=rng.randrange(5 * 86_400 * 10**6))).isoformat(),
            "event_type": rng.choice(("impression", "click", "conversion", "metrics", "adjustment", None)),
            "region": rng.choice((None, "in", "US-ca", "DE")),
            "ad_group_id": rng.choice(("", "g1", "\u0000x")),
            "ad_id": rng.choice((None, "0012")),
            "device": rng.choice(("mobile", None)),
            "conversions": rng.choice((None, "0.333333", 2)),
            "spend": rng.choice(("0.000001", "999999999.999999", 1.5, None)),
            "revenue": rng.choice((0, "12.10", None)),
            "currency": rng.choice((None, "EUR", "chf")),
        }
        for number in range(count)
    ] + [
        {
            "event_id": "refund", "campaign_id": campaign_id, "platform": "meta", "event_time": FIRST.isoformat(),
            "event_type": "adjustment", "spend": "-7.000001", "conversions": "-0.5",
        }
    ]  # fmt: skip


def _sent(user: User, campaign_id: int, content: bytes) -> None:
    """Send lines and wait until they are counted."""
    answer = user.ask("POST", "/events", content=content, headers={"Content-Type": NDJSON})
    assert (answer.status_code, answer.json()["rejected"]) == (202, []), answer.text
    path = f"/campaigns/{campaign_id}/insights?{RANGE}&after={answer.json()['position']}"
    assert user.ask("GET", path).status_code == 200


def _exported(user: User, campaign_id: int, asked: str = "") -> list[bytes]:
    lines: list[bytes] = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        answer = user.ask("GET", f"/campaigns/{campaign_id}/events?limit=37{asked}{more}")
        assert answer.status_code == 200, answer.text
        lines += raw_items(answer.content, "items")
        cursor = next_cursor(answer.content)
    return lines


@pytest.fixture(scope="module")
def origin(user: User) -> dict[str, Any]:
    """A campaign with events, some of them sent twice."""
    from json import dumps

    campaign = user.campaign(currency="EUR", timezone="Asia/Kolkata")
    lines = [dumps(event).encode() for event in _events(campaign["id"], 300)]
    _sent(user, campaign["id"], b"\n".join(lines + lines[:50]))
    return campaign


def test_a_round_trip_gives_equal_insights(user: User, origin: dict[str, Any]) -> None:
    lines = _exported(user, origin["id"])
    assert len(lines) == 301
    places = [(event["event_time"], event["event_id"].encode()) for event in map(decode, lines)]
    assert len(set(places)) == 301
    other = user.campaign(currency="USD", timezone="UTC")
    _sent(user, other["id"], b"".join(with_campaign(line, other["id"]) for line in lines))
    for question in QUESTIONS:
        asked = (
            f"{RANGE}&currency=EUR&{question}"
            if "timezone" in question
            else f"{RANGE}&currency=EUR&timezone=UTC&{question}"
        )
        old, new = (
            decode(user.ask("GET", f"/campaigns/{one['id']}/insights?{asked}").content) for one in (origin, other)
        )
        assert old["rows"] and old["rows"] == new["rows"]
        assert old["totals"] == new["totals"]
    assert [with_campaign(line, origin["id"]) for line in _exported(user, other["id"])] == [
        with_campaign(line, origin["id"]) for line in lines
    ]


def test_days_are_the_campaigns_own(user: User, origin: dict[str, Any]) -> None:
    some = [decode(line) for line in _exported(user, origin["id"], "&start_date=2026-10-25&end_date=2026-10-26")]
    kolkata = timedelta(hours=5, minutes=30)
    days = [(datetime.fromisoformat(event["event_time"]) + kolkata).date().isoformat() for event in some]
    assert set(days) == {"2026-10-25", "2026-10-26"}
    everything = map(decode, _exported(user, origin["id"]))
    in_days = [e for e in everything if (datetime.fromisoformat(e["event_time"]) + kolkata).day in (25, 26)]
    assert some == in_days


def test_what_is_wrong_is_named(user: User, stranger: User, origin: dict[str, Any]) -> None:
    path = f"/campaigns/{origin['id']}/events"
    for query, named in (
        ("start_date=x", "start_date"), ("start_date=2026-10-02&end_date=2026-10-01", "end_date"), ("limit=0", "limit"),
        ("limit=5001", "limit"), ("cursor=x", "cursor"), ("start=2026-10-01", "start"),
    ):  # fmt: skip
        assert fields(problem(user.ask("GET", f"{path}?{query}"), 422)) == [named]
    cursor = user.ask("GET", f"{path}?limit=1").json()["next_cursor"]
    assert fields(problem(user.ask("GET", f"{path}?start_date=2026-10-25&cursor={cursor}"), 422)) == ["cursor"]
    problem(stranger.ask("GET", path), 404)
