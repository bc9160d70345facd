"""The server as a process: its port, its end, its connections, its metrics."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx2
import pytest

from campaignctl.domain.campaigns import Campaign
from campaignctl.domain.users import Actor
from campaignctl.errors import CampaignctlError
from campaignctl.services import access
from campaignctl.services.campaigns import CampaignService
from server.app import serve
from server.listening import bind
from tests.e2e.rest import OPERATOR_TOKEN, Rest, User, problem, running
from tests.support.program import Program
from tests.support.waiting import eventually

SCRIPT = """
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from campaignctl.bootstrap import open_app
from campaignctl.config import Settings
from server.app import serve

with open_app(Settings(data_dir=Path(sys.argv[1])), create=True) as app:
    stopped_by = serve(app, host="127.0.0.1", port=0, on_bound=lambda host, port: print(port, flush=True))
print("closed", stopped_by, flush=True)
"""


@pytest.fixture(scope="module")
def url(rest: Rest) -> Any:
    with running(rest.app) as (address, _):
        yield address


def _talk(url: str, request: bytes) -> bytes:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(request)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
        return received


def test_it_answers_on_the_port_it_tells(url: str) -> None:
    answer = httpx2.get(url + "/health/live")
    assert answer.json() == {"status": "ok", "checks": {}}
    assert "date" in answer.headers and "server" not in answer.headers


def test_health_becomes_ready(url: str) -> None:
    end = time.monotonic() + 60
    while (answer := httpx2.get(url + "/health/ready")).status_code != 200:
        assert answer.json()["status"] == "failing"
        assert time.monotonic() < end, answer.text
        time.sleep(0.05)
    assert answer.json()["checks"]
    for check in httpx2.get(url + "/health").json()["checks"].values():
        assert check["status"] == "ok" and check["latency_ms"] >= 0


def test_a_taken_port_is_said(url: str, rest: Rest) -> None:
    port = int(url.rpartition(":")[2])
    with pytest.raises(CampaignctlError) as caught:
        serve(rest.app, host="127.0.0.1", port=port)
    assert (caught.value.code, "--port" in caught.value.hint) == ("address_in_use", True)
    for host in ("192.0.2.1", "no-such-host.invalid"):
        with pytest.raises(CampaignctlError) as caught:
            serve(rest.app, host=host, port=0)
        assert caught.value.code == "address_not_available"


def test_metrics_are_for_this_machine(url: str, user: User) -> None:
    httpx2.get(url + "/api/v1/campaigns", headers=user.headers)
    text = httpx2.get(url + "/metrics")
    assert text.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'campaignctl_http_requests_total{method="GET",route="/api/v1/campaigns",status="200"}' in text.text
    assert 'campaignctl_http_request_duration_seconds_bucket{le="0.05",route="/api/v1/campaigns"}' in text.text
    assert 'campaignctl_dependency_up{dependency="' in text.text
    assert "campaignctl_build_info{version=" in text.text
    names = [line.split("{")[0].split(" ")[0] for line in text.text.splitlines() if not line.startswith("#")]
    assert len({line for line in text.text.splitlines() if line.startswith("# TYPE")}) == sum(
        line.startswith("# TYPE") for line in text.text.splitlines()
    )
    assert names
    proxied = {"X-Forwarded-For": "203.0.113.7"}
    problem(httpx2.get(url + "/metrics", headers=proxied), 401)
    assert httpx2.get(url + "/metrics", headers=proxied | user.headers).status_code == 200  # the role operator
    operator = proxied | {"Authorization": f"Bearer {OPERATOR_TOKEN}"}
    assert httpx2.get(url + "/metrics", headers=operator).status_code == 200


def test_metrics_have_a_port_of_their_own(rest: Rest) -> None:
    listener = bind("127.0.0.1", 0, "metrics_port")
    own = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with running(rest.app, metrics_listener=listener) as (address, _):
        httpx2.get(address + "/health/live")
        found = httpx2.get(own + "/metrics", headers={"X-Forwarded-For": "203.0.113.7"})
        assert found.headers["content-type"].startswith("text/plain; version=0.0.4")
        assert 'route="/health/live"' in found.text and "campaignctl_build_info{" in found.text
        assert httpx2.head(own + "/metrics").content == b""
        for path in ("/", "/api/v1/campaigns", "/metrics/x"):
            assert httpx2.get(own + path).status_code == 404
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(own + "/metrics")


def test_a_forwarded_address_is_not_believed(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FAILURES_PER_ADDRESS", 5)
    for n in range(8):
        body = {"email": f"spoof{n}@example.com", "password": "not the password"}
        answer = httpx2.post(url + "/api/v1/auth/login", json=body, headers={"X-Forwarded-For": f"203.0.113.{n}"})
        if answer.status_code == 429:
            return
    pytest.fail("another address each time escaped the bound per address")


def test_what_a_trusted_proxy_says_of_an_address_is(rest: Rest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access, "FAILURES_PER_ADDRESS", 5)
    with running(rest.app, trusted_proxies=("127.0.0.0/8",)) as (url, _):

        def status(n: int, forwarded: str) -> int:
            body = {"email": f"behind{n}@example.com", "password": "not the password"}
            return httpx2.post(
                url + "/api/v1/auth/login", json=body, headers={"X-Forwarded-For": forwarded}
            ).status_code

        assert {status(n, f"203.0.113.{n}") for n in range(8)} == {401}, "each is somebody else"
        claimed = [status(n, f"198.51.100.{n}, 203.0.113.99") for n in range(8)]
        assert claimed[-1] == 429, "what the client itself wrote before the proxy's word is nothing"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"GET /api/v1/campaigns HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 40_000 + b"\r\nConnection: close\r\n\r\n", 431),
        (b"GET /api/v1/campaigns HTTP/1.1\r\nHost: x\r\n" + b"X-A: a\r\n" * 150 + b"Connection: close\r\n\r\n", 431),
        (b"GET /health/live?" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 414),
        (b"GET http://evil.example/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 200),
        (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 413),
        (b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n"
         b"Connection: close\r\n\r\n0\r\n\r\n", 400),
        (b"GET /health/live HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade, close\r\n\r\n", 200),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 404),
        (b"CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_odd_heads(url: str, request_bytes: bytes, status: int) -> None:
    answer = _talk(url, request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d" % status), head[:200]
    if status >= 400:
        assert b"application/problem+json" in head
        assert json.loads(body)["status"] == status


def test_an_endless_chunked_body_is_cut(url: str) -> None:
    host, _, port = url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b"a" * 0x10000 + b"\r\n"
        sent = 0
        try:
            while sent < 100 << 20:
                connection.sendall(chunk)
                sent += len(chunk)
        except ConnectionError:
            pass
        assert sent < 20 << 20
        received = b""
        try:
            while part := connection.recv(65_536):
                received += part
        except ConnectionError:
            pass
        assert not received or received.startswith(b"HTTP/1.1 413")


def test_nothing_in_a_request_splits_the_answer(url: str, user: User) -> None:
    token = user.tokens["access_token"].encode()
    answer = _talk(
        url,
        b"GET /api/v1/campaigns?q=a%0d%0aSet-Cookie:%20x=1 HTTP/1.1\r\nHost: evil.example\r\nAuthorization: Bearer "
        + token + b"\r\nX-Request-ID: a%0d%0ab\r\nConnection: close\r\n\r\n",
    )  # fmt: skip
    head = answer.partition(b"\r\n\r\n")[0].lower()
    assert b"set-cookie" not in head and b"evil.example" not in answer


@pytest.mark.parametrize(("number", "idle"), [(signal.SIGTERM, True), (signal.SIGINT, False)])
def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals, idle: bool) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        with socket.create_connection(("127.0.0.1", port)) as connection:
            if not idle:
                connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                assert connection.recv(15) == b"HTTP/1.1 200 OK"
            process.send_signal(number)
            out, _ = process.communicate(timeout=60)
        assert out.strip() == f"closed {int(number)}"
        assert process.returncode == 0
    finally:
        process.kill()


def test_after_sigterm_it_says_so_before_it_refuses(tmp_path: Path) -> None:
    program = Program(tmp_path, {"CA_SERVER_DRAIN_S": "2"})
    with program.serving() as server:
        eventually(lambda: httpx2.get(f"{server.url}/health/ready").status_code == 200)
        server.process.send_signal(signal.SIGTERM)
        eventually(lambda: httpx2.get(f"{server.url}/health/ready").status_code == 503, "it is not ready any more")
        assert httpx2.get(f"{server.url}/health").json()["checks"]["process"]["detail"] == "is about to stop"
        assert httpx2.get(f"{server.url}/health/live").status_code == 200
        assert httpx2.get(f"{server.url}/api/v1/campaigns").status_code == 401, "requests are taken"
        assert server.process.wait(20) == 143


def test_requests_under_way_are_finished(rest: Rest, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to stop while it works on a request: the request is answered, later ones are not taken."""
    campaign = user.campaign()
    begun, usual = threading.Event(), CampaignService.get

    def slow(service: CampaignService, campaign_id: int, actor: Actor) -> Campaign:
        begun.set()
        time.sleep(0.5)
        return usual(service, campaign_id, actor)

    monkeypatch.setattr(CampaignService, "get", slow)
    with ThreadPoolExecutor(1) as pool, running(rest.app) as (address, port):
        answer = pool.submit(httpx2.get, f"{address}/api/v1/campaigns/{campaign['id']}", headers=user.headers)
        assert begun.wait(30)
    assert answer.result().status_code == 200
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), timeout=1)
