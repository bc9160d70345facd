"""Erasing single events of a campaign: a mistake, or what a person asks to have removed.

What is kept for ever is a digest of each id (``domain.erased_events``). A worker that knows it counts no record of the
event any more, whenever the log took it: not a copy, not a replayed dead letter, not one that a verification finds
without a row. The job removes the raw rows and conflicts, and has their days re-aggregated by the owner of the
campaign's partition: the sums lose the events in one step.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

from campaignctl.domain.campaigns import Campaign
from campaignctl.domain.erased_events import EventErasure, event_digest
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.jobs import Job, JobKind, JobStatus, Progress
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import CampaignctlError, FieldError, InvalidInput, NotFound
from campaignctl.ports.clock import Clock
from campaignctl.ports.erasures import ErasureStore, EventTraces, RemovalStore
from campaignctl.ports.jobs import JobInTheWay, JobScope, JobStore, NewJob
from campaignctl.ports.metadata import CampaignFactsStore
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.erasure import Erasure, LogRetention
from campaignctl.services.erasure_wait import AppliedWait
from campaignctl.services.jobs import JobContext, JobResult
from campaignctl.services.reaggregation import day_text, first_kept_day

MAX_EVENT_IDS = 1_000
_MAX_ID_LENGTH = 128
_MAX_REASON = 500
_MEMBERS = ("event_ids", "reason", "dry_run")
_LOOK_EVERY_S = 0.2
_UNIT = "steps"
_AGAIN = "verify --repair"
_APPLIED, _REMOVED, _STEPS = 1, 2, 3
_EPOCH = date(1970, 1, 1)


class EventErasureStore(ErasureStore, CampaignFactsStore, JobStore, Protocol):
    """What erasing events needs of the metadata store."""


@dataclass(frozen=True, slots=True)
class EventsToErase:
    """What was asked."""

    event_ids: tuple[str, ...]
    """Each once."""
    reason: str = ""
    dry_run: bool = False

    @classmethod
    def of(cls, value: object) -> "EventsToErase":
        """From the members of a request; raises ``InvalidInput`` that names every wrong one."""
        errors: list[FieldError] = []
        fields = FieldReader(value, _MEMBERS, errors)
        event_ids = _event_ids(fields)
        reason = fields.text("reason", max_length=_MAX_REASON) if fields.given("reason") else ""
        dry_run = fields.value("dry_run")
        if not isinstance(dry_run, bool | None):
            fields.fail("dry_run", "must be true or false")
        if errors:
            raise InvalidInput(errors)
        return cls(event_ids, reason, dry_run is True)

    def digests(self, campaign_id: int) -> set[bytes]:
        return {event_digest(campaign_id, event_id) for event_id in self.event_ids}


def _event_ids(fields: FieldReader) -> tuple[str, ...]:
    given = fields.value("event_ids")
    if not fields.required("event_ids"):
        return ()
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not 1 <= len(given) <= MAX_EVENT_IDS:
        fields.fail("event_ids", f"must be a list of 1 to {MAX_EVENT_IDS} ids")
        return ()
    for place, one in enumerate(given):
        if not isinstance(one, str) or not 1 <= len(one) <= _MAX_ID_LENGTH:
            fields.fail(f"event_ids.{place}", f"must be a text of 1 to {_MAX_ID_LENGTH} characters")
            break
    return tuple(dict.fromkeys(one for one in given if isinstance(one, str)))


class EventErasureService:
    """What an admin may do with single events for good."""

    def __init__(
        self,
        campaigns: CampaignService,
        metadata: EventErasureStore,
        rows: RemovalStore,
        retention: LogRetention,
        clock: Clock,
        *,
        retention_days: int,
    ) -> None:
        self._campaigns = campaigns
        self._metadata = metadata
        self._rows = rows
        self._retention = retention
        self._clock = clock
        self._retention_days = retention_days

    def demand(self, campaign_id: int, actor: Actor) -> Campaign:
        """The campaign that the actor may erase events of. ``NotFound``, ``Forbidden`` below admin."""
        campaign = self._campaigns.get(campaign_id, actor)
        actor.require(Role.ADMIN)
        return campaign

    def plan(self, campaign_id: int, wanted: EventsToErase, actor: Actor) -> dict[str, object]:
        """What would go, and nothing does. Raises as ``demand``."""
        campaign = self.demand(campaign_id, actor)
        traces = self._rows.traces_of_events(campaign_id, wanted.digests(campaign_id))
        recounted, kept = _days(traces.days, first_kept_day(self._clock.now(), self._retention_days, campaign.timezone))
        return {
            "campaign_id": campaign_id,
            "event_ids": len(wanted.event_ids),
            "events": traces.events,
            "conflicts": traces.conflicts,
            "days": recounted,
            "sums_kept_of_days": kept,
            "remains_until": self._retention.remains_until(self._clock.now()),
        }

    def erase(self, campaign_id: int, wanted: EventsToErase, actor: Actor) -> Erasure:
        """Let nothing count these events any more, and have their rows removed. Raises as ``demand``."""
        self.demand(campaign_id, actor)
        remains_until = self._retention.remains_until(self._clock.now())  # first: nothing may fail afterwards
        digests = wanted.digests(campaign_id)
        job = self._metadata.erase_events(campaign_id, digests, wanted.reason, actor.user_id)
        if job is None:
            raise NotFound(f"there is no campaign {campaign_id}")
        return Erasure(job, remains_until)

    def again(self, campaign_id: int, actor: Actor) -> list[Job]:
        """Remove what has landed of the campaign's erased events since; a job for each erasure that needs it."""
        self.demand(campaign_id, actor)
        jobs = []
        for erasure in self._metadata.erased_events().values():
            if erasure.campaign_id == campaign_id and self._is_there(erasure):
                job = self._metadata.erase_events(campaign_id, erasure.digests, _AGAIN, actor.user_id)
                jobs += [] if job is None else [job]
        return jobs

    def _is_there(self, erasure: EventErasure) -> bool:
        traces = self._rows.traces_of_events(erasure.campaign_id, erasure.digests)
        return bool(traces.events or traces.conflicts)


