"""The commands about members, users, API keys and the audit log: what they ask of the API and what they print."""

import io
import json

import pytest

from campaignctl.cli.app import run
from tests.unit.cli_support import Answer, Request, fake_api, ok

MEMBER = {"id": 7, "email": "bob@example.com", "name": "Bob", "role": "analyst", "created_at": "2026-10-01T08:30:00Z"}
KEY = {
    "id": 5,
    "name": "nightly",
    "prefix": "cak_3f9a",
    "scopes": ["read", "ingest"],
    "expires_at": None,
    "created_at": "2026-10-01T08:30:00Z",
    "last_used_at": None,
}


@pytest.fixture(autouse=True)
def _wide(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def answers(request: Request) -> Answer:
    match request.method, request.path.partition("?")[0]:
        case "GET", "/api/v1/members":
            return ok({"items": [MEMBER], "next_cursor": "c2"})
        case "GET" | "PUT", "/api/v1/members/7":
            return ok(MEMBER)
        case "GET", "/api/v1/api-keys":
            return ok({"items": [KEY], "next_cursor": None})
        case "GET", "/api/v1/api-keys/5":
            return ok(KEY)
        case "POST", "/api/v1/api-keys":
            return ok(KEY | {"key": "cak_3f9a_s3cret"})
        case "POST", "/api/v1/invitations":
            return ok({"id": 1, "email": "x@y.org", "role": "viewer", "token": "inv_t", "expires_at": "2026-10-08"})
        case "GET", "/api/v1/audit":
            entry = {"id": 1, "at": "2026-10-01T08:30:00Z", "actor": "user:7", "actor_name": "bob@example.com"}
            entry |= {"action": "invite", "object": "invitations", "address": "::1", "request_id": "r"}
            return ok({"items": [entry | {"details": {"role": "viewer"}}], "next_cursor": None})
    return 204, {}, b""


def asked(*arguments: str) -> tuple[int, list[Request]]:
    with fake_api(answers) as server:
        code = run(["--api", server.url, *arguments])
    return code, server.requests


def test_members_are_listed_with_the_way_to_more(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("members", "users"):
        code, requests = asked(command, "list", "--limit", "1")
        shown = capsys.readouterr()
        assert (code, requests[0].path) == (0, "/api/v1/members?limit=1")
        assert "bob@example.com" in shown.out
        assert "--cursor c2" in shown.err


def test_a_removal_needs_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("members", "remove", "7")
    assert (code, [request.method for request in requests]) == (3, ["GET"])
    assert "--yes" in capsys.readouterr().err
    code, requests = asked("members", "remove", "7", "--yes")
    assert (code, [request.method for request in requests]) == (0, ["GET", "DELETE"])
    code, requests = asked("api-keys", "revoke", "5")
    assert (code, [request.method for request in requests]) == (3, ["GET"])
    code, requests = asked("api-keys", "revoke", "5", "-y")
    assert (code, requests[-1].method, requests[-1].path) == (0, "DELETE", "/api/v1/api-keys/5")


def test_roles_and_invitations_go_in_the_body() -> None:
    _, requests = asked("members", "set-role", "7", "--role", "operator")
    assert (requests[0].method, json.loads(requests[0].body)) == ("PUT", {"role": "operator"})
    _, requests = asked("members", "invite", "x@y.org", "--role", "viewer")
    assert json.loads(requests[0].body) == {"email": "x@y.org", "role": "viewer"}


def test_a_key_is_printed_once_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("api-keys", "create", "nightly", "--scope", "read", "--scope", "ingest", "-o", "json")
    shown = capsys.readouterr()
    assert code == 0
    assert json.loads(requests[0].body) == {"name": "nightly", "scopes": ["read", "ingest"]}
    assert json.loads(shown.out)["key"] == "cak_3f9a_s3cret"
    assert "s3cret" not in shown.err
    asked("api-keys", "list")
    assert "read,ingest" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("command", "path", "body"),
    [
        (["members", "accept"], "/api/v1/invitations/inv_%2Ft/accept", {"password": "a long one"}),
        (["users", "set-password"], "/api/v1/auth/password/reset", {"token": "inv_/t", "new_password": "a long one"}),
    ],
)
def test_secrets_come_by_standard_input_or_a_terminal(
    command: list[str],
    path: str,
    body: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("inv_/t\na long one\n"))
    _, requests = asked(*command, "--token-stdin")
    assert (requests[0].path, json.loads(requests[0].body)) == (path, body)
    capsys.readouterr()
    code, requests = asked(*command)
    assert (code, requests) == (2, [])
    assert "--token-stdin" in capsys.readouterr().err


def test_audit_passes_its_filters_on(capsys: pytest.CaptureFixture[str]) -> None:
    _, requests = asked("audit", "--actor", "user:7", "--since", "2026-10-01T00:00:00Z", "-o", "csv")
    assert requests[0].path == "/api/v1/audit?actor=user%3A7&since=2026-10-01T00%3A00%3A00Z"
    assert capsys.readouterr().out.splitlines()[1].startswith("2026-10-01T08:30:00Z,user:7,bob@example.com,invite")
