"""What every request passes: ids, headers, bounds on heads, bodies and the number at work."""

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message

from campaignctl.services.health import HealthReport, Status
from server.metrics import HttpMetrics
from server.middleware import Bodies, Envelope, Heads, Limits, Slots
from server.problem import HttpError, answer_error

SMALL = Limits(
    body_bytes=100,
    events_body_bytes=200,
    bodies_bytes=250,
    receipt_s=0.1,
    active=2,
    queued=1,
    queue_wait_s=0.05,
    refusal_pause_s=0.01,
)


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def problem(self) -> dict[str, Any]:
        assert self.headers["content-type"] == "application/problem+json"
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["status"] == self.status
        return problem


@dataclass
class Stack:
    """An application behind the real middleware."""

    api: FastAPI
    metrics: HttpMetrics

    async def ask(
        self,
        method: str = "GET",
        path: str = "/things",
        *,
        headers: Iterable[tuple[str, str]] = (),
        chunks: Iterable[bytes | None] = (b"",),
        query: bytes = b"",
        pause_s: float = 0.0,
    ) -> Answer:
        """One request; None among the chunks is a client that sends nothing more."""
        answer = Answer()
        inbox = list(chunks)

        async def receive() -> Message:
            if not inbox:
                await asyncio.sleep(0.01)
                return {"type": "http.disconnect"}
            await asyncio.sleep(pause_s)
            chunk = inbox.pop(0)
            if chunk is None:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": chunk, "more_body": bool(inbox)}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")

        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query,
            "root_path": "",
            "scheme": "http",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        await self.api(scope, receive, send)
        return answer


def stack(limits: Limits = SMALL, gate: asyncio.Event | None = None) -> Stack:
    metrics = HttpMetrics(lambda: HealthReport(Status.OK, {}))
    api = FastAPI(
        openapi_url=None,
        exception_handlers={HttpError: answer_error, 404: answer_error, 405: answer_error},
        telemetry={"tracing": False, "metrics": False, "logs": False, "operation_spans": False},
        middleware=[
            Middleware(Envelope, metrics=metrics),
            Middleware(Heads, limits=limits),
            Middleware(Bodies, limits=limits, metrics=metrics),
            Middleware(Slots, limits=limits, metrics=metrics),
        ],
    )

    async def show(request: Request) -> Response:
        return JSONResponse({"method": request.method})

    async def take(request: Request) -> Response:
        return JSONResponse({"bytes": len(request.scope["state"]["body"])})

    async def wait(request: Request) -> Response:
        assert gate is not None
        await gate.wait()
        return JSONResponse({})

    async def lend(request: Request) -> Response:
        assert gate is not None
        slot = request.scope["state"]["slot"]
        slot.leave()
        await gate.wait()
        return JSONResponse({"again": await slot.take()})

    async def fail(request: Request) -> Response:
        raise RuntimeError("password=hunter2")

    for path, endpoint, method in (
        ("/things", show, "GET"),
        ("/things", take, "POST"),
        ("/api/v1/events", take, "POST"),
        ("/wait", wait, "GET"),
        ("/lend", lend, "GET"),
        ("/fail", fail, "GET"),
        ("/health/live", show, "GET"),
    ):
        api.add_api_route(path, endpoint, methods=[method], response_model=None)
    return Stack(api, metrics)


def run(test: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(test())


def test_every_answer_has_an_id_and_the_common_headers() -> None:
    async def check() -> None:
        for path in ("/things", "/nowhere", "/fail"):
            answer = await stack().ask(path=path)
            assert len(answer.headers["x-request-id"]) == 32
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert "server" not in answer.headers

    run(check)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("abc-1._Z", True), ("", False), ("a" * 65, False), ("a b", False), ("a\r\nset-cookie: x", False), ("é", False)],
)
def test_a_sane_request_id_is_kept(given: str, kept: bool) -> None:
    async def check() -> None:
        answer = await stack().ask(headers=[("X-Request-ID", given)])
        assert (answer.headers["x-request-id"] == given) is kept

    run(check)


