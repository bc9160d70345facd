"""What every metadata store must do, written against the ports alone.

A test module inherits ``MetadataContract`` and gives it the fixture ``harness``: ``open`` gives another handle on the same
store, as another process would have, set up and ready; ``place`` is what another process needs to open it.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from campaignctl.domain.campaigns import (
    BudgetPeriod,
    Campaign,
    CampaignDraft,
    CampaignStatus,
    LinkLevel,
    PlatformLink,
    name_key,
)
from campaignctl.domain.jobs import Job, JobKind, JobStatus
from campaignctl.domain.platforms import Platform
from campaignctl.domain.rates import Rate
from campaignctl.domain.users import Role, User, email_key
from campaignctl.errors import CampaignctlError
from campaignctl.ports.jobs import JobFilter, NewJob
from campaignctl.ports.membership import Joining, MemberChange, NewInvitation
from campaignctl.ports.metadata import (
    CampaignFacts,
    CampaignFilter,
    ClaimedNative,
    Credentials,
    HeldKey,
    IdempotencyScope,
    LoginBucket,
    MetadataStore,
    NativeClaim,
    NewUser,
    RateFilter,
    Refusal,
    Rotation,
    StoredAnswer,
)
from campaignctl.ports.reports import AccountKey, NativeCampaign

ROOT = Path(__file__).parents[2]
Result = TypeVar("Result")


class StillClock:
    """A clock that moves only when it is told to."""

    def __init__(self) -> None:
        self._now = datetime(2026, 10, 1, 12, 0, 0, 123_456, tzinfo=UTC)
        self._monotonic_s = 1_000.0

    def now(self) -> datetime:
        return self._now

    def monotonic_s(self) -> float:
        return self._monotonic_s

    def sleep(self, seconds: float, /) -> None:
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)
        self._monotonic_s += seconds

    def jump(self, seconds: float) -> None:
        """Set the time of day, as an operator or NTP would."""
        self._now += timedelta(seconds=seconds)


class Harness(Protocol):
    clock: StillClock
    kind: str
    place: str

    def open(self) -> MetadataStore: ...


def at_once(work: Sequence[Callable[[], Result]]) -> list[Result]:
    """Run each in a thread of its own, all let go at the same moment."""
    barrier = threading.Barrier(len(work))

    def run(one: Callable[[], Result]) -> Result:
        barrier.wait()
        return one()

    with ThreadPoolExecutor(len(work)) as pool:
        return list(pool.map(run, work))


def new_user(email: str, password_hash: str = "hash") -> NewUser:
    return NewUser(email, email_key(email), "Ada", Role.ADMIN, password_hash)


def second_admin(
    harness: Harness, metadata: MetadataStore, organization_id: int, email: str = "eve@example.com"
) -> User:
    """Another admin of the organization, by invitation."""
    later = harness.clock.now() + timedelta(days=7)
    metadata.invite(NewInvitation(organization_id, email, email_key(email), Role.ADMIN, f"inv {email}", later))
    user = metadata.join(f"inv {email}", Joining("Eve", "hash"))
    assert user is not None
    return user


def link(external_id: str, first: str | None = None, last: str | None = None, **changes: Any) -> PlatformLink:
    given = {
        "platform": Platform.META,
        "account_id": "act_1",
        "external_id": external_id,
        "valid_from": first and date.fromisoformat(first),
        "valid_to": last and date.fromisoformat(last),
    }
    return PlatformLink(**(given | changes))


SPELLINGS = (
    link("c1", account_id="act_123"),
    link("c2", "2026-01-01", account_id="123"),
    link("c3", account_id=" act_ "),
    PlatformLink(Platform.GOOGLE, "123-456-7890", "customers/12/campaigns/34"),
    PlatformLink(Platform.GOOGLE, "123 456 7890", "customers/12/campaigns/x"),
    PlatformLink(Platform.GOOGLE, "-1", "customers/x/campaigns/7"),
    PlatformLink(Platform.GOOGLE, "my account", "8"),
    PlatformLink(Platform.LINKEDIN, "urn:li:sponsoredAccount:5", "urn:li:sponsoredCampaign:6"),
    PlatformLink(Platform.LINKEDIN, "urn:li:sponsoredAccount:", "urn:li:sponsoredCampaign:6x"),
    PlatformLink(Platform.LINKEDIN, "5", "urn:li:sponsoredCampaignGroup:6", LinkLevel.CAMPAIGN_GROUP),
    PlatformLink(Platform.LINKEDIN, "5", "urn:li:sponsoredCampaign:6", LinkLevel.CAMPAIGN_GROUP),
    PlatformLink(Platform.TIKTOK, "act_7-0", "9"),
)
"""Ids as people write them, each claim another one."""

FULL_DRAFT = CampaignDraft(
    name="Zürich ß 100% _new_",
    platforms=(
        link("c1", "2026-01-01", "2026-03-31"),
        PlatformLink(Platform.LINKEDIN, "9", "77", LinkLevel.CAMPAIGN_GROUP),
        link("c1", "2026-05-01"),
    ),
    budget_micros=999_999_999_999_999_999,
    budget_period=BudgetPeriod.MONTHLY,
    currency="INR",
    timezone="Asia/Kolkata",
    start_date=date(2026, 1, 1),
    end_date=date(2026, 12, 31),
    status=CampaignStatus.PAUSED,
)


class MetadataContract:
    @pytest.fixture
    def metadata(self, harness: Harness) -> MetadataStore:
        return harness.open()

    @pytest.fixture
    def organization(self, metadata: MetadataStore) -> int:
        return metadata.ensure_organization("acme")

    def test_it_names_its_version(self, metadata: MetadataStore) -> None:
        name, _, version = metadata.server_version().partition(" ")
        assert name in ("SQLite", "PostgreSQL") and version[0].isdigit()

    # Organizations and users

    def test_an_organization_is_made_once(self, harness: Harness, metadata: MetadataStore) -> None:
        first, again, other = (metadata.ensure_organization(name) for name in ("acme", "acme", "other"))
        assert first == again != other
        assert [(known.id, known.name) for known in metadata.organizations()] == [(first, "acme"), (other, "other")]
        assert metadata.organizations()[0].created_at == harness.clock.now()

    def test_many_at_once_make_one_organization(self, harness: Harness, metadata: MetadataStore) -> None:
        handles = [metadata, harness.open()]
        made = at_once([lambda store=store: store.ensure_organization("acme") for store in handles * 8])
        assert len(set(made)) == 1

    def test_a_user_comes_back_as_registered(self, harness: Harness, metadata: MetadataStore) -> None:
        user = metadata.register(new_user("Ada@Example.com", "h1"), "Ada's")
        assert user is not None
        assert (user.email, user.name, user.role) == ("Ada@Example.com", "Ada", Role.ADMIN)
        assert user.created_at == harness.clock.now()
        assert metadata.user(user.id) == user
        assert metadata.credentials("ada@example.com") == Credentials(user.id, "h1") == metadata.credentials_of(user.id)
        assert [known.name for known in metadata.organizations() if known.id == user.organization_id] == ["Ada's"]

    def test_a_taken_address_makes_nothing(self, metadata: MetadataStore) -> None:
        assert not metadata.email_is_taken("ada@example.com")
        assert metadata.register(new_user("ada@example.com"), "first") is not None
        assert metadata.register(new_user("ADA@EXAMPLE.COM"), "second") is None
        assert metadata.email_is_taken("ada@example.com")
        assert [known.name for known in metadata.organizations()] == ["first"]

    def test_of_fifty_registrations_at_once_one_succeeds(self, harness: Harness, metadata: MetadataStore) -> None:
        spellings = ["ada@example.com", "ADA@example.com", "Ada@Example.COM", "ａda@example.com", "aDa@eXample.com"]
        handles = [metadata, harness.open()]
        made = at_once(
            [
                lambda store=handles[n % 2], email=spellings[n % 5]: store.register(new_user(email), "own")
                for n in range(50)
            ]
        )
        assert sum(user is not None for user in made) == 1
        assert len(metadata.organizations()) == 1

    def test_who_is_not_there(self, metadata: MetadataStore) -> None:
        for user_id in (0, -1, 7, 2**63 - 1, 2**63, 10**30):
            assert metadata.user(user_id) is None
            assert metadata.session(user_id) is None
        assert metadata.credentials("nobody@example.com") is None
        assert metadata.credentials_of(7) is None
        assert metadata.change_member_role(1, 7, Role.VIEWER) is MemberChange.MISSING

    def test_a_rehash_does_not_undo_a_new_password(self, metadata: MetadataStore) -> None:
        user = metadata.register(new_user("ada@example.com", "old"), "own")
        assert user is not None
        known = Credentials(user.id, "old")
        assert metadata.change_password(known, "new", None)
        metadata.rehash_password(known, "old, hashed again")
        assert not metadata.change_password(known, "newer", None)
        assert metadata.credentials_of(user.id) == Credentials(user.id, "new")
        metadata.rehash_password(Credentials(user.id, "new"), "new, hashed again")
        assert metadata.credentials_of(user.id) == Credentials(user.id, "new, hashed again")

    def test_secrets_are_made_once_and_differ(self, harness: Harness, metadata: MetadataStore) -> None:
        handles = [metadata, harness.open()]
        made = at_once([lambda store=store: store.installation_secret("cursors") for store in handles * 5])
        assert len(set(made)) == 1
        assert len(made[0]) >= 32
        assert metadata.installation_secret("other") != made[0]

    # Sessions

    @pytest.fixture
    def user_id(self, metadata: MetadataStore) -> int:
        user = metadata.register(new_user("ada@example.com", "h"), "own")
        assert user is not None
        return user.id

    def test_a_session_knows_its_user_as_of_now(self, harness: Harness, metadata: MetadataStore, user_id: int) -> None:
        session_id = metadata.open_session(user_id, "10.0.0.1", "t1", harness.clock.now() + timedelta(days=30))
        state = metadata.session(session_id)
        assert state is not None
        assert (state.user_id, state.role, state.revoked) == (user_id, Role.ADMIN, False)
        second_admin(harness, metadata, state.organization_id)
        assert metadata.change_member_role(state.organization_id, user_id, Role.VIEWER) is MemberChange.DONE
        metadata.end_session(session_id)
        assert metadata.session(session_id) == replace(state, role=Role.VIEWER, revoked=True)

    def test_refresh_tokens_rotate_and_their_reuse_ends_the_session(
        self, harness: Harness, metadata: MetadataStore, user_id: int
    ) -> None:
        later = harness.clock.now() + timedelta(days=30)
        session_id = metadata.open_session(user_id, "10.0.0.1", "t1", later)
        other_id = metadata.open_session(user_id, "10.0.0.1", "u1", later)
        first = metadata.rotate("t1", "t2", later)
        assert (first.rotation, first.user_id, first.session_id) == (Rotation.DONE, user_id, session_id)
        assert metadata.rotate("t2", "t3", later).rotation is Rotation.DONE
        reused = metadata.rotate("t1", "stolen", later)
        assert (reused.rotation, reused.session_id) == (Rotation.REUSED, session_id)
        for token in ("t3", "t2", "t1", "stolen", "unknown"):
            assert metadata.rotate(token, f"after {token}", later).rotation is Rotation.REFUSED
        state, other = metadata.session(session_id), metadata.session(other_id)
        assert state is not None
        assert other is not None
        assert (state.revoked, other.revoked) == (True, False)

    def test_of_many_rotations_at_once_one_is_done(
        self, harness: Harness, metadata: MetadataStore, user_id: int
    ) -> None:
        later = harness.clock.now() + timedelta(days=30)
        metadata.open_session(user_id, "10.0.0.1", "t1", later)
        outcomes = at_once([lambda n=n: metadata.rotate("t1", f"next {n}", later).rotation for n in range(10)])
        assert outcomes.count(Rotation.DONE) == 1
        assert Rotation.REUSED in outcomes

    def test_a_session_lives_on_with_its_newest_token(
        self, harness: Harness, metadata: MetadataStore, user_id: int
    ) -> None:
        clock = harness.clock
        metadata.open_session(user_id, "10.0.0.1", "t1", clock.now() + timedelta(days=30))
        clock.advance(29 * 86_400)
        assert metadata.rotate("t1", "t2", clock.now() + timedelta(days=30)).rotation is Rotation.DONE
        clock.advance(2 * 86_400)
        assert metadata.rotate("t2", "t3", clock.now() + timedelta(days=30)).rotation is Rotation.DONE
        clock.advance(30 * 86_400)
        assert metadata.rotate("t3", "t4", clock.now() + timedelta(days=30)).rotation is Rotation.REFUSED

    def test_an_expired_session_is_cleared_away(self, harness: Harness, metadata: MetadataStore, user_id: int) -> None:
        old = metadata.open_session(user_id, "10.0.0.1", "t1", harness.clock.now() + timedelta(days=1))
        harness.clock.advance(2 * 86_400)
        metadata.open_session(user_id, "10.0.0.1", "t2", harness.clock.now() + timedelta(days=1))
        assert metadata.session(old) is None

    def test_a_session_ends_by_its_token_or_with_the_password(
        self, harness: Harness, metadata: MetadataStore, user_id: int
    ) -> None:
        later = harness.clock.now() + timedelta(days=30)
        ids = [metadata.open_session(user_id, "10.0.0.1", f"t{n}", later) for n in range(4)]
        assert metadata.end_session_of_token("t0") == ids[0]
        assert metadata.end_session_of_token("unknown") is None
        assert metadata.change_password(Credentials(user_id, "h"), "new", ids[2])
        states = [metadata.session(session_id) for session_id in ids]
        assert [state.revoked for state in states if state] == [True, True, False, True]

    # Failed sign-ins

    def test_a_bucket_has_room_for_so_many_within_the_window(self, harness: Harness, metadata: MetadataStore) -> None:
        buckets = [LoginBucket("account:a", 3), LoginBucket("address:1", 4)]
        for n in range(3):
            assert metadata.login_wait_s(buckets, 60) == 0
            assert metadata.take_login_attempt(f"a{n}", buckets, 60) == 0
            harness.clock.advance(10)
        assert metadata.take_login_attempt("a3", buckets, 60) == metadata.login_wait_s(buckets, 60) == 30
        assert metadata.take_login_attempt("b0", [LoginBucket("account:b", 3), buckets[1]], 60) == 0
        assert metadata.take_login_attempt("b1", [LoginBucket("account:b", 3), buckets[1]], 60) == 30
        harness.clock.advance(30)
        assert metadata.take_login_attempt("a4", buckets, 60) == 0
        assert metadata.take_login_attempt("a5", buckets, 60) == 10

    def test_an_attempt_taken_back_leaves_room(self, metadata: MetadataStore) -> None:
        buckets = [LoginBucket("account:a", 1)]
        assert metadata.take_login_attempt("a0", buckets, 60) == 0
        assert metadata.take_login_attempt("a1", buckets, 60) == 60
        metadata.take_back_login_attempt("a0")
        assert metadata.take_login_attempt("a2", buckets, 60) == 0

    def test_attempts_at_once_do_not_slip_through(self, harness: Harness, metadata: MetadataStore) -> None:
        handles = [metadata, harness.open()]
        buckets = [LoginBucket("account:a", 10)]
        waits = at_once([lambda n=n: handles[n % 2].take_login_attempt(f"a{n}", buckets, 60) for n in range(30)])
        assert waits.count(0.0) == 10

    def test_a_clock_set_back_locks_nobody_out(self, harness: Harness, metadata: MetadataStore) -> None:
        buckets = [LoginBucket("account:a", 1)]
        assert metadata.take_login_attempt("a0", buckets, 60) == 0
        harness.clock.jump(-3_600)
        assert metadata.take_login_attempt("a1", buckets, 60) == 0
        harness.clock.jump(-30)
        assert metadata.login_wait_s(buckets, 60) == 60

    def test_an_account_is_known_where_it_was_signed_in(
        self, harness: Harness, metadata: MetadataStore, user_id: int
    ) -> None:
        assert not metadata.signed_in_before("ada@example.com", "10.0.0.1")
        metadata.open_session(user_id, "10.0.0.1", "t1", harness.clock.now() + timedelta(days=30))
        assert metadata.signed_in_before("ada@example.com", "10.0.0.1")
        assert not metadata.signed_in_before("ada@example.com", "10.0.0.2")
        assert not metadata.signed_in_before("bob@example.com", "10.0.0.1")

    # Campaigns

    def add(self, metadata: MetadataStore, organization: int, draft: CampaignDraft) -> Campaign:
        made = metadata.add_campaign(organization, draft)
        assert isinstance(made, Campaign)
        return made

    def test_a_campaign_comes_back_as_it_was_made(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        made = self.add(metadata, organization, FULL_DRAFT)
        assert metadata.campaign(made.id) == made
        assert (made.organization_id, made.version) == (organization, 1)
        assert made.created_at == made.updated_at == harness.clock.now()
        for name in CampaignDraft.__slots__:
            assert getattr(made, name) == getattr(FULL_DRAFT, name), name
        plain = self.add(metadata, organization, CampaignDraft("plain"))
        assert (plain.platforms, plain.budget_micros, plain.start_date, plain.currency) == ((), None, None, "USD")

    def test_ids_count_up_from_1(self, metadata: MetadataStore, organization: int) -> None:
        other = metadata.ensure_organization("other")
        made = [
            self.add(metadata, owner, CampaignDraft(f"c{n}")).id for n, owner in enumerate((organization, other) * 2)
        ]
        assert made == [1, 2, 3, 4]
        assert metadata.campaign_ids(organization) == [1, 3]
        assert metadata.campaign_ids(other) == [2, 4]
        assert metadata.campaign_ids(None) == made

    def test_campaigns_made_at_once_have_ids_of_their_own(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        handles = [metadata, harness.open()]
        made = at_once(
            [lambda n=n: self.add(handles[n % 2], organization, CampaignDraft(f"c{n}")).id for n in range(20)]
        )
        assert sorted(made) == list(range(1, 21))

    @pytest.mark.parametrize("campaign_id", [0, -1, 99, 2**63 - 1, 2**63, 10**40])
    def test_a_campaign_that_is_not_there(self, metadata: MetadataStore, campaign_id: int) -> None:
        assert metadata.campaign(campaign_id) is None
        assert metadata.campaign_facts([campaign_id]) == {}
        assert metadata.claim_for_events([campaign_id]) == {}
        metadata.bump_data_versions([campaign_id])

    def test_replacing_takes_the_expected_version_only(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        made = self.add(metadata, organization, FULL_DRAFT)
        harness.clock.advance(5)
        changed = metadata.replace_campaign(made.id, CampaignDraft("new", platforms=(link("c9"),)), 1)
        assert isinstance(changed, Campaign)
        assert (changed.name, changed.version, changed.budget_micros) == ("new", 2, None)
        assert (changed.created_at, changed.updated_at) == (made.created_at, harness.clock.now())
        assert changed.platforms == (link("c9"),)
        assert metadata.replace_campaign(made.id, FULL_DRAFT, 1) is Refusal.STALE
        assert metadata.campaign(made.id) == changed
        assert metadata.replace_campaign(99, FULL_DRAFT, 1) is Refusal.MISSING
        again = metadata.replace_campaign(made.id, FULL_DRAFT, None)
        assert isinstance(again, Campaign)
        assert again.version == 3

    def test_of_fifty_replacements_at_once_one_wins(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        made = self.add(metadata, organization, FULL_DRAFT)
        handles = [metadata, harness.open()]
        outcomes = at_once(
            [lambda n=n: handles[n % 2].replace_campaign(made.id, CampaignDraft(f"w{n}"), 1) for n in range(50)]
        )
        winners = [outcome for outcome in outcomes if isinstance(outcome, Campaign)]
        assert outcomes.count(Refusal.STALE) == 49
        assert [metadata.campaign(made.id)] == winners

    def test_currency_and_zone_stay_once_there_are_events(self, metadata: MetadataStore, organization: int) -> None:
        made = self.add(metadata, organization, CampaignDraft("c", currency="EUR", timezone="Europe/Paris"))
        assert isinstance(
            metadata.replace_campaign(made.id, CampaignDraft("c", currency="USD", timezone="UTC"), 1), Campaign
        )
        facts = metadata.claim_for_events([made.id])[made.id]
        assert (facts.currency, facts.timezone) == ("USD", "UTC")
        assert metadata.replace_campaign(made.id, CampaignDraft("c", currency="EUR"), 2) is Refusal.HAS_EVENTS
        assert metadata.replace_campaign(made.id, CampaignDraft("c", timezone="Asia/Tokyo"), None) is Refusal.HAS_EVENTS
        assert metadata.replace_campaign(made.id, CampaignDraft("c", currency="EUR"), 1) is Refusal.STALE
        assert isinstance(metadata.replace_campaign(made.id, CampaignDraft("renamed"), 2), Campaign)

    def test_what_events_were_told_never_changes(self, harness: Harness, metadata: MetadataStore) -> None:
        """The zone that ingestion was given, while it was changed at the same moment, is the one that stays."""
        organization = metadata.ensure_organization("acme")
        other = harness.open()
        for n in range(20):
            made = self.add(metadata, organization, CampaignDraft(f"c{n}", timezone="UTC"))
            tokyo = CampaignDraft(f"c{n}", timezone="Asia/Tokyo")
            told, _ = at_once(
                [
                    lambda id_=made.id: other.claim_for_events([id_])[id_].timezone,
                    lambda id_=made.id, draft=tokyo: metadata.replace_campaign(id_, draft, None),
                ]
            )
            stored = metadata.campaign(made.id)
            assert stored is not None
            assert stored.timezone == told

    def test_links_of_campaigns(self, metadata: MetadataStore, organization: int) -> None:
        made = metadata.add_campaign(organization, FULL_DRAFT)
        bare = metadata.add_campaign(organization, CampaignDraft("bare"))
        assert isinstance(made, Campaign)
        assert isinstance(bare, Campaign)
        other = metadata.add_campaign(organization, CampaignDraft("other", (link("c2"), link("c0"))))
        assert isinstance(other, Campaign)
        found = metadata.links_of([other.id, made.id, bare.id, 77, 2**70])
        assert found == {made.id: list(FULL_DRAFT.platforms), other.id: [link("c2"), link("c0")]}
        assert metadata.links_of([]) == {}

    def test_facts(self, metadata: MetadataStore, organization: int) -> None:
        made = self.add(metadata, organization, FULL_DRAFT)
        bare = self.add(metadata, organization, CampaignDraft("bare"))
        facts = metadata.campaign_facts([made.id, bare.id, 77, 2**70])
        assert set(facts) == {made.id, bare.id}
        assert facts[made.id].platforms == ("linkedin", "meta")
        assert facts[bare.id].platforms == ()
        assert (facts[made.id].timezone, facts[made.id].currency) == ("Asia/Kolkata", "INR")
        assert (facts[made.id].organization_id, facts[made.id].version) == (organization, 1)
        metadata.bump_data_versions([made.id, made.id])
        metadata.bump_data_versions({made.id, 77})
        after = metadata.campaign_facts([made.id, bare.id])
        for one in (made.id, bare.id, 77, 2**70):  # one is asked for in other words than several
            assert metadata.campaign_facts([one, one]) == ({one: after[one]} if one in after else {})
        assert after[made.id].data_version == facts[made.id].data_version + 2
        assert after[bare.id] == facts[bare.id]
        assert metadata.claim_for_events([made.id, bare.id]) == after
        assert metadata.campaign_facts([]) == {} == metadata.claim_for_events([])
        metadata.bump_data_versions([])
        assert isinstance(metadata.replace_campaign(made.id, FULL_DRAFT, 1), Campaign)  # looking marks nothing

    def test_facts_at_hand_are_those_of_now_or_none(self, metadata: MetadataStore, organization: int) -> None:
        made = self.add(metadata, organization, CampaignDraft("c"))
        assert metadata.facts_at_hand(made.id) is None  # nobody has read them

        def read() -> CampaignFacts:
            facts = metadata.campaign_facts([made.id])[made.id]
            assert metadata.facts_at_hand(made.id) in (facts, None)
            return facts

        before = read()
        metadata.bump_data_versions([made.id])
        assert metadata.facts_at_hand(made.id) != before  # none, or those that were read again meanwhile
        landed = read()
        assert landed.data_version == before.data_version + 1
        metadata.put_rates(organization, [Rate(date(2026, 1, 1), "EUR", "USD", Decimal(1))])
        assert metadata.facts_at_hand(made.id) != landed
        rated = read()
        assert isinstance(metadata.replace_campaign(made.id, CampaignDraft("d"), None), Campaign)
        assert metadata.facts_at_hand(made.id) != rated
        assert read().version == landed.version + 1
        assert metadata.facts_at_hand(77) is None and metadata.facts_at_hand(2**70) is None

    @pytest.mark.parametrize("write", ["landed", "changed", "rates", "erased"])
    def test_facts_at_hand_hide_a_write_of_another_process_for_half_a_second_at_most(
        self, harness: Harness, metadata: MetadataStore, organization: int, write: str
    ) -> None:
        other, made = harness.open(), self.add(metadata, organization, CampaignDraft("c"))
        before = metadata.campaign_facts([made.id])[made.id]
        assert metadata.facts_at_hand(made.id) in (before, None)
        {
            "landed": lambda: other.bump_data_versions([made.id]),
            "changed": lambda: other.replace_campaign(made.id, CampaignDraft("d"), None),
            "rates": lambda: other.put_rates(organization, [Rate(date(2026, 1, 1), "EUR", "USD", Decimal(1))]),
            "erased": lambda: other.erase_campaign(made.id, None),
        }[write]()
        written_s = time.monotonic()
        after = other.campaign_facts([made.id]).get(made.id)
        assert after != before
        shown = set[bool]()
        while (asked_s := time.monotonic()) < written_s + 1.5:
            found = metadata.facts_at_hand(made.id)
            assert found in (before, after, None)
            if found == before:  # however long the machine takes for anything; who erases waits for that half second
                assert write != "erased" and asked_s <= written_s + 0.5 and True not in shown
            shown.add(found is not None and found == after)
            time.sleep(0.005)
        assert metadata.campaign_facts([made.id]).get(made.id) == after
        assert metadata.facts_at_hand(made.id) in (after, None)

    @pytest.mark.parametrize("told", ["by id", "in a list"])
    def test_facts_at_hand_are_no_older_than_the_end_of_a_job_that_was_told(
        self, harness: Harness, metadata: MetadataStore, organization: int, told: str
    ) -> None:
        other, made = harness.open(), self.add(metadata, organization, CampaignDraft("c"))
        job = metadata.add_job(NewJob(JobKind.FETCH, organization, {}, campaign_id=made.id))
        assert isinstance(job, Job)
        before = metadata.campaign_facts([made.id])[made.id]
        assert metadata.facts_at_hand(made.id) in (before, None)
        assert other.claim_job([JobKind.FETCH], "worker", 60.0) is not None
        other.bump_data_versions([made.id])
        assert other.finish_job(job.id, "worker", JobStatus.SUCCEEDED, {}, None)
        found = metadata.job(job.id) if told == "by id" else metadata.list_jobs(JobFilter(organization), None, 1)[0]
        assert found is not None and found.status is JobStatus.SUCCEEDED
        assert metadata.facts_at_hand(made.id) != before

    def test_facts_at_hand_are_no_older_than_those_that_were_read(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        """By this store, in whatever way, while another process writes as fast as it can."""
        other, made = harness.open(), self.add(metadata, organization, CampaignDraft("c"))
        ways: list[Callable[[], CampaignFacts | None]] = [
            lambda: metadata.campaign_facts([made.id])[made.id],
            lambda: metadata.facts_of_chosen(CampaignFilter(organization))[made.id],
            lambda: metadata.facts_at_hand(made.id),
            lambda: metadata.campaign_facts([made.id, 77])[made.id],
        ]
        newest, lock, wrong = [0], threading.Lock(), list[str]()

        def read(place: int) -> None:
            for turn in range(60):
                with lock:
                    least = newest[0]
                found = ways[(place + turn) % len(ways)]()
                if found is not None:
                    with lock:
                        newest[0] = max(newest[0], found.data_version)
                    if found.data_version < least:
                        wrong.append(f"{found.data_version} after {least}, way {(place + turn) % len(ways)}")

        def write() -> None:
            for _ in range(60):
                other.bump_data_versions([made.id])

        at_once([write, *(lambda place=place: read(place) for place in range(4))])
        assert wrong == []

    def test_facts_of_chosen_campaigns_are_those_of_the_listed(
        self, metadata: MetadataStore, organization: int
    ) -> None:
        self.add(metadata, organization, FULL_DRAFT)
        self.add(metadata, organization, CampaignDraft("50% off_", status=CampaignStatus.PAUSED))
        self.add(metadata, organization, CampaignDraft("50 Off!", platforms=(link("c2"), link("c0"))))
        self.add(metadata, metadata.ensure_organization("other"), CampaignDraft("50% off"))
        for owner in (None, organization, 99):
            for chosen in ({}, {"status": "paused"}, {"platform": "meta"}, {"text": "50% O"}, {"text": "f_"},
                           {"text": "OFF!", "status": "active"}, {"text": "absent"}):  # fmt: skip
                wanted = CampaignFilter(owner, **chosen)
                listed = [one.id for one in metadata.list_campaigns(wanted, 0, 100)]
                found = metadata.facts_of_chosen(wanted)
                assert list(found) == listed
                assert found == metadata.campaign_facts(listed)

    def test_facts_tell_when_rates_change(self, metadata: MetadataStore, organization: int) -> None:
        made = self.add(metadata, organization, CampaignDraft("c"))
        before = metadata.campaign_facts([made.id])[made.id]
        metadata.put_rates(organization, [Rate(date(2026, 1, 1), "EUR", "USD", Decimal(1))])
        after = metadata.campaign_facts([made.id])[made.id]
        version, _ = metadata.rates_between(organization, "USD", date.max, date.min)
        assert before.rates_version < after.rates_version == version

    @pytest.mark.parametrize(
        ("first", "second", "overlap"),
        [
            ((None, None), (None, None), True),
            (("2026-01-01", "2026-01-31"), ("2026-01-31", None), True),
            (("2026-01-01", "2026-01-31"), ("2026-02-01", None), False),
            (("2026-02-01", None), (None, "2026-01-31"), False),
            (("2026-02-01", None), (None, "2026-02-01"), True),
            (("0001-01-01", "0001-01-01"), (None, None), True),
        ],
    )
    def test_a_native_campaign_has_one_campaign_a_day(
        self,
        metadata: MetadataStore,
        organization: int,
        first: tuple[str | None, str | None],
        second: tuple[str | None, str | None],
        overlap: bool,
    ) -> None:
        owner = self.add(metadata, organization, CampaignDraft("owner", platforms=(link("c1", *first),)))
        draft = CampaignDraft("second", platforms=(link("c0"), link("c1", *second)))
        outcome = metadata.add_campaign(organization, draft)
        if not overlap:
            assert isinstance(outcome, Campaign)
            return
        assert outcome == NativeClaim(link("c1", *second), owner.id, "owner")
        assert metadata.campaign_ids(organization) == [owner.id]
        # Nothing of the refused campaign is left: what it claimed besides is free.
        free = self.add(metadata, organization, CampaignDraft("free", platforms=(link("c0"),)))
        assert metadata.replace_campaign(free.id, draft, 1) == NativeClaim(link("c1", *second), owner.id, "owner")
        assert metadata.campaign(free.id) == free
        assert isinstance(
            metadata.replace_campaign(owner.id, CampaignDraft("owner", platforms=(link("c1"),)), 1), Campaign
        )

    def test_claims_differ_by_platform_account_and_organization(
        self, metadata: MetadataStore, organization: int
    ) -> None:
        self.add(metadata, organization, CampaignDraft("a", platforms=(link("c1"),)))
        for changes in ({"platform": Platform.GOOGLE}, {"account_id": "act_2"}, {"external_id": "C1"}):
            other = PlatformLink(**({"platform": Platform.META, "account_id": "act_1", "external_id": "c1"} | changes))
            self.add(metadata, organization, CampaignDraft("b", platforms=(other,)))
        self.add(metadata, metadata.ensure_organization("other"), CampaignDraft("c", platforms=(link("c1"),)))

    def test_claims_are_compared_by_key(self, metadata: MetadataStore, organization: int) -> None:
        group = PlatformLink(Platform.LINKEDIN, "urn:li:sponsoredAccount:9", "7", LinkLevel.CAMPAIGN_GROUP)
        links = (link("c1"), group, PlatformLink(Platform.GOOGLE, "123-456-7890", "customers/1/campaigns/5"))
        owner = self.add(metadata, organization, CampaignDraft("owner", platforms=links))
        assert owner.platforms == links
        for other in (
            link("c1", account_id="1"),
            PlatformLink(Platform.LINKEDIN, "9", "urn:li:sponsoredCampaignGroup:7", LinkLevel.CAMPAIGN_GROUP),
            PlatformLink(Platform.GOOGLE, "1234567890", "5"),
        ):
            draft = CampaignDraft("second", platforms=(other,))
            assert metadata.add_campaign(organization, draft) == NativeClaim(other, owner.id, "owner")
        self.add(
            metadata, organization, CampaignDraft("campaign", platforms=(replace(group, level=LinkLevel.CAMPAIGN),))
        )

    def test_who_claims_native_campaigns(self, metadata: MetadataStore, organization: int) -> None:
        def native(*names: str, of: int = organization) -> NativeCampaign:
            return NativeCampaign(of, *names)

        group = PlatformLink(Platform.LINKEDIN, "9", "7", LinkLevel.CAMPAIGN_GROUP)
        first = self.add(metadata, organization, CampaignDraft("a", platforms=(link("c1"), link("c2", "2026-02-01"))))
        second = self.add(metadata, organization, CampaignDraft("b", platforms=(link("c2", None, "2026-01-31"), group)))
        for natives, claiming in (
            ([], set()),
            ([native("meta", "1", "campaign", "c1")], {first.id}),
            ([native("meta", "1", "campaign", "c2")], {first.id, second.id}),
            ([native("meta", "1", "campaign", "c3"), native("meta", "act_1", "campaign", "c1")], set()),
            ([native("meta", "1", "campaign", "")], {first.id, second.id}),
            ([native("linkedin", "9", "campaign", "")], set()),
            ([native("linkedin", "9", "campaign_group", "")], {second.id}),
            ([native("meta", "1", "campaign", "", of=organization + 1)], set()),
        ):
            assert metadata.campaigns_claiming(natives) == claiming
        metadata.replace_campaign(first.id, CampaignDraft("a"), None)
        assert metadata.campaigns_claiming([native("meta", "1", "campaign", "")]) == {second.id}

    def test_the_claims_of_an_account(self, metadata: MetadataStore, organization: int) -> None:
        first = self.add(metadata, organization, CampaignDraft("a", platforms=(link("c1", "2026-02-01"), link("c2"))))
        second = self.add(metadata, organization, CampaignDraft("b", platforms=(link("c1", None, "2026-01-31"),)))
        assert metadata.claims_of_account(AccountKey(organization, "meta", "1")) == [
            ClaimedNative(first.id, LinkLevel.CAMPAIGN, "c2", date.min, date.max),
            ClaimedNative(first.id, LinkLevel.CAMPAIGN, "c1", date(2026, 2, 1), date.max),
            ClaimedNative(second.id, LinkLevel.CAMPAIGN, "c1", date.min, date(2026, 1, 31)),
        ]
        assert metadata.claims_of_account(AccountKey(organization, "meta", "act_1")) == []
        assert metadata.claims_of_account(AccountKey(organization + 1, "meta", "1")) == []

    def test_of_many_claims_at_once_one_wins(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        handles = [metadata, harness.open()]
        draft = CampaignDraft("c", platforms=(link("c1"),))
        outcomes = at_once([lambda n=n: handles[n % 2].add_campaign(organization, draft) for n in range(20)])
        assert sum(isinstance(outcome, Campaign) for outcome in outcomes) == 1

    def test_listing(self, metadata: MetadataStore, organization: int) -> None:
        other = metadata.ensure_organization("other")
        names = ["Straße 1", "100% Öl", "a_b", "axb", "ÖL Sommer", "!wow"]
        made = [self.add(metadata, organization, CampaignDraft(name)) for name in names]
        paused = self.add(metadata, organization, replace(FULL_DRAFT, name="paused"))
        foreign = self.add(metadata, other, CampaignDraft("foreign"))

        def found(after_id: int = 0, limit: int = 99, **wanted: Any) -> list[str]:
            filters = CampaignFilter(**({"organization_id": organization} | wanted))
            return [campaign.name for campaign in metadata.list_campaigns(filters, after_id, limit)]

        assert found() == [*names, "paused"]
        assert found(organization_id=None) == [*names, "paused", "foreign"]
        assert found(organization_id=other) == ["foreign"]
        assert found(limit=2) == names[:2]
        assert found(after_id=made[1].id, limit=2) == names[2:4]
        assert found(after_id=foreign.id) == []
        assert found(status="paused") == ["paused"]
        assert found(platform="linkedin") == ["paused"] == found(platform="meta")
        assert found(platform="tiktok") == []
        assert found(text="STRASSE") == ["Straße 1"]
        assert found(text="öl") == ["100% Öl", "ÖL Sommer"]
        assert found(text="%") == ["100% Öl"]
        assert found(text="a_b") == ["a_b"]
        assert found(text="!") == ["!wow"]
        assert found(text="PAUSED", status="active") == []
        assert metadata.list_campaigns(CampaignFilter(organization, text="paused"), 0, 9) == [paused]
        assert name_key("STRASSE") == name_key("straße")

    # Rates

    def test_rates_are_exact_and_replaced_by_day_and_pair(self, metadata: MetadataStore, organization: int) -> None:
        day = date(2026, 10, 1)
        tiny, large = Decimal("0.000000000000000001"), Decimal("999999999.999999999999999999")
        metadata.put_rates(organization, [Rate(day, "EUR", "USD", tiny), Rate(day, "INR", "USD", large)])
        version, rates = metadata.rates_between(organization, "USD", day, day)
        assert rates == [Rate(day, "EUR", "USD", tiny), Rate(day, "INR", "USD", large)]
        metadata.put_rates(organization, [Rate(day, "EUR", "USD", Decimal(1)), Rate(day, "EUR", "USD", Decimal("1.5"))])
        newer, rates = metadata.rates_between(organization, "USD", day, day)
        assert newer > version
        assert rates[0].rate == Decimal("1.5")
        assert [rate.currency for rate in rates] == ["EUR", "INR"]
        assert metadata.rates_between(organization, "EUR", day, day) == (newer, [])
        assert metadata.rates_between(metadata.ensure_organization("other"), "USD", day, day) == (0, [])

    def test_rates_between_days(self, metadata: MetadataStore, organization: int) -> None:
        days = [date(2026, 10, n) for n in (1, 2, 3)]
        metadata.put_rates(
            organization, [Rate(day, code, "USD", Decimal(2)) for day in days for code in ("INR", "EUR")]
        )
        _, rates = metadata.rates_between(organization, "USD", days[0], days[1])
        assert [(rate.currency, rate.day.day) for rate in rates] == [("EUR", 1), ("EUR", 2), ("INR", 1), ("INR", 2)]

    def test_letters_that_were_replayed(self, harness: Harness, metadata: MetadataStore) -> None:
        first = harness.clock.now()
        metadata.mark_replayed("topic", [(0, 1), (0, 5), (1, 1), (0, 5)], 7)
        harness.clock.advance(60)
        metadata.mark_replayed("topic", [(0, 5)], 8)
        metadata.mark_replayed("topic", [], 9)
        assert metadata.replayed_letters("topic", 0, 0, 9) == {1: first, 5: harness.clock.now()}
        assert metadata.replayed_letters("topic", 0, 2, 5) == metadata.replayed_letters("other", 0, 0, 9) == {}
        metadata.forget_replayed("topic", 0, 5)
        assert set(metadata.replayed_letters("topic", 0, 0, 9)) == {5}
        assert set(metadata.replayed_letters("topic", 1, 0, 9)) == {1}
        metadata.forget_replayed("made anew", 0, 0)
        assert metadata.replayed_letters("topic", 1, 0, 9) == {}

    def test_rates_of_nobody(self, metadata: MetadataStore) -> None:
        with pytest.raises(CampaignctlError):
            metadata.put_rates(99, [Rate(date(2026, 10, 1), "EUR", "USD", Decimal(1))])

    def test_listing_rates(self, metadata: MetadataStore, organization: int) -> None:
        rates = [
            Rate(date(2026, 10, day), currency, base, Decimal(day))
            for day in (1, 2)
            for currency in ("EUR", "INR")
            for base in ("GBP", "USD")
        ]
        metadata.put_rates(organization, rates[::-1])
        assert metadata.list_rates(organization, RateFilter(), None, 99) == rates
        assert metadata.list_rates(organization, RateFilter(), None, 3) == rates[:3]
        place = (rates[2].day, rates[2].currency, rates[2].base)
        assert metadata.list_rates(organization, RateFilter(), place, 3) == rates[3:6]
        wanted = RateFilter(currency="EUR", base="USD", first=date(2026, 10, 2), last=date(2026, 10, 2))
        assert metadata.list_rates(organization, wanted, None, 9) == [rates[5]]
        assert metadata.list_rates(metadata.ensure_organization("other"), RateFilter(), None, 9) == []

    # Idempotency keys

    SCOPE = IdempotencyScope(1, 2, "key")
    ANSWER = StoredAnswer(201, (("Location", "/api/v1/campaigns/1"), ("ETag", '"x"')), b'{"id": 1}\x00\xff')

    def test_a_key_is_held_then_answered(self, metadata: MetadataStore) -> None:
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) is None
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) == HeldKey("f1", None)
        assert metadata.claim_key(self.SCOPE, "f2", 60, 86_400) == HeldKey("f1", None)
        metadata.keep_answer(self.SCOPE, self.ANSWER)
        metadata.keep_answer(self.SCOPE, replace(self.ANSWER, status=500))
        metadata.release_key(self.SCOPE)
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) == HeldKey("f1", self.ANSWER)
        for other in (IdempotencyScope(1, 3, "key"), IdempotencyScope(2, 2, "key"), IdempotencyScope(1, 2, "Key")):
            assert metadata.claim_key(other, "f1", 60, 86_400) is None

    def test_a_released_key_is_free(self, metadata: MetadataStore) -> None:
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) is None
        metadata.release_key(self.SCOPE)
        assert metadata.claim_key(self.SCOPE, "f2", 60, 86_400) is None

    def test_the_key_of_a_dead_request_passes_to_an_equal_one(self, harness: Harness, metadata: MetadataStore) -> None:
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) is None
        harness.clock.advance(59)
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) == HeldKey("f1", None)
        harness.clock.advance(1)
        assert metadata.claim_key(self.SCOPE, "f2", 60, 86_400) == HeldKey("f1", None)
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) is None
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) == HeldKey("f1", None)

    def test_an_answer_is_forgotten_in_time(self, harness: Harness, metadata: MetadataStore) -> None:
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) is None
        metadata.keep_answer(self.SCOPE, self.ANSWER)
        harness.clock.advance(86_399)
        assert metadata.claim_key(self.SCOPE, "f1", 60, 86_400) == HeldKey("f1", self.ANSWER)
        harness.clock.advance(1)
        assert metadata.claim_key(self.SCOPE, "f2", 60, 86_400) is None

    def test_of_fifty_claims_at_once_one_has_the_key(self, harness: Harness, metadata: MetadataStore) -> None:
        handles = [metadata, harness.open()]
        outcomes = at_once([lambda n=n: handles[n % 2].claim_key(self.SCOPE, "f", 60, 86_400) for n in range(50)])
        assert outcomes.count(None) == 1

    # Processes

    def test_what_another_process_was_told_is_kept_survives_its_death(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        """A process makes campaigns, says each id when it is made, and is killed in the middle of it."""
        process = self.start(harness, "make_campaigns", str(organization))
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(25)]
        process.kill()
        told += [json.loads(line) for line in process.stdout.read().splitlines() if line.endswith(b"}")]
        process.wait(10)
        process.stdout.close()
        kept = {campaign_id: metadata.campaign(campaign_id) for campaign_id in metadata.campaign_ids(organization)}
        for one in told:
            campaign = kept[one["id"]]
            assert campaign is not None
            assert (campaign.name, len(campaign.platforms)) == (one["name"], 3)
        assert len(kept) <= len(told) + 1
        assert all(campaign and len(campaign.platforms) == 3 for campaign in kept.values())
        assert self.add(metadata, organization, CampaignDraft("next")).id == max(kept) + 1

    def test_processes_compete_as_threads_do(self, harness: Harness, metadata: MetadataStore) -> None:
        processes = [self.start(harness, "register", "Ada@example.com") for _ in range(4)]
        outcomes = [json.loads(process.communicate(timeout=60)[0]) for process in processes]
        assert [outcome["registered"] for outcome in outcomes].count(True) == 1
        assert len(metadata.organizations()) == 1

    def start(self, harness: Harness, task: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [
            sys.executable,
            "-m",
            "tests.contracts.metadata_process",
            harness.kind,
            harness.place,
            task,
            *arguments,
        ]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)
