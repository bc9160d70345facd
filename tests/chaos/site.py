"""What the alerts are rehearsed on: a ``serve``, a ``work`` and the platforms' sandbox, scraped by a Prometheus."""

import json
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import httpx2

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.ports.event_log import NewRecord
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.natives import GROUP, SandboxAccount, accounts, natives_in
from campaignctl.sandbox.server import Sandbox, base_urls
from campaignctl.sandbox.serving import serving
from tests.chaos.installation import Process, own_places, running
from tests.chaos.prometheus import Prometheus, free_port, prometheus
from tests.support.fault_proxy import FaultProxy, fault_proxy
from tests.support.program import Program
from tests.support.waiting import eventually

_EMAIL, _PASSWORD = "alerts@example.com", "quiet horse battery staple"
_START_S = 90.0
_PATIENCE_S = 20.0
STOP_AFTER_RECORDS = 200
FETCHED_EVERY_S = 20
_SETTINGS = {
    "CA_KAFKA_EVENTS_PARTITIONS": "1",
    "CA_EVENTS_STOP_AFTER_RECORDS": str(STOP_AFTER_RECORDS),
    "CA_FETCH_RECENT_EVERY": f"{FETCHED_EVERY_S}s",
    "CA_JWT_ACCESS_TTL": "2h",
}


@dataclass
class Site:
    """The processes, and what is done to them."""

    program: Program
    scraper: Prometheus
    server: Process
    client: httpx2.Client
    log: KafkaEventLog
    campaign: int
    sandbox_port: int
    analytics: FaultProxy
    """Between all of them and ClickHouse."""
    _stack: ExitStack
    worker: Process | None = None
    _workers: int = 0
    _events: int = 0

    @property
    def places(self) -> dict[str, str]:
        return self.program.settings

    def start_worker(self, *module: str, port: int | None = None, **settings: str) -> None:
        """On a metrics port of its own, as a new pod has an address of its own, unless it takes an old one's place."""
        self._workers += 1
        port = port or free_port()
        program = self.program
        command = ("-m", *module) if module else program.command[1:]
        program = Program(program.home, program.settings | settings, (program.command[0], *command))
        started = running(program, f"work-{self._workers}", "work", "--metrics-port", str(port))
        self.worker = self._stack.enter_context(started)
        self.worker.url = f"127.0.0.1:{port}"
        self.scraper.scrape({self.server.url.removeprefix("http://"): "api", self.worker.url: "worker"})

    def settle(self) -> None:
        """Returns when the worker counts."""
        assert self.worker is not None
        self.worker.wait_for("reads from offset")

    def stop_worker(self) -> None:
        assert self.worker is not None
        code, _ = self.worker.stop()
        assert code == 143, self.worker.log()[-4_000:]

    def kill_worker(self) -> None:
        assert self.worker is not None
        self.worker.process.kill()
        self.worker.process.wait(30)

    def ask(self, method: str, path: str, **given: Any) -> httpx2.Response:
        return self.client.request(method, f"/api/v1{path}", **given)

    def event(self, **changes: Any) -> dict[str, Any]:
        self._events += 1
        return {
            "event_id": f"r{self._events}",
            "campaign_id": self.campaign,
            "platform": "meta",
            "event_time": datetime.now(UTC).isoformat(),
            "clicks": 1,
        } | changes

    def produce(self, events: Sequence[dict[str, Any]]) -> None:
        """Into the log itself, past the checks of the API."""
        key = str(self.campaign).encode()
        self.log.produce(
            self.places["CA_KAFKA_EVENTS_TOPIC"], [NewRecord(key, json.dumps(one).encode()) for one in events]
        )

    def counted(self) -> bool:
        """Whether nothing waits in the log."""
        topic, group = self.places["CA_KAFKA_EVENTS_TOPIC"], self.places["CA_KAFKA_GROUP_ID"]
        committed, ends = self.log.committed(topic, group), self.log.watermarks(topic)
        return all(number in committed and committed[number].offset >= marks.end for number, marks in ends.items())

    def wait_until_counted(self) -> None:
        eventually(self.counted, "everything is counted", within_s=_START_S, every_s=0.2)

    @contextmanager
    def platforms(self) -> Iterator[None]:
        """The ad platforms answer meanwhile."""
        listener = socket.create_server(("127.0.0.1", self.sandbox_port))
        world = World(1, datetime.now(UTC).date() - timedelta(days=10))
        with serving(Sandbox(world, SystemClock()), listener):
            yield


def sandbox_account() -> SandboxAccount:
    """The one whose platform tells until when its sign-in holds."""
    return next(one for one in accounts() if (one.platform, one.currency) == ("linkedin", "USD"))


