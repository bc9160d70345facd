"""The form of a job: which campaign and days. It starts nothing: the screen asks once more and does it."""

from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Checkbox, Input, Label, Static

from campaignctl.domain.platforms import Platform
from campaignctl.tui.dialogs.dialog import Dialog
from campaignctl.tui.session import Session


@dataclass(frozen=True, slots=True)
class JobRequest:
    kind: str
    campaign_id: int
    body: dict[str, Any]

    @property
    def path(self) -> str:
        route = "fetch-data" if self.kind == "fetch" else "reaggregate"
        return f"/api/v1/campaigns/{self.campaign_id}/{route}"

    def question(self) -> list[str]:
        """What is about to be done, and the command line that does the same."""
        body = self.body
        flags = [f"--{name.replace('_', '-')} {body[name]}" for name in ("start_date", "end_date") if name in body]
        days = f"from {body.get('start_date', 'the first day')} to {body.get('end_date', 'the last day')}"
        if self.kind == "fetch":
            platforms = body.get("platforms", [])
            what = (
                f"Fetch the reports of campaign {self.campaign_id} from {', '.join(platforms) or 'all its platforms'}?"
            )
            days = days if flags else "the days that each platform may still restate"
            flags = [f"--platform {one}" for one in platforms] + flags
        elif body["dry_run"]:
            what = f"Count campaign {self.campaign_id} again and compare, changing nothing?"
            flags.append("--dry-run")
        else:
            what = f"Make the sums of campaign {self.campaign_id} equal its raw records?"
        days = (
            days if self.kind == "fetch" or "start_date" in body or "end_date" in body else "all days with raw records"
        )
        return [what, days, f"$ campaignctl {self.kind} --campaign {self.campaign_id} {' '.join(flags)}".rstrip()]


class StartJob(Dialog[JobRequest | None]):
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", "Close")]

    def __init__(self, session: Session, kind: str) -> None:
        super().__init__()
        self._session, self._kind = session, kind
        self._campaign = Input(str(session.campaign_id or ""), id="campaign", type="integer")
        first = "the look-back window" if kind == "fetch" else "the first with raw records"
        self._first_day = Input(placeholder=f"YYYY-MM-DD; empty: {first}", id="start_date")

    def compose(self) -> ComposeResult:
        fetch = self._kind == "fetch"
        with Vertical(classes="dialog form"):
            yield Label("Fetch reports" if fetch else "Re-aggregate a campaign", classes="dialog-title")
            yield from _row("Campaign", self._campaign)
            yield from _row("First day", self._first_day)
            yield from _row("Last day", Input(placeholder="YYYY-MM-DD; empty: the newest", id="end_date"))
            if fetch:
                yield from _row(
                    "Platforms", Input(placeholder="meta, google ...; empty: all of its links", id="platforms")
                )
            else:
                yield Checkbox("Count and compare, change nothing", value=True, id="dry-run")
            yield Static(id="problem")
            with Horizontal(classes="dialog-buttons"):
                yield Button("Close (esc)", id="no")
                yield Button("Go on", id="go", variant="primary")

    def on_mount(self) -> None:
        (self._campaign if self._session.campaign_id is None else self._first_day).focus()

    def on_button_pressed(self, event: Button.Pressed) -> None:
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self._go()

    def on_input_submitted(self) -> None:
        self._go()

    def _go(self) -> None:
        try:
            self.dismiss(self._request())
        except ValueError as problem:
            self.query_one("#problem", Static).update(Text(str(problem), "bold"))

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _request(self) -> JobRequest:
        """What the form says; ``ValueError`` names the line that is wrong."""
        number = self._value("campaign")
        if not number.isdigit() or int(number) < 1:
            raise ValueError("Campaign: must be the number of a campaign")
        body: dict[str, Any] = {}
        for name, label in (("start_date", "First day"), ("end_date", "Last day")):
            if text := self._value(name):
                body[name] = _day(text, label)
        if "start_date" in body and "end_date" in body and body["end_date"] < body["start_date"]:
            raise ValueError("Last day: must not lie before the first")
        if self._kind == "fetch":
            if wanted := self._value("platforms").lower().replace(",", " ").split():
                if unknown := [one for one in wanted if one not in set(Platform)]:
                    raise ValueError(f"Platforms: {unknown[0]} is none of {', '.join(Platform)}")
                body["platforms"] = wanted
        else:
            body["dry_run"] = self.query_one("#dry-run", Checkbox).value
        return JobRequest(self._kind, int(number), body)


def _day(text: str, label: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ValueError(f"{label}: must be a day such as 2026-10-31") from None


def _row(label: str, field: Input) -> ComposeResult:
    with Horizontal(classes="form-row"):
        yield Label(label)
        yield field
