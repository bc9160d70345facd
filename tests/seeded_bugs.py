"""Bugs put into the product on purpose: the histories must find each of them.

``python -m tests.seeded_bugs NAME`` puts one in and plays histories until one differs from the model. Exit code 0 when
one does, 1 when the bug goes unnoticed; ``none`` puts nothing in, and then 0 says that nothing differs.
"""

import logging
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from campaignctl.adapters.analytics import report_answers
from campaignctl.domain import insight_json, insight_reports, local_days
from campaignctl.domain.dedup_window import DedupWindow
from campaignctl.domain.insight_reports import Decision
from campaignctl.domain.insight_rows import RowTable
from campaignctl.domain.insights import Ratio, Sums
from campaignctl.services.ingestion import Ingestor
from tests.support.histories import play
from tests.support.mounts import in_memory
from tests.support.report_histories import Player

HISTORIES = 20
"""Of seeds 0 to 19; each bug shows within the first few."""
QUESTIONS = 20
"""About each history that has reports."""


def utc_day() -> None:
    """Events fall on days of UTC instead of the campaign's zone."""
    right = local_days.LocalDays.days

    def wrong(self: local_days.LocalDays, zone: str, times_us: local_days.I64) -> local_days.I64:
        return right(self, "UTC", times_us)

    local_days.LocalDays.days = wrong  # type: ignore[method-assign]


class _AveragedSums(Sums):
    """Sums whose ratios are the mean of other ratios."""

    rows: list[Sums]

    @classmethod
    def of(cls, sums: Sums, rows: list[Sums]) -> "_AveragedSums":
        made = cls(*sums)
        made.rows = rows
        return made

    def ratio(self, ratio: Ratio) -> int | None:
        found = [value for row in self.rows if (value := row.ratio(ratio)) is not None]
        return sum(found) // len(found) if found else None


def averaged_ratios() -> None:
    """The ratios of the totals are the mean of the rows' ratios instead of made from sums."""
    right: Callable[[RowTable], Sums] = RowTable.__dict__["totals"].func
    shown = insight_json._sums

    def wrong(self: RowTable) -> Sums:
        rows = [row.sums for row in self._rows(range(len(self._cells.rows)))]
        return _AveragedSums.of(right(self), rows)

    def shown_wrong(sums: Sums) -> str:
        text = shown(sums)
        if isinstance(sums, _AveragedSums):
            for ratio in Ratio:
                mean = insight_json._millionths(sums.ratio(ratio))
                text = re.sub(rf'"{ratio.value}": [^,]+', f'"{ratio.value}": {mean}', text)
        return text

    RowTable.totals = property(wrong)  # type: ignore[assignment,method-assign]
    insight_json._sums = shown_wrong


def window_not_rebuilt() -> None:
    """A worker that starts knows nothing of what was counted before: copies of it count again."""

    def wrong(self: Ingestor, *_: Any) -> DedupWindow:
        return DedupWindow(self._deduplicator.window_ms)

    Ingestor.open_window = wrong  # type: ignore[assignment,method-assign]


def both_sources_counted() -> None:
    """A report's day is counted from the report and from the stream as well."""
    Decision.left_out = lambda self: []  # type: ignore[method-assign]


def rest_of_countries_dropped() -> None:
    """What countries leave of a day's total is nowhere."""
    right = insight_reports._countries_and_rest

    def wrong(facts: Any) -> Any:
        countries, rest = right(facts)
        return countries, rest.only_regions(())

    insight_reports._countries_and_rest = wrong


def superseded_version_counted() -> None:
    """Every version of a report counts, and not just the one that stands."""
    statement = report_answers._SQL["standing_rows"]
    versions = re.sub(r"LIMIT 1 BY [^)]*", "", statement)
    assert versions != statement
    report_answers._SQL = {**report_answers._SQL, "standing_rows": versions}


BUGS: dict[str, Callable[[], None]] = {
    "none": lambda: None,
    "utc_day": utc_day,
    "averaged_ratios": averaged_ratios,
    "window_not_rebuilt": window_not_rebuilt,
    "both_sources_counted": both_sources_counted,
    "rest_of_countries_dropped": rest_of_countries_dropped,
    "superseded_version_counted": superseded_version_counted,
}
IN_REPORTS = {"both_sources_counted", "rest_of_countries_dropped", "superseded_version_counted"}
"""Those that only histories with reports can show."""


def first_difference(histories: int = HISTORIES, *, reports: bool = False) -> str | None:
    """What the first history that differs from the model shows; None when none does."""
    with tempfile.TemporaryDirectory() as disk, in_memory(Path(disk)) as directory, ExitStack() as stack:
        player = Player(directory) if reports else None
        if player is not None:
            stack.callback(player.close)
        for seed in range(histories):
            wrong = play(seed, directory / str(seed)) if player is None else player.play(seed, QUESTIONS)
            if wrong:
                return wrong[0]
    return None


def main() -> int:
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    if name not in BUGS:
        sys.stderr.write(f"which bug? one of {', '.join(BUGS)}\n")
        return 2
    logging.getLogger("campaignctl").setLevel(logging.CRITICAL)
    BUGS[name]()
    with suppress(KeyboardInterrupt):
        found = first_difference(HISTORIES if name != "none" else 5, reports=name in IN_REPORTS)
        sys.stdout.write(f"{found or 'no difference'}\n")
        return 0 if (found is None) == (name == "none") else 1
    return 130


if __name__ == "__main__":
    raise SystemExit(main())
