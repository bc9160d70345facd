"""``campaignctl dashboard``: the live screen over whatever the command line would ask."""

import gc
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from campaignctl.cli.invocation import examples, invocation_of, new_app, prints_no_data
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.errors import CampaignctlError, ConfigurationError, FieldError, InvalidInput

if TYPE_CHECKING:
    from campaignctl.api_client import ApiClient
    from campaignctl.cli.invocation import Invocation

app = new_app()

_NO_WEB = "the dashboard is not served to browsers"
_NO_WEB_HINT = (
    "run it in the terminal of a machine that reaches the API: campaignctl --api URL dashboard (over ssh with -t)"
)


@app.command(
    epilog=examples(
        "campaignctl dashboard", "campaignctl dashboard --campaign 3 --interval 5", "campaignctl --api URL dashboard"
    )
)
@prints_no_data
def dashboard(
    context: typer.Context,
    campaign: Annotated[
        int | None, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="The campaign to start with.")
    ] = None,
    interval: Annotated[
        float, typer.Option(metavar="SECONDS", min=0.5, max=3600, help="Time between two readings.")
    ] = 2.0,
    web: Annotated[bool, typer.Option("--web", hidden=True)] = False,
) -> None:
    """Watch campaigns live in the terminal."""
    invocation = invocation_of(context)
    if web:
        raise InvalidInput([FieldError("--web", _NO_WEB)], hint=_NO_WEB_HINT, code="usage")
    require_terminal()
    from campaignctl.cli.connection import connect

    with connect(invocation) as connection, connection.counting():
        where = "this directory, no server running" if connection.in_process else str(connection.api.base_url)
        if invocation.place().context:
            where = f"{invocation.place().context} ({where})"
        watch(connection.api, where, campaign=campaign, interval_s=interval, program=_program(invocation))


def require_terminal() -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise CampaignctlError(
            "the dashboard needs a terminal", hint="print the numbers with: campaignctl insights", code="no_terminal"
        )
    if os.environ.get("TERM") == "dumb":
        raise CampaignctlError(
            "the dashboard needs a terminal that can place text, and TERM says dumb",
            hint="print the numbers with: campaignctl insights; or set TERM to what the terminal is",
            code="no_terminal",
        )


def _program(invocation: "Invocation") -> str:
    """How a command begins that is to reach what this one reaches: the flags that say where are needed again."""
    given = {
        "--config": invocation.config,
        "--api": invocation.api,
        "--context": None if invocation.api else invocation.context_name,
        "--organization": invocation.organization,
    }
    words = [f"{flag} {shlex.quote(str(value))}" for flag, value in given.items() if value is not None]
    return " ".join(["campaignctl", *words])


def watch(
    api: "ApiClient",
    where: str,
    *,
    campaign: int | None = None,
    interval_s: float = 2.0,
    program: str = "campaignctl",
) -> None:
    """Run the dashboard until the person leaves it; ``where`` names the installation at the top of the screen.

    The commands that the screens name begin with ``program``.
    """
    try:
        from campaignctl.tui.app import Dashboard
    except ModuleNotFoundError as missing:
        raise ConfigurationError(
            f"the dashboard is not installed ({missing.name} is missing)",
            hint="install it with: pip install 'campaignctl[dashboard]'",
        ) from missing
    from campaignctl.tui.session import Session

    session = Session.of(api, where, campaign_id=campaign, interval_s=interval_s, program=program)
    dashboard = Dashboard(session, when_all_is_made=_leave_what_stays)
    gc.freeze()  # the modules: without them a collection takes a fifth, also in the seconds before all screens are made
    with _leaving_by_signals(dashboard.leave):
        dashboard.run()


def _leave_what_stays() -> None:
    """Have the collector never again look at the modules and screens, which stay to the end.

    Looking through all of it took up to half a second, now and then, of a key that was pressed just then.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def _leaving_by_signals(leave: Callable[[], None]) -> Iterator[None]:
    """Have a signal leave the dashboard, so that the terminal is given back before anything else ends."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        came.append(number)
        leave()

    for number, handler in handlers.items():
        if callable(handler):  # not one that is ignored
            signal.signal(number, note)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
