"""Insights as files: the rows of an answer as CSV, NDJSON, Parquet or an Arrow stream, made of its very JSON body.

So every form has the same numbers, to the last digit. A file says in which currency and zone they are: CSV in two
columns at the end, Parquet and Arrow in the metadata of their schema, beside the totals and the warnings. What is
beside the rows of a comparison stays with JSON.
"""

import importlib.util
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from campaignctl import __version__
from campaignctl.domain.insight_members import NUMBERS, PERIOD, row_members
from campaignctl.domain.insights import Metric, Ratio
from campaignctl.domain.periods import Granularity
from campaignctl.errors import ConfigurationError
from campaignctl.tabular import csv_text, decode, raw_items

if TYPE_CHECKING:
    import pyarrow as pa

UNITS = ("currency", "timezone")
"""What the numbers and the days are in: the last columns of a CSV file."""
INSTALL_HINT = "install it with: pip install 'campaignctl[export]'"
_BESIDE_ROWS = (
    *("campaign_id", "campaign_ids", "start_date", "end_date", "granularity", "timezone", "week_start", "currency"),
    *("source", "totals", "freshness", "warnings", "next_cursor"),
)
_COUNTS = frozenset(metric.value for metric in Metric if metric.is_count)
_IN_CURRENCY = frozenset({Metric.SPEND.value, Metric.REVENUE.value, Ratio.CPC.value, Ratio.CPM.value, Ratio.CPA.value})
_FRACTIONS = frozenset({Ratio.CTR.value, Ratio.CVR.value})
_MAX_INT64 = 2**63 - 1


class ExportForm(StrEnum):
    """The forms of a file, by the ending of its name."""

    CSV = "csv"
    NDJSON = "ndjson"
    PARQUET = "parquet"
    ARROW = "arrows"

    @property
    def needs_arrow(self) -> bool:
        return self in (ExportForm.PARQUET, ExportForm.ARROW)


def arrow_is_installed() -> bool:
    return importlib.util.find_spec("pyarrow") is not None


def require_arrow() -> None:
    if not arrow_is_installed():
        raise ConfigurationError("Parquet and Arrow need the package pyarrow", hint=INSTALL_HINT)


def exported(body: bytes, form: ExportForm) -> bytes:
    """The rows of a JSON answer; raises ``ConfigurationError`` where the form needs what is not installed."""
    if form.needs_arrow:
        require_arrow()
    return _WRITERS[form](body)


def file_name(answer: Mapping[str, Any], form: ExportForm) -> str:
    """A plain name: letters, digits, dots and hyphens only."""
    subject = f"campaign-{answer['campaign_id']}" if "campaign_id" in answer else "campaigns"
    return f"{subject}-insights-{answer['start_date']}-to-{answer['end_date']}.{form}"


def _csv(body: bytes) -> bytes:
    answer = decode(body)
    return csv_text(*csv_table(answer)).encode()


def csv_table(answer: Mapping[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """The header and the rows of a CSV file."""
    members, units = row_members(answer), [answer[name] for name in UNITS]
    return [*members, *UNITS], [[*(row[name] for name in members), *units] for row in answer["rows"]]


def _ndjson(body: bytes) -> bytes:
    return b"".join(row + b"\n" for row in raw_items(body, "rows"))


def _parquet(body: bytes) -> bytes:
    import pyarrow.parquet as parquet

    sink = io.BytesIO()
    parquet.write_table(_arrow_table(body), sink, compression="zstd")
    return sink.getvalue()


def _arrow(body: bytes) -> bytes:
    import pyarrow as pa

    table, sink = _arrow_table(body), io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return sink.getvalue()


_WRITERS: dict[ExportForm, Callable[[bytes], bytes]] = {
    ExportForm.CSV: _csv,
    ExportForm.NDJSON: _ndjson,
    ExportForm.PARQUET: _parquet,
    ExportForm.ARROW: _arrow,
}


def _arrow_table(body: bytes) -> "pa.Table":
    import pyarrow as pa

    answer = decode(body)
    fields, columns = [], []
    for name in row_members(answer):
        kind, values = _typed(name, [row[name] for row in answer["rows"]], answer)
        unit = _unit(name, answer)
        fields.append(pa.field(name, kind, metadata={"unit": unit} if unit else None))
        columns.append(pa.array(values, type=kind))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata=_metadata(body)))


def _typed(name: str, values: Sequence[Any], answer: Mapping[str, Any]) -> tuple["pa.DataType", Sequence[Any]]:
    """The type of a column, and its values as pyarrow takes them for it without loss."""
    import pyarrow as pa

    if name in _COUNTS:
        # Sums of many counts may pass 64 bits: then the whole column is as wide as decimals are.
        wide = any(value is not None and abs(value) > _MAX_INT64 for value in values)
        return (pa.decimal128(38, 0), list(map(_decimal, values))) if wide else (pa.int64(), values)
    if name in NUMBERS:
        return pa.decimal128(38, 6), list(map(_decimal, values))
    if name == "partial":
        return pa.bool_(), values
    if name == "campaign_id":
        return pa.int64(), values
    if name in PERIOD and answer["granularity"] == Granularity.HOURLY:
        return pa.timestamp("us", tz=answer["timezone"]), [datetime.fromisoformat(value) for value in values]
    if name in PERIOD:
        return pa.date32(), [date.fromisoformat(value) for value in values]
    return pa.string(), values


def _decimal(value: int | Decimal | None) -> Decimal | None:
    return None if value is None else Decimal(value)


def _unit(name: str, answer: Mapping[str, Any]) -> str | None:
    if name in _IN_CURRENCY:
        return str(answer["currency"])
    if name in _FRACTIONS:
        return "fraction"
    return str(answer["timezone"]) if name in PERIOD[:2] else None


def _metadata(body: bytes) -> dict[str, str]:
    """What stands beside the rows: texts as they are, everything else as its JSON."""
    members = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
    found = {"generator": f"campaignctl {__version__}"}
    for name in _BESIDE_ROWS:
        if name in members:
            raw = bytes(members[name])
            found[name] = msgspec.json.decode(raw, type=str) if raw.startswith(b'"') else raw.decode()
    return found
