"""Live insights over a real server: what comes when, that nothing comes twice or goes back, and every end."""

import http.client
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from campaignctl.adapters.metadata.sqlite_file import SQLiteTransaction
from campaignctl.cli.embedded_worker import working
from campaignctl.errors import Unavailable
from server import streams as live
from tests.e2e.rest import OPERATOR_TOKEN, Rest, User, fields, problem, running
from tests.support.waiting import eventually

RANGE = "start_date=2026-11-01&end_date=2026-11-02&granularity=total"


@dataclass
class Event:
    name: str
    id: str
    data: Any


class Reader:
    """One stream, read event by event."""

    def __init__(self, port: int, path: str, headers: dict[str, str], *, timeout_s: float = 20.0) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self._connection.request("GET", path, headers={"Accept": "text/event-stream"} | headers)
        self.response = self._connection.getresponse()
        self.comments = 0

    def next(self) -> Event | None:
        """The next event; None at the end of the stream. Raises ``TimeoutError`` when nothing comes."""
        name, id_, data = "", "", ""
        while line := self.response.readline():
            text = line.decode().rstrip("\n")
            if text.startswith(":"):
                self.comments += 1
            elif text.startswith("event: "):
                name = text[7:]
            elif text.startswith("id: "):
                id_ = text[4:]
            elif text.startswith("data: "):
                data += text[6:]
            elif not text and name:
                return Event(name, id_, json.loads(data))
        return None

    def clicks(self) -> int:
        event = self.next()
        assert event is not None and event.name == "insights", event
        clicks: int = event.data["totals"]["clicks"]
        return clicks

    def close(self) -> None:
        self.response.close()
        self._connection.close()


class Served:
    """A running server, with a worker beside it."""

    def __init__(self, rest: Rest, port: int, user: User) -> None:
        self.rest, self.port, self.user = rest, port, user
        self.sent = 0

    @contextmanager
    def reading(
        self, campaign: int, query: str = RANGE, headers: dict[str, str] | None = None, user: User | None = None
    ) -> Iterator[Reader]:
        path = f"/api/v1/campaigns/{campaign}/insights/stream?{query}"
        reader = Reader(self.port, path, (user or self.user).headers | (headers or {}))
        try:
            yield reader
        finally:
            reader.close()

    def click(self, campaign: int) -> str:
        self.sent += 1
        event = {"event_id": f"n{self.sent}", "campaign_id": campaign, "platform": "meta", "clicks": 1,
                 "event_time": "2026-11-01T12:00:00Z"}  # fmt: skip
        position: str = self.user.ask("POST", "/events", json=[event]).json()["position"]
        return position

    def metric(self, name: str, **labels: str) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return sum(
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and labels.items() <= sample.labels.items()
        )

    def open_streams(self) -> float:
        return self.metric("campaignctl_insight_streams_open")


@pytest.fixture(scope="module")
def served(rest: Rest) -> Iterator[Served]:
    user = rest.user()
    with working(rest.app), running(rest.app) as (_, port):
        yield Served(rest, port, user)


@pytest.fixture(autouse=True)
def none_stay_open(served: Served) -> Iterator[None]:
    yield
    eventually(lambda: served.open_streams() == 0, within_s=60)


def test_the_answer_comes_at_once_and_then_whenever_it_changes(served: Served) -> None:
    campaign = served.user.campaign()["id"]
    with served.reading(campaign) as reader:
        assert reader.response.status == 200
        assert reader.response.headers["content-type"].startswith("text/event-stream")
        assert reader.response.headers["cache-control"] == "no-store"
        assert reader.response.headers["x-request-id"]
        assert reader.response.readline() == b"retry: 2000\n"
        first = reader.next()
        assert first is not None
        plain = served.user.ask("GET", f"/campaigns/{campaign}/insights?{RANGE}")
        assert first.data == plain.json()
        assert first.id and first.id in plain.headers["etag"]
        assert served.open_streams() == 1
        before = served.metric("campaignctl_insight_stream_events_total", event="insights")
        served.click(campaign)
        assert reader.clicks() == 1
        for _ in range(3):
            served.click(campaign)
        seen = [reader.clicks()]
        while seen[-1] < 4:
            seen.append(reader.clicks())
        assert seen == sorted(set(seen))
        assert served.metric("campaignctl_insight_stream_events_total", event="insights") == before + 1 + len(seen)