@contextmanager
def site(home: Path) -> Iterator[Site]:
    """Started, with a campaign, a worker that counts, and both of them scraped."""
    with ExitStack() as stack:
        sandbox_port = free_port()
        urls = base_urls(f"http://127.0.0.1:{sandbox_port}")
        platforms = {f"CA_{key.replace('.', '_').upper()}": url for key, url in urls.items()}
        places = stack.enter_context(own_places())
        analytics = stack.enter_context(fault_proxy(places["CA_CLICKHOUSE_HOST"], int(places["CA_CLICKHOUSE_PORT"])))
        between = {"CA_CLICKHOUSE_HOST": "127.0.0.1", "CA_CLICKHOUSE_PORT": str(analytics.port)}
        program = Program(home, places | between | _SETTINGS | platforms)
        program.run("init-schema", timeout_s=_START_S)
        server = stack.enter_context(running(program, "serve", "serve", "--port", "0"))
        server.url = server.wait_for(r"serving on (\S+)")
        client = stack.enter_context(httpx2.Client(base_url=server.url, timeout=_PATIENCE_S))
        eventually(partial(_is_ready, client), "the server is ready", within_s=_START_S, every_s=0.2)
        client.post("/api/v1/auth/register", json={"email": _EMAIL, "password": _PASSWORD}).raise_for_status()
        signed_in = client.post("/api/v1/auth/login", json={"email": _EMAIL, "password": _PASSWORD})
        client.headers["Authorization"] = f"Bearer {signed_in.json()['access_token']}"
        body = {"name": "Alerts", "platforms": [natives_in(sandbox_account(), GROUP)[0].link()]}
        made = client.post("/api/v1/campaigns", json=body)
        assert made.status_code == 201, made.text
        log = KafkaEventLog([program.settings["CA_KAFKA_BROKERS"]], SystemClock())
        stack.callback(log.close)
        scraper = stack.enter_context(prometheus(home / "prometheus"))
        campaign = int(made.json()["id"])
        started = Site(program, scraper, server, client, log, campaign, sandbox_port, analytics, stack)
        started.start_worker()
        started.settle()
        eventually(
            lambda: [*scraper.targets().values()] == ["up", "up"], "both are scraped", within_s=_START_S, every_s=0.2
        )
        yield started


def _is_ready(client: httpx2.Client) -> bool:
    try:
        return client.get("/health/ready").status_code == 200
    except httpx2.HTTPError:
        return False


class Traffic:
    """Somebody who reads all the time: the same question, or a new one each time."""

    def __init__(self, site: Site, readers: int = 1) -> None:
        self._site = site
        self._readers = readers
        self._stopping = threading.Event()
        self._asked = 0
        self.asks_new = False

    @contextmanager
    def going(self) -> Iterator["Traffic"]:
        threads = [threading.Thread(target=self._read, name=f"reader-{n}", daemon=True) for n in range(self._readers)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._stopping.set()
            for thread in threads:
                thread.join(_PATIENCE_S * 2)

    def asking_new(self) -> AbstractContextManager["Traffic"]:
        """Going, with new questions from the first one on."""
        self.asks_new = True
        return self.going()

    def _read(self) -> None:
        """By the plainest client there is: a crowd of them must have time to wait, also on a busy machine."""
        path = f"/api/v1/campaigns/{self._site.campaign}/insights"
        headers = {"Authorization": self._site.client.headers["Authorization"]}
        client = HTTPConnection(self._site.server.url.removeprefix("http://"), timeout=_PATIENCE_S)
        with closing(client):
            while not self._stopping.wait(0.1):
                try:
                    client.request("GET", f"{path}?{urlencode(self._question())}", headers=headers)
                    client.getresponse().read()
                except (OSError, HTTPException):  # what is not answered is counted where it should have been
                    client.close()

    def _question(self) -> dict[str, str]:
        if not self.asks_new:
            return {"granularity": "total"}
        self._asked += 1
        last = date.today() - timedelta(days=self._asked % 300)
        first = last - timedelta(days=1 + self._asked // 300 + time.monotonic_ns() % 90)
        return {"start_date": first.isoformat(), "end_date": last.isoformat()}


@contextmanager
def small_data_directory(home: Path, size_mib: int) -> Iterator[bool]:
    """``home / "data"`` is a disk of that size meanwhile; False where this user may not mount one."""
    place = home / "data"
    place.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_mib}m,mode=700", "none", str(place)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", "--lazy", str(place)], capture_output=True, check=True)
