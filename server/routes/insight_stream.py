"""A campaign's insights as they change: server-sent events."""

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from campaignctl.domain.users import Actor
from server.dependencies import Call
from server.negotiation import best_media_type
from server.operations import Answer, Operation, Param, serves_live
from server.paging import CURSOR
from server.problem import HttpError, Problem
from server.routes.campaigns import CAMPAIGN_ID
from server.routes.insights import PARAMS, wait_for_position
from server.streams import HEADERS, MEDIA_TYPE, Ending, EventStream, Question, Streams

router = APIRouter(prefix="/api/v1/campaigns")

_DESCRIPTION = f"""Server-sent events about one question: each `insights` event holds a whole answer, as the route
without `/stream` gives it. The first comes at once, the next ones when the campaign's data, its settings, its rates or
the time have changed it, at most two a second. Its `id` stands for the answer's content: with `Last-Event-ID` nothing
is sent again that has not changed, whichever process is asked. A comment comes every 15 seconds when nothing else does.

The last event of a stream that the server ends is `end`, whose `reason` is one of {", ".join(Ending)}. Credentials are
looked at all the time: within 5 seconds after they have ended or were revoked, the stream ends. A stream gives no
answer older than one it has given, and is silent while a store is away. A user, or an API key, may have
`server.streams_per_user` open in a process."""
_EXAMPLE = (
    'retry: 2000\n\nevent: insights\ndata: {"campaign_id": 42, ...}\nid: 5f0c...\n\nevent: end\n'
    'data: {"reason": "signed_out"}\n\n'
)


@serves_live(
    router,
    Operation(
        "GET",
        "/{campaign_id}/insights/stream",
        id="streamCampaignInsights",
        tag="insights",
        summary="A campaign's numbers as they change",
        description=_DESCRIPTION,
        params=(
            CAMPAIGN_ID,
            *(param for param in PARAMS if param is not CURSOR),
            Param("Last-Event-ID", "The id of the last event that was received.", {"type": "string"}, place="header"),
        ),
        answers={200: Answer("Events without end.", {MEDIA_TYPE: {"type": "string", "examples": [_EXAMPLE]}})},
        problems=(404, 406, 429),
    ),
)
async def stream_insights(call: Call) -> Response:
    if best_media_type(",".join(call.request.headers.getlist("accept")), (MEDIA_TYPE,)) is None:
        detail = "a stream has no other form than server-sent events"
        raise HttpError(Problem(406, "not_acceptable", detail, hint=f"Accept {MEDIA_TYPE}"))
    campaign_id = call.id_in_path("campaign_id")
    if call.one("after") is not None:
        await wait_for_position(call)
    parameters = tuple((name, tuple(values)) for name, values in sorted(call.query.items()) if name != "after")
    question = Question(campaign_id, parameters, call.actor.organization_id)
    if call.wants_head:
        run = call.app.insights.run
        await run_in_threadpool(run, dict(parameters), call.actor, campaign_id=campaign_id, or_last=False)
        return StreamingResponse((), headers=HEADERS, media_type=MEDIA_TYPE)

    def who() -> Actor:
        return call.gatekeeper.actor(call.request)

    streams: Streams = call.request.app.state.streams
    stream = streams.enter(question, call.actor, who)
    try:
        first = await streams.answer(stream)
        return EventStream(streams, stream, first, call.request.headers.get("last-event-id"))
    except BaseException:  # also when the request is cancelled: the place must not stay taken
        streams.leave(stream)
        raise
