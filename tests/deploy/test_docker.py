"""The Dockerfile, as far as it can be judged without building it."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Any

import pytest

from campaignctl import __version__
from campaignctl.config import load_settings
from tests.deploy.support import DEPLOY, REPOSITORY, known_variables

DOCKERFILE = DEPLOY / "docker" / "Dockerfile"
TARGETS = ("api", "worker", "cli", "embedded")


@dataclass
class Stage:
    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, word: str) -> list[str]:
        return [rest for name, rest in self.instructions if name == word]


def stages() -> dict[str, Stage]:
    text = re.sub(r"\\\n", " ", re.sub(r"(?m)^#.*\n", "", DOCKERFILE.read_text()))
    found: dict[str, Stage] = {}
    for line in filter(None, (line.strip() for line in text.splitlines())):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            stage = found.setdefault(name, Stage(name, base))
        elif found:
            stage.instructions.append((word, rest))
    return found


def whole(name: str) -> list[tuple[str, str]]:
    """The instructions that an image is made of, those of the stages it stands on first."""
    stage = stages()[name]
    return (whole(stage.base) if stage.base in stages() else []) + stage.instructions


def environment(name: str) -> dict[str, str]:
    pairs = (re.findall(r'([A-Z_]+)=("[^"]*"|\S+)', rest) for word, rest in whole(name) if word == "ENV")
    return {variable: value.strip('"') for found in pairs for variable, value in found}


def test_the_base_is_an_argument_and_nothing_else_is_pulled() -> None:
    found = stages()
    assert set(TARGETS) <= found.keys()
    assert {stage.base for stage in found.values()} - found.keys() == {"${BASE_IMAGE}"}
    assert list(found)[-1] == "embedded", "a build without --target needs no servers"


@pytest.mark.parametrize("target", TARGETS)
def test_an_image_runs_as_nobody_special_without_what_builds(target: str) -> None:
    instructions = whole(target)
    users = [rest for word, rest in instructions if word == "USER"]
    assert users == ["10001:10001"]
    assert not any("pip install" in rest or "apt-get" in rest for word, rest in instructions if word == "RUN")
    after = instructions[instructions.index(("USER", "10001:10001")) :]
    assert {word for word, _ in after} <= {
        "USER", "STOPSIGNAL", "ENTRYPOINT", "COPY", "ENV", "EXPOSE", "HEALTHCHECK", "VOLUME", "CMD",
    }  # fmt: skip
    labels = " ".join(rest for word, rest in instructions if word == "LABEL")
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels


@pytest.mark.parametrize("target", TARGETS)
def test_ports_and_the_health_check_are_those_of_the_configuration(target: str) -> None:
    variables = environment(target)
    own = {name: value for name, value in variables.items() if name.startswith("CA_")}
    assert own.keys() <= known_variables()
    settings = load_settings(environ=own)
    ports = {int(own[name]) for name in ("CA_SERVER_PORT", "CA_SERVER_METRICS_PORT") if name in own}
    exposed = {int(port) for word, rest in whole(target) if word == "EXPOSE" for port in rest.split()}
    assert exposed == ports
    checks = [rest for word, rest in whole(target) if word == "HEALTHCHECK"]
    if target == "cli":
        assert not checks
        return
    command = json.loads(checks[0].partition(" CMD ")[2])
    assert command[-1] in own
    assert settings.server.host == "0.0.0.0"


def test_extras_and_the_version_are_the_projects() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    text = DOCKERFILE.read_text()
    wanted = {extra for group in re.findall(r"\[([a-z,]+)\]'", text) for extra in group.split(",")}
    assert wanted
    assert wanted <= project["optional-dependencies"].keys()
    assert f"ARG VERSION={__version__}\n" in text


def test_everything_that_is_copied_passes_the_ignore_file_and_nothing_more() -> None:
    lines = [line for line in (REPOSITORY / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert lines[0] == "*"
    let_in = {line[1:] for line in lines if line.startswith("!")}
    copied = {
        source
        for stage in stages().values()
        for rest in stage.all("COPY")
        if not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert copied == let_in
    assert all((REPOSITORY / source).exists() for source in copied)


@pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1), (None, 1)])
def test_the_health_check_asks_whether_the_process_is_alive(status: int | None, code: int) -> None:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if status and self.path == "/health/live" else 404)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Answer)
    port = server.server_address[1]
    if status is None:
        server.server_close()
    else:
        Thread(target=server.serve_forever, daemon=True).start()
    command = [sys.executable, "-I", str(DEPLOY / "docker" / "healthy.py"), "CA_SERVER_PORT"]
    found = subprocess.run(command, env={"CA_SERVER_PORT": str(port)}, capture_output=True, text=True, timeout=30)
    assert found.returncode == code
    assert "Traceback" not in found.stderr
    if status is not None:
        server.shutdown()
        server.server_close()
