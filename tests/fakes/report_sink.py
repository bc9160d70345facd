"""Where reports land, in memory, with the ways in which a real store fails."""

from collections.abc import Callable
from typing import Any

from campaignctl.errors import Unavailable
from campaignctl.ports.analytics import OffsetRange
from campaignctl.ports.reports import ReportRows


class FakeReportSink:
    """A ``ReportSink``. A block lands whole or not at all; of what ``fault`` answers see ``FakeEventStore``."""

    def __init__(self) -> None:
        self.slices: list[tuple[int, int, Any]] = []
        """Topic, partition and (record, account, slice)."""
        self.coverage: list[tuple[int, int, Any]] = []
        self.fault: Callable[[str], str | None] = lambda name: None
        self._report_tokens: set[str] = set()

    def append_slices(self, rows: ReportRows, token: str, /) -> None:
        self._take("append_slices", self.slices, [(rows.topic_id, rows.partition, one) for one in rows.slices], token)

    def append_coverage(self, rows: ReportRows, token: str, /) -> None:
        covered = [(rows.topic_id, rows.partition, one) for one in rows.coverage]
        self._take("append_coverage", self.coverage, covered, token)

    def landed_reports(self, offsets: OffsetRange, /) -> tuple[frozenset[int], frozenset[int]]:
        def landed(there: list[tuple[int, int, Any]]) -> frozenset[int]:
            home = (offsets.topic_id, offsets.partition)
            found = {record.offset for *place, (record, *_) in there if tuple(place) == home}
            return frozenset(offset for offset in found if offsets.start <= offset < offsets.end)

        if self.fault("landed_reports") is not None:
            raise _away()
        return landed(self.slices), landed(self.coverage)

    def _take(self, name: str, there: list[Any], new: list[Any], token: str) -> None:
        fault = self.fault(name)
        if fault == "before":
            raise _away()
        if token not in self._report_tokens:
            self._report_tokens.add(token)
            there += [] if fault == "hole" else new
        if fault is not None:
            raise _away()


def _away() -> Unavailable:
    return Unavailable("The analytics store is away.", service="analytics", retry_after_s=0.1)
