"""A random history through the real embedded stores: ``python -m tests.e2e.worker_history SEED DIRECTORY``.

The log's clock follows the history, so that copies come back within the window, beyond it and long after. The records
are applied by one worker after the other, each of which knows only what the stores tell it. Prints what counts.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.domain.campaigns import CampaignDraft
from campaignctl.domain.jobs import Job, JobKind
from campaignctl.ports.event_log import NewRecord, TopicSpec
from campaignctl.ports.jobs import NewJob
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.own_records import OWN_KIND_HEADER
from campaignctl.services.reaggregation import COMMAND_KIND
from campaignctl.services.schema import SchemaService
from tests.e2e.worker_process import EVENTS, LETTERS, Stores, make_worker
from tests.model.histories import History, random_history
from worker.batching import FlushPolicy

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
FIELDS = (
    *("campaign_id", "event_id", "platform", "event_time_us", "event_type", "region", "ad_group_id", "ad_id"),
    *("device", "impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros", "currency"),
)
_TEXTS = ("event_id", "platform", "event_type", "region", "ad_group_id", "ad_id", "device", "currency")
_ROWS = """SELECT campaign_id, event_id, toString(platform) AS platform, toUnixTimestamp64Micro(event_time) AS
event_time_us, toString(event_type) AS event_type, toString(region) AS region, ad_group_id, ad_id,
toString(device) AS device, impressions, clicks, conversions_millionths, spend_micros, revenue_micros,
toString(currency) AS currency FROM events"""
_CONFLICTS = "SELECT campaign_id FROM event_conflicts"
_WRONG_DAYS = """SELECT count() AS n FROM (
  SELECT campaign_id, day, platform, region, currency, toInt64(count()) AS a, sum(spend_micros) AS b FROM events GROUP BY ALL
  EXCEPT
  SELECT campaign_id, day, platform, region, currency, sum(events), sum(spend_micros) FROM rollup_1d GROUP BY ALL)"""


def history_of(seed: int) -> History:
    return random_history(seed, now=NOW, size=400, spread_days=random.Random(seed).choice((0, 25, 80)))


class LogClock:
    """The history's time of day; durations are real."""

    def __init__(self) -> None:
        self.time_ms = 0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time_ms / 1_000, UTC)

    def monotonic_s(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float, /) -> None:
        time.sleep(seconds)


def main(seed: int, directory: Path) -> None:
    rng, history, clock = random.Random(seed), history_of(seed), LogClock()
    stores = Stores(directory)
    stores.log.close()
    stores.log = EmbeddedEventLog(directory / "event_log.sqlite", clock)
    analytics = stores.open_analytics()
    SchemaService((stores.metadata, analytics)).apply(30)
    organization = stores.metadata.ensure_organization("test")
    for one in history.campaigns:
        draft = CampaignDraft(one["name"], timezone=one["timezone"], currency=one["currency"])
        stores.metadata.add_campaign(organization, draft)
    stores.log.ensure_topic(TopicSpec(EVENTS, 1, -1, 2**23))
    stores.log.ensure_topic(TopicSpec(LETTERS, 1, -1, 2**23))

    def drain() -> None:
        def stop_when_drained(name: str) -> None:
            if name == "after_poll" and stores.is_drained():
                worker.stop()

        worker = make_worker(stores, analytics, stop_when_drained, FlushPolicy(rows=rng.randint(1, 200), pause_s=0))
        worker.run()

    for step in history.steps:
        clock.time_ms = step.log_time_ms
        stores.log.produce(EVENTS, [NewRecord(None, step.record)])
        if rng.random() < 0.02:
            drain()
    drain()
    receipts = reaggregate_all(stores, analytics, rng, drain)

    table = analytics._clients.read(_ROWS, {})
    columns = [table.strings(name) if name in _TEXTS else table.integers(name).tolist() for name in FIELDS]
    offsets = {
        letter.letter.origin.offset: letter.letter.code for letter in DeadLetters(stores.log, topic=LETTERS).all()
    }  # type: ignore[union-attr]
    found = {
        "rows": list(zip(*columns, strict=True)),
        "conflicts": len(analytics._clients.read(_CONFLICTS, {}).integers("campaign_id")),
        "refused": sorted(offsets.items()),
        "receipts": receipts,
        "wrong_days": int(analytics._clients.read(_WRONG_DAYS, {}).integers("n")[0]),
    }
    sys.stdout.write(json.dumps(found, default=str))
    analytics.close()
    stores.close()


def reaggregate_all(
    stores: Stores, analytics: ClickHouseAnalytics, rng: random.Random, drain: Callable[[], None]
) -> dict[int, dict[str, object]]:
    """Make sums of every campaign wrong at random, and have them made right; answers the receipts."""
    jobs: dict[int, int] = {}
    for campaign_id in stores.metadata.campaign_ids(None):
        for number in range(rng.randrange(4)):
            day = (NOW - timedelta(days=rng.randrange(80))).date()
            values = f"{campaign_id}, '{day}', 'meta', 'IN', 'USD', 1, {rng.randint(-(10**12), 10**12)}"
            with analytics._clients.writer() as client:
                client.command(
                    "INSERT INTO rollup_1d (campaign_id, day, platform, region, currency, events, spend_micros)"
                    f" SETTINGS insert_deduplication_token='{campaign_id}-{number}' VALUES ({values})"
                )
        organization = stores.metadata.ensure_organization("test")
        params = {"start_date": None, "end_date": None, "dry_run": False}
        job = stores.metadata.add_job(NewJob(JobKind.REAGGREGATE, organization, params, campaign_id=campaign_id))
        assert isinstance(job, Job)
        command = json.dumps({"v": 1, "job": job.id}).encode()
        headers = ((OWN_KIND_HEADER, COMMAND_KIND),)
        stores.log.produce(EVENTS, [NewRecord(str(campaign_id).encode(), command, headers)])
        jobs[campaign_id] = job.id
    drain()
    ended = {campaign_id: stores.metadata.job(job_id) for campaign_id, job_id in jobs.items()}
    return {campaign_id: dict(job.result or {}) for campaign_id, job in ended.items() if job is not None}


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
