"""The demo's machinery: a server with its worker in a directory of its own, a user, campaigns, and the stream."""

import json
import random
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.api_client import ApiClient
from campaignctl.bootstrap import SCHEMA_WAIT_S, App, open_stores
from campaignctl.cli.demo_platforms import DemoPlatforms, simulated_platforms
from campaignctl.cli.embedded_worker import health_check, working
from campaignctl.cli.progress import progress
from campaignctl.config import Settings
from campaignctl.errors import CampaignctlError, Unavailable
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.natives import campaign_body
from campaignctl.sandbox.report_verdict import check_reports
from campaignctl.sandbox.stream import History, history, live
from campaignctl.sandbox.truth import Truth
from campaignctl.sandbox.verdict import Verdict, check
from campaignctl.sandbox.world import CAMPAIGNS
from server.app import serve

if TYPE_CHECKING:
    from campaignctl.cli.output import Output

_PIECE_BYTES = 2 * 1024 * 1024
_START_TIMEOUT_S = 30.0
_LIVE_EVERY_S = 0.4
_RESTATED_AFTER_TURNS = 20
"""Of live events, until platforms restate while somebody watches."""
_EMAIL = "demo@example.com"


@dataclass(frozen=True, slots=True)
class Found:
    """The verdict with the truth it was given against."""

    truth: Truth
    answered: Verdict
    reports: Verdict


class Demo:
    """A demo in progress; ``api`` is signed in as the demo's user."""

    def __init__(self, app: App, api: ApiClient, seed: int, played: History, platforms: DemoPlatforms) -> None:
        self.api = api
        self.platforms = platforms
        self.restated: list[Mapping[str, Any]] = []
        self.went_wrong = ""
        self.live_events = 0
        self._app = app
        self._seed = seed
        self._played = played
        self._position = ""

    @staticmethod
    def decode(body: bytes) -> Any:
        return json.loads(body, parse_float=Decimal)

    def get_json(self, path: str, params: Mapping[str, str] | None = None, /) -> Any:
        """As the API client's, with exact decimals."""
        return self.decode(self.api.get(path, params).content)

    def insights(self, number: int, granularity: str, days: int) -> bytes:
        """The last days up to today, beside those before them where the history goes back that far."""
        first = (datetime.now(UTC) - timedelta(days=days - 1)).date()
        params = {"granularity": granularity, "start_date": first.isoformat()}
        if first - timedelta(days=days) > self._played.first_moment.date():
            params["compare"] = "previous_period"
        return self.api.get(f"/api/v1/campaigns/{number}/insights", params).content

    def send(self, records: Sequence[bytes]) -> None:
        """Post the records; refused ones are part of the play."""
        answer = self.api.send_events(b"\n".join(records)).json()
        self._position = answer["position"]

    def settle(self) -> None:
        """Wait until all that was sent is counted."""
        self.get_json(f"/api/v1/campaigns/{CAMPAIGNS[0].number}/insights", {"after": self._position})

    def verdict(self) -> Found:
        self.settle()
        first, last = self._days()
        truth = self._played.truth
        reports = check_reports(self, truth, self.platforms.fetched, first, last)
        return Found(truth, check(self, truth, first, last), reports)

    def later(self) -> None:
        """Let time pass on the platforms, and see what they restate."""
        self.restated = self.platforms.later(self.api)

    def refused(self) -> dict[str, int]:
        return dict(self._app.dead_letters.count_by_reason())

    def expected_refused(self) -> dict[str, int]:
        return dict(self._played.truth.refused)

    @contextmanager
    def live(self) -> Iterator[None]:
        """Events of this very moment keep coming in for the length of a ``with``."""
        stop = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(stop,), name="demo-feeder", daemon=True)
        feeder.start()
        try:
            yield
        finally:
            stop.set()
            feeder.join(_START_TIMEOUT_S)

    def _feed(self, stop: threading.Event) -> None:
        turns = live(self._seed, self._played.truth, datetime.now(UTC))
        dice = random.Random(self._seed)  # noqa: S311 - a play, nothing secret
        turns_left = _RESTATED_AFTER_TURNS
        while not stop.wait(_LIVE_EVERY_S):
            turns_left -= 1
            if turns_left == 0:
                self._later_while_watched()
            now = datetime.now(UTC)
            turn = [next(turns) for _ in range(dice.randint(1, 5))]
            made = [stream.event(campaign, now) for campaign, stream in turn]
            records = made + made[: dice.random() < 0.1]  # now and then a copy
            while True:
                try:
                    self.send(records)
                except Unavailable as busy:  # the truth already holds them, so they must arrive; a copy does no harm
                    time.sleep(busy.retry_after_s)
                else:
                    break
            self.live_events += len(made)

    def _later_while_watched(self) -> None:
        try:
            self.later()
        except CampaignctlError as error:  # events keep coming; what is wrong is said when the dashboard is gone
            self.went_wrong = error.message

    def _days(self) -> tuple[date, date]:
        """Every day the stream touches in any zone."""
        return self._played.first_moment.date() - timedelta(days=1), datetime.now(UTC).date() + timedelta(days=1)


