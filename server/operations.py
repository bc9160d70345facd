"""Operations: each route's inputs, answers and problems in one value, from which it is served and documented.

``serves`` puts an endpoint behind the checks that its operation declares, in this order: the caller is signed in, the
query knows every name, an idempotency key is honoured. What the document says is therefore what is checked.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from campaignctl.domain.users import Role
from server.audit import audited
from server.dependencies import Call
from server.direct import direct
from server.idempotency import answers_once
from server.problem import MEDIA_TYPE
from server.schemas.problems import Problem

Schema = Mapping[str, Any]
SyncEndpoint = Callable[[Call], Response]
AsyncEndpoint = Callable[[Call], Awaitable[Response]]
AsyncStep = Callable[[Call], Awaitable[None]]

PROBLEMS = {
    400: "The request does not parse.",
    401: "Not signed in, or the token holds no longer.",
    403: "Signed in, and not allowed.",
    404: "No such object, or one of another organization.",
    406: "The answer has none of the forms in `Accept`.",
    408: "The body did not arrive in time.",
    409: "The object's state does not allow this.",
    412: "The object changed since it was read.",
    413: "The body is too large.",
    414: "The path and query are too long.",
    415: "The media type or the encoding of the body is not taken.",
    422: "The input is not valid; `errors` names the fields.",
    428: "If-Match is missing.",
    429: "Too many tries; `Retry-After` says when to come back.",
    431: "The headers are too many or too large.",
    500: "Something went wrong on our side.",
    503: "A service cannot be reached, or the server is busy; `Retry-After` says when to come back.",
}
_ANYWHERE = (400, 414, 422, 431, 500, 503)
_WITH_BODY = (408, 413, 415)
_WITH_RETRY_AFTER = (429, 503)
_COMPONENT = "#/components/schemas/{name}"
_models: dict[str, type[BaseModel]] = {}
"""What operations refer to, by name; filled while they are registered."""


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of the query, the path or the head."""

    name: str
    description: str
    schema: Schema
    many: bool = False
    """Whether it may be repeated, or hold a comma list."""
    required: bool = False
    place: str = "query"
    example: object = None


@dataclass(frozen=True, slots=True)
class ListOf:
    """An array of a model."""

    items: type[BaseModel]
    most: int | None = None


