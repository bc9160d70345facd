"""Waiting for a position takes no thread and no place among the requests at work."""

import asyncio
import threading
import time
from typing import Any, cast

import pytest

from campaignctl.domain.users import Actor
from campaignctl.errors import InvalidInput, NotYetVisible
from campaignctl.services.health import HealthReport, Status
from campaignctl.services.positions import Positions
from server import waiting
from server.metrics import HttpMetrics
from server.middleware import Slot
from server.problem import HttpError
from server.waiting import Waits

ACTOR = Actor.machine_operator(1)


class FakePositions:
    """Reached when the test says so; counts the looks and the threads that look at once."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.looks = 0

    def wait(self, text: str, actor: Actor, *, timeout_s: float) -> None:
        assert timeout_s == 0
        self.looks += 1
        if text == "forged":
            raise InvalidInput.of("after", "must be a position")
        if not self.reached.is_set():
            raise NotYetVisible("not yet", service="event_log")


class FakeSlot:
    def __init__(self, *, free: bool = True) -> None:
        self.held, self.free = True, free

    def leave(self) -> None:
        self.held = False

    async def take(self) -> bool:
        self.held = self.free
        return self.free


def _waits(positions: FakePositions) -> Waits:
    return Waits(cast(Positions, positions), HttpMetrics(lambda: HealthReport(Status.OK, {})))


def _until(waits: Waits, slot: FakeSlot, position: str = "p", **options: Any) -> Any:
    return waits.until(position, ACTOR, cast(Slot, slot), **options)


def test_what_is_reached_does_not_wait() -> None:
    positions, slot = FakePositions(), FakeSlot()
    positions.reached.set()
    asyncio.run(_until(_waits(positions), slot))
    assert (positions.looks, slot.held) == (1, True)


def test_it_waits_until_it_is_reached_and_lends_its_place() -> None:
    async def check() -> None:
        positions, slot = FakePositions(), FakeSlot()
        task = asyncio.create_task(_until(_waits(positions), slot))
        await asyncio.sleep(0.1)
        assert not slot.held and not task.done()
        positions.reached.set()
        await task
        assert slot.held

    asyncio.run(check())


def test_the_time_is_up() -> None:
    begin = time.monotonic()
    with pytest.raises(NotYetVisible):
        asyncio.run(_until(_waits(FakePositions()), FakeSlot(), timeout_s=0.2))
    assert 0.2 <= time.monotonic() - begin < 10


def test_a_forged_position_is_refused_at_once() -> None:
    with pytest.raises(InvalidInput):
        asyncio.run(_until(_waits(FakePositions()), FakeSlot(), "forged"))


def test_no_place_is_free_afterwards() -> None:
    async def check() -> None:
        positions = FakePositions()
        task = asyncio.create_task(_until(_waits(positions), FakeSlot(free=False)))
        await asyncio.sleep(0.05)
        positions.reached.set()
        with pytest.raises(HttpError):
            await task

    asyncio.run(check())


def test_those_who_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MAX_WAITING", 3)

    async def check() -> None:
        positions = FakePositions()
        waits = _waits(positions)
        tasks = [asyncio.create_task(_until(waits, FakeSlot())) for _ in range(3)]
        await asyncio.sleep(0.05)
        with pytest.raises(NotYetVisible):
            await _until(waits, FakeSlot())
        positions.reached.set()
        await asyncio.gather(*tasks)
        await _until(waits, FakeSlot())

    asyncio.run(check())


def test_two_hundred_who_wait_take_few_threads() -> None:
    async def check() -> None:
        positions = FakePositions()
        waits = _waits(positions)
        tasks = [asyncio.create_task(_until(waits, FakeSlot(), timeout_s=60)) for _ in range(200)]
        await asyncio.sleep(0.3)
        begin = time.monotonic()
        await asyncio.to_thread(time.monotonic)
        assert time.monotonic() - begin < 20
        positions.reached.set()
        await asyncio.gather(*tasks)

    asyncio.run(check())
