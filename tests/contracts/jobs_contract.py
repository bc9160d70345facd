"""What every store of jobs must do, written against the port alone; ``harness`` is ``metadata_contract``'s."""

from datetime import date, timedelta
from decimal import Decimal

import pytest

from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus, Progress
from campaignctl.ports.jobs import JobFilter, JobInTheWay, JobScope, LeaseState, NewJob
from campaignctl.ports.metadata import MetadataStore
from tests.contracts.metadata_contract import Harness, at_once

KINDS = tuple(JobKind)
LEASE_S = 30.0


class JobsContract:
    @pytest.fixture
    def metadata(self, harness: Harness) -> MetadataStore:
        return harness.open()

    @pytest.fixture
    def organization(self, metadata: MetadataStore) -> int:
        return metadata.ensure_organization("Ads")

    def new(self, organization: int | None, **members: object) -> NewJob:
        given = {"kind": JobKind.REPLAY, "organization_id": organization, "params": {}} | members
        return NewJob(**given)  # type: ignore[arg-type]

    def add(self, metadata: MetadataStore, organization: int | None, **members: object) -> Job:
        job = metadata.add_job(self.new(organization, **members))
        assert isinstance(job, Job)
        return job

    def scoped(self, organization: int, first: str | None, last: str | None, **members: object) -> NewJob:
        days = [None if text is None else date.fromisoformat(text) for text in (first, last)]
        return self.new(
            organization, **{"kind": JobKind.REAGGREGATE, "campaign_id": 5, "scope": JobScope(*days)} | members
        )

    # Adding and looking

    def test_a_new_job_is_queued_and_says_what_was_asked(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        params = {
            "start_date": "2026-10-01",
            "dry_run": False,
            "share": Decimal("0.000001"),
            "text": "naïve",
            "n": 2**70,
        }
        job = self.add(metadata, organization, campaign_id=5, params=params, created_by=3, unit="days")
        assert job == Job(
            id=job.id,
            organization_id=organization,
            kind=JobKind.REPLAY,
            campaign_id=5,
            params=params,
            state={},
            status=JobStatus.QUEUED,
            progress=Progress(0, None, "days"),
            result=None,
            error=None,
            created_by=3,
            created_at=harness.clock.now(),
            started_at=None,
            finished_at=None,
            cancel_requested=False,
            attempts=0,
        )
        assert metadata.job(job.id) == job
        assert harness.open().job(job.id) == job
        assert [metadata.job(unknown) for unknown in (0, -1, job.id + 1, 2**63, 2**80)] == [None] * 5

    def test_ids_rise_and_are_never_given_twice(self, metadata: MetadataStore, organization: int) -> None:
        ids = [self.add(metadata, organization).id for _ in range(3)]
        assert ids == sorted(set(ids))

    def test_a_job_may_belong_to_no_organization(self, metadata: MetadataStore) -> None:
        assert self.add(metadata, None).organization_id is None

    def test_jobs_are_listed_newest_first_by_page_and_filter(self, metadata: MetadataStore, organization: int) -> None:
        other = metadata.ensure_organization("Other")
        first = self.add(metadata, organization, campaign_id=5)
        second = self.add(metadata, organization, campaign_id=6, kind=JobKind.FETCH)
        third = self.add(metadata, other, campaign_id=7)
        assert metadata.request_cancel(second.id) is not None

        def ids(before_id: int | None = None, limit: int = 10, **wanted: object) -> list[int]:
            return [job.id for job in metadata.list_jobs(JobFilter(**wanted), before_id, limit)]  # type: ignore[arg-type]

        assert ids() == [third.id, second.id, first.id]
        assert ids(limit=1) == [third.id]
        assert ids(third.id, 1) == [second.id]
        assert ids(organization_id=organization) == [second.id, first.id]
        assert ids(campaign_id=5) == [first.id]
        assert ids(campaign_id=2**70) == []
        assert ids(kind=JobKind.FETCH) == [second.id]
        assert ids(status=JobStatus.QUEUED) == [third.id, first.id]
        assert ids(organization_id=other, status=JobStatus.CANCELLED) == []

    # Joining and scopes

    def test_an_equal_job_joins_the_one_under_way(self, metadata: MetadataStore, organization: int) -> None:
        job = self.add(metadata, organization, campaign_id=5, join_key="k", params={"a": 1})
        assert self.add(metadata, organization, campaign_id=5, join_key="k", params={"a": 1}) == job
        assert metadata.claim_job(KINDS, "me", LEASE_S) is not None
        assert self.add(metadata, organization, campaign_id=5, join_key="k").id == job.id
        others = [
            self.add(metadata, organization, campaign_id=5, join_key="other"),
            self.add(metadata, organization, campaign_id=5),
            self.add(metadata, organization, campaign_id=6, join_key="k"),
            self.add(metadata, organization, campaign_id=5, join_key="k", kind=JobKind.FETCH),
            self.add(metadata, metadata.ensure_organization("Other"), campaign_id=5, join_key="k"),
        ]
        assert job.id not in [other.id for other in others]
        assert metadata.finish_job(job.id, "me", JobStatus.SUCCEEDED, {}, None)
        assert self.add(metadata, organization, campaign_id=5, join_key="k").id != job.id

    @pytest.mark.parametrize(
        ("first", "last", "overlaps"),
        [
            ("2026-10-05", "2026-10-20", True),
            ("2026-10-20", "2026-10-31", True),
            ("2026-10-21", None, False),
            (None, "2026-10-09", False),
            (None, "2026-10-10", True),
            (None, None, True),
            ("2026-10-12", "2026-10-13", True),
        ],
    )
    def test_overlapping_scopes_are_in_each_others_way(
        self, metadata: MetadataStore, organization: int, first: str | None, last: str | None, overlaps: bool
    ) -> None:
        job = metadata.add_job(self.scoped(organization, "2026-10-10", "2026-10-20"))
        assert isinstance(job, Job)
        outcome = metadata.add_job(self.scoped(organization, first, last))
        assert (outcome == JobInTheWay(job.id)) == overlaps
        assert isinstance(metadata.add_job(self.scoped(organization, first, last, campaign_id=6)), Job)
        assert isinstance(metadata.add_job(self.scoped(organization, first, last, kind=JobKind.FETCH)), Job)
        assert isinstance(metadata.add_job(self.new(organization, kind=JobKind.REAGGREGATE, campaign_id=5)), Job)

    def test_an_open_scope_overlaps_every_other(self, metadata: MetadataStore, organization: int) -> None:
        job = metadata.add_job(self.scoped(organization, None, None))
        assert isinstance(job, Job)
        assert metadata.add_job(self.scoped(organization, "2026-10-01", "2026-10-01")) == JobInTheWay(job.id)

    def test_the_equal_job_is_joined_rather_than_in_the_way(self, metadata: MetadataStore, organization: int) -> None:
        job = metadata.add_job(self.scoped(organization, None, None, join_key="k"))
        assert metadata.add_job(self.scoped(organization, None, None, join_key="k")) == job

    def test_of_twenty_equal_jobs_at_once_one_is_made(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        handles = [metadata, harness.open()]
        new = self.scoped(organization, None, None, join_key="k")
        made = at_once([lambda n=n: handles[n % 2].add_job(new) for n in range(20)])
        assert len({job.id for job in made if isinstance(job, Job)}) == 1
        assert len(metadata.list_jobs(JobFilter(), None, 50)) == 1

    # Leases

    def test_the_oldest_queued_job_of_the_kinds_is_claimed(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        assert metadata.claim_job(KINDS, "me", LEASE_S) is None
        fetch = self.add(metadata, organization, kind=JobKind.FETCH)
        first, second = self.add(metadata, organization), self.add(metadata, organization)
        claimed = metadata.claim_job([JobKind.REPLAY, JobKind.ERASE], "me", LEASE_S)
        assert claimed is not None
        assert (claimed.id, claimed.status, claimed.attempts) == (first.id, JobStatus.RUNNING, 1)
        assert claimed.started_at == harness.clock.now()
        other = metadata.claim_job([JobKind.REPLAY], "you", LEASE_S)
        assert other is not None
        assert other.id == second.id
        assert metadata.claim_job([JobKind.REPLAY], "you", LEASE_S) is None
        assert metadata.claim_job([], "you", LEASE_S) is None
        last = metadata.claim_job(KINDS, "you", LEASE_S)
        assert last is not None
        assert last.id == fetch.id

    def test_a_job_of_a_full_lane_is_left_for_others(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        def claimed(*full: tuple[JobKind, str]) -> int | None:
            job = metadata.claim_job(KINDS, "me", LEASE_S, full)
            return None if job is None else job.id

        meta = [self.add(metadata, organization, kind=JobKind.FETCH, lane="meta") for _ in range(2)]
        several = self.add(metadata, organization, kind=JobKind.FETCH)
        replay, google = (
            self.add(metadata, organization, lane="meta"),
            self.add(metadata, organization, kind=JobKind.FETCH, lane="google"),
        )
        assert [job.lane for job in (meta[0], several, replay)] == ["meta", "", "meta"]
        everything = ((JobKind.FETCH, "meta"), (JobKind.FETCH, ""), (JobKind.FETCH, "google"), (JobKind.REPLAY, "meta"))
        assert claimed(*everything) is None
        assert claimed(*everything[:1], (JobKind.REPLAY, "")) == several.id
        assert claimed(*everything[:2]) == replay.id
        assert claimed(*everything[:2]) == google.id
        assert claimed(*everything[:2]) is None
        assert claimed() == meta[0].id
        harness.clock.advance(LEASE_S + 1)
        assert claimed(*everything[:1]) == several.id
        taken = metadata.claim_job([JobKind.FETCH], "you", LEASE_S, [(JobKind.FETCH, "google")])
        assert taken is not None
        assert (taken.id, taken.lane) == (meta[0].id, "meta")

    def test_a_dead_owners_job_is_resumed_from_its_state(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        job = self.add(metadata, organization)
        claimed = metadata.claim_job(KINDS, "me", LEASE_S)
        assert claimed is not None
        harness.clock.advance(LEASE_S - 1)
        progress, state = Progress(3, 9, "days"), {"at": "2026-10-03", "exact": Decimal("1.000001")}
        assert metadata.renew_job(job.id, "me", LEASE_S, progress, state) is LeaseState.HELD
        assert metadata.renew_job(job.id, "me", LEASE_S, None, None, {"meta": "running"}) is LeaseState.HELD
        assert metadata.renew_job(job.id, "me", LEASE_S) is LeaseState.HELD
        harness.clock.advance(LEASE_S - 1)
        assert metadata.claim_job(KINDS, "you", LEASE_S) is None
        harness.clock.advance(1)
        resumed = metadata.claim_job(KINDS, "you", LEASE_S)
        assert resumed is not None
        assert (resumed.id, resumed.state, resumed.progress, resumed.attempts) == (job.id, state, progress, 2)
        assert resumed.started_at == claimed.started_at
        assert resumed.result == {"meta": "running"}
        assert metadata.renew_job(job.id, "me", LEASE_S, Progress(4, 9, "days"), {}) is LeaseState.LOST
        assert not metadata.finish_job(job.id, "me", JobStatus.FAILED, None, None)
        assert metadata.job(job.id) == resumed
        assert metadata.finish_job(job.id, "you", JobStatus.CANCELLED, None, None)
        ended = metadata.job(job.id)
        assert ended is not None
        assert ended.result is None

    def test_a_job_that_is_given_back_can_be_claimed_at_once(self, metadata: MetadataStore, organization: int) -> None:
        job = self.add(metadata, organization)
        metadata.claim_job(KINDS, "me", LEASE_S)
        assert metadata.renew_job(job.id, "me", 0.0) is LeaseState.HELD
        claimed = metadata.claim_job(KINDS, "you", LEASE_S)
        assert claimed is not None
        assert claimed.id == job.id

    def test_a_job_can_be_taken_from_its_owner(self, metadata: MetadataStore, organization: int) -> None:
        queued, running = self.add(metadata, organization), self.add(metadata, organization)
        metadata.claim_job(KINDS, "me", LEASE_S)
        metadata.claim_job(KINDS, "me", LEASE_S)
        for job in (queued, running):
            taken = metadata.take_job(job.id, "partition", LEASE_S)
            assert taken is not None
            assert taken.status is JobStatus.RUNNING
            assert metadata.renew_job(job.id, "me", LEASE_S) is LeaseState.LOST
            assert metadata.finish_job(job.id, "partition", JobStatus.SUCCEEDED, {}, None)
            assert metadata.take_job(job.id, "partition", LEASE_S) is None
        assert metadata.take_job(2**70, "partition", LEASE_S) is None

    def test_of_twenty_claimers_each_job_has_one(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        jobs = {self.add(metadata, organization).id for _ in range(5)}
        handles = [metadata, harness.open()]
        claimed = at_once([lambda n=n: handles[n % 2].claim_job(KINDS, f"owner {n}", LEASE_S) for n in range(20)])
        assert sorted(job.id for job in claimed if job is not None) == sorted(jobs)

    # Ends

    def test_a_finished_job_keeps_its_receipt(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        done, failed = self.add(metadata, organization), self.add(metadata, organization)
        metadata.claim_job(KINDS, "me", LEASE_S)
        metadata.claim_job(KINDS, "me", LEASE_S)
        harness.clock.advance(5)
        result = {"spend": {"USD": Decimal("-0.000001")}, "rows": 2**70}
        assert metadata.finish_job(done.id, "me", JobStatus.SUCCEEDED, result, None)
        assert metadata.finish_job(failed.id, "me", JobStatus.FAILED, None, JobError("unavailable", "It is away."))
        first, second = metadata.job(done.id), metadata.job(failed.id)
        assert first is not None
        assert second is not None
        assert (first.status, first.result, first.error) == (JobStatus.SUCCEEDED, result, None)
        assert first.finished_at == first.started_at + timedelta(seconds=5)  # type: ignore[operator]
        assert (second.status, second.error) == (JobStatus.FAILED, JobError("unavailable", "It is away."))
        assert not metadata.finish_job(done.id, "me", JobStatus.FAILED, None, None)
        assert metadata.renew_job(done.id, "me", LEASE_S) is LeaseState.LOST
        harness.clock.advance(LEASE_S * 2)
        assert metadata.claim_job(KINDS, "you", LEASE_S) is None

    def test_a_queued_job_is_cancelled_at_once(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        job = self.add(metadata, organization)
        cancelled = metadata.request_cancel(job.id)
        assert cancelled is not None
        assert (cancelled.status, cancelled.finished_at) == (JobStatus.CANCELLED, harness.clock.now())
        assert metadata.claim_job(KINDS, "me", LEASE_S) is None
        assert metadata.request_cancel(job.id) == cancelled
        assert metadata.request_cancel(job.id + 1) is None
        assert metadata.request_cancel(2**70) is None

    def test_a_running_job_is_asked_to_stop(self, metadata: MetadataStore, organization: int) -> None:
        job = self.add(metadata, organization)
        metadata.claim_job(KINDS, "me", LEASE_S)
        asked = metadata.request_cancel(job.id)
        assert asked is not None
        assert (asked.status, asked.cancel_requested) == (JobStatus.RUNNING, True)
        assert metadata.renew_job(job.id, "me", 0.0) is LeaseState.CANCEL_REQUESTED
        resumed = metadata.claim_job(KINDS, "you", LEASE_S)
        assert resumed is not None
        assert resumed.cancel_requested
        assert metadata.finish_job(job.id, "you", JobStatus.CANCELLED, None, None)
        ended = metadata.request_cancel(job.id)
        assert ended is not None
        assert ended.status is JobStatus.CANCELLED
