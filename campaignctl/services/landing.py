"""Writing a prepared batch, so that each of its records ends up in one place, once.

The order is fixed: what is set aside (dead letters, misplaced records, conflicts) first, then the rows of events, then
reports with what they cover behind them, then the data versions of all their campaigns. Every step may be repeated
after a failure whose outcome is unknown:

- rows, conflicts and reports carry the batch's token, so that the store adds only what is missing;
- dead letters are looked for in their topic before they are produced again;
- a misplaced record that is produced twice is a copy where it arrives;
- ``verify`` finds rows that a token kept out (the store's log of tokens can be ahead of its data after a crash).
"""

from collections.abc import Collection
from dataclasses import fields, replace
from typing import Any, Protocol
from uuid import uuid4

import numpy as np

from campaignctl.domain.dead_letters import DeadLetter, FromLog, letter_headers, read_letter
from campaignctl.ports.analytics import EventRows, EventStore, OffsetRange
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord
from campaignctl.ports.metadata import CampaignFactsStore
from campaignctl.ports.reports import ReportRows, ReportSink
from campaignctl.services.ingestion import PreparedBatch

_READ_AT_ONCE = 1_000
_LOOKUP_KEYS = 10_000
# An insert that was cut off may still be on its way from the store's log of tokens to its data: milliseconds, as far as
# it was ever seen. Filling its rows in before it arrives would count them twice.
_SETTLE_S = 1.0


class ForeignRowsError(Exception):
    """Rows at these offsets came from other records: an older copy of the log was put back, and went on from there."""


class FactStore(EventStore, ReportSink, Protocol):
    """Where batches land."""


