"""Insights over HTTP: exact numbers, versions, waiting, errors that name the parameter."""

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from campaignctl.cli.embedded_worker import working
from campaignctl.domain.insight_questions import PARAMETERS, PARAMETERS_OF_SEVERAL
from campaignctl.services.insights import InsightAnswer, InsightService
from server.direct import Direct
from server.routes import insights
from tests.e2e.rest import Rest, User, fields, problem

RANGE = "start_date=2026-11-01&end_date=2026-11-02"


@pytest.fixture(scope="module", autouse=True)
def worker(rest: Rest) -> Iterator[None]:
    with working(rest.app):
        yield


@pytest.fixture(scope="module")
def campaign(user: User) -> dict[str, Any]:
    return user.campaign(name="With events")


def _send(user: User, campaign: dict[str, Any], *events: dict[str, Any]) -> str:
    """Send events of the campaign; answers their position."""
    fixed = {"campaign_id": campaign["id"], "platform": "meta", "event_time": "2026-11-01T12:00:00Z"}
    answer = user.ask("POST", "/events", json=[fixed | one for one in events])
    assert (answer.status_code, answer.json()["rejected"]) == (202, []), answer.text
    position: str = answer.json()["position"]
    return position


def test_what_was_posted_is_counted_after_its_position(user: User, campaign: dict[str, Any]) -> None:
    position = _send(
        user, campaign,
        {"event_id": "1", "impressions": 1000, "clicks": 20, "spend": "0.1"},
        {"event_id": "1", "impressions": 1000, "clicks": 20, "spend": "0.1"},
        {"event_id": "2", "impressions": 9007199254740993, "spend": 0.2, "platform": "google"},
    )  # fmt: skip
    answer = user.ask("GET", f"/campaigns/{campaign['id']}/insights?{RANGE}&granularity=total&after={position}")
    assert answer.status_code == 200, answer.text
    body = answer.json(parse_float=Decimal)
    assert body["campaign_id"] == campaign["id"]
    assert body["totals"]["impressions"] == 9007199254741993
    assert body["totals"]["spend"] == Decimal("0.3")
    assert body["totals"]["cpa"] is None
    assert [row["clicks"] for row in body["rows"]] == [20]


