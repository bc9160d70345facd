"""What every metadata store must do for accounts on ad platforms and the platforms' answers, against the port alone."""

from dataclasses import replace
from datetime import timedelta

import pytest

from campaignctl.domain.accounts import AccountDraft
from campaignctl.domain.conversions import ChosenDefinition, Definition
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown
from campaignctl.errors import NotFound
from campaignctl.ports.accounts import AccountWatch, ClaimedNative, FetchWindow, KeptPage, ToldFacts
from campaignctl.ports.metadata import MetadataStore
from tests.contracts.metadata_contract import FULL_DRAFT, Harness, at_once

META = AccountDraft(Platform.META, "act_77", "Shop")


class AccountsContract:
    @pytest.fixture
    def metadata(self, harness: Harness) -> MetadataStore:
        return harness.open()

    @pytest.fixture
    def organization(self, metadata: MetadataStore) -> int:
        return metadata.ensure_organization("acme")

    @pytest.fixture
    def account_id(self, metadata: MetadataStore, organization: int) -> int:
        account = metadata.add_account(organization, META, "sealed")
        assert account is not None
        return account.id

    def test_an_account_is_there_once_by_its_key(
        self, harness: Harness, metadata: MetadataStore, organization: int
    ) -> None:
        stores = [metadata, harness.open()]
        spellings = ["act_77", "77", " 77 "]
        made = at_once(
            [
                lambda store=store, text=text: store.add_account(organization, replace(META, account_id=text), "s")
                for store in stores
                for text in spellings
            ]
        )
        (account,) = [one for one in made if one is not None]
        assert metadata.find_account(organization, "meta", "77") == account
        assert metadata.account(account.id) == account
        assert metadata.add_account(organization, AccountDraft(Platform.TIKTOK, "77"), "") is not None
        other = metadata.ensure_organization("other")
        assert metadata.add_account(other, META, "") is not None
        assert metadata.find_account(other, "meta", "78") is None
        assert [one.platform for one in metadata.list_accounts(organization, 0, 10)] == ["meta", "tiktok"]
        assert len(metadata.list_accounts(None, 0, 10)) == 3
        for missing in (0, -1, 2**63, 10**30):
            assert metadata.account(missing) is None

    def test_changes_keep_credentials_unless_given(self, metadata: MetadataStore, account_id: int) -> None:
        changed = metadata.replace_account(account_id, replace(META, name="New", timezone="Asia/Kolkata"), None)
        assert changed is not None
        assert (changed.name, changed.timezone, changed.has_credentials) == ("New", "Asia/Kolkata", True)
        kept = metadata.credentials_of_account(account_id)
        assert kept is not None
        assert kept.sealed == "sealed"
        assert metadata.replace_account(account_id, META, "other") is not None
        assert not metadata.reseal_account(account_id, "sealed", "third")
        assert metadata.reseal_account(account_id, "other", "third")
        assert metadata.replace_account(account_id + 1, META, None) is None
        assert metadata.remove_account(account_id)
        assert not metadata.remove_account(account_id)
        assert metadata.credentials_of_account(account_id) is None

    def test_facts_fill_in_and_new_credentials_forget_their_end(
        self, harness: Harness, metadata: MetadataStore, account_id: int
    ) -> None:
        ends = harness.clock.now() + timedelta(days=60)
        metadata.keep_facts(account_id, ToldFacts("Told", "Europe/Berlin", "EUR", ends))
        account = metadata.account(account_id)
        assert account is not None
        assert (account.name, account.timezone, account.currency) == ("Shop", "Europe/Berlin", "EUR")
        assert (account.expires_at, account.verified_at) == (ends, harness.clock.now())
        metadata.keep_facts(account_id, ToldFacts("", "", "", None))
        account = metadata.account(account_id)
        assert account is not None
        assert (account.timezone, account.currency, account.expires_at) == ("Europe/Berlin", "EUR", None)
        metadata.keep_facts(account_id, ToldFacts("", "", "", ends))
        changed = metadata.replace_account(account_id, META, "new")
        assert changed is not None
        assert changed.expires_at is None

    def test_one_fetch_at_a_time_holds_an_account(
        self, harness: Harness, metadata: MetadataStore, account_id: int
    ) -> None:
        assert metadata.hold_account(account_id, "job 1", 60)
        assert metadata.hold_account(account_id, "job 1", 60)
        assert not harness.open().hold_account(account_id, "job 2", 60)
        harness.clock.advance(60)
        assert metadata.hold_account(account_id, "job 2", 60)
        assert metadata.hold_account(account_id, "job 2", 0)
        assert metadata.hold_account(account_id, "job 3", 60)

    def test_how_accounts_are_doing(
        self, harness: Harness, metadata: MetadataStore, organization: int, account_id: int
    ) -> None:
        assert metadata.add_account(organization, AccountDraft(Platform.TIKTOK, "1"), "") is not None
        connected = harness.clock.now()
        new = AccountWatch(account_id, "meta", False, connected, None, None)
        assert metadata.watched_accounts() == [new]
        claimed = metadata.add_account(organization, AccountDraft(Platform.LINKEDIN, "9"), "sealed")
        assert claimed is not None
        metadata.add_campaign(organization, FULL_DRAFT)
        early, late = connected + timedelta(minutes=1), connected + timedelta(minutes=2)
        for day, began in (("2026-10-01", late), ("2026-10-02", early)):
            window = FetchWindow(claimed.id, "campaign_group", Breakdown.TOTAL, day, day, "")
            metadata.complete_window(window, 1, began)
        ends = connected + timedelta(days=60)
        metadata.keep_facts(claimed.id, ToldFacts("", "", "", ends))
        used = AccountWatch(claimed.id, "linkedin", True, connected, ends, late)
        assert metadata.watched_accounts() == [new, used]
        assert harness.open().watched_accounts() == [new, used]

    def test_what_counts_as_a_conversion_is_what_was_chosen_last(
        self, harness: Harness, metadata: MetadataStore, account_id: int
    ) -> None:
        assert metadata.chosen_definitions(account_id, 5) == []
        assert metadata.actions_of_definition("meta-list-1") is None
        own, default = Definition("meta-list-1", ("lead", "käufe")), Definition("meta-1", ("a",))
        metadata.choose_definition(account_id, own, is_own=True)
        first = ChosenDefinition(own, True, harness.clock.now())
        assert harness.open().chosen_definitions(account_id, 5) == [first]
        metadata.choose_definition(account_id, default, is_own=False)
        second = ChosenDefinition(default, False, harness.clock.now())
        assert metadata.chosen_definitions(account_id, 5) == [second, first]
        assert metadata.chosen_definitions(account_id, 1) == [second]
        assert metadata.chosen_definitions(account_id + 1, 5) == []
        stores = [metadata, harness.open()]
        at_once([lambda s=store: s.choose_definition(account_id, own, is_own=True) for store in stores * 3])
        assert len(metadata.chosen_definitions(account_id, 20)) == 8
        assert metadata.remove_account(account_id)
        assert metadata.actions_of_definition("meta-list-1") == ("lead", "käufe")

    def test_a_due_account_is_claimed_by_one(
        self, harness: Harness, metadata: MetadataStore, organization: int, account_id: int
    ) -> None:
        bare = metadata.add_account(organization, AccountDraft(Platform.TIKTOK, "1"), "")
        assert bare is not None
        now = harness.clock.now()
        later = now + timedelta(minutes=30)
        stores = [metadata, harness.open()] * 3
        claimed = at_once([lambda s=store: list(s.claim_due_accounts("recent", now, later, 10)) for store in stores])
        assert sorted(claimed) == [[]] * 5 + [[account_id]]
        assert list(metadata.claim_due_accounts("whole", now, later, 10)) == [account_id]
        assert list(metadata.claim_due_accounts("recent", later, later, 10)) == [account_id]

    def test_claimed_natives_are_those_of_links(self, metadata: MetadataStore, organization: int) -> None:
        metadata.add_campaign(organization, FULL_DRAFT)
        assert metadata.claimed_natives(organization, "meta", "1") == [ClaimedNative("campaign", "c1")]
        assert metadata.claimed_natives(organization, "linkedin", "9") == [ClaimedNative("campaign_group", "77")]
        assert metadata.claimed_natives(organization + 1, "meta", "1") == []

    def test_pages_are_a_jobs_until_the_window_is_complete(
        self, harness: Harness, metadata: MetadataStore, account_id: int
    ) -> None:
        window = FetchWindow(account_id, "campaign", Breakdown.TOTAL, "2026-10-01", "2026-10-10", "")
        now = harness.clock.now()
        pages = [KeptPage(0, now, "1"), KeptPage(1, now, None)]
        for job_id in (1, 2):
            for page in pages:
                metadata.add_page(window, job_id, page, b"raw %d" % page.number * 1_000)
        metadata.add_page(window, 1, pages[0], b"again")
        assert metadata.pages_of(window, 1) == pages
        assert metadata.raw_page(window, 1, 0) == b"again"
        assert metadata.raw_page(window, 2, 1) == b"raw 1" * 1_000
        assert metadata.pages_of(replace(window, scope="x"), 1) == []
        assert not metadata.completed_since(window, now)
        metadata.complete_window(window, 2, now)
        assert metadata.completed_since(window, now)
        assert not metadata.completed_since(window, now + timedelta(microseconds=1))
        assert not metadata.completed_since(replace(window, breakdown=Breakdown.COUNTRY), now)
        assert metadata.pages_of(window, 1) == []
        assert metadata.completed_windows(account_id) == [(window, 2)]
        with pytest.raises(NotFound):
            metadata.raw_page(window, 1, 0)
        metadata.drop_pages(window, 2)
        assert metadata.pages_of(window, 2) == []

    def test_old_pages_go(self, harness: Harness, metadata: MetadataStore, account_id: int) -> None:
        window = FetchWindow(account_id, "campaign", Breakdown.TOTAL, "2026-10-01", "2026-10-10", "")
        now = harness.clock.now()
        metadata.add_page(window, 1, KeptPage(0, now, None), b"raw")
        metadata.complete_window(window, 1, now)
        assert metadata.forget_pages_before(now) == 0
        assert metadata.forget_pages_before(now + timedelta(seconds=1)) == 1
        assert metadata.pages_of(window, 1) == []
        assert metadata.completed_windows(account_id) == []
