"""``kill -9`` of a working server, again and again, while producers keep sending: nothing lost, nothing doubled.

One producer posts over HTTP and repeats whatever was not acknowledged, under the same event ids. Another one writes
straight into the log, which takes records whether the server lives or not; its bad records are refused by the worker,
whose dead letters are exactly once, too. ``CA_TEST_KILLS`` is how many kills there are.
"""

import json
import os
import random
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.api_client import ApiClient
from campaignctl.errors import CampaignctlError
from campaignctl.ports.event_log import NewRecord
from tests.e2e.test_samples import dead_letters
from tests.support.program import Program, Server
from tests.support.waiting import eventually

KILLS = int(os.environ.get("CA_TEST_KILLS", "20"))
PLATFORMS = ("meta", "google", "linkedin", "tiktok")
REGIONS = ("ZZ", "US", "US-CA", "IN", "GB-ENG")
MOST_WAITING = 20_000
COUNTED_WITHIN_S = 600.0
ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns")
METRICS = ("impressions", "clicks", "conversions", "spend", "revenue")
MICRO = 10**6

Cell = tuple[int, str, str, str]
"""Campaign, day in its zone, platform, region."""


@dataclass
class Truth:
    """What must come out, by plain addition."""

    events: int = 0
    cells: dict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    refused_by_worker: Counter[tuple[str, bytes]] = field(default_factory=Counter)
    refused_at_once: set[tuple[str, bytes]] = field(default_factory=set)
    """Refused over HTTP by a request that was acknowledged at its first try."""
    refused_in_the_end: set[tuple[str, bytes]] = field(default_factory=set)
    """Refused over HTTP by a request that was repeated, hence once or more."""


class Producer(threading.Thread):
    """Sends one batch after the other until it is told to stop; a batch is in the truth before it is sent."""

    def __init__(self, name: str, truth: Truth) -> None:
        super().__init__(name=name, daemon=True)
        self.error: BaseException | None = None
        self.stopping = threading.Event()
        self.truth = truth
        self.batches = 0
        self._random = random.Random(name)
        self._earlier: list[bytes] = []
        self._made = 0

    def run(self) -> None:
        try:
            while not self.stopping.is_set():
                self.send(self._random.randint(1, 120))
                self.batches += 1
        except BaseException as error:
            self.error = error

    def send(self, size: int) -> None:
        raise NotImplementedError

    def event(self) -> tuple[int, bytes]:
        """A new event, counted in the truth: its campaign and the record."""
        rng = self._random
        self._made += 1
        campaign_id = rng.randint(1, len(ZONES))
        at = datetime.now(UTC) - timedelta(seconds=rng.randint(0, 20 * 86_400))
        platform, region = rng.choice(PLATFORMS), rng.choice(REGIONS)
        sums = {"impressions": rng.randint(0, 10**9), "clicks": rng.randint(0, 999)}
        sums |= {name: rng.randint(0, 10**10) for name in ("conversions", "spend", "revenue")}
        event: dict[str, Any] = {
            "event_id": f"{self.name}-{self._made}",
            "campaign_id": campaign_id,
            "platform": platform,
            "event_time": at.isoformat(),
            "region": region,
        }
        event |= {
            name: str(Decimal(value) / MICRO) if name not in METRICS[:2] else value for name, value in sums.items()
        }
        day = at.astimezone(ZoneInfo(ZONES[campaign_id - 1])).date().isoformat()
        self.truth.cells[campaign_id, day, platform, region].update(sums)
        self.truth.events += 1
        record = json.dumps(event).encode()
        self._earlier.append(record)
        return campaign_id, record

    def copy(self) -> bytes | None:
        """A record that was sent before, most likely a moment ago."""
        if not self._earlier:
            return None
        near = self._earlier[-300:] if self._random.random() < 0.7 else self._earlier
        return self._random.choice(near)

    def bad(self) -> tuple[str, bytes]:
        """A record that breaks a rule, like no other: its reason and its bytes."""
        self._made += 1
        name = f"{self.name}-bad-{self._made}"
        good = {"event_id": name, "campaign_id": 1, "platform": "meta", "event_time": datetime.now(UTC).isoformat()}
        code, change = self._random.choice(
            (
                ("invalid_type", {"clicks": 1.5}),
                ("unknown_platform", {"platform": "x"}),
                ("missing_field", {"platform": ""}),
            )
        )
        if self._random.random() < 0.2:
            return "malformed_json", f"{{{name}".encode()
        return code, json.dumps(good | change).encode()


