"""A member of a consumer group of the embedded log."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from campaignctl.adapters.event_log.log_file import QUERIES, Connection, LogFile
from campaignctl.adapters.event_log.membership import Group, GroupState
from campaignctl.adapters.event_log.topics import MAX_READ_BYTES, check_least, missing_topic, read_records
from campaignctl.errors import Fenced, InvalidInput, TooLarge, Unavailable
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import Assignment, Committed, Consumer, OffsetLost, RecordBatch

MAX_METADATA_BYTES = 4_095
# An idle poll asks SQLite's change counter this often (2 microseconds each time) for what other processes wrote; what
# this process wrote wakes it at once.
_OTHER_PROCESSES_EVERY_S = 0.025
# An idle poll looks this often whether a member's process has died.
_MEMBERS_EVERY_S = 0.2


@dataclass(slots=True)
class _Owned:
    epoch: int
    position: int | None = None
    """None until ``seek``."""
    paused: bool = False


class EmbeddedConsumer:
    """See ``campaignctl.ports.event_log.Consumer``. Waiting is in real time, whatever the clock says."""

    def __init__(self, file: LogFile, group: Group, clock: Clock, session_timeout_s: float) -> None:
        self._file = file
        self._group = group
        self._clock = clock
        self._session_timeout_s = session_timeout_s
        self._connection = file.connect()
        self._closed = False
        self._member_id: int | None = None
        self._lease_renewed_s = 0.0
        self._last_call_s = clock.monotonic_s()
        self._owned: dict[int, _Owned] = {}
        self._turn = 0

    def poll(self, max_records: int, timeout_s: float, /) -> Assignment:
        """Gains and losses are answered at once and without records; a loss comes before a gain."""
        check_least("max_records", max_records, 1)
        deadline = time.monotonic() + timeout_s
        while True:
            self._last_call_s = self._clock.monotonic_s()
            seen, version = self._file.changes(), self._data_version()
            found = self._membership_change() or self._next_records(max_records)
            if found is not None or time.monotonic() >= deadline:
                return found or Assignment()
            self._wait(seen, version, deadline)

    def seek(self, partition: int, offset: int, /) -> None:
        check_least("offset", offset, 0)
        self._own(partition).position = offset

    def commit(self, partition: int, offset: int, metadata: str, /) -> None:
        check_least("offset", offset, 0)
        _check_metadata(metadata)
        epoch = self._own(partition).epoch
        if not self._file.write(lambda c: self._commit(c, partition, epoch, offset, metadata)):
            raise self._fenced(partition)

    def _commit(self, connection: Connection, partition: int, epoch: int, offset: int, metadata: str) -> bool:
        now_s = self._clock.monotonic_s()
        if self._member_id is None:
            return False
        written = self._group.commit(connection, self._member_id, epoch, partition, offset, metadata)
        if written:
            connection.execute(QUERIES["renew_lease"], {"id": self._member_id, "heartbeat_s": now_s})
            self._last_call_s = self._lease_renewed_s = now_s
        return written

    def committed(self, partition: int, /) -> Committed | None:
        with self._file.reading(self._connection) as connection:
            return self._group.commits(connection).get(partition)

    def pause(self, partition: int, /) -> None:
        self._own(partition).paused = True

    def resume(self, partition: int, /) -> None:
        self._own(partition).paused = False

    def close(self) -> None:
        """Leave the group at once. Safe to call twice, and from another thread."""
        if self._closed:
            return
        self._closed = True
        member_id, self._member_id = self._member_id, None
        self._owned = {}
        if member_id is not None:
            with suppress(Unavailable):  # a full disk must not keep a process from ending: the lease then runs out
                self._file.write(lambda c: self._group.leave(c, member_id))
        with self._file.errors():
            self._connection.close()

    def member_to_keep(self, max_poll_interval_s: float) -> int | None:
        """The member whose lease a heartbeat should renew; None when nobody has polled for too long."""
        silent_s = self._clock.monotonic_s() - self._last_call_s
        return self._member_id if silent_s <= max_poll_interval_s else None

    def _own(self, partition: int) -> _Owned:
        owned = self._owned.get(partition)
        if owned is None:
            raise self._fenced(partition)
        return owned

    def _fenced(self, partition: int) -> Fenced:
        topic = self._group.topic.topic.name
        return Fenced(f"{topic}[{partition}] no longer belongs to this member of the group {self._group.name}.")

    def _membership_change(self) -> Assignment | None:
        epochs = self._state().owned_by(self._member_id)
        lost = frozenset(p for p, owned in self._owned.items() if epochs.get(p) != owned.epoch)
        if lost:
            for partition in lost:
                del self._owned[partition]
            return Assignment(lost=lost)
        gained = {p: epoch for p, epoch in epochs.items() if p not in self._owned}
        if not gained:
            return None
        # Read after the epochs rose: from then on nobody else can commit there.
        with self._file.reading(self._connection) as connection:
            commits = self._group.commits(connection)
        self._owned |= {partition: _Owned(epoch) for partition, epoch in gained.items()}
        return Assignment(gained={partition: commits.get(partition) for partition in gained})

    def _state(self) -> GroupState:
        """The group, after putting right what concerns this member; also renews the lease in good time."""
        if self._closed:
            raise Unavailable("This consumer has been closed.", service="event_log")
        now_s = self._clock.monotonic_s()
        if self._member_id is not None and now_s - self._lease_renewed_s < self._session_timeout_s / 4:
            with self._file.reading(self._connection) as connection:
                state = self._group.state(connection)
            if not state.needs_work(self._member_id, now_s):
                return state
        # Taken over only now that the write is done: the id of one that was undone goes to another member.
        self._member_id, self._lease_renewed_s, state = self._file.write(self._settle)
        return state

    def _settle(self, connection: Connection) -> tuple[int, float, GroupState]:
        """Join unless still a member, then settle; answers the member, when its lease was renewed, and the group."""
        now_s = self._clock.monotonic_s()
        member_id = self._member_id
        if member_id is None or not self._group.has(connection, member_id):
            member_id = self._group.join(connection, now_s, self._session_timeout_s)
        self._group.settle(connection, member_id, now_s)
        return member_id, now_s, self._group.state(connection)

    def _next_records(self, max_records: int) -> Assignment | None:
        """As many as may be of one partition, and another one's turn comes next.

        So the caller has a batch together before it holds much of the others, and few chunks are read for a part.
        """
        batches: list[RecordBatch] = []
        with self._file.reading(self._connection) as connection:
            max_bytes = MAX_READ_BYTES
            for partition in self._in_turn(connection):
                position = self._owned[partition].position or 0
                batch = read_records(connection, self._group.topic, partition, position, max_records, max_bytes)
                batches.append(batch)
                max_records -= len(batch.values)
                max_bytes -= sum(map(len, batch.values))
                if max_records <= 0 or max_bytes <= 0:
                    break
        if not batches:
            return None
        for batch in batches:
            self._owned[batch.partition].position = batch.next_offset
        self._turn += 1
        return Assignment(batches=batches)

    def _in_turn(self, connection: Connection) -> list[int]:
        """The partitions that have something to read. Raises ``OffsetLost``."""
        rows = connection.execute(QUERIES["partitions"], {"topic_id": self._group.topic.id}).fetchall()
        if not rows:
            raise missing_topic(self._group.topic.topic.name)
        partitions: list[int] = []
        for row in rows:
            owned = self._owned.get(row["partition"])
            if owned is None or owned.paused or owned.position is None:
                continue
            if not row["start_offset"] <= owned.position <= row["next_offset"]:
                raise OffsetLost(self._group.topic.topic.name, row["partition"], owned.position, row["start_offset"])
            if owned.position < row["next_offset"]:
                partitions.append(row["partition"])
        turn = self._turn % max(len(partitions), 1)
        return partitions[turn:] + partitions[:turn]

    def _wait(self, seen: int, version: int, deadline: float) -> None:
        """Until something was written, a member should be looked after, or the deadline."""
        until = min(deadline, time.monotonic() + _MEMBERS_EVERY_S)
        while (left_s := until - time.monotonic()) > 0:
            if self._file.wait_for_change(seen, min(left_s, _OTHER_PROCESSES_EVERY_S)):
                return
            if self._data_version() != version:
                return

    def _data_version(self) -> int:
        with self._file.errors():
            version: int = self._connection.execute("PRAGMA data_version").fetchone()[0]
            return version


def _check_metadata(metadata: str) -> None:
    try:
        size = len(metadata.encode())
    except UnicodeEncodeError as error:
        raise InvalidInput.of("metadata", "must be Unicode text") from error
    if size > MAX_METADATA_BYTES:
        raise TooLarge(f"The metadata of a commit has {size} bytes; at most {MAX_METADATA_BYTES} are taken.")


if TYPE_CHECKING:

    def _conforms(adapter: EmbeddedConsumer) -> Consumer:
        return adapter
