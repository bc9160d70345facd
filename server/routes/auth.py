"""Registration, signing in and out, and the password."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.users import Actor, User
from campaignctl.errors import NotSignedIn
from campaignctl.services.access import TokenPair
from server.bodies import text_members
from server.dependencies import Call
from server.operations import Answer, Body, Operation, serves
from server.schemas.sessions import (
    Login,
    Logout,
    PasswordChange,
    PasswordReset,
    RefreshToken,
    Registration,
    Tokens,
    UserOut,
)

router = APIRouter(prefix="/api/v1/auth")

USER_EXAMPLE = {
    "id": 1,
    "email": "ada@example.com",
    "name": "Ada",
    "role": "admin",
    "created_at": "2026-10-01T08:30:00Z",
}
_TOKENS_EXAMPLE = {
    "access_token": "eyJ...",
    "token_type": "bearer",
    "expires_in": 900,
    "refresh_token": "rt_...",
}


def shown_user(user: User) -> dict[str, object]:
    return {"id": user.id, "email": user.email, "name": user.name, "role": user.role, "created_at": user.created_at}


def _tokens(pair: TokenPair) -> dict[str, object]:
    return {
        "access_token": pair.access_token,
        "token_type": "bearer",
        "expires_in": pair.expires_in_s,
        "refresh_token": pair.refresh_token,
    }


@serves(
    router,
    Operation(
        "POST",
        "/register",
        id="register",
        tag="auth",
        summary="Register a user with an organization of their own",
        body=Body(
            {"application/json": Registration},
            example={"email": "ada@example.com", "password": "correct horse battery staple", "name": "Ada"},
        ),
        answers={201: Answer("The user.", {"application/json": UserOut}, example=USER_EXAMPLE)},
        problems=(403, 409, 429),
        public=True,
    ),
)
def register(call: Call) -> Response:
    given = text_members(call.json(), "email", "password", optional=["name"])
    user = call.app.access.register(given["email"], given["password"], given.get("name", ""))
    call.sign_in_as(Actor(user.organization_id, user.role, user_id=user.id))
    return call.answer(shown_user(user), status=201)


@serves(
    router,
    Operation(
        "POST",
        "/login",
        id="login",
        tag="auth",
        summary="Sign in",
        body=Body(
            {"application/json": Login},
            example={"email": "ada@example.com", "password": "correct horse battery staple"},
        ),
        answers={200: Answer("The session's tokens.", {"application/json": Tokens}, example=_TOKENS_EXAMPLE)},
        problems=(401, 429),
        public=True,
    ),
)
def login(call: Call) -> Response:
    given = text_members(call.json(), "email", "password")
    pair = call.app.access.login(given["email"], given["password"], address=call.address)
    call.sign_in_as(call.app.access.authenticate(pair.access_token))
    return call.answer(_tokens(pair))


@serves(
    router,
    Operation(
        "POST",
        "/refresh",
        id="refresh",
        tag="auth",
        summary="Exchange a refresh token for new tokens",
        body=Body({"application/json": RefreshToken}, example={"refresh_token": "rt_..."}),
        answers={200: Answer("The session's new tokens.", {"application/json": Tokens}, example=_TOKENS_EXAMPLE)},
        problems=(401,),
        public=True,
        audited=False,  # the session goes on
    ),
)
def refresh(call: Call) -> Response:
    given = text_members(call.json(), "refresh_token")
    return call.answer(_tokens(call.app.access.refresh(given["refresh_token"])))


@serves(
    router,
    Operation(
        "POST",
        "/logout",
        id="logout",
        tag="auth",
        summary="End a session",
        description="By its refresh token, or without a body the session of the access token.",
        body=Body({"application/json": Logout}, required=False, example={"refresh_token": "rt_..."}),
        answers={204: Answer("The session has ended.")},
        problems=(401,),
        public=True,
    ),
)
def logout(call: Call) -> Response:
    token = text_members(call.json(), optional=["refresh_token"]).get("refresh_token") if call.body else None
    if token is not None:
        call.app.access.logout(token)  # whatever the bearer is: a client may sign out after its access token expired
    else:
        call.sign_in()
        if call.actor.session_id is None:
            raise NotSignedIn("only a session can be ended, and these are no session's credentials")
        call.app.access.logout(actor=call.actor)
    return Response(status_code=204)


@serves(
    router,
    Operation(
        "GET",
        "/me",
        id="getMe",
        tag="auth",
        summary="Who is signed in",
        answers={200: Answer("The user.", {"application/json": UserOut}, example=USER_EXAMPLE)},
        problems=(404,),
    ),
)
def me(call: Call) -> Response:
    return call.answer(shown_user(call.app.access.me(call.actor)))


@serves(
    router,
    Operation(
        "POST",
        "/password",
        id="changePassword",
        tag="auth",
        summary="Change the password",
        description="Ends every other session of the user.",
        body=Body(
            {"application/json": PasswordChange},
            example={"current_password": "correct horse battery staple", "new_password": "a much longer sentence"},
        ),
        answers={204: Answer("The password is changed.")},
        problems=(429,),
    ),
)
def change_password(call: Call) -> Response:
    given = text_members(call.json(), "current_password", "new_password")
    call.app.access.change_password(call.actor, given["current_password"], given["new_password"])
    return Response(status_code=204)


@serves(
    router,
    Operation(
        "POST",
        "/password/reset",
        id="resetPassword",
        tag="auth",
        summary="Set a new password with a one-time token",
        description="The token comes from an admin of the organization. Ends every session of the user.",
        body=Body(
            {"application/json": PasswordReset},
            example={"token": "pwr_...", "new_password": "a much longer sentence"},
        ),
        answers={204: Answer("The password is set; sign in with it.")},
        problems=(404, 429),
        public=True,
    ),
)
def reset_password(call: Call) -> Response:
    given = text_members(call.json(), "token", "new_password")
    user = call.app.members.reset_password(given["token"], given["new_password"])
    call.sign_in_as(Actor(user.organization_id, user.role, user_id=user.id))
    return Response(status_code=204)
