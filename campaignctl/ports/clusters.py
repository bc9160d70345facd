"""How the servers of a store are, where it has several."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ClusterState:
    """Of the servers that hold one store's rows together."""

    name: str
    shards: int
    replicas: int
    """Of all shards."""
    away: tuple[str, ...]
    """Replicas that do not answer."""
    read_only: Mapping[str, int]
    """Replicas with tables that take no rows, and how many tables."""


class ClusterStore(Protocol):
    def cluster_state(self) -> ClusterState | None:
        """How its servers are; None of a store that is one."""
        ...
