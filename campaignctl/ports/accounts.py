"""What the metadata store keeps of accounts on ad platforms; part of the metadata store.

Credentials are sealed texts here: only ``services.credentials`` opens them. An account is identified within its
organization by platform and account key (``domain.platforms``).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from campaignctl.domain.accounts import AccountDraft, PlatformAccount
from campaignctl.domain.conversions import ChosenDefinition, Definition
from campaignctl.domain.reports import Breakdown


@dataclass(frozen=True, slots=True)
class SealedCredentials:
    """An account and what it is signed in with."""

    account: PlatformAccount
    sealed: str = field(repr=False)
    """"" when it has none."""


@dataclass(frozen=True, slots=True)
class ToldFacts:
    """What the platform said of an account."""

    name: str
    timezone: str
    currency: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class ClaimedNative:
    """A native campaign that some campaign claims, by keys."""

    level: str
    native_id: str


@dataclass(frozen=True, slots=True)
class AccountWatch:
    """How an account that has credentials is doing."""

    account_id: int
    platform: str
    is_claimed: bool
    """Some campaign claims a native campaign of it, so that it is fetched by itself."""
    connected_at: datetime
    expires_at: datetime | None
    """When its credentials end, as far as the platform has told."""
    fetched_at: datetime | None
    """When the fetch began that was the last to get one of its windows whole; None: none is remembered."""


class AccountStore(Protocol):
    def add_account(self, organization_id: int, draft: AccountDraft, sealed: str, /) -> PlatformAccount | None:
        """The new account; None when the organization has it already."""
        ...

    def account(self, account_id: int, /) -> PlatformAccount | None: ...

    def find_account(self, organization_id: int, platform: str, key: str, /) -> PlatformAccount | None: ...

    def list_accounts(self, organization_id: int | None, after_id: int, limit: int, /) -> list[PlatformAccount]:
        """Up to ``limit`` accounts of the organization (None: of all) with a larger id, ascending."""
        ...

    def replace_account(self, account_id: int, draft: AccountDraft, sealed: str | None, /) -> PlatformAccount | None:
        """Replace name, zone and currency, and with ``sealed`` the credentials; None when it is gone."""
        ...

    def remove_account(self, account_id: int, /) -> bool: ...

    def credentials_of_account(self, account_id: int, /) -> SealedCredentials | None: ...

    def reseal_account(self, account_id: int, known: str, sealed: str, /) -> bool:
        """Put ``sealed`` in the place of ``known``; False when the credentials are others by now."""
        ...

    def keep_facts(self, account_id: int, facts: ToldFacts, /) -> None:
        """What the platform said just now; an empty text leaves what is kept."""
        ...

    def hold_account(self, account_id: int, owner: str, seconds: float, /) -> bool:
        """Let nobody else fetch the account for so long; again, by the same owner, prolongs it. 0 lets go.

        False when another owner has it.
        """
        ...

    def claimed_natives(self, organization_id: int, platform: str, key: str, /) -> list[ClaimedNative]:
        """The native campaigns of the account that campaigns of the organization claim, on whatever days."""
        ...

    def chosen_definitions(self, account_id: int, limit: int, /) -> list[ChosenDefinition]:
        """What was chosen as a conversion in the account, the latest first: that one holds."""
        ...

    def choose_definition(self, account_id: int, definition: Definition, /, *, is_own: bool) -> None:
        """Let this hold from now on."""
        ...

    def actions_of_definition(self, version: str, /) -> tuple[str, ...] | None:
        """What a version adds up that was ever chosen for some account."""
        ...

    def watched_accounts(self) -> list[AccountWatch]:
        """Every account that has credentials, of all organizations, by id."""
        ...

    def claim_due_accounts(self, kind: str, now: datetime, next_at: datetime, limit: int, /) -> Sequence[int]:
        """Accounts whose fetch of the kind (``recent`` or ``whole``) is due at ``now``; each is due again
        at ``next_at``.

        Of several processes one gets an account. Accounts without credentials are never due.
        """
        ...


@dataclass(frozen=True, slots=True)
class FetchWindow:
    """The part of an account's reports that one report call asks for."""

    account_id: int
    level: str
    breakdown: Breakdown
    first_day: str
    last_day: str
    """Days are text here, YYYY-MM-DD."""
    scope: str
    """"" for all native campaigns, else the digest of those that were asked for."""


@dataclass(frozen=True, slots=True)
class KeptPage:
    """One page of a window as the platform sent it."""

    number: int
    """From 0, in the order in which they came."""
    fetched_at: datetime
    resume: str | None
    """None: it was the window's last."""


class PageStore(Protocol):
    """The platforms' answers, kept so that a fetch resumes where it stopped and figures can be derived again.

    A window is *complete* once ``complete_window`` was called; its pages then stand until the next fetch of the same
    window is complete, or until they are old.
    """

    def add_page(self, window: FetchWindow, job_id: int, page: KeptPage, raw: bytes, /) -> None:
        """Keep a page of a job's fetch of the window; the same number again replaces it."""
        ...

    def pages_of(self, window: FetchWindow, job_id: int, /) -> list[KeptPage]:
        """The pages that a job has kept of the window, by number."""
        ...

    def raw_page(self, window: FetchWindow, job_id: int, number: int, /) -> bytes:
        """One of them as it came; ``NotFound`` when it is gone."""
        ...

    def drop_pages(self, window: FetchWindow, job_id: int, /) -> None:
        """Forget what a job has kept of the window: it starts again."""
        ...

    def complete_window(self, window: FetchWindow, job_id: int, started_at: datetime, /) -> None:
        """The job has the whole window, begun at ``started_at``; pages that other jobs kept of it are forgotten."""
        ...

    def completed_since(self, window: FetchWindow, since: datetime, /) -> bool:
        """Whether somebody has fetched the whole window in a fetch that began at ``since`` or later."""
        ...

    def completed_windows(self, account_id: int, /) -> list[tuple[FetchWindow, int]]:
        """The account's complete windows and the jobs whose pages stand for them, oldest days first."""
        ...

    def forget_pages_before(self, instant: datetime, /) -> int:
        """Remove pages fetched before then; answers how many."""
        ...


class AccountRecords(AccountStore, PageStore, Protocol):
    """All of it."""
