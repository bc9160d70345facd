"""From records of the log to rows of the analytics store.

A range of one partition goes straight down a list of steps, each of which may drop a record for a stated reason:

    decode and validate -> resolve campaigns -> route -> deduplicate -> rows

What comes out is a ``PreparedBatch``; ``services.landing`` writes it. Its content is a pure function of the log's
records (and of campaign settings that cannot change once there are events), so that the same range, read again after a
crash, makes the very same rows.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from itertools import compress
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.dead_letters import REPLAY_HEADER, DeadLetter, FromLog, dead_letter, quarantine_letter
from campaignctl.domain.dedup_window import I64, U64, DedupWindow, event_keys
from campaignctl.domain.erased_events import ErasedEvents
from campaignctl.domain.events import EventColumns, EventLimits, Reject, RejectReason, decode_columns, fingerprints
from campaignctl.domain.local_days import LocalDays
from campaignctl.domain.reports import REPORT_KIND
from campaignctl.ports.analytics import ConflictRows, EventRows, EventStore, OffsetRange, SeenEvents
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import Headers, NewRecord, RecordBatch, Topic
from campaignctl.ports.metadata import CampaignFacts, CampaignFactsStore
from campaignctl.ports.places import PlaceMemory
from campaignctl.ports.reports import ReportRows
from campaignctl.services.deduplication import Candidates, Deduplicator, Flags, Verdicts
from campaignctl.services.own_records import own_kinds, read_reports

_RULES_VERSION = 2
"""Rises with every change that makes other rows of the same records."""
_IDS_END = 2**63
_NO_CAMPAIGN = 0
_CAMPAIGNS_AT_ONCE = 10_000
ERASURES_KNOWN_WITHIN_S = 1.0
"""A batch that is prepared so long after the erasure of a campaign, or of single events, has no row of it."""


def topic_number(topic: Topic) -> int:
    """What rows carry for the topic's incarnation: its UUID's first 32 bits."""
    return int(UUID(topic.incarnation).hex[:8], 16)


@dataclass(frozen=True, slots=True)
class RecordRange:
    """Every record of a partition with ``start <= offset < end``; offsets may have gaps."""

    start: int
    records: RecordBatch

    @property
    def end(self) -> int:
        return self.records.next_offset

    def __len__(self) -> int:
        return len(self.records.offsets)


@dataclass(slots=True)
class BatchCounts:
    """What became of a batch's records, for metrics."""

    events_by_platform: Counter[str] = field(default_factory=Counter)
    """Valid events in their own partition, copies too."""
    rejected_by_reason: Counter[str] = field(default_factory=Counter)
    copies: int = 0
    conflicts: int = 0
    rerouted: int = 0
    erased: int = 0
    """Records of erased events, and those of erased campaigns that the log took before the erasure."""
    quarantined: int = 0
    """Records that processes died of."""
    own_records: int = 0
    """Records of the product's own that do nothing: damaged, or of a kind or version that is not known here."""
    slices_by_platform: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class PreparedBatch:
    """A range of the log, ready to land."""

    topic: Topic
    source: OffsetRange
    rows: EventRows
    keys: U64
    """The deduplication key of each row."""
    conflicts: ConflictRows
    dead_letters: list[DeadLetter]
    rerouted: list[NewRecord]
    """Records that lay in another partition than their campaign's own, to be produced there."""
    reports: ReportRows
    counts: BatchCounts
    last_time_ms: int | None
    """Log time of the last record; None when there are none."""

    @property
    def writes_anything(self) -> bool:
        return bool(len(self.rows) or len(self.conflicts) or self.dead_letters or self.rerouted or len(self.reports))

    @property
    def campaign_ids(self) -> set[int]:
        """Campaigns with rows or conflicts in the batch."""
        return {*self.rows.campaign_id, *self.conflicts.campaign_id}

    def touched_days(self) -> dict[int, list[int]]:
        """The days of each campaign with rows in the batch."""
        days: dict[int, list[int]] = {}
        for campaign_id, day in sorted(set(zip(self.rows.campaign_id, map(int, self.rows.day), strict=True))):
            days.setdefault(campaign_id, []).append(day)
        return days


@dataclass(frozen=True, slots=True)
class _Records:
    """The records of a range that are events, column by column."""

    offsets: I64
    times_ms: I64
    values: Sequence[bytes]
    headers: Sequence[Headers]


