"""Verifying the log against the rows that have landed, piece by piece, while everything runs.

- A *hole* is a record of the log below the committed offset that should have a row and has none: it was not refused, is
  no copy of an event that counts, and its campaign is known. It is filled by producing the record again, so that the
  partition's owner counts it as any other record; where the owner's window takes that for a copy, the row itself is put
  back.
- A *rewind* is a group or a log that was set back behind what has been applied, a *foreign row* one at an offset of the
  log where no record is.

Each call looks at one piece, so memory is bounded and a caller can show how far it is. What can be told from
rows alone is verified in ``row_verification.py``.
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from campaignctl.domain.dead_letters import FromLog
from campaignctl.domain.dedup_window import DedupWindow
from campaignctl.errors import InvalidInput, Unavailable
from campaignctl.ports.analytics import EventRows, EventStore, OffsetRange
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord, OffsetLost, RecordBatch, Topic
from campaignctl.ports.metadata import CampaignFacts, CampaignFactsStore
from campaignctl.ports.verification import VerificationStore
from campaignctl.services.dead_letters import DeadLetters
from campaignctl.services.findings import Finding
from campaignctl.services.ingestion import Ingestor, RecordRange, topic_number
from campaignctl.services.landing import rows_at

MAX_OFFSETS = 10_000
_RECORDS_AT_ONCE = 10_000
_LOOKUP_KEYS = 10_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Reach:
    """The part of a partition that can be verified: kept by the log, and applied."""

    partition: int
    start: int
    end: int
    log_end: int
    """What the log has beyond ``end`` is still to be applied."""


@dataclass(frozen=True, slots=True)
class Plan:
    reaches: list[Reach]
    raw_rows: Mapping[int, int]
    """By campaign."""
    findings: list[Finding]


@dataclass(frozen=True, slots=True)
class Piece:
    """What was found in a stretch of the log."""

    next_offset: int
    records: int
    findings: list[Finding]


class _OnlyLooking:
    """Campaign facts as an ingestor asks for them, without marking any campaign as having events."""

    def __init__(self, metadata: CampaignFactsStore) -> None:
        self._metadata = metadata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._metadata, name)

    def claim_for_events(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        return self._metadata.campaign_facts(campaign_ids)


class VerificationService:
    """For the operator of the machine. ``new_ingestor`` makes what prepares batches as the worker does."""

    def __init__(
        self,
        store: EventStore,
        rows: VerificationStore,
        event_log: EventLog,
        letters: DeadLetters,
        metadata: CampaignFactsStore,
        new_ingestor: Callable[[CampaignFactsStore], Ingestor],
        *,
        topic: str,
        group: str,
        window_days: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._rows = rows
        self._event_log = event_log
        self._letters = letters
        self._metadata = metadata
        self._new_ingestor = new_ingestor
        self._topic = topic
        self._group = group
        self._window_ms = window_days * _DAY_MS
        self._clock = clock

    def plan(self, campaign_id: int | None, since_us: int | None) -> Plan:
        """What there is to look at, and what can be told at once."""
        reaches, findings = self.reaches(since_us)
        erased_campaigns = self._metadata.erased_campaigns()
        erasing = self._metadata.erasing()  # before the rows: of those that are not in it the job had ended by then
        raw_rows = dict(self._rows.raw_rows_by_campaign())
        left_of_erased = {one: raw_rows.pop(one) for one in erased_campaigns if one in raw_rows}
        if campaign_id is not None:
            raw_rows = {} if campaign_id in erased_campaigns else {campaign_id: raw_rows.get(campaign_id, 0)}
        for erased, left in left_of_erased.items():
            if campaign_id in (None, erased) and erased not in erasing:  # else it is being removed, table by table
                said = f"{left} rows of the erased campaign, or its sums, are there"
                findings.append(Finding("erased", said, campaign_id=erased))
        return Plan(reaches, raw_rows, findings)

    def reaches(self, since_us: int | None) -> tuple[list[Reach], list[Finding]]:
        """How far each partition is applied, and whether something was set back."""
        topic = self._found_topic()
        committed = self._event_log.committed(self._topic, self._group)
        reaches, findings = list[Reach](), list[Finding]()
        for partition, kept in sorted(self._event_log.watermarks(self._topic).items()):
            done = committed.get(partition)
            applied = done.offset if done is not None else kept.start
            planned = max(applied, _intent_end(done.metadata if done is not None else ""))
            newest = self._store.newest_offset(topic_number(topic), partition)
            if newest is not None and newest >= kept.end:
                said = f"offset {newest} was applied, and the log ends at {kept.end}: it lost records or is older"
                findings.append(Finding("rewind", said, partition=partition, offset=newest))
            elif newest is not None and newest >= planned:
                said = f"offset {newest} has been applied, and the group's offset is {applied}: it was set back"
                findings.append(Finding("rewind", said, partition=partition, offset=newest))
            start = kept.start if since_us is None else self._first_since(partition, kept.start, applied, since_us)
            reaches.append(Reach(partition, start, max(applied, start), kept.end))
        return reaches, findings

    def check_log(self, partition: int, start: int, end: int, campaign_id: int | None) -> Piece:
        """Records from ``start`` on, up to ``end`` at most, against the rows."""
        topic = self._found_topic()
        try:
            records = _below(self._event_log.read(self._topic, partition, start, _RECORDS_AT_ONCE), end)
        except OffsetLost as lost:  # retention went on
            return Piece(min(max(lost.start, start + 1), end), 0, [])
        batch = OffsetRange(topic_number(topic), partition, start, records.next_offset)
        landed = set(self._store.landed_offsets(batch))
        due = self._due(records, start, topic, landed, campaign_id)
        refused = self._refused(topic, partition, [offset for offset, _, _ in due])
        said = "the log's record has no row"
        findings = [
            Finding("hole", said, campaign_id=campaign, event_id=event_id, partition=partition, offset=offset)
            for offset, campaign, event_id in due
            if offset not in refused
        ]
        if campaign_id is None:
            said = "a row names an offset at which the log has no record"
            foreign = sorted(landed - set(records.offsets))
            findings += [Finding("foreign_row", said, partition=partition, offset=offset) for offset in foreign]
        return Piece(max(records.next_offset, start + 1), len(records.offsets), findings)

    def fill(self, partition: int, offsets: Sequence[int], *, directly: bool) -> int:
        """Fill those of the offsets that are holes; answers how many.

        Producing the record again is the way: its owner counts it in order with everything else. Where that has been
        done and the hole is still there, the owner's window knows the event, and would refuse every further copy of
        it: then ``directly`` puts the row in its place.
        """
        if len(offsets) > MAX_OFFSETS:
            raise InvalidInput.of("offsets", f"must be at most {MAX_OFFSETS}")
        filled = 0
        for start, end in _stretches(offsets):
            findings = self.check_log(partition, start, end, None).findings
            holes = {one.offset for one in findings if one.kind == "hole" and one.offset is not None} & set(offsets)
            if holes:
                records = _below(self._event_log.read(self._topic, partition, start, _RECORDS_AT_ONCE), end)
                fill = self._append if directly else self._produce_again
                fill(records, start, holes)
                filled += len(holes)
        return filled

    def _produce_again(self, records: RecordBatch, start: int, offsets: set[int]) -> None:
        columns = zip(records.offsets, records.keys, records.values, records.headers, strict=True)
        again = [NewRecord(key, value, headers) for offset, key, value, headers in columns if offset in offsets]
        self._event_log.produce(self._topic, again)

    def _append(self, records: RecordBatch, start: int, offsets: set[int]) -> None:
        topic = self._found_topic()
        rows = rows_at(self._prepared(records, start, topic), offsets)
        minute = int(self._clock.now().timestamp()) // 60  # two who repair at once put the rows in once
        named = f"{min(offsets)}-{max(offsets)}-{len(offsets)}"
        self._store.append_events(rows, f"{topic.incarnation}-{records.partition}-{named}-verify-{minute}")
        self._metadata.bump_data_versions(set(rows.campaign_id))

    def _due(
        self, records: RecordBatch, start: int, topic: Topic, landed: set[int], campaign_id: int | None
    ) -> list[tuple[int, int, str]]:
        """Records (offset, campaign, event id) that should have a row and have none, but for what was refused."""
        rows = self._prepared(records, start, topic)
        missing = [
            place
            for place, offset in enumerate(rows.offsets)
            if offset not in landed and campaign_id in (None, rows.campaign_id[place])
        ]
        known = self._counted(rows, missing)
        return [
            (rows.offsets[place], rows.campaign_id[place], rows.event_id[place])
            for place in missing
            if not self._is_copy(rows, place, known)
        ]

    def _prepared(self, records: RecordBatch, start: int, topic: Topic) -> EventRows:
        """The rows that the records make by themselves."""
        ingestor = self._new_ingestor(cast(CampaignFactsStore, _OnlyLooking(self._metadata)))
        return ingestor.prepare(RecordRange(start, records), topic, DedupWindow(self._window_ms)).rows

    def _is_copy(self, rows: EventRows, place: int, known: Mapping[tuple[int, str], list[tuple[int, int]]]) -> bool:
        time_ms, event_time_us = rows.times_ms[place], rows.event_time_us[place]
        return any(
            abs(time_ms - one_ms) <= self._window_ms or event_time_us == one_us
            for one_ms, one_us in known.get((rows.campaign_id[place], rows.event_id[place]), ())
        )

    def _counted(self, rows: EventRows, places: Sequence[int]) -> dict[tuple[int, str], list[tuple[int, int]]]:
        """Log time and instant of all rows anywhere with the ids of some rows."""
        keys = list(dict.fromkeys((rows.campaign_id[place], rows.event_id[place]) for place in places))
        known: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for start in range(0, len(keys), _LOOKUP_KEYS):
            seen = self._store.find_by_id(keys[start : start + _LOOKUP_KEYS], OffsetRange(0, 0, 0, 0))
            for campaign, event_id, time_ms, event_time_us in zip(
                seen.campaign_id, seen.event_id, seen.times_ms, seen.event_time_us, strict=True
            ):
                known.setdefault((int(campaign), event_id), []).append((int(time_ms), int(event_time_us)))
        return known

    def _refused(self, topic: Topic, partition: int, offsets: Sequence[int]) -> set[int]:
        """Which of the offsets have a dead letter. Reads the dead letters only if there is a need to."""
        wanted, found = set(offsets), set[int]()
        if not wanted:
            return found
        kept = self._letters.kept()
        number = partition % max(len(kept), 1)  # where the worker puts the letters of this partition
        for stored in self._letters.of_partition(number, kept[number].start, kept[number].end):
            origin = stored.letter.origin
            if isinstance(origin, FromLog) and (origin.incarnation, origin.partition) == (topic.incarnation, partition):
                found |= {origin.offset} & wanted
        return found

    def _first_since(self, partition: int, start: int, end: int, since_us: int) -> int:
        """The first offset that the log took at or after an instant; log time never falls within a partition."""
        low, high = start, end
        while low < high:
            middle = (low + high) // 2
            records = self._event_log.read(self._topic, partition, middle, 1)
            if records.times_ms and records.times_ms[0] * 1_000 < since_us:
                low = max(records.next_offset, middle + 1)
            else:
                high = middle
        return min(low, end)

    def _found_topic(self) -> Topic:
        topic = self._event_log.topic(self._topic)
        if topic is None:
            raise Unavailable(f"The event log has no topic {self._topic}.", service="event_log", code="topic_missing")
        return topic


def _intent_end(metadata: str) -> int:
    """Where the batch ends that the partition's owner is landing now; 0 when there is none."""
    try:
        return int(json.loads(metadata)["end"]) if metadata else 0
    except (ValueError, TypeError, KeyError):
        return 0


def _below(records: RecordBatch, end: int) -> RecordBatch:
    """The records below an offset."""
    count = sum(1 for offset in records.offsets if offset < end)
    return RecordBatch(
        records.partition,
        records.offsets[:count],
        records.times_ms[:count],
        records.keys[:count],
        records.values[:count],
        records.headers[:count],
        min(records.next_offset, end),
    )


def _stretches(offsets: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ranges that hold the offsets, each short enough to be looked at at once."""
    ordered = sorted(set(offsets))
    while ordered:
        start = ordered[0]
        end = min(ordered[-1] + 1, start + _RECORDS_AT_ONCE)
        yield start, end
        ordered = [offset for offset in ordered if offset >= end]
