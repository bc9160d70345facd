"""Fetching reports: asking for a fetch, and doing it as a job that survives its process.

A job takes each platform in a thread of its own, and fetches from one platform share places at work with each other
only, so that one that is slow or throttled delays no other. Within a platform it goes account after account, window
after window. What a window has read is kept as it came, so the job resumes at the page where it stopped, whoever goes
on with it. A window that somebody else has fetched since the job was asked for is not fetched again: a thousand
campaigns of one account cost one report.
"""

import json
import logging
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from campaignctl.domain.accounts import PlatformAccount
from campaignctl.domain.campaigns import Campaign, LinkLevel
from campaignctl.domain.fetches import FetchRequest, job_params, request_of
from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress
from campaignctl.domain.platforms import Platform, account_key
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import CampaignctlError, InvalidInput, NotFound, Unavailable
from campaignctl.ports.accounts import AccountRecords
from campaignctl.ports.clock import Clock
from campaignctl.ports.jobs import NewJob
from campaignctl.ports.metadata import CampaignStore
from campaignctl.services.fetch_accounts import AccountFetcher, AccountOutcome, AccountPlan
from campaignctl.services.jobs import JobCancelled, JobContext, JobInterrupted, JobResult, JobService

logger = logging.getLogger(__name__)

_LOOK_EVERY_S = 0.1


class FetchMetadata(AccountRecords, CampaignStore, Protocol):
    """What fetching needs of the metadata store."""


class FetchService:
    """Asking for fetches."""

    def __init__(self, metadata: FetchMetadata, jobs: JobService) -> None:
        self._metadata = metadata
        self._jobs = jobs

    def submit(self, campaign_id: int, request: FetchRequest, actor: Actor) -> Job:
        """A job that fetches the campaign's reports, or the equal one under way.

        Raises ``NotFound``, ``Forbidden`` below operator, ``InvalidInput`` for a platform the campaign does not list.
        """
        campaign = self._metadata.campaign(campaign_id)
        if campaign is None or not actor.sees(campaign.organization_id):
            raise NotFound(f"there is no campaign {campaign_id}")
        actor.require(Role.OPERATOR)
        listed = {link.platform for link in campaign.platforms}
        for platform in request.platforms:
            if platform not in listed:
                raise InvalidInput.of("platforms", f"names {platform.value}, which the campaign does not list")
        if not listed:
            raise InvalidInput.of("platforms", "is empty for this campaign: link it to native campaigns first")
        params = job_params(request)
        asked = set(request.platforms or listed)
        new = NewJob(
            JobKind.FETCH,
            campaign.organization_id,
            params,
            campaign_id=campaign_id,
            created_by=actor.user_id,
            unit="windows",
            join_key=json.dumps(params, sort_keys=True),
            lane=asked.pop().value if len(asked) == 1 else "",
        )
        return self._jobs.submit(new, actor)

    def submit_account(self, account: PlatformAccount, first: date, last: date) -> Job:
        """A job that fetches everything of an account, for the schedule."""
        params: dict[str, object] = {
            "account": account.id,
            "platforms": [account.platform.value],
            "start_date": first.isoformat(),
            "end_date": last.isoformat(),
        }
        join_key = json.dumps(params, sort_keys=True)
        new = NewJob(
            JobKind.FETCH,
            account.organization_id,
            params,
            unit="windows",
            join_key=join_key,
            lane=account.platform.value,
        )
        return self._jobs.submit(new, Actor.machine_operator(account.organization_id))


class FetchHandler:
    """Does fetch jobs (``JobHandler``)."""

    def __init__(self, metadata: FetchMetadata, fetcher: AccountFetcher, clock: Clock) -> None:
        self._metadata = metadata
        self._fetcher = fetcher
        self._clock = clock

    def run(self, context: JobContext, /) -> JobResult:
        """Fetch what the job asks for; ``partial`` where some platforms failed."""
        request = request_of(context.job.params)
        plans = self._plans(context.job, request)
        work = [
            _PlatformWork(self._fetcher, context, request, platform, [one for one in plans if one.platform is platform])
            for platform in dict.fromkeys(plan.platform for plan in plans)
        ]
        threads = [threading.Thread(target=one.run, name=f"fetch {one.platform}", daemon=True) for one in work]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            self._clock.sleep(_LOOK_EVERY_S)
            left = [one.platform for one, thread in zip(work, threads, strict=True) if thread.is_alive()]
            if len(left) == 1:  # what it waits for now is that platform, and no other fetch has to wait with it
                context.lane = left[0].value
            _tell(context, work)
        for one in work:
            if isinstance(one.ended_by, JobCancelled):
                raise JobCancelled({"platforms": _shown(work, JobStatus.CANCELLED)}) from None
            if one.ended_by is not None:
                raise one.ended_by
        return _result(work)

    def _plans(self, job: Job, request: FetchRequest) -> list[AccountPlan]:
        return self._plans_of_account(job) if "account" in job.params else self._plans_of_campaign(job, request)

    def _plans_of_account(self, job: Job) -> list[AccountPlan]:
        account = self._metadata.account(int(str(job.params["account"])))
        if account is None:
            raise NotFound(f"there is no account {job.params['account']} any more")
        claimed = self._metadata.claimed_natives(account.organization_id, account.platform.value, account.key)
        natives: dict[str, list[str]] = {LinkLevel.CAMPAIGN.value: []}
        for one in claimed:
            natives.setdefault(one.level, []).append(one.native_id)
        return [_plan(account.platform, account.account_id, account, natives)]

    def _plans_of_campaign(self, job: Job, request: FetchRequest) -> list[AccountPlan]:
        campaign = None if job.campaign_id is None else self._metadata.campaign(job.campaign_id)
        if campaign is None:
            raise NotFound(f"there is no campaign {job.campaign_id} any more")
        found: dict[tuple[Platform, str], tuple[str, dict[str, list[str]]]] = {}
        for link in campaign.platforms:
            if request.platforms and link.platform not in request.platforms:
                continue
            _, key, level, native_id = link.native_campaign
            _, natives = found.setdefault((link.platform, key), (link.account_id, {}))
            natives.setdefault(level, []).append(native_id)
        return [
            _plan(platform, written, self._account(campaign, platform, written), natives)
            for (platform, _), (written, natives) in found.items()
        ]

    def _account(self, campaign: Campaign, platform: Platform, account_id: str) -> PlatformAccount | None:
        key = account_key(platform, account_id)
        return self._metadata.find_account(campaign.organization_id, platform.value, key)


