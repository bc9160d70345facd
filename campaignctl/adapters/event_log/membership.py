"""Consumer groups of the embedded log: who is a member, and who owns which partition.

There is no coordinator: each member looks at each poll, and puts right what concerns it in one write transaction.

- A member whose process is known to be gone, or whose lease ran out, is removed and its partitions are free.
- A fair share is the number of partitions over the number of members; those who joined first take the remainder.
- A member above its share lets go of its highest partitions at its own poll, never in the middle of its work; one below
  takes what is free. So a partition moves only when its owner let go, left, died or was silent for too long.
- Taking a partition raises its epoch, and a commit is written only under the current owner and epoch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from campaignctl.adapters.event_log.log_file import QUERIES, Connection, Row
from campaignctl.adapters.event_log.topics import TopicRow, missing_topic
from campaignctl.adapters.process_identity import ProcessIdentity, is_known_dead, this_process
from campaignctl.ports.event_log import Committed


@dataclass(frozen=True, slots=True)
class Member:
    id: int
    process: ProcessIdentity
    heartbeat_s: float
    session_timeout_s: float

    def is_gone(self, now_s: float) -> bool:
        # A heartbeat from the future is one from before the machine was started anew.
        silent_s = now_s - self.heartbeat_s
        return not -1.0 <= silent_s <= self.session_timeout_s or is_known_dead(self.process)


@dataclass(frozen=True, slots=True)
class GroupState:
    """A group as one member sees it."""

    members: Sequence[Member]
    owners: dict[int, int | None]
    epochs: dict[int, int]

    def owned_by(self, member_id: int | None) -> dict[int, int]:
        """Epochs by partition."""
        if member_id is None:
            return {}
        return {p: self.epochs[p] for p, owner in self.owners.items() if owner == member_id}

    def share_of(self, member_id: int) -> int:
        place = [member.id for member in self.members].index(member_id)
        share, remainder = divmod(len(self.owners), len(self.members))
        return share + (place < remainder)

    def needs_work(self, member_id: int, now_s: float) -> bool:
        """Whether ``settle`` would change anything but the lease."""
        ids = {member.id for member in self.members}
        if member_id not in ids or any(m.id != member_id and m.is_gone(now_s) for m in self.members):
            return True
        owned, share = len(self.owned_by(member_id)), self.share_of(member_id)
        return owned > share or (owned < share and None in self.owners.values())


class Group:
    """The rows of one consumer group.

    Every method runs inside a read or a write of the log file. What takes a time is called with one taken inside the
    write, because no heartbeat can be newer than that.
    """

    def __init__(self, topic: TopicRow, name: str) -> None:
        self.topic = topic
        self.name = name
        self._where = {"topic_id": topic.id, "group_name": name}

    def state(self, connection: Connection) -> GroupState:
        members = [_member(row) for row in connection.execute(QUERIES["members"], self._where)]
        owners: dict[int, int | None] = {}
        epochs: dict[int, int] = {}
        for row in connection.execute(QUERIES["ownership"], self._where):
            owners[row["partition"]] = row["owner"]
            epochs[row["partition"]] = row["epoch"]
        return GroupState(members, owners, epochs)

    def has(self, connection: Connection, member_id: int) -> bool:
        return any(member.id == member_id for member in self.state(connection).members)

    def join(self, connection: Connection, now_s: float, session_timeout_s: float) -> int:
        """Become a member; answers its id. Raises ``Unavailable`` when the topic is gone."""
        if connection.execute(QUERIES["partition"], {"topic_id": self.topic.id, "partition": 0}).fetchone() is None:
            raise missing_topic(self.topic.topic.name)
        for partition in range(self.topic.topic.partitions):
            connection.execute(QUERIES["insert_ownership"], self._where | {"partition": partition})
        process = this_process()
        parameters = self._where | {
            "boot_id": process.boot_id,
            "pid_namespace": process.pid_namespace,
            "pid": process.pid,
            "process_started": process.started,
            "heartbeat_s": now_s,
            "session_timeout_s": session_timeout_s,
        }
        member_id = connection.execute(QUERIES["insert_member"], parameters).lastrowid
        assert member_id is not None  # noqa: S101 - an INSERT that did not raise has a row id
        return member_id

    def settle(self, connection: Connection, member_id: int, now_s: float) -> None:
        """Renew the lease, remove the dead, let go of what is above the fair share and take what is below."""
        connection.execute(QUERIES["renew_lease"], {"id": member_id, "heartbeat_s": now_s})
        for member in self.state(connection).members:
            if member.id != member_id and member.is_gone(now_s):
                self.leave(connection, member.id)
        state = self.state(connection)
        owned = sorted(state.owned_by(member_id))
        share = state.share_of(member_id)
        change = self._where | {"owner": member_id}
        for partition in owned[share:]:
            connection.execute(QUERIES["release_partition"], change | {"partition": partition})
        free = [partition for partition, owner in state.owners.items() if owner is None]
        for partition in free[: max(share - len(owned), 0)]:
            connection.execute(QUERIES["take_partition"], change | {"partition": partition})

    def leave(self, connection: Connection, member_id: int) -> None:
        connection.execute(QUERIES["disown_member"], self._where | {"owner": member_id})
        connection.execute(QUERIES["delete_member"], {"id": member_id})

    def commit(
        self, connection: Connection, member_id: int, epoch: int, partition: int, offset: int, metadata: str
    ) -> bool:
        """False, and nothing is written, when the member does not own the partition under this epoch any more."""
        parameters = self._where | {
            "owner": member_id,
            "epoch": epoch,
            "partition": partition,
            "next_offset": offset,
            "metadata": metadata,
        }
        return connection.execute(QUERIES["commit_offset"], parameters).rowcount == 1

    def commits(self, connection: Connection) -> dict[int, Committed]:
        rows = connection.execute(QUERIES["commits"], self._where)
        return {row["partition"]: Committed(row["next_offset"], row["metadata"]) for row in rows}


def _member(row: Row) -> Member:
    process = ProcessIdentity(row["boot_id"], row["pid_namespace"], row["pid"], row["process_started"])
    return Member(row["id"], process, row["heartbeat_s"], row["session_timeout_s"])
