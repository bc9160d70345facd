"""``/openapi.json``: this API, as a document."""

from fastapi import APIRouter
from starlette.responses import Response

from server.dependencies import Call
from server.operations import Answer, Operation, serves

router = APIRouter()


@serves(
    router,
    Operation(
        "GET",
        "/openapi.json",
        id="getDocument",
        tag="health",
        summary="This document",
        answers={200: Answer("OpenAPI 3.1.", {"application/json": {"type": "object"}})},
        public=True,
    ),
)
def document(call: Call) -> Response:
    return call.answer(call.request.app.openapi())
