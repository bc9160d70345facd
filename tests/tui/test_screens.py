"""The other screens, small and wide: what they show, what they start, and what they do not offer."""

import pytest

from campaignctl.errors import Conflict
from tests.tui.driving import SIZES, dashboard, text_of, until
from tests.tui.fake_api import FakeApi

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", SIZES)
async def test_a_campaign_in_depth(size: tuple[int, int]) -> None:
    app = dashboard(campaign_id=2)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("2")
        shown = await until(app, pilot, "LIVE", "Campaign 2 [red]x[/red]", "campaignctl pacing --campaign 2")
        for wanted in ("3,100.00 USD", "58.7", "▲ underspending", "4 s ago", "6 h ago", "Links", "start_assumed"):
            assert wanted in shown
        await pilot.press("v")
        shown = await until(
            app, pilot, "campaignctl reconcile --campaign 2", "8 compared, 2 outside, 1 without a report"
        )
        for wanted in ("no report", "118.25", "✓ yes" if size[0] > 100 else "spend"):
            assert wanted in shown
        await pilot.press("v")
        await until(app, pilot, "campaignctl restatements --campaign 2", "6 figures were restated", "2026-10-22")
        await pilot.press("escape")
        await until(app, pilot, "SPEND USD", "campaignctl insights --campaign 2")


@pytest.mark.parametrize("size", SIZES)
async def test_jobs_are_watched(size: tuple[int, int]) -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.2)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("3")
        await until(
            app, pilot, "▶ running", "◐ partial", "✗ failed", "12/31 days", "1 under way", "campaignctl jobs list"
        )
        api.jobs[0]["progress"]["done"] = 30
        await until(app, pilot, "30/31 days")
        await pilot.press("down", "down")
        assert "\x1b" not in await until(app, pilot, "platform_refused: meta refused the token")
        await pilot.press("enter")
        await until(app, pilot, '"job_id": 5', "esc closes")
        await pilot.press("escape", "k")
        await until(app, pilot, "jobs list --kind fetch")
        await pilot.press("s")
        await until(app, pilot, "--kind fetch --status queued", "none of these")


async def test_a_fetch_is_started_after_a_question() -> None:
    api = FakeApi()
    app = dashboard(api, campaign_id=3)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("3")
        await until(app, pilot, "f Fetch reports", "▶ running")
        await pilot.press("f")
        await until(app, pilot, "First day")
        await pilot.press(*"2026-13-01", "enter")
        await until(app, pilot, "First day: must be a day such as 2026-10-31")
        await pilot.press(*["backspace"] * 10, *"2026-10-01", "tab", "tab", *"meta,bing", "enter")
        await until(app, pilot, "Platforms: bing is none of")
        await pilot.press(*["backspace"] * 5, "enter")
        await until(app, pilot, "$ campaignctl fetch --campaign 3 --platform meta --start-date", "test installation")
        await pilot.press("enter")  # the way out has the focus
        await pilot.pause(0.2)
        assert api.done == []
        await pilot.press("f", *"2026-10-01", "enter")
        await until(app, pilot, "No (n)")
        await pilot.press("y")
        await until(app, pilot, "Job 8 is queued")
    assert api.done == [("/campaigns/3/fetch-data", {"start_date": "2026-10-01"})]


async def test_a_re_aggregation_changes_nothing_unless_it_is_said() -> None:
    api = FakeApi()
    app = dashboard(api, campaign_id=3)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await pilot.press("3")
        await until(app, pilot, "▶ running", "ada@")
        await pilot.press("a", "enter")
        await until(app, pilot, "changing nothing?", "all days with raw records")
        await pilot.click("#yes")
        await until(app, pilot, "Job 8 is queued")
    assert api.done == [("/campaigns/3/reaggregate", {"dry_run": True})]


async def test_a_job_is_cancelled_after_a_question() -> None:
    api = FakeApi()
    app = dashboard(api)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await pilot.press("3")
        await until(app, pilot, "▶ running", "ada@")
        await pilot.press("x")
        await until(app, pilot, "Cancel job 7, reaggregate of campaign 1?")
        await pilot.press("y")
        await until(app, pilot, "■ cancelled")
        await pilot.press("x")
        await until(app, pilot, "Only a job that is under way can be cancelled")
    assert api.done == [("/jobs/7/cancel", None)]


