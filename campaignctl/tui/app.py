"""The dashboard application: a timer asks for a reading, a thread fetches it, one message carries it, widgets repaint.

The screen never waits for the network: keys work while a poll hangs, the last good numbers stay, and the state at the
top says how old they are.
"""

import time
from dataclasses import replace
from typing import ClassVar

from textual import events, work
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widgets import Footer, OptionList, Static

from campaignctl.errors import CampaignctlError, NotSignedIn, Unavailable
from campaignctl.tui.poller import Api, back_off_s, read_snapshot
from campaignctl.tui.snapshot import GRANULARITIES, GROUPINGS, METRICS, RANGES_DAYS, Connection, Link, Snapshot, View
from campaignctl.tui.widgets.breakdown import Breakdown
from campaignctl.tui.widgets.campaign_list import CampaignList
from campaignctl.tui.widgets.status import AboutNumbers, ConnectionLine
from campaignctl.tui.widgets.tiles import Tiles
from campaignctl.tui.widgets.trend import Trend

POLL_INTERVAL_S = 2.0
_NARROW_COLUMNS = 100
_SHORT_ROWS = 34


class Dashboard(App[None]):
    """``campaignctl dashboard``.

    ``api`` answers GET requests (blocking; called in a thread), ``where`` is shown at the top so that nobody
    mistakes one installation for another.
    """

    CSS_PATH = "app.tcss"
    TITLE = "campaignctl"
    BINDINGS: ClassVar[list[BindingType]] = [
        ("q", "quit", "Quit"),
        ("r", "refresh_now", "Refresh"),
        ("space", "pause", "Pause"),
        ("g", "step('granularity')", "Granularity"),
        ("b", "step('group_by')", "Group by"),
        ("m", "step('metric')", "Metric"),
        ("left_square_bracket", "step('days', -1)", "Shorter"),
        ("right_square_bracket", "step('days')", "Longer"),
        ("t", "next_theme", "Theme"),
    ]
    _CHOICES: ClassVar[dict[str, tuple[object, ...]]] = {
        "granularity": GRANULARITIES,
        "group_by": GROUPINGS,
        "metric": METRICS,
        "days": RANGES_DAYS,
    }
    _THEMES = ("textual-dark", "nord", "gruvbox", "textual-light")

    class SnapshotFetched(Message):
        def __init__(self, snapshot: Snapshot, asked: View) -> None:
            super().__init__()
            self.snapshot, self.asked = snapshot, asked

    class PollFailed(Message):
        def __init__(self, error: CampaignctlError) -> None:
            super().__init__()
            self.error = error

    def __init__(self, api: Api, *, where: str, view: View | None = None, interval_s: float = POLL_INTERVAL_S) -> None:
        super().__init__()
        self._api = api
        self._where = where
        self._view = view or View()
        self._interval_s = interval_s
        self._link = Link()
        self._snapshot: Snapshot | None = None
        self._polling = False
        self._next_poll_s = 0.0

    def compose(self) -> ComposeResult:
        yield ConnectionLine(id="top")
        with Horizontal(id="body"):
            yield CampaignList(id="campaigns")
            with Vertical(id="main"):
                yield Tiles()
                yield Trend()
                yield Static(id="view-line")
                yield Breakdown(id="breakdown")
        yield AboutNumbers(id="about")
        yield Footer()

    def on_mount(self) -> None:
        self.query_one(Breakdown).focus()
        self.set_interval(0.25, self._tick)
        self._tick()

    def on_resize(self, event: events.Resize) -> None:
        self.screen.set_class(event.size.width < _NARROW_COLUMNS, "narrow")
        self.screen.set_class(event.size.height < _SHORT_ROWS, "short")

    # Polling

    def _tick(self) -> None:
        now_s = time.monotonic()
        due = now_s >= max(self._next_poll_s, self._link.retry_at_s)
        if due and not self._polling and not self._link.paused:
            self._polling = True
            self._next_poll_s = now_s + self._interval_s
            self._poll(self._view)
        self._show_connection()

    @work(thread=True, group="poll", exit_on_error=False)
    def _poll(self, view: View) -> None:
        try:
            self.post_message(self.SnapshotFetched(read_snapshot(self._api, view), view))
        except CampaignctlError as error:
            self.post_message(self.PollFailed(error))

    def on_dashboard_snapshot_fetched(self, message: SnapshotFetched) -> None:
        self._polling = False
        self._link = self._link.read(time.monotonic())
        if message.asked != self._view:  # a key was pressed meanwhile: its own reading is on the way
            self._poll_soon()
            return
        self._view = message.snapshot.view
        self._snapshot = message.snapshot
        if self.query(ConnectionLine):
            self._paint(message.snapshot)

    def on_dashboard_poll_failed(self, message: PollFailed) -> None:
        self._polling = False
        wait_s = back_off_s(self._link.failures + 1)
        self._link = self._link.failed(time.monotonic(), wait_s, message.error.message, _trouble(message.error))
        self._show_connection()

    def _poll_soon(self) -> None:
        self._next_poll_s = 0.0
        self._link = replace(self._link, retry_at_s=0.0)
        self._tick()

    # Painting

    def _paint(self, snapshot: Snapshot) -> None:
        self.query_one(CampaignList).show(snapshot.campaigns, snapshot.view.campaign_id)
        self.query_one(Tiles).show(snapshot.table)
        self.query_one(Trend).show(snapshot.trend, snapshot.view.metric)
        self.query_one(Breakdown).show(snapshot.table)
        self.query_one(AboutNumbers).show(snapshot)
        self._show_view()
        self._show_connection()

    def _show_view(self) -> None:
        view, campaign = self._view, self._snapshot.campaign if self._snapshot else None
        name = f"[b]{campaign.name.replace('[', chr(92) + '[')}[/b]  {campaign.timezone}  " if campaign else ""
        group = f"by {view.group_by}" if view.group_by else "not grouped"
        self.query_one("#view-line", Static).update(f"{name}last {view.days} days  {view.granularity}  {group}")

    def _show_connection(self) -> None:
        for line in self.query(ConnectionLine):  # none while the screen is being taken down
            line.show(self._link, self._snapshot, self._where, time.monotonic(), self._interval_s)

    # What the keys do

    def action_step(self, member: str, by: int = 1) -> None:
        self._view = self._view.step(member, self._CHOICES[member], by)
        self._show_view()
        if self._snapshot is not None and member == "metric":
            self.query_one(Trend).show(self._snapshot.trend, self._view.metric)
        self._poll_soon()

    def action_refresh_now(self) -> None:
        self._poll_soon()

    def action_pause(self) -> None:
        self._link = replace(self._link, paused=not self._link.paused)
        self._poll_soon()

    def action_next_theme(self) -> None:
        at = self._THEMES.index(self.theme) if self.theme in self._THEMES else -1
        self.theme = self._THEMES[(at + 1) % len(self._THEMES)]

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        if event.option.id is not None and int(event.option.id) != self._view.campaign_id:
            self._view = replace(self._view, campaign_id=int(event.option.id))
            self._poll_soon()


def _trouble(error: CampaignctlError) -> Connection:
    if isinstance(error, NotSignedIn):
        return Connection.SIGNED_OUT
    return Connection.OFFLINE if isinstance(error, Unavailable) else Connection.REFUSED
