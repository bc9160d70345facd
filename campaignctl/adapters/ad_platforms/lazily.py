"""The clients by platform, each made when it is first asked for: most processes never speak to a platform."""

import threading
from collections.abc import Callable, Iterator, Mapping

from campaignctl.domain.platforms import Platform
from campaignctl.ports.ad_platforms import AdPlatform


class LazyPlatforms(Mapping[Platform, AdPlatform]):
    """May be used by several threads; ``close`` closes what was made."""

    def __init__(self, builders: Mapping[Platform, Callable[[], AdPlatform]]) -> None:
        self._builders = builders
        self._made: dict[Platform, AdPlatform] = {}
        self._lock = threading.Lock()

    def __getitem__(self, platform: Platform) -> AdPlatform:
        with self._lock:
            if platform not in self._made:
                self._made[platform] = self._builders[platform]()
            return self._made[platform]

    def __iter__(self) -> Iterator[Platform]:
        return iter(self._builders)

    def __len__(self) -> int:
        return len(self._builders)

    def close(self) -> None:
        with self._lock:
            for client in self._made.values():
                client.close()
            self._made.clear()
