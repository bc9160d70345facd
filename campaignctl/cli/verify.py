"""``campaignctl verify``: whether the numbers can be trusted, and mending them where not."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any

import typer

from campaignctl.cli.exit_codes import ExitCode, WaitTimedOut
from campaignctl.cli.invocation import Invocation, examples, invocation_of, new_app
from campaignctl.cli.known_ids import campaign_ids
from campaignctl.cli.progress import Progress, progress
from campaignctl.errors import NotFound

if TYPE_CHECKING:
    from campaignctl.api_client import ApiClient
    from campaignctl.cli.connection import Connection
    from campaignctl.cli.output import Table

app = new_app()

PATH = "/internal/verify"
_PIECE_TIMEOUT_S = 900.0
_SHOWN_FINDINGS = 1_000
_HOLES_AT_ONCE = 10_000
_APPLIED_WITHIN_S = 600.0
_LOOK_EVERY_S = 0.3


@app.command(
    epilog=examples(
        "campaignctl verify",
        "campaignctl verify --campaign 42 --since 2026-10-01T00:00:00Z -o json",
        "campaignctl verify --repair",
    )
    + "\n\n\b\nIt names holes (records of the log without a row), overlaps (rows that count something twice), drift\n"
    "(sums that differ from the rows), rows of what was erased, rewinds and rows without a record. --repair has holes\n"
    "counted by the worker, removes what is there twice or was erased, and re-aggregates the days concerned; all\n"
    "of it while everything runs.\n"
    "Exit code 1: something is wrong and not repaired. For the operator of the machine.\n"
)
def verify(
    context: typer.Context,
    campaign: Annotated[
        int | None, typer.Option(autocompletion=campaign_ids, metavar="N", min=1, help="Only this campaign.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what the log took at or after it (RFC 3339).")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Mend what is wrong, and verify again.")] = False,
) -> None:
    """Compare the log, the raw rows and the rollup; repair them."""
    invocation = invocation_of(context)
    from campaignctl.cli.connection import connect

    with connect(invocation, timeout_s=_PIECE_TIMEOUT_S) as connection:
        verifier = _Verifier(invocation, connection, _given(campaign_id=campaign, since=since))
        found, mended = verifier.look(), None
        if repair and found.counts:
            with connection.counting():
                mended = verifier.mend(found)
            found, first = verifier.look(), found
            mended |= {"found": dict(first.counts)}
    body = {"checked": found.checked, "found": dict(found.counts), "findings": found.shown, "repair": mended}
    invocation.out().answer(json.dumps(body).encode(), _table, items="findings")
    if mended is not None:
        invocation.out().note(_repaired(mended))
    if not found.counts:
        invocation.out().note(_agrees(found.checked))
    if found.counts.total() > len(found.shown):
        invocation.out().note(f"note: the first {len(found.shown):,} of {found.counts.total():,} findings are listed")
    if found.counts:
        raise typer.Exit(ExitCode.FAILED)


@dataclass(slots=True)
class _Found:
    """What one pass has found; bounded, however much is wrong."""

    checked: dict[str, int] = field(default_factory=lambda: {"records": 0, "campaigns": 0, "raw_rows": 0})
    counts: Counter[str] = field(default_factory=Counter)
    """By kind."""
    shown: list[dict[str, Any]] = field(default_factory=list)
    pieces: list[tuple[int, int, int]] = field(default_factory=list)
    """Stretches of the log that have holes: partition, start, end."""
    campaigns: dict[int, int] = field(default_factory=dict)
    """Campaigns with overlaps or drift, and their raw rows."""
    erased: set[int] = field(default_factory=set)
    """Campaigns of which something is there that was erased."""

    def add(self, findings: list[dict[str, Any]]) -> None:
        self.counts.update(finding["kind"] for finding in findings)
        self.erased |= {finding["campaign_id"] for finding in findings if finding["kind"] == "erased"}
        self.shown += findings[: _SHOWN_FINDINGS - len(self.shown)]


class _Verifier:
    def __init__(self, invocation: Invocation, connection: "Connection", asked: dict[str, Any]) -> None:
        self._invocation = invocation
        self._connection = connection
        self._asked = asked
        self._campaign = _given(campaign_id=asked.get("campaign_id"))
        self._since = _given(since=asked.get("since"))

    def look(self) -> _Found:
        """One pass over everything that was asked for."""
        plan, found = self._post("plan", self._asked), _Found()
        found.add(plan["findings"])
        total = sum(one["end"] - one["start"] for one in plan["partitions"])
        with progress("records verified", total, quiet=self._invocation.quiet) as told:
            for reach in plan["partitions"]:
                self._look_at_log(reach, found, told)
        with progress("campaigns verified", len(plan["campaigns"]), quiet=self._invocation.quiet) as told:
            for one in plan["campaigns"]:
                findings = self._post("campaign", one | self._since)["findings"]
                found.add(findings)
                if findings:
                    found.campaigns[one["campaign_id"]] = one["raw_rows"]
                found.checked["campaigns"] += 1
                found.checked["raw_rows"] += one["raw_rows"]
                told.advance(1)
        return found

    def mend(self, found: _Found) -> dict[str, Any]:
        """Repair what a pass has found; answers what was done."""
        done: dict[str, Any] = {"filled": 0, "removed": 0, "jobs": []}
        done["filled"] = self._fill(found, directly=False)
        if done["filled"]:
            self._wait_until_applied()
            self._fill(found, directly=True)
        for campaign_id in sorted(found.erased):
            self._remove_erased(campaign_id, done)
        for campaign_id, raw_rows in found.campaigns.items():
            self._mend_campaign({"campaign_id": campaign_id, "raw_rows": raw_rows} | self._since, done)
        return done

    def _fill(self, found: _Found, *, directly: bool) -> int:
        filled = 0
        for partition, start, end in found.pieces:
            for offsets in self._holes(partition, start, end):
                wanted = {"partition": partition, "offsets": offsets, "directly": directly}
                filled += self._post("fill", wanted)["filled"]
        return filled

    def _look_at_log(self, reach: dict[str, Any], found: _Found, told: Progress) -> None:
        partition, start = reach["partition"], reach["start"]
        while start < reach["end"]:
            piece = self._post("log", {"partition": partition, "start": start, "end": reach["end"], **self._campaign})
            found.add(piece["findings"])
            if any(finding["kind"] == "hole" for finding in piece["findings"]):
                found.pieces.append((partition, start, piece["next"]))
            found.checked["records"] += piece["records"]
            told.advance(piece["next"] - start)
            start = piece["next"]

    def _holes(self, partition: int, start: int, end: int) -> Iterator[list[int]]:
        findings = self._post("log", {"partition": partition, "start": start, "end": end, **self._campaign})["findings"]
        offsets = [finding["offset"] for finding in findings if finding["kind"] == "hole"]
        for at in range(0, len(offsets), _HOLES_AT_ONCE):
            yield offsets[at : at + _HOLES_AT_ONCE]

    def _mend_campaign(self, campaign: dict[str, Any], done: dict[str, Any]) -> None:
        findings = self._post("campaign", campaign)["findings"]
        days = sorted(finding["day"] for finding in findings if finding["day"] is not None)
        if not days:
            return
        if any(finding["kind"] == "overlap" for finding in findings):
            done["removed"] += self._post("surplus", campaign)["removed"]
        from campaignctl.cli.job_wait import wait_for
        from campaignctl.cli.output import decode

        wanted = {"start_date": days[0], "end_date": days[-1], "reason": "verify --repair"}
        try:
            started = self._api.post(f"/api/v1/campaigns/{campaign['campaign_id']}/reaggregate", wanted).content
        except NotFound:
            said = f"note: there is no campaign {campaign['campaign_id']}: its sums stay as they are"
            self._invocation.out().note(said)
            return
        job_id = decode(started)["job_id"]
        wait_for(self._invocation, self._connection, job_id, _APPLIED_WITHIN_S)
        done["jobs"].append(job_id)

    def _remove_erased(self, campaign_id: int, done: dict[str, Any]) -> None:
        from campaignctl.cli.job_wait import wait_for

        for job_id in self._post("erased", {"campaign_id": campaign_id})["jobs"]:
            wait_for(self._invocation, self._connection, job_id, _APPLIED_WITHIN_S)
            done["jobs"].append(job_id)

    def _wait_until_applied(self) -> None:
        """Return when the worker has applied what the log has now."""
        ends = {one["partition"]: one["log_end"] for one in self._post("reach", {})["partitions"]}
        deadline_s = time.monotonic() + _APPLIED_WITHIN_S
        while True:
            reached = {one["partition"]: one["end"] for one in self._post("reach", {})["partitions"]}
            if all(reached[partition] >= end for partition, end in ends.items()):
                return
            if time.monotonic() >= deadline_s:
                raise WaitTimedOut(
                    "the records were produced again, but not all of them are counted yet",
                    hint="see whether a worker is running, and verify again",
                )
            time.sleep(_LOOK_EVERY_S)

    @property
    def _api(self) -> "ApiClient":
        return self._connection.api

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._api.post(f"{PATH}/{path}", body).json()
        return answer


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _repaired(mended: dict[str, Any]) -> str:
    """For the person: the list is of what is still wrong."""
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(mended["found"].items()))
    done = f"{mended['filled']:,} records counted again, {mended['removed']:,} rows removed"
    jobs = f", jobs {', '.join(map(str, mended['jobs']))}" if mended["jobs"] else ""
    return f"note: found {kinds}; {done}{jobs}"


def _agrees(checked: dict[str, int]) -> str:
    """For the person: an empty list alone does not say what was looked at."""
    looked_at = ", ".join(f"{what.replace('_', ' ')} {count:,}" for what, count in checked.items())
    return f"note: nothing is wrong; looked at {looked_at}"


def _table(body: Any) -> "Table":
    from campaignctl.cli.output import Column, Kind, Table

    columns = [
        Column("kind", Kind.ID),
        Column("campaign_id", Kind.ID, 1),
        Column("day", Kind.ID, 2),
        Column("event_id", Kind.ID, 3),
        Column("partition", Kind.ID, 2),
        Column("offset", Kind.ID, 1),
        Column("message"),
    ]
    return Table(columns, [[finding[column.name] for column in columns] for finding in body["findings"]])
