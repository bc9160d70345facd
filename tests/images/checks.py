"""What an image holds and does not hold, and that each does its work in a container of its own."""

import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import httpx2

from tests.chaos.installation import own_places
from tests.chaos.prometheus import free_port
from tests.images.building import Builder, Image
from tests.images.container import Container, Running
from tests.support.program import REPOSITORY
from tests.support.waiting import eventually

_ENVIRONMENT = "opt/campaignctl"
_BUILDS = ("gcc", "cc", "g++", "c++", "make", "ld", "as", "pip", "pip3", "easy_install")
_START_S = 120.0
_EMAIL, _PASSWORD = "images@example.com", "quiet horse battery staple"
_HELD = """
import json, os
told = dict(line.split(":", 1) for line in open("/proc/self/status"))
names = {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs", "Groups"}
print(json.dumps({
    "uid": [*os.getresuid()], "gid": [*os.getresgid()],
    "told": {name: told[name].strip() for name in names},
    "read_only": {place: bool(os.statvfs(place).f_flag & os.ST_RDONLY) for place in ("/", "/opt/campaignctl", "/tmp", ".")},
    "here": os.getcwd(), "mode": oct(os.stat(".").st_mode & 0o777),
}))
"""
_INSTALLED = """
import importlib.metadata, json
print(json.dumps({one.metadata["Name"]: one.version for one in importlib.metadata.distributions()}))
"""


def holds_what_it_should(image: Image) -> None:
    """Versions are those of the constraints, nothing builds or installs, nobody gets another user's rights by a file."""
    found = [
        str(place / name)
        for place in ("usr/bin", "usr/local/bin", "bin", f"{_ENVIRONMENT}/bin")
        for name in _BUILDS
        if (image.root / place / name).exists()
    ]
    assert not found, f"{image.target} has {', '.join(found)}"
    other = [path for path in _files(image.root) if path.lstat().st_mode & 0o6000]
    assert not other, f"{image.target} has set-id files: {other}"
    wild = [path for path in _files(image.root / _ENVIRONMENT) if path.lstat().st_mode & 0o022]
    assert not wild, f"{image.target}: others may write {wild[:5]}"


def _files(root: Path) -> Iterator[Path]:
    for place in root.rglob("*"):
        if place.is_file() and not place.is_symlink():
            yield place


def is_held_tightly(container: Container) -> None:
    """Not root, no capability and no way to one, a root that cannot be written; and what is installed is what was named."""
    image, python = container.image, f"/{_ENVIRONMENT}/bin/python"
    seen = json.loads(container.execute([python, "-I", "-c", _HELD]).out)
    assert image.user == (10_001, 10_001)
    assert (seen["uid"], seen["gid"]) == ([10_001] * 3, [10_001] * 3), seen
    capabilities = {name: int(value, 16) for name, value in seen["told"].items() if name.startswith("Cap")}
    assert set(capabilities.values()) == {0}, capabilities
    assert (seen["told"]["NoNewPrivs"], seen["told"]["Groups"]) == ("1", ""), seen
    assert seen["read_only"] == {"/": True, "/opt/campaignctl": True, "/tmp": False, ".": False}, seen
    assert (seen["here"], seen["mode"]) == ("/var/lib/campaignctl", "0o700"), seen
    installed: dict[str, str] = json.loads(container.execute([python, "-I", "-c", _INSTALLED]).out)
    constraints = _constraints()
    other = {name: version for name, version in installed.items() if constraints.get(_plain(name)) != version}
    assert other.keys() == {"campaignctl"}, f"{image.target} has {other}"
    assert container.run("version", "-o", "json").out


def _constraints() -> dict[str, str]:
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pairs = (line.split(";")[0].strip().split("==") for line in lines if "==" in line and line[0] != "#")
    return {_plain(name): version for name, version in pairs}


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


@contextmanager
def containers(builder: Builder, home: Path, *targets: str, **environment: str) -> Iterator[list[Container]]:
    """One of each image, each with a volume of its own; and each held to what every image must hold."""
    with ExitStack() as stack:
        made = []
        for target in targets:
            image = stack.enter_context(builder.opened(target))
            data = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=home, prefix=f"{target}-")))
            os.chown(data, *image.user)
            container = Container(image, data, environment)
            holds_what_it_should(image)
            is_held_tightly(container)
            made.append(container)
        yield made


