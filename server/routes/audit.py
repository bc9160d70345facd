"""The audit log."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.audit import AuditEntry, AuditFilter
from campaignctl.domain.fields import FieldReader
from campaignctl.errors import FieldError, InvalidInput
from server.dependencies import Call
from server.operations import Answer, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.access import AuditPage

router = APIRouter(prefix="/api/v1/audit")

_INSTANT = {"type": "string", "format": "date-time"}
_EXAMPLE = {
    "id": 90,
    "at": "2026-10-01T08:30:00Z",
    "actor": "user:7",
    "actor_name": "ada@example.com",
    "action": "changeMemberRole",
    "object": "members/9",
    "details": {"role": "analyst"},
    "address": "203.0.113.9",
    "request_id": "4f0e...",
}


def _shown(entry: AuditEntry) -> dict[str, object]:
    return {
        "id": entry.id,
        "at": entry.at,
        "actor": entry.actor,
        "actor_name": entry.actor_name,
        "action": entry.action,
        "object": entry.object,
        "details": entry.details,
        "address": entry.address,
        "request_id": entry.request_id,
    }


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listAudit",
        tag="access",
        summary="List what was done, by whom and from where",
        params=(
            Param("since", "Only entries from this time on.", _INSTANT),
            Param("until", "Only entries before this time.", _INSTANT),
            Param(
                "actor",
                "Only those of this actor: `user:7`, `api_key:3`, `operator`, or an e-mail address.",
                {"type": "string"},
            ),
            Param("action", "Only this operation, by its `operationId`.", {"type": "string"}),
            LIMIT,
            CURSOR,
        ),
        answers={
            200: Answer(
                "A page, newest first.",
                {"application/json": AuditPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_audit(call: Call) -> Response:
    errors: list[FieldError] = []
    given = FieldReader(call.ones(), tuple(call.query), errors)
    wanted = AuditFilter(
        organization_id=call.actor.organization_id,
        since=given.instant("since"),
        until=given.instant("until"),
        actor=call.one("actor"),
        action=call.one("action"),
    )
    if errors:
        raise InvalidInput(errors)
    page = call.app.audit.list(call.actor, wanted, limit=limit_of(call), cursor=call.one("cursor"))
    return answer_page(call, page, _shown)
