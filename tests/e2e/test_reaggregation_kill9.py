"""A worker that dies, again and again, at every step of a re-aggregation: it ends on a retry, exact, with its receipt."""

import json
import sys
from datetime import UTC, datetime, timedelta

import pytest

from campaignctl.domain.jobs import Job, JobKind, JobStatus
from campaignctl.ports.event_log import NewRecord
from campaignctl.ports.jobs import NewJob
from campaignctl.services.reaggregation import COMMAND_KIND, OWN_KIND_HEADER
from tests.e2e.test_worker_kill9 import DIED, Producer, assert_equals_the_truth, run, stores, work
from tests.e2e.worker_process import EVENTS, Stores

__all__ = ["stores"]

CAMPAIGN, KILLS = 4, 10
POINTS = (
    "before_command",
    "before_reaggregation_insert",
    "mid_correction",
    "after_reaggregation_insert",
    "before_reaggregation_finish",
    "before_commit",
)
_SPOIL = """
import sys
from pathlib import Path
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
analytics = open_embedded_analytics(Path(sys.argv[1]) / "analytics")
with analytics._clients.writer() as client:
    for day, impressions in zip(sys.argv[3::2], sys.argv[4::2]):
        client.command("INSERT INTO rollup_1d (campaign_id, day, platform, region, currency, events, impressions)"
            f" VALUES ({sys.argv[2]}, '{day}', 'meta', 'IN', 'USD', 1, {impressions})")
analytics.close()
"""


def spoil(stores: Stores, **days: int) -> None:
    arguments = [part for day, impressions in days.items() for part in (day[1:].replace("_", "-"), str(impressions))]
    run([sys.executable, "-c", _SPOIL, str(stores.directory), str(CAMPAIGN), *arguments])


def ask(stores: Stores) -> Job:
    """What the API and the job's handler do, without them: a job, and its command in the campaign's partition."""
    organization = stores.metadata.ensure_organization("test")
    params = {"start_date": None, "end_date": None, "dry_run": False}
    job = stores.metadata.add_job(NewJob(JobKind.REAGGREGATE, organization, params, campaign_id=CAMPAIGN))
    assert isinstance(job, Job)
    command(stores, job)
    return job


def command(stores: Stores, job: Job) -> None:
    value = json.dumps({"v": 1, "job": job.id}).encode()
    stores.log.produce(EVENTS, [NewRecord(str(CAMPAIGN).encode(), value, ((OWN_KIND_HEADER, COMMAND_KIND),))])


@pytest.mark.parametrize("point", POINTS)
def test_a_reaggregation_outlives_ten_deaths_at_a_step(stores: Stores, point: str) -> None:
    producer = Producer(stores, seed=POINTS.index(point))
    producer.produce(1_000)
    assert work(stores) == 0
    # On days without events: a batch that is repeated makes the days it touches right by itself.
    days = [(datetime.now(UTC) - timedelta(days=ago)).strftime("_%Y_%m_%d") for ago in (100, 140)]
    spoil(stores, **{days[0]: 1_000, days[1]: -7})
    producer.produce(300)
    job = ask(stores)
    producer.produce(300)
    deaths = 0
    while deaths < KILLS and work(stores, CA_TEST_FAILPOINT=f"{point}:1") == DIED:
        deaths += 1
        if deaths == 3:
            command(stores, job)  # as its handler does when the lease has ended
    assert deaths > 0
    assert work(stores) == 0
    assert_equals_the_truth(stores, producer)
    ended = stores.metadata.job(job.id)
    assert ended is not None
    assert (ended.status, ended.error) == (JobStatus.SUCCEEDED, None)
    assert ended.result is not None
    assert ended.result["drift_rows"] == 2
    assert ended.result["difference"]["impressions"] == -993  # type: ignore[index]
    assert ended.result["difference"]["events"] == -2  # type: ignore[index]
    again = ask(stores)
    assert work(stores) == 0
    second = stores.metadata.job(again.id)
    assert second is not None
    assert second.result is not None
    assert (second.result["drift_rows"], second.result["before"]) == (0, second.result["after"])
    assert_equals_the_truth(stores, producer)
