"""What the drills of docs/operations.md send, and how they see that all of it is counted once."""

import json
from datetime import UTC, datetime

from tests.support.program import Program

_NOW = datetime.now(UTC)
_DAY = _NOW.date().isoformat()


def events(first: int, end: int) -> bytes:
    """Lines of campaign 1, a click and a tenth each, of now."""
    event = {"campaign_id": 1, "platform": "meta", "event_time": _NOW.isoformat(), "clicks": 1, "spend": "0.1"}
    return b"".join(json.dumps(event | {"event_id": f"e{number}"}).encode() + b"\n" for number in range(first, end))


def clicks(program: Program) -> int:
    asked = ("--start-date", _DAY, "--end-date", _DAY, "--granularity", "total", "-o", "json")
    return int(program.run("insights", "--campaign", "1", *asked).json()["totals"]["clicks"])


def nothing_waits(program: Program) -> bool:
    return program.run("lag", "--max-lag", "0", expect=None).code == 0
