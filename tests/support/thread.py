"""The product end to end in one process: embedded stores, a worker in a thread, the REST API without a socket.

A process can have one chDB directory open at a time; another one can be opened once the first is closed.
"""

import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.api_client import ApiClient
from campaignctl.bootstrap import App, open_app
from campaignctl.cli.in_process import InProcessTransport
from campaignctl.config import Settings
from campaignctl.errors import NotYetVisible
from campaignctl.ports.clock import Clock
from campaignctl.services.ingestion import Ingestor
from campaignctl.services.landing import Landing
from server.app import create_app
from tests.support.answers import Json, decoded
from worker.batching import FlushPolicy
from worker.commands import Commands
from worker.metrics import WorkerMetrics
from worker.runner import Worker, WorkerOptions, WorkerThread, no_failpoint

PIECE_BYTES = 4 << 20
_WAIT_S = 60.0
AT_ONCE = FlushPolicy(age_s=0.02, pause_s=0.0)
"""Land whatever there is, without collecting it first: a test has little and waits for it."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of the lines of one or several requests."""

    accepted: int
    refused: list[tuple[int, str]]
    """Index of the line among all that were sent (blank ones not counted), and the reason code."""
    positions: list[str]
    """One of each request."""


class Client:
    """One organization through REST, as the operator of the machine sees it; exact numbers come back."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api

    def create(self, campaigns: Sequence[Mapping[str, Any]]) -> list[int]:
        """Create campaigns in order; answers their ids."""
        return [int(self.api.post("/api/v1/campaigns", dict(body)).json()["id"]) for body in campaigns]

    def put_rates(self, rates: Sequence[Mapping[str, Any]]) -> None:
        for start in range(0, len(rates), 5_000):
            self.api.put("/api/v1/currency-rates", list(rates[start : start + 5_000]))

    def send(self, lines: Sequence[bytes]) -> Sent:
        """Post the lines, a few MiB at a time."""
        sent = Sent(0, [], [])
        accepted = before = 0
        for piece in pieces(lines):
            answer = self.api.send_events(b"\n".join(piece)).json()
            accepted += answer["accepted"]
            sent.refused.extend((before + entry["index"], entry["code"]) for entry in answer["rejected"])
            sent.positions.append(answer["position"])
            before += len(piece)
        return Sent(accepted, sent.refused, sent.positions)

    def wait(self, positions: Sequence[str], campaign_id: int, *, timeout_s: float = _WAIT_S) -> None:
        """Return when all that the positions stand for is counted; raises ``NotYetVisible`` when the time is up."""
        deadline_s = time.monotonic() + timeout_s
        for position in reversed(positions):  # the newest takes longest
            while True:
                try:
                    self.ask(f"/api/v1/campaigns/{campaign_id}/insights", {"granularity": "total", "after": position})
                except NotYetVisible:
                    if time.monotonic() >= deadline_s:
                        raise
                else:
                    break

    def ask(self, path: str, params: Mapping[str, Any] | None = None) -> Json:
        """The answer with the rows of all its pages, and what they are compared with.

        Raises ``InvalidInput`` and the like.
        """
        answer: Json = decoded(self.api.get(path, params).content)
        cursor = answer.get("next_cursor")
        while cursor is not None:
            page = decoded(self.api.get(path, {**(params or {}), "cursor": cursor}).content)
            add_page(answer, page)
            cursor = page["next_cursor"]
        return answer


def add_page(answer: Json, page: Json) -> None:
    """Put the rows of a further page behind those of the answer."""
    answer["rows"] += page["rows"]
    if answer.get("comparison"):
        answer["comparison"]["rows"] += page["comparison"]["rows"]


def pieces(lines: Sequence[bytes], limit_bytes: int = PIECE_BYTES) -> Iterator[list[bytes]]:
    """The lines in order, as many at a time as one request takes."""
    piece: list[bytes] = []
    size_bytes = 0
    for line in lines:
        if piece and size_bytes + len(line) + 1 > limit_bytes:
            yield piece
            piece, size_bytes = [], 0
        piece.append(line)
        size_bytes += len(line) + 1
    if piece:
        yield piece


class Thread(Client):
    """The stores of one directory, open in this process; ``working`` has their events counted."""

    def __init__(self, app: App, api: ApiClient, token: str, transport: InProcessTransport) -> None:
        super().__init__(api)
        self.app = app
        self._token = token
        self._transport = transport

    def organization(self, name: str) -> Client:
        """A client that sees one organization only, which is made when it is not there."""
        number = self.app.metadata.ensure_organization(name)
        return Client(ApiClient("http://in-process", self._token, organization=number, transport=self._transport))

    @contextmanager
    def working(
        self, policy: FlushPolicy = AT_ONCE, failpoint: Callable[[str], None] = no_failpoint
    ) -> Iterator[WorkerThread]:
        """A fresh worker at work for the length of a ``with``: it rebuilds its windows from the store."""
        thread = build_worker(self.app, policy, failpoint).run_in_thread()
        try:
            yield thread
        finally:
            if not thread.stop():
                raise TimeoutError("the worker did not stop")


def build_worker(
    app: App,
    policy: FlushPolicy = AT_ONCE,
    failpoint: Callable[[str], None] = no_failpoint,
    poll_records: int = 5_000,
    commands: Commands | None = None,
) -> Worker:
    """As the product builds it, with a policy and a failpoint of the test's."""
    settings = app.settings
    window_days = settings.events.dedup_window_days
    ingestor = Ingestor(
        app.analytics,
        app.metadata,
        partition_of=partition_for_key,
        limits=app.limits,
        window_days=window_days,
        clock=app.clock,
    )
    landing = Landing(
        app.analytics,
        app.event_log,
        app.metadata,
        dead_letter_topic=settings.kafka.dead_letter_topic,
        window_days=window_days,
        clock=app.clock,
    )
    return Worker(
        app.event_log,
        app.analytics,
        ingestor,
        landing,
        topic=settings.kafka.events_topic,
        group=settings.kafka.group_id,
        clock=app.clock,
        metrics=WorkerMetrics(CollectorRegistry()),
        options=WorkerOptions(policy, poll_records=poll_records),
        commands=commands,
        failpoint=failpoint,
    )


@contextmanager
def open_thread(directory: Path, *, clock: Clock | None = None, **settings: Any) -> Iterator[Thread]:
    """Open (or make) the stores below ``directory`` and the API over them; ``settings`` as ``Settings`` takes them."""
    with ExitStack() as stack:
        stack.enter_context(DataDirectory(directory).lock(10.0, "a test"))
        app = stack.enter_context(open_app(Settings(data_dir=directory, **settings), clock=clock, create=True))
        token = secrets.token_urlsafe(32)
        transport = InProcessTransport(create_app(app, operator_token=token))
        api = stack.enter_context(ApiClient("http://in-process", token, transport=transport, timeout_s=_WAIT_S))
        yield Thread(app, api, token, transport)