@contextmanager
def running_demo(seed: int, days: int, out: "Output", *, quiet: bool) -> Iterator[Demo]:
    """The demo with its history counted; the directory it lives in is gone afterwards."""
    with ExitStack() as stack:
        home = Path(tempfile.mkdtemp(prefix="campaignctl-demo-"))
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        now = datetime.now(UTC).replace(microsecond=0)
        world = World(seed, (now - timedelta(days=days)).date())
        platforms = stack.enter_context(simulated_platforms(world))
        settings = Settings(data_dir=home, fetch={"recent_every": timedelta(0)}, **platforms.sections())  # type: ignore[arg-type]
        out.note(f"stores in {home}: analytics (chDB), metadata and event log (SQLite)")
        stack.enter_context(DataDirectory(home).lock(0, "demo"))
        app = stack.enter_context(open_stores(settings))
        app.init_schema(SCHEMA_WAIT_S)
        app.health.add(health_check(stack.enter_context(working(app, scheduled=True))))
        url = stack.enter_context(_server(app))
        out.note(f"API and worker on {url}")
        played = history(world, now, days)
        api = stack.enter_context(_signed_in(url))
        for campaign in CAMPAIGNS:  # a fresh installation counts from 1, as the sandbox does
            api.post("/api/v1/campaigns", campaign_body(campaign, played.first_moment.date()))
        api.put("/api/v1/currency-rates", played.rates)
        out.note(f"{_EMAIL} signed in; {len(CAMPAIGNS)} campaigns and {len(played.rates)} currency rates stored")
        demo = Demo(app, api, seed, played, platforms)
        with progress("events", len(played.records), quiet=quiet) as sent:
            started = time.monotonic()
            for piece in _pieces(played.records):
                demo.send(piece)
                sent.advance(len(piece))
            demo.settle()
        out.note(f"{len(played.records):,} records sent and counted in {time.monotonic() - started:.1f} s")
        out.note("fetching reports, and again as days pass on the platforms ...")
        started = time.monotonic()
        platforms.connect(api)
        platforms.fetch(api)
        demo.later()
        out.note(f"reports fetched from {platforms.accounts} accounts in {time.monotonic() - started:.1f} s")
        yield demo


@contextmanager
def _server(app: App) -> Iterator[str]:
    """The API on a free port of the loopback, in a thread."""
    bound: list[str] = []
    stops: list[Any] = []
    ready = threading.Event()

    def on_bound(host: str, port: int) -> None:
        bound.append(f"http://{host}:{port}")
        ready.set()

    def run() -> None:
        serve(app, host="127.0.0.1", port=0, on_bound=on_bound, on_server=stops.append)

    thread = threading.Thread(target=run, name="demo-api", daemon=True)
    thread.start()
    if not ready.wait(_START_TIMEOUT_S):
        raise Unavailable("the demo's server did not start", service="api")
    try:
        yield bound[0]
    finally:
        stops[0]()
        thread.join(_START_TIMEOUT_S)


def _signed_in(url: str) -> ApiClient:
    """A client of a fresh user; the password is made for this run and never shown."""
    credentials = {"email": _EMAIL, "password": secrets.token_urlsafe(24)}

    def sign_in() -> str:
        with ApiClient(url) as anyone:
            token: str = anyone.post("/api/v1/auth/login", credentials).json()["access_token"]
            return token

    with ApiClient(url) as anyone:
        anyone.post("/api/v1/auth/register", credentials)
    return ApiClient(url, sign_in(), renew=sign_in)


def _pieces(records: Sequence[bytes]) -> Iterator[list[bytes]]:
    piece: list[bytes] = []
    size = 0
    for record in records:
        if piece and size + len(record) > _PIECE_BYTES:
            yield piece
            piece, size = [], 0
        piece.append(record)
        size += len(record) + 1
    if piece:
        yield piece
