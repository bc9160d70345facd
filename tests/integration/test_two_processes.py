"""Two API processes and one worker, while Redis is flushed, killed and frozen: no answer goes back, none hides a write.

A read is checked against what was known when it began. It must show

- every event that its own process had said to be counted by then, to whichever question,
- no less than its process had answered to the same question,
- what any answer of any process had shown 1 s before: a process may keep a campaign's versions for half a second, and
  rows can be read a moment before the version that says so has risen, so that an answer that is computed in this moment
  is ahead of those that are kept.

``CA_TEST_READS`` is how many reads are checked (10,000 prove something, fewer are for every day). Embedded stores belong
to one process, so there is no shorter form without servers.
"""

import itertools
import json
import os
import queue
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from tests.chaos.installation import own_places, running
from tests.support.program import Program
from tests.support.services import SERVERS, Faults, redis_addr, unset, using
from tests.support.waiting import eventually

READS = int(os.environ.get("CA_TEST_READS", "1500"))
READERS_OF_A_PROCESS = 2
PATIENCE_S = 900.0 + READS / 4
LEVELS = {"l1", "l2", "miss"}
BOUND_S = 1.0
"""How long a write that can be seen may stay unseen elsewhere."""
_MISSING = unset(*SERVERS, "CA_TEST_SERVICES")
_LOCKED = ("kafka", "clickhouse", "redis")
_PASSWORD = "quiet horse battery staple"
_TODAY = datetime.now(UTC).date().isoformat()
_RANGE = {"start_date": _TODAY, "end_date": _TODAY}
_ASKED_IN_TURN = 5
"""The last one is asked after each write, of one process and then the other, which finds it in Redis."""
_QUESTIONS: tuple[dict[str, str], ...] = (
    {"granularity": "total"},
    {"group_by": "platform"},
    {"granularity": "hourly", "group_by": "device"},
    {"granularity": "total", "source": "stream", "compare": "previous_period"},
    {"granularity": "monthly", "group_by": "region,platform", "sort": "clicks"},
    {"granularity": "weekly"},
)
"""The rollup and raw rows, once and several times asked between two writes: answered by every level of the cache."""

pytestmark = [
    pytest.mark.faults,
    pytest.mark.timeout(PATIENCE_S + 300),
    pytest.mark.skipif(bool(_MISSING), reason=_MISSING),
]


