"""What the dashboard asks of the API: reads that cost nothing while nothing changes, and the few things it does."""

import uuid
from collections import Counter, OrderedDict
from collections.abc import Mapping
from threading import Lock
from typing import Any, Protocol

_REMEMBERED = 32
"""Answers kept for the next question of the same kind: a screen asks for six at most."""


class Answer(Protocol):
    """An answer of status 2xx or 304."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def json(self) -> Any: ...


class Api(Protocol):
    """What the dashboard needs of ``campaignctl.api_client``; raises the product's errors. Blocking."""

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer: ...

    def health(self) -> Any: ...


class Reader:
    """Reads for all screens, each in a thread of its own. A tag sent along makes an unchanged answer a 304."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._lock = Lock()
        self._kept: OrderedDict[tuple[str, tuple[tuple[str, str], ...]], tuple[str, Any]] = OrderedDict()
        self.answered_by: Counter[str] = Counter()
        """How often which cache answered insights (the header ``X-Cache``); ``unchanged`` where a 304 did."""

    def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        key = (path, tuple(sorted((params or {}).items())))
        with self._lock:
            tag, body = self._kept.get(key, ("", None))
        answer = self._api.request("GET", path, params=params, headers={"If-None-Match": tag} if tag else None)
        cache = answer.headers.get("X-Cache", "")
        if answer.status == 304:
            cache = "unchanged" if path.endswith("/insights") else ""
        if answer.status != 304:
            tag, body = answer.headers.get("ETag", ""), answer.json()
        with self._lock:
            if cache:
                self.answered_by[cache] += 1
            if tag:
                self._kept[key] = (tag, body)
                self._kept.move_to_end(key)
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        return body

    def post(self, path: str, body: object = None) -> Any:
        """Under an idempotency key: should the transport send it twice, it is done once."""
        return self._api.request("POST", path, body=body, headers={"Idempotency-Key": uuid.uuid4().hex}).json()

    def health(self) -> Any:
        return self._api.health()
