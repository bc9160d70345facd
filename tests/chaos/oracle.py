"""What must come out after chaos, by plain addition, and how far raw rows, the rollup and answers are from it.

Events are written straight into the log: copies among them, bad records, records under another campaign's key, some that
are weeks old. Nothing here asks the product how it would count.
"""

import json
import random
import secrets
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from campaignctl.api_client import ApiClient
from campaignctl.bootstrap import App, open_app
from campaignctl.cli.connection import own_directory
from campaignctl.cli.in_process import InProcessTransport
from campaignctl.config import load_settings
from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import EventLog, NewRecord
from server.app import create_app
from tests.support.thread import Client

ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns")
_PLATFORMS = ("meta", "google", "linkedin", "tiktok")
_REGIONS = ("ZZ", "US-CA", "IN")
_MILLIONTHS = 10**6
_SCALES = {"impressions": 1, "clicks": 1, "conversions": _MILLIONTHS, "spend": _MILLIONTHS, "revenue": _MILLIONTHS}
_DAYS = 20
_EVERY_S = 0.2
_AWAY_AT_MOST_S = 240.0
_BROKEN = b"{broken "
_MOST_WAITING = 1_500
"""So many records wait to be applied at most. Whoever comes after two that died reads each of them in another process
first, and on a slow machine what waits would grow faster than it is read.
"""

Cell = tuple[int, str, str, str]
"""Campaign, day in its zone, platform, region."""
Cells = dict[Cell, dict[str, int]]


