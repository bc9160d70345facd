"""Keys of the installation: configured, or made once where everything is one machine's own."""

import hashlib
from typing import TYPE_CHECKING

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.errors import ConfigurationError

if TYPE_CHECKING:
    from campaignctl.config import Settings


def jwt_key_of(settings: "Settings") -> str:
    return _kept_secret(settings, "jwt.key", settings.jwt.key.get_secret_value())


def secrets_key_of(settings: "Settings") -> str:
    return _kept_secret(settings, "secrets.key", settings.secrets.key.get_secret_value())


def missing_secrets(settings: "Settings") -> list[str]:
    """The keys without which the stores are refused: set nowhere, and not to be made here."""
    if settings.embedded_metadata:
        return []
    given = {"jwt.key": settings.jwt.key, "secrets.key": settings.secrets.key}
    return [key for key, value in given.items() if not value.get_secret_value()]


def variable_of(key: str) -> str:
    return "CA_" + key.replace(".", "_").upper()


def _kept_secret(settings: "Settings", key: str, configured: str) -> str:
    """The configured value; where everything is one machine's own, one that is made once."""
    if configured:
        return configured
    if not settings.embedded_metadata:
        raise ConfigurationError(
            f"{key} must be set when postgres.host names a server: every process has to use the same one",
            hint=f"make one with: openssl rand -base64 48, and set {variable_of(key)}",
        )
    return DataDirectory(settings.data_dir).secret(key, 48)


def installation_of(settings: "Settings") -> str:
    """Tells installations apart that share a Redis: each counts its campaigns up from 1. Those of one share a key."""
    return hashlib.blake2b(jwt_key_of(settings).encode(), digest_size=8, person=b"cache").hexdigest()


def places_key_of(settings: "Settings") -> bytes:
    """Hides events' ids in a Redis that remembers where they have landed; all workers of an installation share it."""
    return hashlib.blake2b(jwt_key_of(settings).encode(), digest_size=32, person=b"places").digest()