def test_what_passes_the_routing_by_answers_as_the_route_does(
    rest: Rest, user: User, campaign: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = f"/api/v1/campaigns/{campaign['id']}/insights"
    stranger = rest.user()
    strong = {"Authorization": "Bearer nothing"}
    asked: list[tuple[str, str, dict[str, str]]] = [
        ("GET", f"{one}?{RANGE}", user.headers),
        ("GET", f"{one}?{RANGE}", user.headers | {"If-None-Match": "*"}),
        ("GET", f"{one}?{RANGE}", user.headers | {"Accept": "text/csv"}),
        ("GET", f"{one}?{RANGE}", user.headers | {"Accept": "image/png"}),
        ("GET", f"/api/v1/insights?{RANGE}", user.headers),
        ("HEAD", f"{one}?{RANGE}", user.headers),
        ("OPTIONS", one, user.headers),
        ("POST", one, user.headers),
        ("GET", f"{one}/", user.headers),
        ("GET", f"{one}?{RANGE}", {}),
        ("GET", f"{one}?{RANGE}", strong),
        ("GET", f"{one}?{RANGE}", stranger.headers),
        ("GET", f"{one}?nothing=1", user.headers),
        ("GET", f"{one}?{RANGE}&after=x", user.headers),
        ("GET", "/api/v1/campaigns/x/insights", user.headers),
        ("GET", "/api/v1/campaigns/1%2F2/insights", user.headers),
    ]

    def answers() -> list[tuple[object, ...]]:
        found = []
        for method, path, headers in asked:
            answer = rest.client.request(method, path, headers=headers)
            named = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "x-cache", "age")}
            body = answer.content.replace(answer.headers["x-request-id"].encode(), b"")
            found.append((method, path, answer.status_code, named, body))
        return found

    async def through_the_framework(self: Direct, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    directly = answers()
    monkeypatch.setattr(Direct, "__call__", through_the_framework)
    assert answers() == directly
    assert [answer[2] for answer in directly[:5]] == [200, 304, 200, 406, 200]


def test_what_is_at_hand_is_answered_as_in_a_thread(
    rest: Rest, user: User, campaign: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = f"/api/v1/campaigns/{campaign['id']}/insights"
    position = _send(user, campaign, {"event_id": "h1", "clicks": 1})
    assert user.ask("GET", f"/campaigns/{campaign['id']}/insights?{RANGE}&after={position}").status_code == 200
    wide = "start_date=2026-10-01&end_date=2026-11-02&fill=zero"  # large enough to be packed
    asked: list[tuple[str, str, dict[str, str]]] = [
        (method, f"{one}?{query}", user.headers | more)
        for method in ("GET", "HEAD")
        for query in (RANGE, wide, f"{RANGE}&granularity=total", f"{wide}&limit=3")
        for more in ({}, {"Accept-Encoding": "gzip"}, {"If-None-Match": "*"}, {"Accept": "text/csv"})
    ]
    right, found = InsightService.at_hand, list[bool]()

    def at_hand(self: InsightService, *question: Any) -> InsightAnswer | None:
        answer = right(self, *question)
        found.append(answer is not None)
        return answer

    def answers() -> list[tuple[object, ...]]:
        shown = []
        for method, path, headers in asked:
            answer = rest.client.request(method, path, headers=headers)
            named = {k: v for k, v in answer.headers.items() if k not in ("x-request-id", "x-cache", "age")}
            shown.append((method, path, answer.status_code, named, answer.content))
        return shown

    answers()
    monkeypatch.setattr(InsightService, "at_hand", at_hand)
    quickly = answers()
    assert any(found)
    monkeypatch.setattr(InsightService, "at_hand", lambda *_: None)
    assert answers() == quickly


def test_a_kept_answer_is_not_given_once_something_changed(rest: Rest) -> None:
    user = rest.user()
    campaign = user.campaign(name="Changing")
    path = f"/campaigns/{campaign['id']}/insights?{RANGE}&granularity=total"
    clicks = 0
    for turn in range(20):
        position = _send(user, campaign, {"event_id": f"turn-{turn}", "clicks": turn, "spend": 1})
        clicks += turn
        assert user.ask("GET", f"{path}&after={position}").json()["totals"]["clicks"] == clicks
        for _ in range(3):
            assert user.ask("GET", path).json()["totals"]["clicks"] == clicks
    for _ in range(2):
        assert user.ask("GET", f"{path}&currency=EUR").json()["totals"]["spend"] is None
    rate = {"date": "2026-11-01", "currency": "USD", "base": "EUR", "rate": "0.5"}
    assert user.ask("PUT", "/currency-rates", json=[rate]).status_code == 200
    for _ in range(2):
        assert user.ask("GET", f"{path}&currency=EUR").json()["totals"]["spend"] == 10


def test_versions_of_an_answer(user: User, campaign: dict[str, Any]) -> None:
    position = _send(user, campaign, {"event_id": "v1", "clicks": 1})
    path = f"/campaigns/{campaign['id']}/insights?{RANGE}"
    first = user.ask("GET", f"{path}&after={position}")
    assert first.headers["etag"].startswith('W/"')
    assert first.headers["cache-control"] == "private, no-cache"
    again = user.ask("GET", path)
    assert (again.content, again.headers["etag"]) == (first.content, first.headers["etag"])
    assert again.headers["x-cache"] != "miss" and int(again.headers["age"]) >= 0
    unchanged = user.ask("GET", path, headers={"If-None-Match": first.headers["etag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")
    position = _send(user, campaign, {"event_id": "v2", "clicks": 1})
    changed = user.ask("GET", f"{path}&after={position}", headers={"If-None-Match": first.headers["etag"]})
    assert changed.status_code == 200
    assert changed.json()["totals"]["clicks"] == first.json()["totals"]["clicks"] + 1


def test_packed_and_plain_are_the_same(user: User, campaign: dict[str, Any]) -> None:
    path = f"/campaigns/{campaign['id']}/insights?start_date=2026-10-01&end_date=2026-11-02&fill=zero"
    plain = user.ask("GET", path, headers={"Accept-Encoding": "identity"})
    packed = user.ask("GET", path, headers={"Accept-Encoding": "gzip"})
    assert "content-encoding" not in plain.headers and packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content
    assert int(packed.headers["content-length"]) < len(plain.content) / 2
    assert "Accept-Encoding" in plain.headers["vary"]


def test_several(user: User, stranger: User, campaign: dict[str, Any]) -> None:
    other = user.campaign(name="Another")
    both = user.ask("GET", f"/insights?campaign={campaign['id']},{other['id']}&{RANGE}&group_by=campaign")
    assert both.json()["campaign_ids"] == sorted([campaign["id"], other["id"]])
    assert both.json()["group_by"] == ["campaign"]
    everything = user.ask("GET", f"/insights?{RANGE}")
    assert set(everything.json()["campaign_ids"]) >= {campaign["id"], other["id"]}
    problem(stranger.ask("GET", f"/insights?campaign={campaign['id']}"), 404)
    assert campaign["id"] not in stranger.ask("GET", "/insights").json()["campaign_ids"]


def test_campaigns_are_chosen_as_they_are_listed(rest: Rest) -> None:
    user = rest.user()
    made = [user.campaign(name=name, status=status) for name, status in
            [("Spring sale", "active"), ("SPRING brand", "paused"), ("Autumn", "active")]]  # fmt: skip
    _send(user, made[0], {"event_id": "1", "clicks": 1})
    position = _send(user, made[1], {"event_id": "1", "clicks": 20})
    for choice in ("", "&status=active", "&q=spring", "&q=spring&status=paused", "&q=%25", "&q=", "&status=archived"):
        listed = [one["id"] for one in user.ask("GET", f"/campaigns?limit=200{choice}").json()["items"]]
        answer = user.ask("GET", f"/insights?{RANGE}&after={position}{choice}")
        assert answer.status_code == 200, answer.text
        assert answer.json()["campaign_ids"] == listed
        if listed:
            named = user.ask("GET", f"/insights?{RANGE}&campaign={','.join(map(str, listed))}")
            assert named.content == answer.content
    spring = user.ask("GET", f"/insights?{RANGE}&q=spring&group_by=campaign&granularity=total").json()
    assert [(row["campaign_id"], row["clicks"]) for row in spring["rows"]] == [(made[0]["id"], 1), (made[1]["id"], 20)]


def test_a_choice_that_finds_nothing_is_answered(user: User) -> None:
    answer = user.ask("GET", f"/insights?{RANGE}&q=no-such-name")
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert (body["campaign_ids"], body["rows"], body["freshness"], body["warnings"]) == ([], [], [], [])
    assert (body["totals"]["clicks"], body["totals"]["spend"], body["totals"]["ctr"]) == (0, 0, None)
    (row,) = user.ask("GET", f"/insights?{RANGE}&q=no-such-name&granularity=total&source=report").json()["rows"]
    assert (row["impressions"], row["roas"]) == (0, None)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("status=activ", ["status"]), ("status=", ["status"]), ("status=ACTIVE", ["status"]), ("q=" + "x" * 201, ["q"]),
        ("q=a%00b", ["q"]), ("status=active&status=paused", ["status"]), ("campaign=1&status=active", ["status"]),
        ("campaign=1&q=x&status=active", ["status", "q"]),
    ],
)  # fmt: skip
def test_a_bad_choice_names_the_parameter(user: User, query: str, named: list[str]) -> None:
    assert fields(problem(user.ask("GET", f"/insights?{query}"), 422)) == named
    if "campaign" not in query:
        assert fields(problem(user.ask("GET", f"/campaigns?{query}"), 422)) == named


def test_a_cursor_holds_for_its_choice(rest: Rest) -> None:
    user = rest.user()
    ids = [user.campaign(name=name)["id"] for name in ("a one", "a two", "b one")][:2]
    asked = f"/insights?{RANGE}&limit=1&fill=zero"
    cursor = user.ask("GET", f"{asked}&q=a").json()["next_cursor"]
    chosen = "&campaign=" + ",".join(map(str, ids))
    of_named = user.ask("GET", f"{asked}{chosen}").json()["next_cursor"]
    assert (
        user.ask("GET", f"{asked}{chosen}&cursor={of_named}").status_code == 200
    )  # equal answers, cursors of their own
    assert user.ask("GET", f"{asked}&q=a&cursor={cursor}").json()["rows"][0]["period_start"] == "2026-11-02"
    user.campaign(name="a three")  # pages are turned while campaigns come
    assert user.ask("GET", f"{asked}&q=a&cursor={cursor}").status_code == 200
    for other in ("", "&q=b", "&q=a&status=active", chosen):
        assert fields(problem(user.ask("GET", f"{asked}{other}&cursor={cursor}"), 422)) == ["cursor"]


def test_pages_of_rows(user: User, campaign: dict[str, Any]) -> None:
    path = f"/api/v1/campaigns/{campaign['id']}/insights?start_date=2026-10-20&end_date=2026-11-02&fill=zero&limit=5"
    days: list[str] = []
    while path:
        answer = user.rest.client.get(path, headers=user.headers)
        assert answer.status_code == 200
        days += [row["period_start"] for row in answer.json()["rows"]]
        path = answer.headers.get("link", "").removeprefix("<").partition(">")[0]
    assert len(days) == len(set(days)) == 14


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("start_date=x", "start_date"), ("end_date=2026-02-30", "end_date"), ("granularity=dayly", "granularity"),
        ("start_date=2026-11-02&end_date=2026-11-01", "end_date"), ("platform=x", "platform"), ("region=USA", "region"),
        ("timezone=Asia/Calcuta", "timezone"), ("group_by=colour", "group_by"), ("sort=x", "sort"), ("limit=0", "limit"),
        ("limit=10001", "limit"), ("cursor=x", "cursor"), ("granulrity=daily", "granulrity"), ("after=x", "after"),
        ("timezone=UTC&timezone=UTC", "timezone"), ("currency=ZZQ", "currency"), ("as_of=2999-01-01T00:00:00Z", "as_of"),
        ("start_date=2016-01-01&end_date=2026-01-01", "end_date"), ("compare=x", "compare"), ("fill=x", "fill"),
        ("source=x", "source"), ("week_start=friday", "week_start"), ("order=up", "order"), ("campaign=1", "campaign"),
    ],
)  # fmt: skip
def test_a_bad_question_names_the_parameter(user: User, campaign: dict[str, Any], query: str, named: str) -> None:
    assert fields(problem(user.ask("GET", f"/campaigns/{campaign['id']}/insights?{query}"), 422)) == [named]
    if named != "campaign":
        assert named in fields(problem(user.ask("GET", f"/insights?campaign={campaign['id']}&{query}"), 422))


