"""Random histories of events and fetches in a store, and random questions: the answers beside the model's.

``python -m tests.support.report_histories SEED...`` plays single histories and prints what differs.
"""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.errors import InvalidInput
from tests.fakes.clock import ManualClock
from tests.integration.insight_bench import InsightBench
from tests.model.fetches import Fetches, random_fetches, report_questions
from tests.model.histories import History, random_history
from tests.model.questions import request
from tests.model.reference import Model
from tests.support.answers import differences

Json = dict[str, Any]

_FIRST_NOW = datetime(2025, 1, 1, tzinfo=UTC)
_NOW_DAYS = 6 * 365


@dataclass(frozen=True, slots=True)
class Played:
    """A history that has landed."""

    rng: random.Random
    history: History
    fetches: Fetches
    asked_at: datetime
    model: Model
    shift: int
    """What to add to a campaign's number to get its id."""

    def questions(self, count: int) -> list[Json]:
        asked = report_questions(self.rng, self.history, self.fetches, self.asked_at, count)
        # Unknown parameters are refused before the question is read.
        return [question for question in asked if "colour" not in question["params"]]


class Player:
    """Plays histories into one store, each in an organization of its own."""

    def __init__(self, directory: Path, store: ClickHouseAnalytics | None = None) -> None:
        self.bench = InsightBench(directory, ManualClock(_FIRST_NOW), store)

    def close(self) -> None:
        self.bench.close()

    def play(self, seed: int, questions: int) -> list[str]:
        """What differs from the model, a line for each difference."""
        played, wrong = self.load(seed), []
        for question in played.questions(questions):
            expected = played.model.answer(question, played.asked_at)
            wrong += [f"seed {seed}: {question}: {text}" for text in self._wrong(question, played.shift, expected)]
        return wrong

    def load(self, seed: int) -> Played:
        """Land the history of a seed, and move the clock to when questions are asked."""
        rng = random.Random(f"reports {seed}")
        now = (_FIRST_NOW + rng.random() * _NOW_DAYS * timedelta(days=1)).replace(microsecond=0)
        spread_days = rng.choice((3, 20, 60))
        history = random_history(seed, now=now, size=rng.choice((20, 40, 80)), spread_days=spread_days)
        fetches = random_fetches(seed, history, spread_days=spread_days)
        asked_at = now + rng.choice((0, 0, 0, 1, 9, 30, 150)) * timedelta(days=1) + rng.random() * timedelta(hours=6)
        self.bench.clock.move_to(asked_at)
        model, shift = self._land(seed, history, fetches)
        return Played(rng, history, fetches, asked_at, model, shift)

    def _land(self, seed: int, history: History, fetches: Fetches) -> tuple[Model, int]:
        model, organization = Model(), seed + 1
        for number, campaign in enumerate(fetches.campaigns, 1):
            model.add_campaign(
                number, timezone=campaign["timezone"], currency=campaign["currency"], platforms=campaign["platforms"]
            )
        model.add_rates(history.rates)
        counted = []
        for step in history.steps:
            before = sum(len(model.counted(number)) for number in range(1, len(fetches.campaigns) + 1))
            model.feed(step.record, step.log_time_ms)
            if sum(len(model.counted(number)) for number in range(1, len(fetches.campaigns) + 1)) > before:
                counted.append(step)
        for one in fetches.told:
            model.reports.tell(one)
        shift = self.bench.add_campaigns(fetches.campaigns, organization)
        self.bench.add_rates(history.rates, organization)
        self.bench.land([step.record for step in counted], shift, [step.log_time_ms for step in counted])
        self.bench.land_reports(fetches.told, organization)
        return model, shift

    def _wrong(self, question: Json, shift: int, expected: Json) -> list[str]:
        path, params = request(question)
        try:
            answer = self.bench.whole_answer(path, params, shift)
        except InvalidInput as error:
            named = {one.field for one in error.errors}
            return [] if named & set(expected.get("fields", ())) else [f"422 {sorted(named)} instead of an answer"]
        if "error" in expected:
            return [f"an answer instead of 422 {expected['fields']}"]
        wrong = list(differences(answer, expected))
        if answer["freshness"] != expected["freshness"]:
            wrong.append(f"freshness {answer['freshness']} instead of {expected['freshness']}")
        return wrong


def main() -> int:
    wrong = []
    with tempfile.TemporaryDirectory(prefix="reports-") as directory:
        player = Player(Path(directory))
        for text in sys.argv[1:]:
            first, _, last = text.partition("-")
            for seed in range(int(first), int(last or first) + 1):
                wrong += player.play(seed, 20)
        player.close()
    sys.stdout.write("\n".join(wrong or ["no difference"]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