@dataclass(frozen=True, slots=True)
class _Campaigns:
    """The campaigns of some events: each once, and for every event its campaign's place among them."""

    ids: list[int]
    facts: list[CampaignFacts | None]
    """None for a campaign that is not known."""
    which: NDArray[np.intp]

    def spread(self, per_campaign: list[bool]) -> Flags:
        """A flag per campaign as a flag per event."""
        flags: Flags = np.array(per_campaign, dtype=np.bool_)[self.which]
        return flags


class Ingestor:
    """Prepares batches; may be used by one thread at a time.

    ``partition_of`` places a key as Kafka's murmur2 partitioner does; ``window_days`` is the deduplication window.
    ``places`` remembers where late events have landed: it makes their copies cheaper to find, and decides nothing.
    """

    def __init__(
        self,
        store: EventStore,
        metadata: CampaignFactsStore,
        *,
        partition_of: Callable[[bytes, int], int],
        limits: EventLimits,
        window_days: int,
        clock: Clock,
        places: PlaceMemory | None = None,
    ) -> None:
        self._store = store
        self._metadata = metadata
        self._partition_of = partition_of
        self._limits = limits
        self._clock = clock
        self._deduplicator = Deduplicator(
            store, window_days=window_days, max_future_s=limits.max_future_s, places=places
        )
        self.place_counts = self._deduplicator.late_copies.counts
        self._local_days = LocalDays()
        self._claimed: dict[int, CampaignFacts] = {}
        self._erased_at_ms: dict[int, float] = {}
        self._erased_events = ErasedEvents()
        self._quarantined: frozenset[tuple[int, int]] = frozenset()
        self._learned_s = -ERASURES_KNOWN_WITHIN_S
        self.code = hashlib.sha256(repr((_RULES_VERSION, limits, window_days)).encode()).hexdigest()[:8]
        """Names the rules that make rows of records: a replay under other rules may make other rows."""

    def open_window(self, topic: Topic, partition: int, offset: int, log_time_ms: int) -> DedupWindow:
        """What has counted of the partition below ``offset``, as needed by records of ``log_time_ms`` and later.

        The partition's campaigns may have counted elsewhere before: the topic was made anew since, or got partitions.
        """
        self.learn_anew()  # whoever had the partition before may have set records aside
        window, topic_id = DedupWindow(self._deduplicator.window_ms), topic_number(topic)
        since_ms = log_time_ms - window.span_ms
        for seen in self._store.landed_before(topic_id, partition, offset, since_ms):
            _remember(seen, window)
        elsewhere = [
            campaign_id
            for campaign_id in self._store.campaigns_elsewhere(topic_id, partition, since_ms)
            if self._partition_of(str(campaign_id).encode(), topic.partitions) == partition
        ]
        for start in range(0, len(elsewhere), _CAMPAIGNS_AT_ONCE):
            piece = elsewhere[start : start + _CAMPAIGNS_AT_ONCE]
            for seen in self._store.landed_elsewhere(topic_id, partition, piece, since_ms):
                _remember(seen, window)
        return window

    def forget_campaigns(self, campaign_ids: Collection[int]) -> None:
        """Ask the metadata store again about these, because they have been erased."""
        for campaign_id in campaign_ids:
            self._claimed.pop(campaign_id, None)

    def learn_anew(self) -> None:
        """Ask the metadata store with the next batch what was erased and set aside, however short it is since."""
        self._learned_s = self._clock.monotonic_s() - ERASURES_KNOWN_WITHIN_S

    def prepare(
        self, batch: RecordRange, topic: Topic, window: DedupWindow, refused_before: Collection[int] = ()
    ) -> PreparedBatch:
        """Make the batch's rows; writes nothing but the mark that its campaigns have events.

        ``window`` knows what counted below the batch and is not changed. Records at the offsets ``refused_before``
        have a dead letter from an earlier attempt and are left out. Raises ``Unavailable``.
        """
        source = OffsetRange(topic_number(topic), batch.records.partition, batch.start, batch.end)
        counts = BatchCounts()
        self._learn(topic)
        set_aside = self._set_aside(batch)
        kinds = {place: kind for place, kind in own_kinds(batch.records.headers).items() if place not in set_aside}
        reports = _reports(batch.records, kinds, source, counts)
        left_out = {*refused_before, *(batch.records.offsets[place] for place in set_aside)}
        records = _event_records(batch.records, kinds, left_out)
        columns, rejects = decode_columns(records.values, records.times_ms, self._limits)
        campaigns = self._resolve(columns)
        columns, campaigns, unknown = _drop_unknown(columns, campaigns)
        columns, campaigns = self._drop_erased(columns, campaigns, counts)
        columns, campaigns, rerouted = self._route(columns, campaigns, topic, source.partition, records)
        _fill_currencies(columns, campaigns)
        candidates = _candidates(columns, records)
        verdicts = self._deduplicator.judge(candidates, window, source)

        refused = sorted([*rejects, *unknown], key=lambda reject: reject.index)
        rejects = [reject for reject in refused if not self._is_erased(reject, records)]
        counts.erased += len(refused) - len(rejects)
        counts.events_by_platform = Counter(columns.platform)
        counts.rejected_by_reason = Counter(reject.reason.value for reject in rejects)
        counts.copies = len(columns) - int(verdicts.counted.sum())
        counts.conflicts = len(verdicts.conflicts)
        counts.rerouted = len(rerouted)
        set_aside = [place for place in set_aside if batch.records.offsets[place] not in refused_before]
        counts.quarantined = len(set_aside)
        return PreparedBatch(
            topic=topic,
            source=source,
            rows=self._rows(columns, campaigns, candidates, verdicts.counted, records, source),
            keys=verdicts.keys[verdicts.counted],
            conflicts=_conflicts(columns, verdicts, records, source),
            dead_letters=[
                *self._dead_letters(rejects, records, topic, source.partition),
                *self._quarantine_letters(set_aside, batch.records, topic),
            ],
            rerouted=rerouted,
            reports=reports,
            counts=counts,
            last_time_ms=batch.records.times_ms[-1] if len(batch) else None,
        )

    def remember(self, batch: PreparedBatch, window: DedupWindow) -> None:
        """Add the batch's rows, which have landed, to the window, and let go of what no later record needs."""
        if len(batch.rows):
            window.add(batch.keys, batch.rows.fingerprint, np.asarray(batch.rows.times_ms, dtype=np.int64))
            self._deduplicator.remember(batch.rows)
        if batch.last_time_ms is not None:
            window.forget_before(batch.last_time_ms)

    def _set_aside(self, batch: RecordRange) -> list[int]:
        """The places of the batch's records that processes died of."""
        offsets = [offset for partition, offset in self._quarantined if partition == batch.records.partition]
        return [place for place, offset in enumerate(batch.records.offsets) if offset in offsets] if offsets else []

    def _quarantine_letters(self, places: Sequence[int], records: RecordBatch, topic: Topic) -> list[DeadLetter]:
        at = self._clock.now()
        origins = (FromLog(topic.name, topic.incarnation, records.partition, records.offsets[n]) for n in places)
        return [
            quarantine_letter(records.keys[place], records.values[place], at, origin)
            for place, origin in zip(places, origins, strict=True)
        ]

    def _learn(self, topic: Topic) -> None:
        """Forget the campaigns that have been erased: their events are those of an unknown campaign.

        And learn which single events were, whose ids never count again, and which records processes died of.
        """
        now_s = self._clock.monotonic_s()
        if now_s - self._learned_s >= ERASURES_KNOWN_WITHIN_S:
            erased = self._metadata.erased_campaigns()
            self.forget_campaigns(erased)
            self._erased_at_ms = {campaign_id: at.timestamp() * 1_000 for campaign_id, at in erased.items()}
            self._erased_events.add(self._metadata.erased_events(self._erased_events.known))
            self._quarantined = self._metadata.quarantined_records(topic.incarnation)
            self._learned_s = now_s

    def _drop_erased(
        self, columns: EventColumns, campaigns: _Campaigns, counts: BatchCounts
    ) -> tuple[EventColumns, _Campaigns]:
        """Leave out every record of an erased event, whenever the log took it and whatever it says."""
        concerned = campaigns.spread([self._erased_events.has_any_of(campaign_id) for campaign_id in campaigns.ids])
        if not concerned.any():
            return columns, campaigns
        kept = ~concerned
        for place in np.flatnonzero(concerned).tolist():
            kept[place] = not self._erased_events.covers(columns.campaign_id[place], columns.event_id[place])
        counts.erased += int(np.count_nonzero(~kept))
        return _selected(columns, campaigns, kept)

    def _is_erased(self, reject: Reject, records: _Records) -> bool:
        """Whether the record went with its campaign, or is an erased event's: a dead letter would keep what was erased.

        What the log takes of an erased campaign later is refused as any other record.
        """
        if self._erased_events.covers_record(reject.campaign_id, records.values[reject.index]):
            return True
        erased_at_ms = self._erased_at_ms.get(reject.campaign_id or _NO_CAMPAIGN)
        return erased_at_ms is not None and bool(records.times_ms[reject.index] <= erased_at_ms)

    def _resolve(self, columns: EventColumns) -> _Campaigns:
        """Look up the campaigns; only known ones are remembered, so that one made a moment ago is known."""
        ids = columns.campaign_id
        if ids and max(ids) >= _IDS_END:
            ids = [campaign_id if campaign_id < _IDS_END else _NO_CAMPAIGN for campaign_id in ids]
        distinct, which = np.unique(np.array(ids, dtype=np.int64), return_inverse=True)
        unclaimed = [campaign_id for campaign_id in distinct.tolist() if campaign_id not in self._claimed]
        if unclaimed:
            self._claimed |= self._metadata.claim_for_events(unclaimed)
        return _Campaigns(distinct.tolist(), [self._claimed.get(one) for one in distinct.tolist()], which)

    def _route(
        self, columns: EventColumns, campaigns: _Campaigns, topic: Topic, partition: int, records: _Records
    ) -> tuple[EventColumns, _Campaigns, list[NewRecord]]:
        """Take out what lies in another partition than its campaign's own; it counts when it comes there."""
        keys = [str(campaign_id).encode() for campaign_id in campaigns.ids]
        homes = [self._partition_of(key, topic.partitions) for key in keys]
        here = campaigns.spread([home == partition for home in homes])
        if here.all():
            return columns, campaigns, []
        rerouted = []
        for place in np.flatnonzero(~here).tolist():
            index, campaign = int(columns.index[place]), int(campaigns.which[place])
            value, headers = records.values[index], records.headers[index]
            rerouted.append(NewRecord(keys[campaign], value, headers, homes[campaign]))
        return *_selected(columns, campaigns, here), rerouted

    def _rows(
        self,
        columns: EventColumns,
        campaigns: _Campaigns,
        candidates: Candidates,
        counted: Flags,
        records: _Records,
        source: OffsetRange,
    ) -> EventRows:
        days = self._days(campaigns, candidates.event_time_us)[counted]
        columns, _ = _selected(columns, campaigns, counted)
        names = {column.name for column in fields(EventRows)} & {column.name for column in fields(EventColumns)}
        return EventRows(
            **{name: getattr(columns, name) for name in names},
            day=days,
            fingerprint=candidates.fingerprints[counted],
            offsets=records.offsets[columns.index].tolist(),
            times_ms=candidates.times_ms[counted],
            topic_id=source.topic_id,
            partition=source.partition,
        )

    def _days(self, campaigns: _Campaigns, event_time_us: I64) -> I64:
        days = np.zeros(len(event_time_us), dtype=np.int64)
        zones = [facts.timezone if facts else "UTC" for facts in campaigns.facts]
        for zone in set(zones):
            there = campaigns.spread([one == zone for one in zones])
            days[there] = self._local_days.days(zone, event_time_us[there])
        return days

    def _dead_letters(
        self, rejects: Sequence[Reject], records: _Records, topic: Topic, partition: int
    ) -> list[DeadLetter]:
        letters = []
        for reject in rejects:
            origin = FromLog(topic.name, topic.incarnation, partition, int(records.offsets[reject.index]))
            value, at = records.values[reject.index], self._clock.now()
            letters.append(replace(dead_letter(reject, value, at, origin), replay_of=_letter_of(records, reject.index)))
        return letters