class Known:
    """What has been sent, what is known to be counted, and what each process has answered with."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.sent = self.reads = self.streamed = self.busy = 0
        self.counted: Counter[str] = Counter()
        """Of how many writes each process said that they are counted."""
        self._counted_up_to: Counter[str] = Counter()
        self._answered: Counter[tuple[str, int]] = Counter()
        self._seen: deque[tuple[float, int]] = deque([(float("-inf"), 0)])
        """When any answer showed more than all before it, and how much."""
        self.levels: Counter[str] = Counter()
        self.waits_s: list[float] = []
        """From the acknowledgement of a write until it was known to be counted."""
        self.wrong: list[str] = []

    def begin(self, url: str, question: int) -> dict[str, int]:
        """The least that an answer of the process to the question may show from now on, and why."""
        with self._lock:
            before_s = time.monotonic() - BOUND_S
            while len(self._seen) > 1 and self._seen[1][0] <= before_s:
                self._seen.popleft()
            return {
                "counted, as the process had said": self._counted_up_to[url],
                "answered by the process": self._answered[url, question],
                f"seen {BOUND_S:g} s ago": self._seen[0][1] if self._seen[0][0] <= before_s else 0,
            }

    def end(self, url: str, question: int, least: Mapping[str, int], shown: int, how: str) -> None:
        with self._lock:
            self._answered[url, question] = max(self._answered[url, question], shown)
            if shown > self._seen[-1][1]:
                self._seen.append((time.monotonic(), shown))
            self.wrong += [
                f"{how}, question {question} at {url}: {shown}, but {number} were {why}"
                for why, number in least.items()
                if shown < number
            ]
            if shown > self.sent:
                self.wrong.append(f"{how}, question {question} at {url}: {shown} of {self.sent}")

    def note_write(self, url: str, number: int, waited_s: float) -> None:
        with self._lock:
            self.counted[url] += 1
            self._counted_up_to[url] = max(self._counted_up_to[url], number)
            self.waits_s.append(waited_s)

    def note_busy(self) -> None:
        with self._lock:
            self.busy += 1

    def is_enough(self) -> bool:
        """Kept answers are many soon: there must also have been writes that they could have hidden."""
        with self._lock:
            everywhere = self.counted.total() > 10 and self.streamed > 10 and self.levels.keys() >= LEVELS
            return self.reads >= READS and everywhere

    def note_read(self, level: str) -> None:
        with self._lock:
            self.reads += 1
            self.levels[level] += 1


@dataclass
class Bench:
    """A writer, readers and streams in threads; what one of them raises ends the test."""

    urls: list[str]
    token: str
    campaign: int
    known: Known = field(default_factory=Known)
    stopping: threading.Event = field(default_factory=threading.Event)
    failed: "queue.Queue[BaseException]" = field(default_factory=queue.Queue)

    @contextmanager
    def working(self) -> Iterator[None]:
        threads = [threading.Thread(target=self._guarded, args=(self._write,))]
        for place, url in enumerate(self.urls):
            threads.append(threading.Thread(target=self._guarded, args=(self._follow, url)))
            for number in range(READERS_OF_A_PROCESS):  # one process asks what the other has asked a moment ago
                threads.append(threading.Thread(target=self._guarded, args=(self._read, url, number + 2 * place)))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join(60)

    def _guarded(self, work: Callable[..., None], *arguments: object) -> None:
        try:
            work(*arguments)
        except BaseException as error:
            self.failed.put(error)
            self.stopping.set()

    @contextmanager
    def _client(self, url: str) -> Iterator[httpx2.Client]:
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx2.Client(base_url=f"{url}/api/v1", headers=headers, timeout=30) as client:
            yield client

    def _write(self) -> None:
        """One event at a time: posted to one process, known to be counted once the other one says so."""
        with ExitStack() as stack:
            clients = [stack.enter_context(self._client(url)) for url in self.urls]
            for number in itertools.count():
                if self.stopping.wait(number % 4 * 0.1):  # now and then there is time for answers to be found again
                    return
                now = datetime.now(UTC).isoformat()
                event = {"event_id": f"w{number}", "campaign_id": self.campaign, "platform": "meta", "clicks": 1,
                         "event_time": f"{_TODAY}T00:00:00Z", "device": now[-3:]}  # fmt: skip
                self.known.sent += 1
                posted = _taken(lambda client=clients[number % 2], body=[event]: client.post("/events", json=body))
                posted_s = time.monotonic()
                params = _RANGE | {"granularity": "total", "after": posted.json()["position"]}
                url = self.urls[(number + 1) % 2]
                least = self.known.begin(url, 0) | {"waited for": number + 1}
                other, path = clients[(number + 1) % 2], f"/campaigns/{self.campaign}/insights"
                waited = _taken(lambda client=other, path=path, asked=params: client.get(path, params=asked))
                self.known.end(url, 0, least, _clicks(waited.json()), "behind a position")
                self.known.note_write(url, number + 1, time.monotonic() - posted_s)
                for client, asked_url in zip(clients, self.urls, strict=True):
                    self._check(client, asked_url, _ASKED_IN_TURN)

    def _read(self, url: str, number: int) -> None:
        with self._client(url) as client:
            for turn in itertools.count(number):
                if self.stopping.is_set():
                    return
                self._check(client, url, turn % _ASKED_IN_TURN)

    def _check(self, client: httpx2.Client, url: str, question: int) -> None:
        least = self.known.begin(url, question)
        path = f"/campaigns/{self.campaign}/insights"
        answer = client.get(path, params=_RANGE | _QUESTIONS[question])
        level = answer.headers.get("x-cache", "none")
        if answer.status_code == 503 or level == "stale":  # said to be no answer of now
            self.known.note_busy()
            return
        assert answer.status_code == 200, answer.text
        self.known.end(url, question, least, _clicks(answer.json()), level)
        self.known.note_read(level)

    def _follow(self, url: str) -> None:
        """A stream is one reader: what it shows never goes down. It may come late, not wrong."""
        shown, path = -1, f"/campaigns/{self.campaign}/insights/stream"
        with self._client(url) as client, client.sse(path, params=_RANGE, max_event_size=None) as events:
            assert events.response.status_code == 200
            for event in events:
                if event.event != "insights":
                    continue
                clicks = _clicks(json.loads(event.data))
                if clicks < shown or clicks > self.known.sent:
                    self.known.wrong.append(f"the stream at {url}: {clicks} after {shown}")
                shown = clicks
                self.known.streamed += 1
                if self.stopping.is_set():
                    return


def _taken(ask: Callable[[], httpx2.Response]) -> httpx2.Response:
    """The answer, once the server is not too busy for it."""
    while (answer := ask()).status_code == 503:
        time.sleep(0.2)
    assert answer.is_success, answer.text
    return answer


def _clicks(answer: Any) -> int:
    """The same number twice, as its rows and as its total."""
    clicks: int = answer["totals"]["clicks"]
    assert sum(row["clicks"] for row in answer["rows"]) == clicks, answer
    return clicks


def _flushed() -> None:
    host, _, port = redis_addr().rpartition(":")
    with redis.Redis(host, int(port)) as server:
        server.flushall()


def _killed() -> None:
    with Faults("redis").killed():
        time.sleep(1.5)


def _frozen() -> None:
    with Faults("redis").frozen():
        time.sleep(2.0)


_FAULTS: tuple[tuple[str, Callable[[], None]], ...] = (
    ("flushed", _flushed), ("killed", _killed), ("flushed again", _flushed), ("frozen", _frozen),
)  # fmt: skip


def _signed_in(url: str) -> tuple[str, int]:
    """A user's token, and a campaign of theirs."""
    account = {"email": "reader@example.com", "password": _PASSWORD}
    with httpx2.Client(base_url=f"{url}/api/v1", timeout=30) as client:
        assert client.post("/auth/register", json=account).status_code == 201
        token: str = client.post("/auth/login", json=account).json()["access_token"]
        made = client.post("/campaigns", json={"name": "c"}, headers={"Authorization": f"Bearer {token}"})
        assert made.status_code == 201, made.text
        return token, made.json()["id"]


