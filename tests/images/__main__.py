"""``python -m tests.images``: the images of ``deploy/docker/Dockerfile`` build without an engine, and do their work.

Each target is built with buildah in chroot isolation, on a base that debootstrap makes (both Debian's, and root). Then each
image's root is mounted read-only and its own command started as its own user, without a capability: the embedded one
for the demo and as a server, the others on the servers that ``CA_TEST_...`` variables name. Prints what was done, and a
table of sizes. Ten minutes on two cores, and 4 GB below ``--home``, which is kept for the next time when it is named.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.images.building import TARGETS, TOOLS, Builder
from tests.images.checks import embedded, on_servers
from tests.support.program import REPOSITORY
from tests.support.services import SERVERS, unset

HEADER = ("image", "whole MiB", "of it this program's environment MiB", "built after s")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.images", description=__doc__)
    parser.add_argument("--home", type=Path, help="where base, images and volumes lie (default: a temporary place)")
    parser.add_argument("--storage-driver", default="vfs", help="buildah's; overlay is quicker where it works")
    parser.add_argument("--suite", default="bookworm", help="of Debian, for the base")
    parser.add_argument("--mirror", default="", help="where debootstrap finds it (default: its own)")
    parser.add_argument("--embedded-only", action="store_true", help="without the images that need servers")
    given = parser.parse_args()
    if missing := [tool for tool in TOOLS if shutil.which(tool) is None]:
        parser.error(f"not installed: {', '.join(missing)}")
    if os.geteuid():
        parser.error("chroots and mounts take root")
    targets = ["embedded"] if given.embedded_only else [*TARGETS]
    if not given.embedded_only and (reason := unset(*SERVERS)):
        parser.error(f"{reason}; see CONTRIBUTING.md, or --embedded-only")
    with _home(given.home) as home:
        builder = Builder(home, driver=given.storage_driver, suite=given.suite, mirror=given.mirror)
        _tell("base")
        builder.base()
        rows = [_built(builder, target) for target in targets]
        embedded(builder, home, _tell)
        if not given.embedded_only:
            on_servers(builder, home, _tell)
    lines = [HEADER, ["---"] * len(HEADER), *rows]
    print("\n".join(f"| {' | '.join(line)} |" for line in lines))
    return 0


@contextmanager
def _home(named: Path | None) -> Iterator[Path]:
    """Everybody may enter it: what runs is not root. Volumes and containers go at the end in any case."""
    if named is not None:
        named.mkdir(parents=True, exist_ok=True)
        yield named.resolve()
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="campaignctl-images-") as directory:
        Path(directory).chmod(0o755)
        yield Path(directory)


def _built(builder: Builder, target: str) -> list[str]:
    began_s = time.monotonic()
    builder.build(target, revision=_revision())
    took_s = time.monotonic() - began_s
    with builder.opened(target) as image:
        row = [f"`{target}`", str(image.mib()), str(image.mib("opt/campaignctl")), f"{took_s:.0f}"]
    _tell(f"built {target}: {row[1]} MiB, {took_s:.0f} s")
    return row


def _revision() -> str:
    """The commit; ``unknown`` where the tree is no repository."""
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "HEAD"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    return ran.stdout.strip() or "unknown"


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
