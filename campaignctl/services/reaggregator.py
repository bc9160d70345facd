"""Executing a re-aggregation: counting again, keeping the plan, adding the difference, writing the receipt.

The order is fixed. What the rollup held before goes into the job's state, then the difference is added, then the job is
finished: a process that dies in between leaves all that its successor needs, who finds the difference either still
lacking or there, and whose receipt is the same.
"""

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Protocol

from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress
from campaignctl.domain.rollup import Totals
from campaignctl.ports.clock import Clock
from campaignctl.ports.jobs import JobStore, LeaseState
from campaignctl.ports.metadata import CampaignFacts, CampaignFactsStore
from campaignctl.ports.rollup import RollupRows, RollupStore
from campaignctl.services.jobs import LEASE_S
from campaignctl.services.reaggregation import Wanted, day_text, expired, first_kept_day

logger = logging.getLogger(__name__)

_EPOCH = date(1970, 1, 1)
_DAY = timedelta(days=1)
# An insert that was cut off may still be on its way from the store's log of tokens to its data.
_SETTLE_S = 1.0
_MOST_ROUNDS = 3


class ReaggregationStore(JobStore, CampaignFactsStore, Protocol):
    """What executing a command needs of the metadata store."""


class Reaggregator:
    """Executes commands. Only for the owner of the campaign's partition, between two batches.

    Every method raises ``Unavailable``: call ``execute`` again, with the same ``owner``. ``breathe`` is called between
    steps, and may raise what ends the work: the job is resumed by whoever owns the partition next.
    """

    def __init__(
        self,
        store: RollupStore,
        metadata: ReaggregationStore,
        *,
        window_days: int,
        retention_days: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._metadata = metadata
        self._window_ms = window_days * 86_400_000
        self._retention_days = retention_days
        self._clock = clock

    def job_of(self, value: bytes, key: bytes | None) -> Job | None:
        """The unfinished job that a command record names; None when nobody asked for such a thing."""
        try:
            content = json.loads(value)
            job = self._metadata.job(content["job"]) if content["v"] == 1 and isinstance(content["job"], int) else None
        except (ValueError, TypeError, KeyError, RecursionError):
            return None
        if job is None or job.status.is_final or job.kind is not JobKind.REAGGREGATE:
            return None
        return job if key == str(job.campaign_id).encode() else None

    def execute(
        self, job: Job, partition: int, owner: str, breathe: Callable[[], None], failpoint: Callable[[str], None]
    ) -> None:
        """Take the job over and bring it to its end, unless it has ended meanwhile; ``partition`` is the campaign's."""
        taken = self._metadata.take_job(job.id, owner, LEASE_S)
        if taken is None or taken.campaign_id is None:
            return
        facts = self._metadata.campaign_facts([taken.campaign_id]).get(taken.campaign_id)
        if facts is None:
            error = JobError("not_found", f"there is no campaign {taken.campaign_id} any more")
            self._metadata.finish_job(taken.id, owner, JobStatus.FAILED, None, error)
            return
        run = _Run(
            self._store,
            self._metadata,
            self._clock,
            taken,
            facts,
            partition,
            owner,
            self._window_ms,
            breathe,
            failpoint,
        )
        run.to_its_end(self._retention_days)


class _StopError(Exception):
    """The job is cancelled, or somebody else's."""

    def __init__(self, lease: LeaseState) -> None:
        super().__init__()
        self.lease = lease


@dataclass(slots=True)
class _Count:
    """What was counted of the whole range."""

    before: Totals
    lacking: RollupRows | None
    rows_read: int = 0
    copies: int = 0

    @property
    def drift_rows(self) -> int:
        return 0 if self.lacking is None else len(self.lacking)

    @property
    def after(self) -> Totals:
        return self.before if self.lacking is None else self.before.plus(self.lacking.totals())


@dataclass(frozen=True, slots=True)
class _Run:
    """One attempt at one job."""

    store: RollupStore
    metadata: ReaggregationStore
    clock: Clock
    job: Job
    facts: CampaignFacts
    partition: int
    owner: str
    window_ms: int
    breathe: Callable[[], None]
    failpoint: Callable[[str], None]

    def to_its_end(self, retention_days: int) -> None:
        wanted, first_kept = _wanted(self.job), first_kept_day(self.clock.now(), retention_days, self.facts.timezone)
        if wanted.start is not None and wanted.start < first_kept:
            error = expired("start_date", retention_days, first_kept)
            self._finish(JobStatus.FAILED, None, JobError(error.code, error.message))
            return
        try:
            days = self._days(wanted, first_kept)
            counted = self._count(days)
            if wanted.dry_run:
                self._finish(
                    JobStatus.SUCCEEDED, self._receipt(days, counted, counted.before, counted.drift_rows, None)
                )
            else:
                self._apply(days, counted)
        except _StopError as stop:
            if stop.lease is LeaseState.CANCEL_REQUESTED:
                self._finish(JobStatus.CANCELLED, None)

    def _apply(self, days: range, counted: _Count) -> None:
        """Write the plan down, then add the difference: whoever repeats this knows what it was before."""
        kept = self.job.state
        doubtful = "before" in kept
        before = Totals.restored(_mapping(kept["before"])) if doubtful else counted.before
        drift_rows = int(str(kept["drift_rows"])) if doubtful else counted.drift_rows
        if not doubtful:
            self._hold(state={"before": before.kept(), "drift_rows": drift_rows})
        if counted.lacking is not None:
            counted = self._added(days, counted, doubtful=doubtful)
        if counted.lacking is not None:
            self._finish(
                JobStatus.FAILED, None, JobError("drift_remains", "what was added did not make the sums equal")
            )
            return
        self.metadata.bump_data_versions([self.facts.id])
        self.failpoint("before_reaggregation_finish")
        self._finish(JobStatus.SUCCEEDED, self._receipt(days, counted, before, drift_rows, self.clock.now()))

    def _added(self, days: range, counted: _Count, *, doubtful: bool) -> _Count:
        """Add what lacks; answers what is counted then. In doubt, because an attempt before may have added it already
        or be adding it still, that is counted anew: the store's log of tokens can be ahead of its data after a crash,
        and then a difference goes in under another token only.
        """
        for number in range(_MOST_ROUNDS):
            if counted.lacking is None:
                break
            self.failpoint("before_reaggregation_insert")
            self.store.add_to_rollup(counted.lacking, self._token(counted.lacking, number), self.partition)
            self.failpoint("after_reaggregation_insert")
            if not doubtful:
                return _Count(counted.after, None, counted.rows_read, counted.copies)
            counted = self._count(days)
            if counted.lacking is not None:
                self.clock.sleep(_SETTLE_S)
                counted = self._count(days)
        return counted

    def _days(self, wanted: Wanted, first_kept: date) -> range:
        """Numbers of the days since 1970-01-01."""
        recorded = self.store.recorded_days(self.facts.id)
        first, last = wanted.start, wanted.end
        if first is None:
            first = max(first_kept, _EPOCH + timedelta(days=recorded[0])) if recorded else last
        if last is None:
            last = _EPOCH + timedelta(days=recorded[1]) if recorded else first
        if first is None or last is None:
            return range(0)
        return range((first - _EPOCH).days, (last - _EPOCH).days + 1)

    def _count(self, days: range) -> _Count:
        """Count month by month, so that no step takes long, and the group and the lease are kept."""
        counted, lacking, done = _Count(Totals(), None), [], 0
        for some in months(days):
            self._hold(Progress(done, len(days), "days"))
            found = self.store.recount({self.facts.id: some}, self.window_ms, self.partition)
            counted.before = counted.before.plus(found.current.totals())
            counted.rows_read += found.rows_read
            counted.copies += found.copies
            if len(found.lacking):
                lacking.append(found.lacking)
            done += len(some)
        self._hold(Progress(done, len(days), "days"))
        counted.lacking = RollupRows.joined(lacking) if lacking else None
        return counted

    def _hold(self, progress: Progress | None = None, state: Mapping[str, object] | None = None) -> None:
        self.breathe()
        lease = self.metadata.renew_job(self.job.id, self.owner, LEASE_S, progress, state)
        if lease is not LeaseState.HELD:
            raise _StopError(lease)

    def _token(self, lacking: RollupRows, number: int) -> str:
        """The same difference has the same token, so that two who repeat each other add it once."""
        digest = hashlib.sha256()
        for name in ("campaign_id", "day", "last_event_us"):
            digest.update(getattr(lacking, name).tobytes())
        for name in ("platform", "region", "currency"):
            digest.update(json.dumps(getattr(lacking, name).tolist()).encode())
        for sums in lacking.sums.values():
            digest.update(sums.tobytes())
        return f"reaggregate-{self.job.id}-{digest.hexdigest()[:24]}-{number}"

    def _receipt(
        self, days: range, counted: _Count, before: Totals, drift_rows: int, applied_at: datetime | None
    ) -> dict[str, object]:
        started_at = self.job.started_at or self.clock.now()
        return {
            "start_date": day_text(_EPOCH + timedelta(days=days[0])) if days else None,
            "end_date": day_text(_EPOCH + timedelta(days=days[-1])) if days else None,
            "days": len(days),
            "rows_read": counted.rows_read,
            "duplicates_collapsed": counted.copies,
            "before": before.shown(),
            "after": counted.after.shown(),
            "difference": counted.after.minus(before).shown(),
            "drift_rows": drift_rows,
            "dry_run": applied_at is None,
            "applied_at": None if applied_at is None else applied_at.isoformat().replace("+00:00", "Z"),
            "duration_s": round((self.clock.now() - started_at).total_seconds(), 3),
        }

    def _finish(self, status: JobStatus, result: Mapping[str, object] | None, error: JobError | None = None) -> None:
        self.metadata.finish_job(self.job.id, self.owner, status, result, error)
        logger.info("job %d: re-aggregation of campaign %d %s", self.job.id, self.facts.id, status.value)


def _wanted(job: Job) -> Wanted:
    params: Mapping[str, Any] = job.params
    return Wanted(_day(params["start_date"]), _day(params["end_date"]), params["dry_run"])


def months(days: range) -> Iterator[range]:
    """The days, cut where months begin."""
    start = days.start
    for day in days:
        if day > start and (_EPOCH + timedelta(days=day)).day == 1:
            yield range(start, day)
            start = day
    if start < days.stop:
        yield range(start, days.stop)


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _mapping(value: object) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise TypeError("a JSON object was expected")
    return value
