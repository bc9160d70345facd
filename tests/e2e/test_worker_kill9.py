"""A worker process that dies, by ``kill -9`` and at every step of a batch, over the real embedded stores.

The truth is a plain sum over what was produced. Raw rows, the rollup and the dead letters must equal it.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from campaignctl.domain.campaigns import CampaignDraft
from campaignctl.ports.event_log import NewRecord, TopicSpec
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.schema import SchemaService
from tests.e2e.worker_process import DIED, EVENTS, LETTERS, Stores

ROOT = Path(__file__).parents[2]
ZONES = ("UTC", "Asia/Kolkata", "America/St_Johns", "Pacific/Kiritimati")
PLATFORMS = ("meta", "google", "linkedin", "tiktok")
REGIONS = ("ZZ", "US-CA", "IN", "GB")
POINTS = ("after_poll", "after_intent", "before_insert", "mid_insert", "after_insert", "before_commit", "after_commit")

RollupKey = tuple[int, str, str, str]
Sums = tuple[int, int, int, int]


@dataclass
class Producer:
    """Makes events, copies near and at once, conflicts, misplaced and bad records, and keeps count of the truth."""

    stores: Stores
    seed: int
    rows: dict[tuple[int, str], tuple[RollupKey, Sums]] = field(default_factory=dict)
    refused: Counter[str] = field(default_factory=Counter)
    values: list[tuple[int, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.now = datetime.now(UTC)

    def produce(self, count: int) -> None:
        records = []
        for _ in range(count):
            campaign_id, value = self._record()
            anywhere = self.rng.randrange(2) if self.rng.random() < 0.03 and b'"spend"' in value else None
            records.append(NewRecord(str(campaign_id).encode(), value, partition=anywhere))
        self.stores.log.produce(EVENTS, records)

    def _record(self) -> tuple[int, bytes]:
        rng = self.rng
        chance = rng.random()
        if chance < 0.02:
            self.refused["malformed_json"] += 1
            return rng.randint(1, 8), b"{broken"
        if chance < 0.04:
            self.refused["unknown_campaign"] += 1
            return 99, json.dumps({**self._event(99), "event_id": "x"}).encode()
        if chance < 0.12 and self.values:
            return rng.choice(self.values)
        campaign_id = rng.randint(1, 8)
        event = self._event(campaign_id)
        value = json.dumps(event).encode()
        self.values.append((campaign_id, value))
        zone = ZoneInfo(ZONES[campaign_id % len(ZONES)])
        day = datetime.fromisoformat(event["event_time"]).astimezone(zone).date().isoformat()
        key = (campaign_id, day, event["platform"], event["region"])
        micros = round(float(event["spend"]) * 10**6)
        self.rows[campaign_id, event["event_id"]] = key, (1, event["impressions"], event["clicks"], micros)
        return campaign_id, value

    def _event(self, campaign_id: int) -> dict:
        rng = self.rng
        age = timedelta(days=rng.random() * 3 if rng.random() < 0.9 else rng.random() * 90)
        return {
            "event_id": f"{self.seed}-{len(self.values)}",
            "campaign_id": campaign_id,
            "platform": rng.choice(PLATFORMS),
            "event_time": (self.now - age).isoformat(),
            "region": rng.choice(REGIONS),
            "impressions": rng.randint(0, 1_000),
            "clicks": rng.randint(0, 50),
            "spend": f"{rng.randint(0, 10**7) / 10**6:.6f}",
        }

    @property
    def rollup(self) -> dict[RollupKey, Sums]:
        sums: dict[RollupKey, Sums] = {}
        for key, metrics in self.rows.values():
            before = sums.get(key, (0, 0, 0, 0))
            sums[key] = tuple(a + b for a, b in zip(before, metrics, strict=True))  # type: ignore[assignment]
        return sums


@pytest.fixture
def stores(tmp_path: Path) -> Iterator[Stores]:
    made = Stores(tmp_path)
    run([sys.executable, "-c", _MAKE_ANALYTICS, str(tmp_path)])
    SchemaService((made.metadata,)).apply(10)
    organization = made.metadata.ensure_organization("test")
    for number in range(1, 9):
        draft = CampaignDraft(f"campaign {number}", timezone=ZONES[number % len(ZONES)])
        made.metadata.add_campaign(organization, draft)
    made.log.ensure_topic(TopicSpec(EVENTS, 2, -1, 2**21))
    made.log.ensure_topic(TopicSpec(LETTERS, 1, -1, 2**21))
    yield made
    made.close()


# The engine takes one directory per process, and this one must see several.
_MAKE_ANALYTICS = """
import sys
from pathlib import Path
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.services.schema import SchemaService
analytics = open_embedded_analytics(Path(sys.argv[1]) / "analytics")
SchemaService((analytics,)).apply(30)
analytics.close()
"""

_READ = """
import json, sys
from pathlib import Path
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
analytics = open_embedded_analytics(Path(sys.argv[1]) / "analytics")
def rows(sql, names):
    table = analytics._clients.read(sql, {})
    return list(zip(*([str(v) for v in (table.strings(n) if n in TEXTS else table.integers(n).tolist())] for n in names)))