def test_no_answer_goes_back_and_none_hides_a_write(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for service in _LOCKED:
            stack.enter_context(using(service, alone=True))
        program = Program(tmp_path, stack.enter_context(own_places()) | {"CA_JWT_ACCESS_TTL": "2h"})
        program.run("init-schema", timeout_s=90)
        stack.enter_context(running(program, "work", "work"))
        servers = [stack.enter_context(running(program, f"serve-{n}", "serve", "--port", "0")) for n in range(2)]
        urls = [server.wait_for(r"serving on (\S+)") for server in servers]
        for url in urls:
            eventually(lambda url=url: httpx2.get(f"{url}/health/ready", timeout=30).status_code == 200, url)
        bench = Bench(urls, *_signed_in(urls[0]))
        known, done = bench.known, Counter[str]()
        end_s = time.monotonic() + PATIENCE_S
        with bench.working():
            for name, fault in itertools.cycle(_FAULTS):
                if bench.stopping.is_set() or (len(done) == len(_FAULTS) and known.is_enough()):
                    break
                assert time.monotonic() < end_s, f"{known.reads} reads, {known.counted} writes, {known.levels}"
                fault()
                done[name] += 1
                time.sleep(1.0)
        if not bench.failed.empty():
            raise bench.failed.get()
    waits_s = sorted(known.waits_s)
    print(
        f"{known.reads} reads by {dict(known.levels)}, {known.busy} not answered, {known.streamed} events of streams,"
        f" {known.counted.total()} writes, counted after {waits_s[len(waits_s) // 2]:.2f} s (the slowest {waits_s[-1]:.2f} s), Redis {dict(done)}"
    )
    assert known.wrong == []
    assert known.levels.keys() == LEVELS
    assert known.busy < known.reads / 10, "Redis is no reason to be away"
