"""Live answers: the streams that a process has open, when each is answered anew, and when it ends.

One look every half a second reads the versions of all campaigns that streams are about, in one statement and one
visit to a thread, however many streams there are; once a second it asks as well who still may listen. A stream whose
campaign has changed is answered anew, equal questions together. Between answers a stream holds no thread and no place
among the requests at work. Everything here happens on the event loop, but for ``_look`` and the answers themselves.
"""

import asyncio
import json
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from fastapi.sse import format_sse_event
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from campaignctl.domain.users import Actor, Role
from campaignctl.errors import CampaignctlError, Forbidden, InvalidInput, NotFound, NotSignedIn, Unavailable
from campaignctl.services.insights import InsightAnswer, InsightService
from server.metrics import HttpMetrics
from server.middleware import busy
from server.problem import HttpError, Problem, retry_after

MEDIA_TYPE = "text/event-stream"
LOOK_EVERY_S = 0.5
"""So long a change may stay unnoticed, beside what the look and the answer take."""
CHECK_EVERY_S = 1.0
"""What is known of a session is 2 s old at most, so whoever is signed out is left within 4 s."""
HEARTBEAT_S = 15.0
"""Proxies cut a connection on which nothing comes for a minute, some for 30 s."""
COME_BACK_MS = 2_000
"""When a client comes back after its connection has broken."""
ROOM_AFTER_S = 10.0
"""When to try again for a place: streams end when their readers leave, nobody knows when."""
_ANSWERED_AT_ONCE = 4
"""Of the threads, which serve requests too."""
_AGAIN_S = 1.0
"""Until the next try, when a store did not answer."""

logger = logging.getLogger(__name__)


class Ending(StrEnum):
    """Why a stream ends; the last event says it."""

    SIGNED_OUT = "signed_out"
    FORBIDDEN = "forbidden"
    CAMPAIGN_GONE = "campaign_gone"
    REFUSED = "refused"
    """The question cannot be answered any more."""
    UNAVAILABLE = "unavailable"
    SERVER_STOPS = "server_stops"


