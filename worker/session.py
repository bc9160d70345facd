"""One membership of the consumer group: polls the log, and applies each owned partition's batches when they are due."""

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial

from campaignctl.adapters.process_memory import return_freed_pages
from campaignctl.errors import CampaignctlError, Fenced, Unavailable
from campaignctl.ports.event_log import Assignment, OffsetLost, Watermarks
from campaignctl.services.landing import ForeignRowsError
from worker.breaker import MassRejectionError
from worker.intents import UnreadableIntentError
from worker.partition import LogTruncatedError, OwnedPartition, OwnershipLostError, Tools
from worker.probe import TooManyKillersError

logger = logging.getLogger("campaignctl.worker")

_IDLE_POLL_S = 0.5
_WAITING_POLL_S = 0.25
_MEASURE_EVERY_S = 5.0
_HOUSEKEEPING_EVERY_S = 60.0
_FIRST_RETRY_S, _LONGEST_RETRY_S = 0.2, 30.0
# What only a person can put right is looked at again this often, in case one has.
_STALLED_RETRY_S = 60.0


class StoppingError(Exception):
    """The worker was asked to stop while it waited for a store: its intent stays, and will be repeated."""


@dataclass(frozen=True, slots=True)
class _Setback:
    """What a partition last failed for, and how often in a row."""

    reason: str
    count: int


