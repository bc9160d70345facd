"""Bodies of ``POST /events`` into records, each as the bytes it was sent in.

Only the body's own form is judged here; a record that is nonsense inside a well-formed body is refused by itself later.
"""

import re
from enum import Enum, auto

import msgspec

from campaignctl.errors import InvalidInput, MalformedRequest, TooLarge

MAX_RECORDS = 500_000
"""In one request: 32 MiB hold 440,000 of the shortest events there are."""

# A body of 32 MiB with more of them is no list of events; split, it would fill gigabytes.
_MAX_COMMAS = 4_000_000
_decode_array = msgspec.json.Decoder(list[msgspec.Raw]).decode


def split_json_array(body: bytes) -> list[bytes]:
    """The elements of a JSON array.

    Raises ``MalformedRequest`` when the body does not parse as UTF-8 JSON, ``InvalidInput`` when it is no array, and
    ``TooLarge`` when it has more than ``MAX_RECORDS`` elements. How deep an element is nested, and whether it holds
    half of a surrogate pair, does not matter here.
    """
    if body.count(b",") > _MAX_COMMAS:
        raise _too_many()
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise _malformed(f"the byte at {error.start} is not UTF-8") from None
    try:
        records = [bytes(raw) for raw in _decode_array(body)]
    except (msgspec.DecodeError, RecursionError):
        # No array, not JSON, or one of the two things that the quick parser takes for bad JSON and the contract not.
        records = [body[start:end] for start, end in _elements(body)]
    return _counted(records)


def split_ndjson(body: bytes) -> list[bytes]:
    """The lines of a body, without blank ones and without their ends, which may be CRLF.

    Blanks within a line stay: a dead letter is to hold the bytes that were sent. Raises ``TooLarge`` when there are
    more than ``MAX_RECORDS``.
    """
    if body.count(b"\n") > _MAX_COMMAS:
        raise _too_many()
    return _counted([line.removesuffix(b"\r") for line in body.split(b"\n") if line.strip(_BLANKS)])


def _counted(records: list[bytes]) -> list[bytes]:
    if len(records) > MAX_RECORDS:
        raise _too_many()
    return records


_BLANKS = b" \t\r\n"
_TOKEN = re.compile(
    rb"[ \t\n\r]*+("
    rb"\[++|\]++|[{},:]"  # brackets in one go: a million of them in 20 ms
    rb'|"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+"'
    rb"|-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
    rb"|true|false|null)"
)
_ONLY_BLANKS = re.compile(rb"[ \t\n\r]*+\Z")
_OPENING, _CLOSING = b"[{", b"]}"


class _Expected(Enum):
    """What may come next in a JSON text."""

    VALUE = auto()
    VALUE_OR_END = auto()
    NAME = auto()
    NAME_OR_END = auto()
    COLON = auto()
    COMMA_OR_END = auto()
    NOTHING = auto()


_VALUES = frozenset({_Expected.VALUE, _Expected.VALUE_OR_END})
_NAMES = frozenset({_Expected.NAME, _Expected.NAME_OR_END})
_ENDS = {
    ord("]"): frozenset({_Expected.VALUE_OR_END, _Expected.COMMA_OR_END}),
    ord("}"): frozenset({_Expected.NAME_OR_END, _Expected.COMMA_OR_END}),
}


class _Scanner:
    """Reads a JSON text of any depth, token by token, and remembers where the elements of the outermost array lie.

    20 times slower than the quick parser (0.5 us a token), so only for bodies that the quick one refuses.
    """

    def __init__(self, body: bytes) -> None:
        self.elements: list[tuple[int, int]] = []
        self.is_array = False
        self._body = body
        self._opened = bytearray()
        self._expected = _Expected.VALUE
        self._element_start = 0

    def run(self) -> None:
        """Read the whole text; raises ``MalformedRequest`` where it is not JSON."""
        end = 0
        while self._expected is not _Expected.NOTHING:
            match = _TOKEN.match(self._body, end)
            if match is None:
                raise _malformed(f"byte {end} does not begin anything that may stand there")
            start, end = match.span(1)
            if not self._take(self._body[start], start, end):
                raise _malformed(f"byte {start} may not stand there")
        if not _ONLY_BLANKS.match(self._body, end):
            raise _malformed(f"it goes on after its end at byte {end}")

    def _take(self, first: int, start: int, end: int) -> bool:
        """Take the token that begins with ``first``; False when it may not come here."""
        if first in b",:":
            return self._take_separator(first)
        if first in _CLOSING:
            return self._take_closing(first, start, end)
        if first == ord('"') and self._expected in _NAMES:
            self._expected = _Expected.COLON
            return True
        if self._expected not in _VALUES:
            return False
        if not self._opened:
            self.is_array = first == ord("[")
            self._element_start = start + 1
        elif len(self._opened) == 1:
            self._element_start = start
        if first in _OPENING:
            self._opened += self._body[start:end]
            self._expected = _Expected.VALUE_OR_END if first == ord("[") else _Expected.NAME_OR_END
        else:
            self._end_value(end)
        return True

    def _take_separator(self, first: int) -> bool:
        if first == ord(":"):
            allowed, self._expected = self._expected is _Expected.COLON, _Expected.VALUE
            return allowed
        allowed = self._expected is _Expected.COMMA_OR_END
        self._expected = _Expected.VALUE if self._opened[-1:] == b"[" else _Expected.NAME
        return allowed

    def _take_closing(self, first: int, start: int, end: int) -> bool:
        count = end - start
        opening = _OPENING[_CLOSING.index(first) : _CLOSING.index(first) + 1]
        if self._expected not in _ENDS[first] or not self._opened.endswith(opening * count):
            return False
        del self._opened[-count:]
        if not self._opened and count > 1:  # the last but one ended an element
            self.elements.append((self._element_start, end - 1))
        self._end_value(end)
        return True

    def _end_value(self, end: int) -> None:
        self._expected = _Expected.COMMA_OR_END if self._opened else _Expected.NOTHING
        if len(self._opened) == 1:
            self.elements.append((self._element_start, end))


def _elements(body: bytes) -> list[tuple[int, int]]:
    scanner = _Scanner(body)
    scanner.run()
    if not scanner.is_array:
        raise InvalidInput.of("body", "must be an array of events, also for a single one: [{...}]")
    return scanner.elements


def _malformed(why: str) -> MalformedRequest:
    return MalformedRequest(
        f"The body is not valid JSON in UTF-8: {why}. Nothing was taken.",
        hint="Send a JSON array of events, or one event a line as application/x-ndjson.",
    )


def _too_many() -> TooLarge:
    return TooLarge(f"One request takes at most {MAX_RECORDS:,} events.", hint="Send them in several requests.")
