"""A REST server over open embedded stores, as the tests of the API use it."""

import itertools
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from starlette.testclient import TestClient

from campaignctl.bootstrap import App, open_app
from campaignctl.config import Settings
from server.app import create_app, serve
from server.middleware import Limits
from worker.lifecycle import build_worker

OPERATOR_TOKEN = "operator-token-of-the-tests-0123456789"
PASSWORD = "correct horse battery staple"
JSON = "application/json"
NDJSON = "application/x-ndjson"
_WORKER_ENDS_WITHIN_S = 300.0
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Rest:
    """The open stores, and a client that reaches the API over them."""

    app: App
    client: TestClient

    def user(self) -> "User":
        """A new user in an organization of their own, signed in."""
        email = f"user{next(_numbers)}@example.com"
        registered = self.client.post("/api/v1/auth/register", json={"email": email, "password": PASSWORD})
        assert registered.status_code == 201, registered.text
        return self.signed_in(email)

    def member(self, admin: "User", role: str) -> "User":
        """A new member of the admin's organization, signed in."""
        email = f"member{next(_numbers)}@example.com"
        invited = admin.ask("POST", "/invitations", json={"email": email, "role": role})
        assert invited.status_code == 201, invited.text
        path = f"/api/v1/invitations/{invited.json()['token']}/accept"
        accepted = self.client.post(path, json={"password": PASSWORD})
        assert accepted.status_code == 201, accepted.text
        return self.signed_in(email)

    def signed_in(self, email: str, password: str = PASSWORD) -> "User":
        """The user of that address, in a new session."""
        answer = self.client.post("/api/v1/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        return User(self, email, answer.json())

    @property
    def operator(self) -> dict[str, str]:
        """The headers of the operator of the machine."""
        return {"Authorization": f"Bearer {OPERATOR_TOKEN}"}


@dataclass(frozen=True)
class User:
    """Somebody signed in."""

    rest: Rest
    email: str
    tokens: Mapping[str, Any]

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.tokens['access_token']}"}

    def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
        return self.rest.client.request(method, "/api/v1" + path, headers=self.headers | dict(headers or {}), **kwargs)

    def campaign(self, **members: Any) -> dict[str, Any]:
        """A new campaign of theirs."""
        created = self.ask("POST", "/campaigns", json={"name": "A campaign"} | members)
        assert created.status_code == 201, created.text
        body: dict[str, Any] = created.json()
        return body


@contextmanager
def rest_over(data_dir: Path, limits: Limits | None = None) -> Iterator[Rest]:
    """The API over new stores in the directory. The client raises nothing the server did not answer."""
    with (
        open_app(Settings(data_dir=data_dir), create=True) as app,
        TestClient(
            create_app(app, operator_token=OPERATOR_TOKEN, limits=limits), raise_server_exceptions=True
        ) as client,
    ):
        yield Rest(app, client)


@contextmanager
def with_worker(data_dir: Path) -> Iterator[App]:
    """``rest_over`` with a worker of no jobs, which is through with its batch in the end."""
    with rest_over(data_dir) as rest:
        worker = build_worker(rest.app, CollectorRegistry()).run_in_thread()
        yield rest.app
        assert worker.stop(_WORKER_ENDS_WITHIN_S)


@contextmanager
def running(app: App, **options: Any) -> Iterator[tuple[str, int]]:
    """A real server over the stores, in a thread: its address and its port."""
    bound: queue.Queue[int] = queue.Queue()
    stops: list[Callable[[], None]] = []
    arguments: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "operator_token": OPERATOR_TOKEN,
        "on_bound": lambda _host, port: bound.put(port),
        "on_server": stops.append,
    }
    thread = threading.Thread(target=serve, args=(app,), kwargs=arguments | options, name="server")
    thread.start()
    try:
        port = bound.get(timeout=60)
        yield f"http://127.0.0.1:{port}", port
    finally:
        stops[0]()
        thread.join(30)
        assert not thread.is_alive()


def problem(response: Any, status: int, code: str | None = None) -> dict[str, Any]:
    """The problem that the answer is; asserts its form."""
    assert response.status_code == status, (response.status_code, response.text[:500])
    assert response.headers["content-type"] == "application/problem+json", response.headers
    body: dict[str, Any] = response.json()
    assert body["status"] == status
    assert {"type", "title", "detail", "code", "request_id"} <= body.keys()
    assert body["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    if code is not None:
        assert body["code"] == code, body
    return body


def fields(body: Mapping[str, Any]) -> list[str]:
    """The names of the members that a problem speaks of."""
    return [error["field"] for error in body.get("errors", [])]
