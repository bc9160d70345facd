"""Sessions that ``login`` keeps: one per server, in a file of this user alone, renewed before they are missed."""

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from campaignctl.adapters.private_files import read_private, replace_private
from campaignctl.errors import ConfigurationError, NotSignedIn

_EARLY_S = 30
"""An access token is renewed this long before it ends, so that it does not end on the way."""


@dataclass(frozen=True, slots=True)
class Session:
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: float
    """Epoch seconds at which the access token ends."""

    @classmethod
    def of_answer(cls, tokens: dict[str, Any]) -> "Session":
        """From the body of a login or a refresh."""
        return cls(tokens["access_token"], tokens["refresh_token"], time.time() + int(tokens["expires_in"]))


class SessionFile:
    """``campaignctl/sessions.json`` below ``XDG_CONFIG_HOME`` (or ``~/.config``)."""

    def __init__(self, path: Path | None = None) -> None:
        home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        self.path = path or Path(home).expanduser() / "campaignctl" / "sessions.json"

    def get(self, url: str) -> Session | None:
        return self._read().get(_key(url))

    def put(self, url: str, session: Session | None) -> None:
        """Keep the session, or forget it (None)."""
        with self._locked():
            self._write(_key(url), session)

    def token(self, url: str) -> str | None:
        """A token for the server that holds now, renewed when it is about to end; None without a session."""
        session = self.get(url)
        if session is not None and session.expires_at - time.time() < _EARLY_S:
            return self.renew(url, session.access_token)
        return session.access_token if session is not None else None

    def renew(self, url: str, stale_token: str) -> str | None:
        """A token other than the stale one; None when the session is over (it is forgotten then).

        One process renews and the others take what it got: a refresh token used twice ends the whole session.
        """
        with self._locked():
            session = self.get(url)
            if session is None or session.access_token != stale_token:
                return session.access_token if session is not None else None
            from campaignctl.api_client import ApiClient  # not where a session is only looked up

            try:
                with ApiClient(url) as api:
                    answer = api.post("/api/v1/auth/refresh", {"refresh_token": session.refresh_token})
            except NotSignedIn:
                self._write(_key(url), None)
                return None
            renewed = Session.of_answer(answer.json())
            self._write(_key(url), renewed)
            return renewed.access_token

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _read(self) -> dict[str, Session]:
        try:
            entries = json.loads(read_private(self.path))
            return {url: Session(**entry) for url, entry in entries.items()}
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, AttributeError):
            raise ConfigurationError(f"{self.path} is damaged", hint="delete it and sign in again") from None

    def _write(self, key: str, session: Session | None) -> None:
        sessions = {url: kept for url, kept in self._read().items() if url != key}
        if session is not None:
            sessions[key] = session
        replace_private(self.path, json.dumps({url: asdict(kept) for url, kept in sessions.items()}, indent=1))


def _key(url: str) -> str:
    return url.rstrip("/").lower()
