"""What every metadata store must do for members, invitations, API keys and the audit log, against the port alone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from campaignctl.domain.api_keys import Scope
from campaignctl.domain.audit import AuditEntry, AuditFilter
from campaignctl.domain.users import Role, User, email_key
from campaignctl.ports.membership import Joining, MemberChange, NewApiKey, NewInvitation
from campaignctl.ports.metadata import Credentials, MetadataStore
from tests.contracts.metadata_contract import Harness, at_once, new_user, second_admin

WEEK = timedelta(days=7)


class MembershipContract:
    @pytest.fixture
    def metadata(self, harness: Harness) -> MetadataStore:
        return harness.open()

    @pytest.fixture
    def ada(self, metadata: MetadataStore) -> User:
        user = metadata.register(new_user("ada@example.com"), "acme")
        assert user is not None
        return user

    # Members

    def test_members_are_listed_by_organization(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        stranger = metadata.register(new_user("bob@example.com"), "other")
        eve = second_admin(harness, metadata, ada.organization_id)
        assert metadata.members(ada.organization_id, 0, 10) == [ada, eve]
        assert metadata.members(ada.organization_id, ada.id, 10) == [eve]
        assert metadata.members(None, 0, 2) == [ada, stranger]

    def test_the_last_admin_stays(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        mine = ada.organization_id
        assert metadata.change_member_role(mine, ada.id, Role.VIEWER) is MemberChange.LAST_ADMIN
        assert metadata.remove_member(mine, ada.id) is MemberChange.LAST_ADMIN
        assert metadata.change_member_role(mine, ada.id, Role.ADMIN) is MemberChange.DONE
        eve = second_admin(harness, metadata, mine)
        assert metadata.change_member_role(mine, ada.id, Role.ANALYST) is MemberChange.DONE
        assert metadata.remove_member(mine, eve.id) is MemberChange.LAST_ADMIN
        assert metadata.remove_member(mine, ada.id) is MemberChange.DONE
        assert metadata.user(ada.id) is None

    def test_of_two_admins_who_leave_at_once_one_stays(
        self, harness: Harness, metadata: MetadataStore, ada: User
    ) -> None:
        eve = second_admin(harness, metadata, ada.organization_id)
        stores = [metadata, harness.open()]
        outcomes = at_once(
            [
                lambda store=store, user=user: store.remove_member(user.organization_id, user.id)
                for store, user in zip(stores, (ada, eve), strict=True)
            ]
        )
        assert sorted(outcome.value for outcome in outcomes) == ["done", "last_admin"]

    def test_another_organizations_member_is_missing(self, metadata: MetadataStore, ada: User) -> None:
        for user_id in (ada.id, 0, -1, 2**63, 999):
            assert metadata.change_member_role(ada.organization_id + 1, user_id, Role.VIEWER) is MemberChange.MISSING
            assert metadata.remove_member(ada.organization_id + 1, user_id) is MemberChange.MISSING
        assert metadata.user(ada.id) == ada

    def test_a_removed_members_sessions_end_and_the_address_is_free(
        self, harness: Harness, metadata: MetadataStore, ada: User
    ) -> None:
        second_admin(harness, metadata, ada.organization_id)
        session_id = metadata.open_session(ada.id, "10.0.0.1", "t", harness.clock.now() + WEEK)
        assert metadata.remove_member(ada.organization_id, ada.id) is MemberChange.DONE
        assert metadata.session(session_id) is None
        again = metadata.register(new_user("ada@example.com"), "new")
        assert again is not None
        assert again.id != ada.id

    # Invitations

    def _invite(self, harness: Harness, metadata: MetadataStore, ada: User, token: str, email: str = "B@x.org") -> None:
        later = harness.clock.now() + WEEK
        metadata.invite(NewInvitation(ada.organization_id, email, email_key(email), Role.ANALYST, token, later))

    def test_an_invitation_is_accepted_once(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        self._invite(harness, metadata, ada, "token")
        found = metadata.invitation("token")
        assert found is not None
        assert (found.email, found.role, found.organization_id) == ("B@x.org", Role.ANALYST, ada.organization_id)
        stores = [metadata, harness.open()]
        joined = at_once([lambda store=store: store.join("token", Joining("Bob", "hash")) for store in stores * 5])
        (bob,) = [user for user in joined if user is not None]
        assert (bob.email, bob.name, bob.role) == ("B@x.org", "Bob", Role.ANALYST)
        assert metadata.credentials("b@x.org") == Credentials(bob.id, "hash")
        assert metadata.invitation("token") is None

    def test_a_new_invitation_voids_the_earlier_one(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        self._invite(harness, metadata, ada, "first")
        self._invite(harness, metadata, ada, "other", "c@x.org")
        self._invite(harness, metadata, ada, "second", "b@X.org")
        assert metadata.invitation("first") is None
        assert metadata.invitation("second") is not None
        assert metadata.invitation("other") is not None
        assert metadata.join("first", Joining("", "hash")) is None

    def test_an_invitation_expires(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        self._invite(harness, metadata, ada, "token")
        harness.clock.advance(WEEK.total_seconds())
        assert metadata.invitation("token") is None
        assert metadata.join("token", Joining("", "hash")) is None

    def test_an_address_taken_meanwhile_leaves_the_invitation(
        self, harness: Harness, metadata: MetadataStore, ada: User
    ) -> None:
        self._invite(harness, metadata, ada, "token")
        assert metadata.register(new_user("b@x.org"), "own") is not None
        assert metadata.join("token", Joining("", "hash")) is None
        assert metadata.invitation("token") is not None

    # Forgotten passwords

    def test_a_reset_works_once_and_ends_sessions(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        later = harness.clock.now() + WEEK
        session_id = metadata.open_session(ada.id, "10.0.0.1", "t", later)
        metadata.add_password_reset(ada.id, "old", later)
        metadata.add_password_reset(ada.id, "token", later)
        assert metadata.password_reset("old") is None
        target = metadata.password_reset("token")
        assert target is not None
        assert (target.user_id, target.email) == (ada.id, "ada@example.com")
        outcomes = at_once([lambda: metadata.reset_password("token", "new hash") for _ in range(5)])
        assert sorted(outcomes) == [False] * 4 + [True]
        assert metadata.credentials_of(ada.id) == Credentials(ada.id, "new hash")
        state = metadata.session(session_id)
        assert state is not None
        assert state.revoked

    def test_a_reset_expires(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        metadata.add_password_reset(ada.id, "token", harness.clock.now() + timedelta(hours=1))
        harness.clock.advance(3_600)
        assert metadata.password_reset("token") is None
        assert not metadata.reset_password("token", "new hash")
        assert metadata.credentials_of(ada.id) == Credentials(ada.id, "hash")

    # API keys

    def test_keys_are_found_by_their_hash_until_removed(
        self, harness: Harness, metadata: MetadataStore, ada: User
    ) -> None:
        end = harness.clock.now() + WEEK
        new = NewApiKey(ada.organization_id, "ünï", "cak_1", "hash", (Scope.READ, Scope.INGEST), end)
        key = metadata.add_api_key(new)
        assert (key.name, key.prefix, key.scopes, key.expires_at) == ("ünï", "cak_1", new.scopes, end)
        assert (key.created_at, key.last_used_at) == (harness.clock.now(), None)
        assert metadata.find_api_key("hash") == metadata.api_key(key.id) == key
        other = metadata.add_api_key(replace(new, key_hash="other", expires_at=None))
        assert metadata.api_keys(ada.organization_id, 0, 10) == [key, other]
        assert metadata.api_keys(None, key.id, 10) == [other]
        assert metadata.api_keys(ada.organization_id + 1, 0, 10) == []
        assert metadata.remove_api_key(key.id)
        assert not metadata.remove_api_key(key.id)
        assert metadata.find_api_key("hash") is None

    def test_a_use_is_remembered(self, harness: Harness, metadata: MetadataStore, ada: User) -> None:
        key = metadata.add_api_key(NewApiKey(ada.organization_id, "k", "cak_1", "hash", (Scope.READ,), None))
        harness.clock.advance(60)
        metadata.touch_api_key(key.id)
        used = metadata.api_key(key.id)
        assert used is not None
        assert used.last_used_at == harness.clock.now()
        for key_id in (0, -1, 2**63, 10**30):
            assert metadata.api_key(key_id) is None

    # Audit

    def test_entries_come_newest_first_through_filters(self, metadata: MetadataStore) -> None:
        start = datetime(2026, 10, 1, tzinfo=UTC)
        for number in range(6):
            metadata.add_audit_entry(
                AuditEntry(
                    at=start + timedelta(hours=number),
                    organization_id=1 + number % 2,
                    actor=f"user:{number % 3}",
                    actor_name=f"u{number}@example.com",
                    action="createCampaign" if number % 2 else "putRates",
                    object=f"campaigns/{number}",
                    address="::1",
                    request_id="r",
                    details={"ä": "ü"},
                )
            )

        def numbers(before_id: int = 0, limit: int = 10, **wanted: object) -> list[int]:
            found = metadata.audit_entries(AuditFilter(**wanted), before_id, limit)  # type: ignore[arg-type]
            return [int(entry.object.removeprefix("campaigns/")) for entry in found]

        assert numbers() == [5, 4, 3, 2, 1, 0]
        newest = metadata.audit_entries(AuditFilter(), 0, 1)[0]
        assert newest.details == {"ä": "ü"}
        assert newest.at == start + timedelta(hours=5)
        assert numbers(newest.id, 2) == [4, 3]
        assert numbers(organization_id=1) == [4, 2, 0]
        assert numbers(since=start + timedelta(hours=2), until=start + timedelta(hours=4)) == [3, 2]
        assert numbers(actor="user:1") == [4, 1]
        assert numbers(actor="u3@example.com") == [3]
        assert numbers(action="putRates", organization_id=2) == []

    def test_what_the_operator_of_the_machine_did_belongs_to_no_organization(self, metadata: MetadataStore) -> None:
        at = datetime(2026, 10, 1, tzinfo=UTC)
        metadata.add_audit_entry(AuditEntry(at, None, "operator", "", "putRates", "x", "", "r"))
        assert metadata.audit_entries(AuditFilter(organization_id=1), 0, 10) == []
        (entry,) = metadata.audit_entries(AuditFilter(), 0, 10)
        assert entry.organization_id is None
