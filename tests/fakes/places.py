"""A memory of places in a dict, which forgets and lies as it is told to."""

import random
from collections.abc import Callable, Sequence

from campaignctl.ports.places import Instant

Lie = Callable[[int | None], int | None]


class FakePlaces:
    """``lie`` gets every answer, and gives the one that is answered in its place."""

    def __init__(self, lie: Lie = lambda place: place) -> None:
        self.known: dict[tuple[int, int, Instant], int] = {}
        self.lie = lie
        self.asked = 0
        self.failures = 0
        self.unreadable = 0

    def find(self, topic_id: int, partition: int, keys: Sequence[Instant], /) -> list[int | None]:
        self.asked += len(keys)
        return [self.lie(self.known.get((topic_id, partition, key))) for key in keys]

    def keep(self, topic_id: int, partition: int, keys: Sequence[Instant], offsets: Sequence[int], /) -> None:
        self.known |= {(topic_id, partition, key): at for key, at in zip(keys, offsets, strict=True)}

    def close(self) -> None: ...


def unreliable(rng: random.Random) -> Lie:
    """Loses a third of what it knows, and lies about another: places of other events, of none, and impossible ones."""

    def lie(place: int | None) -> int | None:
        match rng.randrange(3):
            case 0:
                return None
            case 1:
                return rng.choice((0, rng.randrange(300), 2**40, 2**64 - 1, -1))
        return place

    return lie
