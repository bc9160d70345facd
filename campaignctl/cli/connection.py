"""How a command reaches data: always the REST API, in one of three ways.

1. ``--api``, ``CA_API_URL`` or a context: that server, with ``CA_TOKEN`` or the session that ``login`` kept.
2. A server that has the data directory open: found by the file it left there, as the operator of the machine.
3. Nobody has it open, or every store is a server: the same API in this process, as the operator of the machine, for as
   long as the command runs.

Whichever it is, the bytes of an answer are those of the route, so ``-o json`` never differs.
"""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.api_client import ApiClient
from campaignctl.cli.invocation import Invocation
from campaignctl.cli.loading import loading
from campaignctl.errors import ConfigurationError, DirectoryInUse

if TYPE_CHECKING:
    from campaignctl.bootstrap import App
    from campaignctl.cli.sessions import SessionFile
    from campaignctl.config import Settings

LOCK_WAIT_S = 10.0
"""How long a command waits for another one to finish with the embedded stores."""
_LOOK_EVERY_S = 0.5
_IN_PROCESS_URL = "http://in-process"


@dataclass(frozen=True, slots=True)
class Connection:
    api: ApiClient
    app: "App | None" = None
    """The stores, when they are open in this process."""

    @property
    def in_process(self) -> bool:
        return self.app is not None

    @property
    def counts_by_itself(self) -> bool:
        """Whether the worker has to be one of this process, because nobody else can be."""
        return self.app is not None and self.app.settings.embedded

    def counting(self) -> AbstractContextManager[object]:
        """Have a worker at work meanwhile: one of our own when nobody else can be."""
        if self.app is None or not self.counts_by_itself:
            return nullcontext()
        from campaignctl.cli.embedded_worker import working

        return working(self.app)


@contextmanager
def connect(invocation: Invocation, *, timeout_s: float = 30.0) -> Iterator[Connection]:
    """The API for the length of a ``with``; raises ``DirectoryInUse`` when the stores stay taken.

    ``timeout_s`` is how long an answer may take.
    """
    place = invocation.place()
    if place.api is not None:
        organization = invocation.organization or place.organization
        with _remote(place.api, organization, timeout_s) as api:
            yield Connection(api)
        return
    settings = invocation.settings()
    held = _server_or_lock(settings, invocation, timeout_s)
    if isinstance(held, ApiClient):
        with held:
            yield Connection(held)
        return
    with held, _in_process(settings, invocation, timeout_s) as connection:
        yield connection


def _remote(url: str, organization: int | None, timeout_s: float) -> ApiClient:
    token = os.environ.get("CA_TOKEN")
    if token:
        return ApiClient(url, token, organization=organization, timeout_s=timeout_s)
    from campaignctl.cli.sessions import SessionFile

    kept = KeptSession(SessionFile(), url)
    return ApiClient(url, kept.token, renew=kept.renew, organization=organization, timeout_s=timeout_s)


class KeptSession:
    """The session that ``login`` kept for a server, renewed each time its token expires.

    What runs for long takes up a session that began meanwhile: ``login`` in another terminal is enough.
    """

    def __init__(self, sessions: "SessionFile", url: str) -> None:
        self._sessions, self._url = sessions, url
        self.token = sessions.token(url)

    def renew(self) -> str | None:
        stale = self.token
        fresh = self._sessions.token(self._url) if stale is None else self._sessions.renew(self._url, stale)
        if fresh is not None:
            self.token = fresh
        return fresh


def _server_or_lock(
    settings: "Settings", invocation: Invocation, timeout_s: float
) -> "ApiClient | AbstractContextManager[object]":
    """A running server's API, or the right to open the stores; waits while somebody else is busy with them.

    Looks for a server again and again: the holder may be one that is still starting.
    """
    if not settings.embedded:
        return nullcontext()
    if not settings.data_dir.exists():
        raise ConfigurationError(
            f"there is no data directory {settings.data_dir}",
            hint="make one with: campaignctl init-schema (or campaignctl demo); or name a server with --api",
        )
    directory = DataDirectory(settings.data_dir)
    deadline_s = time.monotonic() + LOCK_WAIT_S
    while True:
        server = directory.running_server()
        if server is not None:
            renew = partial(_token_now, directory, server.url)
            return ApiClient(
                server.url, server.token, renew=renew, organization=invocation.organization, timeout_s=timeout_s
            )
        try:
            return directory.lock(_LOOK_EVERY_S, "a command")
        except DirectoryInUse:
            if time.monotonic() >= deadline_s:
                raise


def _token_now(directory: DataDirectory, url: str) -> str | None:
    """The token of the server that answers at that place now: one that was started again has another."""
    server = directory.running_server()
    return server.token if server is not None and server.url == url else None


def own_directory(settings: "Settings", purpose: str, wait_s: float = LOCK_WAIT_S) -> AbstractContextManager[object]:
    """The right to open the embedded stores, for a command that cannot go through a server that has them open.

    Servers belong to nobody: with every store on one there is nothing to hold.
    """
    if not settings.embedded:
        return nullcontext()
    directory = DataDirectory(settings.data_dir)
    server = directory.running_server()
    if server is not None:
        raise DirectoryInUse(
            f"the data directory {settings.data_dir} is in use by the server at {server.url} (process {server.pid})",
            service="analytics",
            hint=f"stop that server first: one process at a time owns embedded stores, so {purpose} has to wait for it",
        )
    return directory.lock(wait_s, purpose)


@contextmanager
def _in_process(settings: "Settings", invocation: Invocation, timeout_s: float) -> Iterator[Connection]:
    with loading():
        from campaignctl.bootstrap import open_app
        from campaignctl.cli.in_process import InProcessTransport
        from server.app import create_app

    invocation.log_beside()
    token = secrets.token_urlsafe(32)
    with open_app(settings) as app:
        transport = InProcessTransport(create_app(app, operator_token=token))
        with ApiClient(
            _IN_PROCESS_URL, token, organization=invocation.organization, transport=transport, timeout_s=timeout_s
        ) as api:
            yield Connection(api, app)
