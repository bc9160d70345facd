"""The fast reading: many records at once into columns, for the spellings that producers usually use.

Whatever it cannot vouch for it marks, by position, and leaves to ``record.read_record``: a marked position's values
mean nothing. It never refuses and never guesses, so both readings agree wherever a position is not marked.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Annotated, Any, Final, TypeAlias, cast

import msgspec
import numpy as np
from msgspec import Meta, Raw
from numpy.typing import NDArray

from campaignctl.domain.currencies import normalize_currency
from campaignctl.domain.events import fields
from campaignctl.domain.events.fields import RuleError
from campaignctl.domain.events.model import EventLimits
from campaignctl.domain.events.record import check_form
from campaignctl.domain.events.times import DAY_US, parse_times
from campaignctl.domain.money import MILLION
from campaignctl.domain.regions import UNKNOWN_REGION, normalize_region

Column: TypeAlias = list[Any] | NDArray[np.int64]
_I64: TypeAlias = NDArray[np.int64]
_Label = Annotated[str, Meta(max_length=fields.MAX_TEXT)]
_NULL: Final = Raw(b"null")


class _TypedEvent(msgspec.Struct, gc=False):
    """A record whose texts are texts and whose numbers are numbers; anything else is an error, hence marked.

    Amounts stay raw: the value decides, exactly, and a float alone would not tell 0.1 from 0.1000000000000000055.
    """

    event_id: Annotated[str, Meta(min_length=1, max_length=fields.MAX_TEXT)]
    campaign_id: int | float
    platform: str
    event_time: str | int | float
    event_type: str | None = None
    region: str | None = None
    ad_group_id: _Label | None = None
    ad_id: _Label | None = None
    device: _Label | None = None
    impressions: int | float | None = None
    clicks: int | float | None = None
    conversions: Raw = _NULL
    spend: Raw = _NULL
    revenue: Raw = _NULL
    currency: str | None = None


class _RawIntegers(msgspec.Struct, gc=False):
    """The same integers as text: 7.0 and 7e0 come out of the other as a float, whatever else stands behind the 7."""

    campaign_id: Raw = Raw()
    event_time: Raw = Raw()
    impressions: Raw = Raw()
    clicks: Raw = Raw()


_MAX_EPOCH_MS: Final = 10**15
"""Year 33658: what lies beyond is left to the exact reading, which knows no largest integer."""
_MAX_INT64: Final = 2**63 - 1
_WIDTH: Final = len(_TypedEvent.__struct_fields__)
_MARKED: Final = _TypedEvent("-", 1, "meta", 0, impressions=0, clicks=0)
_decode = msgspec.json.Decoder(_TypedEvent).decode
_decode_integers = msgspec.json.Decoder(_RawIntegers).decode
_decode_floats = msgspec.json.Decoder(list[float]).decode


class _Spellings(dict[str | None, str | None]):
    """Remembers how a text is normalized, because producers repeat the same few; None for one that is refused."""

    LIMIT = 20_000

    def __init__(self, normalize: Callable[[str], str | None], default: str | None) -> None:
        super().__init__({None: default, "": default})
        self._normalize, self._default = normalize, default

    def __missing__(self, text: str | None) -> str | None:
        normalized = self._normalize(text) if text else self._default
        if normalized is not None:
            if len(self) >= self.LIMIT:
                self.clear()
            self[text] = normalized
        return normalized


_platforms: Final = _Spellings(fields.normalize_platform, None)
_event_types: Final = _Spellings(fields.normalize_event_type, "metrics")
_regions: Final = _Spellings(normalize_region, UNKNOWN_REGION)
_currencies: Final = _Spellings(normalize_currency, "")


class _Repeated(dict[str | None, str]):
    """One object for each label that repeats, and "" for an absent one.

    What joins, hashes or frees a column of them later finds their hashes and their memory at hand: 0.6 us an event less
    on the way to a block of rows.
    """

    LIMIT = 20_000

    def __missing__(self, text: str | None) -> str:
        label = text or ""
        if len(self) >= self.LIMIT:
            self.clear()
        self[text] = label
        return label


_labels: Final = (_Repeated(), _Repeated(), _Repeated())

_whole_number = re.compile(rb"-?[0-9]{1,15}\.0{1,30}").fullmatch
_MONEY: Final = r"-?(?:0|[1-9][0-9]{0,8}+)(?:\.[0-9]{1,6}+0{0,30}+)?+"
_PLAIN: Final = rf'(?:{_MONEY}|"{_MONEY}"|null|"")'
_plain_amount = re.compile(_PLAIN.encode()).fullmatch
_OF_AMOUNTS: Final = b'0123456789.-,"'
_COMMA: Final = ord(",")
_BRACE: Final = ord("{")
_SHORT: Final = 16
_LARGE: Final = 1e9
"""What has more digits before the point is left to the exact reading."""


def read_columns(
    values: Sequence[bytes], times_ms: Sequence[int] | _I64, limits: EventLimits
) -> tuple[list[Column], set[int]]:
    """One column per field of ``EventRow``, and the positions that only the exact reading can judge.

    Numbers are in arrays, except for campaign ids, which know no largest one.
    """
    marked = _marked_by_form(values, limits)
    flat = list(chain.from_iterable(map(msgspec.structs.astuple, _parse(values, marked))))
    raw = [flat[position::_WIDTH] for position in range(_WIDTH)]
    _repeat_usual_time(raw[3], marked)
    event_types = _normalized(raw[4], _event_types, marked)
    columns: list[Column] = [
        raw[0],
        _campaign_ids(raw[1], values, marked),
        _normalized(raw[2], _platforms, marked),
        _event_times(raw[3], times_ms, limits, values, marked),
        event_types,
        _normalized(raw[5], _regions, marked),
        *(list(map(labels.__getitem__, texts)) for labels, texts in zip(_labels, raw[6:9], strict=True)),
        _counts(raw[9], "impressions", event_types, values, marked),
        _counts(raw[10], "clicks", event_types, values, marked),
        _amounts(raw[11], "conversions", event_types, marked),
        _amounts(raw[12], "spend", event_types, marked),
        _amounts(raw[13], "revenue", event_types, marked),
        _normalized(raw[14], _currencies, marked),
    ]
    return columns, marked


def _marked_by_form(values: Sequence[bytes], limits: EventLimits) -> set[int]:
    """What a parser may let through; looked at only where there is any of what such records need to have."""
    longest, text = limits.max_record_bytes, b"".join(values)
    plain = _is_plain(text)
    if plain and _are_flat(text, values, longest):
        return set()
    marked = set()
    for position, value in enumerate(values):
        if value.find(b"{", 1) > 0 or len(value) > longest or not (plain or _is_plain(value)):
            try:
                check_form(value, limits)
            except RuleError:
                marked.add(position)
    return marked


def _are_flat(text: bytes, values: Sequence[bytes], longest: int) -> bool:
    """Whether each value, ``text`` being all of them joined, begins with a brace, has no other, and is not too long."""
    lengths = np.fromiter(map(len, values), np.int64, len(values))
    if lengths.min() < 1 or lengths.max() > longest:
        return False
    braces = np.frombuffer(text, np.uint8) == _BRACE
    starts = np.cumsum(lengths) - lengths
    return np.count_nonzero(braces) == len(values) and bool(braces[starts].all())


def _is_plain(text: bytes) -> bool:
    return text.isascii() and b"\\" not in text and b"[" not in text


def _parse(values: Iterable[bytes], marked: set[int]) -> list[_TypedEvent]:
    """Parse at the speed of C between the records that are not as usual; those are marked."""
    rows: list[_TypedEvent] = []
    remaining = iter(values)
    while True:
        try:
            rows.extend(map(_decode, remaining))
        except (ValueError, RecursionError):
            marked.add(len(rows))
            rows.append(_MARKED)
        else:
            return rows


def _repeat_usual_time(times: list[str | int | float], marked: set[int]) -> None:
    """Have marked positions name a time that is spelled like the others: an odd one keeps all from the quick way."""
    usual = next((time for place, time in enumerate(times) if place not in marked and isinstance(time, str)), None)
    if usual is not None:
        for position in marked:
            times[position] = usual


def _normalized(texts: list[str | None], spellings: _Spellings, marked: set[int]) -> list[str | None]:
    column = list(map(spellings.__getitem__, texts))
    if None in column:
        marked.update(position for position, text in enumerate(column) if text is None)
    return column


def _campaign_ids(ids: list[int | float], values: Sequence[bytes], marked: set[int]) -> list[int]:
    column = _integers(ids, "campaign_id", values, marked)
    if min(column) <= 0 or max(column) > _MAX_INT64:
        marked.update(position for position, number in enumerate(column) if not 0 < number <= _MAX_INT64)
    return column


def _integers(numbers: list[Any], field: str, values: Sequence[bytes], marked: set[int]) -> list[Any]:
    """Put integers where there are floats; what is none by its text is marked."""
    if float in set(map(type, numbers)):
        for position in [p for p, number in enumerate(numbers) if isinstance(number, float)]:
            raw = bytes(getattr(_decode_integers(values[position]), field))
            try:
                numbers[position] = int(numbers[position]) if _whole_number(raw) else fields.read_integer(raw, field)
            except RuleError:
                numbers[position] = 0
                marked.add(position)
    return numbers


def _event_times(
    times: list[str | int | float],
    log_times_ms: Sequence[int] | _I64,
    limits: EventLimits,
    values: Sequence[bytes],
    marked: set[int],
) -> _I64:
    if set(map(type, times)) == {str}:
        times_us, refused = parse_times(cast(list[str], times))
        marked.update(refused)
    else:
        times_us = _mixed_times(_integers(times, "event_time", values, marked), marked)
    ahead_us = times_us - np.asarray(log_times_ms, np.int64) * 1000
    outside = (ahead_us > limits.max_future_s * 1_000_000) | (ahead_us < -limits.retention_days * DAY_US)
    marked.update(np.flatnonzero(outside).tolist())
    return times_us


def _mixed_times(times: list[str | int], marked: set[int]) -> NDArray[np.int64]:
    times_us = np.zeros(len(times), np.int64)
    texts = {position: time for position, time in enumerate(times) if isinstance(time, str)}
    if texts:
        positions = list(texts)
        times_us[positions], refused = parse_times(list(texts.values()))
        marked.update(positions[place] for place in refused)
    epochs = {position: time for position, time in enumerate(times) if isinstance(time, int)}
    marked.update(position for position, time in epochs.items() if abs(time) > _MAX_EPOCH_MS)
    usual = {position: time for position, time in epochs.items() if abs(time) <= _MAX_EPOCH_MS}
    times_us[list(usual)] = np.array(list(usual.values()), np.int64) * 1000
    return times_us


def _counts(
    counts: list[int | float | None],
    field: str,
    event_types: Sequence[str | None],
    values: Sequence[bytes],
    marked: set[int],
) -> _I64:
    column = np.array(counts)
    if column.dtype != np.int64:  # not all are integers, or not of 64 bits
        column = _counts_one_by_one(counts, field, event_types, values, marked)
    marked.update(np.flatnonzero((column > fields.MAX_COUNT) | (column < -fields.MAX_COUNT)).tolist())
    _mark_negative(column, event_types, marked)
    return column


def _counts_one_by_one(
    counts: list[int | float | None],
    field: str,
    event_types: Sequence[str | None],
    values: Sequence[bytes],
    marked: set[int],
) -> _I64:
    numbers = _integers(counts, field, values, marked)
    if None in numbers:
        implying = fields.IMPLYING[field]
        for position in [p for p, count in enumerate(numbers) if count is None]:
            numbers[position] = int(event_types[position] == implying)
    try:
        return np.array(numbers, np.int64)
    except OverflowError:
        return np.array([max(min(number, _MAX_INT64), -_MAX_INT64) for number in numbers], np.int64)


def _mark_negative(column: _I64, event_types: Sequence[str | None], marked: set[int]) -> None:
    negative = np.flatnonzero(column < 0).tolist()
    marked.update(position for position in negative if event_types[position] != fields.ADJUSTMENT)


def _amounts(raws: list[Raw], field: str, event_types: Sequence[str | None], marked: set[int]) -> _I64:
    column, others = _exact_millionths(raws)
    for position in set(others) - marked:  # what is marked may hold what cannot even be read
        try:
            column[position] = fields.read_amount(bytes(raws[position]), field, event_types[position] or "")
        except RuleError:
            marked.add(position)
    _mark_negative(column, event_types, marked)
    implying = fields.IMPLYING.get(field, "")
    if implying in event_types:
        for position in np.flatnonzero(column == 0).tolist():
            if event_types[position] == implying and bytes(raws[position]) in fields.ABSENT:
                column[position] = MILLION
    return column


def _exact_millionths(raws: list[Raw]) -> tuple[NDArray[np.int64], list[int]]:
    """Amounts in millionths, and the positions that are spelled in an unusual way (0 stands there)."""
    column = _short_millionths(raws)
    if column is not None:
        return column, []
    others = [position for position, raw in enumerate(raws) if _plain_amount(raw) is None]
    raws = raws.copy()
    for position in others:
        raws[position] = _NULL
    return _rounded(_floats(b",".join(raws).replace(b"null", b"0"))), others


def _short_millionths(raws: list[Raw]) -> NDArray[np.int64] | None:
    """Amounts of at most 16 characters, in quotes or not, none of them unusual; None when it cannot vouch for that.

    16 characters are at most 15 digits, or 16 in front of the point, which is too much. No two decimals of up to 15
    digits have the same float: so where the millionths, divided, give the same one, they are what was written.
    """
    text = b",%b" % b",".join(raws)
    if b"n" in text:
        text = text.replace(b",null", b",0")
    if text.translate(None, _OF_AMOUNTS):
        return None
    starts = np.flatnonzero(np.frombuffer(text, np.uint8) == _COMMA)
    if len(starts) != len(raws) or np.diff(starts, append=len(text)).max() > _SHORT + 1:
        return None
    try:
        amounts = _floats(text[1:])
    except ValueError:  # such as 007 in quotes
        return None
    if (np.abs(amounts) >= _LARGE).any():
        return None
    column = _rounded(amounts)
    return column if (column / 1e6 == amounts).all() else None


def _floats(amounts: bytes) -> NDArray[np.float64]:
    floats = _decode_floats(b"[%b]" % amounts.replace(b'""', b"0").translate(None, b'"'))
    return np.fromiter(floats, np.float64, len(floats))


def _rounded(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    """In millionths. A binary float holds the usual spellings well enough: they have at most 15 significant digits.

    The float is off by at most 2^-53 of the value, and so is the product, together less than 0.23 millionths: rounding
    finds the one integer that was written.
    """
    return np.rint(amounts * 1e6).astype(np.int64)