class HttpProducer(Producer):
    """Posts to whichever server runs, and repeats a batch until it is acknowledged."""

    def __init__(self, truth: Truth) -> None:
        super().__init__("http", truth)
        self.api: ApiClient | None = None
        self.repeated = 0
        self.last_position = ""

    def send(self, size: int) -> None:
        bad = {index: self.bad() for index in range(size) if self._random.random() < 0.02}
        lines: list[bytes] = []
        for index in range(size):
            copied = self.copy() if self._random.random() < 0.1 else None
            lines.append(bad[index][1] if index in bad else copied or self.event()[1])
        tries = 0
        while True:
            tries += 1
            api = self.api
            try:
                if api is None:
                    raise ConnectionError
                answer = api.send_events(b"\n".join(lines)).json()
                break
            except (CampaignctlError, ConnectionError, RuntimeError):  # RuntimeError: the client was closed meanwhile
                if self.stopping.wait(0.02) and self.api is None:
                    raise
        self.repeated += tries > 1
        refused = {entry["index"]: entry["code"] for entry in answer["rejected"]}
        assert refused == {index: code for index, (code, _) in bad.items()}
        (self.truth.refused_at_once if tries == 1 else self.truth.refused_in_the_end).update(bad.values())
        self.last_position = answer["position"]
        time.sleep(self._random.random() * 0.02)


class LogProducer(Producer):
    """Writes into the log, as a producer that knows nothing of the server; some records under a wrong key.

    It pauses while too many wait to be counted: what is written while no server lives would grow without end.
    """

    def __init__(self, truth: Truth, path: Path) -> None:
        super().__init__("log", truth)
        self._log = EmbeddedEventLog(path, SystemClock())

    def run(self) -> None:
        super().run()
        self._log.close()

    def send(self, size: int) -> None:
        records = []
        while _waiting(self._log) > MOST_WAITING:
            if self.stopping.wait(0.1):
                return
        for _ in range(size):
            draw = self._random.random()
            copied = self.copy() if draw < 0.1 else None
            if copied is not None:
                records.append(NewRecord(str(json.loads(copied)["campaign_id"]).encode(), copied))
            elif draw < 0.13:
                refused = self.bad()
                self.truth.refused_by_worker[refused] += 1
                records.append(NewRecord(None, refused[1]))
            else:
                campaign_id, record = self.event()
                key = b"someone else's key" if self._random.random() < 0.05 else str(campaign_id).encode()
                records.append(NewRecord(key, record))
        self._log.produce("campaign-events", records)
        time.sleep(self._random.random() * 0.04)


@pytest.mark.timeout(max(1_800, 60 * KILLS))
def test_nothing_is_lost_and_nothing_doubled(tmp_path: Path) -> None:
    program = Program(
        tmp_path, {"CA_EVENTS_FLUSH_AGE_MS": "20", "CA_EVENTS_FLUSH_ROWS": "200", "CA_LOG_LEVEL": "error"}
    )
    rng = random.Random()  # the moments of the kills need not be repeatable, and are not
    with program.serving() as server:
        server.client.create([{"name": f"campaign in {zone}", "timezone": zone} for zone in ZONES])
        server.kill()
    posted, logged = Truth(), Truth()
    by_http, by_log = HttpProducer(posted), LogProducer(logged, program.data_dir / "event_log.sqlite")
    producers: tuple[Producer, ...] = (by_http, by_log)
    for producer in producers:
        producer.start()
    for turn in range(KILLS):
        if turn % 4 == 3:  # in the middle of starting: opening the stores, taking over what the last one left behind
            program.kill_while_starting(rng.uniform(0.3, 2.0))
            continue
        with Server(program) as server:
            by_http.api = server.api
            time.sleep(rng.uniform(0.0, 1.2))
            server.kill()
            assert [producer.error for producer in producers] == [None, None]
    with Server(program) as server:
        by_http.api = server.api
        for producer in producers:
            producer.stopping.set()
            producer.join(60)
        assert [producer.error for producer in producers] == [None, None]
        assert min(producer.batches for producer in producers) > KILLS
        assert by_http.repeated > 0
        server.client.wait([by_http.last_position], 1, timeout_s=COUNTED_WITHIN_S)
        _wait_until_all_is_counted(program)
        _assert_sums(program, server, posted, logged)
    _assert_dead_letters(program, posted, logged)