def _remember(seen: SeenEvents, window: DedupWindow) -> None:
    keys = event_keys(np.array(seen.campaign_id, dtype=np.int64), seen.event_id)
    window.add(keys, seen.fingerprint, np.array(seen.times_ms, dtype=np.int64))


def _letter_of(records: _Records, index: int) -> str | None:
    """The id of the dead letter that the record is, produced again; None for any other record."""
    return next(
        (value.decode("utf-8", "replace") for name, value in records.headers[index] if name == REPLAY_HEADER), None
    )


def unknown_campaign(index: int, campaign_id: int) -> Reject:
    """The refusal of a valid event whose campaign is not known."""
    message = f"There is no campaign {_shortened(campaign_id)}; campaign_id must be the id of a campaign that exists"
    return Reject(index, RejectReason.UNKNOWN_CAMPAIGN, "campaign_id", message, campaign_id)


def _shortened(campaign_id: int) -> str:
    return str(campaign_id) if campaign_id < _IDS_END else "with so large an id"


def _reports(records: RecordBatch, kinds: Mapping[int, bytes], source: OffsetRange, counts: BatchCounts) -> ReportRows:
    reports, damaged = read_reports(records, kinds, source)
    unknown = sum(kind != REPORT_KIND.encode() for kind in kinds.values())
    counts.own_records = unknown + damaged
    counts.slices_by_platform = Counter(account.platform.value for _, account, _ in reports.slices)
    return reports


