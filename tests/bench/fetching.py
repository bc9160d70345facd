"""Fetching whole: many campaigns on four platforms, their reports of 30 days, from a sandbox in a process of its own.

``python -m tests.bench.fetching CAMPAIGNS DIRECTORY`` asks for a fetch of each account, as the schedule does, and has the
jobs done by the product's own worker. Prints one line of JSON: of each platform how long its fetch took, what of that
the client spent in calls and in waiting for its pace or a quota, and what is left: reading rows, and having them landed.
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
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from campaignctl.adapters.clock import SystemClock
from campaignctl.sandbox import natives
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.platforms.desk import Answer, Call, Handler, PlatformServer
from campaignctl.sandbox.server import Sandbox, base_urls
from campaignctl.sandbox.serving import serve
from campaignctl.sandbox.world import SandboxCampaign
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
_LOOK_EVERY_S = 0.1
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
    """Add up the CPU milliseconds of each platform's handlers."""
    route = PlatformServer.route

    def timed(self: PlatformServer, path: str, handler: Handler, kind: str, *methods: str) -> Any:
        def measured(call: Call) -> Answer:
            began_s = time.thread_time()
            answer = handler(call)
            busy[self.name] += round((time.thread_time() - began_s) * 1_000_000)
            return answer

        return route(self, path, measured, kind, *methods)

    PlatformServer.route = timed  # type: ignore[method-assign]


def _tell_when_asked(busy: "Counter[str]") -> None:
    for _ in sys.stdin:
        sys.stdout.write(json.dumps(busy) + "\n")
        sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGTERM)  # whoever measures is gone


# ---- the client


def fetch(campaigns: int, directory: Path) -> dict[str, Any]:
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
        return {
            "seconds": usage.seconds,
            "cpu_s": usage.cpu_s,
            "rise_mib": max(usage.rss_mib) - usage.rss_mib[0],
            "sandbox_cpu_s": served.cpu_s,
            "platforms": {
                name: _shares(name, told, seconds) | {"handlers_s": busy()[name] / 1e6}
                for name, seconds in platforms.items()
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


def _fetched(thread: Thread, connected: list[int]) -> dict[str, float]:
    """Ask for all of every account, as the schedule does; answers the seconds until each was through."""
    today = datetime.now(UTC).date()
    accounts = [one for one in map(thread.app.metadata.account, connected) if one is not None]
    began_s, taken = time.monotonic(), dict[str, float]()
    jobs = {
        one.platform.value: thread.app.fetching.submit_account(one, today - timedelta(days=DAYS), today - _DAY)
        for one in accounts
    }
    while len(taken) < len(jobs):
        if time.monotonic() - began_s > _WITHIN_S:
            raise SystemExit("the fetch does not end")
        for name, job in jobs.items():
            told = thread.api.get(f"/api/v1/jobs/{job.id}").json()
            if name not in taken and told["finished_at"] is not None:
                taken[name] = time.monotonic() - began_s
                if told["status"] != "succeeded":
                    raise SystemExit(f"{name}: {told}")
        time.sleep(_LOOK_EVERY_S)
    return taken


def _shares(name: str, told: PlatformTotals, seconds: float) -> dict[str, float]:
    calls = sum(count for (of, _), count in told.requests.items() if of == name)
    waited_s = {reason: told.wait_s[name, reason] for reason in ("pace", "quota", "retry")}
    return {
        "seconds": seconds,
        "calls": calls,
        "rows": told.rows[name],
        "latency_s": calls * LATENCY_S,
        "in_calls_s": told.request_s[name],
        **{f"{reason}_s": value for reason, value in waited_s.items()},
        "rest_s": seconds - told.request_s[name] - sum(waited_s.values()),
    }


if __name__ == "__main__":
    if sys.argv[1] == "sandbox":
        sandbox(int(sys.argv[2]))
    else:
        print(json.dumps(fetch(int(sys.argv[1]), Path(sys.argv[2]))))
