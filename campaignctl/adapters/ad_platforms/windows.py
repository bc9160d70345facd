"""Reading a window part by part: cursors, requests that turn out too large, and the place to go on from.

A window begins as one *part*. A part is read page by page; one that the platform cannot answer is read in smaller pages
or split by days, then by native campaigns. What is left to read is a list of parts, and that list, as text, is the
window's place.

Guards that hold for every platform: no place twice, at most 1,000 pages, and no row twice: the same row again is left
out, and one that has changed meanwhile means that the report changed while it was read, so the window starts again.
"""

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any, Final, NamedTuple

import msgspec

from campaignctl.adapters.ad_platforms.http import TooMuch
from campaignctl.domain.reports import ReportRow
from campaignctl.errors import PlatformAnswerInvalid, PlatformError, PlatformUnavailable
from campaignctl.ports.ad_platforms import AccountAccess, ReportPage, ReportRequest

MAX_PAGES: Final = 1_000
_RESTARTS = 3
_ONE_DAY = timedelta(days=1)
_log = logging.getLogger(__name__)


class Part(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """Some days of a window, of some or of all native campaigns, and how far it has been read."""

    first: date
    last: date
    native_ids: tuple[str, ...] | None = None
    cursor: str = ""
    """The platform's own place within the part; "" is its start."""
    size: int = 0
    """Rows a page; 0: as many as the platform's client asks for at first."""
    way: str = ""
    """How the platform is asked, where there are several ways."""

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


class KeyedRow(NamedTuple):
    """A row under the platform's own key of it: two keys can come to one country."""

    key: tuple[object, ...]
    row: ReportRow


@dataclass(frozen=True, slots=True)
class Chunk:
    """What reading a part gave."""

    rows: Sequence[KeyedRow]
    raw: bytes = field(repr=False)
    then: Part | None
    """Where the part goes on; None: it is read to its end."""
    fetched_at: datetime


class Lost(Exception):
    """The platform no longer knows the place, or its report has changed: the window has to start again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Place(msgspec.Struct, frozen=True):
    v: int
    pages: int
    parts: list[Part]


Read = Callable[[Part], Chunk]
Split = Callable[[Part, TooMuch], Sequence[Part] | None]


class SeenRows:
    """The rows of a window so far, by two hashes each."""

    def __init__(self, platform: str) -> None:
        self._platform = platform
        self._contents: dict[int, int] = {}

    def fresh(self, rows: Sequence[KeyedRow]) -> list[ReportRow]:
        """Those that were not there yet, one per campaign, day and region. ``Lost`` when one has changed."""
        fresh: list[ReportRow] = []
        contents = self._contents
        for keyed, row in rows:
            key, content = hash(keyed), hash(row)
            known = contents.get(key)
            if known is None:
                contents[key] = content
                fresh.append(row)
            elif known != content:
                raise Lost("the report changed while it was read")
        if len(fresh) < len(rows):
            _log.info("%s: %d rows of a page came a second time", self._platform, len(rows) - len(fresh))
        return merged(fresh)

    def clear(self) -> None:
        self._contents.clear()


class WindowReader:
    """Reads one window once; ``read`` and ``split`` are the platform's."""

    def __init__(
        self,
        access: AccountAccess,
        window: ReportRequest,
        *,
        start: Part,
        read: Read,
        split: Split,
        max_pages: int = MAX_PAGES,
    ) -> None:
        self._access = access
        self._window = window
        self._start = start
        self._read = read
        self._split = split
        self._max_pages = max_pages
        self._seen_rows = SeenRows(access.platform)
        self._seen_places: set[bytes] = set()
        self._pages = 0
        self._afresh = False
        self._restarts = 0

    def pages(self, resume: str | None) -> Iterator[ReportPage]:
        left = self._from_place(resume)
        while left:
            try:
                chunk = self._read(left[0])
                rows = self._seen_rows.fresh(chunk.rows)
            except TooMuch as reason:
                left = self._smaller(left, reason)
                continue
            except Lost as reason:
                left = self._again([self._start], reason.reason)
                continue
            if chunk.then is not None:
                self._check_place(left[0], chunk.then)
            left = left[1:] if chunk.then is None else [chunk.then, *left[1:]]
            self._pages += 1
            if self._pages > self._max_pages:
                raise self._error(PlatformAnswerInvalid, f"gave more than {self._max_pages:,} pages")
            yield ReportPage(rows, chunk.raw, self._place(left), chunk.fetched_at, self._afresh)
            self._afresh = False

    def _from_place(self, resume: str | None) -> list[Part]:
        if resume is None:
            return [self._start]
        try:
            place = msgspec.json.decode(resume, type=_Place)
        except (msgspec.MsgspecError, UnicodeError):
            place = _Place(0, 0, [])
        if place.v != _VERSION or not place.parts:
            return self._again([self._start], "the place is of another version")
        self._pages = place.pages
        return place.parts

    def _place(self, left: list[Part]) -> str | None:
        return msgspec.json.encode(_Place(_VERSION, self._pages, left)).decode() if left else None

    def _check_place(self, here: Part, then: Part) -> None:
        digest = hashlib.blake2b(msgspec.json.encode(then), digest_size=16).digest()
        if digest in self._seen_places or then == here:
            raise self._error(PlatformAnswerInvalid, "gave a place in its pages a second time")
        self._seen_places.add(digest)

    def _smaller(self, left: list[Part], reason: TooMuch) -> list[Part]:
        part = left[0]
        pieces = self._split(part, reason)
        if not pieces:
            raise self._error(PlatformUnavailable, f"{reason.reason}, and cannot be asked for less at once")
        _log.info("%s: %s; asking for less at once", self._access.platform, reason.reason)
        if part.cursor and not any(piece.cursor for piece in pieces):
            # Pages of the part are out already, and the pieces would tell their rows again.
            whole = replace_start(self._start, pieces[0])
            return self._again(cut(whole, pieces[0]), reason.reason)
        return [*pieces, *left[1:]]

    def _again(self, parts: list[Part], reason: str) -> list[Part]:
        self._restarts += 1
        if self._restarts > _RESTARTS:
            raise self._error(PlatformUnavailable, f"{reason}, {self._restarts} times in a row")
        _log.info("%s: %s; starting the window again", self._access.platform, reason)
        self._seen_rows.clear()
        self._seen_places.clear()
        self._pages = 0
        self._afresh = True
        return parts

    def _error(self, kind: type[PlatformError], reason: str) -> PlatformError:
        access = self._access
        return kind(f"{access.platform}: the report {reason}", platform=access.platform, account_id=access.account_id)


_VERSION = 1


def part_of(window: ReportRequest, **how: Any) -> Part:
    return Part(window.first, window.last, window.native_ids, **how)


def replace_start(start: Part, piece: Part) -> Part:
    """The whole window, asked in the way and page size of a piece of it."""
    return msgspec.structs.replace(start, size=piece.size, way=piece.way)


def halves(part: Part) -> list[Part] | None:
    """The part in two, from their starts: by days, else by native campaigns; None when it is neither."""
    change = msgspec.structs.replace
    if part.days > 1:
        middle = part.first + timedelta(days=part.days // 2 - 1)
        return [change(part, last=middle, cursor=""), change(part, first=middle + _ONE_DAY, cursor="")]
    if part.native_ids is not None and len(part.native_ids) > 1:
        half = len(part.native_ids) // 2
        return [
            change(part, native_ids=part.native_ids[:half], cursor=""),
            change(part, native_ids=part.native_ids[half:], cursor=""),
        ]
    return None


def cut(whole: Part, piece: Part) -> list[Part]:
    """The whole in parts that are no larger than the piece, in days and in native campaigns."""
    change = msgspec.structs.replace
    parts = [change(whole, first=first, last=last) for first, last in spans(whole.first, whole.last, piece.days)]
    most = len(piece.native_ids or ())
    if not most or whole.native_ids is None:
        return parts
    groups = [whole.native_ids[start : start + most] for start in range(0, len(whole.native_ids), most)]
    return [change(part, native_ids=group) for part in parts for group in groups]


def spans(first: date, last: date, days: int) -> Iterator[tuple[date, date]]:
    """The days in runs of at most so many, oldest first; nothing when ``first`` is behind ``last``."""
    while first <= last:
        end = min(last, first + timedelta(days=days - 1))
        yield first, end
        first = end + _ONE_DAY


def split_days(request: ReportRequest, *, earliest: date, days: int) -> list[ReportRequest]:
    """The request in windows of at most so many days, without those before ``earliest``."""
    first = max(request.first, earliest)
    return [replace(request, first=start, last=end) for start, end in spans(first, request.last, days)]


def months_before(day: date, months: int) -> date:
    """The same day so many months earlier, or the last one its month has."""
    index = day.year * 12 + day.month - 1 - months
    year, month = divmod(index, 12)
    following = date(year + (month == 11), (month + 1) % 12 + 1, 1)
    return min(date(year, month + 1, 1) + timedelta(days=day.day - 1), following - _ONE_DAY)


def merged(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """The rows of a page with those of one campaign, day and region added up, in the order of their first."""
    if not any(row.region for row in rows):  # totals: the key of each is its campaign and day, so nothing adds up
        return list(rows)
    sums: dict[tuple[str, date, str], ReportRow] = {}
    for row in rows:
        key = (row.native_id, row.day, row.region)
        known = sums.get(key)
        sums[key] = row if known is None else _added(known, row)
    return list(sums.values())


def _added(one: ReportRow, other: ReportRow) -> ReportRow:
    def plus(a: int | None, b: int | None) -> int | None:
        return None if a is None or b is None else a + b

    return msgspec.structs.replace(
        one,
        impressions=plus(one.impressions, other.impressions),
        clicks=plus(one.clicks, other.clicks),
        conversions_millionths=plus(one.conversions_millionths, other.conversions_millionths),
        spend_micros=plus(one.spend_micros, other.spend_micros),
        revenue_micros=plus(one.revenue_micros, other.revenue_micros),
    )
