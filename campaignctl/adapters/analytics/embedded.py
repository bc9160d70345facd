"""The ClickHouse engine in this process, on a directory of its own.

One process at a time: whoever opens it holds the data directory's lock. The engine answers the caller's threads and
keeps a few of its own for merges; all of it together stays below 350 MiB while millions of events are landed.
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import clickhouse_connect

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.clients import Clients, Settings
from campaignctl.adapters.analytics.engine_import import load_engine
from campaignctl.adapters.analytics.failures import store_failures
from campaignctl.errors import ConfigurationError

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

DATABASE = "campaign_analytics"
_READERS = 3
_MIB = 1024 * 1024
# The defaults are made for a server: caches of gigabytes.
_ENGINE = {
    "mark_cache_size": 8 * _MIB,
    "index_mark_cache_size": 2 * _MIB,
    "primary_index_cache_size": 8 * _MIB,
    "query_condition_cache_size": _MIB,
    "mmap_cache_size": 0,
    "background_pool_size": 1,
    "background_merges_mutations_concurrency_ratio": 1,
    "background_schedule_pool_size": 1,
    "background_common_pool_size": 1,
    "background_move_pool_size": 1,
    "background_fetches_pool_size": 1,
    "max_io_thread_pool_size": 4,
    "max_thread_pool_free_size": 4,
}

# The engine's allocator keeps what is freed for 5 s by default, in case it is needed again, which is 30 MiB under load.
# Pieces of 128 KiB and more, which are most of it, go back at once this way, and cost hardly a page fault more.
_ALLOCATOR = {"JE_MALLOC_CONF": "dirty_decay_ms:500,muzzy_decay_ms:0,oversize_threshold:131072"}


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
    return ClickHouseAnalytics(Clients(lambda settings: _connect(path, DATABASE, settings), readers=_READERS))


def _connect(path: Path, database: str | None, settings: Settings) -> "Client":
    return clickhouse_connect.get_client(
        interface="chdb", path=str(path), database=database, settings=dict(settings), chdb_options=_ENGINE
    )