async def test_what_was_refused_is_told_in_the_servers_words() -> None:
    api = FakeApi()
    app = dashboard(api)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await pilot.press("3")
        await until(app, pilot, "▶ running", "ada@")
        await pilot.press("x")
        await until(app, pilot, "Cancel job 7")
        api.error = Conflict("job 7 has ended [b]already[/b]", hint="look at it again")
        await pilot.press("y")
        await until(app, pilot, "Not done", "job 7 has ended [b]already[/b]", "look at it again")


@pytest.mark.parametrize("size", SIZES)
async def test_the_system(size: tuple[int, int]) -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=size, notifications=True) as pilot:
        await until(app, pilot, "settling")
        await pilot.press("4")
        shown = await until(app, pilot, "LIVE", "COUNTED /S", "oldest waits", "812.5", "event_log")
        for wanted in ("▲ degraded", "the second level is away", "campaignctl lag", "store"):
            assert wanted in shown
        api.lag = 0
        await until(app, pilot, "nothing waits")
        await pilot.press("d")
        await until(app, pilot, "campaignctl dlq list")


@pytest.mark.parametrize("size", SIZES)
async def test_dead_letters_are_read_and_replayed(size: tuple[int, int]) -> None:
    api = FakeApi()
    app = dashboard(api)
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("5")
        await until(app, pilot, "unknown_campaign", "There is no campaign 999", "[b]meta[/b]", "ada@")
        await pilot.press("enter")
        await until(app, pilot, "Dead letter 0-40", '"event_id": "c-1"')
        await pilot.press("escape", "p")
        await until(app, pilot, "Produce dead letter 0-40 again?", "dlq replay 0-40")
        await pilot.press("y")
        await until(app, pilot, "Job 8 replays")
        await pilot.press("down", "down", "enter")
        await until(app, pilot, "not UTF-8; its bytes:", "ff00 7b22 6576")
        await pilot.press("escape", "e")
        await until(app, pilot, "dlq list --reason malformed_json")
        await pilot.press("P")
        await until(app, pilot, "all dead letters of the reason malformed_json again")
        await pilot.press("n")
    assert api.done == [("/dead-letters/replay", {"ids": ["0-40"]})]


async def test_a_long_list_is_gone_through_by_pages() -> None:
    api = FakeApi()
    api.letters = [{**api.letters[0], "id": f"1-{n}"} for n in range(250)]
    app = dashboard(api)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await pilot.press("5")
        await until(app, pilot, "page 1, more with n", "1-3")
        await pilot.press("n")
        await until(app, pilot, "page 2, more with n, back with N", "1-100")
        await pilot.press("n")
        await until(app, pilot, "page 3, back with N", "1-200")
        await pilot.press("n", "N")
        await until(app, pilot, "page 2", "1-100")


@pytest.mark.parametrize("role", ["viewer", "analyst", None])
async def test_what_a_role_does_not_allow_is_shown_as_such_and_not_offered(role: str | None) -> None:
    api = FakeApi(role=role)
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(app, pilot, "LIVE", f"({role})" if role else "may read")
        await pilot.press("3")
        await until(app, pilot, "starting one needs the role operator", "▶ running")
        await pilot.press("f", "x", "a")
        await pilot.pause(0.2)
        assert len(app.screen_stack) == 1
        await pilot.press("4")
        await until(app, pilot, "need the role operator", "event_log", "campaignctl doctor")
        await pilot.press("5")
        await until(app, pilot, "REFUSED", "this needs the role operator")
        await pilot.press("P")
        await pilot.pause(0.2)
        assert len(app.screen_stack) == 1
    assert api.done == []


async def test_a_role_that_changes_changes_what_is_offered() -> None:
    api = FakeApi(role="viewer")
    app = dashboard(api)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await pilot.press("3")
        await until(app, pilot, "(viewer)", "needs the role operator")
        api.role = "operator"
        app._look_who()
        await until(app, pilot, "(operator)")
        assert "needs the role operator" not in text_of(app)
