"""Sockets that listen, bound before anything else is begun: what cannot be listened on is said at once."""

import errno
import socket

from campaignctl.errors import CampaignctlError

BACKLOG = 1_024


def bind(host: str, port: int, key: str = "port", *, named: str = "") -> socket.socket:
    """A socket that listens on ``server.KEY``; port 0 takes a free one. ``named``: what sets it, where no key does.

    Raises ``CampaignctlError`` with the code ``address_in_use`` or ``address_not_available``.
    """
    flag = f"--{key.replace('_', '-')}"
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise _not_available(host, flag) from None
    # localhost has two addresses; what people type reaches the one of IPv4
    family, kind, number, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    listener = socket.socket(family, kind, number)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)  # from here on a connection waits instead of being refused
    except OSError as error:
        listener.close()
        if error.errno != errno.EADDRINUSE:
            raise _not_available(f"{host}:{port}", flag) from None
        raise CampaignctlError(
            f"{host}:{port} ({named or f'server.{key}'}) is in use by another program",
            hint=f"choose another port with {flag}, or 0 for any free one",
            code="address_in_use",
        ) from None
    return listener


def _not_available(name: str, flag: str) -> CampaignctlError:
    return CampaignctlError(
        f"{name} is not an address this process may listen on",
        hint=f"name an address of this machine with --host and a port from 1024 up with {flag}",
        code="address_not_available",
    )
