"""Members of the organization, and invitations to it."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.fields import FieldReader
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import FieldError, InvalidInput
from server.bodies import text_members
from server.dependencies import Call
from server.operations import Answer, Body, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.routes.auth import USER_EXAMPLE, shown_user
from server.schemas.access import Acceptance, InvitationIn, InvitationOut, MemberIn, MemberPage, ResetIssued
from server.schemas.sessions import UserOut

router = APIRouter(prefix="/api/v1")

_MEMBER_ID = Param("member_id", "The member's number.", {"type": "integer", "minimum": 1}, place="path", example=7)
_TOKEN = Param("token", "The invitation's token.", {"type": "string"}, place="path", example="inv_...")
_LONGEST_EMAIL = 254


@serves(
    router,
    Operation(
        "GET",
        "/members",
        id="listMembers",
        tag="access",
        summary="List the organization's members",
        params=(LIMIT, CURSOR),
        answers={
            200: Answer(
                "A page, by id.",
                {"application/json": MemberPage},
                headers=LINK_HEADER,
                example={"items": [USER_EXAMPLE], "next_cursor": None},
            )
        },
    ),
)
def list_members(call: Call) -> Response:
    page = call.app.members.list(call.actor, limit=limit_of(call), cursor=call.one("cursor"))
    return answer_page(call, page, shown_user)


@serves(
    router,
    Operation(
        "GET",
        "/members/{member_id}",
        id="getMember",
        tag="access",
        summary="Show a member",
        params=(_MEMBER_ID,),
        answers={200: Answer("The member.", {"application/json": UserOut}, example=USER_EXAMPLE)},
        problems=(404,),
    ),
)
def show_member(call: Call) -> Response:
    return call.answer(shown_user(call.app.members.get(call.id_in_path("member_id"), call.actor)))


@serves(
    router,
    Operation(
        "PUT",
        "/members/{member_id}",
        id="changeMemberRole",
        tag="access",
        summary="Give a member another role",
        description="Holds within 5 s everywhere. An organization keeps at least one admin.",
        params=(_MEMBER_ID,),
        body=Body({"application/json": MemberIn}, example={"role": "analyst"}),
        answers={200: Answer("The member.", {"application/json": UserOut}, example=USER_EXAMPLE)},
        problems=(404, 409),
    ),
)
def change_member_role(call: Call) -> Response:
    call.actor.require(Role.ADMIN)
    role = _role(call.json(), "role")
    user = call.app.members.change_role(call.id_in_path("member_id"), role, call.actor)
    call.audit_details["role"] = role.value
    return call.answer(shown_user(user))


@serves(
    router,
    Operation(
        "DELETE",
        "/members/{member_id}",
        id="removeMember",
        tag="access",
        summary="Remove a member",
        description="All sessions of the member end within 5 s. An organization keeps at least one admin.",
        params=(_MEMBER_ID,),
        answers={204: Answer("The member is removed.")},
        problems=(404, 409),
    ),
)
def remove_member(call: Call) -> Response:
    member = call.app.members.get(call.id_in_path("member_id"), call.actor)
    call.app.members.remove(member.id, call.actor)
    call.audit_details["email"] = member.email
    return Response(status_code=204)


@serves(
    router,
    Operation(
        "POST",
        "/members/{member_id}/password-reset",
        id="issuePasswordReset",
        tag="access",
        summary="Issue a one-time token that sets a new password",
        description="For a member who forgot the password. The token is shown this once and holds for a day.",
        params=(_MEMBER_ID,),
        answers={
            201: Answer(
                "The token.",
                {"application/json": ResetIssued},
                example={"token": "pwr_...", "expires_at": "2026-10-02T08:30:00Z"},
            )
        },
        problems=(404,),
        idempotent=True,
        secret_members=("token",),
    ),
)
def issue_password_reset(call: Call) -> Response:
    issued = call.app.members.issue_reset(call.id_in_path("member_id"), call.actor)
    return call.answer({"token": issued.token, "expires_at": issued.expires_at}, status=201)


@serves(
    router,
    Operation(
        "POST",
        "/invitations",
        id="invite",
        tag="access",
        summary="Invite somebody to the organization",
        description="The token is shown this once and holds for a week; a new invitation voids an earlier one.",
        body=Body({"application/json": InvitationIn}, example={"email": "bob@example.com", "role": "analyst"}),
        answers={
            201: Answer(
                "The invitation.",
                {"application/json": InvitationOut},
                example={
                    "id": 3,
                    "email": "bob@example.com",
                    "role": "analyst",
                    "token": "inv_...",
                    "expires_at": "2026-10-08T08:30:00Z",
                },
            )
        },
        problems=(409,),
        idempotent=True,
        secret_members=("token",),
    ),
)
def invite(call: Call) -> Response:
    call.actor.require(Role.ADMIN)
    errors: list[FieldError] = []
    fields = FieldReader(call.json(), ("email", "role"), errors)
    email = fields.text("email", max_length=_LONGEST_EMAIL)
    role = fields.choice("role", Role, Role.VIEWER) if fields.required("role") else Role.VIEWER
    if errors:
        raise InvalidInput(errors)
    issued = call.app.members.invite(email, role, call.actor)
    invitation = issued.invitation
    call.audit_details |= {"email": invitation.email, "role": invitation.role.value}
    body = {
        "id": invitation.id,
        "email": invitation.email,
        "role": invitation.role,
        "token": issued.token,
        "expires_at": invitation.expires_at,
    }
    return call.answer(body, status=201)


@serves(
    router,
    Operation(
        "POST",
        "/invitations/{token}/accept",
        id="acceptInvitation",
        tag="access",
        summary="Accept an invitation",
        params=(_TOKEN,),
        body=Body(
            {"application/json": Acceptance}, example={"password": "correct horse battery staple", "name": "Bob"}
        ),
        answers={
            201: Answer("The user; sign in with the password.", {"application/json": UserOut}, example=USER_EXAMPLE)
        },
        problems=(404, 409, 429),
        public=True,
        idempotent=True,
    ),
)
def accept_invitation(call: Call) -> Response:
    given = text_members(call.json(), "password", optional=["name"])
    user = call.app.members.accept(call.request.path_params["token"], given["password"], given.get("name", ""))
    call.sign_in_as(Actor(user.organization_id, user.role, user_id=user.id))
    return call.answer(shown_user(user), status=201)


def _role(value: object, name: str) -> Role:
    errors: list[FieldError] = []
    fields = FieldReader(value, (name,), errors)
    role = fields.choice(name, Role, Role.VIEWER) if fields.required(name) else Role.VIEWER
    if errors:
        raise InvalidInput(errors)
    return role
