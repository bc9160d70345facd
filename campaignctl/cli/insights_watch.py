"""``campaignctl insights --watch``: the answer again, whenever it has changed.

One campaign of a server is followed by its stream; several together, and what is asked in this process, once a second.
"""

import time
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from campaignctl.errors import Unavailable

if TYPE_CHECKING:
    from campaignctl.api_client import ApiClient
    from campaignctl.cli.connection import Connection

LOOK_EVERY_S = 1.0
COME_BACK_S = 2.0
"""As the stream's own hint has it."""
GIVE_UP_AFTER_S = 60.0
"""How long a server that has answered before may be away: it starts again in less."""

Params = Mapping[str, str | list[str]]


def answers(connection: "Connection", path: str, params: Params) -> Iterator[bytes]:
    """The bodies, without end; raises what the first question, or the one after a break, is answered with."""
    if connection.in_process or not path.startswith("/api/v1/campaigns/"):
        with connection.counting():
            yield from _asked_again(connection.api, path, params)
    else:
        yield from _streamed(connection.api, f"{path}/stream", params)


def _asked_again(api: "ApiClient", path: str, params: Params) -> Iterator[bytes]:
    known: dict[str, str] = {}
    while True:
        response = api.request("GET", path, params=params, headers=known)
        if response.status == 200:
            yield response.content
        known = {"If-None-Match": response.headers["ETag"]}
        params = _without_after(params)
        time.sleep(LOOK_EVERY_S)


def _streamed(api: "ApiClient", path: str, params: Params) -> Iterator[bytes]:
    """Over as many connections as it takes: why one has ended is what the next attempt is answered with."""
    last_id = ""
    heard_s = time.monotonic()
    while True:
        try:
            for event in api.events(path, params, last_id=last_id):
                heard_s = time.monotonic()
                if event.name == "insights":
                    last_id = event.id
                    yield event.data
        except Unavailable:
            if not last_id or time.monotonic() - heard_s > GIVE_UP_AFTER_S:
                raise
        params = _without_after(params)
        time.sleep(COME_BACK_S)


def _without_after(params: Params) -> Params:
    return {name: value for name, value in params.items() if name != "after"}
