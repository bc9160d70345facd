"""Sealing ad-platform credentials: AES-256-GCM under a ring of keys, bound to the account they belong to.

A sealed text names the key it was made with, so that old ones stay readable while all are sealed anew. Organization,
platform and account are authenticated along with it: a text moved to another account does not open.
"""

import base64
import hashlib
import json
import os
from collections.abc import Mapping, Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from campaignctl.errors import CampaignctlError

_VERSION = "v1"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_PURPOSE = b"campaignctl ad-platform credentials 1"


class UnreadableCredentials(CampaignctlError):
    """No key of the ring opens the text, or it was damaged, or it belongs to another account."""

    code = "credentials_unreadable"


class CredentialVault:
    """``keys``: the first seals, all of them open. Each is a long secret text."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise ValueError("a vault needs a key")
        self._ring = {_name_of(key): AESGCM(_derived(key)) for key in keys}
        self._current = _name_of(keys[0])

    def seal(self, credentials: Mapping[str, str], owner: tuple[int, str, str]) -> str:
        """``owner``: organization, platform and account key."""
        nonce = os.urandom(_NONCE_BYTES)
        plain = json.dumps(dict(credentials), sort_keys=True).encode()
        sealed = self._ring[self._current].encrypt(nonce, plain, _bound_to(owner))
        return ".".join((_VERSION, self._current, base64.urlsafe_b64encode(nonce + sealed).decode()))

    def open(self, text: str, owner: tuple[int, str, str]) -> dict[str, str]:
        """The credentials; ``UnreadableCredentials`` when they cannot be had. No error says anything of them."""
        try:
            version, name, body = text.split(".")
            raw = base64.b64decode(body.encode("ascii"), altchars=b"-_", validate=True)
            if version != _VERSION:
                raise ValueError
            plain = self._ring[name].decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], _bound_to(owner))
        except (ValueError, KeyError, InvalidTag):
            raise UnreadableCredentials(
                "the account's credentials cannot be opened with the configured keys",
                hint="put the key they were sealed with into secrets.previous_keys, or give new credentials",
            ) from None
        opened: dict[str, str] = json.loads(plain)
        return opened

    def is_current(self, text: str) -> bool:
        """Whether the text was sealed with the first key."""
        return text.startswith(f"{_VERSION}.{self._current}.")


def _derived(key: str) -> bytes:
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=_PURPOSE).derive(key.encode())


def _name_of(key: str) -> str:
    """Tells keys apart without telling what they are."""
    return hashlib.blake2b(_derived(key), digest_size=6, person=b"key name").hexdigest()


def _bound_to(owner: tuple[int, str, str]) -> bytes:
    return json.dumps(owner).encode()
