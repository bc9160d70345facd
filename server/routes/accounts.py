"""Accounts on ad platforms."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.accounts import PlatformAccount, account_draft
from campaignctl.domain.conversions import conversion_actions
from campaignctl.domain.users import Role
from campaignctl.services.accounts import Verification
from campaignctl.services.conversions import AccountConversions
from server.dependencies import Call
from server.operations import Answer, Body, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.routes.jobs import JOB_ACCEPTED, job_accepted
from server.schemas.accounts import (
    AccountIn,
    AccountOut,
    AccountPage,
    ConversionsIn,
    ConversionsOut,
    VerificationOut,
)

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


@serves(
    router,
    Operation(
        "GET",
        "/{account_id}/conversions",
        id="getConversions",
        tag="accounts",
        summary="Show what counts as a conversion in an account",
        params=(ACCOUNT_ID,),
        answers={
            200: Answer(
                "The definition that holds, and what was chosen before.",
                {"application/json": ConversionsOut},
                example={
                    "account_id": 3,
                    "platform": "meta",
                    "definition": "meta-list-3f0a9c1d2b4e",
                    "actions": ["lead", "omni_purchase"],
                    "origin": "account",
                    "known": None,
                    "history": [
                        {
                            "definition": "meta-list-3f0a9c1d2b4e",
                            "actions": ["lead", "omni_purchase"],
                            "own": True,
                            "chosen_at": "2026-11-02T09:00:00Z",
                        }
                    ],
                },
            )
        },
        problems=(404,),
    ),
)
def show_conversions(call: Call) -> Response:
    return call.answer(_conversions(call.app.conversions.of(call.id_in_path("account_id"), call.actor)))


@serves(
    router,
    Operation(
        "PUT",
        "/{account_id}/conversions",
        id="replaceConversions",
        tag="accounts",
        summary="Choose what counts as a conversion in an account",
        description=(
            "Of two names of which one contains the other only the containing one counts. It holds from now on; the "
            "job applies it to what was fetched, from the platform's kept answers and without asking the platform. Its "
            "result: `definition`, `first_day` and `last_day` of the kept answers, `windows`, `rows` and "
            "`slices_changed`. Running it again changes nothing."
        ),
        params=(ACCOUNT_ID,),
        body=Body({"application/json": ConversionsIn}, example={"actions": ["lead", "omni_purchase"]}),
        answers={202: JOB_ACCEPTED},
        problems=(404,),
    ),
)
def replace_conversions(call: Call) -> Response:
    account = call.app.accounts.get(call.id_in_path("account_id"), call.actor)
    call.actor.require(Role.OPERATOR)
    actions = conversion_actions(call.json())
    return job_accepted(call, call.app.conversions.replace(account.id, actions, call.actor))


def _conversions(found: AccountConversions) -> dict[str, object]:
    return {
        "account_id": found.account.id,
        "platform": found.account.platform,
        "definition": found.definition.version,
        "actions": found.definition.actions,
        "origin": found.origin,
        "known": found.known,
        "history": [
            {
                "definition": one.definition.version,
                "actions": one.definition.actions,
                "own": one.is_own,
                "chosen_at": one.chosen_at,
            }
            for one in found.history
        ],
    }
