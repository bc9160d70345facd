"""Removing dead letters for good, for the operator of the machine.

A log lets go of its oldest records only. So of each partition of the dead-letter topic the longest run of oldest
letters goes that are all meant; one that is not meant keeps every younger one, and the answer says how many those are.
"""

from dataclasses import dataclass, field

from campaignctl.domain.dead_letters import LetterFilter
from campaignctl.ports.event_log import EventLog
from campaignctl.services.dead_letters import DeadLetters


@dataclass(slots=True)
class PurgePlan:
    """What a purge removes, and what it cannot."""

    removed: int = 0
    """Letters that go."""
    kept_behind: int = 0
    """Letters that are meant too, and stay because an older one in their partition stays."""
    ends: dict[int, int] = field(default_factory=dict)
    """By partition: everything below goes."""


class LetterPurge:
    def __init__(self, letters: DeadLetters, event_log: EventLog) -> None:
        self._letters = letters
        self._event_log = event_log

    def plan(self, wanted: LetterFilter) -> PurgePlan:
        """What ``apply`` would remove; reads the whole topic."""
        plan = PurgePlan()
        for partition, kept in sorted(self._letters.kept().items()):
            end, goes = kept.start, True
            for stored in self._letters.of_partition(partition, kept.start, kept.end):
                if not wanted.accepts(stored.letter):
                    goes = False
                elif goes:
                    plan.removed += 1
                    end = stored.offset + 1
                else:
                    plan.kept_behind += 1
            if end > kept.start:
                plan.ends[partition] = kept.end if goes else end
        return plan

    def apply(self, plan: PurgePlan) -> None:
        """Remove what the plan names; harmless when it is gone already."""
        for partition, end in plan.ends.items():
            self._event_log.delete_before(self._letters.topic, partition, end)
