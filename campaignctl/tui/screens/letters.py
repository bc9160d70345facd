"""Dead letters: what was refused and why, its original bytes, and producing it again once the cause is put right."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from campaignctl.domain.events import RejectReason
from campaignctl.telemetry import one_line
from campaignctl.tui.dialogs.show_text import ShowText
from campaignctl.tui.look import Look, plain, right
from campaignctl.tui.pages import Pages
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.fading import FadingScroll
from campaignctl.tui.widgets.keyed_table import Col, KeyedTable
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.numbers import NOT_GIVEN, moment

PATH = "/api/v1/dead-letters"
PAGE = 100
_COLUMNS = (
    Col("at", "refused", width=15), Col("code", "reason", width=22), Col("campaign", "campaign", True, width=8),
    Col("source", "by", width=5), Col("replayed", "replayed", width=12), Col("message", "what is wrong"),
    Col("id", "id"),
)  # fmt: skip
_HEX_BYTES = 4096


@dataclass(frozen=True, slots=True)
class LettersQuestion:
    reason: str = ""
    cursor: str = ""

    def params(self) -> dict[str, str]:
        given = {"reason": self.reason, "cursor": self.cursor}
        return {"limit": str(PAGE)} | {name: value for name, value in given.items() if value}


class LettersScreen(PolledScreen[LettersQuestion, Mapping[str, Any]]):
    NAME = "letters"
    EVERY = 2.0
    NEEDS_OPERATOR = frozenset({"replay", "replay_all"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("e", "step_reason", "Reason"),
        Binding("enter", "show", "Read", show=True),
        Binding("p", "replay", "Replay"),
        Binding("P", "replay_all", "Replay all of the reason"),
        Binding("n", "page(1)", "Next page", show=False),
        Binding("N", "page(-1)", "Previous page", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.reason = ""
        self.pages = Pages()

    def body(self) -> ComposeResult:
        yield Line(id="letters-line", classes="view-line")
        yield KeyedTable(id="letters")
        with FadingScroll(id="letter-about", can_focus=False):
            yield Line(id="letter")

    def question(self) -> LettersQuestion:
        return LettersQuestion(self.reason, self.pages.cursor)

    def read(self, question: LettersQuestion) -> Mapping[str, Any]:
        body: Mapping[str, Any] = self.session.reader.get(PATH, question.params())
        return body

    def paint(self, reading: Mapping[str, Any]) -> None:
        look = self.look
        self.pages.following = reading["next_cursor"]
        rows = {letter["id"]: _cells(letter, look) for letter in reading["items"]}
        self.query_one(KeyedTable).show(_COLUMNS, rows)
        self._show_line()
        self._show_letter()

    def _show_line(self) -> None:
        text = Text("Dead letters", "bold", no_wrap=True, overflow="ellipsis")
        text.append(f"  {self.reason or 'any reason'}  {self.pages}", "not bold")
        if self.reading is not None and not self.reading["items"]:
            text.append("  nothing was refused" if not self.reason else "  none of this reason", "not bold dim")
        self.query_one("#letters-line", Line).put(text)

    def command_line(self) -> str:
        return "campaignctl dlq list" + (f" --reason {self.reason}" if self.reason else "")

    @property
    def letter(self) -> Mapping[str, Any] | None:
        """The one under the cursor."""
        key = self.query_one(KeyedTable).key_at_cursor
        items = self.reading["items"] if self.reading else ()
        return next((letter for letter in items if letter["id"] == key), None)

    def _show_letter(self) -> None:
        letter = self.letter
        text = Text("")
        if letter is not None:
            text = Text.assemble((str(letter["code"]), f"bold {self.look.warn}"), f"  {one_line(letter['message'])}\n")
            text.append(one_line(letter["value"] or f"not UTF-8: {letter['value_base64']}")[:2_000], "dim")
        self.query_one("#letter", Line).put(text)

    # What the keys do

    def on_data_table_row_highlighted(self) -> None:
        self._show_letter()

    def on_data_table_row_selected(self) -> None:
        self.action_show()

    def action_show(self) -> None:
        if (letter := self.letter) is not None:
            self.app.push_screen(ShowText(f"Dead letter {letter['id']}", letter_text(letter, self.look)))

    def action_step_reason(self) -> None:
        choices = ("", *RejectReason)
        self.reason = str(choices[(choices.index(self.reason) + 1) % len(choices)])
        self.pages = Pages()
        self._show_line()
        self.poll_soon()

    def action_page(self, by: int) -> None:
        if self.pages.turn(by):
            self._show_line()
            self.poll_soon()

    def action_replay(self) -> None:
        if (letter := self.letter) is not None:
            self._ask_replay(
                {"ids": [letter["id"]]}, f"Produce dead letter {letter['id']} again?", f"dlq replay {letter['id']}"
            )

    def action_replay_all(self) -> None:
        flags = f"--reason {self.reason}" if self.reason else "--all"
        what = f"all dead letters of the reason {self.reason}" if self.reason else "all dead letters, of any reason,"
        question = f"Produce {what} again, but those that were replayed before?"
        self._ask_replay({"reason": self.reason} if self.reason else {}, question, f"dlq replay {flags}")

    def _ask_replay(self, body: Mapping[str, Any], question: str, command: str) -> None:
        note = "Each event counts once however often it is replayed; what is still bad becomes a dead letter again."
        self.ask_first(question, note, f"$ campaignctl {command}", then=lambda: self._replay(body))

    def _replay(self, body: Mapping[str, Any]) -> None:
        self.act(lambda: self.session.reader.post(f"{PATH}/replay", body), self._started)

    def _started(self, job: Mapping[str, Any]) -> None:
        self.notify(f"Job {job['job_id']} replays; watch it on screen 3", title="Started", markup=False)


def _cells(letter: Mapping[str, Any], look: Look) -> list[Text]:
    return [
        Text(moment(letter["at"], 8)),
        Text(str(letter["code"]), look.warn),
        right(str(letter["campaign_id"] or NOT_GIVEN)),
        Text("http" if letter["source"] == "http" else "log"),
        Text(moment(letter["replayed_at"])),
        plain(letter["message"]),
        Text(str(letter["id"]), "dim"),
    ]


def letter_text(letter: Mapping[str, Any], look: Look) -> Text:
    """The facts, then the record: as indented JSON where it is some, else as it is, else its bytes."""
    text = Text()
    for name, value in letter.items():
        if name not in ("value", "value_base64") and value is not None:
            text.append(f"{name:<13}", look.accent).append(f"{one_line(str(value))}\n")
    return text.append("\n").append(_record(letter))


def _record(letter: Mapping[str, Any]) -> str:
    if letter["value"] is None:
        raw = base64.b64decode(letter["value_base64"])
        more = f"\n… {len(raw):,} bytes in all" if len(raw) > _HEX_BYTES else ""
        return "not UTF-8; its bytes:\n" + binascii.hexlify(raw[:_HEX_BYTES], " ", 2).decode() + more
    value = str(letter["value"])
    try:
        shown = json.dumps(json.loads(value), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        shown = value
    return "\n".join(map(one_line, shown.splitlines()))
