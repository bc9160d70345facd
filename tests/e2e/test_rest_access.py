"""Members, invitations, API keys, password resets and the audit log, over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.e2e.rest import PASSWORD, Rest, User, fields, problem

OTHER_PASSWORD = "another long sentence of mine"


def my_id(user: User) -> int:
    return int(user.ask("GET", "/auth/me").json()["id"])


def key_of(admin: User, *scopes: str, **members: Any) -> dict[str, Any]:
    answer = admin.ask("POST", "/api-keys", json={"name": "a key", "scopes": list(scopes)} | members)
    assert answer.status_code == 201, answer.text
    body: dict[str, Any] = answer.json()
    return body


def bearer(key: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {key['key']}"}


# Invitations and members


def test_an_invited_person_becomes_a_member_with_the_role(rest: Rest) -> None:
    admin = rest.user()
    invited = admin.ask("POST", "/invitations", json={"email": "Bob@example.org", "role": "analyst"})
    assert invited.status_code == 201
    assert invited.json().keys() == {"id", "email", "role", "token", "expires_at"}
    path = f"/api/v1/invitations/{invited.json()['token']}/accept"
    assert fields(problem(rest.client.post(path, json={"password": "short"}), 422)) == ["password"]
    accepted = rest.client.post(path, json={"password": PASSWORD, "name": "Bob"})
    assert accepted.status_code == 201
    assert accepted.json() | {"id": 0, "created_at": ""} == {
        "id": 0,
        "email": "Bob@example.org",
        "name": "Bob",
        "role": "analyst",
        "created_at": "",
    }
    problem(rest.client.post(path, json={"password": PASSWORD}), 404)
    bob = rest.signed_in("bob@example.org")
    mine = admin.campaign()
    assert bob.ask("GET", f"/campaigns/{mine['id']}").json() == mine
    listed = admin.ask("GET", "/members").json()
    assert [item["email"] for item in listed["items"]] == [admin.email, "Bob@example.org"]
    assert listed["next_cursor"] is None
    problem(admin.ask("POST", "/invitations", json={"email": "BOB@example.org", "role": "viewer"}), 409, "email_taken")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["email", "role"]),
        ({"email": "nobody", "role": "viewer"}, ["email"]),
        ({"email": "a@example.org", "role": "owner"}, ["role"]),
        ({"email": "a@example.org", "role": "admin", "organization_id": 1}, ["organization_id"]),
    ],
)
def test_a_bad_invitation_names_the_member(user: User, body: dict[str, str], named: list[str]) -> None:
    assert sorted(fields(problem(user.ask("POST", "/invitations", json=body), 422))) == named


def test_roles_change_and_members_go_but_for_the_last_admin(rest: Rest) -> None:
    admin = rest.user()
    member = rest.member(admin, "operator")
    path = f"/members/{my_id(member)}"
    changed = admin.ask("PUT", path, json={"role": "viewer"})
    assert changed.json()["role"] == "viewer"
    assert admin.ask("GET", path).json() == changed.json()
    rest.app.access._sessions.clear()  # 2 s later
    problem(member.ask("POST", "/campaigns", json={"name": "x"}), 403)
    mine = f"/members/{my_id(admin)}"
    problem(admin.ask("PUT", mine, json={"role": "viewer"}), 409, "last_admin")
    problem(admin.ask("DELETE", mine), 409, "last_admin")
    assert admin.ask("DELETE", path).status_code == 204
    rest.app.access._sessions.clear()
    problem(member.ask("GET", "/campaigns"), 401)
    problem(rest.client.post("/api/v1/auth/login", json={"email": member.email, "password": PASSWORD}), 401)
    problem(admin.ask("GET", path), 404)


def test_a_forgotten_password_is_set_with_a_token_of_an_admin(rest: Rest) -> None:
    admin = rest.user()
    member = rest.member(admin, "viewer")
    issued = admin.ask("POST", f"/members/{my_id(member)}/password-reset")
    assert issued.status_code == 201
    body = {"token": issued.json()["token"], "new_password": member.email}
    weak = rest.client.post("/api/v1/auth/password/reset", json=body)
    assert fields(problem(weak, 422)) == ["new_password"]
    body |= {"new_password": OTHER_PASSWORD}
    assert rest.client.post("/api/v1/auth/password/reset", json=body).status_code == 204
    problem(rest.client.post("/api/v1/auth/password/reset", json=body), 404)
    problem(rest.client.post("/api/v1/auth/refresh", json={"refresh_token": member.tokens["refresh_token"]}), 401)
    assert rest.signed_in(member.email, OTHER_PASSWORD).ask("GET", "/auth/me").status_code == 200


# API keys


def test_a_key_is_shown_once_and_works_until_revoked(rest: Rest) -> None:
    admin = rest.user()
    key = key_of(admin, "read")
    members = {"id", "name", "prefix", "scopes", "expires_at", "created_at", "last_used_at", "key"}
    assert key.keys() == members
    assert key["key"].startswith(key["prefix"])
    assert rest.client.get("/api/v1/campaigns", headers=bearer(key)).json()["items"] == []
    shown = admin.ask("GET", f"/api-keys/{key['id']}").json()
    assert shown.keys() == members - {"key"}
    assert shown["last_used_at"] is not None
    listed = admin.ask("GET", "/api-keys")
    assert listed.json()["items"] == [shown]
    assert key["key"] not in listed.text
    assert admin.ask("DELETE", f"/api-keys/{key['id']}").status_code == 204
    problem(rest.client.get("/api/v1/campaigns", headers=bearer(key)), 401, "invalid_token")
    problem(admin.ask("DELETE", f"/api-keys/{key['id']}"), 404)


def test_scopes_open_just_what_they_name(rest: Rest) -> None:
    admin = rest.user()
    asked = {
        "read": ("GET", "/campaigns", None),
        "ingest": ("POST", "/events", []),
        "write": ("POST", "/campaigns", {"name": "x"}),
        "manage": ("GET", "/members", None),
    }
    allowed = {
        ("read",): {"read"},
        ("ingest",): {"ingest"},
        ("read", "ingest"): {"read", "ingest"},
        ("operate",): {"read", "ingest", "write"},
        ("admin",): {"read", "ingest", "write", "manage"},
    }
    for scopes, expected in allowed.items():
        headers = bearer(key_of(admin, *scopes))
        got = set()
        for name, (method, path, body) in asked.items():
            answer = rest.client.request(method, f"/api/v1{path}", headers=headers, json=body)
            assert answer.status_code in (200, 201, 202, 403), answer.text
            if answer.status_code != 403:
                got.add(name)
        assert got == expected, scopes


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["name", "scopes"]),
        ({"name": "k", "scopes": []}, ["scopes"]),
        ({"name": "k", "scopes": "read"}, ["scopes"]),
        ({"name": "k", "scopes": ["reed"]}, ["scopes"]),
        ({"name": " ", "scopes": ["read"]}, ["name"]),
        ({"name": "k", "scopes": ["read"], "expires_at": "tomorrow"}, ["expires_at"]),
        ({"name": "k", "scopes": ["read"], "expires_at": "2020-01-01T00:00:00Z"}, ["expires_at"]),
        ({"name": "k", "scopes": ["read"], "key": "cak_mine"}, ["key"]),
    ],
)
def test_a_bad_key_request_names_the_member(user: User, body: dict[str, Any], named: list[str]) -> None:
    assert sorted(fields(problem(user.ask("POST", "/api-keys", json=body), 422))) == named


def test_keys_end(rest: Rest) -> None:
    admin = rest.user()
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    key = key_of(admin, "read", expires_at=soon)
    assert rest.client.get("/api/v1/campaigns", headers=bearer(key)).status_code == 200
    for forged in (key["key"][:-1], key["key"] + "a", key["prefix"], "cak_", "cak_" + "A" * 4_000):
        problem(rest.client.get("/api/v1/campaigns", headers={"Authorization": f"Bearer {forged}"}), 401)


def test_a_key_is_no_session(rest: Rest) -> None:
    headers = bearer(key_of(rest.user(), "admin"))
    problem(rest.client.get("/api/v1/auth/me", headers=headers), 404)
    problem(rest.client.post("/api/v1/auth/logout", headers=headers), 401)


def test_a_replayed_answer_holds_no_secret(rest: Rest) -> None:
    admin = rest.user()
    for path, body, secret in (
        ("/api-keys", {"name": "k", "scopes": ["read"]}, "key"),
        ("/invitations", {"email": "carol@example.org", "role": "viewer"}, "token"),
        (f"/members/{my_id(admin)}/password-reset", None, "token"),
    ):
        headers = {"Idempotency-Key": f"same {secret} {path}"}
        first = admin.ask("POST", path, json=body, headers=headers)
        again = admin.ask("POST", path, json=body, headers=headers)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json() == {name: value for name, value in first.json().items() if name != secret}
    assert len(admin.ask("GET", "/api-keys").json()["items"]) == 1


def test_strangers_with_one_key_accept_different_invitations(rest: Rest) -> None:
    admin, bodies = rest.user(), []
    for number in range(2):
        email = f"invited{number}@example.org"
        token = admin.ask("POST", "/invitations", json={"email": email, "role": "viewer"}).json()["token"]
        for _ in range(2):
            answer = rest.client.post(
                f"/api/v1/invitations/{token}/accept", json={"password": PASSWORD}, headers={"Idempotency-Key": "1"}
            )
            assert answer.status_code == 201, answer.text
            bodies.append(answer.json()["email"])
    assert bodies == ["invited0@example.org"] * 2 + ["invited1@example.org"] * 2


# Audit


def test_what_changes_something_is_in_the_audit_log(rest: Rest) -> None:
    admin = rest.user()
    campaign = admin.campaign()
    key = key_of(admin, "operate")
    rest.client.post("/api/v1/campaigns", json={"name": "by key"}, headers=bearer(key))
    member = rest.member(admin, "viewer")
    admin.ask("GET", "/campaigns")
    problem(member.ask("GET", "/audit"), 403)
    entries = admin.ask("GET", "/audit").json()["items"]
    assert [entry["action"] for entry in entries] == [
        "login",
        "acceptInvitation",
        "invite",
        "createCampaign",
        "createApiKey",
        "createCampaign",
        "login",
        "register",
    ]
    assert entries[5]["object"] == f"campaigns/{campaign['id']}"
    assert (entries[5]["actor"], entries[5]["actor_name"]) == (f"user:{my_id(admin)}", admin.email)
    assert (entries[3]["actor"], entries[3]["actor_name"]) == (f"api_key:{key['id']}", key["prefix"])
    assert entries[1]["object"] == "invitations/.../accept"
    text = admin.ask("GET", "/audit").text
    assert key["key"] not in text
    assert PASSWORD not in text
    found = admin.ask("GET", f"/audit?action=createCampaign&actor={admin.email}").json()["items"]
    assert found == [entries[5]]
    first = admin.ask("GET", "/audit?limit=5").json()
    rest_of_it = admin.ask("GET", f"/audit?limit=200&cursor={first['next_cursor']}").json()
    assert first["items"] + rest_of_it["items"] == entries
    since = datetime.fromisoformat(entries[4]["at"]) + timedelta(microseconds=1)
    later = admin.ask("GET", "/audit", params={"since": since.isoformat()}).json()["items"]
    assert later == entries[:4]
    assert fields(problem(admin.ask("GET", "/audit?since=yesterday"), 422)) == ["since"]


def test_the_operator_of_the_machine_sees_all(rest: Rest, user: User, stranger: User) -> None:
    seen = rest.client.get("/api/v1/members?limit=200", headers=rest.operator).json()["items"]
    assert {user.email, stranger.email} <= {item["email"] for item in seen}
    assert stranger.email not in user.ask("GET", "/members").text
