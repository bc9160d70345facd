"""Errors as RFC 9457 problems: the one place where the tree of ``campaignctl.errors`` meets HTTP.

A problem never repeats input, and the text of an unexpected exception, or of a store's, stays in the log: the
``request_id`` of the answer finds it there.
"""

import http
import json
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope, Send

from campaignctl import errors
from campaignctl.errors import FieldError

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:campaignctl:problem:"
CHALLENGE = 'Bearer realm="campaignctl"'

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Problem:
    """One answer that says what went wrong and what to do about it."""

    status: int
    code: str
    """Stable and searchable: ``campaignctl explain CODE``."""
    detail: str
    errors: tuple[FieldError, ...] = ()
    hint: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, request_id: str) -> bytes:
        """The problem as JSON; members without a value are left out."""
        members: dict[str, object] = {
            "type": TYPE_PREFIX + self.code,
            "title": _TITLES.get(self.code) or self.code.replace("_", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": request_id,
        }
        if self.errors:
            members["errors"] = [{"field": e.field, "message": e.message} for e in self.errors]
        if self.hint:
            members["hint"] = self.hint
        return _encodable(members)


class HttpError(Exception):
    """Something only HTTP knows is wrong (a media type, a header, a deadline): answered as its problem."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


_TITLES = {
    "invalid_input": "The input is not valid",
    "malformed_request": "The request does not parse",
    "not_signed_in": "Not signed in",
    "forbidden": "Not allowed",
    "not_found": "No such object",
    "not_acceptable": "The answer has no such form",
    "conflict": "The object's state does not allow this",
    "precondition_failed": "The object has changed",
    "precondition_required": "If-Match is missing",
    "throttled": "Too many tries",
    "platform_unavailable": "An ad platform cannot be reached now",
    "platform_throttled": "An ad platform's quota is used up",
    "platform_sign_in_expired": "The account has to sign in to its platform again",
    "platform_forbidden": "The account's credentials do not allow this",
    "platform_rejected": "The platform says that the request is wrong",
    "platform_answer_invalid": "A platform's answer does not make sense",
    "unavailable": "A service cannot be reached now",
    "not_ready": "Not ready yet",
    "overloaded": "The server is busy",
    "not_yet_visible": "Not visible yet",
    "internal_error": "Something went wrong on our side",
}

# The first class that fits decides, so a subclass stands before its parent.
_STATUS: tuple[tuple[type[errors.CampaignctlError], int], ...] = (
    (errors.InvalidInput, 422),
    (errors.MalformedRequest, 400),
    (errors.TooLarge, 413),
    (errors.NotSignedIn, 401),
    (errors.Forbidden, 403),
    (errors.NotFound, 404),
    (errors.PreconditionFailed, 412),
    (errors.Conflict, 409),
    (errors.PreconditionRequired, 428),
    (errors.Throttled, 429),
    (errors.Unavailable, 503),
    (errors.Fenced, 503),
    (errors.SchemaMismatch, 503),
    (errors.ConfigurationError, 503),
    # The caller's own rights are fine (no 401, no 403): it is the account that has to be put right first.
    (errors.PlatformSignInExpired, 409),
    (errors.PlatformForbidden, 409),
    (errors.PlatformRejected, 409),
    (errors.PlatformError, 503),
)
_PLATFORM_RETRY_AFTER_S = 30.0
"""Where a platform does not say when to come back: its own troubles rarely pass sooner."""

_AWAY = {
    "analytics": "the analytics store cannot be reached now",
    "metadata": "the metadata store cannot be reached now",
    "event_log": "the event log cannot be reached now",
    "cache": "the cache cannot be reached now",
}


def problem_of(error: Exception) -> Problem:
    """The problem that answers an exception; an exception that nobody meant is an ``internal_error``."""
    match error:
        case HttpError():
            return error.problem
        case errors.CampaignctlError():
            return _of_ours(error)
        case HTTPException():
            return _of_framework(error)
        case RequestValidationError():
            return Problem(422, "invalid_input", "the request is not valid", errors=tuple(_fields(error)))
    return Problem(500, "internal_error", "the request failed; the log has the details under this request_id")


def _of_ours(error: errors.CampaignctlError) -> Problem:
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return Problem(500, "internal_error", "the request failed; the log has the details under this request_id")
    fields = error.errors if isinstance(error, errors.InvalidInput) else ()
    if status != 503:
        return Problem(status, error.code, error.message, fields, error.hint, _headers(error))
    return Problem(status, error.code, _said_of_store(error), fields, _hint_of_store(error), _headers(error))


def _said_of_store(error: errors.CampaignctlError) -> str:
    """What may be said of a store in trouble: its own message may name addresses and paths."""
    match error:
        case errors.NotYetVisible() | errors.PlatformError():
            return error.message
        case errors.StorageFull():
            return "the disk is full or the store cannot be written; nothing was taken"
        case errors.SchemaMismatch():
            return "the schema of the stores is not the one of this program"
        case errors.ConfigurationError():
            return "a store does not let this program in, or is not what the configuration says"
        case errors.Unavailable(service=service):
            return _AWAY.get(service, "the service is not available now")
    return "the request was interrupted by a change of ownership"


def _hint_of_store(error: errors.CampaignctlError) -> str:
    if isinstance(error, errors.SchemaMismatch):
        return "an operator has to run campaignctl init-schema"
    if isinstance(error, errors.ConfigurationError):
        return "an operator has to look at the log and the configuration"
    if isinstance(error, errors.NotYetVisible | errors.PlatformError):
        return error.hint
    return "try again in a moment"


def _headers(error: errors.CampaignctlError) -> dict[str, str]:
    match error:
        case errors.NotSignedIn():
            return {"WWW-Authenticate": CHALLENGE}
        case errors.Throttled(retry_after_s=seconds) | errors.Unavailable(retry_after_s=seconds):
            return retry_after(seconds)
        case errors.Fenced() | errors.SchemaMismatch() | errors.ConfigurationError():
            return retry_after(1.0)
        case errors.PlatformSignInExpired() | errors.PlatformForbidden() | errors.PlatformRejected():
            return {}
        case errors.PlatformError(retry_after_s=seconds):
            return retry_after(_PLATFORM_RETRY_AFTER_S if seconds is None else seconds)
    return {}


def retry_after(seconds: float) -> dict[str, str]:
    """The header in whole seconds, rounded up: a client that obeys must not come too early."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _of_framework(error: HTTPException) -> Problem:
    """The framework raises these while it routes; its own texts are not ours to promise."""
    headers = dict(error.headers or {})
    match error.status_code:
        case 404:
            return Problem(404, "not_found", "there is nothing at this path", headers=headers)
        case 405:
            return Problem(405, "method_not_allowed", "this path does not know the method", headers=headers)
        case 413:
            return Problem(413, "too_large", "the body is too large", headers=headers)
        case status if status < 500:
            phrase = http.HTTPStatus(status).phrase.lower()
            return Problem(status, phrase.replace(" ", "_"), phrase, headers=headers)
    return Problem(500, "internal_error", "the request failed; the log has the details under this request_id")


def _fields(error: RequestValidationError) -> Iterator[FieldError]:
    """Where the framework's own check failed, without the input it repeats."""
    for item in error.errors():
        location: Sequence[object] = item.get("loc", ())
        yield FieldError(".".join(map(str, location[1:])) or "body", str(item.get("msg", "is not valid")))


def _encodable(members: Mapping[str, object]) -> bytes:
    try:
        return msgspec.json.encode(members)
    except UnicodeEncodeError:  # a lone surrogate that came with the input: JSON can carry it as an escape only
        return json.dumps(members).encode()


def request_id_of(scope: Scope) -> str:
    return str(scope.get("state", {}).get("request_id", ""))


def problem_response(problem: Problem, scope: Scope) -> Response:
    return Response(
        problem.body(request_id_of(scope)),
        status_code=problem.status,
        headers=dict(problem.headers),
        media_type=MEDIA_TYPE,
    )


async def send_problem(problem: Problem, scope: Scope, send: Send) -> None:
    """Answer with a problem from below the framework."""
    body = problem.body(request_id_of(scope))
    headers = [
        (b"content-type", MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        *((name.lower().encode(), value.encode()) for name, value in problem.headers.items()),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def answer_error(request: Request, error: Exception) -> Response:
    """The application's exception handler."""
    problem = problem_of(error)
    if isinstance(error, HTTPException) and error.status_code == 405:
        allow = ", ".join(allowed_methods(request.app.routes, request.scope))
        problem = Problem(405, problem.code, problem.detail, hint=f"it knows {allow}", headers={"Allow": allow})
    if problem.status >= 500:
        log_failure(error, request.scope)
    return problem_response(problem, request.scope)


def log_failure(error: Exception, scope: Scope) -> None:
    """Write what went wrong to the log, under the request's id; the trace only of what nobody meant."""
    expected = isinstance(error, errors.CampaignctlError | HttpError)
    logger.log(
        logging.WARNING if expected else logging.ERROR,
        "request %s failed: %s",
        request_id_of(scope),
        error if expected else type(error).__name__,
        exc_info=None if expected else error,
    )


def allowed_methods(routes: Sequence[BaseRoute], scope: Scope) -> list[str]:
    """The methods that the path of the request knows, sorted; empty where no route has the path."""
    methods: set[str] = set()
    for route in routes:
        match, _ = route.matches(scope)
        if match is not Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods | {"OPTIONS"}) if methods else []
