"""The API client: what it sends, and which error of ours each answer becomes."""

import gzip

import httpx2
import pytest

from campaignctl import errors
from campaignctl.api_client import ApiClient
from tests.unit.cli_support import Answer, Request, fake_api, ok, problem


def test_a_call_carries_the_token_the_organization_and_every_value_of_a_parameter() -> None:
    with fake_api(lambda _: ok({"rows": []})) as server, ApiClient(server.url + "/", "t0k", organization=3) as api:
        assert api.get_json("/api/v1/insights", {"campaign": ["1", "2"], "region": "US,IN"}) == {"rows": []}
    sent = server.requests[0]
    assert sent.path == "/api/v1/insights?campaign=1&campaign=2&region=US%2CIN"
    assert sent.headers["Authorization"] == "Bearer t0k"
    assert sent.headers["X-Campaignctl-Organization"] == "3"


def test_events_travel_compressed_under_a_key() -> None:
    with fake_api(lambda _: ok({})) as server, ApiClient(server.url) as api:
        api.send_events(b'{"event_id":"a"}\n', idempotency_key="k1")
    sent = server.requests[0]
    assert (sent.method, sent.path) == ("POST", "/api/v1/events")
    assert gzip.decompress(sent.body) == b'{"event_id":"a"}\n'
    assert sent.headers["Idempotency-Key"] == "k1"
    assert "Authorization" not in sent.headers


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "malformed_request", errors.MalformedRequest),
        (401, "invalid_token", errors.NotSignedIn),
        (403, "forbidden", errors.Forbidden),
        (404, "not_found", errors.NotFound),
        (409, "conflict", errors.Conflict),
        (412, "precondition_failed", errors.PreconditionFailed),
        (413, "too_large", errors.TooLarge),
        (422, "invalid_input", errors.InvalidInput),
        (428, "precondition_required", errors.PreconditionRequired),
        (429, "throttled", errors.Throttled),
        (500, "internal_error", errors.CampaignctlError),
        (503, "unavailable", errors.Unavailable),
        (503, "not_yet_visible", errors.NotYetVisible),
    ],
)
def test_a_problem_becomes_the_error_it_stands_for(status: int, code: str, kind: type[errors.CampaignctlError]) -> None:
    with (
        fake_api(lambda _: problem(status, code, "what is wrong", hint="do this")) as server,
        ApiClient(server.url) as api,
        pytest.raises(errors.CampaignctlError) as caught,
    ):
        api.get("/x")
    assert type(caught.value) is kind
    assert (caught.value.code, caught.value.message) == (code, "what is wrong")
    assert caught.value.hint == "do this"


def test_the_fields_of_a_422_and_the_wait_of_a_429_are_kept() -> None:
    wrong = problem(422, "invalid_input", errors=[{"field": "start_date", "message": "must be a day"}])
    with fake_api(lambda _: wrong) as server, ApiClient(server.url) as api, pytest.raises(errors.InvalidInput) as bad:
        api.get("/x")
    assert bad.value.errors == (errors.FieldError("start_date", "must be a day"),)
    busy = (429, {"Retry-After": "17"}, b"")
    with fake_api(lambda _: busy) as server, ApiClient(server.url) as api, pytest.raises(errors.Throttled) as slow:
        api.get("/x")
    assert slow.value.retry_after_s == 17


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'"x"', b'{"code": 5, "errors": 7}'])
def test_an_answer_that_is_no_problem_document_is_still_an_error(body: bytes) -> None:
    with (
        fake_api(lambda _: (502, {}, body)) as server,
        ApiClient(server.url) as api,
        pytest.raises(errors.CampaignctlError, match="status 502"),
    ):
        api.get("/x")


@pytest.mark.parametrize(
    ("code", "told", "hint"),
    [
        ("not_signed_in", "send Authorization: Bearer with an access token or API key", "login"),
        ("invalid_token", "sign in again", "login"),
        ("invalid_credentials", "", "login"),
        ("invalid_token", "ask an admin for a new key", "ask an admin for a new key"),
    ],
)
def test_whoever_is_not_signed_in_is_told_the_command_that_does_it(code: str, told: str, hint: str) -> None:
    with (
        fake_api(lambda _: problem(401, code, hint=told)) as server,
        ApiClient(server.url) as api,
        pytest.raises(errors.NotSignedIn) as caught,
    ):
        api.get("/x")
    wanted = f"sign in with: campaignctl --api {server.url} login, or set CA_TOKEN" if hint == "login" else hint
    assert caught.value.hint == wanted


def test_a_token_is_renewed_once_and_the_call_repeated() -> None:
    def answer(request: Request) -> Answer:
        good = request.headers["Authorization"] == "Bearer new"
        return ok({"done": True}) if good else problem(401, "not_signed_in")

    with fake_api(answer) as server, ApiClient(server.url, "old", renew=lambda: "new") as api:
        assert api.get_json("/x") == {"done": True}
        assert api.get_json("/x") == {"done": True}
        with ApiClient(server.url, "old", renew=lambda: None) as api, pytest.raises(errors.NotSignedIn):
            api.get("/x")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "url",
    ["ftp://127.0.0.1", "http://[::1", "localhost:8080", "http://", "http://user:canary@host", "http://h?x=canary"],
)
def test_an_address_that_is_none_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(errors.ConfigurationError) as caught:
        ApiClient(url)
    assert "canary" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://no-such-host.invalid"])
def test_a_server_that_cannot_be_reached_is_unavailable(url: str) -> None:
    with pytest.raises(errors.Unavailable) as caught:
        ApiClient(url).get("/x")
    assert caught.value.service == "api"


def test_an_answer_that_does_not_come_is_unavailable() -> None:
    def slow(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ReadTimeout("slow")

    with (
        ApiClient("http://x", transport=httpx2.MockTransport(slow)) as api,
        pytest.raises(errors.Unavailable, match="did not answer in time"),
    ):
        api.get("/x")


def test_a_redirect_is_not_followed() -> None:
    with (
        fake_api(lambda _: (302, {"Location": "http://127.0.0.1:1/elsewhere"}, b"")) as server,
        ApiClient(server.url, "t") as api,
        pytest.raises(errors.CampaignctlError, match="302"),
    ):
        api.get("/x")
    assert len(server.requests) == 1
