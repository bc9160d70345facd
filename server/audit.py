"""The audit log's writer: every operation that changed something leaves an entry, whichever route it came by."""

import logging
from collections.abc import Callable

from starlette.responses import Response

from campaignctl.errors import CampaignctlError
from server.dependencies import Call

_PREFIX = "/api/v1/"

logger = logging.getLogger(__name__)


def audited(endpoint: Callable[[Call], Response], action: str) -> Callable[[Call], Response]:
    """The endpoint, and behind each of its successes an entry under the name of the operation.

    The change has been made by then: an entry that cannot be kept is written to the server's log instead.
    """

    def answer(call: Call) -> Response:
        response = endpoint(call)
        actor = call.known_actor
        if actor is not None:
            what = _object(call, response)
            try:
                call.app.audit.record(
                    actor, action, what, address=call.address, request_id=call.request_id, details=call.audit_details
                )
            except CampaignctlError as error:
                logger.error("audit entry not kept (%s): %s did %s to %s", error.message, actor.label, action, what)
        return response

    return answer


def _object(call: Call, response: Response) -> str:
    """What was made, or what the path names: ``campaigns/42``. Never a token that stands in a path."""
    path = response.headers.get("location") or call.state["route"].format_map(_Shown(call.request.path_params))
    return str(path).removeprefix(_PREFIX)


class _Shown(dict[str, str]):
    """Path parameters by name, but for secrets."""

    def __missing__(self, name: str) -> str:
        return "..."

    def __init__(self, parameters: dict[str, str]) -> None:
        super().__init__({name: value for name, value in parameters.items() if name != "token"})
