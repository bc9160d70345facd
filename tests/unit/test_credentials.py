"""Credentials at rest: sealed, bound to their account, readable while keys change."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.services.credentials import CredentialVault, UnreadableCredentials

OLD, NEW = "an old key " + "x1" * 20, "a new key " + "y2" * 20
OWNER = (1, "meta", "77")
CREDENTIALS = {"access_token": "s3cret", "client_id": "ä"}


def test_what_is_sealed_opens_and_tells_nothing() -> None:
    vault = CredentialVault([NEW])
    sealed = vault.seal(CREDENTIALS, OWNER)
    assert vault.open(sealed, OWNER) == CREDENTIALS
    assert "s3cret" not in sealed
    assert vault.seal(CREDENTIALS, OWNER) != sealed


@pytest.mark.parametrize("owner", [(2, "meta", "77"), (1, "google", "77"), (1, "meta", "78")])
def test_a_text_moved_to_another_account_does_not_open(owner: tuple[int, str, str]) -> None:
    vault = CredentialVault([NEW])
    with pytest.raises(UnreadableCredentials):
        vault.open(vault.seal(CREDENTIALS, OWNER), owner)


@given(st.data())
def test_no_changed_byte_goes_unnoticed(data: st.DataObject) -> None:
    vault = CredentialVault([NEW])
    sealed = vault.seal(CREDENTIALS, OWNER)
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters(min_codepoint=32, max_codepoint=126).filter(lambda found: found != sealed[at]))
    changed = sealed[:at] + other + sealed[at + 1 :]
    try:
        opened = vault.open(changed, OWNER)
    except UnreadableCredentials as error:
        assert "s3cret" not in str(error)
    else:  # the last character of base64 has bits that stand for nothing
        assert opened == CREDENTIALS


def test_an_earlier_key_opens_and_a_forgotten_one_does_not() -> None:
    sealed = CredentialVault([OLD]).seal(CREDENTIALS, OWNER)
    ring = CredentialVault([NEW, OLD])
    assert ring.open(sealed, OWNER) == CREDENTIALS
    assert not ring.is_current(sealed)
    assert ring.is_current(ring.seal(CREDENTIALS, OWNER))
    with pytest.raises(UnreadableCredentials):
        CredentialVault([NEW]).open(sealed, OWNER)


@pytest.mark.parametrize("text", ["", "v1", "v1.a.b", "v2.x.y", "v1..", "no-sealed-text-" * 3])
def test_what_is_no_sealed_text_is_refused(text: str) -> None:
    with pytest.raises(UnreadableCredentials):
        CredentialVault([NEW]).open(text, OWNER)
