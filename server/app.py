"""The REST server: ``create_app`` builds it over an open ``App``, ``serve`` runs it until it is told to stop."""

import contextlib
import logging
import resource
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Any

import anyio.to_thread
import uvicorn
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from campaignctl import __version__
from campaignctl.errors import CampaignctlError
from campaignctl.exposition import serve_metrics
from server import connection_guard
from server.direct import Direct
from server.listening import BACKLOG, bind
from server.metrics import HttpMetrics
from server.middleware import Bodies, Envelope, Heads, Limits, Slots
from server.operations import component_schemas
from server.problem import HttpError, answer_error
from server.protocol import guarded_protocol
from server.routes import (
    accounts,
    api_keys,
    audit,
    auth,
    campaigns,
    conflicts,
    dead_letters,
    document,
    erasure,
    event_export,
    events,
    explanation,
    fetches,
    health,
    insight_stream,
    insights,
    jobs,
    members,
    metrics,
    operator,
    pacing,
    rates,
    reaggregation,
    reports,
    system,
    verification,
)
from server.security import Gatekeeper
from server.streams import Streams
from server.waiting import Gate, Waits

if TYPE_CHECKING:
    from campaignctl.bootstrap import App

KEEP_ALIVE_S = 5
GRACE_S = 20
"""How long requests under way may take to end once the server is told to stop; five seconds more close the stores."""
_SPARE_DESCRIPTORS = 200

_TAGS = [
    {"name": "auth", "description": "Signing in and out."},
    {"name": "access", "description": "Members, invitations, API keys and the audit log."},
    {"name": "campaigns", "description": "Campaigns and the native campaigns they claim."},
    {"name": "insights", "description": "What the numbers are."},
    {"name": "accounts", "description": "Accounts on ad platforms, and fetching their reports."},
    {"name": "reports", "description": "What the platforms report, by itself and beside what was streamed."},
    {"name": "jobs", "description": "What takes longer than a request: how far it is, and how it ended."},
    {"name": "events", "description": "Sending and exporting events."},
    {"name": "dead letters", "description": "Records that were refused, and why."},
    {"name": "rates", "description": "Stored currency rates."},
    {"name": "health", "description": "Is it well, and how is it doing."},
]
_ROUTERS = (
    auth,
    members,
    api_keys,
    audit,
    campaigns,
    erasure,
    insights,
    explanation,
    insight_stream,
    pacing,
    reaggregation,
    accounts,
    fetches,
    jobs,
    events,
    dead_letters,
    conflicts,
    event_export,
    rates,
    reports,
    system,
    health,
    metrics,
    document,
    operator,
    verification,
)

logger = logging.getLogger(__name__)


def create_app(
    app: "App", *, operator_token: str | None = None, limits: Limits | None = None, is_waiting: bool = False
) -> FastAPI:
    """The ASGI application over an open ``App``; whoever opened that closes it, after the server has stopped.

    ``operator_token`` makes its bearer the operator of the machine; without one there is no operator over HTTP.
    ``is_waiting``: stores may not be there yet; until they have all been well at one time, everything below ``/api``
    is 503.
    """
    limits = limits or Limits()
    figures = HttpMetrics(app.health.report, shared_cache=not app.settings.embedded_cache)
    handled = (CampaignctlError, HttpError, HTTPException, RequestValidationError)
    routes: list[BaseRoute] = []
    api = FastAPI(
        title="campaignctl",
        version=__version__,
        description="Real-time ad-campaign analytics.",
        openapi_url=None,  # served by our own route, under the same headers and rules as everything else
        docs_url=None,  # the page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        openapi_tags=_TAGS,
        exception_handlers=dict.fromkeys(handled, answer_error),
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        lifespan=_lifespan,
        middleware=[
            Middleware(Envelope, metrics=figures),
            Middleware(Heads, limits=limits),
            Middleware(Bodies, limits=limits, metrics=figures),
            Middleware(Slots, limits=limits, metrics=figures),
            Middleware(Direct, routes=routes, handled=handled),
        ],
    )
    api.state.services = app
    api.state.gatekeeper = Gatekeeper(app.access, app.api_keys, operator_token)
    api.state.metrics = figures
    api.state.gate = Gate(app.health.report, is_open=not is_waiting)
    api.state.waits = Waits(app.positions, figures)
    server = app.settings.server
    api.state.streams = Streams(app.insights, figures, per_user=server.streams_per_user, most=server.streams)
    api.state.threads = limits.active
    for module in _ROUTERS:
        # One flat list: looking for a path's methods goes through it, and an included router would hide its routes.
        api.router.routes.extend(module.router.routes)
    routes.extend(api.router.routes)
    api.openapi = lambda: _document(api)  # type: ignore[method-assign]
    return api


@contextlib.asynccontextmanager
async def _lifespan(api: FastAPI) -> AsyncIterator[None]:
    anyio.to_thread.current_default_thread_limiter().total_tokens = api.state.threads
    app: App = api.state.services
    app.health.start()
    try:
        yield
    finally:
        await api.state.streams.close()
        app.health.stop()


