"""ClickHouse's Native format: a block of columns, each one stretch of bytes.

Building it here and not in the driver is what makes landing cheap: 0.5 CPU-seconds a million rows of 21 columns, where
the driver's column insert takes 2.7 (most of it in datetimes and one Python call per cell). Only the types that our
tables and statements have are written and read.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

_LOW_CARDINALITY = "LowCardinality(String)"
_ARRAY, _NULLABLE = "Array(", "Nullable("
_DICTIONARY_VERSION = 1
# The column carries its own dictionary, which replaces any before it; the low byte says how wide its indexes are.
_OWN_DICTIONARY = 0x600
_LONGEST_SHORT = 127
_INDEX_TYPES = ("<u1", "<u2", "<u4", "<u8")
_INTEGER_TYPES = {
    "UInt8": "<u1",
    "Bool": "<u1",
    "UInt16": "<u2",
    "UInt32": "<u4",
    "UInt64": "<u8",
    "Int32": "<i4",
    "Int64": "<i8",
    "Date32": "<i4",
    "DateTime64": "<i8",
}

_Array = NDArray[np.integer[Any]]
Integers = Sequence[int] | _Array


class Column(NamedTuple):
    """A column to be written. Days, times and decimals are given as the integers they are stored as."""

    name: str
    type: str
    values: Sequence[str] | Sequence[bytes] | Integers | Sequence[Sequence[str]] | Sequence[Sequence[int | None]]


@dataclass(frozen=True, slots=True)
class Labels:
    """A column of strings as codes into the distinct ones, in the order in which they came up."""

    codes: NDArray[np.int64]
    names: list[str]


class _WithNulls(NamedTuple):
    values: _Array
    nulls: NDArray[np.bool_]


_Piece = _Array | Labels | list[str] | _WithNulls


def encode_block(columns: Sequence[Column], rows: int) -> bytes:
    """One block; every column must have ``rows`` values, at least one."""
    parts = [_varint(len(columns)), _varint(rows)]
    for column in columns:
        if len(column.values) != rows:
            raise ValueError(f"column {column.name} has {len(column.values)} values for {rows} rows")
        parts += (_text(column.name), _text(column.type), _encoder(column.type)(column.values))
    return b"".join(parts)


def _encoder(type_name: str) -> Callable[..., bytes]:
    if type_name == "String":
        return _strings
    if type_name == _LOW_CARDINALITY:
        return _low_cardinality
    if type_name.startswith(_ARRAY):
        inner = type_name.removeprefix(_ARRAY)[:-1]
        return lambda values: _arrays(values, inner)
    if type_name.startswith(_NULLABLE):
        inner = type_name.removeprefix(_NULLABLE)[:-1]
        return lambda values: _nullable(values, inner)
    integer = _INTEGER_TYPES[type_name.partition("(")[0]]
    return lambda values: _integers(values, integer)


def _integers(values: Integers, dtype: str) -> bytes:
    if isinstance(values, np.ndarray):
        return values.astype(dtype, copy=False).tobytes()
    return np.fromiter(values, dtype, len(values)).tobytes()


def _strings(values: Sequence[str] | Sequence[bytes]) -> bytes:
    if isinstance(values[0], str):
        short = _short_ascii(cast(Sequence[str], values))
        if short is not None:
            return short
    distinct: set[str | bytes] = set(values)
    if len(distinct) * 2 > len(values):
        return b"".join(map(_text, values))
    encoded = {value: _text(value) for value in distinct}
    return b"".join(map(encoded.__getitem__, values))


def _short_ascii(values: Sequence[str]) -> bytes | None:
    """Texts whose lengths fit a byte each, as ids do: all joined at once, 40 ns a text instead of 120; else None."""
    joined = "\0" + "\0".join(values)
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    if lengths.max() > _LONGEST_SHORT or not joined.isascii():
        return None
    raw = np.frombuffer(joined.encode(), np.uint8).copy()
    ends = np.cumsum(lengths + 1)
    raw[ends - lengths - 1] = lengths
    return raw.tobytes()


def _low_cardinality(values: Sequence[str]) -> bytes:
    names = ["", *sorted(set(values) - {""})]  # the default value must come first
    codes = {name: code for code, name in enumerate(names)}
    width = 0 if len(names) <= 1 << 8 else 1 if len(names) <= 1 << 16 else 2
    if width == 0:
        indexes = bytes(map(codes.__getitem__, values))
    else:
        indexes = np.fromiter(map(codes.__getitem__, values), _INDEX_TYPES[width], len(values)).tobytes()
    head = np.array([_DICTIONARY_VERSION, _OWN_DICTIONARY | width, len(names)], "<u8").tobytes()
    return b"".join((head, *map(_text, names), np.uint64(len(values)).astype("<u8").tobytes(), indexes))


def _arrays(values: Sequence[Sequence[Any]], inner: str) -> bytes:
    """Where each array ends, then the elements of all of them as one column."""
    ends = np.cumsum(np.fromiter(map(len, values), "<u8", len(values)), dtype="<u8").tobytes()
    elements = list(chain.from_iterable(values))
    return ends + (_encoder(inner)(elements) if elements else b"")


def _nullable(values: Sequence[int | None], inner: str) -> bytes:
    """A byte for each value that says whether it is NULL, then the values, with 0 where there is none."""
    nulls = bytes(value is None for value in values)
    return nulls + bytes(_encoder(inner)([value or 0 for value in values]))


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return (_SHORT[len(raw)] if len(raw) < 128 else _varint(len(raw))) + raw


def _varint(number: int) -> bytes:
    out = bytearray()
    while number >= 128:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


_SHORT = tuple(bytes((length,)) for length in range(128))


class Table:
    """Blocks of one statement's answer, read into whole columns by name."""

    def __init__(self, data: bytes, *, block_info: bool = False) -> None:
        """``block_info``: eight bytes stand before each block, as a server sends that was told a protocol version."""
        self.rows = 0
        self._pieces: dict[str, list[_Piece]] = {}
        reader = _Reader(data)
        while not reader.at_end:
            if block_info:
                reader.take(8)
            self._read_block(reader)

    @classmethod
    def joined(cls, tables: Iterable["Table"]) -> "Table":
        """The rows of several answers to one statement, one behind the other."""
        joined = cls(b"")
        for table in tables:
            joined.rows += table.rows
            for name, pieces in table._pieces.items():
                joined._pieces.setdefault(name, []).extend(pieces)
        return joined

    def integers(self, name: str) -> NDArray[np.int64]:
        """A column of integers, days or times that fit 64 bits with a sign."""
        pieces = [piece for piece in self._pieces.get(name, ()) if isinstance(piece, np.ndarray)]
        return np.concatenate(pieces).astype(np.int64, copy=False) if pieces else np.zeros(0, np.int64)

    def nullable(self, name: str) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """A column of integers of which some are NULL: the values, 0 for those, and which are not NULL."""
        pieces = [piece for piece in self._pieces.get(name, ()) if isinstance(piece, _WithNulls)]
        values = [np.zeros(0, np.int64), *(np.where(piece.nulls, 0, piece.values) for piece in pieces)]
        given = [np.zeros(0, np.bool_), *(~piece.nulls for piece in pieces)]
        return np.concatenate(values), np.concatenate(given)

    def unsigned(self, name: str) -> NDArray[np.uint64]:
        pieces = [piece for piece in self._pieces.get(name, ()) if isinstance(piece, np.ndarray)]
        return np.concatenate(pieces).astype(np.uint64, copy=False) if pieces else np.zeros(0, np.uint64)

    def labels(self, name: str) -> Labels:
        """A column of strings, as codes."""
        known: dict[str, int] = {}
        codes = [np.zeros(0, np.int64)]
        for piece in self._pieces.get(name, ()):
            if isinstance(piece, Labels):
                renumbered = [known.setdefault(label, len(known)) for label in piece.names]
                codes.append(np.array(renumbered, np.int64)[piece.codes])
            elif isinstance(piece, list):
                codes.append(np.array([known.setdefault(value, len(known)) for value in piece], np.int64))
        return Labels(np.concatenate(codes), list(known))

    def strings(self, name: str) -> list[str]:
        """A column of strings, one by one."""
        values: list[str] = []
        for piece in self._pieces.get(name, ()):
            if isinstance(piece, Labels):
                values += map(piece.names.__getitem__, piece.codes.tolist())
            elif isinstance(piece, list):
                values += piece
        return values

    def _read_block(self, reader: "_Reader") -> None:
        columns, rows = reader.varint(), reader.varint()
        self.rows += rows
        for _ in range(columns):
            name, type_name = reader.text(), reader.text()
            if rows:
                self._pieces.setdefault(name, []).append(_read_column(reader, type_name, rows))


