"""Registration, signing in and out, over HTTP."""

import pytest

from tests.e2e.rest import PASSWORD, Rest, User, fields, problem


def test_register_login_me(rest: Rest) -> None:
    body = {"email": "Ada@Example.com", "password": PASSWORD, "name": "Ada"}
    answer = rest.client.post("/api/v1/auth/register", json=body)
    assert answer.status_code == 201
    assert answer.json().keys() == {"id", "email", "name", "role", "created_at"}
    assert (answer.json()["email"], answer.json()["name"], answer.json()["role"]) == ("Ada@Example.com", "Ada", "admin")
    assert PASSWORD not in answer.text
    problem(rest.client.post("/api/v1/auth/register", json=body | {"email": "ada@example.COM"}), 409, "email_taken")
    tokens = rest.client.post("/api/v1/auth/login", json={"email": "ADA@example.com", "password": PASSWORD})
    assert tokens.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    assert tokens.json()["token_type"] == "bearer"
    assert tokens.headers["cache-control"] == "no-store"
    me = rest.client.get("/api/v1/auth/me", headers={"Authorization": f"bearer {tokens.json()['access_token']}"})
    assert me.json() == answer.json()


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, ["email", "password"]),
        ({"email": "b@example.com"}, ["password"]),
        ({"email": "b@example.com", "password": "short"}, ["password"]),
        ({"email": "b@example.com", "password": "b@example.com"}, ["password"]),
        ({"email": "nobody", "password": PASSWORD}, ["email"]),
        ({"email": 7, "password": PASSWORD}, ["email"]),
        ({"email": "b@example.com", "password": True}, ["password"]),
        ({"email": "b@example.com", "password": PASSWORD, "role": "admin"}, ["role"]),
        ({"email": "b@example.com", "pasword": PASSWORD}, ["pasword", "password"]),
        ([], ["body"]),
        ("text", ["body"]),
    ],
)
def test_a_bad_registration_names_the_member_and_repeats_nothing(rest: Rest, body: object, named: list[str]) -> None:
    answer = rest.client.post("/api/v1/auth/register", json=body)
    assert sorted(fields(problem(answer, 422))) == sorted(named)
    assert PASSWORD not in answer.text


def test_nearest_name(rest: Rest) -> None:
    answer = rest.client.post("/api/v1/auth/login", json={"email": "a@example.com", "pasword": "x" * 12})
    messages = {error["field"]: error["message"] for error in problem(answer, 422)["errors"]}
    assert "did you mean password" in messages["pasword"]
    answer = rest.client.post("/api/v1/auth/login?next=/", json={"email": "a@example.com", "password": PASSWORD})
    assert fields(problem(answer, 422)) == ["next"]


def test_wrong_password_and_unknown_user_look_alike(rest: Rest, user: User) -> None:
    answers = [
        rest.client.post("/api/v1/auth/login", json={"email": email, "password": "not the password"})
        for email in (user.email, "nobody@example.com")
    ]
    bodies = [problem(answer, 401, "invalid_credentials") for answer in answers]
    for body in bodies:
        body.pop("request_id")
    assert bodies[0] == bodies[1]
    assert all(answer.headers["www-authenticate"].startswith("Bearer") for answer in answers)


def test_refresh_rotates_and_reuse_ends_the_session(rest: Rest) -> None:
    user = rest.user()
    first = {"refresh_token": user.tokens["refresh_token"]}
    renewed = rest.client.post("/api/v1/auth/refresh", json=first)
    assert renewed.status_code == 200
    problem(rest.client.post("/api/v1/auth/refresh", json=first), 401, "invalid_token")
    again = {"refresh_token": renewed.json()["refresh_token"]}
    problem(rest.client.post("/api/v1/auth/refresh", json=again), 401, "invalid_token")
    problem(user.ask("GET", "/auth/me"), 401, "invalid_token")


