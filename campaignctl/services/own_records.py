"""The product's own records among the events of the topic, told by a header: what of them is read here, and how."""

from collections.abc import Mapping, Sequence

from campaignctl.domain.reports import REPORT_KIND, Coverage, ReportedAccount, ReportSlice, decode_report
from campaignctl.ports.analytics import OffsetRange
from campaignctl.ports.event_log import Headers, RecordBatch
from campaignctl.ports.reports import FromRecord, ReportRows

OWN_KIND_HEADER = "campaignctl-kind"
"""Records with it are the product's own, never events."""

REPORT_HEADERS: Headers = ((OWN_KIND_HEADER, REPORT_KIND.encode()),)


def own_kinds(headers: Sequence[Headers]) -> dict[int, bytes]:
    """The places of the records that are the product's own, ascending, and the kind of each; all others are events."""
    if not any(headers):
        return {}
    kinds: dict[int, bytes] = {}
    for place, some in enumerate(headers):
        for name, value in some:
            if name == OWN_KIND_HEADER:
                kinds.setdefault(place, value)
    return kinds


def read_reports(records: RecordBatch, kinds: Mapping[int, bytes], source: OffsetRange) -> tuple[ReportRows, int]:
    """What the records that are reports say, and how many of them say nothing that is understood: they do nothing.

    A pure function of the records.
    """
    slices: list[tuple[FromRecord, ReportedAccount, ReportSlice]] = []
    coverage: list[tuple[FromRecord, ReportedAccount, Coverage]] = []
    damaged = 0
    for place, kind in kinds.items():
        if kind != REPORT_KIND.encode():
            continue
        report = decode_report(records.values[place])
        if report is None:
            damaged += 1
            continue
        record = FromRecord(records.offsets[place], records.times_ms[place])
        slices += [(record, report.account, one) for one in report.slices]
        coverage += [(record, report.account, one) for one in report.coverage]
    return ReportRows(source.topic_id, source.partition, slices, coverage), damaged
