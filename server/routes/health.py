"""Health: is the process alive, is it ready, and what about each thing it depends on."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.services.health import ALIVE, HealthReport
from server.dependencies import Call
from server.operations import Answer, Operation, serves_async
from server.schemas.system import HealthOut, LiveOut

router = APIRouter()

_WELL = Answer("All is well, or something is missing that is not needed.", {"application/json": HealthOut})
_FAILING = Answer("Something that is needed fails.", {"application/json": HealthOut})


def _report(call: Call) -> Response:
    report: HealthReport = call.app.health.report()
    headers = {} if report.ready else {"Retry-After": "1"}
    return call.answer(report.shown(), status=200 if report.ready else 503, headers=headers)


@serves_async(
    router,
    Operation(
        "GET",
        "/health",
        id="getHealth",
        tag="health",
        summary="What is well and what is not",
        description="Read from the last verdicts, which are at most seconds old; always answered at once.",
        answers={200: _WELL, 503: _FAILING},
        public=True,
    ),
)
async def health(call: Call) -> Response:
    return _report(call)


@serves_async(
    router,
    Operation(
        "GET",
        "/health/ready",
        id="getReadiness",
        tag="health",
        summary="Whether requests are served",
        answers={200: _WELL, 503: _FAILING},
        public=True,
    ),
)
async def ready(call: Call) -> Response:
    return _report(call)


@serves_async(
    router,
    Operation(
        "GET",
        "/health/live",
        id="getLiveness",
        tag="health",
        summary="Whether the process answers",
        description="Touches no store and is never refused for load.",
        answers={200: Answer("It does.", {"application/json": LiveOut})},
        public=True,
    ),
)
async def live(call: Call) -> Response:
    return call.answer(dict(ALIVE))
