"""Live insights on readings of a fake API, with the screen's text as the proof."""

from dataclasses import replace

import pytest
from textual.widgets import DataTable

from campaignctl.errors import NotSignedIn, Unavailable
from campaignctl.tui.view import View
from campaignctl.tui.widgets.breakdown import Breakdown
from tests.tui.driving import SIZES, dashboard, text_of, until, until_true
from tests.tui.fake_api import FakeAnswer, FakeApi

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")
pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("size", [(140, 44), (80, 24), (200, 60)])
async def test_shows_figures_finality_freshness_and_the_command_line(size: tuple[int, int]) -> None:
    app = dashboard()
    async with app.run_test(size=size) as pilot:
        shown = await until(app, pilot, "LIVE", "ada@example.com")
    for wanted in ("SPEND", "12.3k", "▲ 12.0%", "3.21", "settling", "totals ● live", "meta 4 s ago", "test inst"):
        assert wanted in shown
    assert "campaignctl insights --campaign 1" in shown


async def test_a_name_is_text_and_never_markup() -> None:
    app = dashboard()
    async with app.run_test(size=(140, 44)) as pilot:
        assert "Campaign 1 [red]x[/red]" in await until(app, pilot, "LIVE")
        await pilot.press("colon")
        await pilot.press(*"Campaign 2")
        await until(app, pilot, "Campaign 2 [red]x[/red] (2)")


async def test_a_name_cannot_move_the_terminal() -> None:
    api = FakeApi()
    api.names[0] = "\x1b[2J\x07evil\u202ename"
    app = dashboard(api)
    async with app.run_test(size=(140, 44)) as pilot:
        shown = await until(app, pilot, "LIVE", "evil")
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)


async def test_keys_change_what_is_asked() -> None:
    api = FakeApi()
    app = dashboard(api)
    async with app.run_test(size=(160, 44)) as pilot:
        await until(app, pilot, "LIVE")
        await pilot.press("g", "b", "right_square_bracket", "p", "c", "s", "S")
        await until(
            app, pilot, "last 90 days", "--granularity weekly --group-by region --platform meta --compare previous_year"
        )
    asked = [given for path, given in api.asked if path.endswith("insights")]
    assert any(given.get("sort") == "spend" and given.get("order") == "asc" for given in asked)


async def test_hours_are_asked_of_a_week_at_most() -> None:
    app = dashboard()
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        await pilot.press("g", "g", "g")
        await until(app, pilot, "last 7 days", "hourly")


async def test_another_campaign_by_the_arrow_keys_by_a_click_and_by_its_name() -> None:
    app = dashboard()
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        app.screen.query_one("#campaigns").focus()
        await pilot.press("down")
        await until(app, pilot, "--campaign 2")
        await pilot.click("#campaigns", offset=(5, 3))
        await until(app, pilot, "campaigns show 3")  # a click opens it in depth
        await pilot.press("1")
        await pilot.press("slash")
        await until(app, pilot, "Which campaign?")
        await pilot.press(*"gn 1")
        await pilot.pause(0.3)
        await pilot.press("enter")
        await until(app, pilot, "--campaign 1")


async def test_a_column_title_sorts_and_sorts_the_other_way() -> None:
    api = FakeApi()
    app = dashboard(api)
    async with app.run_test(size=(160, 48)) as pilot:
        await until(app, pilot, "settling")
        table = app.screen.query_one("#breakdown")
        at = text_of(app).splitlines()[table.region.y].index("revenue") - table.region.x
        await pilot.click("#breakdown", offset=(at, 0))
        await until(app, pilot, "revenue ↓")
        await pilot.click("#breakdown", offset=(at, 0))
        await until(app, pilot, "revenue ↑", "--sort revenue --order asc")


async def test_a_short_screen_shows_the_plot_in_place_of_the_table() -> None:
    app = dashboard()
    async with app.run_test(size=(80, 24)) as pilot:
        assert "Spend by day" not in await until(app, pilot, "LIVE", "settling")
        await pilot.press("v")
        assert "settling" not in await until(app, pilot, "Spend by day", "this range", "Oct")


async def test_rows_are_filtered_by_a_text() -> None:
    app = dashboard()
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "settling")
        await pilot.press("f", *"LINK", "enter")
        table = app.screen.query_one("#breakdown", DataTable)
        await until_true(pilot, lambda: table.row_count == 30, "a quarter of the rows")
        await pilot.press("escape")
        await until_true(pilot, lambda: table.row_count == 120, "all rows")


async def test_a_frozen_api_leaves_the_numbers_and_the_keys_alive_and_says_stale() -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        api.gate.clear()
        shown = await until(app, pilot, "STALE")
        assert "12.3k" in shown
        await pilot.press("m")
        await until(app, pilot, "Revenue by day")
        api.gate.set()
        await until(app, pilot, "LIVE")