TEXTS = {"event_id", "day", "platform", "region"}
print(json.dumps({
    "events": rows("SELECT campaign_id, event_id, count() AS n FROM events GROUP BY ALL", ["campaign_id", "event_id", "n"]),
    "offsets": rows("SELECT count() - uniqExact(ktopic, kpart, koff) AS n FROM events", ["n"]),
    "rollup": rows("SELECT campaign_id, toString(day) AS day, toString(platform) AS platform, toString(region) AS region,"
        " sum(events) AS n, sum(impressions) AS i, sum(clicks) AS c, sum(spend_micros) AS s FROM rollup_1d GROUP BY ALL",
        ["campaign_id", "day", "platform", "region", "n", "i", "c", "s"]),
}))
analytics.close()
"""


def run(command: list[str], **environment: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, timeout=180, check=False
    )
    assert done.returncode in (0, DIED), done.stderr
    return done


def work(stores: Stores, **environment: str) -> int:
    return run([sys.executable, "-m", "tests.e2e.worker_process", str(stores.directory)], **environment).returncode


def assert_equals_the_truth(stores: Stores, producer: Producer) -> None:
    found = json.loads(run([sys.executable, "-c", _READ, str(stores.directory)]).stdout)
    assert {(int(campaign), event_id): int(n) for campaign, event_id, n in found["events"]} == dict.fromkeys(
        producer.rows, 1
    )
    assert found["offsets"] == [["0"]]
    # What was added and taken back is a row of zeros until the next merge.
    rollup = {(int(row[0]), *row[1:4]): tuple(map(int, row[4:])) for row in found["rollup"] if row[4] != "0"}
    assert rollup == producer.rollup
    letters = DeadLetters(stores.log, topic=LETTERS)
    assert letters.count_by_reason() == dict(producer.refused)
    end = stores.log.watermarks(LETTERS)[0].end
    assert end == producer.refused.total(), "a dead letter lies there twice"


@pytest.mark.parametrize("point", POINTS)
def test_a_worker_that_dies_at_a_step_is_repeated_exactly(stores: Stores, point: str) -> None:
    producer = Producer(stores, seed=POINTS.index(point))
    deaths = 0
    for nth in (1, 2, 3):
        producer.produce(2_500)
        deaths += work(stores, CA_TEST_FAILPOINT=f"{point}:{nth}") == DIED
    assert deaths >= 2
    assert work(stores) == 0
    assert_equals_the_truth(stores, producer)


def test_a_record_that_ends_three_processes_is_set_aside(stores: Stores) -> None:
    producer = Producer(stores, seed=11)
    producer.produce(2_500)
    stores.log.produce(EVENTS, [NewRecord(b"3", b'{"event_id":"kills","campaign_id":3}')])
    producer.refused["quarantined"] += 1
    producer.produce(2_500)
    command = [sys.executable, "-m", "tests.e2e.worker_process", str(stores.directory)]
    codes = []
    for _ in range(4):
        ran = subprocess.run(command, cwd=ROOT, env=os.environ | {"CA_TEST_MORTAL": "1"}, timeout=180, check=False)
        codes.append(ran.returncode)
    assert codes[-1] == 0
    assert set(codes[:2]) == {-signal.SIGKILL}
    assert_equals_the_truth(stores, producer)


def test_twenty_kills_at_random_moments_while_events_flow(stores: Stores) -> None:
    producer = Producer(stores, seed=77)
    stopped = threading.Event()

    def flow() -> None:
        while not stopped.wait(0.05):
            producer.produce(150)

    flowing = threading.Thread(target=flow)
    flowing.start()
    command = [sys.executable, "-m", "tests.e2e.worker_process", str(stores.directory)]
    try:
        for _ in range(20):
            process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
            time.sleep(0.8 + producer.rng.random() * 0.9)
            process.kill()
            process.wait()
    finally:
        stopped.set()
        flowing.join()
    assert work(stores) == 0
    assert_equals_the_truth(stores, producer)
