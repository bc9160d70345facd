"""Waiting for what other threads and processes bring about."""

import time
from collections.abc import Callable


def eventually(
    condition: Callable[[], object], what: str = "it", *, within_s: float = 60.0, every_s: float = 0.01
) -> None:
    """Look again and again until the condition holds; fails when it does not in time."""
    end_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end_s, f"not within {within_s:g} s: {what}"
        time.sleep(every_s)