def embedded(builder: Builder, home: Path, told: Callable[[str], None]) -> None:
    """The demo with its verdict, then a server with everything inside."""
    port = free_port()
    places = {"CA_SERVER_PORT": str(port), "CA_SERVER_METRICS_PORT": str(free_port()), "CA_SERVER_HOST": "127.0.0.1"}
    with containers(builder, home, "embedded", **places) as (container,):
        began_s = time.monotonic()
        verdict = container.run("demo", "--once", "--days", "14")
        told(f"embedded: demo --once, {time.monotonic() - began_s:.0f} s: {verdict.out.strip().splitlines()[-1]}")
        is_unwell(container)
        with container.started() as server:
            _is_served(server, port)
            is_well(container)
            checked = container.run("doctor", "-o", "json")
            told(f"embedded: serve, doctor: {len(json.loads(checked.out)['checks'])} checks without a finding")
            with signed_in(port) as client:
                _counts_and_answers(client)
        told(f"embedded: an event sent, counted and answered; stopped in {server.stopped_s:.1f} s")


def on_servers(builder: Builder, home: Path, told: Callable[[str], None]) -> None:
    """The schema made by the worker's image, ``serve`` and ``work``, an event through both, ``doctor`` from the third."""
    port = free_port()
    with ExitStack() as stack:
        places = stack.enter_context(own_places())
        own = {"CA_SERVER_HOST": "127.0.0.1", "CA_SERVER_PORT": str(port), "CA_SERVER_METRICS_PORT": str(free_port())}
        (api,) = stack.enter_context(containers(builder, home, "api", **places, **own))
        own = {"CA_SERVER_HOST": "127.0.0.1", "CA_SERVER_METRICS_PORT": str(free_port())}
        (worker,) = stack.enter_context(containers(builder, home, "worker", **places, **own))
        (cli,) = stack.enter_context(containers(builder, home, "cli", **places))
        worker.run("init-schema", "-o", "json")
        told("worker: init-schema")
        for container in (api, worker):
            is_unwell(container)
        with api.started() as serving, worker.started() as working:
            _is_served(serving, port)
            eventually(
                lambda: "reads from offset" in working.log() or not _alive(working),
                "the worker reads",
                within_s=_START_S,
                every_s=0.1,
            )
            assert _alive(working), working.log()[-4_000:]
            for container in (api, worker):
                is_well(container)
            with signed_in(port) as client:
                campaign = _counts_and_answers(client)
                parquet = client.get(
                    f"/api/v1/campaigns/{campaign}/insights", headers={"Accept": "application/vnd.apache.parquet"}
                )
                assert parquet.status_code == 200 and parquet.content[:4] == b"PAR1", parquet.text[:500]
                token = client.headers["Authorization"].removeprefix("Bearer ")
            told("api, worker: an event sent, counted and answered, as JSON and as Parquet; both healthy")
            visitor = replace(cli, environment={"CA_API_URL": f"http://127.0.0.1:{port}", "CA_TOKEN": token})
            for container in (api, worker, cli):
                checked = container.run("doctor", "-o", "json")
                told(
                    f"{container.image.target}: doctor: {len(json.loads(checked.out)['checks'])} checks without a finding"
                )
            answered = visitor.run("insights", "--campaign", str(campaign), "-o", "json")
            assert json.loads(answered.out)["campaign_id"] == campaign
            told("cli: insights from the API")
        told(f"api stopped in {serving.stopped_s:.1f} s, worker in {working.stopped_s:.1f} s")


def _alive(running: Running) -> bool:
    return running.process.poll() is None


def is_well(container: Container) -> None:
    """Its health check says so."""
    container.execute(container.image.health_check)


def is_unwell(container: Container) -> None:
    """Its health check says so while nothing runs."""
    container.execute(container.image.health_check, expect=1)


def _is_served(server: Running, port: int) -> None:
    def ready() -> bool:
        assert _alive(server), server.log()[-4_000:]
        try:
            return httpx2.get(f"http://127.0.0.1:{port}/health/ready", timeout=5).status_code == 200
        except httpx2.HTTPError:
            return False

    eventually(ready, "it is ready", within_s=_START_S, every_s=0.2)


@contextmanager
def signed_in(port: int) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        person = {"email": _EMAIL, "password": _PASSWORD}
        client.post("/api/v1/auth/register", json=person).raise_for_status()
        answer = client.post("/api/v1/auth/login", json=person).raise_for_status()
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        yield client


def _counts_and_answers(client: httpx2.Client) -> int:
    """The campaign whose one event was counted."""
    made = client.post("/api/v1/campaigns", json={"name": "Images"})
    assert made.status_code == 201, made.text
    campaign = int(made.json()["id"])
    event = {
        "event_id": "e1", "campaign_id": campaign, "platform": "meta", "clicks": 3,
        "event_time": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    client.post("/api/v1/events", json=[event]).raise_for_status()
    eventually(partial(_clicks, client, campaign, 3), "the event is counted", within_s=_START_S, every_s=0.3)
    return campaign


def _clicks(client: httpx2.Client, campaign: int, expected: int) -> bool:
    answer = client.get(f"/api/v1/campaigns/{campaign}/insights", params={"granularity": "total"})
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["totals"]["clicks"] == expected)
