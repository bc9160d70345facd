"""Every key on every screen, help, the palette, themes, and windows of any size."""

import asyncio
import gc
import re
import time

import pytest
from textual import events
from textual.app import App
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Input

from campaignctl.tui.app import THEMES, Dashboard
from campaignctl.tui.keys import keys_everywhere, keys_of
from campaignctl.tui.look import Look
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.widgets.frame import SCREENS
from tests.tui.driving import dashboard, text_of, until, until_true

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")
pytestmark = pytest.mark.anyio


async def test_every_key_of_every_screen_does_something_that_the_next_key_survives() -> None:
    app = dashboard()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await until(app, pilot, "LIVE", "ada@")
        for number, (name, _) in enumerate(SCREENS, 1):
            await pilot.press(str(number))
            await until(app, pilot, "LIVE")
            screen = app.screen
            ours = [key for key, active in screen.active_bindings.items() if active.node in (app, screen)]
            keys = [key for key in ours if key not in ("q", "ctrl+q", "ctrl+c", "ctrl+z", *"12345")]
            assert len(keys) > 8
            for key in keys:
                await pilot.press(key)
                while len(app.screen_stack) > 1:
                    app.pop_screen()
                    await pilot.pause()
                if app.screen is not screen:
                    await pilot.press(str(number))
                screen.query_one("#filter").display = False
            assert app.is_running, name


async def test_every_screen_is_drawn_while_it_is_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fainter: the toolkit's ``opacity`` ends the program at a piece of a line that has no style, as plots have."""
    monkeypatch.setattr(PolledScreen, "_is_behind", lambda _self: True)
    app = dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await until(app, pilot, "ada@")
        for number, _ in enumerate(SCREENS, 1):
            await pilot.press(str(number))
            await until(app, pilot, "ada@")
            assert isinstance(app.screen, PolledScreen) and app.screen.is_faded
            app.refresh(layout=True)
            await pilot.pause()
            assert app.export_screenshot()


async def test_help_names_every_key_there_is() -> None:
    app = dashboard()
    framework = {
        binding.key for binding in (*Binding.make_bindings(Screen.BINDINGS), *Binding.make_bindings(App.BINDINGS))
    } - {"escape"}
    async with app.run_test(size=(120, 60), notifications=True) as pilot:
        await until(app, pilot, "LIVE")
        for number in "12345":
            await pilot.press(number)
            await until(app, pilot, "LIVE")
            shown = keys_of(app, app.screen, Look()).plain + keys_everywhere(app, Look()).plain
            for key, active in app.screen.active_bindings.items():
                if (
                    key not in framework
                    and active.node in (app, app.screen)
                    and type(active.node).__module__.startswith("campaignctl.")
                ):
                    described = active.binding.tooltip or active.binding.description
                    assert described in shown, active.binding
        await pilot.press("question_mark")
        await until(app, pilot, "On this screen", "Everywhere")
        await pilot.press("escape")
        await until(app, pilot, "dlq list")


async def test_help_is_that_of_the_screen_and_of_the_theme_whenever_it_is_asked_for() -> None:
    app = dashboard()
    async with app.run_test(size=(132, 40), notifications=True) as pilot:
        await until(app, pilot, "LIVE")
        for number, key in (("1", "The metric that is plotted"), ("3", "Ask the platforms"), ("1", "By day, week")):
            await pilot.press(number)
            await until(app, pilot, "LIVE")
            await pilot.press("question_mark")
            shown = await until(app, pilot, "On this screen", "Everywhere")
            assert (key in shown) or number == "3", shown
            assert "LIVE" not in shown, "what is behind does not shine through"
            before = app.screen.styles.background
            await pilot.press("q")
            await until(app, pilot, "LIVE")
            await pilot.press("t")
        await pilot.press("question_mark")
        await until(app, pilot, "On this screen")
        assert app.screen.styles.background != before


