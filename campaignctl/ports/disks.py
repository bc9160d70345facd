"""How much room a store's disks have."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Disk:
    """``name`` as the server calls it."""

    name: str
    free_bytes: int
    total_bytes: int


class HasDisks(Protocol):
    def disks(self) -> Sequence[Disk]:
        """The local disks of the server that is connected to, or of the engine in this process.

        Of a cluster only that server's. Raises ``Unavailable``.
        """
        ...