class EraseEventsHandler:
    """Removes the rows of erased events, and has the sums of their days made right. A ``JobHandler``."""

    def __init__(
        self,
        rows: RemovalStore,
        metadata: EventErasureStore,
        applied: AppliedWait,
        retention: LogRetention,
        clock: Clock,
        *,
        retention_days: int,
    ) -> None:
        self._rows = rows
        self._metadata = metadata
        self._applied = applied
        self._retention = retention
        self._clock = clock
        self._retention_days = retention_days

    def run(self, context: JobContext, /) -> JobResult:
        job, campaign_id = context.job, context.job.campaign_id or 0
        erasure = self._metadata.erased_events().get(job.id)
        facts = self._metadata.campaign_facts([campaign_id]).get(campaign_id)
        if erasure is None or facts is None:
            raise NotFound(f"there is no campaign {campaign_id} any more")
        context.checkpoint(Progress(0, _STEPS, _UNIT))
        if "traces" not in context.state:
            self._applied.wait(context)
            traces = self._rows.traces_of_events(campaign_id, erasure.digests)
            context.checkpoint(Progress(_APPLIED, _STEPS, _UNIT), state={"traces": _kept(traces)})
        traces = _restored(context.state["traces"])
        self._rows.remove_events(campaign_id, erasure.digests)
        context.checkpoint(Progress(_REMOVED, _STEPS, _UNIT))
        recounted, kept = _days(traces.days, first_kept_day(self._clock.now(), self._retention_days, facts.timezone))
        recount = self._recount(context, recounted) if recounted else None
        context.checkpoint(Progress(_STEPS, _STEPS, _UNIT))
        receipt = {
            "campaign_id": campaign_id,
            "erased_at": _text(job.created_at),
            "event_ids": len(erasure.digests),
            "removed": {"events": traces.events, "conflicts": traces.conflicts},
            "days": recounted,
            "reaggregation_job_id": recount,
            "sums_kept_of_days": kept,
            "remains_until": self._retention.remains_until(job.created_at),
        }
        return JobResult(JobStatus.SUCCEEDED, receipt)

    def _recount(self, context: JobContext, days: Sequence[str]) -> int:
        """Have the days re-aggregated, and wait for it; answers the job's id."""
        job = context.job
        new = NewJob(
            JobKind.REAGGREGATE,
            job.organization_id,
            {"start_date": days[0], "end_date": days[-1], "dry_run": False, "reason": f"events erased by job {job.id}"},
            campaign_id=job.campaign_id,
            created_by=job.created_by,
            unit="days",
            join_key=f"erase-events-{job.id}",
            scope=JobScope(date.fromisoformat(days[0]), date.fromisoformat(days[-1])),
        )
        recount = self._metadata.add_job(new)
        while isinstance(recount, JobInTheWay):
            context.pause(_LOOK_EVERY_S)
            recount = self._metadata.add_job(new)
        number = recount.id
        while (now := self._metadata.job(number)) is not None and not now.status.is_final:
            context.pause(_LOOK_EVERY_S)
        if now is None or now.status is not JobStatus.SUCCEEDED:
            raise CampaignctlError(
                f"the events are removed, and the sums of {days[0]} to {days[-1]} still hold them, because job"
                f" {number} did not succeed: run campaignctl reaggregate --campaign {job.campaign_id}",
                code="sums_not_corrected",
            )
        return number


def _days(days: Collection[int], first_kept: date) -> tuple[list[str], list[str]]:
    """Days whose sums can be counted again, and those whose raw records have begun to expire."""
    dates = [_EPOCH + timedelta(days=day) for day in sorted(days)]
    texts = {one: day_text(one) or "" for one in dates}
    return [texts[one] for one in dates if one >= first_kept], [texts[one] for one in dates if one < first_kept]


def _kept(traces: EventTraces) -> dict[str, object]:
    return {"events": traces.events, "conflicts": traces.conflicts, "days": list(traces.days)}


def _restored(state: object) -> EventTraces:
    if not isinstance(state, Mapping):
        raise TypeError("a JSON object was expected")
    return EventTraces(int(state["events"]), int(state["conflicts"]), tuple(map(int, state["days"])))


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
