"""Who may do what: every operation of the document, asked by every role, by a key of each scope, and by a stranger.

An operation that has no row here fails the build.
"""

from typing import Any

import pytest

from campaignctl.domain.jobs import Job, JobKind
from campaignctl.ports.jobs import NewJob
from tests.e2e.rest import Rest, User

ROLES = ("viewer", "analyst", "operator", "admin")
PUBLIC, SELF, INGEST = "public", "self", "ingest"
"""Beside the roles: for anyone; for whoever is signed in as a user; for who may post events."""

LEAST_ROLE = {
    "register": PUBLIC,
    "login": PUBLIC,
    "refresh": PUBLIC,
    "logout": PUBLIC,
    "resetPassword": PUBLIC,
    "acceptInvitation": PUBLIC,
    "getHealth": PUBLIC,
    "getLiveness": PUBLIC,
    "getReadiness": PUBLIC,
    "getMetrics": PUBLIC,
    "getDocument": PUBLIC,
    "getMe": SELF,
    "changePassword": SELF,
    "listCampaigns": "viewer",
    "createCampaign": "analyst",
    "getCampaign": "viewer",
    "replaceCampaign": "analyst",
    "eraseEvents": "admin",
    "eraseCampaign": "admin",
    "getCampaignInsights": "viewer",
    "streamCampaignInsights": "viewer",
    "getInsights": "viewer",
    "getCampaignRestatements": "viewer",
    "reconcileCampaign": "viewer",
    "explainNumber": "viewer",
    "getCampaignPacing": "viewer",
    "listUnmapped": "viewer",
    "listRates": "viewer",
    "putRates": "analyst",
    "getFreshness": "viewer",
    "getSystem": "operator",
    "listAccounts": "viewer",
    "addAccount": "operator",
    "getAccount": "viewer",
    "replaceAccount": "operator",
    "removeAccount": "operator",
    "verifyAccount": "operator",
    "getConversions": "viewer",
    "replaceConversions": "operator",
    "fetchReports": "operator",
    "listJobs": "viewer",
    "getJob": "viewer",
    "cancelJob": "operator",
    "reaggregateCampaign": "operator",
    "listDeadLetters": "operator",
    "getDeadLetter": "operator",
    "replayDeadLetters": "operator",
    "listConflicts": "operator",
    "exportEvents": "operator",
    "sendEvents": INGEST,
    "listMembers": "admin",
    "getMember": "admin",
    "changeMemberRole": "admin",
    "removeMember": "admin",
    "issuePasswordReset": "admin",
    "invite": "admin",
    "listApiKeys": "admin",
    "createApiKey": "admin",
    "getApiKey": "admin",
    "revokeApiKey": "admin",
    "listAudit": "admin",
}


def _operations(rest: Rest) -> dict[str, tuple[str, str, dict[str, Any]]]:
    document = rest.client.get("/openapi.json").json()
    return {
        shown["operationId"]: (method.upper(), path, shown)
        for path, item in document["paths"].items()
        for method, shown in item.items()
    }


@pytest.fixture(scope="module")
def operations(rest: Rest) -> dict[str, tuple[str, str, dict[str, Any]]]:
    return _operations(rest)


def test_every_operation_has_a_row(operations: dict[str, Any]) -> None:
    assert LEAST_ROLE.keys() == operations.keys()


def test_public_operations_are_public_and_no_others(operations: dict[str, Any]) -> None:
    public = {name for name, (_, _, shown) in operations.items() if "security" not in shown}
    assert public == {name for name, least in LEAST_ROLE.items() if least is PUBLIC}


@pytest.fixture(scope="module")
def organization(rest: Rest) -> dict[str, User]:
    """A member of each role."""
    admin = rest.user()
    return {role: rest.member(admin, role) for role in ROLES}


@pytest.fixture(scope="module")
def objects(rest: Rest, organization: dict[str, User]) -> dict[str, int | str]:
    """An object of the organization for each kind of id in a path."""
    return _made(rest, organization["admin"])


def _made(rest: Rest, admin: User) -> dict[str, int | str]:
    """An object of the admin's organization for each kind of id in a path."""
    member = rest.member(admin, "viewer").ask("GET", "/auth/me").json()["id"]
    mine = rest.app.metadata.user(member)
    assert mine is not None
    job = rest.app.metadata.add_job(NewJob(JobKind.REPLAY, mine.organization_id, {}))
    assert isinstance(job, Job)
    admin.ask("POST", "/events", json=[{"event_id": "refused"}])
    return {
        "campaign_id": admin.campaign()["id"],
        "member_id": member,
        "key_id": admin.ask("POST", "/api-keys", json={"name": "k", "scopes": ["read"]}).json()["id"],
        "account_id": admin.ask("POST", "/accounts", json={"platform": "meta", "account_id": str(member)}).json()["id"],
        "job_id": job.id,
        "letter_id": admin.ask("GET", "/dead-letters").json()["items"][0]["id"],
    }


def _ask(user: User, method: str, path: str, objects: dict[str, int | str]) -> Any:
    """The operation with nothing in its body: allowed, it fails for that at the earliest."""
    body = {} if method in ("POST", "PUT") else None
    method = "HEAD" if path.endswith("/stream") else method  # what it answers with has no end
    return user.ask(method, path.removeprefix("/api/v1").format(**objects), json=body)


def _signed_in_names() -> list[str]:
    """What takes the shared objects away comes last."""
    names = [name for name, least in LEAST_ROLE.items() if least is not PUBLIC and least is not SELF]
    return sorted(names, key=lambda name: name.startswith(("remove", "revoke", "erase", "delete")))


@pytest.mark.parametrize("name", _signed_in_names())
def test_each_role_may_what_it_may(
    name: str, organization: dict[str, User], objects: dict[str, int | str], operations: dict[str, Any]
) -> None:
    method, path, _ = operations[name]
    least = "operator" if LEAST_ROLE[name] == INGEST else LEAST_ROLE[name]
    for role in ROLES:
        answer = _ask(organization[role], method, path, objects)
        allowed = ROLES.index(role) >= ROLES.index(least)
        assert (answer.status_code != 403) is allowed, (name, role, answer.status_code, answer.text[:200])
        assert answer.status_code not in (401, 500)
        if allowed and method == "DELETE":
            break  # it is gone: who may more would find nothing


@pytest.mark.parametrize("name", _signed_in_names())
def test_another_organization_finds_nothing(
    name: str, rest: Rest, stranger: User, organization: dict[str, User], operations: dict[str, Any]
) -> None:
    method, path, _ = operations[name]
    if "{" not in path:
        return
    mine = _made(rest, organization["admin"])
    nobodys = dict.fromkeys(mine, 9_999_999) | {"letter_id": "0-9999999"}
    bodies = {"changeMemberRole": {"role": "viewer"}, "replaceCampaign": {"name": "x"}}
    answers = [
        stranger.ask(method, path.removeprefix("/api/v1").format(**ids), json=bodies.get(name))
        for ids in (mine, nobodys)
    ]
    for answer in answers:
        assert answer.status_code == 404, (name, answer.status_code, answer.text[:200])
    theirs, missing = (answer.json() for answer in answers)
    assert theirs.keys() == missing.keys()
    assert theirs["code"] == missing["code"]


def test_nobody_gets_in_without_credentials(
    rest: Rest, objects: dict[str, int | str], operations: dict[str, Any]
) -> None:
    for name, (method, path, _) in operations.items():
        if LEAST_ROLE[name] is not PUBLIC:
            answer = rest.client.request(method, path.format(**objects), json={})
            assert answer.status_code == 401, (name, answer.status_code)
