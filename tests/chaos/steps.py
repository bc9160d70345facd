"""The steps of the protocol at which a worker process can be made to end itself with SIGKILL.

Only ``tests.chaos.worker`` calls this, on a process of its own: no setting of the product leads here.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.adapters.event_log.kafka_consumer import KafkaConsumer
from campaignctl.errors import Unavailable
from campaignctl.services.ingestion import PreparedBatch
from campaignctl.services.landing import Landing
from worker import lifecycle
from worker.runner import Worker
from worker.session import Session

STEPS = {
    "after_poll": 6,
    "after_intent": 3,
    "in_insert": 3,
    "after_insert": 3,
    "before_commit": 2,
    "after_commit": 2,
    "in_rebalance": 4,
    "in_repair": 3,
}
"""Each with the greatest number of times that it is let pass before the one that kills, so that much of it is left."""

_IN_THE_MIDDLE_S = 0.03


def die_at(step: str, nth: int, rng: random.Random, *, rebalanced: Callable[[], None]) -> None:
    """From now on, this process is killed when it gets to the step for the n-th time.

    ``rebalanced`` is called each time it gets to the callback of a rebalance.
    """
    death = _Death(nth)
    points = (
        {step: death} if step in {"after_poll", "after_intent", "after_insert", "before_commit", "after_commit"} else {}
    )

    def failpoint(name: str) -> None:
        if name in points:
            points[name].reached()

    lifecycle.Worker = partial(Worker, failpoint=failpoint)  # type: ignore[misc,assignment]
    if step == "in_insert":
        _before(ClickHouseAnalytics, "append_events", lambda *_: death.reached_in(rng.random() * _IN_THE_MIDDLE_S))
    elif step == "in_rebalance":

        def in_callback(*_: Any) -> None:
            death.reached()
            rebalanced()

        for name in ("_on_assign", "_on_revoke"):  # called by the client's library, before and after the session knows
            _before(KafkaConsumer, name, in_callback)
        _before(Session, "_lose", lambda _, numbers: in_callback() if numbers else None)
    elif step == "in_repair":
        _need_repair()
        _die_in_repair(death, rng)


class _Death:
    def __init__(self, nth: int) -> None:
        self._left = nth

    def reached(self) -> None:
        self._left -= 1
        if self._left == 0:
            _die()

    def reached_in(self, seconds: float) -> None:
        self._left -= 1
        if self._left == 0:
            timer = threading.Timer(seconds, _die)
            timer.daemon = True
            timer.start()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)  # the signal is on its way


def _before(owner: type, name: str, action: Callable[..., None]) -> None:
    right = getattr(owner, name)

    def wrapped(self: Any, *arguments: Any, **named: Any) -> Any:
        action(self, *arguments, **named)
        return right(self, *arguments, **named)

    setattr(owner, name, wrapped)


def _need_repair() -> None:
    """The answer to each insert is lost, and a third of its rows with it, as when an engine dies that had noted the token."""
    append, again = Landing.append, set[str]()

    def append_badly(self: Landing, batch: PreparedBatch, token: str) -> None:
        append(self, batch, token)
        if token not in again:
            again.add(token)
            raise Unavailable("the answer was lost", service="analytics")

    Landing.append = append_badly  # type: ignore[method-assign]
    verify = Landing.verify

    def verify_with_holes(self: Landing, batch: PreparedBatch, token: str) -> int:
        offsets = ", ".join(str(offset) for offset in batch.rows.offsets if offset % 3 == 0)
        if offsets:
            where = f"ktopic = {batch.source.topic_id} AND kpart = {batch.source.partition} AND koff IN ({offsets})"
            with self._store._clients.writer() as client:  # type: ignore[attr-defined]
                client.command(f"ALTER TABLE events DELETE WHERE {where} SETTINGS mutations_sync = 2")
        return verify(self, batch, token)

    Landing.verify = verify_with_holes  # type: ignore[method-assign]


def _die_in_repair(death: _Death, rng: random.Random) -> None:
    moment = rng.choice(("filling", "filled", "reconciling"))
    if moment == "filling":

        def fill(_: Any, rows: Any, token: str, *place: int) -> None:
            if "-fix-" in token:
                death.reached_in(rng.random() * _IN_THE_MIDDLE_S)

        _before(ClickHouseAnalytics, "append_events", fill)
    elif moment == "filled":
        _before(ClickHouseAnalytics, "reconcile_rollup", lambda *_, **__: death.reached())
    else:
        _before(
            ClickHouseAnalytics,
            "reconcile_rollup",
            lambda *_, **__: death.reached_in(rng.random() * _IN_THE_MIDDLE_S),
        )
