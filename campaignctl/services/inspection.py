"""What a worker does with records before it asks any store: where a record that ends processes ends them."""

from campaignctl.domain.events import EventLimits, decode_columns, fingerprints
from campaignctl.ports.analytics import OffsetRange
from campaignctl.ports.event_log import RecordBatch
from campaignctl.services.own_records import own_kinds, read_reports


def inspect(records: RecordBatch, limits: EventLimits) -> None:
    """Read the records as a batch of them is read, and keep nothing."""
    kinds = own_kinds(records.headers)
    read_reports(records, kinds, OffsetRange(0, records.partition, 0, records.next_offset))
    places = [place for place in range(len(records.values)) if place not in kinds]
    values, times_ms = [records.values[n] for n in places], [records.times_ms[n] for n in places]
    columns, _ = decode_columns(values, times_ms, limits)
    fingerprints(columns)
