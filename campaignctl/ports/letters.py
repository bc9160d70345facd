"""Which dead letters were produced again: part of the metadata store.

A letter is named by its place in the dead-letter topic, and the topic by its incarnation: one that is made anew counts
from the beginning.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol


class LetterReplayStore(Protocol):
    def mark_replayed(self, incarnation: str, letters: Sequence[tuple[int, int]], job_id: int, /) -> None:
        """Write down that the letters (partition, offset) were produced again now; the last time stands."""
        ...

    def replayed_letters(self, incarnation: str, partition: int, first: int, end: int, /) -> dict[int, datetime]:
        """When each letter with ``first <= offset < end`` was last produced again, for those that were."""
        ...

    def forget_replayed(self, incarnation: str, partition: int, start: int, /) -> None:
        """Forget letters below ``start``, which are gone, and all of other incarnations."""
        ...
