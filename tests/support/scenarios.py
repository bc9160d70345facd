"""Folders with events and the answers that must come out: campaigns, rates, events, refused lines, questions."""

import gzip
import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.answers import Json, decoded
from tests.support.program import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "events"


@dataclass(frozen=True, slots=True)
class Question:
    path: str
    params: Json
    expected: Json

    def __str__(self) -> str:
        return f"{self.path} {self.params}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """What one folder says; campaign N of it is campaign N of a fresh installation."""

    folder: Path
    campaigns: list[dict[str, Any]]
    rates: list[dict[str, Any]]
    events_file: Path
    lines: list[bytes]
    """As they are in the file, without the line's end."""
    refused: list[tuple[int, str]]
    """Index of the line, from 0, and the reason code."""
    questions: list[Question]

    @property
    def refused_by_reason(self) -> Counter[str]:
        return Counter(code for _, code in self.refused)


def scenario_folders() -> list[Path]:
    """The repository's own example, and whatever lies below ``CA_TEST_SAMPLES``."""
    samples = os.environ.get("CA_TEST_SAMPLES")
    found = sorted(path.parent for path in Path(samples).glob("*/answers.json")) if samples else []
    return [EXAMPLE, *found]


def load_scenario(folder: Path) -> Scenario:
    events_file = folder / "events.ndjson.gz"
    lines = gzip.decompress(events_file.read_bytes()).split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    refused = decoded((folder / "refused.json").read_bytes())["line_and_reason"]
    asked = decoded((folder / "answers.json").read_bytes())
    return Scenario(
        folder=folder,
        campaigns=decoded((folder / "campaigns.json").read_bytes()),
        rates=[{**rate, "rate": str(rate["rate"])} for rate in decoded((folder / "rates.json").read_bytes())],
        events_file=events_file,
        lines=lines,
        refused=[(line, code) for line, code in refused],
        questions=[Question(one["path"], one["params"], one["expect"]) for one in asked],
    )