def _event_records(records: RecordBatch, kinds: Mapping[int, bytes], left_out: Collection[int]) -> _Records:
    """The records that are events, without those whose offsets are to be left out."""
    offsets, times_ms = _array(records.offsets), np.array(records.times_ms, dtype=np.int64)
    if not kinds and not left_out:
        return _Records(offsets, times_ms, records.values, records.headers)
    kept = ~np.isin(offsets, list(left_out))
    kept[list(kinds)] = False
    return _Records(
        offsets[kept], times_ms[kept], list(compress(records.values, kept)), list(compress(records.headers, kept))
    )


def _array(numbers: Sequence[int]) -> I64:
    if isinstance(numbers, range):  # as offsets without gaps are; 1 ns a number instead of 60
        return np.arange(numbers.start, numbers.stop, numbers.step, dtype=np.int64)
    return np.array(numbers, dtype=np.int64)


def _drop_unknown(columns: EventColumns, campaigns: _Campaigns) -> tuple[EventColumns, _Campaigns, list[Reject]]:
    known = campaigns.spread([facts is not None for facts in campaigns.facts])
    if known.all():
        return columns, campaigns, []
    places = np.flatnonzero(~known).tolist()
    rejects = [unknown_campaign(int(columns.index[place]), columns.campaign_id[place]) for place in places]
    return *_selected(columns, campaigns, known), rejects


