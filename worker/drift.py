"""Whether the sums still equal the raw records: looked at all the time, a month of a campaign at a time.

Each worker looks at the campaigns of its own partitions, in its own thread between two batches, so that nobody inserts
events of the campaign meanwhile. A round is spread over the interval, and changes nothing: what it finds is a figure,
a line of the log, and a reason to run ``campaignctl reaggregate``, after which the campaign is looked at again.
"""

import logging
from collections import deque
from collections.abc import Collection
from datetime import date, timedelta

from prometheus_client import Gauge

from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFactsStore
from campaignctl.ports.rollup import RollupStore
from campaignctl.services.reaggregation import PartitionOf, first_kept_day
from campaignctl.services.reaggregator import months

logger = logging.getLogger("campaignctl.worker")

_EPOCH = date(1970, 1, 1)
# A new worker first catches up.
_FIRST_AFTER_S = 60.0
_TRY_AGAIN_AFTER_S = 10.0


class DriftCheck:
    """``turn`` does the next step when it is due. One thread only; ``every_s``: the length of a round, 0 for never."""

    def __init__(
        self,
        store: RollupStore,
        campaigns: CampaignFactsStore,
        *,
        partition_of: PartitionOf,
        window_days: int,
        retention_days: int,
        every_s: float,
        clock: Clock,
        gauge: Gauge,
    ) -> None:
        self._store = store
        self._campaigns = campaigns
        self._partition_of = partition_of
        self._window_ms = window_days * 86_400_000
        self._retention_days = retention_days
        self._every_s = every_s
        self._clock = clock
        self._gauge = gauge
        self._due_s = clock.monotonic_s() + min(_FIRST_AFTER_S, every_s)
        self._campaigns_left: deque[int] = deque()
        self._round_size = 0
        self._months_left: deque[range] = deque()
        self._campaign = 0
        self._share_s = every_s
        """How much of the round is the campaign's."""
        self._found = 0
        """Rows of the campaign that differ, so far."""
        self._drifts: dict[int, int] = {}
        self._again: deque[int] = deque()
        """Campaigns that differed and whose sums have been made anew since."""
        self._again_due_s = 0.0

    def turn(self, partitions: Collection[int], of: int) -> None:
        """A step, when one is due, for campaigns of the ``partitions`` (of so many). Raises ``Unavailable``."""
        now_s = self._clock.monotonic_s()
        if self._again and now_s >= self._again_due_s:
            self._again_due_s = now_s + _TRY_AGAIN_AFTER_S
            self._look_again(self._again[0], partitions, of)
            self._again.popleft()
            self._again_due_s = now_s
            return
        if not self._every_s or now_s < self._due_s:
            return
        self._due_s = self._clock.monotonic_s() + self._share_s
        if not self._months_left:
            self._next_campaign(partitions, of)
        if self._months_left and self._is_ours(self._campaign, partitions, of):
            self._look(self._months_left.popleft(), self._partition_of(str(self._campaign).encode(), of))
        elif self._months_left:
            self._months_left.clear()

    def look_again(self, campaign_id: int) -> None:
        """Its sums have been made anew: what was told of them is looked at next, not in the next round."""
        if self._told().get(campaign_id) and campaign_id not in self._again:
            self._again.append(campaign_id)

    def _next_campaign(self, partitions: Collection[int], of: int) -> None:
        if not self._campaigns_left:
            ours = [one for one in self._campaigns.campaign_ids(None) if self._is_ours(one, partitions, of)]
            self._campaigns_left, self._round_size = deque(ours), len(ours)
            self._drifts = {one: rows for one, rows in self._drifts.items() if one in set(ours)}
            self._tell()
        if not self._campaigns_left:
            self._share_s = self._every_s
            return
        self._campaign, self._found = self._campaigns_left.popleft(), 0
        self._months_left = deque(self._kept_months(self._campaign))
        self._share_s = self._every_s / self._round_size / max(len(self._months_left), 1)
        if not self._months_left:
            self._drifts.pop(self._campaign, None)
            self._tell()

    def _kept_months(self, campaign_id: int) -> list[range]:
        facts = self._campaigns.campaign_facts([campaign_id]).get(campaign_id)
        recorded = self._store.recorded_days(campaign_id) if facts is not None else None
        if facts is None or recorded is None:
            return []
        kept = (first_kept_day(self._clock.now(), self._retention_days, facts.timezone) - _EPOCH).days
        return list(months(range(max(recorded[0], kept), recorded[1] + 1)))

    def _look(self, days: range, partition: int) -> None:
        self._found += self._lacking(self._campaign, days, partition)
        if not self._months_left:
            self._drifts[self._campaign] = self._found
        self._tell()

    def _look_again(self, campaign_id: int, partitions: Collection[int], of: int) -> None:
        if not self._is_ours(campaign_id, partitions, of):
            return
        if campaign_id == self._campaign:
            self._months_left.clear()  # what the round has found of it until now holds no longer
        partition = self._partition_of(str(campaign_id).encode(), of)
        kept = self._kept_months(campaign_id)
        self._drifts[campaign_id] = sum(self._lacking(campaign_id, days, partition) for days in kept)
        self._tell()

    def _lacking(self, campaign_id: int, days: range, partition: int) -> int:
        """How many sums of the days differ; the log says so."""
        lacking = self._store.recount({campaign_id: days}, self._window_ms, partition).lacking
        if len(lacking):
            first, last = (_EPOCH + timedelta(days=day) for day in (days[0], days[-1]))
            logger.error(
                "campaign %d: %d sums between %s and %s differ from the raw records; make them right with:"
                " campaignctl reaggregate --campaign %d --wait",
                *(campaign_id, len(lacking), first, last, campaign_id),
            )
        return len(lacking)

    def _told(self) -> dict[int, int]:
        told = {**self._drifts}
        if self._months_left:
            told[self._campaign] = max(self._found, told.get(self._campaign, 0))
        return told

    def _tell(self) -> None:
        self._gauge.set(sum(self._told().values()))

    def _is_ours(self, campaign_id: int, partitions: Collection[int], of: int) -> bool:
        return self._partition_of(str(campaign_id).encode(), of) in partitions
