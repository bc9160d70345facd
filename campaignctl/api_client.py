"""The REST API as the command line and the dashboard use it: one blocking client, errors of the product's own tree."""

import gzip
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx2

from campaignctl import __version__, errors
from campaignctl.errors import FieldError

Params = Mapping[str, str | Sequence[str]]
_CONNECT_TIMEOUT_S = 5.0
_READ_TIMEOUT_S = 30.0
_SIMPLE: dict[int, type[errors.CampaignctlError]] = {
    400: errors.MalformedRequest,
    401: errors.NotSignedIn,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    412: errors.PreconditionFailed,
    413: errors.TooLarge,
    428: errors.PreconditionRequired,
}


class Response:
    """An answer of status 2xx or 304."""

    def __init__(self, response: httpx2.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self.content = response.content

    def json(self) -> Any:
        return json.loads(self.content)


@dataclass(frozen=True, slots=True)
class LiveEvent:
    """One event of a stream."""

    name: str
    id: str
    """Of the newest event that has one."""
    data: bytes


class ApiClient:
    """Calls one server. Safe to share between threads; close it when done (or use ``with``).

    ``token`` is an access token or an API key. ``renew`` is called once after a 401 and answers a fresh token, or
    None when there is none to be had. ``organization`` narrows what the operator of the machine sees. An address that
    is none raises ``ConfigurationError``.

    Every method raises the errors of ``campaignctl.errors``: ``Unavailable`` when the server cannot be reached, else
    the one that the server's problem document stands for.
    """

    def __init__(
        self,
        base_url: str,
        token: str | None = None,
        *,
        renew: Callable[[], str | None] | None = None,
        organization: int | None = None,
        transport: httpx2.BaseTransport | None = None,
        timeout_s: float = _READ_TIMEOUT_S,
    ) -> None:
        self.base_url = checked_address(base_url)
        self._token = token
        self._renew = renew
        headers = {"User-Agent": f"campaignctl/{__version__}", "Accept": "application/json"}
        if organization is not None:
            headers["X-Campaignctl-Organization"] = str(organization)
        self._client = httpx2.Client(
            base_url=self.base_url,
            headers=headers,
            transport=transport,
            timeout=httpx2.Timeout(timeout_s, connect=_CONNECT_TIMEOUT_S),
            follow_redirects=False,  # a redirect could carry the token elsewhere
        )

    def get(self, path: str, params: Params | None = None, /) -> Response:
        return self.request("GET", path, params=params)

    def get_json(self, path: str, params: Params | None = None, /) -> Any:
        """The decoded body of a successful GET."""
        return self.get(path, params).json()

    def health(self) -> Any:
        """The decoded body of ``GET /health``, whatever it says; no sign-in is needed."""
        response = self._send("GET", "/health", None, None, {})
        if response.status_code == 200 or (response.status_code == 503 and "checks" in _problem(response)):
            return response.json()
        raise error_of(response, self.base_url)

    def post(self, path: str, body: object = None, /, *, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("POST", path, body=body, headers=headers)

    def put(self, path: str, body: object, /, *, headers: Mapping[str, str] | None = None) -> Response:
        return self.request("PUT", path, body=body, headers=headers)

    def delete(self, path: str, /) -> Response:
        return self.request("DELETE", path)

    def send_events(self, lines: bytes, /, *, idempotency_key: str | None = None) -> Response:
        """POST newline-delimited events, compressed; the answer holds the counts and the position.

        After ``Unavailable`` the outcome is unknown: send the same lines again, under the same key.
        """
        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "gzip",
            "Idempotency-Key": idempotency_key or uuid.uuid4().hex,
        }
        return self.request("POST", "/api/v1/events", content=gzip.compress(lines, 1), headers=headers)

    def events(self, path: str, params: Params | None = None, /, *, last_id: str = "") -> Iterator[LiveEvent]:
        """The events of a stream until the server ends it; what came before the event ``last_id`` is left out.

        ``Unavailable`` when the connection breaks.
        """
        headers = {"Last-Event-ID": last_id} if last_id else {}
        for is_last in (False, True):
            if self._token:
                headers["Authorization"] = f"Bearer {self._token}"
            with (
                self._reaching(),
                self._client.sse(path, params=params, headers=headers, max_event_size=None) as source,
            ):
                if source.response.status_code == 200:
                    yield from (LiveEvent(one.event, one.id, one.data.encode()) for one in source)
                    return
                source.response.read()
                may_renew = source.response.status_code == 401 and self._renew is not None and not is_last
                fresh = self._renew() if may_renew and self._renew is not None else None
                if fresh is None:
                    raise error_of(source.response, self.base_url)
                self._token = fresh

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Params | None = None,
        body: object = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One call. ``body`` is sent as JSON, ``content`` as it is."""
        sent = dict(headers or {})
        if body is not None:
            content = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        response = self._send(method, path, params, content, sent)
        if response.status_code == 401 and self._renew is not None and (fresh := self._renew()) is not None:
            self._token = fresh
            response = self._send(method, path, params, content, sent)
        if response.is_success or response.status_code == 304:
            return Response(response)
        raise error_of(response, self.base_url)

    def _send(
        self, method: str, path: str, params: Params | None, content: bytes | None, headers: dict[str, str]
    ) -> httpx2.Response:
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        with self._reaching():
            return self._client.request(method, path, params=params, content=content, headers=headers)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        """Nothing of the transport leaves the block but ``Unavailable``."""
        try:
            yield
        except httpx2.TimeoutException:
            message, hint = "did not answer in time", "try again, or ask for less at once"
        except httpx2.TransportError:
            message, hint = "cannot be reached", "check the address and that the server runs (campaignctl serve)"
        else:
            return
        raise errors.Unavailable(f"the server at {self.base_url} {message}", service="api", hint=hint)

    def close(self) -> None:
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def checked_address(base_url: str) -> str:
    """The address without a slash at its end. A user in it would be a secret in error messages and logs."""
    try:
        url = httpx2.URL(base_url)
    except httpx2.InvalidURL:
        url = httpx2.URL("")
    if url.scheme not in ("http", "https") or not url.host or url.userinfo or url.query or url.fragment:
        raise errors.ConfigurationError(
            "the address of the API must be http:// or https:// with a host, and without user, query or fragment",
            hint="check --api or CA_API_URL: http://127.0.0.1:8080",
        )
    return base_url.rstrip("/")


def error_of(response: httpx2.Response, base_url: str) -> errors.CampaignctlError:
    """The error of our own tree that an unsuccessful answer of that server stands for."""
    status = response.status_code
    problem = _problem(response)
    code = problem.get("code") if isinstance(problem.get("code"), str) else None
    message = str(problem.get("detail") or problem.get("title") or f"the server answered with status {status}")
    hint = str(problem.get("hint") or "")
    if status == 422:
        found = [FieldError(str(e.get("field", "")), str(e.get("message", ""))) for e in _members(problem)]
        return errors.InvalidInput(found, message=message if not found else "", hint=hint, code=code)
    if status == 429:
        return errors.Throttled(message, retry_after_s=_retry_after_s(response), hint=hint)
    if status == 503:
        kind = errors.NotYetVisible if code == "not_yet_visible" else errors.Unavailable
        return kind(message, service="api", retry_after_s=_retry_after_s(response), hint=hint, code=code)
    if status == 401 and (code == "not_signed_in" or hint in ("", "sign in again")):  # of use to a client's author
        hint = f"sign in with: campaignctl --api {base_url} login, or set CA_TOKEN"
    return _SIMPLE.get(status, errors.CampaignctlError)(message, hint=hint, code=code)


def _problem(response: httpx2.Response) -> dict[str, Any]:
    try:
        problem = response.json()
    except ValueError:
        return {}
    return problem if isinstance(problem, dict) else {}


def _members(problem: dict[str, Any]) -> list[dict[str, Any]]:
    found = problem.get("errors")
    return [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []


def _retry_after_s(response: httpx2.Response) -> float:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdigit() else 1.0
