"""Each fault in turn, under load: what stayed up, how long it took to recover, and that no event was lost or doubled."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Self

import httpx2

from tests.chaos.installation import Installation
from tests.chaos.load import EMAIL, PASSWORD, Key, Load, Window
from tests.support.answers import decoded
from tests.support.services import Faults
from tests.support.waiting import eventually

SERVICES = ("kafka", "clickhouse", "postgres", "redis")
KINDS = ("freeze", "kill")
_KINDS_OF_REQUEST = ("posts", "reads", "logins", "liveness")
_RECOVERED_WITHIN_S = 90.0
_eventually = partial(eventually, within_s=_RECOVERED_WITHIN_S, every_s=0.1)  # each look is a request or more
_TOKEN_FOR_S = 300.0


@dataclass(frozen=True, slots=True)
class Row:
    """What a fault did."""

    fault: str
    window: Window
    recovered_s: float
    """From the server being back until both servers take events and answer with them."""
    rebalances: int
    events: int
    lost: int
    doubled: int
    wrong_sums: int

    def cells(self) -> list[str]:
        kinds = [_shown(self.window, kind) for kind in _KINDS_OF_REQUEST]
        return [
            self.fault, *kinds, f"{self.recovered_s:.1f}", str(self.rebalances), str(self.events),
            str(self.lost), str(self.doubled), str(self.wrong_sums),
        ]  # fmt: skip


HEADER = (
    "fault", "event posts", "insights", "logins", "liveness", "recovered s", "rebalances", "events sent", "lost",
    "doubled", "wrong sums",
)  # fmt: skip


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown(window: Window, kind: str) -> str:
    answers = window.kinds[kind]
    outcomes = ", ".join(f"{count} x {outcome}" for outcome, count in answers.outcomes.most_common())
    return f"{outcomes}; max {answers.slowest_s:.1f} s"


class Bench:
    """Campaigns on an installation, the load on them, and the checks."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self._client = httpx2.Client(base_url=installed.urls[0], timeout=30)
        self._tokens: tuple[float, str] = (float("-inf"), "")
        _eventually(lambda: all(_is_ready(url) for url in installed.urls), "both servers are ready")
        self._client.post("/api/v1/auth/register", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
        self.campaigns = [self._campaign(n) for n in range(6)]
        self.load = Load(installed.urls, self.campaigns, self.token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def token(self) -> str:
        """An access token that will hold for some minutes, renewed while it can be."""
        taken_s, token = self._tokens
        if time.monotonic() - taken_s > _TOKEN_FOR_S:
            answer = self._client.post("/api/v1/auth/login", json={"email": EMAIL, "password": PASSWORD})
            if answer.status_code == 200:
                token = str(answer.json()["access_token"])
                self._tokens = (time.monotonic(), token)
        return token

    def run(self, faults: Sequence[tuple[str, str]], seconds: float, told: Callable[[Row], None]) -> list[Row]:
        rows = []
        self.load.start()
        try:
            for service, kind in faults:
                self._renew()
                time.sleep(min(3.0, seconds))  # both servers have seen the token, the caches are warm, the sums move
                row = self._under(service, kind, seconds)
                told(row)
                rows.append(row)
        finally:
            self.load.stop()
        return rows

    def _renew(self) -> None:
        self._tokens = (float("-inf"), self._tokens[1])
        self.token()

    def _under(self, service: str, kind: str, seconds: float) -> Row:
        rebalances = self._installed.rebalances()
        self.load.new_window()
        with _fault(service, kind):
            time.sleep(seconds)
            window = self.load.new_window()
        back_s = time.monotonic()
        _eventually(self._works_everywhere, f"events are taken and answered after {kind} {service}")
        recovered_s = time.monotonic() - back_s
        with self.load.quiet():
            _eventually(lambda: self._lag() == 0, "everything is applied")
            rows, distinct = self._stored()
            wrong = self._wrong_sums()
            rebalances = self._installed.rebalances() - rebalances
            sent = self.load.sent
            return Row(
                f"{kind} {service}", window, recovered_s, rebalances, sent, sent - distinct, rows - distinct, wrong
            )

    def _works_everywhere(self) -> bool:
        """An event that counts nothing is taken by each server, and awaited with ``after``."""
        for url in self._installed.urls:
            headers = {"Authorization": f"Bearer {self.token()}"}
            try:
                sent = httpx2.post(f"{url}/api/v1/events", json=[], headers=headers, timeout=15)
                if sent.status_code != 202 or not _is_ready(url):
                    return False
                asked = {"after": sent.json()["position"], "granularity": "total"}
                path = f"{url}/api/v1/campaigns/{self.campaigns[-1]}/insights"
                answer = httpx2.get(path, params=asked, headers=headers, timeout=15)
            except httpx2.HTTPError:
                return False
            if answer.status_code != 200 or answer.headers.get("x-cache") == "stale":
                return False
        return True

    def _lag(self) -> int:
        answer = self._client.get("/api/v1/system", headers={"Authorization": f"Bearer {self.token()}"})
        lag = answer.json().get("lag") if answer.status_code == 200 else None
        return -1 if lag is None else int(lag["lag_records"])

    def _stored(self) -> tuple[int, int]:
        """Rows, and distinct events, of the raw table."""
        sql = "SELECT count() AS rows, uniqExact(campaign_id, event_id) AS events FROM events"
        found = self._installed.program.run("query", sql, "-o", "json").json()["rows"][0]
        values = list(found.values()) if isinstance(found, dict) else list(found)
        return int(values[0]), int(values[1])

    def _wrong_sums(self) -> int:
        """Of the (campaign, day, platform, region) of the load: those that an answer tells otherwise."""
        answered: dict[Key, list[int]] = {}
        for campaign in self.campaigns:
            for row in self._daily(campaign):
                key = (campaign, row["period_start"], row["platform"], row["region"])
                answered[key] = [int(row["clicks"]), int(row["spend"] * 10**6)]
        expected = dict(self.load.sums)
        return sum(answered.get(key) != expected.get(key) for key in answered.keys() | expected.keys())

    def _daily(self, campaign: int) -> list[dict[str, Any]]:
        asked = {"granularity": "daily", "group_by": "platform,region"}
        path = f"/api/v1/campaigns/{campaign}/insights"

        def answer() -> httpx2.Response:
            return self._client.get(path, params=asked, headers={"Authorization": f"Bearer {self.token()}"})

        _eventually(lambda: answer().status_code == 200, "insights are answered")
        rows: list[dict[str, Any]] = decoded(answer().content)["rows"]
        return rows

    def _campaign(self, number: int) -> int:
        headers = {"Authorization": f"Bearer {self.token()}"}
        made = self._client.post("/api/v1/campaigns", json={"name": f"Chaos {number}"}, headers=headers)
        made.raise_for_status()
        return int(made.json()["id"])


@contextmanager
def _fault(service: str, kind: str) -> Iterator[None]:
    faults = Faults(service)
    done: AbstractContextManager[None] = faults.frozen() if kind == "freeze" else faults.killed()
    with done:
        yield


def _is_ready(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/health/ready", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False
