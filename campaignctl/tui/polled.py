"""The frame of every screen: a timer asks for a reading, a thread fetches it, a message carries it, widgets repaint.

No screen waits for the network: keys work while a poll hangs, the last good reading stays, and the state at the top
says how old it is.
"""

from collections.abc import Callable
from typing import Any, ClassVar, Generic, TypeVar

from textual import events, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.message import Message
from textual.widgets import DataTable, Input

from campaignctl.errors import CampaignctlError, Forbidden
from campaignctl.tui.dialogs.confirm import Confirm
from campaignctl.tui.link import Link, back_off_s, trouble_of
from campaignctl.tui.look import Look
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.fading import FadingScreen
from campaignctl.tui.widgets.frame import CommandLine, Keys, Tabs, Where
from campaignctl.tui.widgets.keyed_table import KeyedTable
from campaignctl.tui.widgets.status import ConnectionLine, Trouble

Question = TypeVar("Question")
Reading = TypeVar("Reading")
_NARROW_COLUMNS = 100
_SHORT_ROWS = 34
_BLINK_S = 0.4


class PolledScreen(FadingScreen, Generic[Question, Reading]):
    """A screen over one question to the API.

    ``question`` says what is asked now, ``read`` answers it (blocking, in a thread, raises the product's errors),
    ``paint`` shows an answer and ``command_line`` names the command that shows the same. ``body`` yields what lies
    between the status lines. Actions in ``NEEDS_OPERATOR`` are dimmed and refused to whoever may not do them.
    """

    NAME: ClassVar[str]
    EVERY: ClassVar[float] = 1.0
    """Seconds between two readings, in intervals of the dashboard."""
    NEEDS_OPERATOR: ClassVar[frozenset[str]] = frozenset()
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark", "app.help", "Help", key_display="?"),
        Binding("slash", "filter", "Filter", key_display="/", tooltip="Show only rows with a text"),
        Binding("r", "refresh_now", "Refresh", show=False, tooltip="Ask again at once"),
        Binding("space", "pause", "Pause", show=False, tooltip="Stop asking, and go on"),
        Binding("escape", "leave", "Back", show=False, tooltip="Drop the filter, or go back"),
    ]

    class Read(Message):
        def __init__(self, asked: Any, reading: Any) -> None:
            super().__init__()
            self.asked, self.reading = asked, reading

    class Failed(Message):
        def __init__(self, error: CampaignctlError) -> None:
            super().__init__()
            self.error = error

    class Done(Message):
        """Something that was started is over; ``then`` says so on the screen."""

        def __init__(self, then: Callable[[], None]) -> None:
            super().__init__()
            self.then = then

    def __init__(self, session: Session) -> None:
        super().__init__()
        self.session = session
        self.reading: Reading | None = None
        self._answers: Question | None = None
        """What the reading on the screen answers."""
        self._behind_since_s: float | None = None
        self._link = Link()
        self._polling = False
        self._next_poll_s = 0.0
        self._state, self._body = Container(id="state"), Container(id="body")
        self._connection, self._where = ConnectionLine(), Where()
        self._trouble, self._command_line = Trouble(), CommandLine()
        self._styled_for: frozenset[str] | None = None

    # What a screen is made of

    def question(self) -> Question:
        raise NotImplementedError

    def read(self, question: Question) -> Reading:
        raise NotImplementedError

    def paint(self, reading: Reading) -> None:
        raise NotImplementedError

    def command_line(self) -> str:
        raise NotImplementedError

    def body(self) -> ComposeResult:
        raise NotImplementedError

    def taken(self, question: Question, reading: Reading) -> bool:
        """Whether the reading answers what is asked now; a screen may note here what the answer chose."""
        return question == self.question()

    # The frame

    def compose(self) -> ComposeResult:
        yield Tabs(self.NAME)
        with self._state:
            yield self._connection
            yield self._where
        yield self._trouble
        with self._body:
            yield from self.body()
        yield Input(placeholder="show rows with this text; enter keeps it, esc drops it", id="filter")
        yield self._command_line
        yield Keys()

    def on_mount(self) -> None:
        self.query_one("#filter").display = False
        for table in self.query(DataTable):
            table.focus()
            break
        self.app.theme_changed_signal.subscribe(self, lambda _: self.call_after_refresh(self.repaint))
        self.set_interval(0.25, self._tick)
        self._tick()

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        # The framework reckons all styles anew when a screen comes back. Themes it looks after itself; what else they
        # rest on outside of the screen are the states of the application, such as that its window has the focus.
        states = self.app.pseudo_classes
        event.refresh_styles = event.refresh_styles and states != self._styled_for
        self._styled_for = states
        self._next_poll_s = 0.0  # what was not looked at was not asked for
        self._tick()

    def on_resize(self, event: events.Resize) -> None:
        self.set_class(event.size.width < _NARROW_COLUMNS, "narrow")
        self.set_class(event.size.height < _SHORT_ROWS, "short")

    @property
    def look(self) -> Look:
        return Look.of(self.app.theme_variables)

    @property
    def interval_s(self) -> float:
        return self.session.interval_s * self.EVERY

    def repaint(self) -> None:
        if self.reading is not None and self.is_mounted:
            self.paint(self.reading)
        self._show_state()

    # Polling

    def _tick(self) -> None:
        if self not in self.app.screen_stack:
            return
        now_s = self.session.monotonic_s()
        if now_s >= max(self._next_poll_s, self._link.retry_at_s) and not self._polling and not self._link.paused:
            self._polling = True
            self._next_poll_s = now_s + self.interval_s
            self._poll(self.question())
        self._show_state()

    @work(thread=True, group="poll", exit_on_error=False)
    def _poll(self, question: Question) -> None:
        try:
            self.post_message(self.Read(question, self.read(question)))
        except CampaignctlError as error:
            self.post_message(self.Failed(error))
        except Exception as error:  # of an answer that is none of ours, such as a proxy's page; the next may be
            told = f"the answer is not what this dashboard reads ({type(error).__name__})"
            self.post_message(
                self.Failed(CampaignctlError(told, hint="campaignctl doctor; see also the versions of both"))
            )

    def on_polled_screen_read(self, message: Read) -> None:
        self._polling = False
        self._link = self._link.read(self.session.monotonic_s())
        if not self.taken(message.asked, message.reading):  # a key was pressed meanwhile: its own reading is coming
            self.poll_soon()
            return
        self.reading = message.reading
        self._answers = self.question()
        self.repaint()

    def on_polled_screen_failed(self, message: Failed) -> None:
        self._polling = False
        wait_s = back_off_s(self._link.failures + 1)
        trouble = trouble_of(message.error)
        error = message.error
        self._link = self._link.failed(self.session.monotonic_s(), wait_s, error.message, trouble, error.hint)
        self._show_state()

    def poll_soon(self) -> None:
        self._next_poll_s = 0.0
        self._link = self._link.at_once()
        self._tick()

    def _is_behind(self) -> bool:
        """Whether what is on the screen has answered another question than is asked now for longer than a blink."""
        if self.reading is None or self._answers == self.question():
            self._behind_since_s = None
            return False
        now_s = self.session.monotonic_s()
        if self._behind_since_s is None:
            self._behind_since_s = now_s
        return now_s - self._behind_since_s >= _BLINK_S

    def _show_state(self) -> None:
        if not self._where.is_attached:  # the screen is being made, or taken down
            return
        behind = self._is_behind()
        # On no more than what looks different then: whatever is below a widget whose class changes is drawn anew.
        self._state.set_class(self._link.failures > 0, "failing")
        self.fade(self._body, faded=behind)
        look = self.look
        self._connection.show(self._link, self.session, self.interval_s, look, behind=behind)
        self._where.show(self.session, look)
        self._command_line.show(self.session.command(self.command_line()))
        self._trouble.show(self._link, look, nothing_read=self.reading is None)

    # Doing something

    @work(thread=True, group="act", exit_on_error=False)
    def act(self, what: Callable[[], Any], done: Callable[[Any], None]) -> None:
        """Do ``what`` in a thread, then ``done`` with its answer here; a failure is told."""
        try:
            answer = what()
        except CampaignctlError as error:
            self.post_message(self.Done(lambda error=error: self._tell_failure(error)))  # type: ignore[misc]
        else:
            self.post_message(self.Done(lambda: done(answer)))

    def ask_first(self, question: str, *lines: str, then: Callable[[], None]) -> None:
        """Do ``then`` when the person says yes to what will be done."""
        self.app.push_screen(
            Confirm(self.session, question, *map(self.session.command, lines)), lambda yes: then() if yes else None
        )

    def on_polled_screen_done(self, message: Done) -> None:
        message.then()
        self.poll_soon()

    def _tell_failure(self, error: CampaignctlError) -> None:
        text = error.message + (f"\n{error.hint}" if error.hint else "")
        if isinstance(error, Forbidden):
            text += f"\nYou are {self.session.who or 'not signed in'}."
        self.notify(text, title="Not done", severity="error", timeout=10, markup=False)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action in self.NEEDS_OPERATOR and not self.session.may_operate:
            return None  # shown, dimmed, and not to be had
        return True

    # What the keys do

    def action_refresh_now(self) -> None:
        self.poll_soon()

    def action_pause(self) -> None:
        self._link = Link(self._link.read_at_s, paused=not self._link.paused)
        self.poll_soon()

    def action_filter(self) -> None:
        line = self.query_one("#filter", Input)
        line.display = True
        self.set_focus(line)  # now, so that it gets the next key

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "filter":
            for table in self.query(KeyedTable):
                table.needle = event.value
            self.repaint()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        if event.input.id == "filter":
            event.input.display = bool(event.value)
            self.focus_table()

    def action_leave(self) -> None:
        line = self.query_one("#filter", Input)
        if line.display:
            line.value, line.display = "", False
            self.focus_table()
        else:
            self.go_back()

    def go_back(self) -> None:
        """Escape with no filter open."""
        self.focus_table()

    def focus_table(self) -> None:
        for table in self.query(KeyedTable):
            if table.is_on_screen:
                table.focus()
                return