_ENDING_OF = {
    NotSignedIn: Ending.SIGNED_OUT,
    Forbidden: Ending.FORBIDDEN,
    NotFound: Ending.CAMPAIGN_GONE,
    InvalidInput: Ending.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Question:
    """Equal questions have equal answers."""

    campaign_id: int
    parameters: tuple[tuple[str, tuple[str, ...]], ...]
    organization_id: int | None
    """Of the asker; None: the operator of the machine."""


@dataclass(slots=True)
class _Latest:
    """The latest answer to a question. One is made after the other, so that none of its readers goes back in time."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    version: str | None = None
    """What a look had seen before it was made; None: no look."""
    answer: InsightAnswer | None = None


@dataclass(slots=True, eq=False)
class Stream:
    """One reader's place."""

    question: Question
    actor: Actor
    who: Callable[[], Actor]
    """Who the reader is by now; raises when the credentials no longer hold. Blocks."""
    version: str | None = None
    """Of the campaign at the last look; None before the first one."""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    ending: Ending | None = None

    def end(self, ending: Ending) -> None:
        self.ending = self.ending or ending
        self.woken.set()


@dataclass(frozen=True, slots=True)
class _Look:
    streams: set[Stream]
    versions: dict[int, str] | None
    """By campaign; None while the store does not answer."""
    actors: dict[Stream, Actor]
    endings: dict[Stream, Ending]


class Streams:
    """All streams of the process. ``per_user`` is how many one user, or one API key, may have open in it."""

    def __init__(self, insights: InsightService, metrics: HttpMetrics, *, per_user: int, most: int) -> None:
        self._insights = insights
        self._metrics = metrics
        self._per_user = per_user
        self._most = most
        self._open: set[Stream] = set()
        self._held: Counter[str] = Counter()
        self._watching: asyncio.Task[None] | None = None
        self._latest: dict[Question, _Latest] = {}
        self._turns = asyncio.Semaphore(_ANSWERED_AT_ONCE)
        self._stopping = False

    def enter(self, question: Question, actor: Actor, who: Callable[[], Actor]) -> Stream:
        """A place, to be given back with ``leave``; raises ``HttpError`` (429, 503) when there is none."""
        if self._stopping:
            raise HttpError(busy("the server is about to stop"))
        if not actor.is_machine_operator and self._held[actor.label] >= self._per_user:
            detail = f"you have {self._per_user} streams open, as many as one may have (server.streams_per_user)"
            hint = "close one of them first"
            raise HttpError(Problem(429, "too_many_streams", detail, hint=hint, headers=retry_after(ROOM_AFTER_S)))
        if len(self._open) >= self._most:
            self._metrics.shed("streams")
            raise HttpError(busy("as many streams are open as there may be (server.streams)"))
        stream = Stream(question, actor, who)
        self._open.add(stream)
        self._held[actor.label] += 1
        self._metrics.stream_opened()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())
        return stream

    def leave(self, stream: Stream) -> None:
        """Give the place back; more than once does no harm."""
        if stream not in self._open:
            return
        self._open.remove(stream)
        self._held -= Counter({stream.actor.label: 1})  # which drops what is at 0
        self._metrics.stream_closed()
        if all(other.question != stream.question for other in self._open):
            self._latest.pop(stream.question, None)

    def stop(self) -> None:
        """End every stream, and take no more."""
        self._stopping = True
        self._end(self._open, Ending.SERVER_STOPS)

    async def close(self) -> None:
        """As ``stop``, and leave nothing at work."""
        self.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
            self._watching = None  # one that had not begun yet does not say so itself

    async def answer(self, stream: Stream) -> InsightAnswer:
        """The answer of now, computed once for all streams that ask the same of the same version.

        Raises as ``InsightService.run`` does; never the last answer of before a store went away, because a stream must
        not go back.
        """
        latest = self._latest.setdefault(stream.question, _Latest())
        async with latest.turn:
            if latest.answer is None or stream.version is None or latest.version != stream.version:
                version = stream.version
                latest.answer = await self._computed(stream)
                latest.version = version
            return latest.answer

    async def events(self, stream: Stream, answer: InsightAnswer, known_id: str | None) -> AsyncIterator[bytes]:
        """What the reader gets: the answer unless it is the known one, then each that differs from the one before."""
        yield format_sse_event(retry=COME_BACK_MS)
        sent, new = known_id, answer
        while stream.ending is None:
            if event_id(new) != sent:
                sent = event_id(new)
                yield format_sse_event(event="insights", id=sent, data_str=new.body.decode())
                self._metrics.stream_sent("insights")
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    new = await self._next(stream) or new
            except TimeoutError:
                yield format_sse_event(comment="nothing new")
        said = json.dumps({"reason": stream.ending})
        yield format_sse_event(event="end", data_str=said)
        self._metrics.stream_sent("end")

    async def _next(self, stream: Stream) -> InsightAnswer | None:
        """The answer after the next change; None when the stream has ended."""
        while True:
            await stream.woken.wait()
            stream.woken.clear()
            if stream.ending is not None:
                return None
            try:
                return await self.answer(stream)
            except asyncio.CancelledError:  # a heartbeat came first
                stream.woken.set()
                raise
            except Unavailable:
                asyncio.get_running_loop().call_later(_AGAIN_S, stream.woken.set)
            except CampaignctlError as error:
                stream.end(_ending_of(error))

    async def _computed(self, stream: Stream) -> InsightAnswer:
        question, actor = stream.question, stream.actor
        async with self._turns:
            return await run_in_threadpool(
                self._insights.run,
                dict(question.parameters),
                actor,
                campaign_id=question.campaign_id,
                or_last=False,
            )

    async def _watch(self) -> None:
        """Look again and again while there are streams."""
        loop = asyncio.get_running_loop()
        checked_s = loop.time()
        try:
            while self._open:
                is_due = loop.time() - checked_s >= CHECK_EVERY_S
                checked_s = loop.time() if is_due else checked_s
                self._tell(await run_in_threadpool(self._look, set(self._open), check=is_due))
                await asyncio.sleep(LOOK_EVERY_S)
        except Exception:
            # Nobody would wake them any more: their readers come back, and the next one starts another watch.
            logger.exception("the watch over live streams failed")
            self._end(self._open, Ending.UNAVAILABLE)
        finally:
            self._watching = None

    def _look(self, streams: set[Stream], *, check: bool) -> _Look:
        look = _Look(streams, self._versions(streams), {}, {})
        for stream in streams if check else ():
            try:
                look.actors[stream] = stream.who()
                look.actors[stream].require(Role.VIEWER)
            except CampaignctlError as error:
                look.endings[stream] = _ending_of(error)
        return look

    def _versions(self, streams: set[Stream]) -> dict[int, str] | None:
        try:
            return self._insights.versions({stream.question.campaign_id for stream in streams})
        except Unavailable:
            return None

    def _tell(self, look: _Look) -> None:
        for stream, actor in look.actors.items():
            stream.actor = actor
        for stream, ending in look.endings.items():
            stream.end(ending)
        if look.versions is None:
            return
        for stream in self._open & look.streams:
            version = look.versions.get(stream.question.campaign_id)
            if version is None:
                stream.end(Ending.CAMPAIGN_GONE)
            elif version != stream.version:
                stream.version = version
                stream.woken.set()

    @staticmethod
    def _end(streams: Iterable[Stream], ending: Ending) -> None:
        for stream in streams:
            stream.end(ending)


class EventStream(StreamingResponse):
    """The answer that a stream is; its place is free again when it is over, however that comes about."""

    media_type = MEDIA_TYPE

    def __init__(self, streams: Streams, stream: Stream, first: InsightAnswer, known_id: str | None) -> None:
        super().__init__(streams.events(stream, first, known_id), headers=HEADERS)
        self._streams = streams
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["state"]["is_stream"] = True
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._stream)


HEADERS = {"Cache-Control": "no-store", "Vary": "Authorization", "X-Accel-Buffering": "no"}
"""The last one keeps nginx from collecting what should go on at once."""


def event_id(answer: InsightAnswer) -> str:
    """Equal answers have equal ids, whichever process gave them."""
    return answer.etag.strip('"')


def _ending_of(error: CampaignctlError) -> Ending:
    return next((ending for kind, ending in _ENDING_OF.items() if isinstance(error, kind)), Ending.UNAVAILABLE)
