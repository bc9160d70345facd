"""``accounts`` and ``fetch``: what they ask of the API, what they print, and that no credential is on a command line."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from campaignctl.cli.app import run
from tests.unit.cli_support import Answer, Request, fake_api, ok, problem

ACCOUNT = {
    "id": 3,
    "platform": "meta",
    "account_id": "act_1002003",
    "name": "Shop EU",
    "timezone": "Europe/Berlin",
    "currency": None,
    "credentials": {"set": True, "expires_at": "2026-12-24T08:00:00Z"},
    "verified_at": None,
    "created_at": "2026-10-25T07:59:00Z",
    "updated_at": "2026-10-25T07:59:00Z",
}
JOB = {
    "job_id": 7,
    "kind": "fetch",
    "status": "queued",
    "progress": {"done": 0, "total": None, "unit": "windows"},
    "result": None,
    "error": None,
    "created_at": "2026-11-02T09:00:00Z",
    "started_at": None,
    "finished_at": None,
}
PATH = "/api/v1/accounts"


@pytest.fixture(autouse=True)
def _wide(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "140")
    monkeypatch.setattr("campaignctl.cli.job_wait._LOOK_EVERY_S", 0.0)


def answers(request: Request) -> Answer:
    match request.method, request.path.partition("?")[0]:
        case "GET", "/api/v1/accounts":
            return ok({"items": [ACCOUNT], "next_cursor": "c2"})
        case "DELETE", _:
            return 204, {}, b""
    return ok(ACCOUNT)


def asked(*arguments: str, answer: Any = answers) -> tuple[int, list[Request]]:
    with fake_api(answer) as server:
        code = run(["--api", server.url, *arguments])
    return code, server.requests


def test_accounts_are_listed_with_the_way_to_more(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("accounts", "list", "--limit", "1")
    shown = capsys.readouterr()
    assert (code, requests[0].path) == (0, f"{PATH}?limit=1")
    assert "act_1002003" in shown.out and "set" in shown.out
    assert "--cursor c2" in shown.err


def test_show_prints_the_rest_body(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("accounts", "show", "3", "-o", "json")
    assert (code, requests[0].path) == (0, f"{PATH}/3")
    assert json.loads(capsys.readouterr().out) == ACCOUNT


def test_credentials_come_from_a_file_or_standard_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = {"access_token": "EAAB-s3cret"}
    (tmp_path / "meta.json").write_text(json.dumps(secret))
    _, requests = asked("accounts", "add", "meta", "act_1", "--credentials", "meta.json", "--name", "Shop")
    body = {"platform": "meta", "account_id": "act_1", "credentials": secret, "name": "Shop"}
    assert (requests[0].method, json.loads(requests[0].body)) == ("POST", body)
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(secret)))
    _, requests = asked("accounts", "add", "meta", "act_1", "--credentials", "-")
    assert json.loads(requests[0].body)["credentials"] == secret


@pytest.mark.parametrize("content", ["[]", "not json", '"EAAB-s3cret"'])
def test_what_is_no_object_is_refused_without_being_shown(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "meta.json").write_text(content)
    code, requests = asked("accounts", "add", "meta", "act_1", "--credentials", "meta.json")
    shown = capsys.readouterr()
    assert (code, requests) == (2, [])
    assert "--credentials" in shown.err and "EAAB" not in shown.err


def test_nothing_is_asked_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("accounts", "add", "meta", "act_1")
    assert (code, requests) == (2, [])
    assert "standard input" in capsys.readouterr().err


def test_an_update_keeps_what_is_not_given(capsys: pytest.CaptureFixture[str]) -> None:
    _, requests = asked("accounts", "update", "3", "--name", "Shop")
    kept = {"platform": "meta", "account_id": "act_1002003", "name": "Shop", "timezone": "Europe/Berlin"}
    assert [request.method for request in requests] == ["GET", "PUT"]
    assert json.loads(requests[1].body) == kept
    code, requests = asked("accounts", "update", "3")
    assert (code, requests) == (2, [])
    assert "nothing to change" in capsys.readouterr().err


@pytest.mark.parametrize(("status", "code"), [("ok", 0), ("forbidden", 1), ("expired", 1)])
def test_verify_fails_as_a_gate(status: str, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    missing = ["ads_read"] if status == "forbidden" else []
    found = {"status": status, "missing_permissions": missing, "message": None, "account": ACCOUNT}
    ran, requests = asked("accounts", "verify", "3", answer=lambda _: ok(found))
    assert (ran, requests[0].method, requests[0].path) == (code, "POST", f"{PATH}/3/verify")
    assert ("missing: ads_read" in capsys.readouterr().err) == bool(missing)


def test_a_platform_that_is_away_is_exit_7() -> None:
    code, _ = asked("accounts", "verify", "3", answer=lambda _: problem(503, "platform_unavailable"))
    assert code == 7


def test_a_removal_needs_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("accounts", "remove", "3")
    assert (code, [request.method for request in requests]) == (3, ["GET"])
    assert "--yes" in capsys.readouterr().err
    code, requests = asked("accounts", "remove", "3", "-y")
    assert (code, [request.method for request in requests]) == (0, ["GET", "DELETE"])


def test_what_nobody_claims_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    figures = {"impressions": 10, "clicks": 1, "conversions": 2, "spend": 5.5, "revenue": 0}
    one = {"external_id": "2384", "first_day": "2026-10-03", "last_day": "2026-10-04", "currency": "EUR", **figures}
    body = {"account_id": 3, "items": [one], "days": [], "truncated": True}
    given = ("accounts", "unmapped", "3", "--start-date", "2026-10-01")
    code, requests = asked(*given, "-o", "csv", answer=lambda _: ok(body))
    assert (code, requests[0].path) == (0, f"{PATH}/3/unmapped?start_date=2026-10-01")
    shown = capsys.readouterr()
    assert shown.out.splitlines()[1] == "2384,5.5,EUR,10,1,2,0,2026-10-03,2026-10-04"
    assert "there are more" in shown.err and "--link" in shown.err


def test_rotation_is_asked_of_the_machine() -> None:
    code, requests = asked("accounts", "rotate-keys", answer=lambda _: ok({"sealed_anew": 2, "unreadable": []}))
    assert (code, requests[0].method, requests[0].path) == (0, "POST", "/internal/accounts/rotate-keys")


def test_credentials_that_no_key_opens_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, _ = asked(
        "accounts", "rotate-keys", "-o", "json", answer=lambda _: ok({"sealed_anew": 2, "unreadable": [3, 7]})
    )
    shown = capsys.readouterr()
    assert (code, json.loads(shown.out)["sealed_anew"]) == (6, 2)
    assert "account 3, 7" in shown.err and "secrets.previous_keys" in shown.err


def test_fetch_sends_what_was_given_and_prints_the_job(capsys: pytest.CaptureFixture[str]) -> None:
    given = ("--platform", "meta", "--platform", "google", "--start-date", "2026-10-01", "--end-date", "2026-10-31")
    code, requests = asked("fetch", "--campaign", "42", *given, "-o", "json", answer=lambda _: ok(JOB))
    assert (code, requests[0].method, requests[0].path) == (0, "POST", "/api/v1/campaigns/42/fetch-data")
    wanted = {"platforms": ["meta", "google"], "start_date": "2026-10-01", "end_date": "2026-10-31"}
    assert json.loads(requests[0].body) == wanted
    shown = capsys.readouterr()
    assert json.loads(shown.out) == JOB
    assert "campaignctl jobs wait 7" in shown.err


@pytest.mark.parametrize(("status", "code"), [("succeeded", 0), ("partial", 6), ("failed", 1), ("cancelled", 1)])
def test_the_end_of_a_fetch_is_the_exit_code(status: str, code: int) -> None:
    end = {"status": status, "finished_at": "2026-11-02T09:00:05Z"}
    end |= {"error": {"code": "platform_rejected", "message": "no"} if status == "failed" else None}

    def answer(request: Request) -> Answer:
        return ok(JOB) if request.method == "POST" else ok(JOB | end)

    ran, requests = asked("fetch", "--campaign", "42", "--wait", answer=answer)
    assert (ran, json.loads(requests[0].body), requests[1].path) == (code, {}, "/api/v1/jobs/7")


def test_a_fetch_that_is_waited_for_tells_how_far_each_platform_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("campaignctl.cli.progress._EVERY_S", 0.0)
    platforms = {
        "meta": {"status": "running", "windows": {"done": 1, "total": 4}, "accounts": []},
        "google": {"status": "failed", "windows": {"done": 1, "total": 2}, "accounts": []},
        "tiktok": {"status": "running", "windows": {"done": 0, "total": None}, "accounts": []},
    }
    progress = {"done": 2, "total": None, "unit": "windows"}
    running = JOB | {"status": "running", "progress": progress, "result": {"platforms": platforms}}
    ended = JOB | {"status": "succeeded", "finished_at": "2026-11-02T09:00:05Z"}
    looks = iter([JOB, running, ended])

    def answer(request: Request) -> Answer:
        return ok(JOB) if request.method == "POST" else ok(next(looks))

    code, _ = asked("fetch", "--campaign", "42", "--wait", answer=answer)
    assert (code, capsys.readouterr().err.splitlines()[0]) == (0, "job 7 (meta 1/4, google failed, tiktok 0/?): 2")


CONVERSIONS = {
    "account_id": 3,
    "platform": "linkedin",
    "definition": "linkedin-list-1",
    "actions": ["oneClickLeads"],
    "origin": "account",
    "known": ["externalWebsiteConversions", "oneClickLeads"],
    "history": [
        {
            "definition": "linkedin-list-1",
            "actions": ["oneClickLeads"],
            "own": True,
            "chosen_at": "2026-11-02T09:00:00Z",
        }
    ],
}


def test_what_counts_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    code, requests = asked("accounts", "conversions", "3", answer=lambda _: ok(CONVERSIONS))
    assert code == 0
    assert [(one.method, one.path) for one in requests] == [("GET", f"{PATH}/3/conversions")]
    shown = capsys.readouterr().out
    assert "externalWebsiteConversions, oneClickLeads" in shown
    assert "2026-11-02T09:00:00Z: linkedin-list-1" in shown


@pytest.mark.parametrize(
    ("flags", "actions"),
    [
        (["--action", "lead", "--action", "a, b"], ["lead", "a", "b"]),
        (["--default"], []),
    ],
)
def test_what_counts_is_chosen(flags: list[str], actions: list[str]) -> None:
    code, requests = asked("accounts", "conversions", "3", *flags, answer=lambda _: (202, {}, json.dumps(JOB).encode()))
    assert code == 0
    assert [(one.method, one.path) for one in requests] == [("PUT", f"{PATH}/3/conversions")]
    assert json.loads(requests[0].body) == {"actions": actions}


@pytest.mark.parametrize("flags", [["--action", "lead", "--default"], ["--action", " , "]])
def test_a_choice_that_is_none_is_a_slip(flags: list[str]) -> None:
    assert asked("accounts", "conversions", "3", *flags) == (2, [])