class Session:
    """``turn`` is one round of the loop; ``leave`` gives everything back. One thread only.

    Waiting for a store goes on polling, so that the group does not give this worker up.
    """

    def __init__(
        self,
        tools: Tools,
        stopping: threading.Event,
        *,
        poll_records: int,
        buffer_bytes: int,
        return_memory_every_s: float,
        housekeeping: Callable[[], object] | None,
    ) -> None:
        self._tools = replace(tools, wait=self._wait, settle=self._settle)
        self._consumer = tools.consumer
        self._clock = tools.clock
        self._stopping = stopping
        self._poll_records = poll_records
        self._buffer_bytes = buffer_bytes
        self._return_memory_every_s = return_memory_every_s
        self._housekeeping = housekeeping
        self._owned: dict[int, OwnedPartition] = {}
        self._under_way: OwnedPartition | None = None
        """The one partition whose insert runs beside this thread; None while polling, waiting and leaving."""
        self._to_open: dict[int, float] = {}
        """Partitions that belong to this worker and are not open, and when to try."""
        self._setbacks: dict[int, _Setback] = {}
        self._drained = False
        now_s = self._clock.monotonic_s()
        self._next_measure_s, self._next_return_s, self._next_housekeeping_s = (
            now_s,
            now_s,
            now_s + _HOUSEKEEPING_EVERY_S,
        )

    @property
    def problems(self) -> Mapping[int, str]:
        """Owned partitions that cannot be applied now, and why."""
        return {number: setback.reason for number, setback in list(self._setbacks.items())}

    def turn(self) -> None:
        """Poll once, then apply what is due. Raises ``Unavailable`` when the log cannot be polled."""
        self._drained = not self._poll(self._poll_records, self._poll_timeout_s())
        self._tools.failpoint("after_poll")
        self._open_waiting()
        crowded = sum(partition.buffered_bytes for partition in self._owned.values()) > self._buffer_bytes
        for partition in list(self._owned.values()):
            if partition.owned and partition.is_due(drained=self._drained, crowded=crowded):
                self._guarded(partition.number, partial(self._apply, partition))
            elif self._drained and partition.is_settled:
                self._setbacks.pop(partition.number, None)
        self._settle()
        for partition in list(self._owned.values()):
            if partition.owes_commit(drained=self._drained):
                self._guarded(partition.number, partition.acknowledge)
        self._look_after()

    def leave(self) -> None:
        """Acknowledge what is applied and leave the group, so that others take over at once."""
        with suppress(StoppingError):
            self._settle()
        for partition in self._owned.values():
            with suppress(Fenced, Unavailable, OwnershipLostError):
                partition.acknowledge()
        self._lose(list(self._owned))
        with suppress(Unavailable):
            self._consumer.close()

    def _poll_timeout_s(self) -> float:
        if not self._drained and not all(partition.is_settled for partition in self._owned.values()):
            return 0.0  # something waits: this poll only asks whether there is more
        due_s = [partition.due_in_s(drained=True) for partition in self._owned.values()]
        now_s = self._clock.monotonic_s()
        openings = [at_s - now_s for at_s in self._to_open.values()]
        return max(min([*due_s, *openings, _IDLE_POLL_S]), 0.0)

    def _poll(self, max_records: int, timeout_s: float) -> bool:
        """Take what the log has for us; answers whether there was anything."""
        try:
            assignment = self._consumer.poll(max_records, timeout_s)
        except OffsetLost as lost:
            reason = f"offset {lost.wanted} is not kept any more, the oldest is {lost.start}; skips nothing by itself"
            self._set_back(lost.partition, reason, _STALLED_RETRY_S)
            return False
        self._take(assignment)
        return bool(assignment.batches or assignment.gained or assignment.lost)

    def _take(self, assignment: Assignment) -> None:
        self._lose([*assignment.lost, *assignment.gained])  # gained again: what was known of it holds no longer
        for number in assignment.gained:
            self._to_open[number] = self._clock.monotonic_s()
        for batch in assignment.batches:
            if batch.partition in self._owned:
                self._owned[batch.partition].receive(batch)

    def _lose(self, numbers: Iterable[int]) -> None:
        for number in numbers:
            self._to_open.pop(number, None)
            self._setbacks.pop(number, None)
            partition = self._owned.pop(number, None)
            if partition is not None:
                self._give_up(partition)
            for gauge in (self._tools.metrics.lag, self._tools.metrics.window):
                with suppress(KeyError):
                    gauge.remove(self._tools.topic, str(number))

    def _give_up(self, partition: OwnedPartition) -> None:
        try:
            partition.close()
        except Unavailable as error:  # it will look as if this process had died; that costs a look at some records
            logger.warning("%s: cannot note that it is given up: %s", partition, error.message)
        logger.info("%s: given up", partition)

    def _open_waiting(self) -> None:
        now_s = self._clock.monotonic_s()
        for number in [number for number, at_s in self._to_open.items() if at_s <= now_s]:
            self._guarded(number, partial(self._open, number))

    def _open(self, number: int) -> None:
        partition = OwnedPartition(number, self._consumer.committed(number), self._tools)
        self._consumer.resume(number)
        del self._to_open[number]
        self._owned[number] = partition
        self._drained = False  # nothing has been asked of this partition yet

    def _apply(self, partition: OwnedPartition) -> None:
        partition.apply()
        if partition.is_under_way:
            self._under_way = partition
        else:
            self._setbacks.pop(partition.number, None)

    def _settle(self) -> None:
        """Finish the batch whose insert is under way. What goes wrong with it concerns its own partition alone."""
        partition, self._under_way = self._under_way, None
        if partition is not None:
            self._guarded(partition.number, partial(self._finish, partition))

    def _finish(self, partition: OwnedPartition) -> None:
        partition.finish()
        self._setbacks.pop(partition.number, None)

    def _guarded(self, number: int, action: Callable[[], None]) -> None:
        """Do something with one partition; whatever goes wrong with it, the others go on."""
        try:
            action()
        except StoppingError:
            raise
        except OwnershipLostError:
            self._tools.metrics.fenced.inc()
            logger.info("%s[%d]: went to another worker while waiting for a store", self._tools.topic, number)
        except (UnreadableIntentError, LogTruncatedError, ForeignRowsError, TooManyKillersError) as error:
            self._set_back(number, str(error), _STALLED_RETRY_S)
        except MassRejectionError as error:
            self._tools.metrics.stops.inc()
            self._set_back(number, str(error), _STALLED_RETRY_S)
        except Fenced as error:
            self._tools.metrics.fenced.inc()
            self._set_back(number, error.message)
        except CampaignctlError as error:
            self._set_back(number, error.message)
        except Exception as error:  # a fault of the program must not stop the other partitions
            logger.exception("%s[%d]: unexpected error", self._tools.topic, number)
            self._set_back(number, f"unexpected {type(error).__name__}")

    def _set_back(self, number: int, reason: str, retry_s: float | None = None) -> None:
        """Drop the partition's batch, and open the partition anew from what is committed, after a while."""
        before = self._setbacks[number].count if number in self._setbacks else 0
        self._setbacks[number] = _Setback(reason, before + 1)
        if retry_s is None:
            retry_s = min(_FIRST_RETRY_S * 2 ** min(before, 16), _LONGEST_RETRY_S)
        self._tools.metrics.failures.inc()
        logger.warning("%s[%d]: %s; tries again in %.1f s", self._tools.topic, number, reason, retry_s)
        partition = self._owned.pop(number, None)
        if partition is not None:
            partition.owned = False
        with suppress(Fenced):  # then it is gone already, and the next poll says so
            self._consumer.pause(number)
        self._to_open[number] = self._clock.monotonic_s() + retry_s

    def _wait(self, seconds: float) -> None:
        """Let time pass without reading on, as a member of the group that goes on polling."""
        self._settle()
        deadline_s = self._clock.monotonic_s() + seconds
        self._for_each_owned(self._consumer.pause)
        while (left_s := deadline_s - self._clock.monotonic_s()) > 0:
            if self._stopping.is_set():
                raise StoppingError
            try:
                self._poll(1, min(left_s, _WAITING_POLL_S))
                self._measure_when_due()  # what waits grows meanwhile, and somebody looks at that figure
            except Unavailable:
                self._stopping.wait(min(left_s, _WAITING_POLL_S))
        self._for_each_owned(self._consumer.resume)

    def _for_each_owned(self, action: Callable[[int], None]) -> None:
        for number in list(self._owned):
            with suppress(Fenced):
                action(number)

    def _look_after(self) -> None:
        now_s = self._clock.monotonic_s()
        try:
            self._measure_when_due()
            if self._housekeeping is not None and now_s >= self._next_housekeeping_s:
                self._next_housekeeping_s = now_s + _HOUSEKEEPING_EVERY_S
                if self._is_all_applied():
                    self._housekeeping()
        except Unavailable as error:
            logger.warning("looking after the event log failed: %s", error.message)
        if now_s >= self._next_return_s:
            self._next_return_s = now_s + self._return_memory_every_s
            return_freed_pages()
        self._look_for_drift()

    def _look_for_drift(self) -> None:
        check, topic = self._tools.drift_check, next((one.topic for one in self._owned.values()), None)
        if check is None or topic is None:
            return
        whole = {number for number, partition in self._owned.items() if partition.is_whole}
        try:
            check.turn(whole, topic.partitions)
        except Unavailable as error:
            logger.warning("the check of the sums failed: %s", error.message)

    def _is_all_applied(self) -> bool:
        """Whether this worker has applied all that the log holds: only then may old records go."""
        kept = self._tools.event_log.watermarks(self._tools.topic)
        return all(
            number in self._owned and self._owned[number].is_settled and self._owned[number].position >= marks.end
            for number, marks in kept.items()
        )

    def _measure_when_due(self) -> None:
        now_s = self._clock.monotonic_s()
        if now_s < self._next_measure_s:
            return
        self._next_measure_s = now_s + _MEASURE_EVERY_S
        kept = self._tools.event_log.watermarks(self._tools.topic)
        for number, partition in self._owned.items():
            self._tell_lag(number, partition.position, kept)
            self._tools.metrics.window.labels(self._tools.topic, str(number)).set(partition.window_bytes)
        for number in self._to_open:  # what waits for those that stand still is what somebody looks for
            with suppress(Fenced):
                committed = self._consumer.committed(number)
                if committed is not None:
                    self._tell_lag(number, committed.offset, kept)

    def _tell_lag(self, number: int, position: int, kept: Mapping[int, Watermarks]) -> None:
        lag = max(kept[number].end - position, 0) if number in kept else 0
        self._tools.metrics.lag.labels(self._tools.topic, str(number)).set(lag)
