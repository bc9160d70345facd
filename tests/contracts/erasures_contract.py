"""What every store of erasures must do, written against the port alone; ``harness`` is ``metadata_contract``'s."""

from dataclasses import replace

import pytest

from campaignctl.domain.campaigns import Campaign, CampaignDraft, LinkLevel, PlatformLink
from campaignctl.domain.erased_events import EventErasure, event_digest
from campaignctl.domain.jobs import Job, JobError, JobKind, JobStatus
from campaignctl.domain.platforms import Platform
from campaignctl.ports.jobs import JobFilter, LeaseState, NewJob
from campaignctl.ports.metadata import IdempotencyScope, MetadataStore, StoredAnswer
from tests.contracts.metadata_contract import Harness, at_once

LINK = PlatformLink(Platform.META, "act_1", "77", LinkLevel.CAMPAIGN)


class ErasuresContract:
    @pytest.fixture
    def metadata(self, harness: Harness) -> MetadataStore:
        return harness.open()

    @pytest.fixture
    def organization(self, metadata: MetadataStore) -> int:
        return metadata.ensure_organization("Ads")

    def made(self, metadata: MetadataStore, organization: int, name: str = "Spring") -> Campaign:
        draft = replace(CampaignDraft(name=name), platforms=(LINK,))
        campaign = metadata.add_campaign(organization, draft)
        assert isinstance(campaign, Campaign)
        return campaign

    def test_an_erased_campaign_is_as_if_it_never_was(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        campaign = self.made(metadata, organization)
        assert metadata.claim_for_events([campaign.id])
        assert metadata.erased_campaigns() == {}
        job = metadata.erase_campaign(campaign.id, 3)
        assert job is not None
        assert (job.kind, job.campaign_id, job.status) == (JobKind.ERASE, campaign.id, JobStatus.QUEUED)
        assert (job.organization_id, job.created_by) == (organization, 3)
        assert metadata.campaign(campaign.id) is None
        assert metadata.campaign_ids(None) == []
        assert metadata.campaign_facts([campaign.id]) == metadata.claim_for_events([campaign.id]) == {}
        assert metadata.links_of([campaign.id]) == {}
        assert metadata.erased_campaigns() == harness.open().erased_campaigns() == {campaign.id: harness.clock.now()}
        assert metadata.erase_campaign(campaign.id, 3) is None

    def test_its_claims_are_free_and_its_id_is_not(self, metadata: MetadataStore, organization: int) -> None:
        campaign = self.made(metadata, organization)
        metadata.erase_campaign(campaign.id, None)
        assert self.made(metadata, organization, "Next").id > campaign.id

    def test_its_jobs_go_and_those_of_others_stay(self, metadata: MetadataStore, organization: int) -> None:
        campaign = self.made(metadata, organization)
        jobs = [
            metadata.add_job(NewJob(JobKind.REAGGREGATE, organization, {}, campaign_id=number))
            for number in (campaign.id, campaign.id + 1)
        ]
        claimed = metadata.claim_job([JobKind.REAGGREGATE], "me", 30.0)
        assert claimed == jobs[0] or isinstance(claimed, Job)
        erasing = metadata.erase_campaign(campaign.id, None)
        assert erasing is not None
        assert claimed is not None
        assert metadata.renew_job(claimed.id, "me", 30.0) is LeaseState.LOST
        assert [job.id for job in metadata.list_jobs(JobFilter(campaign_id=campaign.id), None, 10)] == [erasing.id]
        assert len(metadata.list_jobs(JobFilter(campaign_id=campaign.id + 1), None, 10)) == 1

    def test_no_kept_answer_shows_it(self, metadata: MetadataStore, organization: int) -> None:
        campaign, others = self.made(metadata, organization), range(10, 12)
        scopes = {number: IdempotencyScope(organization, 1, f"key {number}") for number in (campaign.id, *others)}
        for number, scope in scopes.items():
            assert metadata.claim_key(scope, "body", 60, 3_600) is None
            headers = (("location", f"/api/v1/campaigns/{number}"),)
            metadata.keep_answer(scope, StoredAnswer(201, headers, b"{}"))
        metadata.erase_campaign(campaign.id, None)
        kept = {number: metadata.claim_key(scope, "body", 60, 3_600) for number, scope in scopes.items()}
        assert [number for number, held in kept.items() if held is None] == [campaign.id]

    def test_a_failed_erasure_is_begun_again(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        campaign = self.made(metadata, organization)
        job = metadata.erase_campaign(campaign.id, None)
        assert job is not None
        native = {"platform": "meta", "account_id": "1", "level": "campaign", "native_id": "77"}
        assert job.params == {"native_campaigns": [native]}
        assert metadata.erasing() == {campaign.id}
        assert metadata.erase_campaign_again(campaign.id, None, 3, only_failed=True) is None
        assert metadata.erase_campaign_again(campaign.id, None, 3, only_failed=False) == job
        metadata.claim_job([JobKind.ERASE], "me", 30.0)
        metadata.finish_job(job.id, "me", JobStatus.FAILED, None, JobError("gave_up", "too often"))
        assert metadata.erasing() == set()
        assert metadata.erase_campaign_again(campaign.id, organization + 1, 3, only_failed=True) is None
        stores = [metadata, harness.open(), harness.open()]
        done = at_once(
            [
                lambda store=store: store.erase_campaign_again(campaign.id, organization, 3, only_failed=True)
                for store in stores
            ]
        )
        assert sum(one is not None for one in done) == 1
        (again,) = (one for one in done if one is not None)
        assert (again.params, again.created_by, again.status) == (job.params, 3, JobStatus.QUEUED)
        metadata.claim_job([JobKind.ERASE], "me", 30.0)
        metadata.finish_job(again.id, "me", JobStatus.SUCCEEDED, {}, None)
        assert metadata.erase_campaign_again(campaign.id, None, 3, only_failed=True) is None
        assert metadata.erase_campaign_again(campaign.id, None, 3, only_failed=False) is not None
        assert metadata.erase_campaign_again(campaign.id + 1, None, 3, only_failed=False) is None
        assert metadata.erase_campaign_again(10**30, None, 3, only_failed=False) is None

    def test_erased_events_are_known_by_their_digests(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        campaign = self.made(metadata, organization)
        digests = [event_digest(campaign.id, event_id) for event_id in ("a", "b", "a")]
        assert metadata.erased_events() == {}
        job = metadata.erase_events(campaign.id, digests, "asked for", 3)
        assert job is not None
        assert (job.kind, job.status, job.organization_id) == (JobKind.ERASE_EVENTS, JobStatus.QUEUED, organization)
        assert (job.params, job.created_by) == ({"event_ids": 2, "reason": "asked for"}, 3)
        first = EventErasure(campaign.id, frozenset(digests), harness.clock.now())
        assert metadata.erased_events() == harness.open().erased_events() == {job.id: first}
        other = metadata.erase_events(campaign.id, digests[:1], "", None)
        assert other is not None
        assert list(metadata.erased_events()) == [job.id, other.id]
        assert list(metadata.erased_events({job.id})) == [other.id]
        metadata.erase_campaign(campaign.id, None)
        assert metadata.erased_events() == {}
        assert metadata.erase_events(campaign.id, digests, "", None) is None

    @pytest.mark.parametrize("campaign_id", [0, 5, 2**63, 10**30])
    def test_what_is_not_there_cannot_be_erased(self, metadata: MetadataStore, campaign_id: int) -> None:
        assert metadata.erase_campaign(campaign_id, None) is None
        assert metadata.erased_campaigns() == {}

    def test_of_several_at_once_one_erases(self, harness: Harness, metadata: MetadataStore, organization: int) -> None:
        campaign = self.made(metadata, organization)
        stores = [metadata, harness.open(), harness.open()]
        done = at_once([lambda store=store: store.erase_campaign(campaign.id, None) for store in stores])
        assert sum(job is not None for job in done) == 1
        assert len(metadata.list_jobs(JobFilter(kind=JobKind.ERASE), None, 10)) == 1
