"""One partition, from the moment this worker gains it to the moment it loses it.

Applying a batch, in order (the protocol is told in ``worker.intents``):

1. prepare its rows;
2. commit the intent, which also acknowledges the batch before;
3. set aside what does not count: dead letters, misplaced records, conflicts;
4. insert the rows, again and again under the same token until it succeeds;
5. after any doubt (a failed try, a repeated batch) make sure that every row is there;
6. tell caches, and add the rows to the deduplication window.

A command record (``worker.commands``) is no part of any batch: what lies before it lands first, then it is executed,
then its offset is acknowledged.

The first try of an ordinary batch's insert runs beside the worker's own thread (``worker.errands``), which meanwhile
prepares the batch of another partition; ``finish`` does what comes after it. Everything else, and every further try,
happens in the worker's own thread. The session lets no more than one insert be under way, and none while it polls,
waits or leaves: so no partition changes hands while this worker writes to it, and no callback of the group finds a
batch half done. Repeated batches, repairs and commands never run beside anything.

An object of this class is the partition's *incarnation*: it is made anew with each gain and after each error, and one
that is no longer ``owned`` never commits again. Polling and committing happen in one thread, so nothing can come
between looking at ``owned`` and acting on it.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from uuid import uuid4

from campaignctl.errors import Unavailable
from campaignctl.ports.analytics import EventStore, OffsetRange
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import Committed, Consumer, EventLog, RecordBatch, Topic
from campaignctl.services.ingestion import Ingestor, PreparedBatch, RecordRange, topic_number
from campaignctl.services.landing import Landing
from worker.batching import FlushPolicy, PartitionBuffer
from worker.breaker import Breakers
from worker.commands import Command, Commands
from worker.drift import DriftCheck
from worker.errands import Errand
from worker.intents import Intent, token_of, unfinished_intent
from worker.metrics import WorkerMetrics
from worker.quarantine import Quarantine

logger = logging.getLogger("campaignctl.worker")

_T = TypeVar("_T")
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.1, 5.0
# How far the log's clock may be from this machine's, where no record tells the log's time.
_CLOCKS_APART_MS = 86_400_000


class OwnershipLostError(Exception):
    """The partition went to another worker while this one was waiting for a store: drop everything."""


class LogTruncatedError(Exception):
    """The log ends before what has been applied: it lost records, or an older copy of it was put back.

    New records get offsets that others had before, so going on would take them for applied, and lose them.
    """


@dataclass(frozen=True, slots=True)
class Tools:
    """What applying a partition needs; the same for all partitions of a worker."""

    event_log: EventLog
    consumer: Consumer
    store: EventStore
    ingestor: Ingestor
    landing: Landing
    topic: str
    policy: FlushPolicy
    clock: Clock
    metrics: WorkerMetrics
    breakers: Breakers
    failpoint: Callable[[str], None]
    quarantine: Quarantine | None
    """None: a record that ends processes ends all that come."""
    commands: Commands | None
    """None: command records do nothing."""
    drift_check: DriftCheck | None
    wait: Callable[[float], None]
    """Let seconds pass while the membership is kept; may raise what ends the work."""
    settle: Callable[[], None]
    """Finish the batch of another partition whose insert is under way; afterwards none is."""


@dataclass(frozen=True, slots=True)
class _UnderWay:
    """A batch whose rows are on their way to the store."""

    batch: RecordRange
    prepared: PreparedBatch
    intent: Intent
    insert: Errand[None]
    spent_s: float
    """What landing took before the insert began."""


class OwnedPartition:
    """Made open: the constructor finds out where to go on, and lets the consumer read from there.

    It raises ``Fenced`` or ``Unavailable`` when that is not possible now, ``UnreadableIntentError`` or
    ``LogTruncatedError`` when it takes a person to decide.
    """

    def __init__(self, number: int, committed: Committed | None, tools: Tools) -> None:
        self.number = number
        self.owned = True
        self._tools = tools
        self._topic = self._find_topic()
        self._topic_number = topic_number(self._topic)
        self._owner = f"{self._topic.name}[{number}] {uuid4().hex[:12]}"
        self._replay: Intent | None = None
        self._under_way: _UnderWay | None = None
        self._repair_end = 0
        """Records below were applied before, in batches that nobody knows."""
        kept = tools.event_log.watermarks(self._topic.name)[number]
        if committed is None:
            # Written down at once, so that nobody ever has to guess where the group began.
            committed = Committed(kept.start, "")
            tools.consumer.commit(number, committed.offset, "")
        self.position = committed.offset
        """Everything below is applied."""
        self._acknowledged = committed.offset
        self._opened_at = committed.offset
        self._has_begun = False
        """Whether it is noted that this process applies records here. Who dies before that died of none of them."""
        self._is_suspect = False
        """Processes have died here: records are looked at before they are applied, until something is acknowledged."""
        self._buffer = PartitionBuffer(number, committed.offset)
        self._plan(committed, log_end=kept.end)
        log_time_ms = self._log_time_ms(max(committed.offset - 1, kept.start))
        self._window = tools.ingestor.open_window(self._topic, number, committed.offset, log_time_ms)
        tools.consumer.seek(number, committed.offset)
        logger.info("%s: reads from offset %d and knows %d ids", self, committed.offset, len(self._window))

    def _plan(self, committed: Committed, *, log_end: int) -> None:
        """Decide what comes first: repairing after a rewind, repeating an unfinished batch, or neither."""
        tools = self._tools
        intent = unfinished_intent(committed)
        planned_end = intent.end if intent else committed.offset
        if log_end < planned_end:
            raise LogTruncatedError(f"the log ends at offset {log_end}, the group planned up to {planned_end}")
        newest = tools.store.newest_offset(self._topic_number, self.number)
        if newest is not None and newest >= log_end:
            raise LogTruncatedError(f"the log ends at offset {log_end}, and offset {newest} has been applied")
        if newest is not None and newest >= planned_end:
            self._repair_end = newest + 1
            tools.metrics.rewinds.inc()
            logger.warning(
                "%s: the committed offset %d was set back; checks what was applied up to offset %d",
                *(self, committed.offset, self._repair_end),
            )
        elif intent is not None:
            # Committed again unchanged: a worker that is no member any more learns it here, before it writes anything.
            tools.consumer.commit(self.number, intent.start, intent.metadata())
            self._replay = intent
            if intent.code != tools.ingestor.code:
                logger.warning("%s: repeats a batch that was prepared under other rules or settings", self)

    def __str__(self) -> str:
        return f"{self._tools.topic}[{self.number}]"

    @property
    def window_bytes(self) -> int:
        """Memory of the ids that the deduplication window knows."""
        return self._window.size_bytes

    @property
    def topic(self) -> Topic:
        return self._topic

    @property
    def buffered_bytes(self) -> int:
        return self._buffer.size_bytes

    @property
    def is_under_way(self) -> bool:
        """Whether ``apply`` has left a batch to ``finish``."""
        return self._under_way is not None

    @property
    def is_settled(self) -> bool:
        """Whether everything that was read is applied and acknowledged."""
        return not len(self._buffer) and self.position == self._acknowledged and self._replay is None

    @property
    def is_whole(self) -> bool:
        """Whether nothing is left to repeat or to repair."""
        return self._replay is None and self.position >= self._repair_end

    def receive(self, batch: RecordBatch) -> None:
        clock = self._tools.clock
        lag_s = clock.now().timestamp() - batch.times_ms[0] / 1_000 if batch.times_ms else 0.0
        self._buffer.add(batch, clock.monotonic_s(), lag_s)

    def due_in_s(self, *, drained: bool) -> float:
        """Seconds until there is a batch to apply; infinity when there is nothing."""
        if self._replay is not None:
            return 0.0 if self._buffer.end >= self._replay.end else float("inf")
        return self._tools.policy.due_in_s(self._buffer, self._tools.clock.monotonic_s(), drained=drained)

    def is_due(self, *, drained: bool, crowded: bool) -> bool:
        """Whether there is a batch to apply now; ``crowded``: what waits takes too much memory."""
        return self.due_in_s(drained=drained) <= 0 or (crowded and self._replay is None and len(self._buffer) > 0)

    def owes_commit(self, *, drained: bool) -> bool:
        """Whether to acknowledge now, because no next intent will do it soon."""
        if len(self._buffer) or self.position == self._acknowledged:
            return False
        rested_s = self._tools.clock.monotonic_s() - self._buffer.landed_s
        return drained or rested_s >= self._tools.policy.pause_s

    def apply(self) -> None:
        """Apply what waits, by the numbered steps above. After any error the partition must be opened anew.

        Where ``is_under_way`` says so afterwards, the rows are still on their way, and ``finish`` is to be called next.
        """
        tools, replay, repairs = self._tools, self._replay, self.position < self._repair_end
        end = replay.end if replay else self._repair_end if repairs else None
        if end is None and (command := self._buffer.command) is not None:
            if command.offset == self._buffer.start:
                self._settle_others()
                self._execute(command)
                return
            end = command.offset  # what comes before it lands first
        batch = self._buffer.take(tools.clock.monotonic_s(), end=end)
        if tools.quarantine is not None:
            self._beware(tools.quarantine, batch.records)
        prepared, intent = self._prepare(batch)
        self._settle_others()
        if not prepared.writes_anything:
            self._applied(batch, prepared, replayed=replay is not None)
            self.acknowledge()
            return
        if replay is None:
            self._commit(intent.start, intent.metadata())
        tools.failpoint("after_intent")
        started_s = tools.clock.monotonic_s()
        if repairs:
            self._count_holes(self._persist(lambda: tools.landing.restore(prepared, intent.token)))
        else:
            self._set_aside(prepared, intent)
            if replay is None:
                insert = Errand(lambda: tools.landing.append(prepared, intent.token), "worker-insert")
                self._under_way = _UnderWay(batch, prepared, intent, insert, tools.clock.monotonic_s() - started_s)
                return
            self._insert(prepared, intent.token, lambda: tools.landing.append(prepared, intent.token), doubtful=True)
        self._publish(prepared, tools.clock.monotonic_s() - started_s)
        self._applied(batch, prepared, replayed=replay is not None)

    def finish(self) -> None:
        """Wait for the insert that ``apply`` has begun, repeat it when it failed, and do what comes after it."""
        if self._under_way is None:
            return
        begun, self._under_way = self._under_way, None
        begun.insert.wait()
        spent_s, started_s = begun.spent_s + begun.insert.seconds, self._tools.clock.monotonic_s()
        self._insert(begun.prepared, begun.intent.token, begun.insert.result, doubtful=False)
        self._publish(begun.prepared, spent_s + self._tools.clock.monotonic_s() - started_s)
        self._applied(begun.batch, begun.prepared, replayed=False)

    def _settle_others(self) -> None:
        """From here on this batch alone is written."""
        self._tools.settle()
        if not self.owned:  # finishing the other one may have taken a while
            raise OwnershipLostError

    def _publish(self, prepared: PreparedBatch, spent_s: float) -> None:
        tools, started_s = self._tools, self._tools.clock.monotonic_s()
        self._persist(lambda: tools.landing.publish(prepared))
        tools.metrics.insert_duration.observe(spent_s + tools.clock.monotonic_s() - started_s)

    def _applied(self, batch: RecordRange, prepared: PreparedBatch, *, replayed: bool) -> None:
        self._tools.ingestor.remember(prepared, self._window)
        self.position, self._replay = batch.end, None
        self._report(batch, prepared, replayed=replayed)

    def close(self) -> None:
        """Give the partition up alive. Raises ``Unavailable``."""
        self.owned = False
        if self._tools.quarantine is not None and self._has_begun:
            self._tools.quarantine.end(self._topic, self.number)

    def _beware(self, quarantine: Quarantine, records: RecordBatch) -> None:
        """Note that this process begins with records here, and set those aside that others have died of."""
        if not self._has_begun:
            opened_at = self._opened_at
            self._is_suspect = self._persist(lambda: quarantine.begin(self._topic, self.number, opened_at))
            self._has_begun = True
        if self._is_suspect:
            self._settle_others()
            if self._persist(lambda: quarantine.set_aside(self._topic, records, self._breathe)):
                self._tools.ingestor.learn_anew()

    def _execute(self, command: Command) -> None:
        """A command is a batch of its own, so that nobody lands events of its campaign meanwhile."""
        tools = self._tools
        batch = self._buffer.take(tools.clock.monotonic_s(), end=command.offset + 1)
        self._commit(self.position, "")  # a worker that is no member any more learns it here
        tools.failpoint("before_command")
        place = self._topic, self.number
        done = tools.commands is not None and tools.commands.execute(
            command, place, self._owner, self._breathe, tools.failpoint
        )
        if not done:
            tools.metrics.ignored.inc()
        elif tools.drift_check is not None and command.key is not None and command.key.isdigit():
            tools.drift_check.look_again(int(command.key))
        self.position = batch.end
        self.acknowledge()

    def _breathe(self, seconds: float) -> None:
        self._tools.wait(seconds)
        if not self.owned:
            raise OwnershipLostError

    def acknowledge(self) -> None:
        """Commit what is applied, so that a question that waits for it is answered."""
        if self.position != self._acknowledged:
            self._tools.failpoint("before_commit")
            self._commit(self.position, "")
            self._tools.failpoint("after_commit")

    def _prepare(self, batch: RecordRange) -> tuple[PreparedBatch, Intent]:
        landing, replay = self._tools.landing, self._replay
        refused: set[int] = set()
        if replay is not None and replay.letters_from is not None:
            source = OffsetRange(self._topic_number, self.number, batch.start, batch.end)
            since = replay.letters_from
            refused = self._persist(lambda: landing.refused_offsets(source, self._topic.incarnation, since))
        prepared = self._persist(lambda: self._tools.ingestor.prepare(batch, self._topic, self._window, refused))
        if replay is not None:
            return prepared, replay
        if self.position >= self._repair_end:
            self._persist(lambda: self._tools.breakers.judge(prepared))
        letters_from = None
        if prepared.dead_letters:
            letters_from = self._persist(lambda: landing.dead_letters_end(self.number))
        token = token_of(self._topic, self.number, batch.start, batch.end)
        return prepared, Intent(batch.start, batch.end, token, self._tools.ingestor.code, letters_from)

    def _set_aside(self, prepared: PreparedBatch, intent: Intent) -> None:
        landing, token = self._tools.landing, intent.token
        self._until_done(
            lambda again: landing.set_aside(prepared, token, letters_from=intent.letters_from, again=again)
        )
        self._tools.failpoint("before_insert")

    def _insert(self, prepared: PreparedBatch, token: str, first: Callable[[], None], *, doubtful: bool) -> None:
        """Steps 4 and 5; ``first`` is the first try."""
        landing = self._tools.landing
        _, failed = self._until_done(lambda again: landing.append(prepared, token) if again else first())
        self._tools.failpoint("after_insert")
        if doubtful or failed:
            self._count_holes(self._persist(lambda: landing.verify(prepared, token)))

    def _commit(self, offset: int, metadata: str) -> None:
        if not self.owned:
            raise OwnershipLostError
        self._tools.consumer.commit(self.number, offset, metadata)
        self._acknowledged = offset
        self._is_suspect = self._is_suspect and offset <= self._opened_at

    def _persist(self, action: Callable[[], _T]) -> _T:
        return self._until_done(lambda _: action())[0]

    def _until_done(self, action: Callable[[bool], _T]) -> tuple[_T, bool]:
        """Repeat the action until the stores it needs answer; also says whether it ever failed.

        The action is told whether it is tried again.
        """
        pause_s, failures = _FIRST_PAUSE_S, 0
        while True:
            try:
                return action(failures > 0), failures > 0
            except Unavailable as error:
                failures += 1
                if failures & (failures - 1) == 0:  # the 1st, 2nd, 4th, 8th ...: a long outage fills no disk
                    logger.warning("%s: waits for the %s store: %s", self, error.service, error.message)
                self._tools.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if not self.owned:
                raise OwnershipLostError

    def _count_holes(self, holes: int) -> None:
        if holes:
            self._tools.metrics.holes.inc(holes)
            logger.warning("%s: %d rows were missing after an uncertain insert and have been filled in", self, holes)

    def _report(self, batch: RecordRange, prepared: PreparedBatch, *, replayed: bool) -> None:
        metrics = self._tools.metrics
        metrics.count(prepared.counts)
        if len(prepared.rows):
            metrics.rows.observe(len(prepared.rows))
        if len(batch):
            now_ms = self._tools.clock.now().timestamp() * 1_000
            metrics.delay.observe(max(now_ms - batch.records.times_ms[0], 0.0) / 1_000)
        if replayed:
            metrics.replays.inc()
            logger.info("%s: has repeated the unfinished batch %d to %d", self, batch.start, batch.end)
        logger.debug("%s: applied %d to %d, %d rows", self, batch.start, batch.end, len(prepared.rows))

    def _find_topic(self) -> Topic:
        topic = self._tools.event_log.topic(self._tools.topic)
        if topic is None:
            raise Unavailable(
                f"The event log has no topic {self._tools.topic}.", service="event_log", code="topic_missing"
            )
        return topic

    def _log_time_ms(self, offset: int) -> int:
        """A log time that no record to come is older than."""
        records = self._tools.event_log.read(self._topic.name, self.number, offset, 1)
        if records.times_ms:
            return records.times_ms[0]
        return int(self._tools.clock.now().timestamp() * 1_000) - _CLOCKS_APART_MS
