"""``/metrics``: open to this machine, elsewhere for operators only, unless it has a port of its own."""

import ipaddress

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.users import Role
from server.dependencies import Call
from server.metrics import CONTENT_TYPE, HttpMetrics
from server.operations import Answer, Operation, serves

router = APIRouter()

# A proxy on this machine makes every client look local; these headers tell that one stands in front.
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


@serves(
    router,
    Operation(
        "GET",
        "/metrics",
        id="getMetrics",
        tag="health",
        summary="Figures for Prometheus",
        description="Open to clients on the same machine; elsewhere it needs the role operator (scope `operate`).",
        answers={200: Answer("The text format of Prometheus.", {"text/plain": {"type": "string"}})},
        problems=(401, 403),
        public=True,
    ),
)
def metrics(call: Call) -> Response:
    if not _is_local(call):
        call.sign_in()
        call.actor.require(Role.OPERATOR)
    figures: HttpMetrics = call.request.app.state.metrics
    return Response(figures.exposition(), headers={"Content-Type": CONTENT_TYPE})


def _is_local(call: Call) -> bool:
    if any(name in call.request.headers for name in _FORWARDED):
        return False
    try:
        return ipaddress.ip_address(call.address.partition("%")[0]).is_loopback
    except ValueError:
        return False
