"""Jobs, and the leases of those who do them."""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from campaignctl.adapters.metadata.database import (
    Row,
    Tables,
    Transaction,
    Value,
    day_text,
    from_us,
    given,
    is_id,
    seconds_to_us,
)
from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress
from campaignctl.ports.jobs import JobFilter, JobInTheWay, JobScope, Lane, LeaseState, NewJob

_BEHIND_ALL = 2**63 - 1
_encoder = msgspec.json.Encoder(decimal_format="number")


class JobTables(Tables):
    def add_job(self, new: NewJob, /) -> Job | JobInTheWay:
        wanted = _wanted(new)
        with self._database.writing() as tx:
            there = tx.one("find_unfinished_job", **wanted)
            if there is not None:
                joins = new.join_key is not None and there["join_key"] == new.join_key
                return _stored(tx, there["id"]) if joins else JobInTheWay(there["id"])
            return insert_job(tx, new, self._now_us())

    def job(self, job_id: int, /) -> Job | None:
        if not is_id(job_id):
            return None
        with self._database.reading() as tx:
            return found_job(tx, job_id)

    def list_jobs(self, wanted: JobFilter, before_id: int | None, limit: int, /) -> list[Job]:
        if wanted.campaign_id is not None and not is_id(wanted.campaign_id):
            return []
        with self._database.reading() as tx:
            rows = tx.all(
                "list_jobs",
                organization_id=wanted.organization_id,
                campaign_id=wanted.campaign_id,
                kind=None if wanted.kind is None else wanted.kind.value,
                status=None if wanted.status is None else wanted.status.value,
                before_id=_BEHIND_ALL if before_id is None else before_id,
                limit=limit,
            )
        return list(map(_job, rows))

    def claim_job(
        self, kinds: Collection[JobKind], owner: str, lease_s: float, full: Collection[Lane] = (), /
    ) -> Job | None:
        claimable: dict[str, Value] = {
            "kinds": _listed(kind.value for kind in kinds),
            "full": _listed(f"{kind.value}/{lane}" for kind, lane in full),
            "now_us": self._now_us(),
        }
        with self._database.reading() as tx:  # most looks find nothing: those take no writer's place
            if tx.one("find_claimable_job", **claimable) is None:
                return None
        with self._database.writing() as tx:
            row = tx.one("lock_claimable_job", **claimable)
            return None if row is None else self._hold(tx, row["id"], owner, lease_s)

    def take_job(self, job_id: int, owner: str, lease_s: float, /) -> Job | None:
        if not is_id(job_id):
            return None
        with self._database.writing() as tx:
            return self._hold(tx, job_id, owner, lease_s)

    def renew_job(
        self,
        job_id: int,
        owner: str,
        lease_s: float,
        progress: Progress | None = None,
        state: Mapping[str, object] | None = None,
        result: Mapping[str, object] | None = None,
        /,
    ) -> LeaseState:
        with self._database.writing() as tx:
            row = tx.one(
                "renew_job",
                job_id=job_id,
                owner=owner,
                lease_until_us=self._now_us() + seconds_to_us(lease_s),
                done=None if progress is None else progress.done,
                total=None if progress is None else progress.total,
                unit=None if progress is None else progress.unit,
                state=None if state is None else _text(state),
                result=None if result is None else _text(result),
            )
        if row is None:
            return LeaseState.LOST
        return LeaseState.CANCEL_REQUESTED if row["cancel_requested"] else LeaseState.HELD

    def finish_job(
        self,
        job_id: int,
        owner: str,
        status: JobStatus,
        result: Mapping[str, object] | None,
        error: JobError | None,
        /,
    ) -> bool:
        with self._database.writing() as tx:
            touched = tx.run(
                "finish_job",
                job_id=job_id,
                owner=owner,
                status=status.value,
                result=None if result is None else _text(result),
                error=None if error is None else _text({"code": error.code, "message": error.message}),
                now_us=self._now_us(),
            )
        return touched > 0

    def request_cancel(self, job_id: int, /) -> Job | None:
        if not is_id(job_id):
            return None
        with self._database.writing() as tx:
            if not tx.run("cancel_queued_job", job_id=job_id, now_us=self._now_us()):
                tx.run("ask_job_to_stop", job_id=job_id)
            return found_job(tx, job_id)

    def _hold(self, tx: Transaction, job_id: int, owner: str, lease_s: float) -> Job | None:
        now_us = self._now_us()
        held = tx.run(
            "hold_job", job_id=job_id, owner=owner, now_us=now_us, lease_until_us=now_us + seconds_to_us(lease_s)
        )
        if not held:
            return None
        row = tx.one("fetch_job_lane", job_id=job_id)
        return replace(_stored(tx, job_id), lane="" if row is None else row["lane"])


def insert_job(tx: Transaction, new: NewJob, now_us: int) -> Job:
    """Queue the job, whatever else is under way."""
    row = tx.one(
        "add_job", params=_text(new.params), unit=new.unit, created_by=new.created_by, now_us=now_us, **_wanted(new)
    )
    job_id = given(row)["id"]
    if new.lane:  # a restored directory of an earlier version, which has no lanes, takes jobs of none all the same
        tx.run("add_job_lane", job_id=job_id, lane=new.lane)
    return replace(_stored(tx, job_id), lane=new.lane)


def _listed(names: Iterable[str]) -> str:
    """A list in which each name stands between commas of its own, so that it is found and taken out by itself."""
    return "".join(f",{name}," for name in names)


def _wanted(new: NewJob) -> dict[str, Value]:
    scope = new.scope or JobScope()
    return {
        "organization_id": new.organization_id,
        "kind": new.kind.value,
        "campaign_id": new.campaign_id,
        "join_key": new.join_key,
        "scoped": int(new.scope is not None),
        "first_day": day_text(scope.first),
        "last_day": day_text(scope.last),
    }


def found_job(tx: Transaction, job_id: int) -> Job | None:
    row = tx.one("fetch_job", job_id=job_id)
    return None if row is None else _job(row)


def _stored(tx: Transaction, job_id: int) -> Job:
    return _job(given(tx.one("fetch_job", job_id=job_id)))


def _job(row: Row) -> Job:
    error = _object(row["error"])
    started_us, finished_us = row["started_at_us"], row["finished_at_us"]
    return Job(
        id=row["id"],
        organization_id=row["organization_id"],
        kind=JobKind(row["kind"]),
        campaign_id=row["campaign_id"],
        params=_object(row["params"]) or {},
        state=_object(row["state"]) or {},
        status=JobStatus(row["status"]),
        progress=Progress(row["done"], row["total"], row["unit"]),
        result=_object(row["result"]),
        error=None if error is None else JobError(error["code"], error["message"]),
        created_by=row["created_by"],
        created_at=from_us(row["created_at_us"]),
        started_at=None if started_us is None else from_us(started_us),
        finished_at=None if finished_us is None else from_us(finished_us),
        cancel_requested=bool(row["cancel_requested"]),
        attempts=row["attempts"],
    )


def _text(value: Mapping[str, object]) -> str:
    return _encoder.encode(value).decode()


def _object(text: str | None) -> dict[str, Any] | None:
    """The object with every number exact."""
    return None if text is None else json.loads(text, parse_float=Decimal)
