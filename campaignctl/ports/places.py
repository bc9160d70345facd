"""Where events have landed, by event: a hint, which may be lost, old or wrong."""

from collections.abc import Sequence
from typing import Protocol

Instant = tuple[int, str, int]
"""campaign_id, event_id, event_time_us."""


class PlaceMemory(Protocol):
    """Never raises because it cannot be reached. What it answers is to be looked at where it points to."""

    @property
    def unreadable(self) -> int:
        """Answers since the start that were not what was kept."""
        ...

    @property
    def failures(self) -> int:
        """Visits since the start that were not answered, or not made because earlier ones were not."""
        ...

    def find(self, topic_id: int, partition: int, keys: Sequence[Instant], /) -> Sequence[int | None]:
        """The offset in the partition at which each event is said to have landed, None where nothing is known."""
        ...

    def keep(self, topic_id: int, partition: int, keys: Sequence[Instant], offsets: Sequence[int], /) -> None:
        """Remember for a while that these events, whose insert is acknowledged, lie at these offsets."""
        ...

    def close(self) -> None: ...