def test_the_document_names_what_can_be_asked() -> None:
    assert tuple(param.name for param in insights.PARAMS) == PARAMETERS
    assert tuple(param.name for param in (*insights.CHOICE, *insights.PARAMS)) == PARAMETERS_OF_SEVERAL


def test_a_position_is_good_for_its_organization_only(user: User, stranger: User, campaign: dict[str, Any]) -> None:
    position = _send(user, campaign, {"event_id": "p1"})
    other = stranger.campaign()
    for forged in (position[:-2] + "AA", position + "AA"):
        answer = user.ask("GET", f"/campaigns/{campaign['id']}/insights?after={forged}")
        assert fields(problem(answer, 422)) == ["after"]
    assert fields(problem(stranger.ask("GET", f"/campaigns/{other['id']}/insights?after={position}"), 422)) == ["after"]


def test_a_campaign_with_events_keeps_its_currency(user: User) -> None:
    campaign = user.campaign()
    position = _send(user, campaign, {"event_id": "1"})
    assert user.ask("GET", f"/campaigns/{campaign['id']}/insights?after={position}").status_code == 200
    answer = user.ask(
        "PUT", f"/campaigns/{campaign['id']}", json={"name": "x", "currency": "EUR"}, headers={"If-Match": "*"}
    )
    assert problem(answer, 409, "campaign_has_events")["hint"]


def test_waiting_ends_when_it_is_in_vain(rest: Rest, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody counts: 503 with the word to say so, and the time to come back."""
    from server import waiting

    campaign = user.campaign()
    monkeypatch.setattr(type(rest.app.positions), "_are_applied", lambda self, ends: False)
    monkeypatch.setitem(waiting.Waits.until.__kwdefaults__, "timeout_s", 0.3)
    position = _send(user, campaign, {"event_id": "1"})
    begin = time.monotonic()
    answer = user.ask("GET", f"/campaigns/{campaign['id']}/insights?after={position}")
    problem(answer, 503, "not_yet_visible")
    assert answer.headers["retry-after"] == "1"
    assert 0.3 <= time.monotonic() - begin < 2
