"""Producing dead letters again, as a job: after a fix, each of them counts exactly once however often this is done.

The original bytes go to the events topic again, under a header that names the letter. What counts there is decided by
the event's id, so a job that is killed and resumed repeats a few letters and counts none twice. A record that is still
bad becomes a dead letter again, one that names its origin. Which letters were produced again is written down: a replay
by filter passes them over.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from campaignctl.domain.dead_letters import REPLAY_HEADER, FromRequest, dead_letter, letter_filter
from campaignctl.domain.jobs import Job, JobKind, JobStatus, Progress
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord
from campaignctl.ports.jobs import NewJob
from campaignctl.ports.letters import LetterReplayStore
from campaignctl.ports.metadata import CampaignFactsStore
from campaignctl.services.dead_letters import DeadLetters, StoredLetter, parse_letter_id
from campaignctl.services.event_intake import EventIntake
from campaignctl.services.jobs import JobContext, JobResult, JobService
from campaignctl.services.landing import letter_record
from campaignctl.services.letter_listing import Visibility

MAX_IDS = 1_000
UNIT = "dead letters"
_LETTERS_AT_ONCE = 500
_BYTES_AT_ONCE = 4 << 20
_COUNTS = ("replayed", "already_replayed", "incomplete", "refused_again", "gone")
"""Letters by what became of them. ``incomplete``: only the beginning of the record is kept, so it cannot be produced.
``refused_again``: came by HTTP, and refused at once; what comes by the log is judged by the worker."""


class ReplayRecords(CampaignFactsStore, LetterReplayStore, Protocol):
    """What a replay needs of the metadata store."""


class LetterReplayService:
    """Asking for replays."""

    def __init__(self, letters: DeadLetters, metadata: ReplayRecords, jobs: JobService) -> None:
        self._letters = letters
        self._metadata = metadata
        self._jobs = jobs

    def by_ids(self, ids: Sequence[str], actor: Actor) -> Job:
        """Replay these letters, also those that were replayed before; ``InvalidInput`` for one that is not there."""
        actor.require(Role.OPERATOR)
        if not 1 <= len(ids) <= MAX_IDS:
            raise InvalidInput.of("ids", f"must name 1 to {MAX_IDS} letters")
        visible = Visibility(actor, self._metadata)
        for letter_id in ids:
            stored = self._letters.find(letter_id)
            if stored is None or not visible.sees(stored.letter):
                raise InvalidInput.of("ids", f"there is no dead letter {letter_id[:50]}")
        return self._submit({"ids": sorted(set(ids), key=_place)}, None, actor)

    def by_filter(self, wanted: Mapping[str, object], actor: Actor, *, campaign_id: int | None, again: bool) -> Job:
        """Replay all that the filter means, as ``letter_filter`` reads it when the job is done.

        Letters that were replayed before are passed over, or replayed too with ``again``.
        """
        actor.require(Role.OPERATOR)
        params = {name: value for name, value in wanted.items() if value is not None}
        return self._submit({**params, "again": again}, self._own_campaign(campaign_id, actor), actor)

    def _own_campaign(self, campaign_id: int | None, actor: Actor) -> int | None:
        """The campaign that the job is listed under; none that the actor does not see."""
        if campaign_id is None:
            return None
        facts = self._metadata.campaign_facts([campaign_id]).get(campaign_id)
        return campaign_id if facts is not None and actor.sees(facts.organization_id) else None

    def _submit(self, params: Mapping[str, object], campaign_id: int | None, actor: Actor) -> Job:
        new = NewJob(
            JobKind.REPLAY,
            actor.organization_id,
            params,
            campaign_id=campaign_id,
            created_by=actor.user_id,
            unit=UNIT,
            join_key=json.dumps(params, sort_keys=True),
        )
        return self._jobs.submit(new, actor)


@dataclass(slots=True)
class _Replay:
    """A job under way: how far it is, and what has become of the letters. Kept as the job's state."""

    incarnation: str
    ends: dict[int, int]
    """By partition of the dead-letter topic: letters from there on are not meant; the job made some of them itself."""
    next: dict[int, int]
    """By partition: letters below are done."""
    total: int
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COUNTS, 0))
    done: int = 0

    def state(self) -> dict[str, object]:
        return {
            "incarnation": self.incarnation,
            "ends": {str(number): end for number, end in self.ends.items()},
            "next": {str(number): offset for number, offset in self.next.items()},
            "total": self.total,
            "counts": dict(self.counts),
            "done": self.done,
        }

    @classmethod
    def of_state(cls, state: Mapping[str, object]) -> "_Replay":
        return cls(
            incarnation=str(state["incarnation"]),
            ends=_by_partition(state["ends"]),
            next=_by_partition(state["next"]),
            total=_int(state["total"]),
            counts={name: _int(count) for name, count in _object(state["counts"]).items()},
            done=_int(state["done"]),
        )


