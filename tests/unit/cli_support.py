"""What the command-line tests share: running a command in this process, and a server that answers what it is told."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    stdout: str
    stderr: str


Cli = Callable[..., Ran]


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class FakeApi:
    """Answers every request with ``answer`` and remembers them."""

    answer: Callable[[Request], Answer]
    url: str = ""
    requests: list[Request] = field(default_factory=list)


def ok(body: object, **headers: str) -> Answer:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return 200, {"Content-Type": "application/json", **headers}, content


def problem(status: int, code: str, detail: str = "a sentence", **members: object) -> Answer:
    content = {"type": f"urn:campaignctl:problem:{code}", "status": status, "code": code, "detail": detail, **members}
    return status, {"Content-Type": "application/problem+json"}, json.dumps(content).encode()


@contextmanager
def fake_api(answer: Callable[[Request], Answer]) -> Iterator[FakeApi]:
    """A server on loopback for the length of a ``with``."""
    api = FakeApi(answer)

    class Handler(BaseHTTPRequestHandler):
        def handle_one(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            request = Request(self.command, self.path, dict(self.headers), self.rfile.read(length))
            api.requests.append(request)
            status, headers, body = api.answer(request)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = handle_one  # noqa: N815  the base class looks for these names

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that has gone before its answer is part of some tests."""

    server = Server(("127.0.0.1", 0), Handler)
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
