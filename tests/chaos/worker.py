"""A worker as ``campaignctl work`` runs it, that kills its own process at a step.

Run in a process of its own (``tests.chaos.processes``): it changes the product there. Places are read from ``CA_...``
variables.
"""

import logging
import random
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from prometheus_client import CollectorRegistry

from campaignctl.adapters.event_log import kafka
from campaignctl.adapters.event_log.kafka_config import KafkaTimeouts
from campaignctl.bootstrap import App, open_stores
from campaignctl.cli.connection import own_directory
from campaignctl.config import load_settings
from tests.chaos.steps import die_at
from tests.chaos.unprotected import WITHOUT
from worker.lifecycle import build_worker
from worker.partition import OwnedPartition
from worker.runner import WorkerThread

SESSION_S = 6.0
"""The shortest that a broker takes by default."""
_REBALANCED_WITHIN_S = 20.0


@dataclass(frozen=True, slots=True)
class Death:
    """The step at which the process is killed, and at the how manieth time."""

    step: str
    nth: int
    seed: int


def work(took_over: Path, death: Death | None = None, without: str = "") -> None:
    """Apply everything in the log, unless killed before.

    ``took_over`` is a file to make when the first partition is open; ``without`` switches the protocol off.
    """
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    kafka.KafkaTimeouts = partial(KafkaTimeouts, session_s=SESSION_S)  # type: ignore[misc,assignment]
    rebalanced = threading.Event()
    if death:
        die_at(death.step, death.nth, random.Random(death.seed), rebalanced=rebalanced.set)
    if without:
        WITHOUT[without]()
    _tell_of_opening(took_over)
    settings = load_settings()
    with ExitStack() as stack:
        stack.enter_context(own_directory(settings, "work"))
        app = stack.enter_context(open_stores(settings))
        app.check_schema()
        threads = [build_worker(app, CollectorRegistry()).run_in_thread()]
        if death and death.step == "in_rebalance":
            _move_partitions(app, threads[0], rebalanced)
        while not is_drained(app) and all(thread.error is None for thread in threads):
            time.sleep(0.1)
        for thread in threads:
            thread.stop()
            if thread.error is not None:
                raise thread.error


def _move_partitions(app: App, worker: WorkerThread, rebalanced: threading.Event) -> None:
    """A partner that comes, takes partitions away and gives them back, again and again: killed meanwhile.

    Who is called back, and how often in one coming and going, depends on who is faster. A partner may even leave before
    it has come, on account of a callback that was still due from the one before it: then nobody moves, and the next one
    comes when its time is over.
    """
    while worker.error is None:
        rebalanced.wait(_REBALANCED_WITHIN_S)
        rebalanced.clear()
        partner = build_worker(app, CollectorRegistry()).run_in_thread()
        rebalanced.wait(_REBALANCED_WITHIN_S)
        rebalanced.clear()
        partner.stop()
        if partner.error is not None:
            raise partner.error


def _tell_of_opening(path: Path) -> None:
    right = OwnedPartition.__init__

    def open_and_tell(self: OwnedPartition, *arguments: object) -> None:
        right(self, *arguments)  # type: ignore[arg-type]
        path.touch()

    OwnedPartition.__init__ = open_and_tell  # type: ignore[method-assign,assignment]


def is_drained(app: App) -> bool:
    topic, group = app.settings.kafka.events_topic, app.settings.kafka.group_id
    committed = app.event_log.committed(topic, group)
    return all(
        number in committed and committed[number].offset == kept.end and not committed[number].metadata
        for number, kept in app.event_log.watermarks(topic).items()
    )
