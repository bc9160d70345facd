"""Command records: work on a campaign that is done by the owner of its partition, in order with its events."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import Headers, Topic
from campaignctl.services.own_records import OWN_KIND_HEADER
from campaignctl.services.reaggregation import COMMAND_KIND, PartitionOf
from campaignctl.services.reaggregator import Reaggregator

logger = logging.getLogger("campaignctl.worker")

# A command that fails again and again must not keep the partition's events waiting: its job sends another one later.
_MOST_FAILURES = 5
_FIRST_PAUSE_S = 0.2
_BREATH_S = 0.001


@dataclass(frozen=True, slots=True)
class Command:
    """A command record as it lies in the log."""

    offset: int
    key: bytes | None
    value: bytes


def is_command(headers: Headers) -> bool:
    return any(name == OWN_KIND_HEADER and value == COMMAND_KIND for name, value in headers)


class Commands:
    """Executes command records; ``partition_of`` says which partition is a campaign's own."""

    def __init__(self, reaggregator: Reaggregator, *, partition_of: PartitionOf) -> None:
        self._reaggregator = reaggregator
        self._partition_of = partition_of

    def execute(
        self,
        command: Command,
        place: tuple[Topic, int],
        owner: str,
        wait: Callable[[float], None],
        failpoint: Callable[[str], None],
    ) -> bool:
        """Do what the command's job asks; False when there is nothing to do.

        ``place`` is where the record lies, ``wait`` keeps the membership meanwhile and may raise what ends the work.
        """
        topic, partition = place
        if command.key is None or self._partition_of(command.key, topic.partitions) != partition:
            return False
        pause_s = _FIRST_PAUSE_S
        for failure in range(_MOST_FAILURES):
            try:
                job = self._reaggregator.job_of(command.value, command.key)
                if job is None:
                    return failure > 0  # what seemed to fail may have been done
                self._reaggregator.execute(job, partition, owner, lambda: wait(_BREATH_S), failpoint)
            except Unavailable as error:
                logger.warning(
                    "%s[%d]: a command waits for the %s store: %s", topic.name, partition, error.service, error
                )
                wait(pause_s)
                pause_s *= 2
            else:
                return True
        logger.warning("%s[%d]: leaves a command; its job sends another one", topic.name, partition)
        return True
