"""``Idempotency-Key``: a repeated POST is answered again instead of being done again."""

import hashlib
import json
import logging
from collections.abc import Callable, Sequence

from starlette.responses import Response

from campaignctl.errors import CampaignctlError
from campaignctl.ports.metadata import StoredAnswer
from server.dependencies import Call

KEPT_HEADERS = ("content-type", "location", "etag")

logger = logging.getLogger(__name__)


def answers_once(
    endpoint: Callable[[Call], Response], secret_members: Sequence[str] = ()
) -> Callable[[Call], Response]:
    """The endpoint behind the key of its request; without a key it is called as it is.

    What is kept of an answer is without its ``secret_members``.
    """

    def answer(call: Call) -> Response:
        key = call.request.headers.get("idempotency-key")
        if key is None:
            return endpoint(call)
        service, requester = call.app.idempotency, call.requester  # the endpoint may find out more about who asks
        kept = service.begin(requester, key, _fingerprint(call))
        if kept is not None:
            return _replayed(kept)
        try:
            response = endpoint(call)
        except BaseException:
            # An error is not kept: the caller may mend the request and use the key again.
            _quietly(lambda: service.abandon(requester, key))
            raise
        _quietly(lambda: service.finish(requester, key, _stored(response, secret_members)))
        return response

    return answer


def _fingerprint(call: Call) -> str:
    """Stands for all that decides what the request does; each part with its length, so that none runs into the next."""
    request = call.request
    parts = (
        request.method,
        request.url.path,
        request.headers.get("content-type", ""),
        request.headers.get("content-encoding", ""),
    )
    digest = hashlib.sha256()
    for part in (*(part.encode() for part in parts), call.body):
        digest.update(b"%d:" % len(part))
        digest.update(part)
    return digest.hexdigest()


def _stored(response: Response, secret_members: Sequence[str]) -> StoredAnswer:
    headers = tuple((name, response.headers[name]) for name in KEPT_HEADERS if name in response.headers)
    body = bytes(response.body)
    if secret_members:
        body = json.dumps(
            {name: value for name, value in json.loads(body).items() if name not in secret_members}
        ).encode()
    return StoredAnswer(response.status_code, headers, body)


def _replayed(answer: StoredAnswer) -> Response:
    headers = dict(answer.headers) | {"Idempotent-Replayed": "true"}
    return Response(answer.body, status_code=answer.status, headers=headers)


def _quietly(action: Callable[[], None]) -> None:
    """Whatever the store says now, the request has its answer already."""
    try:
        action()
    except CampaignctlError as error:
        logger.warning("an idempotency key could not be brought up to date: %s", error)
