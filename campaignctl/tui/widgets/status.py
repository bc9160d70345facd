"""The status lines: how fresh the screen is, and what the numbers are."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from campaignctl.telemetry import one_line
from campaignctl.tui.link import Connection, Link
from campaignctl.tui.look import FINALITY_ORDER, Look
from campaignctl.tui.session import Session
from campaignctl.tui.widgets.line import Line
from campaignctl.tui.widgets.numbers import age

_MEANINGS = {
    Connection.LIVE: "good",
    Connection.STALE: "warn",
    Connection.PAUSED: "accent",
    Connection.WAITING: "warn",
}


class ConnectionLine(Line):
    """``LIVE  as of 12:00:05 (2 s)``: never claims more than the last reading shows.

    ``behind``: the reading on the screen is none of what was asked last.
    """

    FADES = False

    def show(self, link: Link, session: Session, interval_s: float, look: Look, *, behind: bool = False) -> None:
        now_s = session.monotonic_s()
        state = link.state(now_s, interval_s)
        label = f" {state.value} "
        if state is Connection.STALE:
            label = f" STALE {link.age_s(now_s)} s "
        elif state is Connection.OFFLINE:
            label = f" OFFLINE retry in {max(0, round(link.retry_at_s - now_s))} s "
        text = Text(no_wrap=True, overflow="ellipsis")
        text.append(label, f"bold reverse {look.style(_MEANINGS.get(state, 'bad'))}")
        if link.read_at_s is not None:
            taken_at = session.now().timestamp() - (now_s - link.read_at_s)
            clock = datetime.fromtimestamp(taken_at).astimezone()
            text.append(f"  as of {clock:%H:%M:%S} ({link.age_s(now_s)} s)")
        if behind and not link.failures:
            text.append("  space asks what was chosen" if link.paused else "  reading what was asked ...", look.warn)
        if link.failures:
            text.append(f"  {one_line(link.reason)}", look.bad)
            if link.hint and state is Connection.SIGNED_OUT:
                text.append(f"  {one_line(link.hint)}")
        self.put(text)


class Trouble(Line):
    """Where there is no reading yet to keep on the screen: why there is none, and what to do."""

    FADES = False

    def show(self, link: Link, look: Look, *, nothing_read: bool) -> None:
        self.display = nothing_read and link.failures > 0
        if self.display:
            text = Text(f"{one_line(link.reason)}\n", f"bold {look.bad}")
            text.append(f"{one_line(link.hint)}\n" if link.hint else "", "not bold")
            text.append("It is tried again by itself, and at once with r.", "not bold dim")
            self.put(text)


class AboutNumbers(Line):
    """What the numbers of an insights answer are: how final, how fresh by platform, and what to be warned of."""

    def show(self, body: Mapping[str, Any], now: datetime, look: Look) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        words = {str(row["finality"]) for row in body.get("rows", ())}
        if words:
            weakest = min(words, key=lambda word: FINALITY_ORDER.index(word) if word in FINALITY_ORDER else 0)
            text.append("totals ", "dim").append_text(look.finality(weakest)).append("   ")
        for fresh in body.get("freshness", ()):
            newest = max((at for at in (fresh.get("last_event_at"), fresh.get("last_report_at")) if at), default=None)
            text.append(f"{fresh['platform']} ", "bold")
            text.append(f"{age(newest, now)}   ", "dim")
        for warning in body.get("warnings", ()):
            text.append(f"▲ {warning['code']}  ", look.warn)
        self.put(text)
