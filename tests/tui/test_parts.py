"""The dashboard's parts without a screen."""

from datetime import UTC, datetime

from campaignctl.tui.dialogs.start_job import JobRequest
from campaignctl.tui.link import Connection, Link, back_off_s
from campaignctl.tui.look import Look
from campaignctl.tui.pages import Pages
from campaignctl.tui.widgets.numbers import age, bar, change, exact, lasting, moment, percent, round_step, short
from campaignctl.tui.widgets.pacing import pacing_text
from tests.tui.fake_api import _PACING


def test_the_state_is_never_better_than_the_last_reading() -> None:
    link = Link()
    assert link.state(0, 2) is Connection.WAITING
    link = link.read(10)
    assert link.state(13, 2) is Connection.LIVE
    assert link.state(15, 2) is Connection.STALE
    failed = link.failed(15, 4, "away")
    assert failed.state(16, 2) is Connection.OFFLINE
    assert failed.failed(17, 1, "gone", Connection.SIGNED_OUT).state(17, 2) is Connection.SIGNED_OUT
    assert failed.read(18).state(18, 2) is Connection.LIVE


def test_waits_double_up_to_half_a_minute() -> None:
    assert [1 * 0.75 <= back_off_s(1) <= 1.25, 0.75 * 30 <= back_off_s(50) <= 37.5, back_off_s(0) == 0] == [True] * 3


def test_a_plots_amounts_are_round() -> None:
    assert [round_step(span) for span in (0, 0.7, 4, 97, 4_300, 1.1e6)] == [1.0, 0.2, 1.0, 50.0, 2_000.0, 500_000.0]


def test_pages_go_there_and_back() -> None:
    pages = Pages()
    assert not pages.turn(1)
    assert not pages.turn(-1)
    pages.following = "a"
    assert str(pages) == "page 1, more with n"
    assert pages.turn(1)
    assert pages.cursor == "a"
    assert not pages.turn(1)  # not read yet
    pages.following = "b"
    assert pages.turn(1)
    assert pages.turn(-1)
    assert pages.cursor == "a"
    assert pages.turn(-1)
    assert pages.cursor == ""


def test_numbers_say_what_is_missing() -> None:
    now = datetime(2026, 10, 31, 12, tzinfo=UTC)
    assert [short(None), exact(None, 2), percent(None), lasting(None), moment(None)] == ["–"] * 5
    assert [short(1234567), short(15_000), short(9_999.5, 1)] == ["1.23M", "15.0k", "9,999.5"]
    assert [age(None, now), age("2026-10-31T11:59:19Z", now), age("2026-10-29T11:00:00Z", now)] == [
        "no data",
        "41 s ago",
        "2 d ago",
    ]
    assert [change(0.123), change(-0.5), change(0), change(None)] == ["▲ 12.3%", "▼ 50.0%", "= 0.0%", "–"]
    assert [bar(0.5, 4), bar(None, 4), bar(7, 4)] == ["━━──", "────", "━━━━"]


def test_a_job_says_what_it_will_do_and_the_command_that_does_the_same() -> None:
    what, days, command = JobRequest("reaggregate", 4, {"end_date": "2026-10-31", "dry_run": False}).question()
    assert what == "Make the sums of campaign 4 equal its raw records?"
    assert days == "from the first day to 2026-10-31"
    assert command == "$ campaignctl reaggregate --campaign 4 --end-date 2026-10-31"
    assert JobRequest("fetch", 4, {}).question()[1] == "the days that each platform may still restate"


def test_only_with_a_budget_is_a_campaign_on_course() -> None:
    calm = _PACING | {"flags": dict.fromkeys(_PACING["flags"], False)}
    assert "on course" in pacing_text(calm, Look()).plain
    open_ended = calm | dict.fromkeys(("budget", "remaining", "percent", "expected", "projected"))
    assert "on course" not in pacing_text(open_ended, Look()).plain
    stopped = open_ended | {"flags": {**calm["flags"], "stopped": True}}
    assert "▲ stopped" in pacing_text(stopped, Look()).plain