class Flow:
    """Records that keep coming, from ``start`` to ``stop``, and their truth. Campaign N lives in zone N.

    It pauses while too many wait for the group, and while the log is away. ``hot`` is the first campaign's share of
    new events, and may be set while they flow; None: all have the same.
    """

    def __init__(
        self,
        log: EventLog,
        topic: str,
        group: str,
        campaigns: list[int],
        seed: int,
        *,
        per_second: int = 300,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._log, self._topic, self._group, self._campaigns = log, topic, group, campaigns
        self._at_once = max(round(per_second * _EVERY_S), 1)
        self._most_waiting = most_waiting
        self.hot: float | None = None
        self._random = random.Random(seed)
        self._values: list[tuple[int, bytes]] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._error: BaseException | None = None
        self.events = 0
        self.records = 0
        self.bad: Counter[bytes] = Counter()
        self.bad_sent_again: set[bytes] = set()
        """Nobody knows how often these are in the log: the answer was lost, so they were produced again."""
        self._cells: defaultdict[Cell, Counter[str]] = defaultdict(Counter)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(60)
        if self._error is not None:
            raise self._error

    @property
    def cells(self) -> Cells:
        return {cell: dict(sums) for cell, sums in self._cells.items()}

    def _run(self) -> None:
        try:
            while not self._stopping.wait(_EVERY_S):
                if self._waiting() > self._most_waiting:
                    continue
                records = [self._record() for _ in range(self._at_once)]
                self._produce(records)
                self.records += len(records)
        except BaseException as error:  # raised by stop
            self._error = error

    def _produce(self, records: list[NewRecord]) -> None:
        """Until it is done: the copies that this may make count once, as all do."""
        end_s = time.monotonic() + _AWAY_AT_MOST_S
        while True:
            try:
                self._log.produce(self._topic, records)
                return
            except Unavailable:
                if time.monotonic() > end_s:
                    raise
                self.bad_sent_again.update(bytes(one.value) for one in records if one.value.startswith(_BROKEN))
                time.sleep(_EVERY_S)

    def _waiting(self) -> float:
        """How many records; too many to go on where the log does not answer."""
        try:
            committed, kept = self._log.committed(self._topic, self._group), self._log.watermarks(self._topic)
        except Unavailable:
            return float("inf")
        return sum(
            marks.end - (committed[number].offset if number in committed else marks.start)
            for number, marks in kept.items()
        )

    def _record(self) -> NewRecord:
        rng, chance = self._random, self._random.random()
        if chance < 0.02:
            value = _BROKEN + b"%d" % sum(self.bad.values())
            self.bad[value] += 1
            return NewRecord(str(rng.choice(self._campaigns)).encode(), value)
        if chance < 0.12 and self._values:
            near = self._values[-300:] if rng.random() < 0.7 else self._values
            campaign, value = rng.choice(near)
        else:
            campaign, value = self._event()
            self._values.append((campaign, value))
        return NewRecord(b"another's key" if rng.random() < 0.03 else str(campaign).encode(), value)

    def _event(self) -> tuple[int, bytes]:
        rng = self._random
        others = range(len(self._campaigns)) if self.hot is None else range(1, len(self._campaigns))
        place = 0 if self.hot is not None and rng.random() < self.hot else rng.choice(others)
        campaign = self._campaigns[place]
        at = datetime.now(UTC) - timedelta(seconds=rng.randrange(_DAYS * 86_400) if rng.random() < 0.1 else 0)
        platform, region = rng.choice(_PLATFORMS), rng.choice(_REGIONS)
        sums = {"impressions": rng.randrange(10**6), "clicks": rng.randrange(1_000)}
        sums |= {name: rng.randrange(10**9) for name in ("conversions", "spend", "revenue")}
        event: dict[str, Any] = {"event_id": f"e{self.events}", "campaign_id": campaign, "platform": platform}
        event |= {"event_time": at.isoformat(), "region": region}
        event |= {name: value if _SCALES[name] == 1 else _decimal(value) for name, value in sums.items()}
        day = at.astimezone(ZoneInfo(ZONES[place])).date().isoformat()
        self._cells[campaign, day, platform, region].update(sums | {"events": 1})
        self.events += 1
        return campaign, json.dumps(event).encode()


def _decimal(millionths: int) -> str:
    return f"{millionths // _MILLIONTHS}.{millionths % _MILLIONTHS:06d}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How what is there differs from the truth; all zero is right."""

    lost: int
    """Events without a row."""
    doubled: int
    """Rows beyond one of each event."""
    wrong_raw: int
    wrong_rollup: int
    wrong_answers: int
    """Cells (campaign, day, platform, region) one of whose five metrics is not right to the micro."""
    wrong_letters: int
    """Bad records that are not exactly one dead letter."""

    @property
    def is_right(self) -> bool:
        return self == Verdict(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Found:
    """What is there."""

    rows: int
    ids: int
    raw: Cells
    rollup: Cells
    answers: Cells


def prepare() -> list[int]:
    """Make the schema and the campaigns, in a process of its own; answers their numbers."""
    with _client(create=True) as (client, _):
        return client.create([{"name": f"in {zone}", "timezone": zone} for zone in ZONES])


def create(names: list[str]) -> list[int]:
    """Make more campaigns, in UTC, in a process of its own; answers their numbers."""
    with _client() as (client, _):
        return client.create([{"name": name} for name in names])


def look(campaigns: list[int]) -> Found:
    """Read everything, in a process of its own."""
    with _client() as (client, app):
        clients = app.analytics._clients  # type: ignore[attr-defined]
        numbers = clients.read("SELECT count() AS n, uniqExact(campaign_id, event_id) AS ids FROM events", {})
        return Found(
            rows=int(numbers.integers("n")[0]),
            ids=int(numbers.integers("ids")[0]),
            raw=_table(clients, "events", "count()"),
            rollup=_table(clients, "rollup_1d", "sum(events)"),
            answers={cell: sums for number in campaigns for cell, sums in _answered(client, number).items()},
        )


def judge(found: Found, flow: Flow, log: EventLog, letters_topic: str) -> Verdict:
    """Compare what is there with what was sent; all records must have been applied."""
    truth = flow.cells
    no_counts = {cell: {name: sums[name] for name in _SCALES} for cell, sums in truth.items()}
    letters = Counter(_values(log, letters_topic))
    for value in flow.bad_sent_again & letters.keys():
        letters[value] = flow.bad[value]
    return Verdict(
        lost=flow.events - found.ids,
        doubled=found.rows - found.ids,
        wrong_raw=_differences(found.raw, truth),
        wrong_rollup=_differences(found.rollup, truth),
        wrong_answers=_differences(found.answers, no_counts),
        wrong_letters=sum(letters[value] != flow.bad[value] for value in letters.keys() | flow.bad.keys()),
    )


@contextmanager
def _client(*, create: bool = False) -> Iterator[tuple[Client, App]]:
    settings, token = load_settings(), secrets.token_hex(16)
    with own_directory(settings, "chaos"), open_app(settings, create=create) as app:
        api = ApiClient("http://chaos", token, transport=InProcessTransport(create_app(app, operator_token=token)))
        try:
            yield Client(api), app
        finally:
            api.close()


def _differences(found: Cells, truth: Cells) -> int:
    return sum(found.get(cell) != truth.get(cell) for cell in found.keys() | truth.keys())


def _table(clients: Any, table: str, events: str) -> Cells:
    sums = "sum(impressions) AS impressions, sum(clicks) AS clicks, sum(conversions_millionths) AS conversions"
    money = "sum(spend_micros) AS spend, sum(revenue_micros) AS revenue"
    cell = (
        "campaign_id AS campaign, toString(day) AS local_day, toString(platform) AS network, toString(region) AS place"
    )
    read = clients.read(f"SELECT {cell}, {events} AS events, {sums}, {money} FROM {table} GROUP BY ALL", {})
    cells = zip(read.integers("campaign").tolist(), *map(read.strings, ("local_day", "network", "place")), strict=True)
    names = (*_SCALES, "events")
    columns = [read.integers(name).tolist() for name in names]
    found = {cell: dict(zip(names, values, strict=True)) for cell, *values in zip(cells, *columns, strict=True)}
    return {cell: sums for cell, sums in found.items() if any(sums.values())}  # what was taken back may stay as zeros


def _answered(client: Client, campaign: int) -> Cells:
    today = datetime.now(UTC).date()
    asked = {
        "start_date": str(today - timedelta(days=_DAYS + 5)),
        "end_date": str(today + timedelta(days=2)),
        "group_by": "platform,region",
        "limit": "10000",
    }
    return {
        (campaign, row["period_start"], row["platform"], row["region"]): {
            name: int(row[name] * scale) for name, scale in _SCALES.items()
        }
        for row in client.ask(f"/api/v1/campaigns/{campaign}/insights", asked)["rows"]
    }


def _values(log: EventLog, topic: str) -> list[bytes]:
    values: list[bytes] = []
    for number, kept in log.watermarks(topic).items():
        offset = kept.start
        while offset < kept.end:
            records = log.read(topic, number, offset, 1_000)
            values += [bytes(value) for value in records.values]
            offset = records.next_offset
    return values
