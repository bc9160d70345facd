"""Verifying the rows of a campaign: against each other, against what was erased, and the rollup against them.

- An *overlap* is an event that counts twice: two rows of one record, or two rows that the rules of deduplication call
  one event. The later row is removed.
- *Drift* is a rollup that differs from its raw rows; a re-aggregation of those days mends it.
- What is *erased* and there: a worker that was frozen during an erasure may land rows after the job has removed what
  there was. The job is done again.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from itertools import groupby

from campaignctl.ports.clock import Clock
from campaignctl.ports.erasures import RemovalStore
from campaignctl.ports.metadata import CampaignFactsStore
from campaignctl.ports.verification import RepeatedRow, VerificationStore
from campaignctl.services.findings import Finding

_IDS_AT_ONCE = 500_000
_ROWS_AT_ONCE = 10_000
_SETTLE_S = 1.0
_TRIES = 5
"""Removals that find no row in its place, as a merge moved it; one after another is rare already."""
_EPOCH = date(1970, 1, 1)
_DAY_MS = 86_400_000


class RowVerification:
    """For the operator of the machine."""

    def __init__(
        self,
        rows: VerificationStore,
        erased_rows: RemovalStore,
        metadata: CampaignFactsStore,
        *,
        window_days: int,
        retention_days: int,
        clock: Clock,
    ) -> None:
        self._rows = rows
        self._erased_rows = erased_rows
        self._metadata = metadata
        self._window_ms = window_days * _DAY_MS
        self._retention_days = retention_days
        self._clock = clock

    def check_campaign(self, campaign_id: int, since_us: int | None, raw_rows: int) -> list[Finding]:
        """Overlaps of the campaign's rows, and drift of its rollup."""
        findings = [
            Finding(
                "overlap",
                "two rows of one record" if _same_record(row, kept) else f"counts already, at offset {kept.offset}",
                campaign_id=campaign_id,
                event_id=row.event_id,
                partition=row.partition,
                offset=row.offset,
                day=_day_text(row.day),
            )
            for row, kept in self._surplus(campaign_id, since_us, raw_rows)
        ]
        findings += self._erased_events(campaign_id)
        drift = self._drift(campaign_id, since_us)
        if drift:  # rows that land at this very moment are in one table before the other
            self._clock.sleep(_SETTLE_S)
            again = self._drift(campaign_id, since_us)
            drift = [one for one in drift if one in again]
        return findings + drift

    def _erased_events(self, campaign_id: int) -> list[Finding]:
        """What is there of events that were erased, unless a job is about to remove it."""
        erasures = [one for one in self._metadata.erased_events().values() if one.campaign_id == campaign_id]
        if not erasures or campaign_id in self._metadata.erasing():
            return []
        traces = [self._erased_rows.traces_of_events(campaign_id, one.digests) for one in erasures]
        rows = sum(one.events + one.conflicts for one in traces)
        said = f"{rows} rows and conflicts of erased events are there"
        return [Finding("erased", said, campaign_id=campaign_id)] if rows else []

    def remove_surplus(self, campaign_id: int, since_us: int | None, raw_rows: int) -> int:
        """Remove the rows that count something twice; answers how many. The rollup still holds them afterwards."""
        surplus, removed, in_vain = self._surplus_places(campaign_id, since_us, raw_rows), 0, 0
        while surplus and in_vain < _TRIES:
            self._rows.remove_rows(campaign_id, surplus[:_ROWS_AT_ONCE])
            # Asked again each time: a removal moves the other rows, and one that a merge had moved is where it was not.
            left = self._surplus_places(campaign_id, since_us, raw_rows)
            removed += max(len(surplus) - len(left), 0)
            in_vain = in_vain + 1 if len(left) >= len(surplus) else 0
            surplus = left
        if removed:
            self._metadata.bump_data_versions([campaign_id])
        return removed

    def _surplus_places(self, campaign_id: int, since_us: int | None, raw_rows: int) -> list[tuple[str, int]]:
        return [row.place for row, _ in self._surplus(campaign_id, since_us, raw_rows)]

    def _surplus(
        self, campaign_id: int, since_us: int | None, raw_rows: int
    ) -> Iterator[tuple[RepeatedRow, RepeatedRow]]:
        """Each row that counts something twice, and the row that counts it already."""
        buckets = raw_rows // _IDS_AT_ONCE + 1
        since_ms = 0 if since_us is None else since_us // 1_000
        for bucket in range(buckets):
            rows = self._rows.repeated_rows(campaign_id, since_ms, bucket, buckets)
            for _, group in groupby(rows, key=lambda row: row.event_id):
                yield from self._surplus_of(list(group))

    def _surplus_of(self, rows: Sequence[RepeatedRow]) -> Iterator[tuple[RepeatedRow, RepeatedRow]]:
        counted: list[RepeatedRow] = []
        for row in rows:
            kept = next((one for one in reversed(counted) if self._are_one_event(one, row)), None)
            if kept is None:
                counted.append(row)
            else:
                yield row, kept

    def _are_one_event(self, earlier: RepeatedRow, later: RepeatedRow) -> bool:
        near = later.time_ms - earlier.time_ms <= self._window_ms
        return near or later.event_time_us == earlier.event_time_us

    def _drift(self, campaign_id: int, since_us: int | None) -> list[Finding]:
        # Days that end where raw rows begin to expire may have lost some of them.
        today = (self._clock.now().date() - _EPOCH).days
        first_day = today - self._retention_days + 2
        if since_us is not None:
            first_day = max(first_day, since_us // (1_000 * _DAY_MS) - 1)
        findings = []
        for one in self._rows.rollup_differences(campaign_id, first_day):
            lacks = ", ".join(f"{name} {value:+d}" for name, value in one.lacks.items() if not name.endswith("_high"))
            where = " ".join((one.platform, one.region, one.currency))
            said = f"the rollup of {where} lacks {lacks or 'a part of its sums'}"
            findings.append(Finding("drift", said, campaign_id=campaign_id, day=_day_text(one.day)))
        return findings


def _same_record(one: RepeatedRow, other: RepeatedRow) -> bool:
    return (one.topic_id, one.partition, one.offset) == (other.topic_id, other.partition, other.offset)


def _day_text(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).isoformat()
