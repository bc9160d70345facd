"""The body of a chunk: a run of records, column by column, so that reading is slicing.

    prefix         layout version, flags (has keys, has headers), number of records n
    value lengths  n unsigned 32-bit numbers
    key lengths    n signed ones, -1 for no key            (with the flag)
    header lengths n unsigned ones, 0 for no headers       (with the flag)
    values, keys, headers, each column joined without separators

Everything is little-endian. A record's headers are, one after another: length of the name, length of the value, both
unsigned 32-bit, then the name in UTF-8 and the value.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from struct import Struct, pack, unpack_from

from campaignctl.ports.event_log import Headers, NewRecord

# One chunk is the least that is read to get at one record: 0.15 ms, and 0.5 ms with chunks of 1 MiB.
MAX_CHUNK_RECORDS = 1_024
MAX_CHUNK_BYTES = 131_072

_LAYOUT_VERSION = 1
_HAS_KEYS = 1
_HAS_HEADERS = 2
_PREFIX = Struct("<HHI")
_HEADER_LENGTHS = Struct("<II")


@dataclass(frozen=True, slots=True)
class Chunk:
    count: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Columns:
    """Decoded records (all lists are of one length)."""

    keys: list[bytes | None]
    values: list[bytes]
    headers: list[Headers]
    values_bytes: int


def encode_chunks(records: Sequence[NewRecord]) -> list[Chunk]:
    """The records, in order, as chunks within the bounds above (a larger record has a chunk of its own)."""
    return [_encode(run) for run in _runs(records)]


def _runs(records: Sequence[NewRecord]) -> Iterator[Sequence[NewRecord]]:
    start = size = 0
    for index, record in enumerate(records):
        size += len(record.value)
        if index > start and (size > MAX_CHUNK_BYTES or index - start == MAX_CHUNK_RECORDS):
            yield records[start:index]
            start, size = index, len(record.value)
    if start < len(records):
        yield records[start:]


def _encode(records: Sequence[NewRecord]) -> Chunk:
    count = len(records)
    keys = [record.key for record in records]
    values = [record.value for record in records]
    has_keys = any(key is not None for key in keys)
    has_headers = any(record.headers for record in records)
    parts = [
        _PREFIX.pack(_LAYOUT_VERSION, has_keys * _HAS_KEYS | has_headers * _HAS_HEADERS, count),
        pack(f"<{count}I", *map(len, values)),
    ]
    headers: list[bytes] = []
    if has_keys:
        parts.append(pack(f"<{count}i", *(-1 if key is None else len(key) for key in keys)))
    if has_headers:
        headers = [_encode_headers(record.headers) for record in records]
        parts.append(pack(f"<{count}I", *map(len, headers)))
    parts += values
    if has_keys:
        parts += [key for key in keys if key]
    parts += headers
    return Chunk(count, b"".join(parts))


def _encode_headers(headers: Headers) -> bytes:
    parts: list[bytes] = []
    for name, value in headers:
        name_bytes = name.encode()
        parts += (_HEADER_LENGTHS.pack(len(name_bytes), len(value)), name_bytes, value)
    return b"".join(parts)


def decode_chunk(body: bytes, skip: int, max_records: int, max_values_bytes: int) -> Columns:
    """The records after the first ``skip``: at most ``max_records``, and as many as fit the bytes, but at least one."""
    version, flags, count = _PREFIX.unpack_from(body)
    if version != _LAYOUT_VERSION:
        raise ValueError(f"a chunk has the unknown layout version {version}")
    at = _PREFIX.size
    value_lengths: tuple[int, ...] = unpack_from(f"<{count}I", body, at)
    at += 4 * count
    key_lengths: tuple[int, ...] = ()
    header_lengths: tuple[int, ...] = ()
    if flags & _HAS_KEYS:
        key_lengths = unpack_from(f"<{count}i", body, at)
        at += 4 * count
    if flags & _HAS_HEADERS:
        header_lengths = unpack_from(f"<{count}I", body, at)
        at += 4 * count

    ends = list(accumulate(value_lengths, initial=at))
    stop = _stop(ends, skip, max_records, max_values_bytes)
    at = ends[-1]
    values = [body[a:b] for a, b in zip(ends[skip:stop], ends[skip + 1 : stop + 1], strict=True)]
    keys: list[bytes | None] = [None] * (stop - skip)
    headers: list[Headers] = [()] * (stop - skip)
    if key_lengths:
        key_ends = list(accumulate((max(length, 0) for length in key_lengths), initial=at))
        at = key_ends[-1]
        keys = [None if key_lengths[i] < 0 else body[key_ends[i] : key_ends[i + 1]] for i in range(skip, stop)]
    if header_lengths:
        header_ends = list(accumulate(header_lengths, initial=at))
        headers = [_decode_headers(body, header_ends[i], header_ends[i + 1]) for i in range(skip, stop)]
    return Columns(keys, values, headers, ends[stop] - ends[skip])


def _stop(ends: Sequence[int], skip: int, max_records: int, max_values_bytes: int) -> int:
    """The index after the last record to take; ``ends[i]`` is where the value of record ``i`` begins."""
    fits = bisect_right(ends, ends[skip] + max_values_bytes) - 1
    return min(max(fits, skip + 1), skip + max_records)


def _decode_headers(body: bytes, at: int, end: int) -> Headers:
    headers: list[tuple[str, bytes]] = []
    while at < end:
        name_length, value_length = _HEADER_LENGTHS.unpack_from(body, at)
        at += _HEADER_LENGTHS.size
        name_end = at + name_length
        headers.append((body[at:name_end].decode(), body[name_end : name_end + value_length]))
        at = name_end + value_length
    return tuple(headers)
