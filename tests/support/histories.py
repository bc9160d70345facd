"""A random history through the whole product, beside the model: log, worker, stores, insights over REST.

Half of the histories come over HTTP, all at one moment. In the others the log's clock runs for days or weeks, records
are produced straight into the log, some into a partition that is not their campaign's own, and copies come back beyond
the deduplication window. In both the worker is ended or crashes between and inside batches, and another one goes on.

``python -m tests.support.histories SEED...`` plays single histories and prints what differs.
"""

import logging
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

from campaignctl.domain.users import Actor
from campaignctl.errors import InvalidInput, NotYetVisible
from campaignctl.ports.event_log import NewRecord
from tests.model.histories import EPOCH, History, Step, random_history
from tests.model.questions import random_questions, request
from tests.model.records import Event, Limits, RefusedError, read_event
from tests.model.reference import Model
from tests.support.answers import Json, differences
from tests.support.clock import SteeredClock
from tests.support.one_engine import OneEngine
from tests.support.thread import Client, Thread, open_thread
from worker import session
from worker.batching import FlushPolicy

QUESTIONS = 6
_FIRST_NOW = datetime(2025, 1, 1, tzinfo=UTC)
_NOW_DAYS = 6 * 365
_COUNTED_WITHIN_S = 60.0
_LIMITS = Limits(retention_days=400, max_record_bytes=262_144)
_CRASHES = ("after_poll", "after_intent", "before_insert", "after_insert", "before_commit", "after_commit")


class CrashError(BaseException):
    """Stands for the end of the process; nothing in the product may catch it and go on."""


def play(seed: int, directory: Path, *, questions: int = QUESTIONS, engine: OneEngine | None = None) -> list[str]:
    """Play the history of the seed in an empty directory; answers every difference from the model.

    An ``engine`` for many histories spares each of them one of its own.
    """
    rng = random.Random(f"play {seed}")
    now = _FIRST_NOW + rng.random() * _NOW_DAYS * timedelta(days=1)
    spread_days = rng.choice((0, 0, 0, 9, 30, 60))
    history = random_history(seed, now=now, spread_days=spread_days)
    clock = SteeredClock(_moment(history.steps[0]))
    partitions = rng.choice((1, 1, 2, 4))
    with (
        engine.lent() if engine else nullcontext(),
        open_thread(directory, clock=clock, kafka={"events_partitions": partitions}) as thread,
        _quick_stops(),
    ):
        played = _Play(rng, history, thread, clock)
        for phase in _phases(rng, history.steps):
            played.run(phase, produced=spread_days > 0)
        clock.set(history.now)
        asked = random_questions(rng, history, history.now, questions)
        for question in asked:
            played.ask(question)
        played.page_through(rng.choice(asked))
        played.check_dead_letters()
        return [f"seed {seed}: {text}" for text in played.wrong]


@contextmanager
def _quick_stops() -> Iterator[None]:
    """A worker that is told to stop notices at its next poll: many are, and half a second each would be minutes."""
    with patch.object(session, "_IDLE_POLL_S", 0.02):
        yield


