"""Completion of numbers at the shell, within a second, and silently nothing where none are known.

Who has begun a number gets those that begin so; who has begun a name gets the numbers of what is called that. They come
from the server that the command would ask; where none runs, from the embedded store as it lies there. Runs at every
press of TAB: nothing heavier than the standard library's HTTP client or SQLite is imported, and only when asked.
"""

import json
import logging
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import typer

from campaignctl.cli.invocation import Invocation, invocation_of

logger = logging.getLogger(__name__)

PATIENCE_S = 1.0
"""From the press of TAB on; a server that answers later answers nobody."""
_SHOWN = 100
_HARMLESS = re.compile(r"[^\w .,+/%@-]")
"""What may stand in a description: the scripts of some shells evaluate what they are given."""

INSTEAD = "\0"
"""Between what was typed and what replaces it: the framework drops what does not begin with what was typed."""

Known = list[tuple[str, str]]


def campaign_ids(ctx: typer.Context, incomplete: str) -> Known:
    """The campaigns' numbers, each with its name."""
    return _known(ctx, incomplete, _Kind("campaigns", "id", lambda one: one["name"]))


def job_ids(ctx: typer.Context, incomplete: str) -> Known:
    """The newest jobs' numbers, each with what it is."""
    kind = _Kind("jobs", "job_id", lambda one: f"{one['kind']} {one['status']}", has_name=False)
    return _known(ctx, incomplete, kind)


def account_ids(ctx: typer.Context, incomplete: str) -> Known:
    """The accounts' numbers, each with its platform and name."""
    return _known(
        ctx, incomplete, _Kind("accounts", "id", lambda one: f"{one['platform']} {one['name'] or one['account_id']}")
    )


@dataclass(frozen=True, slots=True)
class _Kind:
    name: str
    """Of the route, and of what the store is asked for."""
    member: str
    about: Callable[[Any], str]
    has_name: bool = True
    """Whether ``about`` is what people call it by."""


def _known(ctx: typer.Context, incomplete: str, kind: _Kind) -> Known:
    given = invocation_of(ctx)
    items: Known = []

    def look() -> None:
        try:
            items.extend(_items(given, incomplete, kind))
        except Exception:  # whatever it is, a line that is being typed is no place to say so
            logger.debug("nothing to complete", exc_info=True)

    looking = threading.Thread(target=look, daemon=True)  # also a name that does not resolve is given up
    looking.start()
    looking.join(PATIENCE_S)
    found = list(items)
    begun = [(number, _harmless(about)) for number, about in found if number.startswith(incomplete)]
    if begun or not kind.has_name:
        return begun
    return [(f"{incomplete}{INSTEAD}{number}", _harmless(about)) for number, about in called(incomplete, found)]


def called(name: str, known: Known) -> Known:
    """What has this name; else what has a name that begins so; else what has it in its name. Case does not matter, and
    a name as it was shown is one too.
    """
    wanted = name.casefold()
    rules: tuple[Callable[[str], bool], ...] = (
        lambda called: called == wanted,
        lambda called: called.startswith(wanted),
        lambda called: wanted in called,
    )
    for fits in rules:
        found = [one for one in known if fits(one[1].casefold()) or fits(_harmless(one[1]).casefold())]
        if found:
            return found
    return []


def _harmless(about: str) -> str:
    return _HARMLESS.sub("_", about)


def _items(given: Invocation, begun: str, kind: _Kind) -> Known:
    url, token, organization = _server(given)
    if url is None:
        home, has_metadata = _home(given.config)
        if not (has_metadata and home.is_dir()):
            return []
        from campaignctl.adapters.metadata.known_items import known_items

        stored = known_items(home, kind.name, begun, given.organization, most=_SHOWN)
        return [(str(number), about) for number, about in stored]
    import http.client

    parts = urlsplit(url)
    connect = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = connect(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if organization is not None:
        headers["X-Campaignctl-Organization"] = str(organization)
    try:
        asked: dict[str, str | int] = {"limit": _SHOWN}
        if kind.name == "campaigns" and begun and not begun.isdigit():
            asked["q"] = begun
        path = f"{parts.path.rstrip('/')}/api/v1/{kind.name}?{urlencode(asked)}"
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        listed = json.loads(answer.read())["items"] if answer.status == 200 else []
        return [(str(one[kind.member]), kind.about(one)) for one in listed]
    finally:
        connection.close()


def _server(given: Invocation) -> tuple[str | None, str | None, int | None]:
    """Where the command would go, with the token it would have; nowhere where no server runs."""
    from campaignctl.cli.contexts import choose

    place = choose(given.api, given.context_name, os.environ)
    organization = given.organization or place.organization
    if place.api is not None:
        from campaignctl.cli.sessions import SessionFile

        token = os.environ.get("CA_TOKEN")
        if not token and (session := SessionFile().get(place.api)) is not None:
            token = session.access_token  # one that has ended is not renewed: that may take too long
        return place.api, token, organization
    from campaignctl.adapters.data_directory import DataDirectory

    home, _ = _home(given.config)
    server = DataDirectory(home).running_server() if home.is_dir() else None
    return (None, None, None) if server is None else (server.url, server.token, organization)


def _home(config: Path | None) -> tuple[Path, bool]:
    """The data directory and whether metadata is in it, as the settings have it without loading them: a second is too
    short for that.
    """
    file = config or Path(os.environ.get("CA_CONFIG") or "config/config.yaml")
    kept: dict[str, Any] = {}
    if file.is_file():
        import yaml

        kept = yaml.safe_load(file.read_text(encoding="utf-8")) or {}
    has_metadata = not (os.environ.get("CA_POSTGRES_HOST") or (kept.get("postgres") or {}).get("host"))
    return Path(os.environ.get("CA_DATA_DIR") or kept.get("data_dir") or ".campaignctl").expanduser(), has_metadata
