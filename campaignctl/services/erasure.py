"""Erasing a campaign: from the answer on nothing knows it, and a job removes what was stored of it.

The metadata store forgets the campaign and keeps for ever that it was erased. A worker that knew it learns so within
``ERASURES_KNOWN_WITHIN_S``; what it lands of the campaign until then lies below offsets that the job waits for, so the
removal finds all there will be. What the log keeps goes with the log's own retention: read again, it is an unknown
campaign's and leaves nothing behind.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from campaignctl.domain.jobs import Job, JobStatus, Progress
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import NotFound
from campaignctl.ports.clock import Clock
from campaignctl.ports.erasures import CampaignRows, ErasureStore, RemovalStore
from campaignctl.ports.event_log import EventLog
from campaignctl.ports.reports import NativeCampaign
from campaignctl.services.campaigns import CampaignService
from campaignctl.services.erasure_wait import AppliedWait
from campaignctl.services.insights import InsightService
from campaignctl.services.jobs import JobContext, JobResult

_UNIT = "tables"
_TABLES = 3


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is erased from now on."""

    job: Job
    """Removes the rows."""
    remains_until: Mapping[str, str | None]
    """When the event log and the dead letters will have let go of the bytes; None: they keep records for ever."""


class ErasureService:
    """What an admin may do with a campaign for good."""

    def __init__(
        self,
        campaigns: CampaignService,
        metadata: ErasureStore,
        insights: InsightService,
        retention: "LogRetention",
        clock: Clock,
    ) -> None:
        self._campaigns = campaigns
        self._metadata = metadata
        self._insights = insights
        self._clock = clock
        self.retention = retention

    def erase(self, campaign_id: int, actor: Actor) -> Erasure:
        """Forget the campaign now, and have its rows removed. ``NotFound``, ``Forbidden`` below admin.

        Of a campaign that is forgotten already, the job that failed to remove its rows is started again.
        """
        remains_until = self.retention.remains_until(self._clock.now())  # first: nothing may fail afterwards
        try:
            self._campaigns.get(campaign_id, actor)
        except NotFound:
            job = self._again(campaign_id, actor, only_failed=True) if actor.role is Role.ADMIN else None
            if job is None:
                raise
            return Erasure(job, remains_until)
        actor.require(Role.ADMIN)
        job = self._metadata.erase_campaign(campaign_id, actor.user_id)
        if job is None:
            raise NotFound(f"there is no campaign {campaign_id}")
        self._insights.forget_campaign(campaign_id)
        return Erasure(job, remains_until)

    def again(self, campaign_id: int, actor: Actor) -> Job | None:
        """Remove what has landed of an erased campaign since; None when there is no such campaign."""
        actor.require(Role.ADMIN)
        return self._again(campaign_id, actor, only_failed=False)

    def _again(self, campaign_id: int, actor: Actor, *, only_failed: bool) -> Job | None:
        return self._metadata.erase_campaign_again(
            campaign_id, actor.organization_id, actor.user_id, only_failed=only_failed
        )


class LogRetention:
    """How long the log keeps the bytes of what was erased."""

    def __init__(self, event_log: EventLog, *, topic: str, dead_letter_topic: str) -> None:
        self._event_log = event_log
        self._topics = {"event_log": topic, "dead_letters": dead_letter_topic}

    def remains_until(self, erased_at: datetime) -> dict[str, str | None]:
        """When each topic may have let go of all that it had then; None where it keeps records for ever."""
        return {what: self._gone_by(name, erased_at) for what, name in self._topics.items()}

    def _gone_by(self, name: str, erased_at: datetime) -> str | None:
        topic = self._event_log.topic(name)
        if topic is None or topic.retention_ms < 0:
            return None
        return _text(erased_at + timedelta(milliseconds=topic.retention_ms))


class EraseHandler:
    """Removes the rows of an erased campaign. A ``JobHandler``."""

    def __init__(self, rows: RemovalStore, applied: AppliedWait, retention: LogRetention) -> None:
        self._rows = rows
        self._applied = applied
        self._retention = retention

    def run(self, context: JobContext, /) -> JobResult:
        job, campaign_id = context.job, context.job.campaign_id or 0
        context.checkpoint(Progress(0, _TABLES, _UNIT))
        if "removed" not in context.state:
            self._applied.wait(context)
            context.checkpoint(state={"removed": _shown(self._rows.rows_of_campaign(campaign_id))})
        self._rows.remove_campaign(campaign_id)
        context.checkpoint(Progress(_TABLES, _TABLES, _UNIT))
        natives = _natives(job)
        receipt = {
            "campaign_id": campaign_id,
            "erased_at": _text(job.created_at),
            "removed": context.state["removed"],
            "stays": {"native_campaigns": len(natives), "report_slices": self._rows.report_slices_of(natives)},
            "remains_until": self._retention.remains_until(job.created_at),
        }
        return JobResult(JobStatus.SUCCEEDED, receipt)


def _natives(job: Job) -> list[NativeCampaign]:
    """What the campaign had claimed: reports of it are the account's."""
    named = job.params.get("native_campaigns", ())
    claims = named if isinstance(named, Sequence) else ()
    return [NativeCampaign(organization_id=job.organization_id or 0, **claim) for claim in claims]


def _shown(rows: CampaignRows) -> dict[str, object]:
    return {"events": rows.events, "rollup_rows": rows.rollup_rows, "conflicts": rows.conflicts}


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
