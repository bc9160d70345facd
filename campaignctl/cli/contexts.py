"""Contexts: names for servers, kept in a file of this user alone, and the choice of the one that a command works on."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path

from campaignctl.adapters.private_files import read_private, replace_private
from campaignctl.errors import ConfigurationError, NotFound

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


@dataclass(frozen=True, slots=True)
class Context:
    api: str
    organization: int | None = None
    """For the operator of that machine: the one organization to see."""


@dataclass(frozen=True, slots=True)
class Place:
    """The server that a command works on; none of it where it works on the stores of the configuration."""

    api: str | None = None
    context: str | None = None
    organization: int | None = None
    chosen_by: str | None = None
    """``--api``, ``--context``, ``CA_API_URL``, ``CA_CONTEXT`` or ``context use``."""

    def __str__(self) -> str:
        return f"context {self.context}, {self.api}" if self.context else self.api or ""


@dataclass(frozen=True, slots=True)
class _Kept:
    current: str | None
    contexts: dict[str, Context]


class ContextFile:
    """``campaignctl/contexts.json`` below ``XDG_CONFIG_HOME`` (or ``~/.config``)."""

    def __init__(self, path: Path | None = None) -> None:
        home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        self.path = path or Path(home).expanduser() / "campaignctl" / "contexts.json"

    def all(self) -> dict[str, Context]:
        """By name."""
        return dict(sorted(self._read().contexts.items()))

    def current(self) -> str | None:
        """What ``use`` was told last."""
        return self._read().current

    def get(self, name: str) -> Context:
        return _known(self._read().contexts, name)

    def put(self, name: str, context: Context) -> None:
        with self._locked():
            kept = self._read()
            self._write(kept.current, kept.contexts | {name: context})

    def remove(self, name: str) -> None:
        """Forget it; it is no longer in use either."""
        with self._locked():
            kept = self._read()
            _known(kept.contexts, name)
            others = {other: context for other, context in kept.contexts.items() if other != name}
            self._write(kept.current if kept.current != name else None, others)

    def use(self, name: str | None) -> None:
        with self._locked():
            contexts = self._read().contexts
            if name is not None:
                _known(contexts, name)
            self._write(name, contexts)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self.path.with_suffix(".lock").open("a") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise self._unusable(error) from error

    def _read(self) -> _Kept:
        try:
            kept = json.loads(read_private(self.path))
            contexts = {name: Context(**members) for name, members in kept["contexts"].items()}
            current = kept["current"]
            if not all(isinstance(one.api, str) for one in contexts.values()) or current not in {None, *contexts}:
                raise ValueError("not as it was written")
        except FileNotFoundError:
            return _Kept(None, {})
        except OSError as error:
            raise self._unusable(error) from error
        except (ValueError, TypeError, AttributeError, KeyError):
            raise ConfigurationError(f"{self.path} is damaged", hint="delete it and add the contexts again") from None
        return _Kept(current, contexts)

    def _write(self, current: str | None, contexts: Mapping[str, Context]) -> None:
        members = {name: asdict(context) for name, context in contexts.items()}
        replace_private(self.path, json.dumps({"current": current, "contexts": members}, indent=1))

    def _unusable(self, error: OSError) -> ConfigurationError:
        return ConfigurationError(
            f"{self.path} cannot be read or written: {error.strerror}", hint="check the permissions of its directory"
        )


def choose(api: str | None, context: str | None, environ: Mapping[str, str]) -> Place:
    """The most explicit choice wins: --api, --context, CA_API_URL, CA_CONTEXT, then ``context use``.

    Raises ``NotFound`` for a context that was never added.
    """
    if api:
        return Place(api, chosen_by="--api")
    if context:
        return _place(context, "--context")
    if environ.get("CA_API_URL"):
        return Place(environ["CA_API_URL"], chosen_by="CA_API_URL")
    if environ.get("CA_CONTEXT"):
        return _place(environ["CA_CONTEXT"], "CA_CONTEXT")
    current = ContextFile().current()
    return _place(current, "context use") if current is not None else Place()


def _place(name: str, chosen_by: str) -> Place:
    context = ContextFile().get(name)
    return Place(context.api, name, context.organization, chosen_by)


def names() -> list[str]:
    """For completion: nothing where the file cannot be read."""
    try:
        return list(ContextFile().all())
    except ConfigurationError:
        return []


def _known(contexts: Mapping[str, Context], name: str) -> Context:
    if name not in contexts:
        near = get_close_matches(name, contexts, n=1, cutoff=0.5)
        raise NotFound(
            f"there is no context {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""),
            hint="campaignctl context list shows them, campaignctl context add makes one",
        )
    return contexts[name]
