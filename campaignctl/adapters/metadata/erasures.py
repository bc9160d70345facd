"""Campaigns that were erased."""

from collections.abc import Collection, Mapping
from datetime import datetime

from campaignctl.adapters.metadata.database import Row, Tables, Transaction, from_us, is_id
from campaignctl.adapters.metadata.jobs import found_job, insert_job
from campaignctl.domain.erased_events import EventErasure
from campaignctl.domain.jobs import Job, JobKind, JobStatus
from campaignctl.ports.jobs import NewJob

_DIGEST_BYTES = 32
_NATIVE = ("platform", "account_id", "level", "native_id")


class ErasureTables(Tables):
    def erase_campaign(self, campaign_id: int, erased_by: int | None, /) -> Job | None:
        if not is_id(campaign_id):
            return None
        now_us = self._now_us()
        with self._database.writing() as tx:
            row = tx.one("fetch_campaign", campaign_id=campaign_id)
            if row is None:
                return None
            organization_id = row["organization_id"]
            tx.run("lock_claims", organization_id=organization_id)
            claims = tx.all("fetch_claims_of_campaign", campaign_id=campaign_id)
            tx.run("remove_platform_links", campaign_id=campaign_id)
            tx.run("remove_native_claims", campaign_id=campaign_id)
            if not tx.run("remove_campaign", campaign_id=campaign_id, organization_id=organization_id):
                return None  # somebody else has erased it since it was read
            tx.run("remove_jobs_of_campaign", campaign_id=campaign_id)
            tx.run("remove_event_erasures", campaign_id=campaign_id)
            location = f'%/campaigns/{campaign_id}"%'
            tx.run("forget_answers_about_campaign", organization_id=organization_id, location_pattern=location)
            natives = [{name: row[name] for name in _NATIVE} for row in claims]
            params: dict[str, object] = {"native_campaigns": natives} if natives else {}
            job = _queued(tx, campaign_id, organization_id, params, erased_by, now_us)
            tx.run(
                "add_erasure",
                campaign_id=campaign_id,
                organization_id=organization_id,
                job_id=job.id,
                erased_by=erased_by,
                now_us=now_us,
            )
            return job

    def erase_campaign_again(
        self, campaign_id: int, organization_id: int | None, erased_by: int | None, /, *, only_failed: bool
    ) -> Job | None:
        if not is_id(campaign_id):
            return None
        now_us = self._now_us()
        with self._database.writing() as tx:
            row = tx.one("fetch_erasure", campaign_id=campaign_id)
            if row is None or organization_id not in (None, row["organization_id"]):
                return None
            tx.run("lock_claims", organization_id=row["organization_id"])  # of two who ask, one makes the job
            row = tx.one("fetch_erasure", campaign_id=campaign_id)
            last = None if row is None else found_job(tx, row["job_id"])
            if row is None or last is None or (only_failed and last.status is not JobStatus.FAILED):
                return None
            if not last.status.is_final:
                return last
            job = _queued(tx, campaign_id, row["organization_id"], last.params, erased_by, now_us)
            tx.run("set_erasure_job", campaign_id=campaign_id, job_id=job.id)
            return job

    def erasing(self) -> set[int]:
        with self._database.reading() as tx:
            return {row["campaign_id"] for row in tx.all("fetch_campaigns_being_erased")}

    def erased_campaigns(self) -> dict[int, datetime]:
        with self._database.reading() as tx:
            return {row["campaign_id"]: from_us(row["erased_at_us"]) for row in tx.all("fetch_erasures")}

    def erase_events(
        self, campaign_id: int, digests: Collection[bytes], reason: str, erased_by: int | None, /
    ) -> Job | None:
        if not is_id(campaign_id):
            return None
        now_us = self._now_us()
        params: dict[str, object] = {"event_ids": len(set(digests))} | ({"reason": reason} if reason else {})
        with self._database.writing() as tx:
            row = tx.one("fetch_campaign", campaign_id=campaign_id)
            if row is None:
                return None
            organization_id = row["organization_id"]
            tx.run("lock_claims", organization_id=organization_id)  # so that the campaign is not erased meanwhile
            if tx.one("fetch_campaign", campaign_id=campaign_id) is None:
                return None
            new = NewJob(
                JobKind.ERASE_EVENTS,
                organization_id,
                params,
                campaign_id=campaign_id,
                created_by=erased_by,
                unit="steps",
            )
            job = insert_job(tx, new, now_us)
            tx.run(
                "add_event_erasure",
                job_id=job.id,
                campaign_id=campaign_id,
                organization_id=organization_id,
                digests=b"".join(sorted(set(digests))),
                erased_by=erased_by,
                now_us=now_us,
            )
            return job

    def erased_events(self, known: Collection[int] = (), /) -> dict[int, EventErasure]:
        with self._database.reading() as tx:
            numbers = [row["job_id"] for row in tx.all("fetch_event_erasure_numbers")]
            rows = [tx.one("fetch_event_erasure", job_id=one) for one in numbers if one not in known]
        return {row["job_id"]: _event_erasure(row) for row in rows if row is not None}


def _queued(
    tx: Transaction,
    campaign_id: int,
    organization_id: int,
    params: Mapping[str, object],
    erased_by: int | None,
    now_us: int,
) -> Job:
    new = NewJob(JobKind.ERASE, organization_id, params, campaign_id=campaign_id, created_by=erased_by, unit="tables")
    return insert_job(tx, new, now_us)


def _event_erasure(row: Row) -> EventErasure:
    digests = bytes(row["digests"])
    pieces = (digests[start : start + _DIGEST_BYTES] for start in range(0, len(digests), _DIGEST_BYTES))
    return EventErasure(row["campaign_id"], frozenset(pieces), from_us(row["erased_at_us"]))
