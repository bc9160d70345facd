"""Re-aggregation: making what insights serve of a campaign equal its raw records again.

A request is a job. Its handler produces a *command record* into the campaign's own partition, in order with the
campaign's events; whoever owns the partition executes it between two batches (``services.reaggregator``), so that
nobody inserts events of the campaign meanwhile. What is inserted is the difference between what the rollup holds and
what it must hold, in one step: readers see the old sums or the right ones, and running it again adds nothing.
"""

import json
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.jobs import Job, JobKind
from campaignctl.domain.users import Actor
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord
from campaignctl.ports.jobs import JobScope, JobStore, NewJob
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.jobs import JobContext, JobInterrupted, JobResult, JobService
from campaignctl.services.own_records import OWN_KIND_HEADER

COMMAND_KIND = b"command"
_MEMBERS = ("start_date", "end_date", "dry_run", "reason")
_MAX_REASON = 500
_MAX_DAYS = 5 * 366
_DAY = timedelta(days=1)
_LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked: inclusive days of the campaign's own zone; None for all whose raw records are there."""

    start: date | None = None
    end: date | None = None
    dry_run: bool = False
    reason: str = ""

    @classmethod
    def of(cls, value: object) -> "Wanted":
        """From the members of a request; raises ``InvalidInput`` that names every wrong one."""
        errors: list[FieldError] = []
        fields = FieldReader(value, _MEMBERS, errors)
        start, end = fields.day("start_date"), fields.day("end_date")
        reason = fields.text("reason", max_length=_MAX_REASON) if fields.given("reason") else ""
        dry_run = fields.value("dry_run")
        if not isinstance(dry_run, bool | None):
            fields.fail("dry_run", "must be true or false")
        if start and end and end < start:
            fields.fail("end_date", "must not lie before start_date")
        elif start and end and (end - start).days >= _MAX_DAYS:
            fields.fail("end_date", f"must lie within {_MAX_DAYS} days from start_date")
        if errors:
            raise InvalidInput(errors)
        return cls(start, end, dry_run is True, reason)


class ReaggregationService:
    """What an actor may ask for."""

    def __init__(self, campaigns: CampaignService, jobs: JobService, clock: Clock, *, retention_days: int) -> None:
        self._campaigns = campaigns
        self._jobs = jobs
        self._clock = clock
        self._retention_days = retention_days

    def submit(self, campaign_id: int, wanted: Wanted, actor: Actor) -> Job:
        """The job, or the equal one under way; ``Conflict`` while overlapping days are under way.

        Raises ``InvalidInput`` for days whose raw records may be gone.
        """
        campaign = self._campaigns.get(campaign_id, actor)
        first_kept = first_kept_day(self._clock.now(), self._retention_days, campaign.timezone)
        for field, day in (("start_date", wanted.start), ("end_date", wanted.end)):
            if day is not None and day < first_kept:
                raise expired(field, self._retention_days, first_kept)
        days = {"start_date": day_text(wanted.start), "end_date": day_text(wanted.end), "dry_run": wanted.dry_run}
        return self._jobs.submit(
            NewJob(
                JobKind.REAGGREGATE,
                campaign.organization_id,
                days | ({"reason": wanted.reason} if wanted.reason else {}),
                campaign_id=campaign_id,
                created_by=actor.user_id,
                unit="days",
                join_key=json.dumps(days),
                scope=None if wanted.dry_run else JobScope(wanted.start, wanted.end),
            ),
            actor,
        )


class PartitionOf(Protocol):
    def __call__(self, key: bytes, partitions: int, /) -> int: ...


class ReaggregationHandler:
    """Brings the job to the campaign's partition, whose owner takes it over. A ``JobHandler``."""

    def __init__(self, event_log: EventLog, jobs: JobStore, *, topic: str, partition_of: PartitionOf) -> None:
        self._event_log = event_log
        self._jobs = jobs
        self._topic = topic
        self._partition_of = partition_of

    def run(self, context: JobContext, /) -> JobResult:
        """Never ends by itself: a job that is taken over is lost to the one who had it."""
        job = context.job
        self._event_log.produce(self._topic, [self._command(job)])
        while True:
            context.pause(_LOOK_EVERY_S)
            now = self._jobs.job(job.id)
            if now is None or now.status.is_final or now.attempts != job.attempts:
                raise JobInterrupted

    def _command(self, job: Job) -> NewRecord:
        topic = self._event_log.topic(self._topic)
        key = str(job.campaign_id).encode()
        partition = None if topic is None else self._partition_of(key, topic.partitions)
        value = json.dumps({"v": 1, "job": job.id}, separators=(",", ":")).encode()
        return NewRecord(key, value, ((OWN_KIND_HEADER, COMMAND_KIND),), partition)


def first_kept_day(now: datetime, retention_days: int, zone: str) -> date:
    """The first day of the zone whose raw records are all there: it began within the retention."""
    horizon = (now - timedelta(days=retention_days)).astimezone(ZoneInfo(zone))
    return horizon.date() if horizon.time() == horizon.time().min else horizon.date() + _DAY


def expired(field: str, retention_days: int, first_kept: date) -> InvalidInput:
    return InvalidInput(
        [
            FieldError(
                field,
                f"must not lie before {first_kept}: raw records are kept for {retention_days} days, and without them"
                " these days cannot be counted again",
            )
        ],
        hint=f"ask from {first_kept} on; what insights serve of earlier days stays as it is",
        code="raw_expired",
    )


def day_text(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
