"""Live streams over an insight service in memory: order, sharing, and that nothing is left behind."""

import asyncio
import random
import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import pytest

from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Unavailable
from campaignctl.services.health import HealthReport
from campaignctl.services.insights import InsightAnswer
from server import streams as live
from server.metrics import HttpMetrics
from server.problem import HttpError
from server.streams import Question, Streams

READER = Actor(organization_id=1, role=Role.VIEWER, user_id=5)
ASKED = Question(1, (("granularity", ("total",)),), 1)


class Numbers:
    """Answers what the newest number was when it was asked, sooner or later."""

    def __init__(self, seed: int) -> None:
        self.newest = 0
        self.computed = 0
        self.gone = self.away = False
        self._rng = random.Random(seed)
        self._lock = threading.Lock()

    def run(
        self, parameters: Mapping[str, Sequence[str]], actor: Actor, *, campaign_id: int, or_last: bool
    ) -> InsightAnswer:
        assert not or_last
        if self.away:
            raise Unavailable("away", service="analytics")
        with self._lock:
            self.computed += 1
            pauses_s = [self._rng.random() * 0.004 for _ in range(2)]
        time.sleep(pauses_s[0])
        body = str(self.newest).encode()
        time.sleep(pauses_s[1])
        return InsightAnswer(body, f'"{body.decode()}"', "miss", 0.0)

    def versions(self, campaign_ids: Collection[int]) -> dict[int, str]:
        if self.away:
            raise Unavailable("away", service="metadata")
        return {} if self.gone else dict.fromkeys(campaign_ids, str(self.newest))


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_EVERY_S", 0.002)
    monkeypatch.setattr(live, "CHECK_EVERY_S", 0.004)
    monkeypatch.setattr(live, "_AGAIN_S", 0.004)


def _streams(numbers: Any, *, per_user: int = 100, most: int = 100) -> Streams:
    def health() -> HealthReport:
        raise AssertionError("nobody asks")

    return Streams(numbers, HttpMetrics(health), per_user=per_user, most=most)


async def _read(streams: Streams, seen: list[int]) -> list[str]:
    """Collect the answers' numbers into ``seen``; answers the other events, in the end."""
    others = []
    stream = streams.enter(ASKED, READER, lambda: READER)
    try:
        async for event in streams.events(stream, await streams.answer(stream), None):
            lines = event.decode().splitlines()
            if "event: insights" in lines:
                seen.append(int(next(line[6:] for line in lines if line.startswith("data: "))))
            else:
                others.append(lines[0])
    finally:
        streams.leave(stream)
    return others


async def _none_left(streams: Streams) -> None:
    async with asyncio.timeout(5):
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.001)
    assert not streams._open and not streams._held and not streams._latest and streams._watching is None


@pytest.mark.parametrize("seed", range(5))
def test_no_stream_goes_back_or_misses_the_last_number(seed: int) -> None:
    async def run() -> None:
        numbers, rng = Numbers(seed), random.Random(seed)
        streams = _streams(numbers)
        readers: list[tuple[asyncio.Task[list[str]], list[int]]] = []
        for _ in range(60):
            numbers.newest += rng.random() < 0.7
            seen: list[int] = []
            if len(readers) < 25:
                readers.append((asyncio.create_task(_read(streams, seen)), seen))
            if rng.random() < 0.1:
                readers[rng.randrange(len(readers))][0].cancel()
            await asyncio.sleep(rng.random() * 0.004)
        stay = [one for one in readers if not one[0].cancelled() and not one[0].cancelling()]
        async with asyncio.timeout(10):
            while any(not seen or seen[-1] != numbers.newest for _, seen in stay):
                await asyncio.sleep(0.001)
        for _, seen in readers:
            assert seen == sorted(set(seen))
        assert numbers.computed < sum(len(seen) for _, seen in readers)  # equal questions are answered together
        streams.stop()
        for task, _ in stay:
            assert (await task)[-1] == "event: end"
        await _none_left(streams)

    asyncio.run(run())


def test_a_reader_who_leaves_leaves_nothing_behind() -> None:
    async def run() -> None:
        numbers = Numbers(0)
        streams = _streams(numbers)
        for _ in range(3):
            tasks = [asyncio.create_task(_read(streams, [])) for _ in range(10)]
            await asyncio.sleep(0.01)
            numbers.newest += 1
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await _none_left(streams)

    asyncio.run(run())


def test_while_a_store_is_away_it_is_silent() -> None:
    async def run() -> None:
        numbers = Numbers(0)
        streams = _streams(numbers)
        seen: list[int] = []
        task = asyncio.create_task(_read(streams, seen))
        while seen != [0]:
            await asyncio.sleep(0.001)
        numbers.away = True
        await asyncio.sleep(0.02)  # what was being computed is over
        numbers.newest = 7
        await asyncio.sleep(0.05)
        assert seen == [0] and not task.done()
        numbers.away = False
        async with asyncio.timeout(5):
            while seen != [0, 7]:
                await asyncio.sleep(0.001)
        numbers.gone = True
        assert (await task)[-1] == "event: end"
        await _none_left(streams)

    asyncio.run(run())


def test_a_watch_that_fails_ends_the_streams_instead_of_leaving_them_deaf(caplog: pytest.LogCaptureFixture) -> None:
    async def run() -> None:
        numbers = Numbers(0)
        streams = _streams(numbers)

        def broken(campaign_ids: Collection[int]) -> dict[int, str]:
            raise RuntimeError("not meant")

        numbers.versions = broken  # type: ignore[method-assign]
        assert (await _read(streams, []))[-1] == "event: end"
        await _none_left(streams)

    asyncio.run(run())
    assert "the watch over live streams failed" in caplog.text


def test_there_is_room_for_so_many() -> None:
    async def run() -> None:
        streams = _streams(Numbers(0), per_user=2, most=4)
        mine = [streams.enter(ASKED, READER, lambda: READER) for _ in range(2)]
        with pytest.raises(HttpError) as refused:
            streams.enter(ASKED, READER, lambda: READER)
        assert (refused.value.problem.status, refused.value.problem.headers) == (429, {"Retry-After": "10"})
        operator = Actor.machine_operator()
        others = [streams.enter(ASKED, operator, lambda: operator) for _ in range(2)]
        for one in (operator, Actor(1, Role.VIEWER, user_id=6)):
            with pytest.raises(HttpError) as refused:
                streams.enter(ASKED, one, lambda: READER)
            assert (refused.value.problem.status, refused.value.problem.code) == (503, "overloaded")
        for stream in (*mine, *mine, *others):
            streams.leave(stream)
        again = streams.enter(ASKED, READER, lambda: READER)
        streams.leave(again)
        await streams.close()
        with pytest.raises(HttpError):
            streams.enter(ASKED, READER, lambda: READER)
        await _none_left(streams)

    asyncio.run(run())