async def test_an_api_that_is_gone_is_offline_and_comes_back() -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        api.error = Unavailable("the server is away", service="api")
        shown = await until(app, pilot, "OFFLINE retry in")
        assert "the server is away" in shown
        assert "12.3k" in shown
        api.error = None
        await pilot.press("r")
        await until(app, pilot, "LIVE")


async def test_a_session_that_ended_is_said() -> None:
    api = FakeApi()
    api.error = NotSignedIn("the session has ended")
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "SIGNED OUT", "the session has ended")


@pytest.mark.parametrize("size", SIZES)
async def test_where_nothing_was_read_yet_it_says_why_and_what_to_do(size: tuple[int, int]) -> None:
    api = FakeApi()
    api.error = NotSignedIn("the token has expired", hint="sign in with: campaignctl login")
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=size) as pilot:
        for key in "12345":
            await pilot.press(key)
            await until(app, pilot, "SIGNED OUT", "sign in with: campaignctl login", "tried again by itself")
        api.error = None
        await pilot.press("1", "r")
        assert "sign in with" not in await until(app, pilot, "LIVE", "SPEND USD")
        api.error = NotSignedIn("the token has expired", hint="sign in with: campaignctl login")
        shown = await until(app, pilot, "SIGNED OUT", "SPEND USD")  # what was read last stays
        assert "tried again by itself" not in shown


async def test_an_answer_that_is_none_is_refused_and_the_next_one_read(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.3)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE", "settling")
        with monkeypatch.context() as patched:
            patched.setattr(api, "request", lambda *_, **__: FakeAnswer({"page": "of a proxy"}))
            await until(app, pilot, "REFUSED", "the answer is not what this dashboard reads (KeyError)", "12.3k")
        await pilot.press("r")
        await until(app, pilot, "LIVE")


async def test_no_campaigns_is_no_crash_and_says_what_to_do() -> None:
    app = dashboard(FakeApi(campaigns=0), interval_s=0.3)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, pilot, "LIVE", "campaignctl campaigns create")
        await pilot.press("2")
        await until(app, pilot, "LIVE", "No campaigns yet")


async def test_a_changed_figure_changes_in_place_and_the_cursor_stays() -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.2)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "settling")
        before = text_of(app)
        await pilot.press("down", "down", "down")
        api.factor = 2.0
        await until_true(pilot, lambda: text_of(app) != before and "2,1" in text_of(app), "other figures")
        assert app.screen.query_one("#breakdown", DataTable).cursor_row == 3


async def test_pause_stops_asking() -> None:
    api = FakeApi()
    app = dashboard(api, interval_s=0.2)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE")
        await pilot.press("space")
        await until(app, pilot, "PAUSED")
        await pilot.pause(0.4)
        asked = len(api.asked)
        await pilot.pause(0.8)
        assert len(api.asked) == asked


def test_the_view_names_the_command_that_shows_the_same() -> None:
    view = View(campaign_id=4, granularity="weekly", group_by="region", compare="")
    assert view.command_line() == "campaignctl insights --campaign 4 --granularity weekly --group-by region"
    assert replace(view, sort="roas", order="asc").command_line().endswith("--sort roas --order asc")


async def test_numbers_of_another_question_say_so_until_its_answer_is_there() -> None:
    api = FakeApi()
    app = dashboard(api)
    async with app.run_test(size=(140, 44)) as pilot:
        await until(app, pilot, "LIVE", "12.3k")
        api.gate.clear()
        await pilot.press("g")
        assert "12.3k" in await until(app, pilot, "weekly", "reading what was asked ...", "STALE")
        api.gate.set()
        await until(app, pilot, "LIVE")
        while "reading what was asked" in text_of(app):
            await pilot.pause(0.05)


async def test_axes_wait_for_a_line() -> None:
    api = FakeApi()
    api.gate.clear()
    app = dashboard(api)
    async with app.run_test(size=(140, 44)) as pilot:
        assert "┫" not in await until(app, pilot, "CONNECTING")
        api.gate.set()
        await until(app, pilot, "LIVE", "┫")


async def test_another_metric_draws_no_cell_again_that_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[int] = []
    draw = DataTable._render_cell

    def counting(table: DataTable[object], row: int, column: int, *more: object, **named: object) -> object:
        drawn.append(row)
        return draw(table, row, column, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(DataTable, "_render_cell", counting)
    app = dashboard(interval_s=1000)
    async with app.run_test(size=(160, 48), notifications=True) as pilot:
        await until(app, pilot, "LIVE", "spend ±")
        await pilot.press("m")
        await until(app, pilot, "revenue ±")
        table = app.screen.query_one(Breakdown)
        whole = len(table.ordered_columns) * min(table.row_count, table.size.height - 1)
        drawn.clear()
        await pilot.press("m")
        await until(app, pilot, "impressions ±")
        assert 0 < sum(row >= 0 for row in drawn) < whole / 3, (len(drawn), whole)
