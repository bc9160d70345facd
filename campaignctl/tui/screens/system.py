"""The installation: how far counting is behind, how fast it goes, and what it depends on."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Sparkline, Static

from campaignctl.errors import Forbidden
from campaignctl.tui.look import Look, heading, plain, right
from campaignctl.tui.polled import PolledScreen
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.keyed_table import Col, KeyedTable
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.numbers import NOT_GIVEN, exact, lasting, short

_REMEMBERED = 120
_DEPENDENCIES = (
    Col("name", "dependency"), Col("status", "status", width=12), Col("latency", "ms", True, width=9),
    Col("detail", "detail"),
)  # fmt: skip
_PARTITIONS = (
    Col("partition", "partition", True), Col("committed", "applied up to", True), Col("end", "log ends at", True),
    Col("waiting", "waiting", True), Col("oldest", "oldest waits", True),
)  # fmt: skip
_FIGURES = (
    ("lag", "WAITING"),
    ("in", "TAKEN IN /S"),
    ("out", "COUNTED /S"),
    ("dead", "DEAD LETTERS"),
)


@dataclass(frozen=True, slots=True)
class SystemReading:
    health: Mapping[str, Any]
    """The body of ``GET /health``: everybody may see it."""
    system: Mapping[str, Any] | None
    """The body of ``GET /system``; None for whoever may not."""


class SystemScreen(PolledScreen[None, SystemReading]):
    NAME = "system"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("d", "app.go('letters')", "Dead letters")]

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._lag: deque[float] = deque(maxlen=_REMEMBERED)
        self._rate: deque[float] = deque(maxlen=_REMEMBERED)

    def body(self) -> ComposeResult:
        yield Line(id="system-line", classes="view-line")
        with Horizontal(id="figures"):
            for name, _ in _FIGURES:
                yield Line(id=f"figure-{name}", classes="tile")
        with Horizontal(id="sparks"):
            with Vertical():
                yield Static(heading("Waiting", "since this screen was opened"))
                yield Sparkline([], id="spark-lag")
            with Vertical():
                yield Static(heading("Counted per second"))
                yield Sparkline([], id="spark-rate")
        yield KeyedTable(id="dependencies")
        yield Static(heading("Partitions of the event log"), id="partitions-title")
        yield KeyedTable(id="partitions")
        yield Line(id="cache")

    def question(self) -> None:
        return None

    def read(self, question: None) -> SystemReading:
        health = self.session.reader.health()
        try:
            system = self.session.reader.get("/api/v1/system")
        except Forbidden:
            system = None
        return SystemReading(health, system)

    def taken(self, question: None, reading: SystemReading) -> bool:
        if reading.system is not None and reading.system["lag"] is not None:
            self._lag.append(float(reading.system["lag"]["lag_records"]))
            self._rate.append(float(reading.system["rates"]["applied_per_second"] or 0.0))
        return True

    def paint(self, reading: SystemReading) -> None:
        look, system = self.look, reading.system
        text = Text(no_wrap=True, overflow="ellipsis").append("campaignctl ", "bold")
        text.append(f"{(system or {}).get('version', '')}  ").append_text(look.status(str(reading.health["status"])))
        if system is None:
            text.append("   lag, rates and dead letters need the role operator", look.warn)
        self.query_one("#system-line", Line).put(text)
        self._figures(system or {}, look)
        self.query_one("#spark-lag", Sparkline).data = _filled(self._lag)
        self.query_one("#spark-rate", Sparkline).data = _filled(self._rate)
        checks = (system or {}).get("dependencies") or reading.health["checks"]
        rows = {name: _check(name, check, look) for name, check in checks.items()}
        self.query_one("#dependencies", KeyedTable).show(_DEPENDENCIES, rows)
        parts = ((system or {}).get("lag") or {}).get("partitions", ())
        self.query_one("#partitions", KeyedTable).show(_PARTITIONS, {str(p["partition"]): _partition(p) for p in parts})
        self.query_one("#cache", Line).put(self._cache())

    def _figures(self, system: Mapping[str, Any], look: Look) -> None:
        lag, rates, letters = system.get("lag"), system.get("rates") or {}, system.get("dead_letters")
        records = None if lag is None else lag["lag_records"]
        oldest = "" if lag is None else f"oldest waits {lasting(lag['lag_seconds'])}" if records else "nothing waits"
        window = rates.get("window_seconds")
        over = f"over {lasting(window)}" if window else "not watched long enough"
        notes = {
            "lag": oldest,
            "in": over if system else "",
            "out": over if system else "",
            "dead": "all that are kept",
        }
        values = {
            "lag": short(records),
            "in": short(rates.get("appended_per_second"), 1),
            "out": short(rates.get("applied_per_second"), 1),
            "dead": short(None if letters is None else letters["records"]),
        }
        warns = {"lag": bool(records), "dead": bool(letters and letters["records"])}
        for name, title in _FIGURES:
            text = Text(no_wrap=True, overflow="ellipsis").append(f"{title}\n", "dim")
            text.append(f"{values[name]}\n", f"bold {look.warn}" if warns.get(name) else "bold").append(
                notes[name], "dim"
            )
            self.query_one(f"#figure-{name}", Line).put(text)

    def _cache(self) -> Text:
        """Who answered what this dashboard asked."""
        names = {"l1": "process", "l2": "shared", "miss": "store", "stale": "stale", "unchanged": "unchanged (304)"}
        counts = self.session.reader.answered_by
        text = Text("Cache  ", "bold", no_wrap=True, overflow="ellipsis")
        text.append("insights of this screen answered by  " if counts else "no insights asked yet", "not bold dim")
        for key, title in names.items():
            if counts[key]:
                text.append(f"{title} ", "not bold dim").append(f"{counts[key]:,}   ", "not bold")
        return text

    def command_line(self) -> str:
        known_not_to = self.session.who is not None and not self.session.may_operate
        return "campaignctl doctor" if known_not_to else "campaignctl lag; campaignctl doctor"


def _filled(values: Iterable[float]) -> list[float]:
    """With zeros before the first, so that a line moves to the left and never stretches."""
    known = list(values)
    return [0.0] * (_REMEMBERED - len(known)) + known


def _check(name: str, check: Mapping[str, Any], look: Look) -> list[Text]:
    return [
        Text(name),
        look.status(str(check["status"])),
        right(exact(check["latency_ms"], 1)),
        plain(check.get("detail") or "", "dim"),
    ]


def _partition(one: Mapping[str, Any]) -> list[Text]:
    committed = one["committed"]
    return [
        right(str(one["partition"])),
        right(NOT_GIVEN if committed is None else f"{committed:,}"),
        right(f"{one['end']:,}"),
        right(f"{one['lag_records']:,}"),
        right(lasting(one["lag_seconds"]) if one["lag_records"] else NOT_GIVEN),
    ]
