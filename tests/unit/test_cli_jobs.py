"""``campaignctl jobs`` and what every command that starts a job does while it waits."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from campaignctl.cli.app import run
from tests.unit.cli_support import Answer, FakeApi, Request, fake_api, ok, problem

JOB = {
    "job_id": 7,
    "kind": "reaggregate",
    "status": "queued",
    "campaign_id": 42,
    "params": {"dry_run": False},
    "progress": {"done": 0, "total": None, "unit": "days"},
    "result": None,
    "error": None,
    "created_by": None,
    "created_at": "2026-11-02T09:00:00Z",
    "started_at": None,
    "finished_at": None,
}
ENDED = {"finished_at": "2026-11-02T09:00:05Z", "started_at": "2026-11-02T09:00:01Z"}


@pytest.fixture(autouse=True)
def _at_once(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("campaignctl.cli.job_wait._LOOK_EVERY_S", 0.0)


@pytest.fixture
def served() -> Iterator[Callable[..., FakeApi]]:
    """A server that gives these answers one after the other, the last one for ever."""
    contexts = []

    def serve(*answers: Answer) -> FakeApi:
        left = list(answers)

        def answer(_: Request) -> Answer:
            return left.pop(0) if len(left) > 1 else left[0]

        context = fake_api(answer)
        contexts.append(context)
        return context.__enter__()

    yield serve
    for context in contexts:
        context.__exit__(None, None, None)


def cli(api: FakeApi, *arguments: str) -> int:
    return run(["--api", api.url, *arguments])


def ended(status: str, **members: Any) -> Answer:
    return ok(JOB | ENDED | {"status": status} | members)


def test_jobs_are_listed_with_filters(served: Callable[..., FakeApi], capsys: pytest.CaptureFixture[str]) -> None:
    api = served(ok({"items": [JOB | {"progress": {"done": 2, "total": 9, "unit": "days"}}], "next_cursor": "abc"}))
    assert cli(api, "jobs", "list", "--campaign", "42", "--status", "queued") == 0
    assert api.requests[0].path == "/api/v1/jobs?campaign_id=42&status=queued"
    shown = capsys.readouterr()
    assert "2/9 days" in shown.out
    assert "--cursor abc" in shown.err


def test_show_prints_the_rest_body(served: Callable[..., FakeApi], capsys: pytest.CaptureFixture[str]) -> None:
    body = json.dumps(JOB | {"result": {"difference": {"spend": {"USD": 1.5}}}}).encode()
    api = served(ok(body))
    assert cli(api, "jobs", "show", "7", "-o", "json") == 0
    assert capsys.readouterr().out.encode() == body + b"\n"
    assert cli(api, "jobs", "show", "7") == 0
    assert "result.difference.spend.USD" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "code", "told"),
    [
        (ended("succeeded"), 0, ""),
        (ended("partial"), 6, "partly done"),
        (ended("failed", error={"code": "not_found", "message": "there is no campaign"}), 1, "there is no campaign"),
        (ended("cancelled"), 1, "was cancelled"),
    ],
)
def test_wait_says_how_the_job_ended(
    served: Callable[..., FakeApi], capsys: pytest.CaptureFixture[str], answer: Answer, code: int, told: str
) -> None:
    api = served(ok(JOB), ok(JOB | {"status": "running", "progress": {"done": 1, "total": 2, "unit": "days"}}), answer)
    assert cli(api, "jobs", "wait", "7", "-o", "json") == code
    shown = capsys.readouterr()
    assert json.loads(shown.out)["finished_at"] is not None
    assert told in shown.err
    assert len(api.requests) == 3


def test_a_wait_may_time_out(served: Callable[..., FakeApi], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli(served(ok(JOB)), "jobs", "wait", "7", "--timeout", "0") == 3
    assert "jobs wait 7" in capsys.readouterr().err


def test_a_server_that_restarts_is_waited_for(served: Callable[..., FakeApi]) -> None:
    away = problem(503, "unavailable")
    assert cli(served(away, ok(JOB), away, ended("succeeded")), "jobs", "wait", "7") == 0


def test_cancel_shows_the_job(served: Callable[..., FakeApi], capsys: pytest.CaptureFixture[str]) -> None:
    api = served(ended("cancelled"))
    assert cli(api, "jobs", "cancel", "7") == 0
    assert (api.requests[0].method, api.requests[0].path) == ("POST", "/api/v1/jobs/7/cancel")
    assert cli(served(problem(409, "job_finished", "job 7 is cancelled already")), "jobs", "cancel", "7") == 1
