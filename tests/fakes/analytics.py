"""The event half of the analytics store, in memory, with the ways in which a real one fails."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np

from campaignctl.errors import Unavailable
from campaignctl.ports.analytics import ConflictRows, EventRows, OffsetRange, SeenEvents
from campaignctl.ports.rollup import SUM_COLUMNS, Recount, RollupRows
from tests.fakes.report_sink import FakeReportSink

METRICS = ("impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros")
RollupKey = tuple[int, int, str, str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """One landed event."""

    event_id: str
    campaign_id: int
    day: int
    event_time_us: int
    platform: str
    event_type: str
    region: str
    ad_group_id: str
    ad_id: str
    device: str
    currency: str
    impressions: int
    clicks: int
    conversions_millionths: int
    spend_micros: int
    revenue_micros: int
    fingerprint: int
    offset: int
    time_ms: int
    topic_id: int
    partition: int

    @property
    def rollup_key(self) -> RollupKey:
        return self.campaign_id, self.day, self.platform, self.region, self.currency

    @property
    def metrics(self) -> tuple[int, ...]:
        return 1, *(getattr(self, name) for name in METRICS)


def rows_of(rows: EventRows) -> list[Row]:
    """The columns as rows; also proves that they are of one length."""
    columns = {field.name: getattr(rows, field.name) for field in fields(EventRows)}
    names = {"offsets": "offset", "times_ms": "time_ms"}
    sequences = {names.get(n, n): v for n, v in columns.items() if not isinstance(v, int)}
    lists = {n: v.tolist() if isinstance(v, np.ndarray) else list(v) for n, v in sequences.items()}
    assert {len(v) for v in lists.values()} == {len(rows)}
    constants = {"topic_id": rows.topic_id, "partition": rows.partition}
    return [Row(**dict(zip(lists, values, strict=True)), **constants) for values in zip(*lists.values(), strict=True)]


class FakeEventStore(FakeReportSink):
    """An ``EventStore`` and ``ReportSink``. ``fault`` is called with the name of each write before it happens.

    What it answers decides: None lets the write happen, "before" fails without a trace, "after" lands it and then
    fails, "half" lands every second row and then fails, "hole" remembers the token, lands nothing and then fails,
    "rollup" lands the rows without their sums and then fails.
    """

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.conflicts: list[tuple[int, str, int, bytes]] = []
        self.rollup: dict[RollupKey, list[int]] = {}
        self.inserts: list[tuple[str, int]] = []
        self.lookups: Counter[str] = Counter()
        self.missing: list[str] = []
        self.window_ms = 7 * 86_400_000
        """Of log time, in which rows with one id are copies."""
        self._landed: dict[str, set[int]] = {}
        self._conflict_tokens: set[str] = set()
        self._rollup_tokens: set[str] = set()
        self.corrections: list[str] = []
        """Tokens of the differences that were added to the rollup."""

    def append_events(self, rows: EventRows, token: str, /) -> None:
        fault = self._before("append_events")
        landed = self._landed.setdefault(token, set())
        new = [row for row in rows_of(rows) if row.offset not in landed]
        self.inserts.append((token, len(new)))
        kept = {"half": new[::2], "hole": []}.get(fault or "", new)
        landed |= {row.offset for row in (new if fault == "hole" else kept)}
        self.rows += kept
        for row in kept if fault != "rollup" else []:
            self._add(row.rollup_key, row.metrics)
        self._after(fault)

    def append_conflicts(self, rows: ConflictRows, token: str, /) -> None:
        fault = self._before("append_conflicts")
        if token not in self._conflict_tokens:
            self._conflict_tokens.add(token)
            self.conflicts += zip(rows.campaign_id, rows.event_id, rows.offsets, rows.value, strict=True)
        self._after(fault)

    def landed_before(self, topic_id: int, partition: int, offset: int, since_ms: int, /) -> Iterator[SeenEvents]:
        self._before("landed_before")
        there = [r for r in self._of(topic_id, partition) if r.offset < offset and r.time_ms >= since_ms]
        for start in range(0, len(there), 100):
            yield _seen(there[start : start + 100][::-1])

    def campaigns_elsewhere(self, topic_id: int, partition: int, since_ms: int, /) -> Sequence[int]:
        self._before("campaigns_elsewhere")
        there = [r for r in self.rows if (r.topic_id, r.partition) != (topic_id, partition) and r.time_ms >= since_ms]
        return sorted({row.campaign_id for row in there})

    def landed_elsewhere(
        self, topic_id: int, partition: int, campaign_ids: Sequence[int], since_ms: int, /
    ) -> Iterator[SeenEvents]:
        self._before("landed_elsewhere")
        there = [r for r in self.rows if (r.topic_id, r.partition) != (topic_id, partition) and r.time_ms >= since_ms]
        yield _seen([row for row in there if row.campaign_id in campaign_ids])

    def earliest_instants(self, campaign_ids: Sequence[int], before_ms: int, /) -> Mapping[int, int]:
        self._before("earliest_instants")
        found: dict[int, int] = {}
        for row in self.rows:
            if row.campaign_id in campaign_ids and row.time_ms < before_ms:
                found[row.campaign_id] = min(row.event_time_us, found.get(row.campaign_id, row.event_time_us))
        return found

    def newest_offset(self, topic_id: int, partition: int, /) -> int | None:
        self._before("newest_offset")
        reported = [one[2][0].offset for one in (*self.slices, *self.coverage) if one[:2] == (topic_id, partition)]
        return max([*(row.offset for row in self._of(topic_id, partition)), *reported], default=None)

    def find_by_instant(self, keys: Sequence[tuple[int, str, int]], excluding: OffsetRange, /) -> SeenEvents:
        self._before("find_by_instant")
        self.lookups["find_by_instant"] += len(keys)
        assert len(keys) <= 10_000
        wanted = set(keys)
        return _seen([r for r in self._outside(excluding) if (r.campaign_id, r.event_id, r.event_time_us) in wanted])

    def find_by_id(self, keys: Sequence[tuple[int, str]], excluding: OffsetRange, /) -> SeenEvents:
        self._before("find_by_id")
        self.lookups["find_by_id"] += len(keys)
        assert len(keys) <= 10_000
        wanted = set(keys)
        return _seen([r for r in self._outside(excluding) if (r.campaign_id, r.event_id) in wanted])

    def landed_events(self, offsets: OffsetRange, /) -> SeenEvents:
        self._before("landed_events")
        self.lookups["landed_events"] += 1
        there = self._of(offsets.topic_id, offsets.partition)
        return _seen([row for row in there if offsets.start <= row.offset < offsets.end])

    def landed_offsets(self, offsets: OffsetRange, /) -> Sequence[int]:
        self._before("landed_offsets")
        there = self._of(offsets.topic_id, offsets.partition)
        return sorted({row.offset for row in there if offsets.start <= row.offset < offsets.end})

    def reconcile_rollup(
        self, days: Mapping[int, Sequence[int]], window_ms: int, token: str, partition: int, /
    ) -> None:
        fault = self._before("reconcile_rollup")
        touched = {(campaign, day) for campaign, some in days.items() for day in some}
        for key in [key for key in self.rollup if key[:2] in touched]:
            del self.rollup[key]
        for key, sums in self.true_rollup().items():
            if key[:2] in touched:
                self.rollup[key] = sums
        self._after(fault)

    def recorded_days(self, campaign_id: int, /) -> tuple[int, int] | None:
        self._before("recorded_days")
        days = {row.day for row in self.rows if row.campaign_id == campaign_id}
        days |= {key[1] for key in self.rollup if key[0] == campaign_id}
        return (min(days), max(days)) if days else None

    def recount(self, days: Mapping[int, Sequence[int]], window_ms: int, partition: int, /) -> Recount:
        self._before("recount")
        wanted = {(campaign, day) for campaign, some in days.items() for day in some}
        there = [row for row in self.rows if (row.campaign_id, row.day) in wanted]
        exact = self.true_rollup()
        keys = sorted({key for key in [*exact, *self.rollup] if key[:2] in wanted})
        current = [self.rollup.get(key, [0] * 6) for key in keys]
        lacking = {
            key: [a - b for a, b in zip(exact.get(key, [0] * 6), now, strict=True)]
            for key, now in zip(keys, current, strict=True)
        }
        lacking = {key: sums for key, sums in lacking.items() if any(sums)}
        counted = [row for row in self._counted() if (row.campaign_id, row.day) in wanted]
        return Recount(
            _rollup_rows(keys, current),
            _rollup_rows(list(lacking), list(lacking.values())),
            len(there),
            len(there) - len(counted),
        )

    def add_to_rollup(self, rows: RollupRows, token: str, partition: int, /) -> None:
        fault = self._before("add_to_rollup")
        if token not in self._rollup_tokens and len(rows):
            self._rollup_tokens.add(token)
            self.corrections.append(token)
            if fault != "hole":
                for n in range(len(rows)):
                    key = (
                        int(rows.campaign_id[n]),
                        int(rows.day[n]),
                        rows.platform[n],
                        rows.region[n],
                        rows.currency[n],
                    )
                    self._add(key, [int(rows.sums[name][n]) for name in ("events", *METRICS)])
        self._after(fault)

    def missing_windows(self) -> Sequence[str]:
        self._before("missing_windows")
        return self.missing

    def true_rollup(self) -> dict[RollupKey, list[int]]:
        """What the rollup must hold, computed from the rows: those that are no copies."""
        sums: dict[RollupKey, list[int]] = {}
        for row in self._counted():
            sums[row.rollup_key] = [a + b for a, b in zip(sums.get(row.rollup_key, [0] * 6), row.metrics, strict=True)]
        return sums

    def _counted(self) -> list[Row]:
        """Of rows with one id the first; and later ones at another instant, once the window is over."""
        counted: dict[tuple[int, str], list[Row]] = {}
        for row in sorted(self.rows, key=lambda one: (one.time_ms, one.offset)):
            known = counted.setdefault((row.campaign_id, row.event_id), [])
            if not any(
                row.time_ms - one.time_ms <= self.window_ms or row.event_time_us == one.event_time_us for one in known
            ):
                known.append(row)
        return [row for rows in counted.values() for row in rows]

    def _add(self, key: RollupKey, metrics: Sequence[int]) -> None:
        self.rollup[key] = [a + b for a, b in zip(self.rollup.get(key, [0] * 6), metrics, strict=True)]

    def _of(self, topic_id: int, partition: int) -> list[Row]:
        return [row for row in self.rows if (row.topic_id, row.partition) == (topic_id, partition)]

    def _outside(self, excluded: OffsetRange) -> list[Row]:
        home = (excluded.topic_id, excluded.partition)
        return [
            row
            for row in self.rows
            if (row.topic_id, row.partition) != home or not excluded.start <= row.offset < excluded.end
        ]

    def _before(self, name: str) -> str | None:
        fault = self.fault(name)
        if fault == "before":
            raise _away()
        return fault

    def _after(self, fault: str | None) -> None:
        if fault is not None:
            raise _away()


def _rollup_rows(keys: Sequence[RollupKey], sums: Sequence[Sequence[int]]) -> RollupRows:
    numbers = {name: np.array([one[n] for one in sums], np.int64) for n, name in enumerate(("events", *METRICS))}
    return RollupRows(
        campaign_id=np.array([key[0] for key in keys], np.int64),
        day=np.array([key[1] for key in keys], np.int64),
        platform=np.array([key[2] for key in keys], np.object_),
        region=np.array([key[3] for key in keys], np.object_),
        currency=np.array([key[4] for key in keys], np.object_),
        sums={name: numbers.get(name, np.zeros(len(keys), np.int64)) for name in SUM_COLUMNS},
        last_event_us=np.zeros(len(keys), np.int64),
    )


def _away() -> Unavailable:
    return Unavailable("The analytics store is away.", service="analytics", retry_after_s=0.1)


def _seen(rows: Sequence[Row]) -> SeenEvents:
    return SeenEvents(
        campaign_id=[row.campaign_id for row in rows],
        event_id=[row.event_id for row in rows],
        event_time_us=[row.event_time_us for row in rows],
        times_ms=[row.time_ms for row in rows],
        fingerprint=np.array([row.fingerprint for row in rows], np.uint64),
    )
