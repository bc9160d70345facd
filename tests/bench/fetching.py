"""Fetching whole: many campaigns on four platforms, their reports of 30 days, from a sandbox in a process of its own.

``python -m tests.bench.fetching CAMPAIGNS DIRECTORY`` asks for a fetch of each account, as the schedule does, and has the
jobs done by the product's own worker. Prints one line of JSON: of each platform how long its fetch took, and what of that
was whose: the simulated latency, the sandbox's own work, waiting for the client's pace or a quota, the client's CPU, the
stores, records that had to land, and what none of them explains.
"""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from campaignctl.adapters.ad_platforms.http import Caller
from campaignctl.adapters.analytics.report_answers import ReportAnswers
from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.jobs import JobStatus
from campaignctl.sandbox import natives
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.platforms import desk
from campaignctl.sandbox.platforms.desk import Answer, Call, Handler, PlatformServer
from campaignctl.sandbox.server import Sandbox, base_urls
from campaignctl.sandbox.serving import serve
from campaignctl.sandbox.world import SandboxCampaign
from campaignctl.services.fetch_accounts import AccountFetcher
from campaignctl.services.fetching import _PlatformWork
from campaignctl.services.platform_tally import PlatformTotals
from server.listening import bind
from tests.bench.usage import Processes, Usage
from tests.support.program import REPOSITORY
from tests.support.thread import Thread, open_thread
from worker.lifecycle import working

PLATFORMS: Final = ("meta", "google", "linkedin", "tiktok")
DAYS: Final = 30
LATENCY_S: Final = 0.05
_EVENTS_A_DAY = 20
_DAY = timedelta(days=1)
_LOOK_EVERY_S = 0.25
_WITHIN_S = 3_600.0


# ---- the sandbox


def sandbox(campaigns: int) -> None:
    """Serve so many campaigns until it is killed; the days are made before the first call."""
    running = tuple(
        SandboxCampaign(number, f"Bench {number}", "UTC", "USD", PLATFORMS, _EVENTS_A_DAY, 100)
        for number in range(1_000, 1_000 + campaigns)
    )
    vars(natives)["CAMPAIGNS"] = running  # before anything has asked for them
    now = datetime.now(UTC)
    world = World(1, now.date() - timedelta(days=DAYS + 3))
    made = Sandbox(world, SystemClock(), latency_s=LATENCY_S)
    for account in natives.accounts():
        for number in range(DAYS + 2):
            for level in (natives.CAMPAIGN, natives.GROUP):
                for native in natives.natives_in(account, level):
                    made.reported.total(native, now.date() - timedelta(days=number), now)
                    made.reported.countries(native, now.date() - timedelta(days=number), now)
    busy: Counter[str] = Counter()
    _time_handlers(busy)
    listener = bind("127.0.0.1", 0, named="--port")
    place = {
        "url": f"http://127.0.0.1:{listener.getsockname()[1]}",
        "accounts": [one.body() for one in natives.accounts() if one.currency == "USD"],
        "campaigns": [natives.campaign_body(one, world.first_day) for one in running],
    }
    sys.stdout.write(json.dumps(place) + "\n")
    sys.stdout.flush()
    threading.Thread(target=_tell_when_asked, args=(busy,), daemon=True).start()
    serve(made, listener)


def _time_handlers(busy: "Counter[str]") -> None:
    """Add up the CPU microseconds that each platform's answers cost: finding what they hold, and packing it."""
    route, packed, answering = PlatformServer.route, desk._response, ContextVar[str]("answering", default="")

    def counted(name: str, began_s: float) -> None:
        busy[name] += round((time.thread_time() - began_s) * 1_000_000)

    def timed(self: PlatformServer, path: str, handler: Handler, kind: str, *methods: str) -> Any:
        def measured(call: Call) -> Answer:
            answering.set(self.name)
            began_s = time.thread_time()
            answer = handler(call)
            counted(self.name, began_s)
            return answer

        return route(self, path, measured, kind, *methods)

    def response(call: Call, answer: Answer) -> Any:
        began_s = time.thread_time()
        made = packed(call, answer)
        counted(answering.get(), began_s)
        return made

    PlatformServer.route = timed  # type: ignore[method-assign]
    vars(desk)["_response"] = response


def _tell_when_asked(busy: "Counter[str]") -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(busy) + "\n")
        sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)  # whoever measures is gone


# ---- the client


def fetch(campaigns: int, directory: Path) -> dict[str, Any]:
    watch = Stopwatch()
    watch.look_at_fetches()
    with _sandbox(campaigns) as (place, process, busy):
        urls: dict[str, Any] = {}
        for name, url in base_urls(place["url"]).items():
            section, _, key = name.partition(".")
            urls.setdefault(section, {})[key] = url
        # The schedule would fetch other windows of the same accounts beside these.
        with open_thread(directory, fetch={"recent_every": timedelta(0)}, **urls) as thread:
            connected = [thread.api.post("/api/v1/accounts", one).json()["id"] for one in place["accounts"]]
            thread.create(place["campaigns"])
            with working(thread.app), Processes([process.pid]) as served, Usage() as usage:
                platforms = _fetched(thread, connected)
            told = thread.app.platform_tally.totals()
            answering = busy()
        return {
            "seconds": usage.seconds,
            "cpu_s": usage.cpu_s,
            "rise_mib": max(usage.rss_mib) - usage.rss_mib[0],
            "sandbox_cpu_s": served.cpu_s,
            "platforms": {
                name: _shares(name, told, watch, one, answering[name] / 1e6) for name, one in platforms.items()
            },
        }