class LetterReplay:
    """The ``JobHandler`` of replays."""

    def __init__(
        self,
        letters: DeadLetters,
        event_log: EventLog,
        metadata: ReplayRecords,
        intake: EventIntake,
        *,
        events_topic: str,
        clock: Clock,
    ) -> None:
        self._letters = letters
        self._event_log = event_log
        self._metadata = metadata
        self._intake = intake
        self._events_topic = events_topic
        self._clock = clock

    def run(self, context: JobContext, /) -> JobResult:
        job = context.job
        replay = self._begin(context)
        visible = Visibility(Actor(job.organization_id, Role.ADMIN), self._metadata)
        meant = self._by_ids(job, replay) if "ids" in job.params else self._by_filter(job, replay)
        for piece in _pieces(meant):
            letters = [one for one in piece if visible.sees(one.letter)]
            self._send(letters, job, replay)
            last = piece[-1]
            replay.next[last.partition] = last.offset + 1
            replay.done = self._done(job, replay, len(piece))
            context.checkpoint(Progress(replay.done, replay.total, UNIT), replay.state())
        if "ids" in job.params:
            replay.counts["gone"] = replay.total - replay.done
        context.checkpoint(Progress(replay.total, replay.total, UNIT))
        self._forget_expired(replay.incarnation)
        missing = replay.counts["gone"] + (replay.counts["incomplete"] if "ids" in job.params else 0)
        return JobResult(JobStatus.PARTIAL if missing else JobStatus.SUCCEEDED, replay.counts)

    def _begin(self, context: JobContext) -> _Replay:
        incarnation, kept = self._letters.incarnation(), self._letters.kept()
        if context.state:
            resumed = _Replay.of_state(context.state)
            if resumed.incarnation == incarnation:
                return resumed
        ids = context.job.params.get("ids")
        ends = {number: marks.end for number, marks in kept.items()}
        starts = {number: marks.start for number, marks in kept.items()}
        total = len(ids) if isinstance(ids, Sequence) else sum(ends.values()) - sum(starts.values())
        replay = _Replay(incarnation, ends, starts, total)
        context.checkpoint(Progress(0, total, UNIT), replay.state())
        return replay

    def _by_filter(self, job: Job, replay: _Replay) -> Iterator[StoredLetter]:
        wanted = letter_filter({name: value for name, value in job.params.items() if name != "again"})
        for partition, end in sorted(replay.ends.items()):
            for stored in self._letters.of_partition(partition, replay.next.get(partition, 0), end):
                if wanted.accepts(stored.letter):
                    yield stored

    def _by_ids(self, job: Job, replay: _Replay) -> Iterator[StoredLetter]:
        ids = job.params["ids"]
        for letter_id in ids if isinstance(ids, Sequence) else ():
            place = parse_letter_id(str(letter_id))
            if place is not None and place[1] >= replay.next.get(place[0], 0):
                stored = self._letters.find(str(letter_id))
                if stored is not None:
                    yield stored

    def _done(self, job: Job, replay: _Replay, letters: int) -> int:
        """How many of the total are behind: letters of those named, or offsets of all there are."""
        if "ids" in job.params:
            return replay.done + letters
        left = sum(max(end - replay.next.get(number, 0), 0) for number, end in replay.ends.items())
        return max(replay.total - left, 0)

    def _send(self, letters: Sequence[StoredLetter], job: Job, replay: _Replay) -> None:
        """Produce the letters again and write that down; repeated after a crash it makes copies, which do not count."""
        counts = replay.counts
        whole = [one for one in letters if one.letter.whole_bytes is None]
        counts["incomplete"] += len(letters) - len(whole)
        if "ids" not in job.params and job.params.get("again") is not True:
            fresh = self._fresh(whole, replay.incarnation)
            counts["already_replayed"] += len(whole) - len(fresh)
            whole = fresh
        if not whole:
            return
        refused = self._produce(whole)
        counts["replayed"] += len(whole) - refused
        counts["refused_again"] += refused
        places = [(one.partition, one.offset) for one in whole]
        self._metadata.mark_replayed(replay.incarnation, places, job.id)

    def _fresh(self, letters: Sequence[StoredLetter], incarnation: str) -> list[StoredLetter]:
        """Those that no replay has produced."""
        fresh: list[StoredLetter] = []
        for partition in {one.partition for one in letters}:
            mine = [one for one in letters if one.partition == partition]
            known = self._metadata.replayed_letters(incarnation, partition, mine[0].offset, mine[-1].offset + 1)
            fresh += [one for one in mine if one.offset not in known]
        return fresh

    def _produce(self, letters: Sequence[StoredLetter]) -> int:
        """Send each letter where it is judged as its record was; answers how many were refused at once."""
        records, refused = list[NewRecord](), 0
        senders: dict[int, list[StoredLetter]] = {}
        for one in letters:
            origin = one.letter.origin
            if isinstance(origin, FromRequest) and origin.organization_id is not None:
                senders.setdefault(origin.organization_id, []).append(one)
            else:
                records.append(_record(one, one.letter.campaign_id))
        for organization_id, sent in senders.items():
            valid, again = self._judge(sent, organization_id)
            records += valid
            refused += again
        if records:
            self._event_log.produce(self._events_topic, records)
        return refused

    def _judge(self, letters: Sequence[StoredLetter], organization_id: int) -> tuple[list[NewRecord], int]:
        """Letters that came by HTTP, judged as ``POST /events`` does: no other organization's campaign is known."""
        now = self._clock.now()
        judged = self._intake.judge([one.letter.value for one in letters], now, Actor(organization_id, Role.OPERATOR))
        if judged.rejects:
            refused = [
                replace(dead_letter(reject, one.letter.value, now, one.letter.origin), replay_of=one.id)
                for reject, one in ((reject, letters[reject.index]) for reject in judged.rejects)
            ]
            self._event_log.produce(self._letters.topic, list(map(letter_record, refused)))
        return [_record(letters[index], campaign_id) for index, campaign_id in judged.valid], len(judged.rejects)

    def _forget_expired(self, incarnation: str) -> None:
        for partition, marks in self._letters.kept().items():
            self._metadata.forget_replayed(incarnation, partition, marks.start)


def _place(letter_id: str) -> tuple[int, int]:
    return parse_letter_id(letter_id) or (0, 0)


def _record(stored: StoredLetter, campaign_id: int | None) -> NewRecord:
    key = None if campaign_id is None else str(campaign_id).encode()
    return NewRecord(key, stored.letter.value, ((REPLAY_HEADER, stored.id.encode()),))


def _pieces(letters: Iterable[StoredLetter]) -> Iterator[list[StoredLetter]]:
    """Letters of one partition at a time, as many as are held in memory at once."""
    piece: list[StoredLetter] = []
    size_bytes = 0
    for one in letters:
        full = len(piece) == _LETTERS_AT_ONCE or size_bytes + len(one.letter.value) > _BYTES_AT_ONCE
        if piece and (full or piece[-1].partition != one.partition):
            yield piece
            piece, size_bytes = [], 0
        piece.append(one)
        size_bytes += len(one.letter.value)
    if piece:
        yield piece


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _by_partition(value: object) -> dict[int, int]:
    return {int(number): _int(offset) for number, offset in _object(value).items()}


def _int(value: object) -> int:
    return int(value) if isinstance(value, int | str) else 0
