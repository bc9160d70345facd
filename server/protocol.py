"""The protocol class uvicorn runs with: the connection guard on the faster parser that is installed.

httptools takes half the CPU per request; h11 is there always.
"""

import asyncio
import importlib.util

from uvicorn.protocols.http.h11_impl import H11Protocol

from server.connection_guard import MAX_CONNECTIONS, Guard


class GuardedH11(Guard, H11Protocol):
    """h11 bounds the head itself (``h11_max_incomplete_event_size``)."""


def guarded_protocol(max_connections: int = MAX_CONNECTIONS) -> type[asyncio.Protocol]:
    """The protocol class to run uvicorn with: on the faster parser where it is installed."""
    base: type[Guard] = GuardedH11
    if importlib.util.find_spec("httptools") is not None:
        from server.protocol_httptools import GuardedHttpTools as base  # noqa: N813  one of two of a kind
    return type("GuardedHttp", (base,), {"max_connections": max_connections})
