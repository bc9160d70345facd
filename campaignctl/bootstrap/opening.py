"""Opening an installation: every store, the services over them, and what looks after their health."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from campaignctl.adapters.clock import SystemClock
from campaignctl.bootstrap.app import App
from campaignctl.bootstrap.keys import secrets_key_of
from campaignctl.bootstrap.platforms import ad_platforms
from campaignctl.bootstrap.services import build_app
from campaignctl.bootstrap.stores import open_analytics, open_cache, open_event_log, open_metadata
from campaignctl.services.accounts import AccountService
from campaignctl.services.clock_skew import ClockComparison
from campaignctl.services.credentials import CredentialVault
from campaignctl.services.health import Check
from campaignctl.services.schema import SchemaService

if TYPE_CHECKING:
    from campaignctl.config import Settings
    from campaignctl.ports.clock import Clock

SCHEMA_WAIT_S = 60.0
_SCHEMA_EVERY_S = 15.0
_CLOCK_EVERY_S = 60.0


@contextmanager
def open_app(settings: "Settings", *, clock: "Clock | None" = None, create: bool = False) -> Iterator[App]:
    """Open every store and build the services; everything is closed in reverse order at the end.

    ``create`` brings a new or older schema up to date; without it a schema that is not this program's is a
    ``SchemaMismatch``. The caller holds the lock of the data directory.
    """
    with open_stores(settings, clock=clock) as app:
        if create:
            app.init_schema(wait_s=SCHEMA_WAIT_S)
        else:
            app.check_schema()
        yield app


@contextmanager
def open_stores(settings: "Settings", *, clock: "Clock | None" = None, is_serving: bool = False) -> Iterator[App]:
    """As ``open_app``, whatever the schema's state: for commands that plan, check or bring about the schema.

    ``is_serving``: somebody waits for every call, so that the event log is given seconds instead of half a minute.
    """
    clock = clock or SystemClock()
    with ExitStack() as stack:
        event_log, housekeeping = open_event_log(settings, clock, is_serving=is_serving)
        stack.callback(event_log.close)
        metadata, metadata_schema, metadata_clock = open_metadata(settings, clock)
        stack.callback(metadata.close)
        analytics = open_analytics(settings)
        stack.callback(analytics.close)
        cache, cache_check = open_cache(settings)
        stack.callback(cache.close)
        schema = SchemaService((metadata_schema, analytics))
        vault = CredentialVault([secrets_key_of(settings), *settings.secrets.ring])
        # A client hands renewed credentials back to the service that is built over the clients.
        platforms = ad_platforms(settings, clock, lambda access: accounts.keep_credentials(access))  # noqa: PLW0108  later
        stack.callback(platforms.close)
        accounts = AccountService(metadata, vault, platforms, clock)
        app = build_app(
            settings, clock, event_log, analytics, metadata, cache, schema, housekeeping, accounts, platforms
        )
        servers = {"PostgreSQL": metadata_clock, "ClickHouse": None if settings.embedded_analytics else analytics}
        clocks = {name: server for name, server in servers.items() if server is not None}
        app = replace(app, server_clocks=clocks)
        app.health.add(Check("schema", app.check_schema, interval_s=_SCHEMA_EVERY_S))
        if cache_check is not None:
            app.health.add(cache_check)
        if clocks:
            check = ClockComparison(clock, clocks).check
            app.health.add(Check("clock", check, needed=False, interval_s=_CLOCK_EVERY_S))
        yield app
