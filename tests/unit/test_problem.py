"""Errors become problems that say enough, and no more."""

import json

import pytest
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from campaignctl import errors
from campaignctl.errors import FieldError
from server.problem import HttpError, Problem, problem_of

SECRET = "10.1.2.3:5432 password=hunter2"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InvalidInput.of("name", "is required"), 422),
        (errors.MalformedRequest("no JSON"), 400),
        (errors.TooLarge("too large"), 413),
        (errors.NotSignedIn("who are you"), 401),
        (errors.Forbidden("no"), 403),
        (errors.NotFound("gone"), 404),
        (errors.Conflict("taken"), 409),
        (errors.PreconditionFailed("changed"), 412),
        (errors.PreconditionRequired("send If-Match"), 428),
        (errors.Throttled("slow down", retry_after_s=2.1), 429),
        (errors.Unavailable("away", service="metadata"), 503),
        (errors.DirectoryInUse("held", service="analytics"), 503),
        (errors.StorageFull("full", service="event_log"), 503),
        (errors.NotYetVisible("wait", service="analytics"), 503),
        (errors.SchemaMismatch("old"), 503),
        (errors.Fenced("lost"), 503),
        (errors.ConfigurationError("wrong"), 503),
        (errors.PlatformUnavailable("away", platform="meta"), 503),
        (errors.PlatformThrottled("quota", platform="meta", retry_after_s=60), 503),
        (errors.PlatformSignInExpired("sign in", platform="meta"), 409),
        (errors.PlatformForbidden("no", platform="meta", missing=["ads_read"]), 409),
        (errors.PlatformRejected("wrong", platform="meta"), 409),
        (errors.PlatformAnswerInvalid("odd", platform="meta"), 503),
        (errors.CampaignctlError("failed"), 500),
        (HTTPException(404), 404),
        (HTTPException(405), 405),
        (HTTPException(400, "raw text"), 400),
        (RuntimeError(SECRET), 500),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int) -> None:
    problem = problem_of(error)
    assert problem.status == status
    body = json.loads(problem.body("r-1"))
    assert set(body) >= {"type", "title", "status", "detail", "code", "request_id"}
    assert body["status"] == status
    assert body["type"] == f"urn:campaignctl:problem:{body['code']}"
    assert body["title"] and body["detail"]
    assert body["request_id"] == "r-1"


def test_fields_and_hint_are_members() -> None:
    error = errors.InvalidInput(
        [FieldError("name", "is required"), FieldError("budget", "must be 0 or more")], hint="look"
    )
    body = json.loads(problem_of(error).body(""))
    assert body["errors"] == [
        {"field": "name", "message": "is required"},
        {"field": "budget", "message": "must be 0 or more"},
    ]
    assert body["hint"] == "look"
    assert "errors" not in json.loads(problem_of(errors.NotFound("gone")).body(""))


@pytest.mark.parametrize("kind", [errors.Unavailable, errors.StorageFull, errors.DirectoryInUse])
@pytest.mark.parametrize("service", ["analytics", "metadata", "event_log", "cache", "elsewhere"])
def test_what_a_store_says_stays_in_the_log(kind: type[errors.Unavailable], service: str) -> None:
    text = problem_of(kind(SECRET, service=service, hint=SECRET)).body("").decode()
    assert "10.1.2.3" not in text and "hunter2" not in text


def test_what_nobody_meant_is_not_told() -> None:
    for error in (
        RuntimeError(SECRET),
        errors.ConfigurationError(SECRET),
        HTTPException(500, SECRET),
        HTTPException(418, SECRET),
    ):
        text = problem_of(error).body("").decode()
        assert "hunter2" not in text and "Traceback" not in text


def test_input_is_not_repeated() -> None:
    error = RequestValidationError(
        [{"loc": ("body", "password"), "msg": "Input should be a string", "input": SECRET, "type": "x"}]
    )
    problem = problem_of(error)
    assert problem.errors == (FieldError("password", "Input should be a string"),)
    assert "hunter2" not in problem.body("").decode()


def test_waiting_is_in_whole_seconds_and_never_too_short() -> None:
    assert problem_of(errors.Throttled("slow", retry_after_s=2.1)).headers["Retry-After"] == "3"
    assert (
        problem_of(errors.NotYetVisible("wait", service="analytics", retry_after_s=0.0)).headers["Retry-After"] == "1"
    )
    assert problem_of(errors.NotYetVisible("not counted yet", service="analytics")).detail == "not counted yet"


def test_a_challenge_comes_with_401() -> None:
    assert problem_of(errors.NotSignedIn("who")).headers["WWW-Authenticate"].startswith("Bearer")


def test_a_problem_of_http_is_answered_as_it_is() -> None:
    problem = Problem(415, "unsupported_media_type", "the body must be JSON")
    assert problem_of(HttpError(problem)) is problem


def test_half_a_surrogate_pair_does_not_break_the_answer() -> None:
    error = errors.InvalidInput.of("na\ud800me", "is not known here")
    assert json.loads(problem_of(error).body(""))["errors"][0]["field"] == "na\ud800me"