def _selected(columns: EventColumns, campaigns: _Campaigns, kept: Flags) -> tuple[EventColumns, _Campaigns]:
    if kept.all():
        return columns, campaigns
    return columns.selected(kept), _Campaigns(campaigns.ids, campaigns.facts, campaigns.which[kept])


def _fill_currencies(columns: EventColumns, campaigns: _Campaigns) -> None:
    """The campaign's currency where the event named none, before anything compares what two copies say."""
    if "" in columns.currency:
        defaults = [facts.currency if facts else "" for facts in campaigns.facts]
        columns.currency = [
            currency or defaults[place]
            for currency, place in zip(columns.currency, campaigns.which.tolist(), strict=True)
        ]


def _candidates(columns: EventColumns, records: _Records) -> Candidates:
    return Candidates(
        campaign_ids=np.array(columns.campaign_id, dtype=np.int64),
        event_ids=columns.event_id,
        event_time_us=np.asarray(columns.event_time_us, dtype=np.int64),
        times_ms=records.times_ms[columns.index],
        fingerprints=fingerprints(columns),
    )


def _conflicts(columns: EventColumns, verdicts: Verdicts, records: _Records, source: OffsetRange) -> ConflictRows:
    places = verdicts.conflicts
    indexes = [int(columns.index[place]) for place in places]
    return ConflictRows(
        campaign_id=[columns.campaign_id[place] for place in places],
        event_id=[columns.event_id[place] for place in places],
        event_time_us=[int(columns.event_time_us[place]) for place in places],
        value=[records.values[index] for index in indexes],
        offsets=[int(records.offsets[index]) for index in indexes],
        times_ms=[int(records.times_ms[index]) for index in indexes],
        topic_id=source.topic_id,
        partition=source.partition,
    )