@contextmanager
def _sandbox(
    campaigns: int,
) -> Iterator[tuple[dict[str, Any], "subprocess.Popen[str]", Callable[[], dict[str, int]]]]:
    command = [sys.executable, "-m", "tests.bench.fetching", "sandbox", str(campaigns)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, bufsize=1
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def busy() -> dict[str, int]:
        stdin.write("\n")
        stdin.flush()
        found: dict[str, int] = Counter(json.loads(stdout.readline()))
        return found

    try:
        yield json.loads(stdout.readline()), process, busy
    finally:
        process.kill()
        process.wait(20)


@dataclass
class Fetched:
    """One platform's fetch."""

    seconds: float
    """From when it was asked for until it was through."""
    queued_s: float
    """Of these until a worker took it up."""


def _fetched(thread: Thread, connected: list[int]) -> dict[str, Fetched]:
    """Ask for all of every account, as the schedule does; answers when each was through."""
    today = datetime.now(UTC).date()
    accounts = [one for one in map(thread.app.metadata.account, connected) if one is not None]
    began_s, taken = time.monotonic(), dict[str, Fetched]()
    jobs = {
        one.platform.value: thread.app.fetching.submit_account(one, today - timedelta(days=DAYS), today - _DAY)
        for one in accounts
    }
    while len(taken) < len(jobs):
        if time.monotonic() - began_s > _WITHIN_S:
            raise SystemExit("the fetch does not end")
        for name, job in jobs.items():
            told = None if name in taken else thread.app.metadata.job(job.id)
            if told is not None and told.finished_at is not None and told.started_at is not None:
                if told.status is not JobStatus.SUCCEEDED:
                    raise SystemExit(f"{name}: {told}")
                since = told.finished_at - told.created_at, told.started_at - told.created_at
                taken[name] = Fetched(*(one.total_seconds() for one in since))
        time.sleep(_LOOK_EVERY_S)
    return taken


class Stopwatch:
    """Seconds and CPU seconds of the threads that fetch, by platform and what they were at."""

    def __init__(self) -> None:
        self._taken: Counter[tuple[str, str]] = Counter()
        self._cpu: Counter[tuple[str, str]] = Counter()
        self._for_cpu: Counter[tuple[str, str]] = Counter()

    def look_at_fetches(self) -> None:
        """From now on, in this process."""
        for owner, name, at in (
            (_PlatformWork, "run", "run"),
            (Caller, "_once", "calls"),
            (AccountFetcher, "_until_landed", "landing"),
            (SQLiteMetadata, "add_page", "stores"),
            (SQLiteMetadata, "complete_window", "stores"),
            (SQLiteMetadata, "hold_account", "stores"),
            (EmbeddedEventLog, "produce", "stores"),
            (ReportAnswers, "standing_slices", "stores"),
        ):
            setattr(owner, name, self._timed(getattr(owner, name), at))

    def _timed(self, act: Callable[..., Any], at: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            kind, _, platform = threading.current_thread().name.partition(" ")
            if kind != "fetch":
                return act(*args, **kwargs)
            began_s, began_cpu_s, began_for_cpu_s = time.monotonic(), time.thread_time(), _waited_for_cpu_s()
            try:
                return act(*args, **kwargs)
            finally:
                self._for_cpu[platform, at] += _waited_for_cpu_s() - began_for_cpu_s  # type: ignore[assignment]
                self._taken[platform, at] += time.monotonic() - began_s  # type: ignore[assignment]
                self._cpu[platform, at] += time.thread_time() - began_cpu_s  # type: ignore[assignment]

        return timed

    def seconds(self, platform: str, at: str) -> float:
        return float(self._taken[platform, at])

    def cpu_s(self, platform: str, at: str) -> float:
        return float(self._cpu[platform, at])

    def for_cpu_s(self, platform: str, at: str) -> float:
        return float(self._for_cpu[platform, at])


def _waited_for_cpu_s() -> float:
    """How long this thread could have run so far, and had no processor."""
    return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9


def _shares(
    name: str, told: PlatformTotals, watch: Stopwatch, fetched: Fetched, answering_s: float
) -> dict[str, float]:
    """Of a fetch's seconds, whose they were; all but ``seconds``, ``calls`` and ``rows`` add up to ``seconds``."""
    calls = sum(count for (of, _), count in told.requests.items() if of == name)
    explained = {
        "queued_s": fetched.queued_s,
        "latency_s": calls * LATENCY_S,
        "sandbox_s": answering_s,
        "waits_s": sum(told.wait_s[name, reason] for reason in ("pace", "quota", "retry")),
        "client_s": watch.cpu_s(name, "run") - watch.cpu_s(name, "stores") - watch.cpu_s(name, "landing"),
        "stores_s": watch.seconds(name, "stores"),
        "landing_s": watch.seconds(name, "landing"),
        "for_cpu_s": sum(
            sign * watch.for_cpu_s(name, at) for at, sign in (("run", 1), ("stores", -1), ("landing", -1))
        ),
    }
    rest_s = fetched.seconds - sum(explained.values())
    return {"seconds": fetched.seconds, "calls": calls, "rows": told.rows[name], **explained, "rest_s": rest_s}


if __name__ == "__main__":
    if sys.argv[1] == "sandbox":
        sandbox(int(sys.argv[2]))
    else:
        print(json.dumps(fetch(int(sys.argv[1]), Path(sys.argv[2]))))
