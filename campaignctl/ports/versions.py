"""Which version of its software a store runs on."""

from typing import Protocol


class Versioned(Protocol):
    def server_version(self) -> str:
        """Of the server, or of the engine in this process: ``ClickHouse 25.8.1``. Raises ``Unavailable``."""
        ...
