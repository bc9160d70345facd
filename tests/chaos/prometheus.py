"""A real Prometheus with the rules of ``deploy/prometheus``, whose hours have become seconds.

The rules are loaded from a copy in which every duration is replaced by a shorter one. Longer ones stay longer, so that
two windows still tell apart what lasts and what has stopped; thresholds stay what they are.
"""

import json
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import yaml

from tests.support.program import REPOSITORY
from tests.support.waiting import eventually

PROMETHEUS = REPOSITORY / "deploy" / "prometheus"
_EVERY = "1s"
_WINDOWS_S = {"5m": 4, "10m": 6, "30m": 9, "1h": 14, "2h": 18, "6h": 25, "1d": 40, "3d": 60}
_FOR_S = {"1m": 1, "2m": 1, "5m": 2, "10m": 3, "15m": 3, "30m": 4}
_DURATION = re.compile(r"(?<=\[)\w+(?=\])|(?<=offset )\w+")
_AHEAD = re.compile(r"(?<=\], )86400(?=\))")
_START_S = 60.0
_LOOK_EVERY_S = 0.25


def binary() -> str | None:
    return shutil.which("prometheus")


def shortened(rules: str) -> dict[str, Any]:
    """The rules with shorter durations. Raises ``KeyError`` for one that has no short form."""
    loaded: dict[str, Any] = yaml.safe_load(rules)
    for group in loaded["groups"]:
        for rule in group["rules"]:
            expr = _DURATION.sub(lambda found: f"{_WINDOWS_S[found.group()]}s", rule["expr"])
            rule["expr"] = _AHEAD.sub(str(_WINDOWS_S["1d"]), expr)
            if "for" in rule:
                rule["for"] = f"{_FOR_S[rule['for']]}s"
    return loaded


def window_s(duration: str) -> float:
    """What has become of a duration of the rules."""
    return float(_WINDOWS_S[duration])


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@dataclass
class Fired:
    """When an alert fired for the first time and was last seen to fire; by the monotonic clock."""

    first_s: float
    last_s: float


@dataclass
class Prometheus:
    """A running one. A thread looks at its alerts all the time, so that none is missed between two questions."""

    home: Path
    url: str
    fired: dict[str, Fired] = field(default_factory=dict)
    """By alert, since ``forget``."""
    _client: httpx2.Client = field(default_factory=lambda: httpx2.Client(timeout=10))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def scrape(self, targets: Mapping[str, str]) -> None:
        """From now on these are scraped: the part (``api``, ``worker``) by ``host:port``."""
        found = [{"targets": [address], "labels": {"part": part}} for address, part in targets.items()]
        written = self.home / "targets.json.new"
        written.write_text(json.dumps(found))
        written.replace(self.home / "targets.json")

    def targets(self) -> dict[str, str]:
        """``up``, ``down`` or ``unknown``, by ``host:port``."""
        active = self._ask("targets")["activeTargets"]
        return {target["labels"]["instance"]: target["health"] for target in active}

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series that the expression has now. Fails for one that Prometheus does not take."""
        found: list[dict[str, Any]] = self._ask("query", query=expression)["result"]
        return found

    def metadata(self) -> set[str]:
        """The names of the families that were scraped, those without a sample included."""
        return set(self._ask("metadata"))

    def names(self) -> set[str]:
        """The names of all series that there are or were."""
        return set(self._ask("label/__name__/values"))

    def firing(self) -> set[str]:
        return {alert["labels"]["alertname"] for alert in self._ask("alerts")["alerts"] if alert["state"] == "firing"}

    def forget(self) -> None:
        with self._lock:
            self.fired.clear()

    def look(self) -> None:
        now_s, firing = time.monotonic(), self.firing()
        with self._lock:
            for name in firing:
                self.fired.setdefault(name, Fired(now_s, now_s)).last_s = now_s

    def close(self) -> None:
        self._client.close()

    def _ask(self, what: str, **parameters: str) -> Any:
        answer = self._client.get(f"{self.url}/api/v1/{what}", params=parameters)
        body = answer.json()
        assert body["status"] == "success", body
        return body["data"]


@contextmanager
def prometheus(home: Path) -> Iterator[Prometheus]:
    """It has loaded ``deploy/prometheus`` with short durations, and scrapes what ``scrape`` says."""
    program = binary()
    assert program is not None, "prometheus is not installed"
    home.mkdir(parents=True)
    config = yaml.safe_load((PROMETHEUS / "prometheus.yml").read_text())
    for name in config["rule_files"]:
        (home / name).write_text(yaml.safe_dump(shortened((PROMETHEUS / name).read_text())))
    config["global"] = {"scrape_interval": _EVERY, "evaluation_interval": _EVERY}
    (job,) = config["scrape_configs"]
    del job["static_configs"]
    job["file_sd_configs"] = [{"files": ["targets.json"], "refresh_interval": "1s"}]
    (home / "targets.json").write_text("[]")
    (home / "prometheus.yml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [program, "--config.file=prometheus.yml", "--storage.tsdb.path=series", "--log.level=warn"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    with (home / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=home)
    running = Prometheus(home, f"http://127.0.0.1:{port}")
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(running, ended), name="alerts", daemon=True)
    try:
        eventually(partial(_is_ready, running.url, process), "Prometheus is ready", within_s=_START_S, every_s=0.1)
        watcher.start()
        yield running
    finally:
        ended.set()
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)
        if watcher.ident is not None:
            watcher.join(30)
        running.close()


def _is_ready(url: str, process: "subprocess.Popen[bytes]") -> bool:
    assert process.poll() is None, "Prometheus ended; see prometheus.log"
    try:
        return httpx2.get(f"{url}/-/ready", timeout=5).status_code == 200
    except httpx2.HTTPError:
        return False


def _watch(running: Prometheus, ended: threading.Event) -> None:
    while not ended.wait(_LOOK_EVERY_S):
        with suppress(httpx2.HTTPError):  # asked again in a moment
            running.look()
