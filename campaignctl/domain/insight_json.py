"""Insights as JSON: numbers exact at any size, without exponents or superfluous zeros.

Written by hand because no encoder takes numbers that are neither integers of 64 bits nor binary fractions.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

from campaignctl.domain.insights import (
    EarlierRow,
    Freshness,
    GroupValue,
    InsightRow,
    Insights,
    Metric,
    Ratio,
    Sums,
)
from campaignctl.domain.money import micros_to_decimal_text
from campaignctl.domain.periods import Bucket

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_text = json.JSONEncoder(ensure_ascii=False).encode


def to_json(insights: Insights) -> bytes:
    """The answer's body, its members in the promised order."""
    query = insights.query
    ids = query.campaign_ids
    members = {
        **({"campaign_ids": _list(map(str, ids))} if query.several else {"campaign_id": str(ids[0])}),
        "start_date": _text(query.days.first.isoformat()),
        "end_date": _text(query.days.last.isoformat()),
        "granularity": _text(query.granularity),
        "timezone": _text(query.zone.key),
        "week_start": _text(query.week_start),
        "currency": _text(query.currency),
        "source": _text(query.source),
        "group_by": _list(map(_text, query.group_by)),
        "rows": _rows(insights.rows, [dimension.member for dimension in query.group_by]),
        "totals": _object(_sums(insights.totals)),
        "comparison": _comparison(insights, [dimension.member for dimension in query.group_by]),
        "next_cursor": "null" if insights.next_cursor is None else _text(insights.next_cursor),
        "freshness": _list(map(_freshness, insights.freshness)),
        "warnings": _list(
            _object({"code": _text(warning.code), "message": _text(warning.message)}) for warning in insights.warnings
        ),
    }
    return _object(members).encode()


def _rows(rows: Sequence[InsightRow], group_members: Sequence[str]) -> str:
    return _list(_row(row, group_members) for row in rows)


def _row(row: InsightRow, group_members: Sequence[str]) -> str:
    return _object(
        {
            **_period(row.bucket),
            **{member: _group_value(value) for member, value in zip(group_members, row.group, strict=True)},
            **_sums(row.sums),
            "source": f'"{row.source}"',
            "finality": f'"{row.finality}"',
        }
    )


def _group_value(value: GroupValue) -> str:
    return str(value) if isinstance(value, int) else _text(value)


def _sums(sums: Sums) -> dict[str, str]:
    members = {metric.value: _metric(metric, sums.metric(metric)) for metric in Metric}
    return members | {ratio.value: _millionths(sums.ratio(ratio)) for ratio in Ratio}


def _metric(metric: Metric, value: int | None) -> str:
    return str(value) if value is not None and metric.is_count else _millionths(value)


def _millionths(value: int | None) -> str:
    return "null" if value is None else micros_to_decimal_text(value)


def _comparison(insights: Insights, group_members: Sequence[str]) -> str:
    comparison = insights.comparison
    if comparison is None:
        return "null"
    beside = zip(insights.rows, comparison.rows, strict=True)
    return _object(
        {
            "kind": _text(comparison.kind),
            "start_date": _text(comparison.days.first.isoformat()),
            "end_date": _text(comparison.days.last.isoformat()),
            "totals": _object(_sums(comparison.totals)),
            "change": _change(insights.totals, comparison.totals),
            "rows": _list(_earlier_row(row, earlier, group_members) for row, earlier in beside),
        }
    )


def _earlier_row(row: InsightRow, earlier: EarlierRow | None, group_members: Sequence[str]) -> str:
    if earlier is None:
        return "null"
    return _object(
        {
            **_period(earlier.bucket),
            **{member: _group_value(value) for member, value in zip(group_members, row.group, strict=True)},
            **_sums(earlier.sums),
            "change": _change(row.sums, earlier.sums),
        }
    )


def _change(sums: Sums, earlier: Sums) -> str:
    return _object({metric.value: _millionths(sums.change_from(earlier, metric)) for metric in Metric})


def _period(bucket: Bucket) -> dict[str, str]:
    return {
        "period_start": f'"{bucket.start.isoformat()}"',
        "period_end": f'"{bucket.end.isoformat()}"',
        "partial": "true" if bucket.partial else "false",
    }


def _freshness(freshness: Freshness) -> str:
    return _object(
        {
            "platform": _text(freshness.platform),
            "last_event_at": _instant(freshness.last_event_us),
            "last_report_at": _instant(freshness.last_report_us),
            "data_through": _day(freshness.data_through),
            "finality": "null" if freshness.finality is None else _text(freshness.finality),
            "expected_final_at": "null" if freshness.expected_final_at is None else _time(freshness.expected_final_at),
        }
    )


def _instant(epoch_us: int | None) -> str:
    if epoch_us is None:
        return "null"
    return _time(_EPOCH + timedelta(microseconds=epoch_us))


def _time(instant: datetime) -> str:
    return _text(instant.isoformat().replace("+00:00", "Z"))


def _day(day: date | None) -> str:
    return "null" if day is None else _text(day.isoformat())


def _object(members: Mapping[str, str]) -> str:
    return "{" + ", ".join(f'"{name}": {value}' for name, value in members.items()) + "}"


def _list(values: Iterable[str]) -> str:
    return "[" + ", ".join(values) + "]"
