"""What clients do all the time: send events until they are taken, read insights, sign in, look at liveness.

Every event has its own id and is sent until the API says 202, to one server and then the other; about one in twenty is
sent twice on purpose. The sums of what was sent are kept beside it, in plain Python.
"""

import json
import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import httpx2

EMAIL, PASSWORD = "load@example.com", "quiet horse battery staple"
_PLATFORMS = ("meta", "google", "linkedin", "tiktok")
_REGIONS = ("IN", "US-CA", "DE", "ZZ")
_BATCH = 100
_PATIENCE_S = 30.0

Key = tuple[int, str, str, str]
"""Campaign, day, platform, region."""


@dataclass(slots=True)
class Answers:
    """How requests of one kind went."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest_s: float = 0.0

    def note(self, outcome: str, seconds: float) -> None:
        self.outcomes[outcome] += 1
        self.slowest_s = max(self.slowest_s, seconds)


@dataclass(slots=True)
class Window:
    """What happened between two looks, by kind of request."""

    kinds: dict[str, Answers] = field(default_factory=lambda: defaultdict(Answers))


class Load:
    """Clients in threads, from ``start`` to ``stop``; campaigns must be there."""

    def __init__(self, urls: list[str], campaigns: list[int], token: Callable[[], str]) -> None:
        self._urls = urls
        self._campaigns = campaigns
        self._token = token
        self._stopping = threading.Event()
        self._paused = threading.Event()
        self._idle = threading.Event()
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self.window = Window()
        self.sent = 0
        self.sums: dict[Key, list[int]] = defaultdict(lambda: [0, 0])
        """Clicks, and spend in micros."""

    def start(self) -> None:
        for work in (self._send, self._read, self._sign_in, self._look):
            thread = threading.Thread(target=work, name=work.__name__, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)

    @contextmanager
    def quiet(self) -> Iterator[None]:
        """Nothing new is sent meanwhile, and what was sent has been taken."""
        self._idle.clear()
        self._paused.set()
        assert self._idle.wait(120), "the events under way were not taken"
        try:
            yield
        finally:
            self._paused.clear()

    def new_window(self) -> Window:
        """Begin to note anew; answers what was noted until now."""
        with self._lock:
            before, self.window = self.window, Window()
        return before

    def _note(self, kind: str, outcome: str, seconds: float) -> None:
        with self._lock:
            self.window.kinds[kind].note(outcome, seconds)

    def _send(self) -> None:
        rng, number = random.Random(7), 0
        with httpx2.Client(timeout=_PATIENCE_S) as client:
            while not self._stopping.is_set():
                if self._paused.is_set():
                    self._idle.set()
                    time.sleep(0.02)
                    continue
                events = [self._event(rng, number + n) for n in range(_BATCH)]
                number += _BATCH
                copies = [event for event in events if rng.random() < 0.05]
                body = json.dumps(events + copies).encode()
                if self._send_until_taken(client, body):
                    self._count(events)
                time.sleep(0.05)

    def _send_until_taken(self, client: httpx2.Client, body: bytes) -> bool:
        attempt = 0
        while not self._stopping.is_set():
            url = self._urls[attempt % len(self._urls)]
            attempt += 1
            answer = self._ask("posts", partial(self._post, client, url, body))
            if answer is not None and answer.status_code == 202:
                assert answer.json()["rejected"] == [], answer.text[:500]
                return True
            time.sleep(0.2)
        return False

    def _post(self, client: httpx2.Client, url: str, body: bytes) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
        return client.post(f"{url}/api/v1/events", content=body, headers=headers)

    def _event(self, rng: random.Random, number: int) -> dict[str, Any]:
        at = datetime.now(UTC) - timedelta(minutes=rng.randrange(3 * 24 * 60) if rng.random() < 0.1 else 0)
        return {
            "event_id": f"e{number}",
            "campaign_id": rng.choice(self._campaigns),
            "platform": rng.choice(_PLATFORMS),
            "region": rng.choice(_REGIONS),
            "event_time": at.isoformat(),
            "event_type": "metrics",
            "clicks": rng.randrange(10),
            "spend": f"{rng.randrange(10**7) / 10**6:.6f}",
        }

    def _count(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            key = (event["campaign_id"], event["event_time"][:10], event["platform"], event["region"])
            self.sums[key][0] += event["clicks"]
            self.sums[key][1] += int(event["spend"].replace(".", ""))
        self.sent += len(events)

    def _read(self) -> None:
        """Two questions: one that was asked before, so that there is a last answer, and for each server in turn."""
        turn = 0
        with httpx2.Client(timeout=_PATIENCE_S) as client:
            while not self._stopping.is_set():
                turn += 1
                url = f"{self._urls[turn % len(self._urls)]}/api/v1/campaigns/{self._campaigns[0]}/insights"
                headers = {"Authorization": f"Bearer {self._token()}"}
                self._ask("reads", partial(client.get, url, headers=headers))
                time.sleep(0.1)

    def _sign_in(self) -> None:
        turn = 0
        with httpx2.Client(timeout=_PATIENCE_S) as client:
            while not self._stopping.is_set():
                turn += 1
                url = f"{self._urls[turn % len(self._urls)]}/api/v1/auth/login"
                body = {"email": EMAIL, "password": PASSWORD}
                self._ask("logins", partial(client.post, url, json=body))
                time.sleep(0.5)

    def _look(self) -> None:
        with httpx2.Client(timeout=_PATIENCE_S) as client:
            while not self._stopping.is_set():
                for url in self._urls:
                    self._ask("liveness", partial(client.get, f"{url}/health/live"))
                time.sleep(0.2)

    def _ask(self, kind: str, call: Callable[[], httpx2.Response]) -> httpx2.Response | None:
        started_s = time.monotonic()
        try:
            answer = call()
        except httpx2.HTTPError as error:
            self._note(kind, type(error).__name__, time.monotonic() - started_s)
            return None
        stale = answer.headers.get("x-cache") == "stale"
        self._note(kind, "stale" if stale else str(answer.status_code), time.monotonic() - started_s)
        return answer
