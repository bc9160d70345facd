"""Records that end the process: each is found, set aside as a dead letter, and the partition moves on.

A process notes where it begins with a partition (``ports.attempts``), and that it has given it up; one that dies notes
nothing. Where two have died and the partition got no further, whoever comes next looks at the records of its batches in
a process of their own first (``worker.probe``): what that one dies of has ended three. Such a record is written down
before the batch is prepared, and left out by everybody who prepares it, now and later.
"""

import logging
import os
import socket
from collections.abc import Callable
from uuid import uuid4

from campaignctl.ports.attempts import AttemptStore
from campaignctl.ports.event_log import RecordBatch, Topic
from worker.probe import Probe

logger = logging.getLogger("campaignctl.worker")

_DEATHS = 2
"""After so many at one place the records there are looked at; the probe's own death is the third."""


class Quarantine:
    """One per worker. Every method raises ``Unavailable``."""

    def __init__(self, attempts: AttemptStore, probe: Probe) -> None:
        self._attempts = attempts
        self._probe = probe
        self._owner = f"{socket.gethostname()}-{os.getpid()}-{uuid4().hex[:8]}"

    def begin(self, topic: Topic, partition: int, offset: int) -> bool:
        """Note that this process begins there; answers whether the records have to be looked at first."""
        deaths = self._attempts.begin_work(topic.incarnation, partition, offset, self._owner)
        if deaths >= _DEATHS:
            logger.warning(
                "%s[%d]: %d processes have died at offset %d; looks at each record before it is applied",
                *(topic.name, partition, deaths, offset),
            )
        return deaths >= _DEATHS

    def end(self, topic: Topic, partition: int) -> None:
        """Note that this process gives the partition up alive."""
        self._attempts.end_work(topic.incarnation, partition, self._owner)

    def set_aside(self, topic: Topic, records: RecordBatch, wait: Callable[[float], None]) -> int:
        """Find and write down the records that end processes; answers how many. Raises ``TooManyKillersError``."""
        offsets = self._probe.killers(records, wait)
        if offsets:
            self._attempts.quarantine(topic.incarnation, records.partition, offsets)
            named = ", ".join(map(str, offsets))
            logger.error("%s[%d]: set aside what ends processes: offset %s", topic.name, records.partition, named)
        return len(offsets)
