"""Random interleavings of producers and group members, compared with a model that is plain lists."""

from dataclasses import dataclass, field
from uuid import uuid4

from hypothesis import strategies as st

from campaignctl.errors import Fenced
from campaignctl.ports.event_log import Committed, Consumer, EventLog, NewRecord, TopicSpec

PARTITIONS = 3
MEMBERS = 3
GROUP = "g"

_member = st.integers(0, MEMBERS - 1)
_partition = st.integers(0, PARTITIONS - 1)

STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("produce"), _partition, st.integers(1, 40)),
        st.tuples(st.just("poll"), _member, st.integers(1, 60)),
        st.tuples(st.just("poll"), _member, st.just(1_000)),
        st.tuples(st.just("commit"), _member, _partition),
        st.tuples(st.just("seek"), _member, st.integers(0, 100)),
        st.tuples(st.just("pause"), _member, _partition),
        st.tuples(st.just("resume"), _member, _partition),
        st.tuples(st.just("close"), _member, st.just(0)),
    ),
    max_size=60,
)


@dataclass
class Member:
    """A consumer and what it must know by what it was told."""

    consumer: Consumer
    positions: dict[int, int] = field(default_factory=dict)
    paused: set[int] = field(default_factory=set)


class Interleaving:
    def __init__(self, log: EventLog) -> None:
        self.log = log
        self.topic = f"interleaving-{uuid4().hex}"
        log.ensure_topic(TopicSpec(self.topic, PARTITIONS, -1, 1_000))
        self.records: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        self.committed: dict[int, Committed] = {}
        self.owner: dict[int, int] = {}
        self.members: dict[int, Member] = {}
        self.produced = 0

    def run(self, steps: list[tuple[str, int, int]]) -> None:
        for name, first, second in steps:
            getattr(self, name)(first, second)
        self.finish()

    def produce(self, partition: int, count: int) -> None:
        values = [f"{partition}/{self.produced + i}".encode() for i in range(count)]
        self.produced += count
        positions = self.log.produce(self.topic, [NewRecord(None, value, partition=partition) for value in values])
        start = len(self.records[partition])
        assert [(p.partition, p.offset) for p in positions] == [(partition, start + i) for i in range(count)]
        self.records[partition] += values

    def poll(self, index: int, max_records: int) -> None:
        if index not in self.members:
            self.members[index] = Member(self.log.consumer(self.topic, GROUP))
        member = self.members[index]
        polled = member.consumer.poll(max_records, 0)
        for partition in polled.lost:
            del member.positions[partition]
            member.paused.discard(partition)
            if self.owner.get(partition) == index:
                del self.owner[partition]
        for partition, committed in polled.gained.items():
            assert partition not in self.owner, "two owners at once"
            assert committed == self.committed.get(partition)
            self.owner[partition] = index
            member.positions[partition] = committed.offset if committed else 0
            member.consumer.seek(partition, member.positions[partition])
        assert sum(len(batch.values) for batch in polled.batches) <= max_records
        for batch in polled.batches:
            partition, position = batch.partition, member.positions[batch.partition]
            assert partition not in member.paused
            assert list(batch.offsets) == list(range(position, batch.next_offset))
            assert list(batch.values) == self.records[partition][position : batch.next_offset]
            member.positions[partition] = batch.next_offset
        if self.ready(member) and not (polled.lost or polled.gained):
            assert polled.batches

    def ready(self, member: Member) -> list[int]:
        """Partitions with records that the member has not had."""
        return [p for p, at in member.positions.items() if p not in member.paused and at < len(self.records[p])]

    def commit(self, index: int, partition: int) -> None:
        member = self.members.get(index)
        if member is None:
            return
        new = Committed(member.positions.get(partition, 0), f"by {index}")
        try:
            member.consumer.commit(partition, new.offset, new.metadata)
        except Fenced:
            assert self.owner.get(partition) != index
        else:
            assert self.owner[partition] == index
            self.committed[partition] = new
        assert self.log.committed(self.topic, GROUP) == self.committed

    def seek(self, index: int, seed: int) -> None:
        member = self.members.get(index)
        if member and member.positions:
            partition = sorted(member.positions)[seed % len(member.positions)]
            member.positions[partition] = seed % (len(self.records[partition]) + 1)
            member.consumer.seek(partition, member.positions[partition])

    def pause(self, index: int, partition: int) -> None:
        member = self.members.get(index)
        if member and partition in member.positions:
            member.consumer.pause(partition)
            member.paused.add(partition)

    def resume(self, index: int, partition: int) -> None:
        member = self.members.get(index)
        if member and partition in member.positions:
            member.consumer.resume(partition)
            member.paused.discard(partition)

    def close(self, index: int, _: int) -> None:
        member = self.members.pop(index, None)
        if member:
            member.consumer.close()
            self.owner = {partition: owner for partition, owner in self.owner.items() if owner != index}

    def finish(self) -> None:
        """Whoever comes last reads all that was not committed, once and in order."""
        for index in list(self.members):
            self.close(index, 0)
        self.poll(0, 1_000)
        last = self.members[0]
        assert set(last.positions) == set(range(PARTITIONS))
        while any(last.positions[p] < len(self.records[p]) for p in range(PARTITIONS)):
            self.poll(0, 1_000)
        self.close(0, 0)
        for partition, values in enumerate(self.records):
            assert list(self.log.read(self.topic, partition, 0, 10_000).values) == values
