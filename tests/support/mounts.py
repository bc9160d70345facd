"""Where a test's files lie: in memory, on a disk that is full at 64 MiB, on one that nobody may write to."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_MEMORY = Path("/dev/shm")


@contextmanager
def in_memory(otherwise: Path) -> Iterator[Path]:
    """A directory that takes no time to sync, for tests that commit thousands of times; on disk where there is none."""
    if not os.access(_MEMORY, os.W_OK):
        yield otherwise
        return
    with tempfile.TemporaryDirectory(dir=_MEMORY, prefix="campaignctl-test-") as directory:
        yield Path(directory)


@contextmanager
def small_disk(path: Path, size_mib: int) -> Iterator[Path]:
    """A file system in memory at ``path``; skips the test where this user may not mount one."""
    path.mkdir(parents=True)
    options = f"size={size_mib}m,mode=700"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", path], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("mounting a file system takes root")
    try:
        yield path
    finally:
        subprocess.run(["umount", "--lazy", path], capture_output=True, check=True)


def make_read_only(mounted: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", mounted], capture_output=True, check=True)
