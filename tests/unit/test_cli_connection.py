"""How a command finds its data: the server that was named, the one that runs, or the stores themselves."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaignctl.adapters.data_directory import DataDirectory
from campaignctl.api_client import ApiClient
from campaignctl.cli import connection
from campaignctl.cli.app import run
from campaignctl.cli.in_process import InProcessTransport
from campaignctl.cli.invocation import Invocation
from campaignctl.config import Settings
from campaignctl.errors import NotFound, NotSignedIn
from tests.unit.cli_support import fake_api, ok, problem

PAGE = {"items": [], "next_cursor": None}


@pytest.fixture(autouse=True)
def _impatient(alone: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOCK_WAIT_S", 0.3)
    monkeypatch.setattr(connection, "_LOOK_EVERY_S", 0.1)
    monkeypatch.delenv("CA_TOKEN")


def test_the_server_that_was_named_gets_the_token_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_TOKEN", "t0k")
    with fake_api(lambda _: ok(PAGE)) as server:
        monkeypatch.setenv("CA_API_URL", server.url)
        assert run(["--organization", "3", "campaigns", "list"]) == 0
    assert server.requests[0].headers["Authorization"] == "Bearer t0k"
    assert server.requests[0].headers["X-Campaignctl-Organization"] == "3"


def test_a_running_server_is_found_and_asked_as_the_machines_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CA_TOKEN", "not for this one")
    directory = DataDirectory(Path(".campaignctl"))
    with fake_api(lambda _: ok(PAGE)) as server, directory.lock(0, "serve"):
        directory.publish_server(server.url, "0perator")
        assert run(["campaigns", "list"]) == 0
    assert server.requests[0].headers["Authorization"] == "Bearer 0perator"


def test_a_server_that_was_started_again_is_asked_with_its_new_token() -> None:
    directory = DataDirectory(Path(".campaignctl"))
    taken = {"Bearer 0ld": problem(401, "not_signed_in", "the token is not known"), "Bearer n3w": ok(PAGE)}
    with fake_api(lambda request: taken[request.headers["Authorization"]]) as server, directory.lock(0, "serve"):
        directory.publish_server(server.url, "0ld")
        found = connection._server_or_lock(Settings(data_dir=directory.path), Invocation(), 5.0)
        assert isinstance(found, ApiClient)
        with found:
            with pytest.raises(NotSignedIn):
                found.get("/api/v1/campaigns")
            directory.publish_server(server.url, "n3w")
            assert found.get_json("/api/v1/campaigns") == PAGE


def test_a_server_that_is_still_starting_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "LOCK_WAIT_S", 10)
    directory = DataDirectory(Path(".campaignctl"))
    with fake_api(lambda _: ok(PAGE)) as server, directory.lock(0, "serve"):
        timer = threading.Timer(0.3, directory.publish_server, (server.url, "0perator"))
        timer.start()
        assert run(["campaigns", "list"]) == 0
        timer.join()
    assert len(server.requests) == 1


def test_stores_that_stay_taken_are_exit_7_and_the_holder_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with DataDirectory(Path(".campaignctl")).lock(0, "init-schema"):
        began_s = time.monotonic()
        assert run(["campaigns", "list"]) == 7
        assert time.monotonic() - began_s < 5
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error[directory_in_use]: ")
    assert "(init-schema)" in captured.err


@pytest.mark.parametrize("command", ["serve", "work", "init-schema"])
def test_what_must_own_the_stores_is_refused_beside_a_server(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    directory = DataDirectory(Path(".campaignctl"))
    with directory.lock(0, "serve"):
        directory.publish_server("http://127.0.0.1:8080", "0perator")
        assert run([command]) == 7
    error = capsys.readouterr().err
    assert "is in use by the server at http://127.0.0.1:8080" in error
    assert "stop that server first" in error
    assert "0perator" not in error


# ---------------------------------------------------------------- the API without a socket


SEVERAL = 5


class App:
    """A small ASGI application that remembers its lifespan."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.slow = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for _ in range(2):
                message = await receive()
                self.events.append(message["type"])
                await send({"type": message["type"] + ".complete"})
            return
        body = (await receive())["body"]
        if scope["path"] == "/slow":
            self.slow += 1
            while self.slow < SEVERAL:  # none is answered before all have come
                await asyncio.sleep(0.01)
        status = 404 if scope["path"] == "/none" else 200
        text = f"{scope['method']} {scope['path']}?{scope['query_string'].decode()} {body.decode()}"
        await send({"type": "http.response.start", "status": status, "headers": [(b"x-a", b"1")]})
        await send({"type": "http.response.body", "body": text[:3].encode(), "more_body": True})
        await send({"type": "http.response.body", "body": text[3:].encode()})


@pytest.fixture
def application() -> Iterator[App]:
    app = App()
    yield app
    assert app.events == ["lifespan.startup", "lifespan.shutdown"]


def test_requests_reach_the_application_and_its_life_is_kept(application: App) -> None:
    with ApiClient("http://in-process", transport=InProcessTransport(application)) as api:
        answer = api.request("POST", "/a/b", params={"x": ["1", "2"]}, content=b"body")
        assert answer.content == b"POST /a/b?x=1&x=2 body"
        assert answer.headers["x-a"] == "1"
        with pytest.raises(NotFound):
            api.get("/none")


def test_several_threads_ask_at_once(application: App) -> None:
    with ApiClient("http://in-process", transport=InProcessTransport(application)) as api:
        threads = [threading.Thread(target=api.get, args=("/slow",)) for _ in range(SEVERAL)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert not any(thread.is_alive() for thread in threads)


def test_a_start_that_fails_is_told_and_leaves_no_thread() -> None:
    async def failing(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.failed", "message": "no"})

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="startup failed: no"):
        InProcessTransport(failing)
    assert threading.active_count() == before
