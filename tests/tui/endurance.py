"""The dashboard in a real terminal while its API is stopped, frozen and started again: ``python -m tests.tui.endurance``.

``--minutes 10`` for as long; ``--servers`` with ``work`` and ``serve`` on the servers that the ``CA_`` variables name, else
``serve`` alone on embedded stores. Prints how soon keys are answered, how soon the screen says that the API is away,
when it is live again, and how much memory came along. A test runs a short form of it.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaignctl.api_client import ApiClient
from campaignctl.errors import CampaignctlError, Unavailable
from tests.support.program import Program
from tests.support.terminal import Terminal

_STATE = re.compile(r" (LIVE|STALE \d+ s|OFFLINE retry in \d+ s|REFUSED|SIGNED OUT|PAUSED|CONNECTING) ")
_AWAY = ("STALE", "OFFLINE")
_PATIENCE_S = 120.0
_DAYS = 60
"""The range that the dashboard begins with, and the one before that it is compared with."""
_METRICS = ("Spend", "Revenue", "Impressions", "Clicks", "Conversions")
_SCREENS = {
    "2": "campaigns show",
    "3": "jobs list",
    "4": " lag; ",
    "5": "dlq list",
    "1": " insights --campaign",
}
KEY_BAR_S, GROWTH_BAR_BYTES = 0.1, 10 * 1024 * 1024


@dataclass
class Figures:
    keys_s: list[float] = field(default_factory=list)
    """From a key to its answer on the screen."""
    queued_s: list[float] = field(default_factory=list)
    """For how much of that the dashboard was ready and waited for a processor that others had."""
    worked_s: list[float] = field(default_factory=list)
    """How long it had a processor for it: this one says the same on a machine that others use too."""
    away_after_s: list[float] = field(default_factory=list)
    """From the end of the API to the word that says so."""
    stale_after_s: list[float] = field(default_factory=list)
    """The same for one that is frozen: it takes calls and answers none."""
    live_after_s: list[float] = field(default_factory=list)
    """From an API that answers again to LIVE."""
    resident_bytes: list[int] = field(default_factory=list)
    """After each round."""

    @property
    def growth_bytes(self) -> int:
        """Since the end of the first round: by then every screen was there, and the API away and back."""
        return max(self.resident_bytes) - self.resident_bytes[0]

    @property
    def own_s(self) -> list[float]:
        """As on a machine where nobody else wants the processors."""
        return [max(0.0, all_of_it - queued) for all_of_it, queued in zip(self.keys_s, self.queued_s, strict=True)]

    def report(self) -> str:
        lines = [
            f"rounds        {len(self.resident_bytes)}",
            f"keys          {_keys(self.keys_s)}",
            f"  by itself   {_keys(self.own_s)}",
            f"  processor   {_keys(self.worked_s)}",
            f"API stopped   said after {_range(self.away_after_s)}",
            f"API frozen    STALE after {_range(self.stale_after_s)}",
            f"API is back   LIVE after {_range(self.live_after_s)}",
            f"memory        {self.resident_bytes[0] / 2**20:.1f} MiB after the first round, "
            f"{self.growth_bytes / 2**20:+.1f} MiB at most since",
        ]
        return "\n".join(lines)


def _keys(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    middle, late = ordered[len(ordered) // 2] * 1000, ordered[int(len(ordered) * 0.99)] * 1000
    over = sum(one > KEY_BAR_S for one in ordered)
    return (
        f"{len(ordered):,}: half within {middle:.0f} ms, 99 % within {late:.0f} ms, "
        f"the slowest {ordered[-1] * 1000:.0f} ms, {over} over {KEY_BAR_S * 1000:.0f} ms"
    )


def _range(seconds: Sequence[float]) -> str:
    return f"{min(seconds):.1f} to {max(seconds):.1f} s" if seconds else "not tried"


class Api:
    """``campaignctl serve`` on one port, with a ``work`` beside it where the stores are servers."""

    def __init__(self, program: Program) -> None:
        self._program = program
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._serve: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Comes back when it answers."""
        self._serve = self._start("serve", "--port", str(self.port))
        deadline_s = time.monotonic() + _PATIENCE_S
        with ApiClient(self.url, timeout_s=10.0) as client:
            while True:
                with suppress(Unavailable):
                    client.get("/health/ready")
                    return
                assert self._serve.poll() is None, self.log()
                assert time.monotonic() < deadline_s, self.log()
                time.sleep(0.05)

    def stop(self) -> None:
        assert self._serve is not None
        self._end(self._serve)
        self._serve = None

    def freeze(self) -> None:
        assert self._serve is not None
        os.killpg(self._serve.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._serve is not None
        os.killpg(self._serve.pid, signal.SIGCONT)

    def log(self) -> str:
        return (self._program.home / "serve.log").read_text(errors="replace")[-4000:]

    def _start(self, *arguments: str) -> subprocess.Popen[bytes]:
        with (self._program.home / f"{arguments[0]}.log").open("ab") as log:
            return subprocess.Popen(
                [*self._program.command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self._program.home,
                env=self._program.environment(),
                start_new_session=True,
            )

    @staticmethod
    def _end(process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
            raise

    @contextmanager
    def running(self, *, servers: bool) -> Iterator[None]:
        work = None
        try:
            if servers:
                self._program.run("init-schema")
                work = self._start("work")
            self.start()
            yield
        finally:
            for process in (self._serve, work):
                if process is not None and process.poll() is None:
                    self._end(process)


class Watcher:
    """Whoever sits before the dashboard: presses keys, reads the state, and notes how long each took."""

    def __init__(self, terminal: Terminal, figures: Figures, *, tells: bool) -> None:
        self._terminal, self._figures = terminal, figures
        self._metric = 0
        self.tells = tells

    def state(self) -> str:
        """The word on the screen now."""
        self._terminal.process.poll()
        found = _STATE.findall(self._terminal.text(self._terminal.position - 100_000))
        return found[-1] if found else ""

    def key(self, key: str, answer: str) -> None:
        ran_before_s, queued_before_s = self._terminal.scheduled_s()
        since = self._terminal.press(key)
        took_s = self._terminal.wait_for(answer, since, _PATIENCE_S)
        self._figures.keys_s.append(took_s)
        ran_s, queued_s = self._terminal.scheduled_s()
        self._figures.queued_s.append(queued_s - queued_before_s)
        self._figures.worked_s.append(ran_s - ran_before_s)
        if self.tells and took_s > KEY_BAR_S:
            print(
                f"  {key!r} took {took_s * 1000:.0f} ms, {self._figures.queued_s[-1] * 1000:.0f} of them queued, in {self.state()}",
                file=sys.stderr,
            )

    def metric(self) -> None:
        self._metric = (self._metric + 1) % len(_METRICS)
        # The plot itself, which is drawn after its title and the words beside that.
        self.key("m", rf"{_METRICS[self._metric]} by day[\s\S]*[\u2801-\u28ff]")

    def help(self) -> None:
        self.key("?", "On this screen")
        self.key("q", " insights --campaign")

    def every_screen(self) -> None:
        for key, answer in _SCREENS.items():
            self.key(key, answer)
            time.sleep(0.5)

    def until(self, *words: str, keys: bool = True) -> float:
        """Seconds until the state is one of them; goes on pressing keys meanwhile, as somebody does who looks."""
        begun_s = time.monotonic()
        while not self.state().startswith(words):
            assert time.monotonic() - begun_s < _PATIENCE_S, f"{words} never came: {self.state()}"
            if keys:
                self.metric()
            time.sleep(0.25)
        return time.monotonic() - begun_s

    def stay(self, seconds: float) -> None:
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.metric()
            self.help()
            self.every_screen()


def endure(
    home: Path,
    settings: dict[str, str],
    *,
    minutes: float,
    rounds: int,
    interval_s: float,
    servers: bool,
    tells: bool = False,
) -> Figures:
    """Rounds of all that happens to an API, for so long and at least so many."""
    figures = Figures()
    program = Program(home, settings)
    api = Api(program)
    with api.running(servers=servers), ApiClient(api.url, timeout_s=10.0) as nobody:
        sender = _registered(nobody, api.url)
        with sender:
            campaign = sender.post("/api/v1/campaigns", {"name": "Endurance", "currency": "USD"}).json()["id"]
            _send(sender, campaign, 400)
            for days_ago in range(1, _DAYS):  # a plot of one day would have no line
                _send(sender, campaign, 20, days_ago=days_ago)
            environment = program.environment() | {"CA_TOKEN": _token_of(sender)} if servers else program.environment()
            environment.pop("NO_COLOR")
            place = ["--api", api.url] if servers else []
            options = ["--interval", str(interval_s), "--campaign", str(campaign)]
            command = [*program.command, *place, "dashboard", *options]
            with Terminal(command, environment, home) as terminal:
                watcher = Watcher(terminal, figures, tells=tells)
                terminal.wait_for("Spend by day   ━[\\s\\S]*[\u2801-\u28ff]", 0, _PATIENCE_S)
                watcher.until("LIVE", keys=False)
                end_s = time.monotonic() + minutes * 60
                while time.monotonic() < end_s or len(figures.resident_bytes) < rounds:
                    _round(api, watcher, figures, interval_s)
                    _send(sender, campaign, 400)
                    figures.resident_bytes.append(terminal.resident_bytes())
                    print(
                        f"round {len(figures.resident_bytes)}: {figures.resident_bytes[-1] / 2**20:.1f} MiB",
                        file=sys.stderr,
                    )
                assert terminal.process.poll() is None
    return figures


def _round(api: Api, watcher: Watcher, figures: Figures, interval_s: float) -> None:
    watcher.stay(4 * interval_s)
    watcher.until("LIVE")

    api.stop()
    figures.away_after_s.append(watcher.until(*_AWAY))
    watcher.stay(5 * interval_s)
    watcher.until("OFFLINE")
    api.start()
    figures.live_after_s.append(watcher.until("LIVE"))

    watcher.stay(interval_s)
    watcher.until("LIVE")
    api.freeze()
    try:
        figures.stale_after_s.append(watcher.until("STALE"))
        watcher.stay(2 * interval_s)
    finally:
        api.thaw()
    figures.live_after_s.append(watcher.until("LIVE"))


def _registered(nobody: ApiClient, url: str) -> ApiClient:
    account = {"email": "ada@example.com", "password": "a long enough one"}
    with suppress(CampaignctlError):  # known from an earlier run on the same servers
        nobody.post("/api/v1/auth/register", account)
    return ApiClient(url, nobody.post("/api/v1/auth/login", account).json()["access_token"], timeout_s=30.0)


def _token_of(client: ApiClient) -> str:
    key = client.post("/api/v1/api-keys", {"name": f"endurance {time.time_ns()}", "scopes": ["operate"]})
    return str(key.json()["key"])


def _send(sender: ApiClient, campaign: int, count: int, *, days_ago: int = 0) -> None:
    at = datetime.now(UTC) - timedelta(days=days_ago)
    lines = [
        {"event_id": f"{time.time_ns()}-{n}", "campaign_id": campaign, "platform": ("meta", "google")[n % 2],
         "event_time": at.isoformat(), "impressions": 100 + n + days_ago, "clicks": (n + days_ago) % 7, "spend": f"1.{days_ago:02}", "revenue": n + days_ago,
         "conversions": (n + days_ago) % 3}
        for n in range(count)
    ]  # fmt: skip
    sender.send_events("\n".join(map(json.dumps, lines)).encode())


def main() -> int:
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("--minutes", type=float, default=10.0)
    arguments.add_argument("--interval", type=float, default=2.0, help="seconds between two readings")
    arguments.add_argument("--servers", action="store_true", help="on the servers that the CA_ variables name")
    given = arguments.parse_args()
    named = {
        name: value for name, value in os.environ.items() if name.startswith("CA_") and not name.startswith("CA_TEST_")
    }
    with tempfile.TemporaryDirectory(prefix="campaignctl-endurance-") as home:
        figures = endure(
            Path(home), named if given.servers else {}, minutes=given.minutes, rounds=1, interval_s=given.interval,
            servers=given.servers, tells=True,
        )  # fmt: skip
    print(figures.report())
    over = sorted(figures.own_s)[int(len(figures.own_s) * 0.99)] > KEY_BAR_S
    late = max((*figures.away_after_s, *figures.stale_after_s)) > 2 * given.interval + 1.0
    return int(over or late or figures.growth_bytes > GROWTH_BAR_BYTES)


if __name__ == "__main__":
    sys.exit(main())