def test_logout(rest: Rest) -> None:
    by_bearer, by_token = rest.user(), rest.user()
    assert by_bearer.ask("POST", "/auth/logout").status_code == 204
    problem(by_bearer.ask("GET", "/auth/me"), 401)
    refused = rest.client.post("/api/v1/auth/refresh", json={"refresh_token": by_bearer.tokens["refresh_token"]})
    problem(refused, 401)
    answer = rest.client.post("/api/v1/auth/logout", json={"refresh_token": by_token.tokens["refresh_token"]})
    assert (answer.status_code, answer.content) == (204, b"")
    problem(by_token.ask("GET", "/auth/me"), 401)
    problem(rest.client.post("/api/v1/auth/logout"), 401)
    problem(rest.client.post("/api/v1/auth/logout", json={}), 401)


def test_a_changed_password_ends_the_other_sessions(rest: Rest) -> None:
    user = rest.user()
    other = rest.client.post("/api/v1/auth/login", json={"email": user.email, "password": PASSWORD}).json()
    wrong = user.ask("POST", "/auth/password", json={"current_password": "x" * 12, "new_password": "y" * 3 + PASSWORD})
    assert fields(problem(wrong, 422)) == ["current_password"]
    body = {"current_password": PASSWORD, "new_password": "another long sentence"}
    assert user.ask("POST", "/auth/password", json=body).status_code == 204
    assert user.ask("GET", "/auth/me").status_code == 200
    problem(rest.client.post("/api/v1/auth/refresh", json={"refresh_token": other["refresh_token"]}), 401)


def test_throttling_says_when_to_come_back(rest: Rest) -> None:
    body = {"email": "throttled@example.com", "password": "not the password"}
    answers = [rest.client.post("/api/v1/auth/login", json=body) for _ in range(12)]
    assert {answer.status_code for answer in answers} == {401, 429}
    problem(answers[-1], 429, "throttled")
    assert int(answers[-1].headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    "value",
    [
        "", "Bearer", "Bearer ", "Bearer a b", "Basic YTpi", "Token x", "Bearer " + "a" * 5_000, "bearer\x7f",
        "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.", "Bearer ..", "Bearer é",
    ],
)  # fmt: skip
def test_other_credentials_are_refused(rest: Rest, value: str) -> None:
    answer = rest.client.get("/api/v1/auth/me", headers={"Authorization": value.encode("latin-1")})
    problem(answer, 401)
    assert "www-authenticate" in answer.headers


def test_no_credentials(rest: Rest) -> None:
    for method, path in (
        ("GET", "/auth/me"), ("GET", "/campaigns"), ("POST", "/campaigns"), ("GET", "/campaigns/1"),
        ("PUT", "/campaigns/1"), ("GET", "/campaigns/1/insights"), ("GET", "/insights"), ("POST", "/events"),
        ("GET", "/currency-rates"), ("PUT", "/currency-rates"), ("POST", "/auth/password"),
    ):  # fmt: skip
        problem(rest.client.request(method, "/api/v1" + path), 401, "not_signed_in")


def test_the_operator_of_the_machine(rest: Rest, user: User) -> None:
    campaign = user.campaign()
    assert rest.client.get(f"/api/v1/campaigns/{campaign['id']}", headers=rest.operator).status_code == 200
    problem(rest.client.get("/api/v1/auth/me", headers=rest.operator), 404)
    narrowed = rest.operator | {"X-Campaignctl-Organization": "999999"}
    problem(rest.client.get(f"/api/v1/campaigns/{campaign['id']}", headers=narrowed), 404)
    for text in ("0", "x", "-1", "1" * 30):
        headers = rest.operator | {"X-Campaignctl-Organization": text}
        assert fields(problem(rest.client.get("/api/v1/campaigns", headers=headers), 422)) == [
            "X-Campaignctl-Organization"
        ]
    problem(user.ask("GET", "/campaigns", headers={"X-Campaignctl-Organization": "1"}), 403)
    problem(rest.client.get("/api/v1/campaigns", headers={"Authorization": "Bearer operator-token"}), 401)
