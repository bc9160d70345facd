"""The sandbox on a socket."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread

import uvicorn

from campaignctl.errors import Unavailable
from campaignctl.sandbox.server import Sandbox

_START_TIMEOUT_S = 30.0
_GRACE_S = 2


def serve(sandbox: Sandbox, listener: socket.socket, on_server: Callable[[uvicorn.Server], None] | None = None) -> None:
    """Serve on a bound socket until a signal comes (in the main thread) or the server is told to exit."""
    config = uvicorn.Config(
        sandbox.application(),
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # answers that break off are meant
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = uvicorn.Server(config)
    if on_server is not None:
        on_server(server)
    try:
        server.run(sockets=[listener])
    finally:
        listener.close()


@contextmanager
def serving(sandbox: Sandbox, listener: socket.socket) -> Iterator[None]:
    """Serve in a thread for the length of a ``with``."""
    servers: list[uvicorn.Server] = []
    ready = Event()

    def on_server(server: uvicorn.Server) -> None:
        servers.append(server)
        ready.set()  # the socket takes connections already

    thread = Thread(target=serve, args=(sandbox, listener, on_server), name="sandbox", daemon=True)
    thread.start()
    if not ready.wait(_START_TIMEOUT_S):
        raise Unavailable("the sandbox did not start", service="sandbox")
    try:
        yield
    finally:
        servers[0].should_exit = True
        thread.join(_START_TIMEOUT_S)
