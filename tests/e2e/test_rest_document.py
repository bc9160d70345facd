"""The OpenAPI document says what the server does: its routes, its statuses, the shape of its answers."""

import json
import re
from typing import Any

import pytest
import requests
import schemathesis
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from jsonschema_rs import validator_for
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.e2e.rest import JSON, Rest, User, running

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
METHODS = {"get", "put", "post", "delete", "patch"}


@pytest.fixture(scope="module")
def document(rest: Rest) -> dict[str, Any]:
    answer = rest.client.get("/openapi.json")
    assert answer.headers["content-type"] == JSON
    body: dict[str, Any] = answer.json()
    return body


def _operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [(path, method, shown) for path, item in document["paths"].items() for method, shown in item.items()]


def test_it_has_every_route_and_no_other(rest: Rest, document: dict[str, Any]) -> None:
    routes = [route for route in rest.client.app.routes if isinstance(route, APIRoute)]  # type: ignore[attr-defined]
    hidden = {route.path for route in routes if route.path.startswith("/internal/")}
    served = {(route.path, method.lower()) for route in routes for method in route.methods if route.path not in hidden}
    assert served == {(path, method) for path, method, _ in _operations(document)}
    assert len(routes) == len(rest.client.app.routes)  # type: ignore[attr-defined]  nothing else is served
    assert not hidden & document["paths"].keys()


def test_operations_are_well_described(document: dict[str, Any]) -> None:
    operations = _operations(document)
    names = [shown["operationId"] for _, _, shown in operations]
    assert len(set(names)) == len(names)
    known_tags = {tag["name"] for tag in document["tags"]}
    for path, method, shown in operations:
        assert method in METHODS
        assert re.fullmatch(r"[a-z][A-Za-z]{1,30}", shown["operationId"])
        assert shown["summary"] and len(shown["tags"]) == 1 and set(shown["tags"]) <= known_tags
        public = path.startswith(("/health", "/metrics", "/openapi", "/api/v1/auth")) or path.endswith("/accept")
        assert shown.get("security") == [{"bearer": []}] or public
        for status, answer in shown["responses"].items():
            assert answer["description"]
            if status.startswith(("4", "5")) and "health" not in path:
                assert list(answer["content"]) == ["application/problem+json"]
        for parameter in shown["parameters"]:
            assert parameter["description"]
        if "requestBody" in shown:
            assert shown["requestBody"]["content"][JSON]["example"]
        inside = re.findall(r"{(\w+)}", path)
        assert inside == [parameter["name"] for parameter in shown["parameters"] if parameter["in"] == "path"]


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert set(re.findall(r'"#/components/schemas/([^"]+)"', text)) <= document["components"]["schemas"].keys()


def test_examples_fit_their_schemas(document: dict[str, Any]) -> None:
    for _, _, shown in _operations(document):
        contents = [answer.get("content", {}) for answer in shown["responses"].values()]
        contents.append(shown.get("requestBody", {}).get("content", {}))
        for content in contents:
            for media in content.values():
                if "example" in media:
                    _check(document, media["schema"], media["example"])


def _check(document: dict[str, Any], schema: dict[str, Any], value: object) -> None:
    validator_for({"components": document["components"]} | schema, validate_formats=True).validate(value)


def test_answers_fit_their_schemas(rest: Rest, user: User, document: dict[str, Any]) -> None:
    campaign = user.campaign(platforms=[{"platform": "tiktok", "account_id": "1", "external_id": "doc"}], budget="1.5")
    path = f"/campaigns/{campaign['id']}"
    rate = {"date": "2026-10-01", "currency": "EUR", "base": "USD", "rate": "1.1"}
    event = {"event_id": "1", "campaign_id": campaign["id"], "platform": "meta", "event_time": 1_790_000_000_000}
    asked = [
        ("get", "/auth/me", "/auth/me", {}),
        ("get", "/campaigns", "/campaigns", {}),
        ("get", "/campaigns/{campaign_id}", path, {}),
        ("put", "/currency-rates", "/currency-rates", {"json": [rate]}),
        ("get", "/currency-rates", "/currency-rates", {}),
        ("post", "/events", "/events", {"json": [event, {}]}),
        ("get", "/conflicts", "/conflicts", {}),
        ("get", "/dead-letters", "/dead-letters", {}),
        ("get", "/dead-letters/{letter_id}", "/dead-letters/0-0", {}),
        ("get", "/campaigns/{campaign_id}/insights", path + "/insights?compare=previous_year&group_by=region", {}),
        ("get", "/insights", "/insights?granularity=total", {}),
        ("get", "/campaigns/{campaign_id}/explain", path + "/explain?date=2026-09-21&metric=cpc&platform=tiktok", {}),
        ("get", "/campaigns", "/campaigns?limit=0", {}),
        ("get", "/campaigns/{campaign_id}", "/campaigns/999999", {}),
    ]
    for method, template, actual, options in asked:
        answer = user.ask(method, actual, **options)
        _check_answer(document, f"/api/v1{template}", method, answer)
    for public in ("/health", "/health/live", "/health/ready"):
        _check_answer(document, public, "get", rest.client.get(public))


def _check_answer(document: dict[str, Any], path: str, method: str, answer: Any) -> None:
    shown = document["paths"][path][method]["responses"][str(answer.status_code)]
    schema = shown["content"][answer.headers["content-type"]]["schema"]
    _check(document, schema, answer.json())


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_generated_requests_get_documented_answers(
    rest: Rest, user: User, document: dict[str, Any], mode: GenerationMode
) -> None:
    """Requests that fit the document and such that do not: no 5xx, no status, media type or shape it lacks."""
    campaign = user.campaign()
    with running(rest.app) as (url, _):
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=url)
        with requests.Session() as session:
            session.headers.update(user.headers)
            for result in schema.get_all_operations():
                # Sign-ins are throttled, a logout would end this test's session and a stream has no end: they have tests
                # of their own.
                if not result.ok().path.startswith("/api/v1/auth/") and not result.ok().path.endswith("/stream"):
                    _generate(result.ok(), mode, session, campaign["id"])


def _generate(operation: Any, mode: GenerationMode, session: requests.Session, campaign_id: int) -> None:
    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(max_examples=20, database=None, derandomize=True, phases=[Phase.generate],
              suppress_health_check=list(HealthCheck))  # fmt: skip
    def each(case: Any) -> None:
        if mode is GenerationMode.POSITIVE and "campaign_id" in (case.path_parameters or {}):
            case.path_parameters["campaign_id"] = campaign_id
        case.headers.pop("Authorization", None)
        case.call_and_validate(session=session, checks=CHECKS)

    try:
        each()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, operation.label  # an operation without inputs has no wrong ones
