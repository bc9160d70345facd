"""The two status lines: how fresh the screen is, and what the numbers are."""

from datetime import datetime

from rich.text import Text
from textual.widgets import Static

from campaignctl.tui.snapshot import Connection, Link, Snapshot

_STYLES = {
    Connection.LIVE: "bold black on green",
    Connection.STALE: "bold black on yellow",
    Connection.OFFLINE: "bold white on red",
    Connection.REFUSED: "bold white on red",
    Connection.SIGNED_OUT: "bold white on red",
    Connection.PAUSED: "bold black on cyan",
    Connection.WAITING: "bold black on yellow",
}


class ConnectionLine(Static):
    """``LIVE  as of 12:00:05 (2 s)  context``: never claims more than the last reading shows."""

    def show(self, link: Link, snapshot: Snapshot | None, context: str, now_s: float, interval_s: float) -> None:
        state = link.state(now_s, interval_s)
        label = f" {state.value} "
        if state is Connection.STALE:
            label = f" STALE {link.age_s(now_s)} s "
        elif state is Connection.OFFLINE:
            label = f" OFFLINE retry in {max(0, round(link.retry_at_s - now_s))} s "
        text = Text.assemble((label, _STYLES[state]), "  ", no_wrap=True, overflow="ellipsis")
        if snapshot is not None:
            text.append(f"as of {_clock(snapshot.taken_at)} ({link.age_s(now_s)} s)  ", "bold")
        text.append(context, "dim")
        if link.failures:
            text.append(f"  {link.reason}", "red")
        self.update(text)


class AboutNumbers(Static):
    """Freshness by platform, warnings, and the command line that shows the same."""

    def show(self, snapshot: Snapshot) -> None:
        text = Text(no_wrap=True, overflow="ellipsis")
        for fresh in snapshot.table.get("freshness", ()):
            last = fresh.get("last_event_at")
            text.append(f"{fresh['platform']} ", "bold")
            text.append(f"{_age(last, snapshot.taken_at)}  " if last else "no data  ", "dim")
        for warning in snapshot.table.get("warnings", ()):
            text.append(f"⚠ {warning['code']}  ", "yellow")
        text.append(f"\n$ {snapshot.view.command_line()}", "dim italic")
        self.update(text)


def _clock(moment: datetime) -> str:
    return f"{moment.astimezone():%H:%M:%S}"


def _age(last: str, now: datetime) -> str:
    seconds = max(0, int((now - datetime.fromisoformat(last)).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"
