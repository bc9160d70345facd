"""``campaignctl sandbox`` in a process of its own."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def sandbox(*options: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[bytes]]]:
    """What the command prints, and its process."""
    command = [sys.executable, "-m", "campaignctl", "sandbox", "--port", "0", "-o", "json", *options]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline()), process
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()
