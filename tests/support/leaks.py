"""Looking for secrets in what a program leaves behind: in any file, and in what lies packed in its stores."""

import base64
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

Place = tuple[str, bytes]
"""What something is, and its bytes."""


class Leaks:
    """Knows some secrets in the spellings in which they could lie somewhere."""

    def __init__(self, secrets: Iterable[str]) -> None:
        found = {spelling for secret in secrets for spelling in _spellings(secret)}
        self._any = re.compile(b"|".join(re.escape(one) for one in sorted(found, key=len, reverse=True)))

    def among(self, places: Iterable[Place]) -> list[str]:
        """The places that hold one, each with what lies around it."""
        return [
            f"{place}: {content[max(0, hit.start() - 60) : hit.end() + 20]!r}"
            for place, content in places
            if (hit := self._any.search(content)) is not None
        ]


def _spellings(secret: str) -> Iterator[bytes]:
    plain = secret.encode()
    yield plain
    yield plain[::-1]
    yield plain.hex().encode()
    yield quote(secret, safe="").encode()
    for shift in range(3):  # base64 of it spells differently in each place of a group of three
        spelled = base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 :]
        whole = spelled[: len(spelled) // 4 * 4 - 4]
        yield whole
        yield whole.translate(bytes.maketrans(b"+/", b"-_"))


def of_files(directory: Path) -> Iterator[Place]:
    """Every file below, as it is."""
    for path in sorted(directory.rglob("*")):
        if path.is_file():
            yield str(path.relative_to(directory)), path.read_bytes()


def of_sqlite(path: Path) -> Iterator[Place]:
    """Every value of every table, unpacked where it is packed."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for name in names:
            for number, row in enumerate(database.execute(f'SELECT * FROM "{name}"')):
                yield from of_values(f"{path.name} {name} {number}", row)


def of_values(place: str, values: Sequence[object]) -> Iterator[Place]:
    """Of one row."""
    for value in values:
        if isinstance(value, str):
            yield place, value.encode()
        elif isinstance(value, bytes | memoryview):
            yield place, bytes(value)
            yield place, _unpacked(bytes(value))


def _unpacked(value: bytes) -> bytes:
    try:
        return zlib.decompress(value)
    except zlib.error:
        return b""
