"""``campaignctl dlq``: what it asks of the API, what it prints, and when it asks a person."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from campaignctl.cli.app import run
from campaignctl.cli.exit_codes import ExitCode
from tests.unit.cli_support import Answer, Request, fake_api, ok

LETTER: dict[str, Any] = {
    "id": "0-17",
    "code": "invalid_value",
    "message": "spend must be a decimal number",
    "source": "kafka",
    "value": '{"spend":"12 dollars\u001b[2J"}',
    "value_base64": None,
    "topic": "campaign-events",
    "partition": 3,
    "offset": 120044,
    "request_id": None,
    "index": None,
    "campaign_id": 42,
    "length": None,
    "sha256": None,
    "at": "2026-10-01T03:00:01.250Z",
    "replay_of": None,
    "replayed_at": None,
}
IN_BASE64 = LETTER | {"id": "0-16", "value": None, "value_base64": "/wA="}
PURGE = "/internal/dead-letters/purge"


@pytest.fixture(autouse=True)
def _wide(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


def test_the_list(capsys: pytest.CaptureFixture[str]) -> None:
    page = {"items": [LETTER, IN_BASE64], "next_cursor": "more"}
    with fake_api(lambda _: ok(page)) as server:
        flags = ["--reason", "invalid_value", "--campaign", "42", "--since", "2026-10-01T00:00:00Z", "--limit", "2"]
        assert run(["--api", server.url, "dlq", "list", *flags]) == 0
        shown = capsys.readouterr()
        assert run(["--api", server.url, "dlq", "list", "-o", "ndjson"]) == 0
        lines = capsys.readouterr().out.splitlines()
    asked = urlsplit(server.requests[0].path)
    assert asked.path == "/api/v1/dead-letters"
    assert parse_qs(asked.query) == {
        "reason": ["invalid_value"], "campaign_id": ["42"], "since": ["2026-10-01T00:00:00Z"], "limit": ["2"],
    }  # fmt: skip
    assert "0-17" in shown.out
    assert "base64:/wA=" in shown.out
    assert "\x1b" not in shown.out
    assert "--cursor more" in shown.err
    assert [json.loads(line)["id"] for line in lines] == ["0-17", "0-16"]


def test_one_letter_and_its_bytes(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    with fake_api(lambda _: ok(IN_BASE64)) as server:
        assert run(["--api", server.url, "dlq", "show", "0-16", "--raw"]) == 0
        raw = capfdbinary.readouterr().out
        assert run(["--api", server.url, "dlq", "show", "0/16"]) == 0
        shown = capfdbinary.readouterr().out.decode()
    assert raw == b"\xff\x00"
    assert server.requests[1].path == "/api/v1/dead-letters/0%2F16"
    assert "base64:/wA=" in shown
    assert "request" not in shown  # what a letter by the log has not


def _purging(removed: int) -> Callable[[Request], Answer]:
    def answer(request: Request) -> Answer:
        return ok({"removed": removed, "kept_behind": 1, "dry_run": json.loads(request.body)["dry_run"]})

    return answer


@pytest.mark.parametrize(
    ("flags", "removed", "code", "asked"),
    [
        (["--dry-run"], 3, ExitCode.DONE, [True]),
        (["--yes"], 3, ExitCode.DONE, [True, False]),
        (["--yes"], 0, ExitCode.DONE, [True, False]),
        ([], 0, ExitCode.DONE, [True, False]),  # nothing to ask about
        ([], 3, ExitCode.USAGE, [True]),  # nobody is there to ask
    ],
)
def test_purge_plans_first_and_asks(flags: list[str], removed: int, code: ExitCode, asked: list[bool]) -> None:
    with fake_api(_purging(removed)) as server:
        assert run(["--api", server.url, "dlq", "purge", "--until", "2026-10-01T00:00:00Z", *flags]) == code
    assert [(one.path, json.loads(one.body)) for one in server.requests] == [
        (PURGE, {"until": "2026-10-01T00:00:00Z", "dry_run": dry_run}) for dry_run in asked
    ]


def test_purge_wants_to_know_which(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dlq", "purge", "--yes"]) == ExitCode.USAGE
    assert "--until" in capsys.readouterr().err
