"""The ClickHouse engine in this process, on a directory of its own.

One process at a time: whoever opens it holds the data directory's lock. The engine answers the caller's threads and
keeps a few of its own for merges.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.clients import Clients, Connect, Settings
from campaignctl.adapters.analytics.engine_import import load_engine
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.adapters.analytics.outdated_parts import OutdatedParts
from campaignctl.errors import ConfigurationError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DATABASE = "campaign_analytics"
_READERS = 3
_CONFIGURATION = Path(__file__).with_name("embedded_engine.xml")

# The engine's allocator keeps what is freed for 5 s by default, in case it is needed again, and that in four arenas for
# each core: 40 MiB under load. One arena that gives back at once is not slower, with the few threads there are.
_ALLOCATOR = {"JE_MALLOC_CONF": "narenas:1,dirty_decay_ms:0,muzzy_decay_ms:0,oversize_threshold:131072"}


def open_embedded_analytics(path: Path) -> ClickHouseAnalytics:
    """Open the store at ``path``, a directory that is made when there is none.

    Raises ``ConfigurationError`` when the engine is not installed, ``Unavailable`` when it cannot open the directory.
    """
    for name, options in _ALLOCATOR.items():
        os.environ.setdefault(name, options)  # read once, when the engine is loaded
    try:
        load_engine()  # 0.2 s and 100 MiB that only the embedded store needs
    except ImportError as error:
        raise ConfigurationError(
            "the analytics engine for this process is not installed",
            hint="pip install 'campaignctl[embedded]', or name a server in clickhouse.host",
        ) from error
    with store_failures():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        opener = _connect(path, None, {})
        try:
            opener.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        finally:
            opener.close()
    return ClickHouseAnalytics(_EmbeddedClients(lambda settings: _connect(path, DATABASE, settings), readers=_READERS))


class _EmbeddedClients(Clients):
    """Connections to an engine that needs some looking after while they are open."""

    def __init__(self, connect: Connect, *, readers: int) -> None:
        super().__init__(connect, readers=readers)
        self._outdated_parts = OutdatedParts(self)
        self._outdated_parts.start()

    def close(self) -> None:
        self._outdated_parts.stop()
        super().close()


def _connect(path: Path, database: str | None, settings: Settings) -> "Client":
    return clickhouse_connect.get_client(
        interface="chdb",
        path=str(path),
        database=database,
        settings=dict(settings),
        chdb_options={"config-file": str(_CONFIGURATION)},
    )
