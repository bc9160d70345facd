"""Insights for eyes and for spreadsheets."""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from campaignctl.cli.output import Column, Kind, Table
from campaignctl.cli.plot import bars
from campaignctl.domain.insight_members import group_members
from campaignctl.errors import FieldError, InvalidInput
from campaignctl.services.insight_exports import csv_table

_METRICS: dict[str, tuple[Kind, int]] = {
    # how it looks, and how early it gives way to a narrow terminal
    "impressions": (Kind.COUNT, 0),
    "clicks": (Kind.COUNT, 0),
    "conversions": (Kind.COUNT, 1),
    "spend": (Kind.MONEY, 0),
    "revenue": (Kind.MONEY, 2),
    "ctr": (Kind.PERCENT, 3),
    "cpc": (Kind.PRICE, 5),
    "cpm": (Kind.PRICE, 7),
    "cpa": (Kind.PRICE, 6),
    "cvr": (Kind.PERCENT, 8),
    "roas": (Kind.RATIO, 4),
}


def as_rows(answer: Mapping[str, Any]) -> Table:
    """Every member of every row, as in the REST body, and what its numbers are in: the file of the API."""
    names, rows = csv_table(answer)
    return Table([Column(name) for name in names], rows)


def as_report(answer: Mapping[str, Any]) -> Table:
    """One line a row, the totals below, and below them what it is compared with."""
    groups = group_members(answer)
    columns = [
        Column("period", Kind.ID),
        *(Column(name, Kind.ID) for name in groups),
        *(Column(name, kind, rank) for name, (kind, rank) in _METRICS.items()),
        Column("source", rank=9),
        Column("finality", rank=9),
    ]
    rows = [
        [
            _period(row, str(answer["granularity"])),
            *(row.get(name) for name in groups),
            *(row[name] for name in _METRICS),
            row["source"],
            row["finality"],
        ]
        for row in answer["rows"]
    ]
    return Table(columns, rows, totals=_totals(answer, len(groups)))


def _totals(answer: Mapping[str, Any], groups: int) -> list[Sequence[Any]]:
    def line(label: str, values: Mapping[str, Any]) -> list[Any]:
        return [label, *[""] * groups, *(values.get(name) for name in _METRICS), "", ""]

    lines: list[Sequence[Any]] = [line("total", answer["totals"])]
    comparison = answer.get("comparison")
    if comparison is not None:
        lines.append(line(f"{comparison['start_date']}..{comparison['end_date']}", comparison["totals"]))
        changes = {name: _signed(change) for name, change in comparison["change"].items()}
        lines.append(line("change", dict.fromkeys(_METRICS, "") | changes))
    return lines


def _signed(change: Decimal | int | None) -> str | None:
    return None if change is None else f"{change * 100:+,.1f}%"


def _period(row: Mapping[str, Any], granularity: str) -> str:
    """When the bucket starts; a star marks one that the asked range covers in part."""
    start = str(row["period_start"])
    text = f"{start}..{row['period_end']}" if granularity == "total" else start
    return text + ("*" if row["partial"] else "")


def caption(answer: Mapping[str, Any]) -> str:
    """What the numbers are about, in a line."""
    subject = f"campaign {answer['campaign_id']}" if "campaign_id" in answer else _several(answer["campaign_ids"])
    star = "; * only days inside the range" if any(row["partial"] for row in answer["rows"]) else ""
    return (
        f"{subject}, {answer['start_date']} to {answer['end_date']}, {answer['granularity']}, "
        f"{answer['timezone']}, {answer['currency']}{star}"
    )


def _several(ids: Sequence[int]) -> str:
    shown = ", ".join(map(str, ids[:5]))
    return f"campaigns {shown}" + (f" and {len(ids) - 5} more" if len(ids) > 5 else "")


def as_bars(answer: Mapping[str, Any], metric: str, width: int) -> str:
    """The metric of each row as a bar; a value that cannot be told has none."""
    if metric not in _METRICS:
        raise InvalidInput([FieldError("--metric", f"must be one of {', '.join(_METRICS)}")], code="usage")
    groups = group_members(answer)
    granularity = str(answer["granularity"])
    labels = [" ".join([_period(row, granularity), *(str(row.get(g)) for g in groups)]) for row in answer["rows"]]
    return f"{metric}\n" + bars(labels, [row[metric] for row in answer["rows"]], width)
