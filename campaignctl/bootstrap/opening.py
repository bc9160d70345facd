"""Opening an installation: every store, the services over them, and what looks after their health."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from campaignctl.adapters.clock import SystemClock
from campaignctl.bootstrap.app import App
from campaignctl.bootstrap.keys import secrets_key_of
from campaignctl.bootstrap.platforms import ad_platforms
from campaignctl.bootstrap.services import build_app
from campaignctl.bootstrap.stores import opened
from campaignctl.services.accounts import AccountService
from campaignctl.services.clock_skew import ClockComparison
from campaignctl.services.credentials import CredentialVault
from campaignctl.services.health import Check
from campaignctl.services.platform_tally import PlatformTally
from campaignctl.services.schema import SchemaService

if TYPE_CHECKING:
    from collections.abc import Mapping

    from campaignctl.config import Settings
    from campaignctl.ports.ad_platforms import AccountAccess
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
    with opened(settings, clock, is_serving=is_serving) as stores, ExitStack() as stack:
        vault = CredentialVault([secrets_key_of(settings), *settings.secrets.ring])

        def keep(access: "AccountAccess", instead_of: str) -> None:
            # A client hands renewed credentials back to the service that is built over the clients.
            accounts.keep_credentials(access, instead_of)

        def stored(access: "AccountAccess") -> "Mapping[str, str]":
            return accounts.stored_credentials(access)

        tally = PlatformTally()
        platforms = ad_platforms(settings, clock, keep, stored, tally)
        stack.callback(platforms.close)
        accounts = AccountService(stores.metadata, vault, platforms, clock)
        app = build_app(settings, clock, stores, SchemaService(stores.migration_targets), accounts, platforms, tally)
        app.health.add(Check("schema", app.check_schema, interval_s=_SCHEMA_EVERY_S))
        if stores.cache_check is not None:
            app.health.add(stores.cache_check)
        if stores.server_clocks:
            check = ClockComparison(clock, stores.server_clocks).check
            app.health.add(Check("clock", check, needed=False, interval_s=_CLOCK_EVERY_S))
        yield app
