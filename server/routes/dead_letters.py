"""Dead letters: what was refused, why, and its original bytes."""

from collections.abc import Sequence

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.dead_letters import FILTER_MEMBERS, FromLog, FromRequest, LetterCode, letter_filter
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.jobs import Job
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.services.letter_listing import ListedLetter
from campaignctl.services.letter_replay import MAX_IDS
from server.bytes_in_json import as_text
from server.dependencies import Call
from server.operations import Answer, Body, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.routes.jobs import JOB_ACCEPTED, job_accepted
from server.schemas.dead_letters import DeadLetterOut, DeadLetterPage, ReplayIn

router = APIRouter(prefix="/api/v1/dead-letters")

_TIME = {"type": "string", "format": "date-time"}
FILTERS = (
    Param("reason", "Only those of this reason code.", {"type": "string", "enum": list(LetterCode)}),
    Param(
        "campaign_id", "Only those that named this campaign.", {"type": "integer", "minimum": 1, "maximum": 2**63 - 1}
    ),
    Param("since", "Only those refused at or after this time.", _TIME),
    Param("until", "Only those refused before this time.", _TIME),
)
_EXAMPLE = {
    "id": "0-17",
    "code": "invalid_value",
    "message": "spend must be a decimal number such as 12.5",
    "source": "kafka",
    "value": '{"event_id":"c-1","campaign_id":42,"platform":"meta","spend":"12 dollars"}',
    "value_base64": None,
    "topic": "campaign-events",
    "partition": 3,
    "offset": 120044,
    "request_id": None,
    "index": None,
    "campaign_id": 42,
    "length": None,
    "sha256": None,
    "at": "2026-10-01T03:00:01.250Z",
    "replay_of": None,
    "replayed_at": None,
}


def _shown(listed: ListedLetter) -> dict[str, object]:
    stored = listed.stored
    letter, origin = stored.letter, stored.letter.origin
    by_log = origin if isinstance(origin, FromLog) else None
    by_http = origin if isinstance(origin, FromRequest) else None
    text, in_base64 = as_text(letter.value)
    return {
        "id": stored.id,
        "code": letter.code,
        "message": letter.message,
        "source": "kafka" if by_log else "http",
        "value": text,
        "value_base64": in_base64,
        "topic": by_log and by_log.topic,
        "partition": by_log and by_log.partition,
        "offset": by_log and by_log.offset,
        "request_id": by_http and by_http.request_id,
        "index": by_http and by_http.index,
        "campaign_id": letter.campaign_id,
        "length": letter.whole_bytes,
        "sha256": letter.sha256,
        "at": letter.at,
        "replay_of": letter.replay_of,
        "replayed_at": listed.replayed_at,
    }


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listDeadLetters",
        tag="dead letters",
        summary="List refused records",
        description=(
            "A record that came by HTTP is its sender's organization's, one by the log its campaign's. A page may have "
            "fewer items than asked for although more follow: `next_cursor` alone says whether there are more."
        ),
        params=(*FILTERS, LIMIT, CURSOR),
        answers={
            200: Answer(
                "A page, newest first.",
                {"application/json": DeadLetterPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_dead_letters(call: Call) -> Response:
    page = call.app.letter_listing.page(
        call.actor,
        letter_filter({name: value for name, value in call.ones().items() if name in FILTER_MEMBERS}),
        limit=limit_of(call),
        cursor=call.one("cursor"),
    )
    return answer_page(call, page, _shown)


@serves(
    router,
    Operation(
        "GET",
        "/{letter_id}",
        id="getDeadLetter",
        tag="dead letters",
        summary="Show a refused record",
        params=(Param("letter_id", "The letter's id, as a listing names it.", {"type": "string"}, place="path"),),
        answers={200: Answer("The letter.", {"application/json": DeadLetterOut}, example=_EXAMPLE)},
        problems=(404,),
    ),
)
def show_dead_letter(call: Call) -> Response:
    return call.answer(_shown(call.app.letter_listing.get(call.actor, call.request.path_params["letter_id"])))


@serves(
    router,
    Operation(
        "POST",
        "/replay",
        id="replayDeadLetters",
        tag="dead letters",
        summary="Produce refused records again",
        description=(
            "The original bytes of the named letters, or of all that the filters mean, are judged once more; an event "
            "counts once however often this is done. A record that is still bad becomes a dead letter again. Letters "
            "that were replayed before are passed over by filters, unless `again` is true."
        ),
        body=Body({"application/json": ReplayIn}, example={"reason": "unknown_campaign", "campaign_id": 42}),
        answers={202: JOB_ACCEPTED},
        idempotent=True,
    ),
)
def replay_dead_letters(call: Call) -> Response:
    return job_accepted(call, _replay(call, call.json()))


def _replay(call: Call, body: object) -> Job:
    errors: list[FieldError] = []
    given = FieldReader(body, ("ids", *FILTER_MEMBERS, "again"), errors)
    ids, again = given.value("ids"), given.value("again") or False
    if not isinstance(again, bool):
        given.fail("again", "must be true or false")
    if ids is not None and not _are_ids(ids):
        given.fail("ids", f"must be a list of 1 to {MAX_IDS} ids, each a string")
    if ids is not None and any(given.given(name) for name in FILTER_MEMBERS):
        given.fail("ids", "cannot be combined with filters")
    if errors:
        raise InvalidInput(errors)
    if isinstance(ids, Sequence):
        return call.app.letter_replays.by_ids([str(one) for one in ids], call.actor)
    wanted = {name: given.value(name) for name in FILTER_MEMBERS}
    campaign_id = letter_filter(wanted).campaign_id
    return call.app.letter_replays.by_filter(wanted, call.actor, campaign_id=campaign_id, again=again is True)


def _are_ids(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str | bytes)
        and 1 <= len(value) <= MAX_IDS
        and all(isinstance(one, str) for one in value)
    )
