"""Rows of any command as a Parquet file; insights have a form of their own (``services.insight_exports``)."""

import io
import json
from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_MOST_DIGITS = 76
"""Of Parquet's largest decimals, as Arrow has them."""


def as_parquet(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A file of the rows, each column of the narrowest type that has all of its values exactly.

    Booleans, ``int64``, decimals, else text; what has members is JSON text. Text stays as it came: a file of this kind
    is neither computed by a spreadsheet nor obeyed by a terminal.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    columns = zip(*rows, strict=True) if rows else [()] * len(names)
    file = io.BytesIO()
    parquet.write_table(pa.table([_column(column) for column in columns], names=list(names)), file, compression="zstd")
    return file.getvalue()


def _column(values: Sequence[Any]) -> "pa.Array":
    import pyarrow as pa

    kinds = {type(value) for value in values if value is not None}
    if kinds == {bool}:
        return pa.array(values, pa.bool_())
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values if value is not None):
        return pa.array(values, pa.int64())
    if kinds and kinds <= {int, Decimal}:
        exact = [None if value is None else Decimal(value) for value in values]
        scale, digits = _size([value for value in exact if value is not None])
        if digits <= _MOST_DIGITS:
            return pa.array(exact, pa.decimal128(digits, scale) if digits <= 38 else pa.decimal256(digits, scale))
    return pa.array(
        [value if value is None or isinstance(value, str) else _text(value) for value in values], pa.string()
    )


def _size(values: Sequence[Decimal]) -> tuple[int, int]:
    """How many digits the values have behind the point, and in all."""
    scale = max(0, *(-int(value.as_tuple().exponent) for value in values))
    whole = max(1, *(value.adjusted() + 1 for value in values))
    return scale, scale + whole


def _text(value: object) -> str:
    return (
        str(value)
        if isinstance(value, int | Decimal) and not isinstance(value, bool)
        else json.dumps(value, default=str)
    )
