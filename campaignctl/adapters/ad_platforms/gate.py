"""When an account, or an app, may be called next: the memory that all calls of a platform in this process share."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import NamedTuple

from campaignctl.ports.clock import Clock

LONGEST_HOLD_S = 7 * 86_400.0
"""A platform that asks for more is taken for one that is wrong about it."""
LONGEST_UNTOLD_HOLD_S = 3_600.0
_MULTIPLIER = 2.0
_ENTRIES = 10_000
"""Past so many keys those that hold nothing are forgotten."""


class Held(Exception):
    """Nothing may be called for ``wait_s`` more seconds, which is longer than the caller is willing to wait."""

    def __init__(self, wait_s: float) -> None:
        super().__init__(f"held for {wait_s:.1f} s")
        self.wait_s = wait_s


class Waited(NamedTuple):
    """How long a call waited for its turn."""

    held_s: float
    """Because something held it."""
    pace_s: float
    """Because another call had just gone."""


class Gate:
    """A hold is a platform's word ("not before"); the pace spreads calls out before it has to say so.

    Keys are texts: ``account:123``, ``app:abc``. A call passes when none of its keys is held, and takes its turn at
    each. Times are the monotonic clock's. Safe to share between threads.
    """

    def __init__(self, clock: Clock, pace_s: float) -> None:
        self._clock = clock
        self._pace_s = pace_s
        self._lock = Lock()
        self._held_until: dict[str, float] = {}
        self._free_at: dict[str, float] = {}
        self._strikes: dict[str, int] = {}

    def hold(self, key: str, wait_s: float) -> None:
        """Let nothing with this key pass for so long; a hold is never shortened."""
        until = self._clock.monotonic_s() + min(max(wait_s, 0.0), LONGEST_HOLD_S)
        with self._lock:
            self._held_until[key] = max(until, self._held_until.get(key, 0.0))
            if len(self._held_until) > _ENTRIES:
                _forget_past(self._held_until, self._clock.monotonic_s())

    def next_untold_hold_s(self, key: str, first_s: float) -> float:
        """How long to hold where the platform does not say: twice as long each time, until a call succeeds."""
        with self._lock:
            if len(self._strikes) > _ENTRIES:
                self._strikes.clear()
            strikes = self._strikes.get(key, 0)
            self._strikes[key] = strikes + 1
        return min(LONGEST_UNTOLD_HOLD_S, first_s * _MULTIPLIER ** min(strikes, 30))

    def succeeded(self, keys: Sequence[str]) -> None:
        with self._lock:
            for key in keys:
                self._strikes.pop(key, None)

    def held_for_s(self, keys: Sequence[str]) -> float:
        """How long the longest hold of these lasts from now; 0 when there is none."""
        with self._lock:
            return _left(self._held_until, keys, self._clock.monotonic_s())

    def enter(self, keys: Sequence[str], *, patience_s: float) -> Waited:
        """Wait for the turn of a call. Raises ``Held``, at once, when that would take longer than ``patience_s``."""
        left_s, held_s, pace_s = patience_s, 0.0, 0.0
        while (wait_s := self._try_enter(keys)) > 0:
            if wait_s > left_s:
                raise Held(wait_s)
            left_s -= wait_s
            if self.held_for_s(keys) > 0:
                held_s += wait_s
            else:
                pace_s += wait_s
            self._clock.sleep(wait_s)
        return Waited(held_s, pace_s)

    def _try_enter(self, keys: Sequence[str]) -> float:
        """Take the turn and answer 0, or how long there is still to wait."""
        with self._lock:
            now = self._clock.monotonic_s()
            wait_s = max(_left(self._held_until, keys, now), _left(self._free_at, keys, now))
            if wait_s <= 0:
                for key in keys:
                    self._free_at[key] = now + self._pace_s
                if len(self._free_at) > _ENTRIES:
                    _forget_past(self._free_at, now)
            return wait_s


def _left(until: Mapping[str, float], keys: Sequence[str], now: float) -> float:
    return max((until[key] - now for key in keys if key in until), default=0.0)


def _forget_past(until: dict[str, float], now: float) -> None:
    for key in [key for key, at in until.items() if at <= now]:
        del until[key]
