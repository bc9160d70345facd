"""Insights as JSON: numbers exact at any size, without exponents or superfluous zeros.

Written by hand because no encoder takes numbers that are neither integers of 64 bits nor binary fractions.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np

from campaignctl.domain.decimal_columns import columns_of, decimal_texts, ratios, whole_texts
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
from campaignctl.domain.money import micros_to_decimal_text, micros_to_decimal_texts
from campaignctl.domain.periods import Bucket

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_text = json.JSONEncoder(ensure_ascii=False).encode
_SUMS = ", ".join(f'"{name.value}": %s' for name in (*Metric, *Ratio))
_MANY = 64
"""Rows whose numbers are made into text together with gain."""
_PLACES = {metric: place for place, metric in enumerate(Metric)}


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
        "totals": f"{{{_sums(insights.totals)}}}",
        "comparison": _comparison(insights, [dimension.member for dimension in query.group_by]),
        "next_cursor": "null" if insights.next_cursor is None else _text(insights.next_cursor),
        "freshness": _list(map(_freshness, insights.freshness)),
        "warnings": _list(
            _object({"code": _text(warning.code), "message": _text(warning.message)}) for warning in insights.warnings
        ),
    }
    return _object(members).encode()


def _rows(rows: Sequence[InsightRow], group_members: Sequence[str]) -> str:
    """An answer has up to ten thousand of them: what rows share is made into text once."""
    periods: dict[int, str] = {}
    groups: dict[tuple[GroupValue, ...], str] = {}
    shown = []
    for row, sums in zip(rows, _sums_of([row.sums for row in rows]), strict=True):
        period = periods.get(row.number)
        if period is None:
            period = periods[row.number] = _period(row.bucket)
        group = groups.get(row.group)
        if group is None:
            group = groups[row.group] = _group(row.group, group_members)
        shown.append(f'{{{period}{group}, {sums}, "source": "{row.source}", "finality": "{row.finality}"}}')
    return _list(shown)


def _group(group: Sequence[GroupValue], group_members: Sequence[str]) -> str:
    """Further members of a row, each behind a comma."""
    values = zip(group_members, group, strict=True)
    return "".join(f', "{member}": {_group_value(value)}' for member, value in values)


def _group_value(value: GroupValue) -> str:
    return str(value) if isinstance(value, int) else _text(value)


def _sums(sums: Sums) -> str:
    """Members: the metrics, then the ratios."""
    return _sums_of([sums])[0]


def _sums_of(rows: Sequence[Sums]) -> list[str]:
    """``_sums`` of each, made column by column."""
    if not rows:
        return []
    in_order = [sums.in_order() for sums in rows]
    texts = _texts_of_many(in_order) if len(rows) >= _MANY else None
    return [_SUMS % row for row in zip(*(texts or _texts_of(in_order)), strict=True)]


def _texts_of_many(rows: Sequence[Sequence[int | None]]) -> list[list[str]] | None:
    """As ``_texts_of``; None where a number is none of those that can be reckoned with together."""
    columns = columns_of(rows)
    if columns is None:
        return None
    parts = {ratio: [columns[_PLACES[metric]] for metric in ratio.parts] for ratio in Ratio}
    found = [ratios(over, under, *ratio.scales) for ratio, (over, under) in parts.items()]
    decimals = [columns[place] for metric, place in _PLACES.items() if not metric.is_count]
    texts = iter(decimal_texts(decimals + [of_ratio[0] for of_ratio in found if of_ratio is not None]))
    shown = [
        whole_texts(columns[place]).tolist() if metric.is_count else next(texts) for metric, place in _PLACES.items()
    ]
    for ratio, of_ratio in zip(Ratio, found, strict=True):
        if of_ratio is None:
            over, under = parts[ratio]
            shown.append(micros_to_decimal_texts(ratio.of_each(over.tolist(), under.tolist())))
            continue
        shown.append(next(texts))
        for row in np.flatnonzero(~of_ratio[1]).tolist():
            shown[-1][row] = "null"
    return shown


def _texts_of(rows: Sequence[Sequence[int | None]]) -> list[list[str]]:
    """The metrics' columns, then the ratios'."""
    columns = list(zip(*rows, strict=True))
    texts = [
        _counts(columns[place]) if metric.is_count else micros_to_decimal_texts(columns[place])
        for metric, place in _PLACES.items()
    ]
    for ratio in Ratio:
        over, under = (columns[_PLACES[metric]] for metric in ratio.parts)
        texts.append(micros_to_decimal_texts(ratio.of_each(over, under)))
    return texts


def _counts(column: Iterable[int | None]) -> list[str]:
    return ["null" if count is None else str(count) for count in column]


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
            "totals": f"{{{_sums(comparison.totals)}}}",
            "change": _change(insights.totals, comparison.totals),
            "rows": _list(_earlier_row(row, earlier, group_members) for row, earlier in beside),
        }
    )


def _earlier_row(row: InsightRow, earlier: EarlierRow | None, group_members: Sequence[str]) -> str:
    if earlier is None:
        return "null"
    group = _group(row.group, group_members)
    return f'{{{_period(earlier.bucket)}{group}, {_sums(earlier.sums)}, "change": {_change(row.sums, earlier.sums)}}}'


def _change(sums: Sums, earlier: Sums) -> str:
    return _object({metric.value: _millionths(sums.change_from(earlier, metric)) for metric in Metric})


def _period(bucket: Bucket) -> str:
    """The first members of a row."""
    partial = "true" if bucket.partial else "false"
    return (
        f'"period_start": "{bucket.start.isoformat()}", "period_end": "{bucket.end.isoformat()}", "partial": {partial}'
    )


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