def test_an_unexpected_exception_is_a_problem_and_the_log_has_it(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        answer = await stack().ask(path="/fail", headers=[("X-Request-ID", "r-7")])
        assert answer.status == 500
        assert answer.problem["request_id"] == "r-7"
        assert b"hunter2" not in answer.body

    with caplog.at_level(logging.ERROR):
        run(check)
    assert any("r-7" in record.getMessage() and record.exc_info for record in caplog.records)


def test_the_access_log_has_fields_and_no_query(caplog: pytest.LogCaptureFixture) -> None:
    async def check() -> None:
        await stack().ask(path="/nowhere/\n\x1b[31m", query=b"token=hunter2")

    with caplog.at_level(logging.INFO, logger="campaignctl.access"):
        run(check)
    (record,) = [record for record in caplog.records if record.name == "campaignctl.access"]
    fields = vars(record)
    assert (fields["method"], fields["status"], fields["route"]) == ("GET", 404, "unmatched")
    assert "hunter2" not in json.dumps(fields, default=str)


def test_head_is_get_without_a_body() -> None:
    async def check() -> None:
        get, head = await stack().ask(), await stack().ask("HEAD")
        assert head.status == get.status == 200
        assert head.body == b""
        assert head.headers["content-length"] == get.headers["content-length"]
        assert (await stack().ask("HEAD", "/api/v1/events")).status == 405

    run(check)


def test_options_and_405_name_the_methods() -> None:
    async def check() -> None:
        options = await stack().ask("OPTIONS")
        assert (options.status, options.headers["allow"], options.body) == (204, "GET, HEAD, OPTIONS, POST", b"")
        assert (await stack().ask("OPTIONS", "/nowhere")).status == 404
        refused = await stack().ask("DELETE")
        assert refused.status == 405
        assert refused.headers["allow"] == "GET, HEAD, OPTIONS, POST"
        assert refused.problem["code"] == "method_not_allowed"
        override = await stack().ask(headers=[("X-HTTP-Method-Override", "DELETE")])
        assert json.loads(override.body) == {"method": "GET"}

    run(check)


@pytest.mark.parametrize(
    ("headers", "query", "status"),
    [
        ([("X-A", "a" * 40_000)], b"", 431),
        ([(f"X-{n}", "a") for n in range(101)], b"", 431),
        ([], b"q=" + b"a" * 9_000, 414),
        ([("Authorization", "Bearer a"), ("Authorization", "Bearer b")], b"", 400),
        ([("Idempotency-Key", "a"), ("Idempotency-Key", "b")], b"", 400),
    ],
)
def test_heads_are_bounded(headers: list[tuple[str, str]], query: bytes, status: int) -> None:
    async def check() -> None:
        answer = await stack().ask(headers=headers, query=query)
        assert answer.problem["status"] == status

    run(check)


@pytest.mark.parametrize(
    ("path", "chunks", "headers", "status"),
    [
        ("/things", [b"a" * 100], [], 200),
        ("/things", [b"a" * 101], [], 413),
        ("/things", [b"a" * 60, b"a" * 60], [], 413),
        ("/things", [b"a"] * 150, [("Transfer-Encoding", "chunked")], 413),
        ("/things", [b"a"], [("Content-Length", "101")], 413),
        ("/things", [b"a"], [("Content-Length", "9" * 30)], 413),
        ("/things", [b"a" * 120], [("Content-Length", "5")], 413),
        ("/api/v1/events", [b"a" * 200], [], 200),
        ("/api/v1/events", [b"a" * 201], [], 413),
        ("/things", [b"a", None], [], 408),
    ],
)
def test_bodies_are_bounded_in_size_and_time(
    path: str, chunks: list[bytes | None], headers: list[tuple[str, str]], status: int
) -> None:
    async def check() -> None:
        answer = await stack().ask("POST", path, chunks=chunks, headers=headers)
        assert answer.status == status
        if status >= 400:
            assert answer.problem["code"] in ("too_large", "request_timeout")
            assert answer.headers["connection"] == "close"

    run(check)


def test_a_steady_sender_gets_more_time() -> None:
    async def check() -> None:
        limits = Limits(receipt_s=0.1, least_bytes_per_s=100)
        slow = stack(limits)
        steady = await slow.ask("POST", chunks=[b"a" * 10] * 20, pause_s=0.02)  # 500 bytes a second
        assert (steady.status, json.loads(steady.body)) == (200, {"bytes": 200})
        dribbling = await slow.ask("POST", chunks=[b"a"] * 20, pause_s=0.02)  # 50 bytes a second
        assert dribbling.status == 408

    run(check)


def test_all_bodies_together_are_bounded() -> None:
    async def check() -> None:
        one = stack()
        stuck = [asyncio.create_task(one.ask("POST", chunks=[b"a" * 90, None])) for _ in range(2)]
        await asyncio.sleep(0.02)
        refused = await one.ask("POST", "/api/v1/events", chunks=[b"a" * 100])
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert [answer.status for answer in await asyncio.gather(*stuck)] == [408, 408]
        assert (await one.ask("POST", "/api/v1/events", chunks=[b"a" * 200])).status == 200  # all given back
        assert b'campaignctl_requests_shed_total{reason="bytes"} 1.0' in one.metrics.exposition()

    run(check)


def test_a_client_that_goes_away_is_not_answered() -> None:
    async def check() -> None:
        answer = await stack().ask("POST", chunks=[])
        assert answer.status == 0

    run(check)


def test_too_many_at_work_are_refused_and_liveness_is_not() -> None:
    async def check() -> None:
        gate = asyncio.Event()
        one = stack(gate=gate)
        working = [asyncio.create_task(one.ask(path="/wait")) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        queued = asyncio.create_task(one.ask())
        await asyncio.sleep(0.01)
        refused = await one.ask()  # the queue is full: at once
        assert refused.problem["code"] == "overloaded"
        assert refused.headers["retry-after"] == "1"
        assert (await one.ask(path="/health/live")).status == 200
        assert (await queued).status == 503  # waited its moment
        gate.set()
        assert [answer.status for answer in await asyncio.gather(*working)] == [200, 200]
        assert (await one.ask()).status == 200

    run(check)


def test_a_place_that_becomes_free_goes_to_the_one_waiting() -> None:
    async def check() -> None:
        gate = asyncio.Event()
        one = stack(gate=gate)
        working = [asyncio.create_task(one.ask(path="/wait")) for _ in range(2)]
        await asyncio.sleep(0.01)
        queued = asyncio.create_task(one.ask())
        await asyncio.sleep(0.01)
        gate.set()
        assert (await queued).status == 200
        await asyncio.gather(*working)

    run(check)


def test_a_request_that_waits_lends_its_place() -> None:
    async def check() -> None:
        gate = asyncio.Event()
        one = stack(gate=gate)
        waiting = [asyncio.create_task(one.ask(path="/lend")) for _ in range(20)]
        await asyncio.sleep(0.05)
        assert (await one.ask()).status == 200
        gate.set()
        answers = await asyncio.gather(*waiting)
        assert {answer.status for answer in answers} == {200}
        assert (await one.ask()).status == 200

    run(check)


def test_requests_are_counted_by_template() -> None:
    async def check() -> None:
        one = stack()
        await one.ask()
        await one.ask(path="/nowhere/at/all")
        text = one.metrics.exposition().decode()
        assert 'campaignctl_http_requests_total{method="GET",route="unmatched",status="404"} 1.0' in text
        assert "nowhere" not in text
        assert "campaignctl_http_requests_in_progress 0.0" in text
        assert "campaignctl_build_info" in text
        assert "process_resident_memory_bytes" in text

    run(check)
