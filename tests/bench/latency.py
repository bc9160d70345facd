"""How long an answer takes, in a process of its own: ``python -m tests.bench.latency EVENTS_FILE DIRECTORY``.

One client asks one question after the other over a kept connection. Each kind of answer stands beside what it cannot
be faster than: a trivial route for cached answers, the bare statement for computed ones. Kinds take turns, three rounds.

Prints one line of JSON: milliseconds by kind.
"""

import http.client
import json
import re
import statistics
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qs, urlsplit

from campaignctl.bootstrap import App
from campaignctl.domain.users import Actor
from server.app import serve
from tests.bench.events import CAMPAIGNS, DAYS
from tests.bench.ingest import through_log
from tests.support.thread import open_thread

ROUNDS = 3
TIMES = 60
"""Of each kind in a round."""
_TRIES = 5
TOKEN = "an-operators-token-that-is-long-enough-for-anything"
_TODAY = datetime.now(UTC).date()


class Asker:
    """Asks over one connection and times each answer."""

    def __init__(self, app: App, port: int, token: str = TOKEN) -> None:
        """``app`` stands on the stores that the server at the port answers from, and may be the server's own."""
        self._app = app
        self._token = token
        self._connection = http.client.HTTPConnection("127.0.0.1", port)
        self._asked = 0
        self.answered_by = ""
        """What the last answer came from, as ``X-Cache`` says."""

    def hang_up(self) -> None:
        """Ask the next question over another connection: a server closes one that was idle."""
        self._connection.close()

    def trivial(self) -> float:
        return self.timed("/health/live", {})[0]

    def cached(self) -> float:
        return self.timed(_question(1, 10_000), {})[0]

    def unchanged(self) -> float:
        _, etag = self.timed(_question(1, 10_000), {})
        return self.timed(_question(1, 10_000), {"If-None-Match": etag}, status=304)[0]

    def computed(self) -> float:
        """Days by platform: sums of the rollup."""
        return self.timed(self._fresh(""), {})[0]

    def computed_from_raw(self) -> float:
        """Hours by platform: sums of raw rows."""
        return self.timed(self._fresh("&granularity=hourly"), {})[0]

    def bare(self) -> float:
        return self.bare_statement("sums_by_day", self._fresh(""))

    def bare_of_raw(self) -> float:
        return self.bare_statement("sums_by_time", self._fresh("&granularity=hourly"))

    def bare_statement(self, method: str, path: str) -> float:
        """The store's answer to what a question asked it by that method, asked once more."""
        asked: list[tuple[Any, ...]] = []
        store = type(self._app.analytics)
        right: Callable[..., Any] = getattr(store, method)

        def remember(*arguments: Any) -> Any:
            asked.append(arguments)
            return right(*arguments)

        address = urlsplit(path)
        one = re.search(r"/campaigns/(\d+)/", address.path)
        with patch.object(store, method, remember):
            self._app.insights.run(
                parse_qs(address.query), Actor.machine_operator(), campaign_id=None if one is None else int(one[1])
            )
        started_s = time.perf_counter()
        right(*asked[0])
        return time.perf_counter() - started_s

    def _fresh(self, more: str) -> str:
        """A question that nobody has asked before."""
        self._asked += 1
        return _question(1 + self._asked % CAMPAIGNS, 9_999 - self._asked) + more

    def from_level(self, level: str, path: str) -> float:
        """Seconds that the answer took; asked again while something else answers than what ``X-Cache`` shall say."""
        for _ in range(_TRIES):
            seconds, _etag = self.timed(path, {})
            if self.answered_by == level:
                return seconds
        raise RuntimeError(f"{path}: {self.answered_by}, not {level}")

    def timed(self, path: str, headers: dict[str, str], status: int = 200) -> tuple[float, str]:
        """Seconds that the answer took, and its ETag."""
        started_s = time.perf_counter()
        self._connection.request("GET", path, headers={"Authorization": f"Bearer {self._token}"} | headers)
        response = self._connection.getresponse()
        response.read()
        seconds = time.perf_counter() - started_s
        if response.status != status:
            raise RuntimeError(f"{path}: {response.status}")
        self.answered_by = response.headers.get("X-Cache", "")
        return seconds, response.headers.get("ETag", "")


def _question(campaign: int, limit: int) -> str:
    first = (_TODAY - timedelta(days=DAYS)).isoformat()
    return f"/api/v1/campaigns/{campaign}/insights?start_date={first}&group_by=platform&limit={limit}"


@contextmanager
def serving(app: App) -> Iterator[int]:
    """The API on a free port, in a thread; answers the port."""
    ports: list[int] = []
    stops: list[Callable[[], None]] = []
    bound = threading.Event()

    def on_bound(host: str, port: int) -> None:
        ports.append(port)
        bound.set()

    def run() -> None:
        serve(app, host="127.0.0.1", port=0, operator_token=TOKEN, on_bound=on_bound, on_server=stops.append)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    bound.wait(30)
    try:
        yield ports[0]
    finally:
        stops[0]()
        thread.join(30)


def main() -> int:
    file, directory = Path(sys.argv[1]), Path(sys.argv[2])
    with open_thread(directory) as thread:
        thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
        through_log(thread, file)
        with serving(thread.app) as port:
            asker = Asker(thread.app, port)
            kinds: dict[str, Callable[[], float]] = {
                "trivial route": asker.trivial,
                "unchanged (304)": asker.unchanged,
                "cached": asker.cached,
                "computed, days": asker.computed,
                "bare statement, days": asker.bare,
                "computed, hours": asker.computed_from_raw,
                "bare statement, hours": asker.bare_of_raw,
            }
            taken_s: dict[str, list[float]] = defaultdict(list)
            for _ in range(ROUNDS):
                for name, ask in kinds.items():
                    asker.hang_up()  # bare statements take their time without it
                    ask()
                    taken_s[name] += [ask() for _ in range(TIMES)]
    shown = {
        name: [1_000 * statistics.median(times), 1_000 * statistics.quantiles(times, n=20)[-1]]
        for name, times in taken_s.items()
    }
    sys.stdout.write(json.dumps(shown) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
