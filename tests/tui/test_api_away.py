"""The dashboard over the real client and a real socket: the API is stopped, and started again at the same place."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

import pytest

from campaignctl.api_client import ApiClient
from campaignctl.tui.app import Dashboard
from campaignctl.tui.reader import Reader
from campaignctl.tui.session import Session
from tests.tui.driving import text_of, until
from tests.tui.fake_api import NOW, FakeApi

pytest.importorskip("textual_plot", reason="the extra 'dashboard' is not installed")


@contextmanager
def _serving(api: FakeApi, port: int) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            given = dict(self.headers)
            answer = api.request("GET", url.path, params=dict(parse_qsl(url.query)), headers=given)
            body = b"" if answer.status == 304 else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(60)


@pytest.mark.anyio
async def test_the_api_stops_and_starts_and_the_numbers_stay_meanwhile() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    api = FakeApi()
    with ApiClient(f"http://127.0.0.1:{port}") as client:
        app = Dashboard(Session.of(client, "test", interval_s=0.5, now=lambda: NOW))
        async with app.run_test(size=(140, 44)) as pilot:
            with _serving(api, port):
                await until(app, pilot, "LIVE", "12.3k", "settling")
            shown = await until(app, pilot, "OFFLINE", "cannot be reached")
            assert "12.3k" in shown
            await pilot.press("m", "3")
            await until(app, pilot, "campaignctl jobs list", "OFFLINE")
            await pilot.press("1")
            assert "12.3k" in await until(app, pilot, "Revenue by day")
            with _serving(api, port):
                await pilot.press("r")
                await until(app, pilot, "LIVE")
                assert "cannot be reached" not in text_of(app)


def test_what_has_not_changed_costs_a_304_and_is_there_all_the_same() -> None:
    api = FakeApi()
    reader = Reader(api)
    first = reader.get("/api/v1/campaigns", {"limit": "5"})
    assert reader.get("/api/v1/campaigns", {"limit": "5"}) is first
    api.names[0] = "another"
    assert reader.get("/api/v1/campaigns", {"limit": "5"})["items"][0]["name"] == "another"
    question = {"start_date": "2026-10-01", "end_date": "2026-10-02"}
    for _ in range(3):
        reader.get("/api/v1/campaigns/1/insights", question)
    assert reader.answered_by == {"miss": 1, "unchanged": 2}
