"""Completion of numbers at the shell: what a running server knows, within a second, and silently nothing otherwise.

Runs at every press of TAB: nothing heavier than the standard library's HTTP client is imported, and only when asked.
"""

import json
import logging
import os
import re
import threading
from collections.abc import Callable
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

Known = list[tuple[str, str]]


def campaign_ids(ctx: typer.Context, incomplete: str) -> Known:
    """The campaigns' numbers, each with its name."""
    return _known(ctx, incomplete, "/api/v1/campaigns", "id", lambda one: one["name"])


def job_ids(ctx: typer.Context, incomplete: str) -> Known:
    """The newest jobs' numbers, each with what it is."""
    return _known(ctx, incomplete, "/api/v1/jobs", "job_id", lambda one: f"{one['kind']} {one['status']}")


def account_ids(ctx: typer.Context, incomplete: str) -> Known:
    """The accounts' numbers, each with its platform and name."""
    return _known(
        ctx, incomplete, "/api/v1/accounts", "id", lambda one: f"{one['platform']} {one['name'] or one['account_id']}"
    )


def _known(ctx: typer.Context, incomplete: str, path: str, member: str, about: Callable[[Any], str]) -> Known:
    given = invocation_of(ctx)
    items: list[Any] = []

    def look() -> None:
        try:
            items.extend(_items(given, path))
        except Exception:  # whatever it is, a line that is being typed is no place to say so
            logger.debug("nothing to complete", exc_info=True)

    looking = threading.Thread(target=look, daemon=True)  # also a name that does not resolve is given up
    looking.start()
    looking.join(PATIENCE_S)
    found = [(str(one[member]), _HARMLESS.sub("_", about(one))) for one in list(items)]
    return [(number, text) for number, text in found if number.startswith(incomplete)]


def _items(given: Invocation, path: str) -> list[Any]:
    url, token, organization = _server(given)
    if url is None:
        return []
    import http.client

    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=PATIENCE_S)
    headers = {"Accept": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if organization is not None:
        headers["X-Campaignctl-Organization"] = str(organization)
    try:
        connection.request("GET", f"{parts.path.rstrip('/')}{path}?{urlencode({'limit': _SHOWN})}", headers=headers)
        answer = connection.getresponse()
        return list(json.loads(answer.read())["items"]) if answer.status == 200 else []
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

    home = _data_dir(given.config)
    server = DataDirectory(home).running_server() if home.is_dir() else None
    return (None, None, None) if server is None else (server.url, server.token, organization)


def _data_dir(config: Path | None) -> Path:
    """As the settings have it, without loading them: a second is too short for that."""
    if named := os.environ.get("CA_DATA_DIR"):
        return Path(named).expanduser()
    file = config or Path(os.environ.get("CA_CONFIG") or "config/config.yaml")
    if file.is_file():
        import yaml

        named = (yaml.safe_load(file.read_text(encoding="utf-8")) or {}).get("data_dir")
    return Path(named or ".campaignctl").expanduser()
