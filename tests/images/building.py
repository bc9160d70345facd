"""Images of ``deploy/docker/Dockerfile`` without an engine: buildah in chroot isolation, on a base of debootstrap.

Everything lies below one directory, in a storage of its own, so that what is built touches no other image of the machine
and goes with the directory.
"""

import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.support.program import REPOSITORY

DOCKERFILE = REPOSITORY / "deploy" / "docker" / "Dockerfile"
TARGETS = ("api", "worker", "cli", "embedded")
TOOLS = ("buildah", "debootstrap", "unshare", "setpriv")
_BASE = "localhost/campaignctl-base"
_PACKAGES = "python3,python3-venv,ca-certificates"
_OF_THE_MACHINE = ("/etc/pip.conf", "/etc/ssl/certs", "/usr/local/share/ca-certificates")
"""How this machine reaches a package index. Seen while building, and not in the image."""


@dataclass(frozen=True)
class Image:
    """What was built, and the configuration it runs with."""

    target: str
    root: Path
    config: dict[str, Any]

    @property
    def command(self) -> list[str]:
        return [*self.config["Entrypoint"], *self.config["Cmd"]]

    @property
    def health_check(self) -> list[str]:
        """The command that tells whether a container is well; empty where there is none."""
        kind, *command = (self.config.get("Healthcheck") or {}).get("Test") or [""]
        assert kind in ("", "CMD"), kind
        return command

    @property
    def environment(self) -> dict[str, str]:
        return dict(entry.split("=", 1) for entry in self.config["Env"])

    @cached_property
    def user(self) -> tuple[int, int]:
        uid, _, gid = self.config["User"].partition(":")
        return int(uid), int(gid)

    def mib(self, below: str = ".") -> int:
        """What lies there, as files take room on a disk."""
        ran = subprocess.run(["du", "-sm", str(self.root / below)], capture_output=True, text=True, check=True)
        return int(ran.stdout.split()[0])


class Builder:
    def __init__(self, home: Path, *, driver: str, suite: str, mirror: str) -> None:
        self._home = home
        self._suite, self._mirror = suite, mirror
        self._buildah = ["buildah", "--root", str(home / "images"), "--runroot", str(home / "run")]
        self._buildah += ["--storage-driver", driver]

    def base(self) -> None:
        """Make the image that stands for ``python:3.11-slim-bookworm``, unless it is there."""
        root = self._home / "base"
        if not (self._home / "base.made").exists():
            command = ["debootstrap", "--variant=minbase", f"--include={_PACKAGES}", self._suite, str(root)]
            self._run([*command, *([self._mirror] if self._mirror else [])])
            (self._home / "base.made").touch()
        if self._run([*self._buildah, "images", "--quiet", "--filter", f"reference={_BASE}"]).strip():
            return
        container = self._run([*self._buildah, "from", "scratch"]).strip()
        self._run([*self._buildah, "add", "--quiet", container, str(root)])
        self._run([*self._buildah, "commit", "--quiet", "--rm", container, _BASE])

    def build(self, target: str, *, revision: str) -> None:
        """As ``docker build --target`` does; steps that another target had in common are not done again."""
        command = [
            *self._buildah,
            "bud",
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--format",
            "docker",
            "--layers",
        ]
        for place in _OF_THE_MACHINE:
            if Path(place).exists():
                command += ["--volume", f"{place}:{place}:ro"]
        command += ["--build-arg", f"BASE_IMAGE={_BASE}", "--build-arg", f"REVISION={revision}"]
        command += ["--file", str(DOCKERFILE), "--target", target, "--tag", _name(target), str(REPOSITORY)]
        self._run(command)

    @contextmanager
    def opened(self, target: str) -> Iterator[Image]:
        """The image's root as a directory."""
        container = self._run([*self._buildah, "from", "--pull-never", _name(target)]).strip()
        try:
            root = Path(self._run([*self._buildah, "mount", container]).strip())
            inspected = json.loads(self._run([*self._buildah, "inspect", "--type", "image", _name(target)]))
            yield Image(target, root, inspected["Docker"]["config"])
        finally:
            self._run([*self._buildah, "rm", container])

    def _run(self, command: Sequence[str]) -> str:
        """What it printed. What it had to say when it failed is in ``build.log``."""
        with (self._home / "build.log").open("ab") as log:
            ran = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, cwd=self._home, check=False)
            log.write(ran.stdout)
        if ran.returncode:
            said = (self._home / "build.log").read_text(errors="replace")[-3_000:]
            raise SystemExit(f"{said}\n{command[0]} ended with {ran.returncode}; see {self._home / 'build.log'}")
        return ran.stdout.decode()


def _name(target: str) -> str:
    return f"localhost/campaignctl-{target}"
