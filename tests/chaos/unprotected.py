"""The protocol switched off, to see that the chaos notices: only ``tests.chaos.worker`` can do this, to its own process."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.domain.dedup_window import DedupWindow
from campaignctl.services.ingestion import Ingestor
from worker import partition
from worker.partition import OwnedPartition


def repeats() -> None:
    """A plain consumer that commits after its insert: no intent, no token, no memory of what has landed."""
    partition.unfinished_intent = lambda _: None  # type: ignore[attr-defined]
    partition.token_of = lambda *_: uuid4().hex  # type: ignore[attr-defined]
    ClickHouseAnalytics.newest_offset = lambda *_: None  # type: ignore[method-assign,assignment]

    def knows_nothing(self: Ingestor, *_: Any) -> DedupWindow:
        return DedupWindow(self._deduplicator.window_ms)

    Ingestor.open_window = knows_nothing  # type: ignore[assignment,method-assign]


def forgets() -> None:
    """A plain consumer that commits before its insert."""
    prepare = OwnedPartition._prepare

    def commit_the_end(self: OwnedPartition, batch: Any) -> Any:
        prepared, intent = prepare(self, batch)
        return prepared, replace(intent, start=intent.end)

    commit = OwnedPartition._commit
    OwnedPartition._prepare = commit_the_end  # type: ignore[method-assign]
    OwnedPartition._commit = lambda self, offset, _: commit(self, offset, "")  # type: ignore[method-assign]


WITHOUT: dict[str, Callable[[], None]] = {"repeats": repeats, "forgets": forgets}
