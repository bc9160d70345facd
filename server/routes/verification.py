"""Verification, a piece at a time, for the operator of the machine alone: in no document.

``campaignctl verify`` goes through the pieces, so that no request takes long and a person sees how far it is.
"""

from collections.abc import Sequence
from dataclasses import asdict

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fields import FieldReader
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.services.verification import MAX_OFFSETS
from server.dependencies import Call
from server.operations import Answer, Body, Operation, serves

router = APIRouter(prefix="/internal/verify")

_ANY = {"application/json": {"type": "object"}}
_FAR = 2**63 - 1


def _operation(path: str, name: str, summary: str) -> Operation:
    return Operation(
        "POST",
        path,
        id=name,
        tag="operator",
        summary=summary,
        body=Body(_ANY),
        answers={200: Answer("What was found, or done.", _ANY)},
        documented=False,
    )


@serves(router, _operation("/plan", "planVerification", "What there is to verify"))
def plan(call: Call) -> Response:
    asked = _Asked(call, ("campaign_id", "since"))
    found = call.app.verification.plan(asked.campaign_id, asked.since_us)
    body = {
        "partitions": [asdict(one) for one in found.reaches],
        "campaigns": [{"campaign_id": number, "raw_rows": rows} for number, rows in found.raw_rows.items()],
        "findings": [finding.shown() for finding in found.findings],
    }
    return call.answer(body)


@serves(router, _operation("/reach", "reachOfVerification", "How far the log is applied"))
def reach(call: Call) -> Response:
    _Asked(call, ())
    reaches, _ = call.app.verification.reaches(None)
    return call.answer({"partitions": [asdict(one) for one in reaches]})


@serves(router, _operation("/log", "verifyLog", "Verify a stretch of the log"))
def log(call: Call) -> Response:
    asked = _Asked(call, ("partition", "start", "end", "campaign_id"))
    piece = call.app.verification.check_log(
        asked.number("partition"), asked.number("start"), asked.number("end"), asked.campaign_id
    )
    findings = [finding.shown() for finding in piece.findings]
    return call.answer({"next": piece.next_offset, "records": piece.records, "findings": findings})


@serves(router, _operation("/campaign", "verifyCampaign", "Verify the rows of a campaign"))
def campaign(call: Call) -> Response:
    asked = _Asked(call, ("campaign_id", "since", "raw_rows"))
    findings = call.app.row_verification.check_campaign(
        asked.number("campaign_id"), asked.since_us, asked.number("raw_rows")
    )
    return call.answer({"findings": [finding.shown() for finding in findings]})


@serves(router, _operation("/fill", "fillHoles", "Produce records again that have no row"))
def fill(call: Call) -> Response:
    asked = _Asked(call, ("partition", "offsets", "directly"))
    filled = call.app.verification.fill(asked.number("partition"), asked.offsets(), directly=asked.flag("directly"))
    return call.answer({"filled": filled})


@serves(router, _operation("/surplus", "removeSurplus", "Remove rows that count something twice"))
def surplus(call: Call) -> Response:
    asked = _Asked(call, ("campaign_id", "since", "raw_rows"))
    removed = call.app.row_verification.remove_surplus(
        asked.number("campaign_id"), asked.since_us, asked.number("raw_rows")
    )
    return call.answer({"removed": removed})


@serves(router, _operation("/erased", "removeErased", "Remove again what was erased"))
def erased(call: Call) -> Response:
    campaign_id = _Asked(call, ("campaign_id",)).campaign_id
    if campaign_id is None:
        raise InvalidInput.of("campaign_id", "is required")
    job = call.app.erasure.again(campaign_id, call.actor)
    jobs = call.app.event_erasure.again(campaign_id, call.actor) if job is None else [job]
    return call.answer({"jobs": [one.id for one in jobs]})


class _Asked:
    """The body; raises ``InvalidInput`` for a wrong or unknown member, ``Forbidden`` for anybody else."""

    def __init__(self, call: Call, known: tuple[str, ...]) -> None:
        call.require_machine_operator()
        errors: list[FieldError] = []
        self._fields = FieldReader(call.json(), known, errors)
        self.campaign_id = self._fields.id("campaign_id") if "campaign_id" in known else None
        self.since_us = self._fields.instant_us("since") if "since" in known else None
        if errors:
            raise InvalidInput(errors)

    def number(self, name: str) -> int:
        value = self._fields.value(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _FAR:
            return value
        raise InvalidInput.of(name, "must be a whole number from 0 on")

    def flag(self, name: str) -> bool:
        value = self._fields.value(name) or False
        if not isinstance(value, bool):
            raise InvalidInput.of(name, "must be true or false")
        return value

    def offsets(self) -> list[int]:
        value = self._fields.value("offsets")
        if isinstance(value, Sequence) and not isinstance(value, str) and len(value) <= MAX_OFFSETS:
            numbers = [one for one in value if isinstance(one, int) and not isinstance(one, bool) and one >= 0]
            if len(numbers) == len(value):
                return numbers
        raise InvalidInput.of("offsets", f"must be a list of at most {MAX_OFFSETS} offsets")
