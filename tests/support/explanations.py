"""Explanations of single numbers of random histories, held against insights, the model and their own evidence.

``python -m tests.support.explanations SEED...`` plays single histories and prints what does not hold.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from campaignctl.domain.insights import MONEY, Metric, Ratio, RowSource
from campaignctl.domain.metric_facts import parts_of
from campaignctl.domain.money import micros_to_decimal
from campaignctl.domain.users import Actor
from campaignctl.errors import InvalidInput
from campaignctl.services.explained import Amount, Explanation, Part
from campaignctl.services.explanation import ExplanationService
from campaignctl.services.insight_answers import InsightRules
from tests.integration.insight_bench import InsightBench
from tests.support.report_histories import Played, Player

Json = dict[str, Any]

_KEPT = ("platform", "region", "timezone", "currency", "source", "as_of")


class Explainer:
    """Plays histories and explains numbers of them."""

    def __init__(self, directory: Path) -> None:
        self._player = Player(directory)
        self._bench: InsightBench = self._player.bench
        self._service = ExplanationService(
            self._bench.store,
            self._bench.metadata,
            self._bench.cache,
            self._bench.clock,
            rules=InsightRules(),
            definition_actions=lambda _: None,
        )
        self.reached: set[str] = set()
        """What explanations have told so far: rules, sources, why a number is null, warnings."""

    def close(self) -> None:
        self._player.close()

    def play(self, seed: int, questions: int) -> list[str]:
        """What does not hold, a line for each."""
        played, wrong = self._player.load(seed), []
        for question in played.questions(questions):
            rng = played.rng
            asked = {name: question["params"][name] for name in _KEPT if name in question["params"]}
            days = [*played.fetches.days, *played.fetches.days, *played.history.days, played.asked_at.date()]
            asked |= {"date": rng.choice(days).isoformat(), "metric": str(rng.choice([*Metric, *Ratio]))}
            campaign = rng.choice(question["campaigns"])
            wrong += [
                f"seed {seed}: campaign {campaign} {asked}: {text}" for text in self._wrong(played, campaign, asked)
            ]
        return wrong

    def _wrong(self, played: Played, campaign: int, asked: Json) -> Iterator[str]:
        day, metric = asked["date"], asked["metric"]
        params = {name: asked[name] for name in _KEPT if name in asked} | {"start_date": day, "end_date": day}
        expected = played.model.answer({"campaigns": [campaign], "several": False, "params": params}, played.asked_at)
        try:
            found = self._service.of(
                campaign + played.shift,
                {name: value if isinstance(value, list) else [value] for name, value in asked.items()},
                Actor.machine_operator(),
            )
        except InvalidInput as error:
            if "error" not in expected:
                yield f"422 {error} instead of {expected}"
            return
        if "error" in expected:
            yield f"an answer instead of 422 {expected['fields']}"
            return
        path = f"/api/v1/campaigns/{campaign}/insights"
        daily = self._bench.whole_answer(path, params, played.shift)
        total = self._bench.whole_answer(path, params | {"granularity": "total"}, played.shift)
        by_platform = self._bench.whole_answer(path, params | {"group_by": "platform"}, played.shift)
        value = _told(found)
        for name, other in (("insights", daily["totals"][metric]), ("the model", expected["totals"][metric])):
            if value != other:
                yield f"{value} instead of {other}, which is what {name} has"
        if [(one.code, one.message) for one in found.warnings] != [tuple(one.values()) for one in daily["warnings"]]:
            yield f"warnings {found.warnings} instead of {daily['warnings']}"
        (row,) = total["rows"]
        if (found.source, found.finality) != (row["source"], row["finality"]):
            yield f"{found.source} {found.finality} instead of {row['source']} {row['finality']}"
        if (value is None) != bool(found.null_because):
            yield f"{value} because of {found.null_because}"
        yield from _adds_up(found)
        rows = {one["platform"]: one for one in by_platform["rows"]}
        if not rows.keys() <= {part.platform for part in found.parts}:
            yield f"only {[part.platform for part in found.parts]} of {list(rows)}"
        for part in found.parts:
            yield from (f"{part.platform}: {text}" for text in _holds(found, part, rows.get(part.platform)))
            self.reached |= {f"rule {part.rule}", f"part {part.source}", f"part {part.finality}"}
        self.reached |= {f"null by {one.code}" for one in found.null_because} | {f"source {found.source}"}
        self.reached |= {"converted"} if found.converted else set()


def _told(found: Explanation) -> int | Decimal | None:
    if found.value is None or (isinstance(found.metric, Metric) and found.metric.is_count):
        return found.value
    return micros_to_decimal(found.value)


def _adds_up(found: Explanation) -> Iterator[str]:
    """What platforms give, converted as the explanation says, is the number."""
    base = found.query.currency
    for metric in parts_of(found.metric):
        amounts = [one for part in found.parts for one in part.amounts if one.metric is metric]
        converted = {one.currency: one for one in found.converted if one.metric is metric}
        if any(one.value is None for one in (*amounts, *converted.values())):
            if found.sums.metric(metric) is not None:
                yield f"{metric}: {found.sums.metric(metric)} of what cannot be told"
            continue
        foreign: dict[str, int] = {}
        for one in amounts:
            if one.currency not in ("", base):
                foreign[one.currency] = foreign.get(one.currency, 0) + (one.value or 0)
        if {currency: value for currency, value in foreign.items() if value} != {
            currency: one.amount for currency, one in converted.items()
        }:
            yield f"{metric}: {foreign} is not what is converted: {converted}"
        whole = sum(one.value or 0 for one in amounts if one.currency in ("", base))
        whole += sum(one.value or 0 for one in converted.values())
        told = found.sums.metric(metric)
        if told is not None and whole != told:
            yield f"{metric}: the platforms give {whole} and not {told}"


def _holds(found: Explanation, part: Part, row: Json | None) -> Iterator[str]:
    if row is not None and (part.source, part.finality) != (row["source"], row["finality"]):
        yield f"{part.rule}: {part.source} {part.finality} instead of {row['source']} {row['finality']}"
    if row is not None and part.source is None:
        yield f"{part.rule}: neither, and there is a row"
    if row is None and _nonzero(part.amounts):
        yield f"{part.amounts} and no row"
    stream = part.stream
    if not stream.expired:
        if part.source is RowSource.STREAM and _nonzero(part.amounts) != _nonzero(stream.amounts):
            yield f"records have {stream.amounts} instead of {part.amounts}"
        if stream.summed_events not in (None, stream.events):
            yield f"{stream.events} records and {stream.summed_events} in the sums"
    if sum(one.events for one in stream.records) != stream.events:
        yield f"{stream.records} are not {stream.events} events"
    if part.source is RowSource.REPORT and not found.query.regions:
        reported: dict[tuple[Metric, str], int] = {}
        for native in part.report.natives:
            for of_total in native.rows if native.seen and native.covered_us is not None else ():
                for metric in parts_of(found.metric):
                    key = (metric, of_total.currency if metric in MONEY else "")
                    reported[key] = reported.get(key, 0) + (of_total.figures[metric] or 0)
        slices = {Amount(metric, currency, value) for (metric, currency), value in reported.items() if value}
        if slices != _nonzero(part.amounts):
            yield f"slices have {slices} instead of {part.amounts}"
    for native in part.report.natives:
        standing = [one for one in native.versions if one.stands]
        rows = [one.figures for one in native.rows if one.region == ""]
        if rows != [one.figures for one in standing if one.figures is not None]:
            yield f"{rows} stands, and of versions {standing}"


def _nonzero(amounts: tuple[Amount, ...]) -> set[Amount]:
    return {one for one in amounts if one.value}


def main() -> int:
    wrong: list[str] = []
    with tempfile.TemporaryDirectory(prefix="explanations-") as directory:
        explainer = Explainer(Path(directory))
        for text in sys.argv[1:]:
            first, _, last = text.partition("-")
            for seed in range(int(first), int(last or first) + 1):
                wrong += explainer.play(seed, 20)
        explainer.close()
    sys.stdout.write("\n".join([*(wrong or ["all of it holds"]), *sorted(explainer.reached)]) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
