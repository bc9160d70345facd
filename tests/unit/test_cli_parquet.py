"""Rows as Parquet: what is read back is what was given, in a type that says what it is."""

import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet

from campaignctl.cli.parquet import as_parquet

_DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20, places=9)
_NUMBERS = st.one_of(st.integers(-(2**63), 2**63 - 1), _DECIMALS)


def read(*rows: tuple[Any, ...], names: tuple[str, ...] = ("a",)) -> pa.Table:
    return parquet.read_table(io.BytesIO(as_parquet(names, rows)))


@given(
    st.one_of(*(st.lists(st.none() | one, max_size=20) for one in (st.booleans(), st.integers(), _NUMBERS, st.text())))
)
def test_values_come_back(values: list[Any]) -> None:
    found = read(*((value,) for value in values))["a"].to_pylist()
    assert [
        None if a is None else str(a) if isinstance(b, str) else a for a, b in zip(values, found, strict=True)
    ] == found


@pytest.mark.parametrize(
    ("values", "type_name", "shown"),
    [
        ([True, None], "bool", [True, None]),
        ([1, -5], "int64", [1, -5]),
        ([2**63], "decimal128(19, 0)", [Decimal(2**63)]),
        ([Decimal("1.50"), 2], "decimal128(3, 2)", [Decimal("1.50"), Decimal("2.00")]),
        ([Decimal("0.000001")], "decimal128(7, 6)", [Decimal("0.000001")]),
        ([10**80], "string", [str(10**80)]),
        (["=1+1", "\x1b[2J"], "string", ["=1+1", "\x1b[2J"]),
        ([1, "one", True, {"a": [1]}], "string", ["1", "one", "true", '{"a": [1]}']),
        ([None], "string", [None]),
        ([], "string", []),
    ],
)
def test_types(values: list[Any], type_name: str, shown: list[Any]) -> None:
    table = read(*((value,) for value in values))
    assert str(table.schema.field("a").type) == type_name
    assert table["a"].to_pylist() == shown


def test_columns_keep_their_names_and_order() -> None:
    assert read((1, "x"), (None, "y"), names=("n", "text")).to_pylist() == [
        {"n": 1, "text": "x"},
        {"n": None, "text": "y"},
    ]
