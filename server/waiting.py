"""Waiting: for events to be counted, without a thread or a place among the requests at work; for the first stores."""

import asyncio
from collections.abc import Callable
from functools import partial

from starlette.concurrency import run_in_threadpool

from campaignctl.domain.users import Actor
from campaignctl.errors import NotYetVisible
from campaignctl.services.health import HealthReport
from campaignctl.services.positions import DEFAULT_TIMEOUT_S, Positions
from server.metrics import HttpMetrics
from server.middleware import Slot, busy
from server.problem import HttpError, Problem, retry_after

MAX_WAITING = 256
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.25
"""A lone event is counted after 100 to 200 ms; 256 that ask four times a second cost a tenth of a core."""


class Gate:
    """Shut until all that is needed has been well at one time: before that the schema may be any."""

    def __init__(self, health: Callable[[], HealthReport], *, is_open: bool) -> None:
        self._health = health
        self._is_open = is_open

    @property
    def is_open(self) -> bool:
        """Whether it is known to be open."""
        return self._is_open

    def pass_through(self) -> None:
        """Raise ``HttpError`` (503) while it is shut."""
        if self._is_open:
            return
        if not self._health().ready:
            raise HttpError(
                Problem(
                    503,
                    "not_ready",
                    "the stores are not ready yet",
                    hint="GET /health says what is missing; try again in a moment",
                    headers=retry_after(1.0),
                )
            )
        self._is_open = True


class Waits:
    """Those who wait for a position; each looks now and then, in a thread that it gives back."""

    def __init__(self, positions: Positions, metrics: HttpMetrics) -> None:
        self._positions = positions
        self._metrics = metrics
        self._waiting = 0

    async def until(self, position: str, actor: Actor, slot: Slot, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Return when everything below the position is counted; ``NotYetVisible`` when the time is up.

        The slot is lent out meanwhile, and held again on return.
        """
        try:
            await self._look(position, actor)
        except NotYetVisible:
            if self._waiting >= MAX_WAITING:
                self._metrics.shed("waits")
                raise
        else:
            return
        slot.leave()
        self._waiting += 1
        try:
            await self._keep_looking(position, actor, timeout_s)
        finally:
            self._waiting -= 1
        if not await slot.take():
            self._metrics.shed("slots")
            raise HttpError(busy("the server has more requests than it can answer now"))

    async def _keep_looking(self, position: str, actor: Actor, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        deadline_s, pause_s = loop.time() + timeout_s, FIRST_PAUSE_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
            try:
                await self._look(position, actor)
            except NotYetVisible:
                if loop.time() >= deadline_s:
                    raise
            else:
                return

    async def _look(self, position: str, actor: Actor) -> None:
        await run_in_threadpool(partial(self._positions.wait, position, actor, timeout_s=0))