def _document(api: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, made once."""
    if not api.openapi_schema:
        shown = get_openapi(
            title=api.title, version=api.version, description=api.description, routes=api.routes, tags=api.openapi_tags
        )
        for route in api.routes:
            if isinstance(route, APIRoute) and route.include_in_schema:
                for method in route.methods or ():  # the framework leaves null out, and so out of our examples
                    shown["paths"][route.path][method.lower()] |= route.openapi_extra or {}
        shown["components"] = {
            "schemas": component_schemas(),
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An access token of POST /auth/login, or an API key.",
                }
            },
        }
        api.openapi_schema = shown
    return api.openapi_schema


class _Server(uvicorn.Server):
    """uvicorn that remembers which signal stopped it, instead of raising the signal again once it has stopped."""

    stopped_by: int | None = None
    _drains = False
    on_signal: Callable[[int], None] | None = None
    before_shutdown: Callable[[], None] | None = None
    """Called on the event loop, before requests under way are waited for."""
    drain_s: float = 0.0
    """How long requests are still taken after SIGTERM; the next signal ends that."""
    on_drain: Callable[[], None] | None = None

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self.before_shutdown is not None:
            self.before_shutdown()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def stopped_by_signals(self) -> Iterator[None]:
        """Signals ask for the end, from here on: also one that comes before the first connection."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.stopped_by = self.stopped_by or sig
        if self.on_signal is not None:
            self.on_signal(sig)
        if sig == signal.SIGTERM and self.drain_s and not self._drains:
            self._drains = True
            if self.on_drain is not None:
                self.on_drain()
            drained = threading.Timer(self.drain_s, super().handle_exit, [sig, None])
            drained.daemon = True
            drained.start()
        else:
            super().handle_exit(sig, frame)


def serve(
    app: "App",
    *,
    host: str,
    port: int,
    listener: socket.socket | None = None,
    metrics_listener: socket.socket | None = None,
    operator_token: str | None = None,
    on_bound: Callable[[str, int], None] | None = None,
    is_waiting: bool = False,
    on_server: Callable[[Callable[[], None]], None] | None = None,
    on_signal: Callable[[int], None] | None = None,
    trusted_proxies: tuple[str, ...] = (),
    drain_s: float = 0.0,
) -> int | None:
    """Serve until SIGINT, SIGTERM or a call of the stop function; requests under way are finished first.

    Port 0 takes a free one; a ``listener`` that several processes share is bound already. On ``metrics_listener``
    ``/metrics`` is answered to everybody. ``is_waiting``: see ``create_app``. ``on_bound`` is called with host and port
    once connections are taken, before any is answered; ``on_server`` with a function that stops the server from any
    thread; ``on_signal`` with the number of each signal at once. Behind a proxy on one of ``trusted_proxies`` the
    client's address is what the proxy says. For ``drain_s`` after SIGTERM requests are taken as before while
    ``/health/ready`` is 503, so that a balancer sends no more of them before connections are refused. Answers the
    signal that stopped it, None for the stop function. Raises ``CampaignctlError`` with the code ``address_in_use`` or
    ``address_not_available``.
    """
    listener = listener or bind(host, port)
    api = create_app(app, operator_token=operator_token, is_waiting=is_waiting)
    figures = serve_metrics(metrics_listener, api.state.metrics.exposition) if metrics_listener is not None else None
    try:
        config = uvicorn.Config(
            api,
            http=guarded_protocol(_connections_allowed()),
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",  # what it has to say below that is said by whoever called us
            access_log=False,
            server_header=False,
            date_header=True,
            proxy_headers=bool(trusted_proxies),
            forwarded_allow_ips=list(trusted_proxies),
            h11_max_incomplete_event_size=connection_guard.MAX_HEAD_BYTES,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=int(GRACE_S - drain_s),
            backlog=BACKLOG,
        )
        server = _Server(config)
        server.on_signal = on_signal
        server.before_shutdown = api.state.streams.stop
        server.drain_s, server.on_drain = drain_s, app.health.leave
        if on_server is not None:
            on_server(lambda: setattr(server, "should_exit", True))
        with server.stopped_by_signals():
            if on_bound is not None:
                on_bound(host, listener.getsockname()[1])
            server.run(sockets=[listener])
    finally:
        listener.close()
        if figures is not None:
            figures.shutdown()
            figures.server_close()
    return server.stopped_by


def _connections_allowed() -> int:
    """As many connections as there may be descriptors, which are raised as far as the system lets us."""
    wanted = connection_guard.MAX_CONNECTIONS + _SPARE_DESCRIPTORS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    available = connection_guard.MAX_CONNECTIONS if soft == resource.RLIM_INFINITY else soft - _SPARE_DESCRIPTORS
    return max(1, min(connection_guard.MAX_CONNECTIONS, available))
