"""Hashing passwords: Argon2id, a few at a time."""

import base64
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from campaignctl.domain.passwords import MAX_CODE_POINTS
from campaignctl.errors import Throttled

MEMORY_KIB, TIME_COST, PARALLELISM = 19_456, 2, 1
"""OWASP's least for Argon2id: 25 ms here; the library's default of 64 MiB, 3, 4 takes 130 ms."""
_HASH_BYTES, _SALT_BYTES = 32, 16
CONCURRENCY = 2
"""Hashes at a time, 19 MiB each. The GIL is released, so each takes a core."""
QUEUE = 32
"""Waiting ones, each holds a thread; the server has 40, so that some stay free for everybody else."""


class PasswordHashing:
    """One for the process: it bounds what all sign-ins together take of memory, cores and threads."""

    def __init__(self) -> None:
        self._hasher = PasswordHasher(TIME_COST, MEMORY_KIB, PARALLELISM, _HASH_BYTES, _SALT_BYTES)
        self._slots = threading.BoundedSemaphore(CONCURRENCY)
        self._inside = 0
        self._count = threading.Lock()
        # Verifying against this takes as long as against a real hash of today's parameters, and always fails.
        parameters = f"$argon2id$v=19$m={MEMORY_KIB},t={TIME_COST},p={PARALLELISM}"
        self._nobodys = f"{parameters}${_random_base64(_SALT_BYTES)}${_random_base64(_HASH_BYTES)}"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Wait for one's turn to hash; ``Throttled`` at once when too many wait already."""
        with self._count:
            if self._inside >= CONCURRENCY + QUEUE:
                raise Throttled("too many sign-ins at the same time", retry_after_s=1.0, hint="try again in a moment")
            self._inside += 1
        try:
            with self._slots:
                yield
        finally:
            with self._count:
                self._inside -= 1

    def hash(self, password: str) -> str:
        """Within a ``turn``."""
        return self._hasher.hash(_canonical(password))

    def verify(self, password_hash: str | None, password: str) -> bool:
        """Within a ``turn``. Without a hash (there is no such user) it takes the same time and answers False."""
        try:
            return self._hasher.verify(password_hash or self._nobodys, _canonical(password))
        except (VerificationError, InvalidHashError):
            return False

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)


def _canonical(password: str) -> bytes:
    """The same bytes whatever keyboard composed the characters; no password has none, or more than is ever accepted."""
    if len(password) > MAX_CODE_POINTS:
        return b""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace")


def _random_base64(size_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(size_bytes)).rstrip(b"=").decode()
