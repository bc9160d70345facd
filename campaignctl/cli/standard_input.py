"""Standard input, kept from the embedded engine.

The engine (26.5) takes what lies in descriptor 0 for more rows of whatever insert comes, unless it is a terminal: with
60,000 events in ``campaignctl events send - < events.ndjson`` it took lines out of the middle of the input, and its
inserts failed. So the descriptor holds nothing from the start on, and ``sys.stdin`` reads the input by another one.
"""

import os
import sys
from pathlib import Path

_NAMES = ("-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")


def keep_from_engine() -> None:
    """Call it once, before anything is read or opened."""
    if sys.stdin is None:  # closed: what is opened next would be descriptor 0
        os.open(os.devnull, os.O_RDONLY)
    elif not sys.stdin.isatty():
        given = sys.stdin
        sys.stdin = os.fdopen(os.dup(0), encoding=given.encoding, errors=given.errors)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        os.close(nothing)


def is_standard_input(path: Path) -> bool:
    return str(path) in _NAMES


def read_text(path: Path) -> str:
    """The whole file, or standard input where that is named. Raises ``OSError`` and ``UnicodeError``."""
    return sys.stdin.read() if is_standard_input(path) else path.read_text(encoding="utf-8-sig")