@dataclass(slots=True)
class _PlatformWork:
    """One platform of a job, in a thread of its own."""

    fetcher: AccountFetcher
    context: JobContext
    request: FetchRequest
    platform: Platform
    plans: Sequence[AccountPlan]
    outcomes: list[AccountOutcome] = field(default_factory=list)
    total: int | None = None
    """Windows known so far; None before the first account is looked at."""
    is_done: bool = False
    """Whether all of it was tried."""
    ended_by: BaseException | None = None
    """What ends the whole job: it was cancelled, this process has to let go of it, a store is away, or a fault."""

    @property
    def failed(self) -> bool:
        return any(outcome.error is not None for outcome in self.outcomes)

    def status(self, unfinished: JobStatus) -> JobStatus:
        if not self.is_done:
            return unfinished
        return JobStatus.FAILED if self.failed else JobStatus.SUCCEEDED

    @property
    def done(self) -> int:
        return sum(outcome.windows for outcome in self.outcomes)

    def run(self) -> None:
        try:
            for plan in self.plans:
                self._account(plan)
            self.is_done = True
        except BaseException as error:  # ``run`` raises it where the job waits
            if not isinstance(error, JobCancelled | JobInterrupted | Unavailable):
                logger.exception("job %d: unexpected error while fetching from %s", self.context.job.id, self.platform)
            self.ended_by = error

    def _account(self, plan: AccountPlan) -> None:
        outcome = AccountOutcome(plan.account_id)
        self.outcomes.append(outcome)
        if plan.account is None:
            name = plan.platform.value
            message = f"{name} account {plan.account_id} is not connected: campaignctl accounts add {name}"
            outcome.error = JobError("account_missing", message)
            return
        try:
            self.fetcher.fetch(plan, plan.account, self.request, self.context, outcome, self._planned)
        except Unavailable:
            raise
        except CampaignctlError as error:
            outcome.error = JobError(error.code, error.message)

    def _planned(self, windows: int) -> None:
        self.total = (self.total or 0) + windows


def _tell(context: JobContext, work: Sequence[_PlatformWork]) -> None:
    totals = [one.total for one in work]
    total = None if None in totals else sum(known for known in totals if known is not None)
    try:
        progress = Progress(sum(one.done for one in work), total, "windows")
        context.checkpoint(progress, so_far={"platforms": _shown(work)})
    except (JobCancelled, JobInterrupted, Unavailable):
        return  # each platform's thread comes to a checkpoint of its own


def _plan(
    platform: Platform, account_id: str, account: PlatformAccount | None, natives: Mapping[str, Iterable[str]]
) -> AccountPlan:
    by_level = {level: tuple(sorted(set(ids))) for level, ids in natives.items()}
    return AccountPlan(platform, account_id, account, by_level)


def _result(work: Sequence[_PlatformWork]) -> JobResult:
    failed = [one for one in work if one.failed]
    errors = [outcome.error for one in failed for outcome in one.outcomes if outcome.error is not None]
    status = JobStatus.SUCCEEDED
    if failed:
        status = JobStatus.FAILED if len(failed) == len(work) else JobStatus.PARTIAL
    return JobResult(status, {"platforms": _shown(work)}, errors[0] if errors else None)


def _shown(work: Sequence[_PlatformWork], unfinished: JobStatus = JobStatus.RUNNING) -> dict[str, object]:
    """What became of each platform by now; ``unfinished`` is the status of those that were not through."""
    return {
        one.platform.value: {
            "status": one.status(unfinished),
            "windows": {"done": one.done, "total": one.total},
            "accounts": [outcome.shown() for outcome in list(one.outcomes)],
        }
        for one in work
    }