class _Play:
    """One history being played, with the model beside it."""

    def __init__(self, rng: random.Random, history: History, thread: Thread, clock: SteeredClock) -> None:
        self.wrong: list[str] = []
        self._rng = rng
        self._history = history
        self._thread = thread
        self._clock = clock
        self._client: Client = thread.organization("history")
        self._actor = Actor.machine_operator(thread.app.metadata.ensure_organization("history"))
        self._model = Model()
        self._refused: Counter[tuple[str, bytes]] = Counter()
        self._policy = FlushPolicy(rows=rng.choice((25, 100, 1000)), age_s=0.02, pause_s=0.0)
        ids = self._client.create(history.campaigns)
        assert ids == list(range(1, len(ids) + 1)), ids
        self._client.put_rates(history.rates)
        self._model.add_rates(history.rates)
        for number, campaign in enumerate(history.campaigns, 1):
            self._model.add_campaign(number, timezone=campaign["timezone"], currency=campaign["currency"])
        self._events = _events_of(history)
        self._lonely = _ids_sent_once(self._events, history.steps)
        self._question = random_questions(rng, history, history.now, 1)[0]

    def run(self, phase: Sequence[Step], *, produced: bool) -> None:
        """Send a phase, have it counted by workers that may crash, and ask the phases' question."""
        refusals = [self._model.feed(step.record, step.log_time_ms) for step in phase]
        self._refused.update((code, s.record) for s, code in zip(phase, refusals, strict=True) if code is not None)
        if produced:
            with self._maybe_counting(self._rng.random() < 0.5):
                position = self._produce(phase)
        else:
            self._clock.set(self._history.now)
            position = self._post(phase, refusals)
        self._count(position)
        if produced:  # what lay in a strange partition was produced again, behind the position
            self._settle()
        self.ask(self._question)

    def _post(self, phase: Sequence[Step], refusals: Sequence[str | None]) -> str:
        sent = self._client.send([step.record for step in phase])
        expected = [(index, code) for index, code in enumerate(refusals) if code is not None]
        if sent.refused != expected:
            self.wrong.append(f"refused {_other(sent.refused, expected)}")
        return sent.positions[-1]

    def _produce(self, phase: Sequence[Step]) -> str:
        """Each record at its time. One whose id has no copies may lie in any partition: it counts all the same."""
        app = self._thread.app
        topic = app.settings.kafka.events_topic
        places = []
        for step in phase:
            self._clock.set(_moment(step))
            event = self._events[step]
            strange = event is None or (step.record in self._lonely and self._rng.random() < 0.1)
            key = None if strange else str(event.campaign_id).encode()
            places += app.event_log.produce(topic, [NewRecord(key, step.record)])
        return app.positions.make(self._actor.organization_id, places)

    @contextmanager
    def _maybe_counting(self, counting: bool) -> Iterator[None]:
        if not counting:
            yield
            return
        with self._thread.working(self._policy):
            yield

    def _count(self, position: str) -> None:
        """Workers one after the other until everything is counted; all but the last one may crash."""
        crashes = self._rng.choice((0, 0, 0, 1, 2))
        for _ in range(crashes):
            self._work(position, _crash_at(self._rng.choice(_CRASHES), self._rng.randint(1, 3)))
        if not self._work(position, lambda name: None):
            raise TimeoutError(f"history {self._history.seed}: not all was counted within {_COUNTED_WITHIN_S:g} s")

    def _work(self, position: str, failpoint: Callable[[str], None]) -> bool:
        """A fresh worker until the position is reached (then True) or it crashes."""
        deadline_s = time.monotonic() + _COUNTED_WITHIN_S
        with self._thread.working(self._policy, failpoint) as worker:
            while worker.error is None and time.monotonic() < deadline_s:
                try:
                    self._thread.app.positions.wait(position, self._actor, timeout_s=0.02)
                except NotYetVisible:
                    continue
                return True
            if worker.error is not None and not isinstance(worker.error, CrashError):
                raise worker.error
        return False

    def _settle(self) -> None:
        """Have counted whatever is in the log by now."""
        app = self._thread.app
        topic, group = app.settings.kafka.events_topic, app.settings.kafka.group_id
        deadline_s = time.monotonic() + _COUNTED_WITHIN_S
        with self._thread.working(self._policy):
            while time.monotonic() < deadline_s:
                committed = app.event_log.committed(topic, group)
                ends = app.event_log.watermarks(topic)
                if all(end.end == (committed[p].offset if p in committed else 0) for p, end in ends.items()):
                    return
                time.sleep(0.01)
        raise TimeoutError(f"history {self._history.seed}: the log was not counted to its end")

    def ask(self, question: Json) -> None:
        path, params = request(question)
        expected = self._model.answer(question, self._clock.now())
        answer = self._answer(path, params)
        if "error" in expected or "error" in answer:
            named = set(answer.get("fields", ()))
            if not named & set(expected.get("fields", ())):
                self._note(question, f"{_refusal(answer)} instead of {_refusal(expected)}")
            return
        for text in differences(answer, expected)[:5]:
            self._note(question, text)

    def page_through(self, question: Json) -> None:
        """The pages together are the whole, and each has the totals of the whole."""
        path, params = request(question)
        whole = self._answer(path, params)
        if "error" in whole or len(whole["rows"]) < 2:
            return
        paged = self._answer(path, {**params, "limit": str(-(-len(whole["rows"]) // 3))})
        if (paged["rows"], paged["totals"]) != (whole["rows"], whole["totals"]):
            self._note(question, "the pages together are not the whole")

    def check_dead_letters(self) -> None:
        """Every refused record is there once, with its reason and its bytes."""
        app = self._thread.app
        topic = app.settings.kafka.dead_letter_topic
        found: Counter[tuple[str, bytes]] = Counter()
        for partition, kept in app.event_log.watermarks(topic).items():
            offset = kept.start
            while offset < kept.end:
                batch = app.event_log.read(topic, partition, offset, 1_000)
                offset = batch.next_offset
                codes = (dict(headers)["code"].decode() for headers in batch.headers)
                found.update(zip(codes, batch.values, strict=True))
        for (code, value), count in ((found - self._refused) + (self._refused - found)).items():
            self.wrong.append(
                f"dead letter {code} {value[:60]!r}: {found[code, value]} instead of {self._refused[code, value]} ({count})"
            )

    def _answer(self, path: str, params: Json) -> Json:
        try:
            return self._client.ask(path, params)
        except InvalidInput as error:
            return {"error": 422, "fields": [one.field for one in error.errors]}

    def _note(self, question: Json, text: str) -> None:
        self.wrong.append(f"{question}: {text}")


@dataclass(slots=True)
class _Countdown:
    left: int


def _crash_at(point: str, passes: int) -> Callable[[str], None]:
    """A failpoint at which the worker ends when it comes there for the ``passes``-th time."""
    countdown = _Countdown(passes)

    def reached(name: str) -> None:
        if name == point:
            countdown.left -= 1
            if countdown.left == 0:
                raise CrashError(name)

    return reached


def _phases(rng: random.Random, steps: Sequence[Step]) -> list[Sequence[Step]]:
    """The steps in one or two runs; records of one moment may be parted."""
    cuts = sorted(rng.sample(range(1, len(steps)), min(rng.choice((0, 1, 1)), len(steps) - 1)))
    return [steps[start:end] for start, end in zip([0, *cuts], [*cuts, len(steps)], strict=True)]


def _moment(step: Step) -> datetime:
    return EPOCH + timedelta(milliseconds=step.log_time_ms)


def _events_of(history: History) -> dict[Step, Event | None]:
    """What each record says; None when it is refused."""
    currencies = {n: campaign["currency"] for n, campaign in enumerate(history.campaigns, 1)}
    events: dict[Step, Event | None] = {}
    for step in history.steps:
        try:
            events[step] = read_event(step.record, step.log_time_ms, currencies, _LIMITS)
        except RefusedError:
            events[step] = None
    return events


def _ids_sent_once(events: Mapping[Step, Event | None], steps: Sequence[Step]) -> set[bytes]:
    """Good records whose event id stands in no other good record of the history."""
    by_id: dict[tuple[int, str], list[bytes]] = {}
    for step in steps:
        if (event := events[step]) is not None:
            by_id.setdefault((event.campaign_id, event.event_id), []).append(step.record)
    return {records[0] for records in by_id.values() if len(records) == 1}


def _refusal(answer: Json) -> str:
    return f"422 {answer['fields']}" if "error" in answer else "an answer"


def _other(found: Sequence[Any], expected: Sequence[Any]) -> str:
    pairs = set(found) ^ set(expected)
    return f"{sorted(pairs)[:6]} (lines that differ; {len(found)} instead of {len(expected)} refused)"


def main() -> int:
    logging.getLogger("campaignctl").setLevel(logging.CRITICAL)
    wrong: list[str] = []
    for seed in map(int, sys.argv[1:]):
        with tempfile.TemporaryDirectory(prefix="history-") as directory:
            wrong += play(seed, Path(directory))
    print("\n".join(wrong) or "no difference")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
