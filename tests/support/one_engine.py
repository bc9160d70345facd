"""One analytics engine for many installations, one after the other: opened once, given its tables once, and emptied.

Opening the engine, making its tables and the first statements on each new connection take as much of a processor as a
short test's own work. An installation that is lent the engine has stores of its own for everything else.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.analytics.embedded import open_embedded_analytics
from campaignctl.bootstrap import stores
from campaignctl.services.schema import SchemaService

_FILLED = """
SELECT DISTINCT table FROM system.parts WHERE active AND database = currentDatabase() AND table != 'schema_migrations'
"""


class OneEngine:
    """The engine on a directory, with the product's tables; one installation at a time has it."""

    def __init__(self, directory: Path) -> None:
        self._store: ClickHouseAnalytics = open_embedded_analytics(directory)
        SchemaService([self._store]).apply(wait_s=60.0)
        self._applied = self._store.applied()

    def close(self) -> None:
        self._store.close()

    @contextmanager
    def lent(self) -> Iterator[None]:
        """Installations on embedded stores that are opened meanwhile have this engine, with empty tables at first."""
        self._empty()
        with (
            patch.object(stores, "_open_analytics", lambda _settings: self._store),
            patch.object(self._store, "close", lambda: None),
            patch.object(self._store, "applied", lambda: self._applied),  # nobody changes the schema meanwhile
        ):
            yield

    def _empty(self) -> None:
        clients = self._store._clients
        for table in clients.read(_FILLED, {}).strings("table"):
            with clients.writer() as client:
                client.command(f"TRUNCATE TABLE {table}")
