"""Accounts on ad platforms."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.accounts import PlatformAccount, account_draft
from campaignctl.domain.users import Role
from campaignctl.services.accounts import Verification
from server.dependencies import Call
from server.operations import Answer, Body, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.accounts import AccountIn, AccountOut, AccountPage, VerificationOut

router = APIRouter(prefix="/api/v1/accounts")

ACCOUNT_ID = Param("account_id", "The account's number.", {"type": "integer", "minimum": 1}, place="path", example=3)
_EXAMPLE_IN = {
    "platform": "meta",
    "account_id": "act_1002003",
    "name": "Shop EU",
    "credentials": {"access_token": "EAAB..."},
}
_EXAMPLE = {
    "id": 3,
    "platform": "meta",
    "account_id": "act_1002003",
    "name": "Shop EU",
    "timezone": "Europe/Berlin",
    "currency": "EUR",
    "credentials": {"set": True, "expires_at": "2026-12-24T08:00:00Z"},
    "verified_at": "2026-10-25T08:00:00Z",
    "created_at": "2026-10-25T07:59:00Z",
    "updated_at": "2026-10-25T07:59:00Z",
}


def _shown(account: PlatformAccount) -> dict[str, object]:
    return {
        "id": account.id,
        "platform": account.platform,
        "account_id": account.account_id,
        "name": account.name,
        "timezone": account.timezone or None,
        "currency": account.currency or None,
        "credentials": {"set": account.has_credentials, "expires_at": account.expires_at},
        "verified_at": account.verified_at,
        "created_at": account.created_at,
        "updated_at": account.updated_at,
    }


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listAccounts",
        tag="accounts",
        summary="List accounts on ad platforms",
        params=(LIMIT, CURSOR),
        answers={
            200: Answer(
                "A page, by id; credentials are never answered.",
                {"application/json": AccountPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_accounts(call: Call) -> Response:
    page = call.app.accounts.list(call.actor, limit=limit_of(call), cursor=call.one("cursor"))
    return answer_page(call, page, _shown)


@serves(
    router,
    Operation(
        "POST",
        "",
        id="addAccount",
        tag="accounts",
        summary="Connect an account",
        description="Credentials are kept encrypted and never answered.",
        body=Body({"application/json": AccountIn}, example=_EXAMPLE_IN),
        answers={
            201: Answer(
                "The account.",
                {"application/json": AccountOut},
                headers={"Location": "Its path."},
                example=_EXAMPLE,
            )
        },
        problems=(409,),
        idempotent=True,
    ),
)
def add_account(call: Call) -> Response:
    call.actor.require(Role.OPERATOR)
    account = call.app.accounts.add(account_draft(call.json()), call.actor)
    return call.answer(_shown(account), status=201, headers={"Location": f"{router.prefix}/{account.id}"})


@serves(
    router,
    Operation(
        "GET",
        "/{account_id}",
        id="getAccount",
        tag="accounts",
        summary="Show an account",
        params=(ACCOUNT_ID,),
        answers={200: Answer("The account.", {"application/json": AccountOut}, example=_EXAMPLE)},
        problems=(404,),
    ),
)
def show_account(call: Call) -> Response:
    return call.answer(_shown(call.app.accounts.get(call.id_in_path("account_id"), call.actor)))


@serves(
    router,
    Operation(
        "PUT",
        "/{account_id}",
        id="replaceAccount",
        tag="accounts",
        summary="Change an account",
        description=(
            "`platform` and `account_id` must be the account's own; name, time zone and currency are replaced, and the "
            "credentials where some are given."
        ),
        params=(ACCOUNT_ID,),
        body=Body({"application/json": AccountIn}, example=_EXAMPLE_IN),
        answers={200: Answer("The account.", {"application/json": AccountOut}, example=_EXAMPLE)},
        problems=(404,),
    ),
)
def replace_account(call: Call) -> Response:
    account = call.app.accounts.get(call.id_in_path("account_id"), call.actor)
    call.actor.require(Role.OPERATOR)
    return call.answer(_shown(call.app.accounts.replace(account.id, account_draft(call.json()), call.actor)))


@serves(
    router,
    Operation(
        "DELETE",
        "/{account_id}",
        id="removeAccount",
        tag="accounts",
        summary="Remove an account",
        description="Forgets its credentials. What it has reported stays.",
        params=(ACCOUNT_ID,),
        answers={204: Answer("The account is removed.")},
        problems=(404,),
    ),
)
def remove_account(call: Call) -> Response:
    call.app.accounts.remove(call.id_in_path("account_id"), call.actor)
    return Response(status_code=204)


@serves(
    router,
    Operation(
        "POST",
        "/{account_id}/verify",
        id="verifyAccount",
        tag="accounts",
        summary="Ask the platform what the account is and what the credentials may do",
        params=(ACCOUNT_ID,),
        answers={
            200: Answer(
                "What the platform says.",
                {"application/json": VerificationOut},
                example={"status": "ok", "missing_permissions": [], "message": None, "account": _EXAMPLE},
            )
        },
        problems=(404,),
        idempotent=True,
    ),
)
def verify_account(call: Call) -> Response:
    return call.answer(_verified(call.app.accounts.verify(call.id_in_path("account_id"), call.actor)))


def _verified(found: Verification) -> dict[str, object]:
    return {
        "status": found.state,
        "missing_permissions": found.missing_permissions,
        "message": found.message or None,
        "account": _shown(found.account),
    }
