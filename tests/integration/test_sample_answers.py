"""Event files made elsewhere, with the answers that must come out: every question, exact to the last place."""

import gzip
import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.clock import ManualClock
from tests.integration.insight_bench import InsightBench, exact

Json = dict[str, Any]

SAMPLES = Path(os.environ.get("CA_TEST_SAMPLES", "."))
FOLDERS = sorted(path.parent.name for path in SAMPLES.glob("*/answers.json"))

pytestmark = [
    pytest.mark.embedded,
    pytest.mark.skipif(not FOLDERS, reason="CA_TEST_SAMPLES names no folder of samples"),
]


@pytest.fixture(scope="module", params=FOLDERS or ["none"])
def sample(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, InsightBench]]:
    folder = SAMPLES / request.param
    bench = InsightBench(tmp_path_factory.mktemp("analytics"), ManualClock(datetime(2026, 11, 23, 12, tzinfo=UTC)))
    bench.add_campaigns(_read(folder / "campaigns.json"))
    bench.add_rates(_read(folder / "rates.json"))
    bench.land(gzip.decompress((folder / "events.ndjson.gz").read_bytes()).rstrip(b"\n").split(b"\n"))
    yield folder, bench
    bench.close()


def test_every_question_has_the_expected_answer(sample: tuple[Path, InsightBench]) -> None:
    folder, bench = sample
    wrong = []
    for question in _read(folder / "answers.json"):
        answer = exact(bench.ask(question["path"], question["params"]).body)
        difference = _difference(answer, question["expect"])
        if difference:
            wrong.append(f"{question['path']} {question['params']}: {difference}")
    assert not wrong, "\n".join(wrong[:20])


def _difference(answer: Json, expected: Json) -> str:
    """The first thing that is not as expected; "" when all is."""
    for name in ("timezone", "currency"):
        if answer[name] != expected[name]:
            return f"{name} is {answer[name]}, not {expected[name]}"
    if [warning["code"] for warning in answer["warnings"]] != expected["warnings"]:
        return f"warnings are {answer['warnings']}, not {expected['warnings']}"
    if len(answer["rows"]) != len(expected["rows"]):
        return f"{len(answer['rows'])} rows, not {len(expected['rows'])}"
    for number, (row, wanted) in enumerate(zip(answer["rows"], expected["rows"], strict=True)):
        if not wanted.items() <= row.items() or row.keys() - wanted.keys() - {"source"}:
            return f"row {number} is {row}, not {wanted}"
    if answer["totals"] != expected["totals"]:
        return f"totals are {answer['totals']}, not {expected['totals']}"
    comparison, wanted = answer["comparison"], expected.get("comparison")
    if (comparison is None) != (wanted is None):
        return f"comparison is {comparison}, not {wanted}"
    if comparison is not None and not wanted.items() <= comparison.items():
        return f"comparison is {comparison}, not {wanted}"
    return ""


def _read(path: Path) -> Any:
    return json.loads(path.read_text(), parse_float=Decimal)
