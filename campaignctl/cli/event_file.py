"""Event files: newline-delimited JSON, plain or compressed, cut into batches that one request takes."""

import gzip
import io
import os
import stat
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

import msgspec

from campaignctl.cli.standard_input import is_standard_input
from campaignctl.errors import InvalidInput

BATCH_BYTES = 4 << 20
"""Unpacked bytes of a request: the server takes 32 MiB, but few large ones at once."""
BATCH_LINES = 20_000
_LONGEST_LINE = 30 << 20
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(slots=True)
class Batch:
    """Lines of one request, without blank ones."""

    lines: list[bytes] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    """Each line's number in the file, from 1."""
    size_bytes: int = 0

    def body(self) -> bytes:
        return b"".join(self.lines)

    def add(self, line: bytes, number: int) -> None:
        self.lines.append(line if line.endswith(b"\n") else line + b"\n")
        self.numbers.append(number)
        self.size_bytes += len(self.lines[-1])

    def is_full_for(self, line: bytes) -> bool:
        return bool(self.lines) and (len(self.lines) >= BATCH_LINES or self.size_bytes + len(line) >= BATCH_BYTES)


@dataclass(frozen=True, slots=True)
class EventFile:
    """A file of events that is being read."""

    unpacked: BinaryIO
    packed: BinaryIO
    """As it lies there: what ``size_bytes`` counts."""
    size_bytes: int | None
    """None where nobody knows: standard input, a pipe, a device."""

    @property
    def read_bytes(self) -> int:
        """How much of ``size_bytes`` was read so far."""
        return self.packed.tell()


@contextmanager
def open_events(path: Path) -> Iterator[EventFile]:
    """A file or, for ``-``, standard input; compression is seen by the first two bytes."""
    if is_standard_input(path):
        yield EventFile(_unpacked(sys.stdin.buffer), sys.stdin.buffer, None)
        return
    with path.open("rb") as file:
        told = os.fstat(file.fileno())
        yield EventFile(_unpacked(file), file, told.st_size if stat.S_ISREG(told.st_mode) else None)


def _unpacked(file: BinaryIO) -> BinaryIO:
    buffered = file if isinstance(file, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, file))
    if buffered.peek(2)[:2] == _GZIP_MAGIC:
        return cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
    return buffered


def batches(file: BinaryIO) -> Iterator[Batch]:
    """The file's lines in order; raises ``InvalidInput`` where it cannot be unpacked or a line has no end."""
    batch = Batch()
    for number, line in enumerate(_lines(file), start=1):
        if not line.strip(b" \t\r\n"):
            continue
        if batch.is_full_for(line):
            yield batch
            batch = Batch()
        batch.add(line, number)
    if batch.lines:
        yield batch


def _lines(file: BinaryIO) -> Iterator[bytes]:
    number = 0
    while True:
        number += 1
        try:
            line = file.readline(_LONGEST_LINE)
        except (EOFError, gzip.BadGzipFile, zlib.error):
            raise InvalidInput.of(f"FILE line {number}", "the compressed file is damaged or cut short here") from None
        if not line:
            return
        if len(line) >= _LONGEST_LINE:
            raise InvalidInput.of(f"FILE line {number}", "is longer than 30 MiB: this is no file of one event a line")
        yield line


def with_campaign(line: bytes, campaign_id: int) -> bytes:
    """The event with another campaign; every other value keeps its own spelling. What is no object stays as it is."""
    try:
        members = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return line
    members["campaign_id"] = msgspec.Raw(str(campaign_id).encode())
    return msgspec.json.encode(members) + b"\n"


def campaign_of(line: bytes) -> int | None:
    """The campaign of an event that was accepted."""
    try:
        return int(msgspec.json.decode(line)["campaign_id"])
    except (msgspec.MsgspecError, KeyError, TypeError, ValueError):
        return None