@pytest.mark.parametrize(
    ("screen", "key"),
    [
        ("1", "slash"),
        ("1", "f"),
        ("1", "question_mark"),
        ("3", "f"),
        ("3", "x"),
        ("3", "enter"),
        ("5", "enter"),
        ("5", "p"),
    ],
)
async def test_a_key_that_is_typed_for_what_the_one_before_opens_never_leaves_the_dashboard(
    screen: str, key: str
) -> None:
    for others in range(4):  # how much of what the first one opens is there when the second comes
        app = dashboard()
        async with app.run_test(size=(100, 30), notifications=True) as pilot:
            await until(app, pilot, "LIVE", "ada@")
            await pilot.press(screen)
            await until(app, pilot, "LIVE", "ada@", {"1": "settling", "3": "▶ running", "5": "dlq list"}[screen])
            await pilot.pause()
            app.post_message(events.Key(key, None))
            for _ in range(others):
                await asyncio.sleep(0)
            app.post_message(events.Key("q", "q"))
            await pilot.pause()
            await pilot.pause(0.1)
            assert app.is_running
            assert app.return_code is None
            await pilot.press("escape")
            await until(app, pilot, "LIVE")


async def test_what_is_typed_ahead_is_in_the_filter() -> None:
    app = dashboard()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(app, pilot, "LIVE", "settling")
        for key in "fq":
            app.post_message(events.Key(key, key))
        await until_true(
            pilot,
            lambda: any(field.value == "q" for field in app.screen.query("#filter").results(Input)),
            "the filter has the second key",
        )


async def test_a_key_that_comes_while_the_dashboard_is_left_ends_nothing_else() -> None:
    app = dashboard()
    async with app.run_test(size=(100, 30)) as pilot:
        await until(app, pilot, "LIVE")
    assert not app.screen_stack
    app.on_key(events.Key("x", "x"))


async def test_what_is_behind_a_question_goes_on() -> None:
    app = dashboard(interval_s=1000)
    async with app.run_test(size=(132, 40), notifications=True) as pilot:
        await until(app, pilot, "LIVE", "settling")
        await pilot.press("slash")
        first = _age_s(await until(app, pilot, "Which campaign?", " s)"))
        await until_true(pilot, lambda: _age_s(text_of(app)) > first, "the reading behind the question becomes older")
        await pilot.press("escape", "colon")
        await until(app, pilot, "Search for commands", " s)")


def _age_s(shown: str) -> int:
    """Of the reading; -1 where it is not told."""
    found = re.search(r"\((\d+) s\)", shown)
    return int(found[1]) if found else -1


async def test_the_palette_has_every_action_and_every_theme() -> None:
    app = dashboard()
    async with app.run_test(size=(120, 50), notifications=True) as pilot:
        await until(app, pilot, "LIVE")
        titles = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Metric", "Platform", "Quit", "Help", "Jobs", "Dead letters", "Theme nord"} <= titles
        assert not {"Cursor down", "Bottom", "Copy selected text"} & titles, (
            "the framework's own are no actions of ours"
        )
        await pilot.press("colon", *"Theme nord")
        await until(app, pilot, "Colours of the screen")
        await pilot.press("enter")
        await until_true(pilot, lambda: app.theme == "nord", "the theme is changed")


@pytest.mark.parametrize("theme", [THEMES[0], "textual-light", "ansi-light"])
async def test_every_theme_shows_every_screen(theme: str) -> None:
    app = dashboard()
    async with app.run_test(size=(100, 34), notifications=True) as pilot:
        app.theme = theme
        for number in "12345":
            await pilot.press(number)
            await until(app, pilot, "LIVE")


async def test_without_colours_every_state_has_its_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    app = dashboard()
    async with app.run_test(size=(140, 44), notifications=True) as pilot:
        await until(app, pilot, "LIVE", "● settling", "▼ 5.4%")
        for strip in app.screen._compositor.render_strips():
            for segment in strip:
                for colour in (segment.style.color, segment.style.bgcolor) if segment.style else ():
                    assert colour is None or colour.triplet is None or len(set(colour.triplet)) == 1


@pytest.mark.parametrize("size", [(1, 1), (20, 5), (40, 12), (250, 70)])
async def test_no_window_is_too_small(size: tuple[int, int]) -> None:
    app = dashboard()
    async with app.run_test(size=size, notifications=True) as pilot:
        for number in "12345":
            await pilot.press(number)
            await pilot.pause(0.3)
        await pilot.resize_terminal(100, 30)
        await until(app, pilot, "campaignctl dlq list")


