"""Processes that die over a partition, and the records they die of: part of the metadata store."""

from collections.abc import Collection
from typing import Protocol


class QuarantineLookup(Protocol):
    def quarantined_records(self, incarnation: str, /) -> frozenset[tuple[int, int]]:
        """Partition and offset of every record of the topic's incarnation that was set aside, for ever."""
        ...


class AttemptStore(QuarantineLookup, Protocol):
    def begin_work(self, incarnation: str, partition: int, offset: int, owner: str, /) -> int:
        """Note that a process begins at the offset; answers how many before it began there and died, one after another.

        A process that got further and died counts as one at the offset where the next begins.
        """
        ...

    def end_work(self, incarnation: str, partition: int, owner: str, /) -> None:
        """The process gives the partition up alive; nothing happens when another one has begun meanwhile."""
        ...

    def quarantine(self, incarnation: str, partition: int, offsets: Collection[int], /) -> None: ...
