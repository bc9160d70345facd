"""Facts of campaigns that a process keeps while it is asked for them, for a store on a server that processes share.

Only the server knows what other processes committed, so what is kept may be older than what is there: by half a second
at most, counted from before its reading began, whatever becomes of the server, the network or this process meanwhile.
Nothing has to arrive for that: a value whose age is not known to be small is not given. What is asked for again and
again is read again five times a second, all of it in one statement, in a thread that ends when nobody asks.

Nor does a process go back. Every reading of facts is noted here, whoever made it, and what is given is never older than
what was noted before. Of readings that overlap, versions say which is newer; a reading that began when another one had
ended is the newer one anyway. What this process writes is seen at once: ``forget`` is called behind each such write.
"""

import logging
import math
import threading
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from campaignctl.errors import CampaignctlError
from campaignctl.ports.metadata import CampaignFacts

KEPT_S = 0.5
"""The oldest that facts are given, since before they were read."""
REFRESH_S = 0.2
_FORGET_AFTER_S = 2.0
"""Well above ``KEPT_S``: no reading that began before an entry was last noted may be kept when the entry is gone."""
_MOST = 8_192
"""Campaigns; some hundred bytes each."""
_IDLE_ROUNDS = 10
_STOP_S = 5.0
_NEVER_S = -math.inf

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Entry:
    facts: CampaignFacts | None
    """None: there is no such campaign. That is not given, but remembered, lest an older reading brings it back."""
    as_of_s: float
    """Everything that was committed before is in the facts."""
    noted_s: float
    asked: bool = False


class KeptFacts:
    """Thread-safe; ``read`` asks the server for the facts of campaigns, as of a moment after it was called."""

    def __init__(
        self,
        read: Callable[[Collection[int]], Mapping[int, CampaignFacts]],
        monotonic_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._read = read
        self.now_s = monotonic_s
        self._lock = threading.Lock()
        self._entries: dict[int, _Entry] = {}
        self._not_before_s = _NEVER_S
        """Readings that began no later may lack something that this process has answered with, or written."""
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def find(self, campaign_id: int) -> CampaignFacts | None:
        """Facts of half a second ago at most; None where there are none. Waits for nothing but other finders."""
        with self._lock:
            entry = self._entries.get(campaign_id)
            if entry is None or entry.facts is None:
                return None
            entry.asked = True
            if self._thread is None and not self._closed.is_set():
                self._thread = threading.Thread(target=self._run, name="kept-facts", daemon=True)
                self._thread.start()
            return entry.facts if self.now_s() - entry.as_of_s <= KEPT_S else None

    def note(self, began_s: float, facts: Mapping[int, CampaignFacts], asked: Collection[int] | None = None) -> None:
        """What a reading that began then found; of those it ``asked`` for by id, also what is not there.

        A single one is kept. Of many, those that are kept already are no older from now on than what was found.
        """
        with self._lock:
            now_s = self.now_s()
            wanted = facts.keys() if asked is None else set(asked)
            kept = wanted if len(wanted) == 1 and asked is not None else wanted & self._entries.keys()
            for campaign_id in kept:
                self._note_one(campaign_id, facts.get(campaign_id), began_s, now_s)
            if len(kept) < len(wanted):
                self._not_before_s = now_s

    def forget(self) -> None:
        """This process has written something that facts tell of, or may have."""
        with self._lock:
            self._not_before_s = self.now_s()
            for entry in self._entries.values():
                entry.as_of_s = _NEVER_S

    def refresh(self) -> bool:
        """Read again what was asked for since the last time; False when nothing was."""
        with self._lock:
            began_s = self.now_s()
            for campaign_id in [id_ for id_, one in self._entries.items() if began_s - one.noted_s > _FORGET_AFTER_S]:
                del self._entries[campaign_id]
            asked = [id_ for id_, one in self._entries.items() if one.asked]
            for campaign_id in asked:
                self._entries[campaign_id].asked = False
        if not asked:
            return False
        try:
            facts = self._read(asked)
        except CampaignctlError as error:  # whoever asks meanwhile asks the server, and is told
            _log.debug("facts of %d campaigns could not be read again: %s", len(asked), error)
            return True
        self.note(began_s, facts, asked)
        return True

    def close(self) -> None:
        """Give nothing any more."""
        self._closed.set()
        with self._lock:
            thread = self._thread
            self._entries.clear()
        if thread is not None:
            thread.join(_STOP_S)

    def _note_one(self, campaign_id: int, found: CampaignFacts | None, began_s: float, now_s: float) -> None:
        as_of_s = began_s if began_s > self._not_before_s else _NEVER_S
        entry = self._entries.get(campaign_id)
        if entry is None:
            if len(self._entries) < _MOST and not self._closed.is_set():
                self._entries[campaign_id] = _Entry(found, as_of_s, now_s)
            else:
                self._not_before_s = now_s
        elif found is None or began_s > entry.noted_s:
            entry.facts, entry.as_of_s, entry.noted_s = found, as_of_s, now_s
        elif entry.facts is not None and _versions(found) >= _versions(entry.facts):  # they overlapped
            entry.facts, entry.as_of_s, entry.noted_s = found, max(entry.as_of_s, as_of_s), now_s

    def _run(self) -> None:
        idle = 0
        try:
            while not self._closed.wait(REFRESH_S):
                idle = 0 if self.refresh() else idle + 1
                if idle >= _IDLE_ROUNDS and self._ended():
                    return
        finally:
            with self._lock:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _ended(self) -> bool:
        """Whether nobody has asked since the last look; then the next one who asks starts another thread."""
        with self._lock:
            if any(entry.asked for entry in self._entries.values()):
                return False
            self._thread = None
            return True


def _versions(facts: CampaignFacts) -> tuple[int, int, int]:
    return facts.version, facts.data_version, facts.rates_version