def test_other_campaigns_and_equal_answers_send_nothing(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_S", 0.2)
    campaign, other = served.user.campaign()["id"], served.user.campaign()["id"]
    with served.reading(campaign) as reader:
        assert reader.clicks() == 0
        served.click(other)
        served.rest.app.metadata.bump_data_versions([campaign])  # something landed that this question is not about
        beats = []

        def beat() -> bool:
            beats.append(reader.response.readline())
            return len(beats) > 12

        eventually(beat, within_s=60)
        assert set(beats) == {b": nothing new\n", b"\n"}
        served.click(campaign)
        assert reader.clicks() == 1


def test_settings_and_rates_change_an_answer_too(served: Served) -> None:
    campaign = served.user.campaign()["id"]
    with served.reading(campaign) as reader:
        assert reader.clicks() == 0
        renamed = {"name": "x", "timezone": "Asia/Kolkata"}
        answer = served.user.ask("PUT", f"/campaigns/{campaign}", json=renamed, headers={"If-Match": "*"})
        assert answer.status_code == 200
        event = reader.next()
        assert event is not None and event.data["timezone"] == "Asia/Kolkata"


def test_nothing_is_sent_again_to_who_comes_back(served: Served) -> None:
    campaign = served.user.campaign()["id"]
    with served.reading(campaign) as reader:
        first = reader.next()
        assert first is not None
    with served.reading(campaign, headers={"Last-Event-ID": first.id}) as reader:
        served.click(campaign)
        assert reader.clicks() == 1  # and nothing before it
    with served.reading(campaign, headers={"Last-Event-ID": first.id}) as reader:
        assert reader.clicks() == 1  # it changed meanwhile
    with served.reading(campaign, headers={"Last-Event-ID": "from elsewhere"}) as reader:
        assert reader.clicks() == 1


def test_a_stream_may_wait_for_a_position_first(served: Served) -> None:
    campaign = served.user.campaign()["id"]
    position = served.click(campaign)
    with served.reading(campaign, f"{RANGE}&after={position}") as reader:
        assert reader.clicks() == 1
        served.click(campaign)
        assert reader.clicks() == 2


@pytest.mark.parametrize(
    ("query", "named"), [("cursor=x", "cursor"), ("granularity=x", "granularity"), ("campaign=1", "campaign"),
                         ("status=active", "status"), ("after=x", "after")]
)  # fmt: skip
def test_a_bad_question_is_a_problem_and_no_stream(served: Served, query: str, named: str) -> None:
    campaign = served.user.campaign()["id"]
    answer = served.user.ask("GET", f"/campaigns/{campaign}/insights/stream?{query}")
    assert fields(problem(answer, 422)) == [named]


def test_what_is_no_stream(served: Served) -> None:
    campaign = served.user.campaign()["id"]
    path = f"/campaigns/{campaign}/insights/stream"
    problem(served.user.ask("GET", path, headers={"Accept": "application/json"}), 406, "not_acceptable")
    problem(served.user.ask("GET", "/campaigns/999999/insights/stream"), 404)
    problem(served.rest.user().ask("GET", path), 404)
    problem(served.rest.client.get(f"/api/v1{path}"), 401)
    head = served.user.ask("HEAD", path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"].startswith("text/event-stream")
    assert served.user.ask("HEAD", "/campaigns/999999/insights/stream").status_code == 404
    options = served.user.ask("OPTIONS", path)
    assert (options.status_code, options.headers["allow"]) == (204, "GET, HEAD, OPTIONS")


def test_a_user_has_so_many_and_no_more(served: Served) -> None:
    user = served.rest.user()
    campaign = user.campaign()["id"]
    readers = [Reader(served.port, f"/api/v1/campaigns/{campaign}/insights/stream", user.headers) for _ in range(5)]
    assert [reader.response.status for reader in readers] == [200] * 5
    with served.reading(campaign, user=user) as refused:
        assert refused.response.status == 429
        assert refused.response.headers["retry-after"] == "10"
        assert json.loads(refused.response.read())["code"] == "too_many_streams"
    own = served.user.campaign()["id"]
    with served.reading(own) as of_another:
        assert of_another.response.status == 200
    operator = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    more = [Reader(served.port, f"/api/v1/campaigns/{campaign}/insights/stream", operator) for _ in range(6)]
    assert [reader.response.status for reader in more] == [200] * 6
    for reader in (readers.pop(), *more):
        reader.close()
    eventually(lambda: served.open_streams() == 4, within_s=60)
    with served.reading(campaign, user=user) as again:
        assert again.response.status == 200
    for reader in readers:
        reader.close()


def test_it_ends_when_the_session_does(served: Served) -> None:
    user = served.rest.user()
    campaign = user.campaign()["id"]
    with served.reading(campaign, user=user) as reader:
        assert reader.clicks() == 0
        assert user.ask("POST", "/auth/logout", json={"refresh_token": user.tokens["refresh_token"]}).status_code == 204
        ended_s = time.monotonic()
        event = reader.next()
        assert event is not None and (event.name, event.data) == ("end", {"reason": "signed_out"})
        assert time.monotonic() - ended_s < 5  # the contract's bound on revoked tokens
        assert reader.next() is None


def test_it_ends_with_its_key_and_its_right(served: Served) -> None:
    user = served.rest.user()
    campaign = user.campaign()["id"]
    made = user.ask("POST", "/api-keys", json={"name": "k", "scopes": ["read"]}).json()
    key = {"Authorization": f"Bearer {made['key']}"}
    with served.reading(campaign, headers=key) as reader:
        assert reader.clicks() == 0
        user.ask("DELETE", f"/api-keys/{made['id']}")
        event = reader.next()
        assert event is not None and event.data == {"reason": "signed_out"}


def test_it_ends_when_the_token_has_expired(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    user = served.rest.user()
    campaign = user.campaign()["id"]
    monkeypatch.setattr(served.rest.app.access._tokens, "_ttl_s", 3)
    short = served.rest.signed_in(user.email)
    with served.reading(campaign, user=short) as reader:
        assert reader.clicks() == 0
        event = reader.next()
        assert event is not None and event.data == {"reason": "signed_out"}


def test_it_ends_when_the_campaign_is_erased(served: Served) -> None:
    campaign = served.user.campaign()["id"]
    with served.reading(campaign) as reader:
        assert reader.clicks() == 0
        assert served.user.ask("DELETE", f"/campaigns/{campaign}").status_code == 202
        event = reader.next()
        assert event is not None and event.data == {"reason": "campaign_gone"}
        assert reader.next() is None


def test_it_ends_when_the_server_stops(rest: Rest) -> None:
    user = rest.user()
    campaign = user.campaign()["id"]
    with running(rest.app) as (_, port):
        reader = Reader(port, f"/api/v1/campaigns/{campaign}/insights/stream", user.headers)
        assert reader.clicks() == 0
        began_s = time.monotonic()
    event = reader.next()
    assert event is not None and event.data == {"reason": "server_stops"}
    assert reader.next() is None
    reader.close()
    assert time.monotonic() - began_s < 10  # the grace of requests under way is 20 s


def test_many_streams_share_one_look_and_one_answer(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither threads nor statements grow with the streams."""
    campaign = served.user.campaign()["id"]
    operator = {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    path = f"/api/v1/campaigns/{campaign}/insights/stream?{RANGE}"
    readers = [Reader(served.port, path, operator) for _ in range(40)]
    assert {reader.clicks() for reader in readers} == {0}
    threads = threading.active_count()
    facts: list[float] = []
    right = SQLiteTransaction.all

    def count(self: Any, statement: str, /, **parameters: Any) -> Any:
        if statement == "fetch_facts_of_campaigns" and json.loads(parameters["campaign_ids"]) == [campaign]:
            facts.append(time.monotonic())
        return right(self, statement, **parameters)

    monkeypatch.setattr(SQLiteTransaction, "all", count)
    served.click(campaign)
    assert {reader.clicks() for reader in readers} == {1}
    begun_s = time.monotonic()
    eventually(lambda: time.monotonic() - begun_s > 2, within_s=10)
    lasted_s = time.monotonic() - facts[0]
    assert len(facts) <= lasted_s / live.LOOK_EVERY_S + 12, (len(facts), lasted_s)  # far from one a stream and look
    assert threading.active_count() < threads + 10
    for reader in readers:
        reader.close()


def test_a_store_that_is_away_makes_no_answer_older(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is silent, and goes on where it was."""
    campaign = served.user.campaign()["id"]
    served.user.ask("GET", f"/campaigns/{campaign}/insights?{RANGE}")  # a last answer that could be given
    with served.reading(campaign) as reader:
        assert reader.clicks() == 0
        store = type(served.rest.app.analytics)
        right = store.sums_by_day
        failed = threading.Event()

        def away(*_: object, **__: object) -> Any:
            failed.set()
            raise Unavailable("the store is away", service="analytics")

        monkeypatch.setattr(store, "sums_by_day", away)
        served.click(campaign)
        assert failed.wait(60)
        monkeypatch.setattr(store, "sums_by_day", right)
        assert reader.clicks() == 1
