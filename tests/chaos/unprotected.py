"""The protocol switched off: to see that the chaos notices, and what it costs.

Only a process of the tests can do this, to itself. ``python -m tests.chaos.unprotected work`` is a worker without all of it.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import numpy as np

from campaignctl.adapters.analytics import clients
from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.domain.dedup_window import DedupWindow
from campaignctl.services.deduplication import Candidates, Deduplicator, Verdicts
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


def everything() -> None:
    """A plain consumer as ``repeats``, which takes every event for a new one and has the engine remember no block."""
    repeats()

    def all_are_new(_: Deduplicator, events: Candidates, *__: Any) -> Verdicts:
        return Verdicts(np.zeros(len(events), dtype=np.uint64), np.ones(len(events), dtype=np.bool_), [])

    Deduplicator.judge = all_are_new  # type: ignore[method-assign,assignment]
    Ingestor.remember = lambda *_: None  # type: ignore[method-assign,assignment]
    one_block = clients._ONE_BLOCK
    clients._under = lambda _: {**one_block, "insert_deduplicate": 0}  # type: ignore[assignment]
    commit = OwnedPartition._commit
    OwnedPartition._commit = lambda self, offset, _: commit(self, offset, "")  # type: ignore[method-assign]


WITHOUT: dict[str, Callable[[], None]] = {"repeats": repeats, "forgets": forgets, "everything": everything}


if __name__ == "__main__":
    from campaignctl.__main__ import main

    everything()
    main()
