"""Accounts on ad platforms: connecting them, checking what they may do, and speaking for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from campaignctl.domain.accounts import AccountDraft, PlatformAccount
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import (
    Conflict,
    InvalidInput,
    NotFound,
    PlatformAnswerInvalid,
    PlatformForbidden,
    PlatformRejected,
    PlatformSignInExpired,
    PlatformThrottled,
    PlatformUnavailable,
    Unavailable,
)
from campaignctl.ports.accounts import AccountStore, ToldFacts
from campaignctl.ports.ad_platforms import AccountAccess, AdPlatform
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import OrganizationStore, SecretStore
from campaignctl.services.credentials import CredentialVault, UnreadableCredentials
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit
from campaignctl.services.tenancy import organization_of

_ROTATED_AT_ONCE = 200
_ASK_AGAIN_S = 30.0


class AccountKeeping(AccountStore, OrganizationStore, SecretStore, Protocol):
    """What the account service needs of the metadata store."""


class AccountState(StrEnum):
    """What a look at an account found."""

    OK = "ok"
    NO_CREDENTIALS = "no_credentials"
    EXPIRED = "expired"
    """The credentials do not hold: somebody has to sign in to the platform again."""
    FORBIDDEN = "forbidden"
    """They hold, and lack a permission."""
    REJECTED = "rejected"
    """The platform answered, but not as it should for an account of this id."""


@dataclass(frozen=True, slots=True)
class Verification:
    """What the platform says of an account and its credentials."""

    account: PlatformAccount
    state: AccountState
    missing_permissions: tuple[str, ...] = ()
    message: str = ""


@dataclass(frozen=True, slots=True)
class SealedAnew:
    """What became of credentials that were not under the current key."""

    count: int
    """Those that are by now."""
    unreadable: tuple[int, ...]
    """Accounts whose credentials no key opens."""


class AccountService:
    """What an actor may do with accounts. Another organization's account does not exist for the actor.

    ``platforms`` is asked for a client when one is needed. Nothing here ever answers a credential.
    """

    def __init__(
        self,
        metadata: AccountKeeping,
        vault: CredentialVault,
        platforms: Mapping[Platform, AdPlatform],
        clock: Clock,
    ) -> None:
        self._metadata = metadata
        self._vault = vault
        self._platforms = platforms
        self._clock = clock
        self._cursors = Cursors("accounts", lambda: metadata.installation_secret("cursors"))

    def add(self, draft: AccountDraft, actor: Actor) -> PlatformAccount:
        """The new account. ``Forbidden`` below operator, ``Conflict`` when the organization has it already."""
        actor.require(Role.OPERATOR)
        organization_id = organization_of(actor, self._metadata)
        sealed = self._sealed(draft, organization_id)
        account = self._metadata.add_account(organization_id, draft, sealed or "")
        if account is None:
            raise Conflict(
                f"the organization has {draft.platform.value} account {draft.account_id} already",
                hint="change it with PUT /api/v1/accounts/{id}",
                code="account_taken",
            )
        return account

    def get(self, account_id: int, actor: Actor) -> PlatformAccount:
        account = self._metadata.account(account_id)
        if account is None or not actor.sees(account.organization_id):
            raise _missing(account_id)
        return account

    def list(self, actor: Actor, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None) -> Page[PlatformAccount]:
        checked_limit(limit)
        filters = {"organization": actor.organization_id}
        after_id = 0 if cursor is None else int(self._cursors.decode(cursor, filters)[0])
        found = self._metadata.list_accounts(actor.organization_id, after_id, limit + 1)
        return self._cursors.page(found, limit, lambda account: (account.id,), filters)

    def replace(self, account_id: int, draft: AccountDraft, actor: Actor) -> PlatformAccount:
        """The account with another name, zone, currency, and other credentials where some are given."""
        account = self.get(account_id, actor)
        actor.require(Role.OPERATOR)
        if (draft.platform, draft.key) != (account.platform, account.key):
            raise InvalidInput.of("account_id", "cannot change: platform and account_id say which account it is")
        replaced = self._metadata.replace_account(account_id, draft, self._sealed(draft, account.organization_id))
        if replaced is None:
            raise _missing(account_id)
        return replaced

    def remove(self, account_id: int, actor: Actor) -> None:
        """Forget the account and its credentials; what it reported stays."""
        self.get(account_id, actor)
        actor.require(Role.OPERATOR)
        if not self._metadata.remove_account(account_id):
            raise _missing(account_id)

    def verify(self, account_id: int, actor: Actor) -> Verification:
        """Ask the platform what the account is and what the credentials may do, and keep what it says.

        Raises ``Unavailable`` when it cannot be asked now.
        """
        account = self.get(account_id, actor)
        actor.require(Role.OPERATOR)
        if not account.has_credentials:
            return Verification(account, AccountState.NO_CREDENTIALS, message="give the account credentials first")
        try:
            facts = self._platforms[account.platform].account_facts(self.access(account))
        except PlatformSignInExpired as error:
            return Verification(account, AccountState.EXPIRED, message=error.message)
        except PlatformForbidden as error:
            return Verification(account, AccountState.FORBIDDEN, error.missing, error.message)
        except (PlatformUnavailable, PlatformThrottled) as error:
            retry_after_s = error.retry_after_s or _ASK_AGAIN_S
            name = account.platform.value
            raise Unavailable(error.message, service=name, retry_after_s=retry_after_s, code=error.code) from None
        except (PlatformRejected, PlatformAnswerInvalid) as error:
            return Verification(account, AccountState.REJECTED, message=error.message)
        self._metadata.keep_facts(account.id, ToldFacts(facts.name, facts.timezone, facts.currency, facts.expires_at))
        state = AccountState.FORBIDDEN if facts.missing_permissions else AccountState.OK
        return Verification(self.get(account_id, actor), state, facts.missing_permissions)

    def access(self, account: PlatformAccount) -> AccountAccess:
        """What a client needs to speak for the account. Raises ``PlatformSignInExpired`` without credentials."""
        kept = self._metadata.credentials_of_account(account.id)
        if kept is None or not kept.sealed:
            raise PlatformSignInExpired(
                f"{account.platform.value} account {account.account_id} has no credentials",
                platform=account.platform.value,
                account_id=account.account_id,
                hint=f"give it some: campaignctl accounts update {account.id}",
            )
        credentials = self._vault.open(kept.sealed, _owner(account))
        return AccountAccess(
            account.platform.value,
            account.account_id,
            credentials,
            conversion_actions=own_actions(self._metadata, account.id),
            organization_id=account.organization_id,
        )

    def keep_credentials(self, access: AccountAccess, instead_of: str) -> None:
        """Store what the platform has given in the place of the refresh token ``instead_of`` (``KeepCredentials``)."""
        if access.organization_id is None:
            return
        draft = AccountDraft(Platform(access.platform), access.account_id)
        account = self._metadata.find_account(access.organization_id, access.platform, draft.key)
        if account is None:
            return
        sealed = self._vault.seal(access.credentials, _owner(account))
        while (kept := self._metadata.credentials_of_account(account.id)) is not None:
            if self._holds_another(kept.sealed, account, instead_of):
                return
            # False: sealed with another key meanwhile, or replaced by somebody, which the next look tells
            if self._metadata.reseal_account(account.id, kept.sealed, sealed):
                return

    def stored_credentials(self, access: AccountAccess) -> Mapping[str, str]:
        """The account's credentials as they are stored now (``StoredCredentials``)."""
        if access.organization_id is None:
            return {}
        draft = AccountDraft(Platform(access.platform), access.account_id)
        account = self._metadata.find_account(access.organization_id, access.platform, draft.key)
        kept = None if account is None else self._metadata.credentials_of_account(account.id)
        if account is None or kept is None or not kept.sealed:
            return {}
        try:
            return self._vault.open(kept.sealed, _owner(account))
        except UnreadableCredentials:  # under a key this process does not know yet
            return {}

    def seal_anew(self) -> SealedAnew:
        """Seal every account's credentials with the current key.

        Safe while accounts are used and changed, also by processes that still seal with an earlier key. Credentials
        that no key opens keep nothing from being done to the others.
        """
        count, unreadable, after_id = 0, [], 0
        while accounts := self._metadata.list_accounts(None, after_id, _ROTATED_AT_ONCE):
            after_id = accounts[-1].id
            for account in accounts:
                try:
                    count += self._sealed_anew(account)
                except UnreadableCredentials:
                    unreadable.append(account.id)
        return SealedAnew(count, tuple(unreadable))

    def _sealed_anew(self, account: PlatformAccount) -> bool:
        """Whether the account's credentials were under an earlier key."""
        while True:
            kept = self._metadata.credentials_of_account(account.id)
            if kept is None or not kept.sealed or self._vault.is_current(kept.sealed):
                return False
            opened = self._vault.open(kept.sealed, _owner(account))
            if self._metadata.reseal_account(account.id, kept.sealed, self._vault.seal(opened, _owner(account))):
                return True

    def _holds_another(self, sealed: str, account: PlatformAccount, refresh_token: str) -> bool:
        try:
            opened = self._vault.open(sealed, _owner(account))
        except UnreadableCredentials:  # under a key this process does not know yet: the token must not be lost for that
            return False
        return opened.get("refresh_token", "") != refresh_token

    def ending_before(self, instant: datetime) -> Sequence[PlatformAccount]:
        """Accounts whose credentials end before then."""
        ending: Sequence[PlatformAccount] = ()
        after_id = 0
        while accounts := self._metadata.list_accounts(None, after_id, _ROTATED_AT_ONCE):
            after_id = accounts[-1].id
            ending = [*ending, *(one for one in accounts if one.expires_at is not None and one.expires_at < instant)]
        return ending

    def _sealed(self, draft: AccountDraft, organization_id: int) -> str | None:
        if draft.credentials is None:
            return None
        return self._vault.seal(draft.credentials, (organization_id, draft.platform.value, draft.key))


def own_actions(accounts: AccountStore, account_id: int) -> tuple[str, ...]:
    """What counts as a conversion in the account by its own list; none where it has none."""
    latest = accounts.chosen_definitions(account_id, 1)
    return latest[0].definition.actions if latest and latest[0].is_own else ()


def _owner(account: PlatformAccount) -> tuple[int, str, str]:
    return account.organization_id, account.platform.value, account.key


def _missing(account_id: int) -> NotFound:
    return NotFound(f"there is no account {account_id}")