Shape = type[BaseModel] | ListOf | Schema
"""Of a body or an answer: a model, several, or a schema as it stands."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request body by media type."""

    content: Mapping[str, Shape]
    required: bool = True
    example: object = None


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer."""

    description: str
    content: Mapping[str, Shape] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    example: object = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    id: str
    tag: str
    summary: str
    answers: Mapping[int, Answer]
    """The first one is the usual answer."""
    description: str = ""
    problems: tuple[int, ...] = ()
    """Beside those that any operation of its kind can answer."""
    params: tuple[Param, ...] = ()
    body: Body | None = None
    public: bool = False
    """Whether it needs no credentials."""
    idempotent: bool = False
    """Whether it honours ``Idempotency-Key``."""
    documented: bool = True
    for_ingest: bool = False
    """Whether a key that may only post events may ask; everything else needs the role viewer at least."""
    audited: bool = True
    """Whether a success goes into the audit log; reading never does."""
    secret_members: tuple[str, ...] = ()
    """Members of the answer that are shown once: a replayed answer is without them."""

    @property
    def known_query(self) -> dict[str, bool]:
        """The names the query may hold, and whether each may be repeated."""
        return {param.name: param.many for param in self.params if param.place == "query"}


def _nothing_at_hand(_call: Call) -> Response | None:
    return None


def serves(router: APIRouter, operation: Operation) -> Callable[[SyncEndpoint], SyncEndpoint]:
    """Register a blocking endpoint for the operation; it runs in a thread."""

    def register(endpoint: SyncEndpoint) -> SyncEndpoint:
        reads = operation.method in ("GET", "HEAD")
        answer = endpoint if reads or not operation.audited else audited(endpoint, operation.id)
        if operation.idempotent:
            answer = answers_once(answer, operation.secret_members)

        def serve(request: Request) -> Response:
            call = _prepared(request, router, operation)
            return call.packed(answer(call))

        _add_route(router, operation, serve)
        return endpoint

    return register


def serves_waiting(
    router: APIRouter,
    operation: Operation,
    *,
    must_wait: Callable[[Call], bool],
    wait: AsyncStep,
    at_hand: Callable[[Call], Response | None] = _nothing_at_hand,
) -> Callable[[SyncEndpoint], SyncEndpoint]:
    """Register a blocking endpoint that some requests may reach only after ``wait``, which must not block.

    What ``at_hand`` has is answered at once; it must not block, and answer or raise what the endpoint would. The others
    are answered within one visit to a thread: each visit costs as much as a cached answer itself. For the same reason
    the framework's routing is passed by (``server.direct``).
    """

    def register(endpoint: SyncEndpoint) -> SyncEndpoint:
        def answered(call: Call) -> Response:
            return call.packed(endpoint(call))

        def answered_at_once(request: Request) -> Response | Call:
            call = _prepared(request, router, operation)
            return call if must_wait(call) else answered(call)

        async def serve(request: Request) -> Response:
            call = _prepared_from_memory(request, router, operation)
            if call is not None and not must_wait(call):
                kept = at_hand(call)
                return await run_in_threadpool(answered, call) if kept is None else call.packed(kept)
            found = await run_in_threadpool(answered_at_once, request)
            if isinstance(found, Response):
                return found
            await wait(found)
            return await run_in_threadpool(answered, found)

        _add_route(router, operation, direct(serve))
        return endpoint

    return register


def serves_async(router: APIRouter, operation: Operation) -> Callable[[AsyncEndpoint], AsyncEndpoint]:
    """Register an endpoint that runs on the event loop and must not block; it is public, since signing in blocks."""
    if not operation.public:
        raise ValueError(f"{operation.id} needs a sign-in, which blocks")

    def register(endpoint: AsyncEndpoint) -> AsyncEndpoint:
        async def serve(request: Request) -> Response:
            return await endpoint(_prepared(request, router, operation))

        _add_route(router, operation, serve)
        return endpoint

    return register


def serves_live(router: APIRouter, operation: Operation) -> Callable[[AsyncEndpoint], AsyncEndpoint]:
    """Register an endpoint that runs on the event loop, behind a sign-in in a thread; it must not block."""

    def register(endpoint: AsyncEndpoint) -> AsyncEndpoint:
        async def serve(request: Request) -> Response:
            return await endpoint(await run_in_threadpool(_prepared, request, router, operation))

        _add_route(router, operation, serve)
        return endpoint

    return register


def _prepared(request: Request, router: APIRouter, operation: Operation) -> Call:
    call = Call(request, router.prefix + operation.path)
    if router.prefix:  # what stands at the root tells how it is, whatever that is
        call.gate.pass_through()
    if not operation.public:
        call.sign_in()
        if not operation.for_ingest:
            call.actor.require(Role.VIEWER)
    call.read_query(operation.known_query)
    return call


def _prepared_from_memory(request: Request, router: APIRouter, operation: Operation) -> Call | None:
    """As ``_prepared``, on the event loop; None where something has to be asked for, or the caller will be refused."""
    call = Call(request, router.prefix + operation.path)
    if not call.gate.is_open:
        return None
    actor = call.gatekeeper.actor_at_hand(request)
    if actor is None or actor.role is None:
        return None
    call.sign_in_as(actor)
    call.read_query(operation.known_query)
    return call


def _add_route(router: APIRouter, operation: Operation, serve: Callable[..., Any]) -> None:
    router.add_api_route(
        operation.path,
        serve,
        methods=[operation.method],
        status_code=next(iter(operation.answers)),
        response_model=None,
        response_class=Response,
        operation_id=operation.id,
        tags=[operation.tag],
        summary=operation.summary,
        description=operation.description or operation.summary,
        include_in_schema=operation.documented,
        openapi_extra=_documented(operation),
    )


def _documented(operation: Operation) -> dict[str, Any]:
    """The operation as OpenAPI 3.1 has it."""
    shown: dict[str, Any] = {"responses": {str(status): _response(a) for status, a in operation.answers.items()}}
    statuses = {*operation.problems, *_ANYWHERE}
    if operation.body is not None:
        shown["requestBody"] = _request_body(operation.body)
        statuses |= {*_WITH_BODY}
    if not operation.public:
        statuses |= {401, 403}
        shown["security"] = [{"bearer": []}]
    params = list(operation.params)
    if operation.idempotent:
        statuses |= {409}
        params.append(IDEMPOTENCY_KEY)
    shown["responses"] |= {str(s): _problem(s) for s in sorted(statuses - set(operation.answers))}
    shown["parameters"] = [_parameter(param) for param in params]
    return shown


IDEMPOTENCY_KEY = Param(
    "Idempotency-Key",
    "Makes a repetition harmless: for 24 hours the same key gives the same answer.",
    {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
    place="header",
)


def component_schemas() -> dict[str, Any]:
    """What the registered operations refer to, by name: ``components.schemas`` of the document."""
    _, definitions = models_json_schema(
        [(model, "validation") for model in _models.values()], ref_template=_COMPONENT.format(name="{model}")
    )
    schemas: dict[str, Any] = definitions["$defs"]
    return schemas


def _reference(model: type[BaseModel]) -> Schema:
    if _models.setdefault(model.__name__, model) is not model:
        raise ValueError(f"two models are called {model.__name__}, which the document cannot tell apart")
    return {"$ref": _COMPONENT.format(name=model.__name__)}


def _schema(shape: Shape) -> Schema:
    if isinstance(shape, type):
        return _reference(shape)
    if isinstance(shape, ListOf):
        most = {} if shape.most is None else {"maxItems": shape.most}
        return {"type": "array", **most, "items": _reference(shape.items)}
    return shape


def _content(content: Mapping[str, Shape], example: object) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for media_type, shape in content.items():
        shown[media_type] = {"schema": _schema(shape)}
        if example is not None and media_type == "application/json":
            shown[media_type]["example"] = example
    return shown


def _response(answer: Answer) -> dict[str, Any]:
    shown: dict[str, Any] = {"description": answer.description}
    if answer.content:
        shown["content"] = _content(answer.content, answer.example)
    if answer.headers:
        shown["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in answer.headers.items()
        }
    return shown


def _problem(status: int) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "description": PROBLEMS[status],
        "content": {MEDIA_TYPE: {"schema": _reference(Problem)}},
    }
    if status in _WITH_RETRY_AFTER:
        shown["headers"] = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
    if status == 401:
        shown["headers"] = {"WWW-Authenticate": {"description": "How to sign in.", "schema": {"type": "string"}}}
    return shown


def _request_body(body: Body) -> dict[str, Any]:
    return {"required": body.required, "content": _content(body.content, body.example)}


def _parameter(param: Param) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "name": param.name,
        "in": param.place,
        "required": param.required or param.place == "path",
        "description": param.description,
        "schema": {"type": "array", "items": param.schema} if param.many else param.schema,
    }
    if param.many:
        shown |= {"style": "form", "explode": True}
    if param.example is not None:
        shown["example"] = param.example
    return shown
