"""Which events can be copies of something counted before the deduplication window began, at all.

Such a copy names the very instant of its original. So an event that is older than everything its campaign had counted
by then is no copy, and need not be looked up: a backfill of old events costs no more than new ones do.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_NOTHING = 2**63 - 1

Ask = Callable[[Sequence[int], int], Mapping[int, int]]
"""(campaigns, log time) to the earliest ``event_time_us`` of what each had counted before that log time."""


class EarliestInstants:
    """The earliest instant that each campaign had counted before some log time, for one partition.

    What is known of a campaign holds until the window of a later record begins after that log time: everything that
    came in between is in the window.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, int]] = {}
        """By campaign: the log time that was asked about, and the earliest instant."""

    def may_be_copies(
        self,
        campaign_ids: NDArray[np.int64],
        event_time_us: NDArray[np.int64],
        *,
        first_ms: int,
        windows_end_ms: int,
        ask: Ask,
    ) -> NDArray[np.bool_]:
        """Which of some events of a batch may be copies of what was counted before the window.

        ``first_ms`` is the log time of the batch's first event: all that the log took earlier is applied.
        ``windows_end_ms`` is where the window of the batch's last event begins. A batch that spans more than the
        window can hold an original and its copy, so nothing is said about such a one.
        """
        if windows_end_ms > first_ms:
            return np.ones(len(campaign_ids), dtype=np.bool_)
        distinct, which = np.unique(campaign_ids, return_inverse=True)
        asked = [one for one in distinct.tolist() if not self._holds(one, windows_end_ms)]
        if asked:
            earliest = ask(asked, first_ms)
            self._known |= {one: (first_ms, earliest.get(one, _NOTHING)) for one in asked}
        bounds = np.array([self._known[one][1] for one in distinct.tolist()], dtype=np.int64)
        possible: NDArray[np.bool_] = event_time_us >= bounds[which]
        return possible

    def _holds(self, campaign_id: int, windows_end_ms: int) -> bool:
        known = self._known.get(campaign_id)
        return known is not None and windows_end_ms <= known[0]