def _waiting(log: EmbeddedEventLog) -> int:
    """Records that are not acknowledged yet."""
    committed = log.committed("campaign-events", "campaignctl-worker")
    kept = log.watermarks("campaign-events")
    return sum(marks.end - (committed[n].offset if n in committed else marks.start) for n, marks in kept.items())


def _wait_until_all_is_counted(program: Program) -> None:
    with closing(EmbeddedEventLog(program.data_dir / "event_log.sqlite", SystemClock())) as log:
        eventually(lambda: not _waiting(log), "all is counted", within_s=COUNTED_WITHIN_S, every_s=0.05)


def _assert_sums(program: Program, server: Server, *truths: Truth) -> None:
    expected: dict[Cell, Counter[str]] = defaultdict(Counter)
    for truth in truths:
        for cell, sums in truth.cells.items():
            expected[cell].update(sums)
    assert _insights(server) == expected
    events = sum(truth.events for truth in truths)
    raw = program.run(
        "query",
        """SELECT campaign_id, toString(day) AS day, platform, region, sum(impressions) AS impressions,
            sum(clicks) AS clicks, sum(conversions_millionths) AS conversions, sum(spend_micros) AS spend,
            sum(revenue_micros) AS revenue, count() AS events, uniqExact(event_id) AS ids
        FROM events GROUP BY ALL""",
        "-o",
        "json",
    ).json()
    rolled = program.run(
        "query",
        """SELECT campaign_id, toString(day) AS day, platform, region, sum(impressions) AS impressions,
            sum(clicks) AS clicks, sum(conversions_millionths) AS conversions, sum(spend_micros) AS spend,
            sum(revenue_micros) AS revenue, sum(events) AS events
        FROM rollup_1d GROUP BY ALL""",
        "-o",
        "json",
    ).json()
    for table in (_rows(raw), _rows(rolled)):
        assert sum(int(row["events"]) for row in table) == events
        assert {_cell(row): Counter({name: int(row[name]) for name in METRICS}) for row in table} == expected
    assert sum(int(row["ids"]) for row in _rows(raw)) == events


def _insights(server: Server) -> dict[Cell, Counter[str]]:
    """The daily rows of every campaign by platform and region, conversions and money in millionths."""
    first = (datetime.now(UTC) - timedelta(days=25)).date().isoformat()
    last = (datetime.now(UTC) + timedelta(days=1)).date().isoformat()
    found: dict[Cell, Counter[str]] = {}
    for number in range(1, len(ZONES) + 1):
        params = {"start_date": first, "end_date": last, "group_by": "platform,region"}
        for row in server.client.ask(f"/api/v1/campaigns/{number}/insights", params)["rows"]:
            cell = (number, row["period_start"], row["platform"], row["region"])
            scales = dict.fromkeys(METRICS[:2], 1) | dict.fromkeys(METRICS[2:], MICRO)
            found[cell] = Counter({name: int(row[name] * scale) for name, scale in scales.items()})
    return found


def _rows(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The rows of a query as dicts, whichever way they are written."""
    names = [column if isinstance(column, str) else column["name"] for column in body["columns"]]
    return [row if isinstance(row, dict) else dict(zip(names, row, strict=True)) for row in body["rows"]]


def _cell(row: dict[str, Any]) -> Cell:
    return int(row["campaign_id"]), row["day"], row["platform"], row["region"]


def _assert_dead_letters(program: Program, posted: Truth, logged: Truth) -> None:
    found = dead_letters(program.data_dir)
    assert {letter: found[letter] for letter in logged.refused_by_worker} == dict(logged.refused_by_worker)
    assert {letter for letter in posted.refused_at_once if found[letter] != 1} == set()
    assert {letter for letter in posted.refused_in_the_end if found[letter] < 1} == set()
    assert set(found) == {*logged.refused_by_worker, *posted.refused_at_once, *posted.refused_in_the_end}
