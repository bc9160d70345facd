"""The API's own figures: requests by route template, cache answers, shed requests.

Labels are bounded: a route is its template, a method one of those the API knows, never a campaign, a user or a raw
path. They live in a registry of their own, so that one process can hold several applications; what the process counts
beside them (itself, a worker inside it) is in the default registry and shown with them.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from campaignctl.exposition import CONTENT_TYPE, Exposition
from campaignctl.services.health import HealthReport

__all__ = ["CONTENT_TYPE", "HttpMetrics"]

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"})
# Cached answers take 1 to 10 ms, one statement 10 to 100, a deadline is 5 s: seven buckets tell them apart.
_BUCKETS_S = (0.005, 0.02, 0.05, 0.2, 0.5, 1.0, 5.0)


class HttpMetrics:
    """One set per application. ``shared_cache``: whether there is a second level behind the one in the process."""

    def __init__(self, health: Callable[[], HealthReport], *, shared_cache: bool = False) -> None:
        self._shared_cache = shared_cache
        self._registry = CollectorRegistry()
        self._exposition = Exposition(health, self._registry)
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
            "campaignctl_http_requests_in_progress",
            "Requests being answered now.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._cache = Counter(
            "campaignctl_cache_requests_total",
            "Looks into the cache for insights: the level (l1: in the process, l2: shared) and whether it had them.",
            ("tier", "result"),
            registry=self._registry,
        )
        self._shed = Counter(
            "campaignctl_requests_shed_total",
            "Requests refused because the server was busy.",
            ("reason",),
            registry=self._registry,
        )
        self._stale = Counter(
            "campaignctl_stale_answers_total",
            "Insights answered as they were last, because a store was away.",
            registry=self._registry,
        )

        self._streams = Gauge(
            "campaignctl_insight_streams_open",
            "Live insight streams that are open now.",
            multiprocess_mode="livesum",
            registry=self._registry,
        )
        self._stream_events = Counter(
            "campaignctl_insight_stream_events_total",
            "Events sent on live streams: answers (insights), and the word that a stream ends (end).",
            ("event",),
            registry=self._registry,
        )

    def started(self) -> None:
        self._in_progress.inc()

    def answered(self, method: str, route: str, status: int, seconds: float | None, cache: str) -> None:
        """One request is over; ``route`` is a template, ``cache`` what ``X-Cache`` said or empty.

        ``seconds`` is None for what lasts as long as its reader likes.
        """
        self._in_progress.dec()
        self._requests.labels(method if method in _METHODS else "other", route, status).inc()
        if seconds is not None:
            self._durations.labels(route).observe(seconds)
        if cache == "stale":
            self._stale.inc()
        elif cache:
            self._looked(cache)

    def _looked(self, found_in: str) -> None:
        self._cache.labels("l1", "hit" if found_in == "l1" else "miss").inc()
        if found_in != "l1" and self._shared_cache:
            self._cache.labels("l2", "hit" if found_in == "l2" else "miss").inc()

    def shed(self, reason: str) -> None:
        """``slots`` (too many at work), ``bytes`` (of bodies in memory), ``waits``, ``streams`` (too many)."""
        self._shed.labels(reason).inc()

    def stream_opened(self) -> None:
        self._streams.inc()

    def stream_closed(self) -> None:
        self._streams.dec()

    def stream_sent(self, event: str) -> None:
        """``insights`` or ``end``."""
        self._stream_events.labels(event).inc()

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return self._exposition.text()
