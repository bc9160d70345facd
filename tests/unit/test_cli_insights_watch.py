"""``insights --watch``: every answer once, over as many connections as it takes, and what it refuses."""

import json
from collections.abc import Callable

import pytest

from campaignctl.cli import insights_watch
from tests.unit.cli_support import Answer, Cli, Request, fake_api, ok, problem

STREAM = "/api/v1/campaigns/42/insights/stream"


def _body(clicks: int) -> dict[str, object]:
    return {"rows": [], "totals": {"clicks": clicks}, "warnings": [], "next_cursor": None}


def _stream(*clicks: int, reason: str = "") -> Answer:
    text = "retry: 2000\n\n: nothing new\n\n"
    text += "".join(f"event: insights\ndata: {json.dumps(_body(one))}\nid: v{one}\n\n" for one in clicks)
    if reason:
        text += f'event: end\ndata: {{"reason": "{reason}"}}\n\n'
    return 200, {"Content-Type": "text/event-stream; charset=utf-8"}, text.encode()


def _in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    left = list(answers)
    return lambda _: left.pop(0)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights_watch, "COME_BACK_S", 0.01)
    monkeypatch.setattr(insights_watch, "LOOK_EVERY_S", 0.01)


def _clicks(printed: str) -> list[int]:
    return [json.loads(line)["totals"]["clicks"] for line in printed.splitlines()]


def test_it_goes_on_where_a_broken_stream_was(cli: Cli) -> None:
    away = problem(503, "unavailable")
    gone = problem(404, "not_found", "there is no campaign 42")
    answering = _in_turn(_stream(1, 2), away, _stream(3, reason="server_stops"), _stream(reason="campaign_gone"), gone)
    with fake_api(answering) as api:
        ran = cli("--api", api.url, "insights", "--campaign", "42", "--after", "p", "--watch", "-o", "json")
    assert _clicks(ran.stdout) == [1, 2, 3]
    assert (ran.code, "there is no campaign 42" in ran.stderr) == (5, True)
    assert [request.path for request in api.requests] == [f"{STREAM}?after=p", *[STREAM] * 4]
    assert [request.headers.get("Last-Event-ID") for request in api.requests] == [None, "v2", "v2", "v3", "v3"]
    assert all(request.headers["Accept"] == "text/event-stream" for request in api.requests)


def test_a_server_that_never_answered_is_exit_7(cli: Cli) -> None:
    with fake_api(_in_turn(problem(503, "unavailable"))) as api:
        ran = cli("--api", api.url, "insights", "--campaign", "42", "--watch")
    assert (ran.code, len(api.requests)) == (7, 1)


def test_it_gives_up_on_a_server_that_stays_away(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(insights_watch, "GIVE_UP_AFTER_S", 0.0)
    with fake_api(_in_turn(_stream(1), problem(503, "unavailable"))) as api:
        ran = cli("--api", api.url, "insights", "--campaign", "42", "--watch", "-o", "json")
    assert (ran.code, _clicks(ran.stdout)) == (7, [1])


def test_several_campaigns_are_asked_about_again(cli: Cli) -> None:
    unchanged: Answer = (304, {"ETag": '"a"'}, b"")
    answering = _in_turn(ok(_body(1), ETag='"a"'), unchanged, ok(_body(2), ETag='"b"'), problem(403, "forbidden"))
    with fake_api(answering) as api:
        ran = cli("--api", api.url, "insights", "--q", "sale", "--watch", "-o", "json")
    assert (ran.code, _clicks(ran.stdout)) == (4, [1, 2])
    assert [request.headers.get("If-None-Match") for request in api.requests] == [None, '"a"', '"a"', '"b"']


@pytest.mark.parametrize(
    "more", [("--cursor", "x"), ("--output-file", "x"), ("-o", "parquet")], ids=["cursor", "file", "parquet"]
)
def test_what_cannot_be_watched(cli: Cli, more: tuple[str, ...]) -> None:
    ran = cli("--api", "http://127.0.0.1:9", "insights", "--campaign", "42", "--watch", *more)
    assert ran.code == 2
    assert "--watch: cannot be combined with" in ran.stderr
