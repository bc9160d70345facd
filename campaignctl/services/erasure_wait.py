"""Waiting until nobody is left who could land what was erased."""

from collections.abc import Mapping

from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import EventLog, OffsetLost
from campaignctl.services.ingestion import ERASURES_KNOWN_WITHIN_S
from campaignctl.services.jobs import JobContext

_LOOK_EVERY_S = 0.2


class AppliedWait:
    """Lets an erasing job wait until every batch has landed that was prepared before the erasure was known."""

    def __init__(self, event_log: EventLog, *, topic: str, group: str) -> None:
        self._event_log = event_log
        self._topic = topic
        self._group = group

    def wait(self, context: JobContext) -> None:
        """Return when the group has committed up to where the log ended once every worker knew; keeps a state."""
        if "ends" not in context.state:
            context.pause(2 * ERASURES_KNOWN_WITHIN_S)
            context.checkpoint(state=self._ends())
        while not self._is_applied(context.state):
            context.pause(_LOOK_EVERY_S)
            if context.state["incarnation"] != self._incarnation():  # made anew: what it was waited for is gone
                context.checkpoint(state=self._ends())

    def catch_up(self, context: JobContext) -> None:
        """Return when the group has committed up to where the log ends now; keeps no state."""
        ends = self._ends()
        while not self._is_applied(ends):
            context.pause(_LOOK_EVERY_S)
            if ends["incarnation"] != self._incarnation():
                ends = self._ends()

    def _ends(self) -> dict[str, object]:
        ends = {str(partition): kept.end for partition, kept in self._event_log.watermarks(self._topic).items()}
        return {"incarnation": self._incarnation(), "ends": ends}

    def _is_applied(self, state: Mapping[str, object]) -> bool:
        ends = state["ends"]
        committed = self._event_log.committed(self._topic, self._group)
        for partition, kept in self._event_log.watermarks(self._topic).items():
            end = int(ends.get(str(partition), 0)) if isinstance(ends, Mapping) else 0
            done = committed.get(partition)
            applied = max(kept.start, 0 if done is None else done.offset)
            if applied < end and self._has_records(partition, applied, end):
                return False
        return True

    def _has_records(self, partition: int, start: int, end: int) -> bool:
        """Whether there are records left to apply: a transaction's marks take offsets and are none."""
        try:
            records = self._event_log.read(self._topic, partition, start, 1)
        except OffsetLost:
            return True
        return bool(records.offsets) and records.offsets[0] < end

    def _incarnation(self) -> str:
        topic = self._event_log.topic(self._topic)
        if topic is None:
            raise Unavailable(f"The event log has no topic {self._topic}.", service="event_log", code="topic_missing")
        return topic.incarnation
