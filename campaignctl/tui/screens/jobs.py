"""Jobs: what runs, what is done, and how it ended; starting and cancelling one."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from campaignctl.domain.jobs import JobKind, JobStatus
from campaignctl.telemetry import one_line
from campaignctl.tui.dialogs.show_text import ShowText
from campaignctl.tui.dialogs.start_job import JobRequest, StartJob
from campaignctl.tui.look import Look, plain, right
from campaignctl.tui.pages import Pages
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.fading import FadingScroll
from campaignctl.tui.widgets.keyed_table import Col, KeyedTable
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.numbers import NOT_GIVEN, bar, lasting, moment

PATH = "/api/v1/jobs"
PAGE = 50
_BAR_COLUMNS = 8
_COLUMNS = (
    Col("job", "job", True), Col("status", "status", width=11), Col("kind", "kind", width=11),
    Col("campaign", "campaign", True), Col("progress", "progress", width=24), Col("took", "took", True, width=6),
    Col("created", "asked", width=12),
)  # fmt: skip
_OVER = frozenset(status.value for status in JobStatus if status.is_final)


@dataclass(frozen=True, slots=True)
class JobsQuestion:
    kind: str = ""
    status: str = ""
    cursor: str = ""

    def params(self) -> dict[str, str]:
        given = {"kind": self.kind, "status": self.status, "cursor": self.cursor}
        return {"limit": str(PAGE)} | {name: value for name, value in given.items() if value}


class JobsScreen(PolledScreen[JobsQuestion, Mapping[str, Any]]):
    NAME = "jobs"
    NEEDS_OPERATOR = frozenset({"start", "cancel"})
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("f", "start('fetch')", "Fetch reports"),
        Binding("a", "start('reaggregate')", "Re-aggregate"),
        Binding("x", "cancel", "Cancel job"),
        Binding("enter", "show", "Receipt", show=False),
        Binding("k", "step_kind", "Kind"),
        Binding("s", "step_status", "Status"),
        Binding("n", "page(1)", "Next page", show=False),
        Binding("N", "page(-1)", "Previous page", show=False),
    ]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.kind = self.status = ""
        self.pages = Pages()

    def body(self) -> ComposeResult:
        yield Line(id="jobs-line", classes="view-line")
        yield KeyedTable(id="jobs")
        with FadingScroll(id="job-about", can_focus=False):
            yield Line(id="job")

    def question(self) -> JobsQuestion:
        return JobsQuestion(self.kind, self.status, self.pages.cursor)

    def read(self, question: JobsQuestion) -> Mapping[str, Any]:
        body: Mapping[str, Any] = self.session.reader.get(PATH, question.params())
        return body

    def paint(self, reading: Mapping[str, Any]) -> None:
        look, now = self.look, self.session.now()
        self.pages.following = reading["next_cursor"]
        rows = {str(job["job_id"]): _cells(job, now, look) for job in reading["items"]}
        self.query_one(KeyedTable).show(_COLUMNS, rows)
        self._show_line()
        self._show_job()

    def _show_line(self) -> None:
        items = self.reading["items"] if self.reading else ()
        running = sum(job["status"] not in _OVER for job in items)
        text = Text("Jobs", "bold", no_wrap=True, overflow="ellipsis")
        text.append(f"  {self.kind or 'all kinds'}  {self.status or 'any status'}  {self.pages}", "not bold")
        if items:
            text.append(f"  {running} under way" if running else "  none under way", "not bold")
        elif self.reading is not None:
            none = "none of these" if self.kind or self.status else "none yet: f fetches reports, a re-aggregates"
            text.append(f"  {none}", "dim not bold")
        if self.session.who is not None and not self.session.may_operate:
            text.append("  starting one needs the role operator", f"not bold {self.look.warn}")
        self.query_one("#jobs-line", Line).put(text)

    def command_line(self) -> str:
        flags = [f"--kind {self.kind}" if self.kind else "", f"--status {self.status}" if self.status else ""]
        return " ".join(["campaignctl jobs list", *filter(None, flags)])

    @property
    def job(self) -> Mapping[str, Any] | None:
        """The one under the cursor."""
        key = self.query_one(KeyedTable).key_at_cursor
        items = self.reading["items"] if self.reading else ()
        return next((job for job in items if str(job["job_id"]) == key), None)

    def _show_job(self) -> None:
        job = self.job
        self.query_one("#job", Line).put(Text("") if job is None else _about(job, self.look))

    # What the keys do

    def on_data_table_row_highlighted(self) -> None:
        self._show_job()

    def on_data_table_row_selected(self, event: DataTable.RowSelected) -> None:
        self.action_show()

    def action_show(self) -> None:
        if (job := self.job) is not None:
            self.app.push_screen(ShowText(f"Job {job['job_id']}", Text(json.dumps(job, indent=2, ensure_ascii=False))))

    def action_step_kind(self) -> None:
        self.kind = _next(self.kind, ("", *JobKind))
        self._from_the_start()

    def action_step_status(self) -> None:
        self.status = _next(self.status, ("", *JobStatus))
        self._from_the_start()

    def _from_the_start(self) -> None:
        self.pages = Pages()
        self._show_line()
        self.poll_soon()

    def action_page(self, by: int) -> None:
        if self.pages.turn(by):
            self._show_line()
            self.poll_soon()

    def action_start(self, kind: str) -> None:
        def filled(request: JobRequest | None) -> None:
            if request is not None:
                self.ask_first(*request.question(), then=lambda: self._start(request))

        self.app.push_screen(StartJob(self.session, kind), filled)

    def _start(self, request: JobRequest) -> None:
        self.kind = self.status = ""
        self.pages = Pages()
        self.act(lambda: self.session.reader.post(request.path, request.body), self._started)

    def _started(self, job: Mapping[str, Any]) -> None:
        self.notify(f"Job {job['job_id']} is {job['status']}", title="Started", markup=False)
        self.query_one(KeyedTable).move_cursor(row=0, animate=False)

    def action_cancel(self) -> None:
        job = self.job
        if job is None or job["status"] in _OVER:
            self.notify("Only a job that is under way can be cancelled", severity="warning")
            return
        number = job["job_id"]
        what = f"Cancel job {number}, {job['kind']} of campaign {job['campaign_id'] or NOT_GIVEN}?"
        note = "A queued job ends at once, a running one at its next step; what it has done stays done."
        self.ask_first(what, note, then=lambda: self._cancel(number))

    def _cancel(self, number: int) -> None:
        self.act(lambda: self.session.reader.post(f"{PATH}/{number}/cancel"), self._cancelled)

    def _cancelled(self, job: Mapping[str, Any]) -> None:
        self.notify(f"Job {job['job_id']} is {job['status']}", title="Cancelled", markup=False)


def _next(value: str, choices: tuple[str, ...]) -> str:
    return str(choices[(choices.index(value) + 1) % len(choices)])


def _cells(job: Mapping[str, Any], now: datetime, look: Look) -> list[Text]:
    started, ended = job["started_at"], job["finished_at"]
    took_s = None
    if started:
        until = datetime.fromisoformat(ended) if ended else now
        took_s = max(0.0, (until - datetime.fromisoformat(started)).total_seconds())
    return [
        right(str(job["job_id"])),
        look.status(str(job["status"])),
        Text(str(job["kind"])),
        right(str(job["campaign_id"] or NOT_GIVEN)),
        _progress(job, look),
        right(lasting(took_s)),
        Text(moment(job["created_at"])),
    ]


def _progress(job: Mapping[str, Any], look: Look) -> Text:
    done, total, unit = job["progress"]["done"], job["progress"]["total"], job["progress"]["unit"]
    share = done / total if total else None
    text = Text(no_wrap=True)
    text.append(bar(1.0 if job["status"] == "succeeded" else share, _BAR_COLUMNS), look.accent)
    if total is not None or done:
        text.append(f" {done:,}" + (f"/{total:,}" if total is not None else "") + f" {unit}")
    return text


def _about(job: Mapping[str, Any], look: Look) -> Text:
    """What was asked, and how it ended, in a few lines."""
    text = Text.assemble((f"Job {job['job_id']}", "bold"), f"  {job['kind']}  ")
    asked = {name: value for name, value in job["params"].items() if value not in (None, [], "")}
    text.append(f"{_compact(asked)}\n", "dim")
    if job["error"] is not None:
        text.append(f"{job['error']['code']}: {one_line(job['error']['message'])}\n", look.bad)
    for name, value in (job["result"] or {}).items():
        if value not in (None, {}, []):
            text.append(f"{name} ", "dim").append(f"{_compact(value)}   ")
    if job["result"] is None and job["error"] is None:
        text.append("under way" if job["status"] not in _OVER else "no receipt", "dim")
    return text


def _compact(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_compact(one)}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(_compact, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int | float) else str(plain(value))
