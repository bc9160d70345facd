"""Following a job to its end, for every command that starts one.

Such a command takes the options ``Wait`` and ``Timeout``, posts, and hands the answer to ``follow``.
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.exit_codes import PartlyDone, WaitTimedOut
from campaignctl.cli.progress import Progress, progress
from campaignctl.errors import CampaignctlError, Unavailable

if TYPE_CHECKING:
    from campaignctl.cli.connection import Connection
    from campaignctl.cli.invocation import Invocation
    from campaignctl.cli.output import Table

PATH = "/api/v1/jobs"
_LOOK_EVERY_S = 0.3
_PATIENCE_S = 60.0
"""How long a server that cannot be reached may stay away while it is waited for."""

Wait = Annotated[
    bool | None,
    typer.Option(
        "--wait/--no-wait",
        help="Wait for the job's end; by default only where nobody else would do it: on embedded stores that no"
        " server has open.",
        show_default=False,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option("--timeout", metavar="SECONDS", min=0, help="Wait no longer than this (exit 3); the job goes on."),
]


def follow(
    invocation: "Invocation",
    connection: "Connection",
    body: bytes,
    *,
    wait: bool | None,
    timeout_s: float | None = None,
    table: "Callable[[Any], Table] | None" = None,
) -> None:
    """Print the job of a 202 answer, after its end where it is waited for.

    Raises what its end means: ``PartlyDone``, ``WaitTimedOut``, or a failure with the job's own words.
    """
    from campaignctl.cli.output import decode

    job = decode(body)
    nobody_else = connection.app is not None and connection.app.settings.embedded
    if wait or (wait is None and nobody_else):
        body = wait_for(invocation, connection, job["job_id"], timeout_s)
        job = decode(body)
    invocation.out().answer(body, table or job_table, items=None)
    if job["finished_at"] is None:
        invocation.out().note(f"note: follow it with campaignctl jobs wait {job['job_id']}")
        return
    raise_for(job)


def wait_for(invocation: "Invocation", connection: "Connection", job_id: int, timeout_s: float | None) -> bytes:
    """The job's REST body at its end; raises ``WaitTimedOut`` when it takes longer than ``timeout_s``."""
    from campaignctl.cli.output import decode

    deadline_s = float("inf") if timeout_s is None else time.monotonic() + timeout_s
    with connection.counting(), progress(f"job {job_id}", None, quiet=invocation.quiet) as shown:
        told = 0
        while True:
            body = _look(connection, job_id)
            job = decode(body)
            shown.describe(_label(job))
            told = _advance(shown, job["progress"], told)
            if job["finished_at"] is not None:
                return body
            if time.monotonic() >= deadline_s:
                raise WaitTimedOut(
                    f"job {job_id} is still {job['status']} after {timeout_s:g} s",
                    hint=f"it goes on; wait again with: campaignctl jobs wait {job_id}",
                )
            time.sleep(min(_LOOK_EVERY_S, max(deadline_s - time.monotonic(), 0.0)))


def raise_for(job: dict[str, Any]) -> None:
    """Raise what the end of a finished job means for the exit code."""
    match job["status"]:
        case "partial":
            raise PartlyDone(f"job {job['job_id']} is partly done", hint="its result says what is missing")
        case "failed":
            raise CampaignctlError(f"job {job['job_id']} failed: {job['error']['message']}", code=job["error"]["code"])
        case "cancelled":
            raise CampaignctlError(f"job {job['job_id']} was cancelled", code="job_cancelled")


def job_table(job: Any) -> "Table":
    """One field a line; members of the parts with a dot."""
    from campaignctl.cli.output import Column, Kind, Table

    return Table([Column("field", Kind.ID), Column("value", Kind.ID)], list(_lines("", job)))


def _lines(prefix: str, value: Any) -> list[list[Any]]:
    if isinstance(value, dict) and value:
        return [line for key, one in value.items() for line in _lines(f"{prefix}.{key}" if prefix else key, one)]
    return [[prefix, value]]


def _look(connection: "Connection", job_id: int) -> bytes:
    """The job now; a server that restarts meanwhile is waited for."""
    deadline_s = time.monotonic() + _PATIENCE_S
    while True:
        try:
            return connection.api.get(f"{PATH}/{job_id}").content
        except Unavailable as error:
            if time.monotonic() + error.retry_after_s >= deadline_s:
                raise
            time.sleep(max(error.retry_after_s, _LOOK_EVERY_S))


def _label(job: dict[str, Any]) -> str:
    """The job's name, and of a fetch how far each platform is."""
    platforms = (job["result"] or {}).get("platforms", {}) if job["kind"] == "fetch" else {}
    parts = [f"{name} {_how_far(one)}" for name, one in platforms.items()]
    return f"job {job['job_id']} ({', '.join(parts)})" if parts else f"job {job['job_id']}"


def _how_far(platform: dict[str, Any]) -> str:
    if platform["status"] != "running":
        return str(platform["status"])
    windows = platform["windows"]
    return f"{windows['done']}/{'?' if windows['total'] is None else windows['total']}"


def _advance(shown: Progress, now: dict[str, Any], told: int) -> int:
    if now["total"] is not None:
        shown.expect(now["total"])
    if now["done"] > told:
        shown.advance(now["done"] - told)
    return max(int(now["done"]), told)
