"""Figures for Prometheus: what every process tells of itself, all of it as text, and a port of its own for it.

On that port a worker, which has no other, answers for its health as well.

With several API processes (``PROMETHEUS_MULTIPROC_DIR`` is set) whatever is counted is kept in files, and the text adds
up all processes; what a process knows only of itself (CPU, memory) is left out then, since no two scrapes would ask the
same one.
"""

import json
import os
import socket
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple

from prometheus_client import REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from campaignctl import __version__
from campaignctl.services.health import ALIVE, HealthReport, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_JSON = "application/json"
_SLOW_CLIENT_S = 5.0
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"


class Told(Collector):
    """What is known without counting: the version, and how the dependencies were at the last look."""

    def __init__(self, health: Callable[[], HealthReport]) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        build = GaugeMetricFamily("campaignctl_build_info", "The program's version.", labels=["version"])
        build.add_metric([__version__], 1.0)
        yield build
        up = GaugeMetricFamily(
            "campaignctl_dependency_up", "1 where the last look at the dependency did not fail.", labels=["dependency"]
        )
        for name, verdict in self._health().checks.items():
            up.add_metric([name], float(verdict.status is not Status.FAILING))
        yield up


class Exposition:
    """The text that Prometheus reads: ``counted`` registries, and what is told."""

    def __init__(self, health: Callable[[], HealthReport], *counted: CollectorRegistry) -> None:
        self._counted = counted
        self._told = CollectorRegistry()
        self._told.register(Told(health))

    def text(self) -> bytes:
        told = generate_latest(self._told)
        directory = os.environ.get(_MULTIPROCESS)
        if directory:
            together = CollectorRegistry()
            MultiProcessCollector(together, directory)  # type: ignore[no-untyped-call]
            return told + generate_latest(together)
        return told + b"".join(map(generate_latest, (*self._counted, REGISTRY)))


class _Page(NamedTuple):
    status: int
    content_type: str
    body: bytes


def serve_metrics(
    listener: socket.socket, text: Callable[[], bytes], health: Callable[[], HealthReport] | None = None
) -> ThreadingHTTPServer:
    """Answer ``GET /metrics`` on a socket that listens, in threads, until the answered server is shut down.

    With ``health`` also ``/health``, ``/health/ready`` and ``/health/live``, as the API does: 503 while something that
    is needed fails, and 200 from ``live`` whatever the stores do. None of them touches a store.
    """

    def page(path: str) -> _Page | None:
        if path == "/metrics":
            return _Page(200, CONTENT_TYPE, text())
        if health is None:
            return None
        if path == "/health/live":
            return _Page(200, _JSON, json.dumps(dict(ALIVE)).encode())
        if path in ("/health", "/health/ready"):
            report = health()
            return _Page(200 if report.ready else 503, _JSON, json.dumps(report.shown()).encode())
        return None

    class Handler(BaseHTTPRequestHandler):
        timeout = _SLOW_CLIENT_S
        server_version, sys_version = "campaignctl", ""

        def do_GET(self) -> None:
            answer = page(self.path.partition("?")[0])
            if answer is None:
                self.send_error(404)
                return
            self.send_response(answer.status)
            self.send_header("Content-Type", answer.content_type)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_GET  # noqa: N815  the library's name for it

        def log_message(self, *_: Any) -> None:
            """Nothing: scrapes are no news."""

    server = ThreadingHTTPServer(listener.getsockname()[:2], Handler, bind_and_activate=False)
    server.socket.close()
    server.socket = listener
    server.daemon_threads = True
    listener.setblocking(False)  # another process may have taken the connection that woke this one
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    return server