class Landing:
    """Writes batches. Every method raises ``Unavailable``: call it again.

    For one thread at a time, except that one ``append`` may be under way in another thread: it changes nothing here.
    """

    def __init__(
        self,
        store: FactStore,
        event_log: EventLog,
        metadata: CampaignFactsStore,
        *,
        dead_letter_topic: str,
        window_days: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._event_log = event_log
        self._metadata = metadata
        self._dead_letter_topic = dead_letter_topic
        self._window_ms = window_days * 86_400_000
        self._clock = clock

    def dead_letters_end(self, partition: int) -> int:
        """Where the next dead letter of this partition of the events topic will lie in the dead-letter topic."""
        return self._event_log.watermarks(self._dead_letter_topic)[self._letter_partition(partition)].end

    def refused_offsets(self, source: OffsetRange, incarnation: str, since: int) -> set[int]:
        """Offsets of the range that have a dead letter at or after ``since`` in the dead-letter topic."""
        found: set[int] = set()
        partition = self._letter_partition(source.partition)
        kept = self._event_log.watermarks(self._dead_letter_topic)[partition]
        since = max(since, kept.start)
        while since < kept.end:
            records = self._event_log.read(self._dead_letter_topic, partition, since, _READ_AT_ONCE)
            for value, headers in zip(records.values, records.headers, strict=True):
                letter = read_letter(value, headers)
                if letter is not None and isinstance(letter.origin, FromLog):
                    origin = letter.origin
                    if origin.incarnation == incarnation and origin.partition == source.partition:
                        found.add(origin.offset)
            since = max(records.next_offset, since + 1)
        return {offset for offset in found if source.start <= offset < source.end}

    def set_aside(self, batch: PreparedBatch, token: str, *, letters_from: int | None, again: bool) -> None:
        """Produce the batch's dead letters and its misplaced records, and keep its conflicts.

        ``again`` after a failure: dead letters that are there, at or after ``letters_from``, are not produced twice.
        """
        letters = batch.dead_letters
        if again and letters_from is not None:
            there = self.refused_offsets(batch.source, batch.topic.incarnation, letters_from)
            letters = [one for one in letters if isinstance(one.origin, FromLog) and one.origin.offset not in there]
        if letters:
            partition = self._letter_partition(batch.source.partition)
            records = [letter_record(letter, partition) for letter in letters]
            self._event_log.produce(self._dead_letter_topic, records)
        if batch.rerouted:
            self._event_log.produce(batch.topic.name, batch.rerouted)
        if len(batch.conflicts):
            self._store.append_conflicts(batch.conflicts, f"{token}-conflicts")

    def append(self, batch: PreparedBatch, token: str) -> None:
        if len(batch.rows):
            self._store.append_events(batch.rows, token)
        self._append_reports(batch.reports, token)

    def verify(self, batch: PreparedBatch, token: str) -> int:
        """Make sure that all of the batch is there, and its rows in the rollup; answers how much was missing."""
        missing = self._fill_reports(batch, token)
        if not len(batch.rows):
            return missing
        if self._missing(batch):
            self._clock.sleep(_SETTLE_S)
        holes = self._missing(batch)
        if holes:
            self._store.append_events(rows_at(batch.rows, holes), f"{token}-fix-{uuid4().hex[:12]}")
        self._reconcile(batch, token)
        return missing + len(holes)

    def restore(self, batch: PreparedBatch, token: str) -> int:
        """``verify`` for a range that was applied before, in other batches; answers how much was missing.

        The group's offset was set back. The tokens of the range are not known, what was set aside has been (it is
        before any row lands), and a copy of a missing row may have counted in a later record: such a row stays missing.
        Raises ``ForeignRowsError`` when what has landed did not come from this log.
        """
        missing = self._fill_reports(batch, token)
        if not len(batch.rows):
            return missing
        holes = self._holes_of_the_past(batch)
        if holes:
            self._store.append_events(rows_at(batch.rows, holes), f"{token}-fix-{uuid4().hex[:12]}")
        self._reconcile(batch, token)
        return missing + len(holes)

    def publish(self, batch: PreparedBatch) -> None:
        """Let caches know that the batch's campaigns have changed: also those whose native campaigns were reported."""
        campaign_ids = batch.campaign_ids
        if len(batch.reports):
            campaign_ids |= self._metadata.campaigns_claiming(batch.reports.natives())
        if campaign_ids:
            self._metadata.bump_data_versions(campaign_ids)

    def _append_reports(self, reports: ReportRows, token: str) -> None:
        if reports.slices:
            self._store.append_slices(reports, f"{token}-slices")
        if reports.coverage:
            self._store.append_coverage(reports, f"{token}-coverage")

    def _fill_reports(self, batch: PreparedBatch, token: str) -> int:
        """Land what is missing of the reports. What is there twice changes nothing, so nothing has to settle first."""
        if not len(batch.reports):
            return 0
        missing = batch.reports.without(*self._store.landed_reports(batch.source))
        self._append_reports(missing, f"{token}-fix-{uuid4().hex[:12]}")
        return len(missing)

    def _missing(self, batch: PreparedBatch) -> set[int]:
        return set(batch.rows.offsets) - set(self._store.landed_offsets(batch.source))

    def _reconcile(self, batch: PreparedBatch, token: str) -> None:
        named = f"{token}-rollup-{uuid4().hex[:12]}"
        self._store.reconcile_rollup(batch.touched_days(), self._window_ms, named, batch.source.partition)

    def _holes_of_the_past(self, batch: PreparedBatch) -> set[int]:
        """Offsets whose rows are missing and whose events do not count elsewhere."""
        rows, missing, holes = batch.rows, self._missing(batch), set[int]()
        landed = self._landed_events(batch)
        for offset, key, time_ms, event_time_us in zip(
            rows.offsets,
            zip(rows.campaign_id, rows.event_id, strict=True),
            rows.times_ms,
            rows.event_time_us,
            strict=True,
        ):
            known = landed.get(key, [])
            if offset not in missing and not known:
                raise ForeignRowsError(f"offset {offset} was applied with another event than the log has there now")
            if offset in missing and not any(
                abs(time_ms - one_ms) <= self._window_ms or event_time_us == one_us for one_ms, one_us in known
            ):
                holes.add(offset)
        return holes

    def _landed_events(self, batch: PreparedBatch) -> dict[tuple[int, str], list[tuple[int, int]]]:
        """Log time and instant of every landed row, anywhere, with the id of one of the batch's rows."""
        keys = list(dict.fromkeys(zip(batch.rows.campaign_id, batch.rows.event_id, strict=True)))
        nothing = replace(batch.source, end=batch.source.start)
        landed: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for start in range(0, len(keys), _LOOKUP_KEYS):
            found = self._store.find_by_id(keys[start : start + _LOOKUP_KEYS], nothing)
            for campaign_id, event_id, time_ms, event_time_us in zip(
                found.campaign_id, found.event_id, found.times_ms, found.event_time_us, strict=True
            ):
                landed.setdefault((int(campaign_id), event_id), []).append((int(time_ms), int(event_time_us)))
        return landed

    def _letter_partition(self, partition: int) -> int:
        """Dead letters of one partition lie in one partition, so that they can be looked for without reading all."""
        topic = self._event_log.topic(self._dead_letter_topic)
        return partition % topic.partitions if topic else 0


def letter_record(letter: DeadLetter, partition: int | None = None) -> NewRecord:
    """The record of the dead-letter topic that holds the letter."""
    key = None if letter.campaign_id is None else str(letter.campaign_id).encode()
    return NewRecord(key, letter.value, letter_headers(letter), partition)


def rows_at(rows: EventRows, offsets: Collection[int]) -> EventRows:
    """The rows at some offsets."""
    places = [place for place, offset in enumerate(rows.offsets) if offset in offsets]
    columns: dict[str, Any] = {}
    for column in fields(EventRows):
        values = getattr(rows, column.name)
        if isinstance(values, np.ndarray):
            columns[column.name] = values[places]
        elif isinstance(values, int):
            columns[column.name] = values
        else:
            columns[column.name] = [values[place] for place in places]
    return EventRows(**columns)
