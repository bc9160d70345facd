"""API keys of the organization."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.api_keys import NAME_MAX_CODE_POINTS, ApiKey, Scope
from campaignctl.domain.fields import FieldReader
from campaignctl.domain.users import Role
from campaignctl.errors import FieldError, InvalidInput
from server.dependencies import Call
from server.operations import Answer, Body, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.access import ApiKeyIn, ApiKeyIssued, ApiKeyOut, ApiKeyPage

router = APIRouter(prefix="/api/v1/api-keys")

_KEY_ID = Param("key_id", "The key's number.", {"type": "integer", "minimum": 1}, place="path", example=5)
_EXAMPLE = {
    "id": 5,
    "name": "nightly export",
    "prefix": "cak_3f9a0c12b7de",
    "scopes": ["read"],
    "expires_at": None,
    "created_at": "2026-10-01T08:30:00Z",
    "last_used_at": None,
}


def _shown(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "prefix": key.prefix,
        "scopes": key.scopes,
        "expires_at": key.expires_at,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
    }


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listApiKeys",
        tag="access",
        summary="List API keys",
        params=(LIMIT, CURSOR),
        answers={
            200: Answer(
                "A page, by id; the keys themselves are never shown again.",
                {"application/json": ApiKeyPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_api_keys(call: Call) -> Response:
    page = call.app.api_keys.list(call.actor, limit=limit_of(call), cursor=call.one("cursor"))
    return answer_page(call, page, _shown)


@serves(
    router,
    Operation(
        "POST",
        "",
        id="createApiKey",
        tag="access",
        summary="Create an API key",
        description=(
            "`key` is shown this once. Scopes: `read` as a viewer, `ingest` to post events and nothing else, `operate` "
            "as an operator, `admin` as an admin; several add up."
        ),
        body=Body({"application/json": ApiKeyIn}, example={"name": "nightly export", "scopes": ["read"]}),
        answers={
            201: Answer(
                "The key.",
                {"application/json": ApiKeyIssued},
                headers={"Location": "Its path."},
                example=_EXAMPLE | {"key": "cak_3f9a0c12b7de_..."},
            )
        },
        idempotent=True,
        secret_members=("key",),
    ),
)
def create_api_key(call: Call) -> Response:
    call.actor.require(Role.ADMIN)
    errors: list[FieldError] = []
    fields = FieldReader(call.json(), ("name", "scopes", "expires_at"), errors)
    name = fields.text("name", max_length=NAME_MAX_CODE_POINTS)
    scopes = fields.choices("scopes", Scope)
    expires_at = fields.instant("expires_at")
    if errors:
        raise InvalidInput(errors)
    issued = call.app.api_keys.create(name, scopes, expires_at, call.actor)
    call.audit_details |= {"name": name, "prefix": issued.api_key.prefix, "scopes": ",".join(scopes)}
    headers = {"Location": f"{router.prefix}/{issued.api_key.id}"}
    return call.answer(_shown(issued.api_key) | {"key": issued.key}, status=201, headers=headers)


@serves(
    router,
    Operation(
        "GET",
        "/{key_id}",
        id="getApiKey",
        tag="access",
        summary="Show an API key",
        params=(_KEY_ID,),
        answers={200: Answer("The key, without the key itself.", {"application/json": ApiKeyOut}, example=_EXAMPLE)},
        problems=(404,),
    ),
)
def show_api_key(call: Call) -> Response:
    return call.answer(_shown(call.app.api_keys.get(_key_id(call), call.actor)))


@serves(
    router,
    Operation(
        "DELETE",
        "/{key_id}",
        id="revokeApiKey",
        tag="access",
        summary="Revoke an API key",
        description="It is dead within 5 s everywhere.",
        params=(_KEY_ID,),
        answers={204: Answer("The key is revoked.")},
        problems=(404,),
    ),
)
def revoke_api_key(call: Call) -> Response:
    key = call.app.api_keys.get(_key_id(call), call.actor)
    call.app.api_keys.revoke(key.id, call.actor)
    call.audit_details |= {"name": key.name, "prefix": key.prefix}
    return Response(status_code=204)


def _key_id(call: Call) -> int:
    return call.id_in_path("key_id")