async def test_the_installation_is_named_and_production_warns() -> None:
    app = dashboard(where="prod (https://ads.example.com)")
    async with app.run_test(size=(140, 44), notifications=True) as pilot:
        await until(app, pilot, "prod (https://ads.example.com)")
        assert app.session.is_production
        await pilot.press("3")
        await until(app, pilot, "▶ running", "ada@")
        await pilot.press("x")
        await until(app, pilot, "at  prod (https://ads.example.com)")


async def test_the_command_line_is_copied() -> None:
    app = dashboard()
    async with app.run_test(size=(140, 44), notifications=True) as pilot:
        await until(app, pilot, "LIVE", "settling")
        await pilot.press("y")
        await until(app, pilot, "Copied")
        assert app.clipboard.startswith("campaignctl insights --campaign 1")


async def test_commands_name_the_place_that_the_dashboard_was_started_for() -> None:
    app = dashboard(program="campaignctl --context prod", campaign_id=1)
    async with app.run_test(size=(140, 44), notifications=True) as pilot:
        await pilot.press("2")
        both = "campaignctl --context prod campaigns show 1; campaignctl --context prod pacing --campaign 1"
        await until(app, pilot, "LIVE", f"$ {both}", "ada@")
        await pilot.press("y")
        await until(app, pilot, "Copied")
        assert app.clipboard == both
        await pilot.press("3")
        await until(app, pilot, "▶ running")
        await pilot.press("f", "enter")
        await until(app, pilot, "$ campaignctl --context prod fetch --campaign 1", "No (n)")


async def test_what_is_looked_at_again_and_again_keeps_nothing_of_before() -> None:
    app = dashboard(interval_s=30)

    def gone() -> int:
        gc.collect()
        return sum(isinstance(one, Widget) and not one.is_attached for one in gc.get_objects())

    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, pilot, "LIVE")
        kept = []
        for _ in range(3):
            for _ in range(4):
                await pilot.press("question_mark")
                await until(app, pilot, "On this screen")
                await pilot.press("escape")
                await until(app, pilot, "? Help  / Campaign")
            kept.append(gone())
    assert kept[2] <= kept[0] + 30, kept  # one line of keys may be on its way out


async def test_a_click_on_a_screens_name_goes_there() -> None:
    app = dashboard()
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(app, pilot, "LIVE")
        await pilot.click("#tabs", offset=(text_of(app).splitlines()[0].index("4 System") + 2, 0))
        await until(app, pilot, "campaignctl lag")


async def test_a_click_on_a_key_is_that_key_and_the_pointer_over_it_says_more() -> None:
    app = dashboard()
    async with app.run_test(size=(140, 40), notifications=True) as pilot:
        shown = await until(app, pilot, "LIVE", "g Grain", "m Metric")
        column = shown.splitlines()[-1].index("m Metric") + 3
        await pilot.hover("#keys", offset=(column, 0))
        assert app.screen.query_one("#keys").tooltip == "The metric that is plotted"
        await pilot.click("#keys", offset=(column, 0))
        await until(app, pilot, "Revenue by day")


async def test_screens_are_made_before_their_keys_are_pressed() -> None:
    app = dashboard()
    all_is_made: list[bool] = []
    app._when_all_is_made = lambda: all_is_made.append(app.get_screen("help").is_attached)
    async with app.run_test(size=(100, 30), notifications=True) as pilot:
        await until(app, pilot, "LIVE")
        end_s = time.monotonic() + 60
        while not all_is_made:
            assert time.monotonic() < end_s
            await pilot.pause(0.05)
        assert all(name in app._screen_stacks for name, _ in SCREENS)
        assert all_is_made == [True]
        await pilot.press("3")
        await until(app, pilot, "▶ running", "ada@")


def test_keys_that_screens_share_mean_one_thing() -> None:
    numbers = [binding.key for binding in Dashboard.BINDINGS if isinstance(binding, Binding) and binding.key.isdigit()]
    assert numbers == list("12345")