def _read_column(reader: "_Reader", type_name: str, rows: int) -> "_Piece":
    if type_name == "String":
        return reader.strings(rows)
    if type_name.startswith(_NULLABLE):
        nulls = reader.array("<u1", rows).astype(np.bool_)
        return _WithNulls(reader.array(_INTEGER_TYPES[type_name.removeprefix(_NULLABLE)[:-1]], rows), nulls)
    if type_name == _LOW_CARDINALITY:
        return _read_low_cardinality(reader)
    return reader.array(_INTEGER_TYPES[type_name.partition("(")[0]], rows)


def _read_low_cardinality(reader: "_Reader") -> Labels:
    reader.take(8)  # the version
    flags, size = reader.array("<u8", 2).tolist()
    names = reader.strings(size)
    (rows,) = reader.array("<u8", 1).tolist()
    return Labels(reader.array(_INDEX_TYPES[flags & 0xFF], rows).astype(np.int64), names)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def at_end(self) -> bool:
        return self._at >= len(self._data)

    def take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise ValueError("the answer ends in the middle of a block")
        return self._data[start : self._at]

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 127) << shift
            if byte < 128:
                return number
            shift += 7

    def text(self) -> str:
        return self.take(self.varint()).decode(errors="replace")

    def strings(self, count: int) -> list[str]:
        return [self.text() for _ in range(count)]

    def array(self, dtype: str, size: int) -> "_Array":
        return np.frombuffer(self.take(size * np.dtype(dtype).itemsize), dtype)
