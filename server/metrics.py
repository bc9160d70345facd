"""What Prometheus reads: requests by route template, cache hits, shed requests, dependencies, the process.

Labels are bounded: a route is its template, a method one of those the API knows, never a campaign, a user or a raw
path. The API's own figures live in a registry of their own, so that one process can hold several applications; what
the process counts beside them (itself, a worker inside it) is in the default registry and shown with them.
"""

from collections.abc import Callable, Iterable

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from campaignctl import __version__
from campaignctl.services.health import HealthReport, Status

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
# Cached answers take 1 to 10 ms, one statement 10 to 100, a deadline is 5 s: seven buckets tell them apart.
_BUCKETS_S = (0.005, 0.02, 0.05, 0.2, 0.5, 1.0, 5.0)


class HttpMetrics:
    """The API's own figures."""

    def __init__(self, health: Callable[[], HealthReport]) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "campaignctl_http_requests_total",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._durations = Histogram(
            "campaignctl_http_request_duration_seconds",
            "Time from the request's head to the end of the answer.",
            ("route",),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )
        self._in_progress = Gauge(
            "campaignctl_http_requests_in_progress", "Requests being answered now.", registry=self._registry
        )
        self._cache = Counter(
            "campaignctl_cache_requests_total",
            "Insights answered, by where the answer came from.",
            ("result",),
            registry=self._registry,
        )
        self._shed = Counter(
            "campaignctl_requests_shed_total",
            "Requests refused because the server was busy.",
            ("reason",),
            registry=self._registry,
        )
        build = Gauge("campaignctl_build_info", "The program's version.", ("version",), registry=self._registry)
        build.labels(__version__).set(1)
        self._registry.register(_Dependencies(health))

    def started(self) -> None:
        self._in_progress.inc()

    def answered(self, method: str, route: str, status: int, seconds: float, cache: str) -> None:
        """One request is over; ``route`` is a template, ``cache`` what ``X-Cache`` said or empty."""
        self._in_progress.dec()
        self._requests.labels(method if method in _METHODS else "other", route, status).inc()
        self._durations.labels(route).observe(seconds)
        if cache:
            self._cache.labels(cache).inc()

    def shed(self, reason: str) -> None:
        """``slots`` (too many at work), ``bytes`` (too much of bodies in memory) or ``waits`` (too many that wait)."""
        self._shed.labels(reason).inc()

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self._registry) + generate_latest(REGISTRY)


class _Dependencies(Collector):
    """The verdicts of the health service, read when somebody scrapes."""

    def __init__(self, health: Callable[[], HealthReport]) -> None:
        self._health = health

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        up = GaugeMetricFamily(
            "campaignctl_dependency_up", "1 where the last look at the dependency was well.", labels=["dependency"]
        )
        for name, verdict in self._health().checks.items():
            up.add_metric([name], float(verdict.status is Status.OK))
        yield up
