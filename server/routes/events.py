"""``POST /events``: a JSON array or newline-delimited JSON, plain or gzip, answered when everything is durable."""

import contextlib
import threading
import zlib
from collections.abc import Iterator

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.errors import MalformedRequest, TooLarge
from campaignctl.services.event_intake import Accepted, split_json_array, split_ndjson
from server.bodies import media_type, unsupported_media_type
from server.dependencies import Call
from server.middleware import busy
from server.operations import Answer, Body, ListOf, Operation, serves
from server.problem import HttpError
from server.schemas.events import AcceptedEvents, EventIn

router = APIRouter(prefix="/api/v1")

MAX_UNPACKED_BYTES = 32 << 20
LARGE_BYTES = 1 << 20
MAX_LARGE_AT_ONCE = 4
"""A request of 32 MiB takes ten times that while its records are judged; smaller ones are not counted."""
_LARGE_WAIT_S = 0.25
MAX_GZIP_MEMBERS = 100
"""What follows a member is copied, so many empty ones would take hours."""

MAX_AT_ONCE = 32
"""Of the 64 requests at work: while the event log is silent, the others still have their places."""

_posts = threading.BoundedSemaphore(MAX_AT_ONCE)
_large_requests = threading.BoundedSemaphore(MAX_LARGE_AT_ONCE)
_EXAMPLE = [
    {
        "event_id": "c-20261001-000001",
        "campaign_id": 42,
        "platform": "meta",
        "event_time": "2026-10-01T08:30:00+05:30",
        "event_type": "click",
        "region": "IN",
        "spend": "0.42",
    }
]


@serves(
    router,
    Operation(
        "POST",
        "/events",
        id="sendEvents",
        tag="events",
        summary="Send events",
        description=(
            "Every record is judged by itself: what is valid will be counted once, what is not goes to the dead "
            "letters. All of it is durable once this is answered. The body may be gzip (Content-Encoding): at most "
            "8 MiB as sent and 32 MiB unpacked."
        ),
        body=Body(
            {
                "application/json": ListOf(EventIn),
                "application/x-ndjson": {"type": "string", "description": "One event a line; blank lines are skipped."},
            },
            example=_EXAMPLE,
        ),
        answers={
            202: Answer(
                "What became of the records.",
                {"application/json": AcceptedEvents},
                example={
                    "accepted": 1,
                    "rejected": [{"index": 1, "code": "missing_field", "message": "campaign_id is required"}],
                    "position": "k3Jx...",
                },
            )
        },
        idempotent=True,
        for_ingest=True,
        audited=False,  # thousands a minute; what came from whom is told by the events themselves
    ),
)
def send_events(call: Call) -> Response:
    call.actor.require_ingest()  # before any work is done for a body
    kind = media_type(call.request.headers.get("content-type"))
    if kind not in ("application/json", "application/x-ndjson"):
        raise unsupported_media_type(
            "events come as application/json (an array) or application/x-ndjson", "set Content-Type to one of them"
        )
    with _place(), _unpacked(call) as body:
        records = split_json_array(body) if kind == "application/json" else split_ndjson(body)
        taken = call.app.intake.accept(records, actor=call.actor, request_id=call.request_id)
    return call.answer(_answer(taken), status=202)


@contextlib.contextmanager
def _place() -> Iterator[None]:
    """One of the places that requests with events have."""
    if not _posts.acquire(timeout=_LARGE_WAIT_S):
        raise HttpError(busy("too many requests with events are being worked on"))
    try:
        yield
    finally:
        _posts.release()


def _answer(taken: Accepted) -> dict[str, object]:
    rejected = [{"index": one.index, "code": one.code, "message": one.message} for one in taken.rejected]
    return {"accepted": taken.accepted, "rejected": rejected, "position": taken.position}


@contextlib.contextmanager
def _unpacked(call: Call) -> Iterator[bytes]:
    """The body without its encoding; a large one is in memory together with few others only."""
    encoding = call.request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip"):
        raise unsupported_media_type(
            "the only encoding of a body is gzip", "send it plain, or as Content-Encoding: gzip"
        )
    body: bytes | None = call.body
    if encoding == "gzip":
        body = gunzip(call.body, LARGE_BYTES)
    if body is not None and len(body) <= LARGE_BYTES:
        yield body
        return
    if not _large_requests.acquire(timeout=_LARGE_WAIT_S):
        raise HttpError(busy("too many large requests are being worked on"))
    try:
        if body is None:
            body = gunzip(call.body, MAX_UNPACKED_BYTES)
        if body is None:
            raise TooLarge(f"the body is larger than {MAX_UNPACKED_BYTES} bytes unpacked")
        yield body
    finally:
        _large_requests.release()


def gunzip(body: bytes, limit_bytes: int) -> bytes | None:
    """The content of one gzip file or of several in a row; None when there is more than ``limit_bytes`` of it.

    Never unpacks further than the limit. Raises ``MalformedRequest`` for what is no gzip, or is cut short.
    """
    parts: list[bytes] = []
    left_bytes = limit_bytes
    while body:
        if len(parts) == MAX_GZIP_MEMBERS:
            raise MalformedRequest(f"the body is more than {MAX_GZIP_MEMBERS} gzip files in a row")
        unpacker = zlib.decompressobj(wbits=31)
        try:
            part = unpacker.decompress(body, left_bytes + 1)
        except zlib.error:
            raise MalformedRequest("the body is not valid gzip") from None
        if len(part) > left_bytes:
            return None
        if not unpacker.eof:
            raise MalformedRequest("the body is gzip that ends before its end")
        parts.append(part)
        left_bytes -= len(part)
        body = unpacker.unused_data
    return b"".join(parts)
