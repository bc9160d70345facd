"""Credentials that a platform replaces, beside keys that change and people who give new ones: the right one stays."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.accounts import AccountDraft, PlatformAccount
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor
from campaignctl.ports.accounts import SealedCredentials
from campaignctl.ports.ad_platforms import AccountAccess
from campaignctl.services.accounts import AccountService, SealedAnew
from campaignctl.services.credentials import CredentialVault
from campaignctl.services.schema import SchemaService

OLD, NEW, NEWEST = ("a key " + name * 8 for name in ("old-x1", "new-y2", "newest-z3"))


class Interrupted(SQLiteMetadata):
    """Lets something happen between a look at credentials and what comes of it."""

    meanwhile: Callable[[], object] | None = None

    def credentials_of_account(self, account_id: int, /) -> SealedCredentials | None:
        found = super().credentials_of_account(account_id)
        if (then := self.meanwhile) is not None:
            self.meanwhile = None
            then()
        return found


@dataclass
class Place:
    metadata: Interrupted

    def service(self, *ring: str) -> AccountService:
        return AccountService(self.metadata, CredentialVault(ring), {}, SystemClock())

    def connected(self, service: AccountService, token: str = "first", account_id: str = "510") -> PlatformAccount:
        return service.add(_draft(token, account_id), Actor.machine_operator())


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    store = Interrupted(tmp_path / "metadata.sqlite", SystemClock())
    SchemaService([store]).apply(wait_s=10)
    store.ensure_organization("acme")
    yield Place(store)
    store.close()


def _draft(token: str, account_id: str = "510") -> AccountDraft:
    return AccountDraft(Platform.LINKEDIN, account_id, credentials=_credentials(token))


def _credentials(token: str) -> dict[str, str]:
    return {"client_id": "app", "client_secret": "s", "refresh_token": token}


def _replaced(account: PlatformAccount, token: str) -> AccountAccess:
    credentials = _credentials(token)
    return AccountAccess("linkedin", account.account_id, credentials, organization_id=account.organization_id)


def _stored(service: AccountService, account: PlatformAccount) -> str:
    return service.access(account).credentials["refresh_token"]


def test_a_token_that_is_replaced_while_the_key_changes_is_kept(place: Place) -> None:
    old, new = place.service(OLD, NEW), place.service(NEW, OLD)
    account = place.connected(old)
    place.metadata.meanwhile = new.seal_anew
    old.keep_credentials(_replaced(account, "second"), "first")
    assert _stored(new, account) == "second"
    place.metadata.meanwhile = lambda: new.keep_credentials(_replaced(account, "third"), "second")
    assert new.seal_anew().count == 0  # the platform's new token was sealed with the new key already
    assert _stored(place.service(NEW), account) == "third"


def test_what_an_old_process_seals_meanwhile_is_sealed_anew_too(place: Place) -> None:
    old, new = place.service(OLD, NEW), place.service(NEW, OLD)
    account = place.connected(old)
    place.metadata.meanwhile = lambda: old.keep_credentials(_replaced(account, "second"), "first")
    assert new.seal_anew() == SealedAnew(1, ())
    assert _stored(place.service(NEW), account) == "second"


def test_credentials_that_somebody_gave_meanwhile_stay(place: Place) -> None:
    service = place.service(NEW)
    account = place.connected(service)
    service.replace(account.id, _draft("given"), Actor.machine_operator())
    service.keep_credentials(_replaced(account, "second"), "first")
    assert _stored(service, account) == "given"
    place.metadata.meanwhile = lambda: service.replace(account.id, _draft("other"), Actor.machine_operator())
    service.keep_credentials(_replaced(account, "third"), "given")
    assert _stored(service, account) == "other"


def test_a_token_is_kept_by_a_process_that_does_not_know_the_new_key_yet(place: Place) -> None:
    old, new = place.service(OLD), place.service(NEW, OLD)
    account = place.connected(old)
    new.seal_anew()
    old.keep_credentials(_replaced(account, "second"), "first")
    assert _stored(new, account) == "second"


def test_an_account_that_is_gone_keeps_nothing(place: Place) -> None:
    service = place.service(NEW)
    account = place.connected(service)
    place.metadata.meanwhile = lambda: service.remove(account.id, Actor.machine_operator())
    service.keep_credentials(_replaced(account, "second"), "first")
    service.keep_credentials(_replaced(account, "third"), "second")
    assert place.metadata.credentials_of_account(account.id) is None


def test_one_account_that_no_key_opens_keeps_no_other_from_being_sealed_anew(place: Place) -> None:
    lost = place.connected(place.service(NEWEST), account_id="1")
    account = place.connected(place.service(OLD), account_id="2")
    assert place.service(NEW, OLD).seal_anew() == SealedAnew(1, (lost.id,))
    assert _stored(place.service(NEW), account) == "first"
