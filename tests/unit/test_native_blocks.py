"""Blocks in ClickHouse's Native format: what is written is what is read."""

import random
from typing import Any

import numpy as np
import pytest

from campaignctl.adapters.analytics.native import Column, Table, encode_block

LABEL = "LowCardinality(String)"


def read(*columns: Column, rows: int) -> Table:
    return Table(encode_block(columns, rows))


@pytest.mark.parametrize(
    ("type_name", "values"),
    [
        ("UInt16", [0, 1, 65_535]),
        ("UInt32", [0, 2**32 - 1]),
        ("Int64", [0, -1, 2**63 - 1, -(2**63)]),
        ("Date32", [0, -25_567, 120_529]),
        ("DateTime64(6, 'UTC')", [0, -1, 1_795_000_000_000_001]),
        ("DateTime64(3, 'UTC')", [1_795_000_000_001]),
    ],
)
def test_integers(type_name: str, values: list[int]) -> None:
    for given in (values, tuple(values), np.array(values)):
        assert read(Column("a", type_name, given), rows=len(values)).integers("a").tolist() == values


def test_a_range_is_a_column_too() -> None:
    assert read(Column("a", "UInt64", range(5, 9)), rows=4).integers("a").tolist() == [5, 6, 7, 8]


def test_unsigned_integers() -> None:
    values = np.array([0, 2**64 - 1], np.uint64)
    assert read(Column("a", "UInt64", values), rows=2).unsigned("a").tolist() == [0, 2**64 - 1]


@pytest.mark.parametrize(
    "values",
    [
        ["", "", ""],
        ["a", "b", "c"],
        ["same length", "same lengte"],
        ["é", "e"],  # one character each, not one byte
        ["x" * 127, "y" * 127],
        ["x" * 128, "y" * 128],
        ["", "x" * 16_384, "😀" * 128, "nul\0"],
        [f"{n}" for n in range(500)],
        [f"{n % 7}" for n in range(500)],
    ],
)
@pytest.mark.parametrize("type_name", ["String", LABEL])
def test_strings(values: list[str], type_name: str) -> None:
    table = read(Column("a", type_name, values), rows=len(values))
    assert table.strings("a") == values
    labels = table.labels("a")
    assert [labels.names[code] for code in labels.codes] == values


def test_bytes() -> None:
    values = [b"\xff\x00", b"", b"x" * 300]
    raw = encode_block([Column("a", "String", values)], 3)
    assert raw.endswith(b"\x02\xff\x00" + b"\x00" + b"\xac\x02" + b"x" * 300)


@pytest.mark.parametrize("distinct", [1, 255, 256, 257, 65_535, 65_536, 70_000])
def test_many_labels(distinct: int) -> None:
    rng = random.Random(distinct)
    values = [f"label {n}" for n in range(distinct)] + [""] * 3
    rng.shuffle(values)
    assert read(Column("a", LABEL, values), rows=len(values)).strings("a") == values


def test_blocks_follow_each_other() -> None:
    def block(texts: list[str]) -> bytes:
        numbers = list(map(len, texts))
        return encode_block([Column("a", LABEL, texts), Column("b", "String", texts), Column("n", "Int64", numbers)], 3)

    empty = b"\x03\x00" + b"".join(
        bytes((len(part),)) + part for part in (b"a", LABEL.encode(), b"b", b"String", b"n", b"Int64")
    )
    table = Table(block(["x", "yy", "x"]) + empty + block(["zzz", "x", ""]))
    assert table.rows == 6
    assert table.strings("a") == table.strings("b") == ["x", "yy", "x", "zzz", "x", ""]
    assert set(table.labels("a").names) == {"x", "yy", "zzz", ""}
    assert table.integers("n").tolist() == [1, 2, 1, 3, 1, 0]


def test_blocks_may_carry_information_before_them() -> None:
    block = encode_block([Column("a", "Int64", [7])], 1)
    assert Table(b"\x01\x00\x02\xff\xff\xff\xff\x00" + block, block_info=True).integers("a").tolist() == [7]


def test_nothing_is_an_empty_table() -> None:
    table = Table(b"")
    assert (table.rows, table.strings("a"), table.integers("a").tolist()) == (0, [], [])
    assert table.unsigned("a").dtype == np.uint64
    assert len(table.labels("a").codes) == 0


def test_a_block_that_was_cut_off_is_noticed() -> None:
    block = encode_block([Column("a", "String", ["abc"]), Column("b", "Int64", [1])], 1)
    for size in range(1, len(block)):
        with pytest.raises(ValueError, match="ends in the middle"):
            Table(block[:size])


def test_columns_of_different_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="column b has 1 values for 2 rows"):
        encode_block([Column("a", "Int64", [1, 2]), Column("b", "Int64", [1])], 2)


def test_numbers_that_do_not_fit_are_refused() -> None:
    wrong: list[tuple[str, Any]] = [("Int64", 2**63), ("UInt64", -1), ("UInt16", 70_000), ("Date32", 2**31)]
    for type_name, value in wrong:
        with pytest.raises(OverflowError):
            encode_block([Column("a", type_name, [value])], 1)


def test_nulls_are_told_from_zeros() -> None:
    values, given = read(Column("a", "Nullable(Int64)", [0, None, -(2**63)]), rows=3).nullable("a")
    assert values.tolist() == [0, 0, -(2**63)]
    assert given.tolist() == [True, False, True]
    assert [one.tolist() for one in Table(b"").nullable("a")] == [[], []]


def test_arrays_are_written_as_one_column_and_where_each_ends() -> None:
    ends = np.array([2, 2, 3], "<u8").tobytes()
    strings = encode_block([Column("a", "Array(String)", [["x", "yz"], [], [""]])], 3)
    assert strings.endswith(ends + b"\x01x\x02yz\x00")
    numbers = encode_block([Column("a", "Array(Nullable(Int64))", [[1, None], [], [3]])], 3)
    assert numbers.endswith(ends + b"\0\1\0" + np.array([1, 0, 3], "<i8").tobytes())
    assert encode_block([Column("a", "Array(Int64)", [[], []])], 2).endswith(b"Array(Int64)" + bytes(16))


def test_answers_are_joined_in_order() -> None:
    tables = [read(Column("a", "Int64", [n]), Column("b", LABEL, [f"{n}"]), rows=1) for n in (3, 1, 2)]
    joined = Table.joined(tables)
    assert joined.rows == 3
    assert joined.integers("a").tolist() == [3, 1, 2]
    assert joined.strings("b") == ["3", "1", "2"]
    assert Table.joined([]).rows == 0


@pytest.mark.parametrize("longest", [0, 1, 127, 128, 300])
@pytest.mark.parametrize("last", ["", "\0", "a\0b", "\u00e9", "\U0001f600", "x" * 127, "x" * 128])
def test_strings_of_many_lengths(longest: int, last: str) -> None:
    values = ["y" * length for length in range(longest + 1)] + [last]
    assert read(Column("a", "String", values), rows=len(values)).strings("a") == values
    assert read(Column("a", "String", values[::-1]), rows=len(values)).strings("a") == values[::-1]
