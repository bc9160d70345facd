"""Event times: RFC 3339 text to epoch microseconds, one by one and many at once."""

import re
from collections.abc import Sequence
from datetime import date
from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

DAY_US: Final = 86_400_000_000
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_CYCLE_YEARS, _CYCLE_DAYS = 400, 146_097
"""The Gregorian calendar repeats after 400 years; ``date`` knows the years 1 to 9999 only, RFC 3339 also 0000."""

_OFFSET: Final = r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
_RFC3339: Final = re.compile(
    r"([0-9]{4})-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])[Tt]"
    r"([01][0-9]|2[0-3]):([0-5][0-9]):([0-5][0-9]|60)(?:\.([0-9]+))?" + _OFFSET
)
_UNGROUPED: Final = re.sub(r"(?<!\\)\((?!\?)", "(?:", _RFC3339.pattern)
_RFC3339_LINES: Final = re.compile(f"(?:{_UNGROUPED}\n)*+")
_ANY_TIME: Final = "1970-01-01T00:00:00Z"

_LAYOUT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[0-9]{2}:){2}[0-9]{2}(?:\.([0-9]{1,6}))?(?:[Zz]|([+-])[0-9]{2}:[0-9]{2})"
)
_FRACTION: Final = 6
_LEAST: Final = np.array([0, 1, 1, 0, 0, 0, 0, -23, -59])
_MOST: Final = np.array([9999, 12, 31, 23, 59, 60, 999_999, 23, 59])
"""Bounds of year, month, day, hour, minute, second, microseconds, and the offset's hours and minutes."""

_TENS: Final = np.array([0, 2, 5, 8, 11, 14, 17])
"""Where the pairs of digits of ``YYYY-MM-DDThh:mm:ss`` begin."""
_FRACTION_WEIGHTS: Final = np.array([100_000, 10_000, 1_000, 100, 10, 1], np.int64)
_ZERO, _NINE, _POINT, _MINUS = 0x30, 9, 0x2E, 0x2D


def parse_time(text: str) -> int | None:
    """Epoch microseconds of an RFC 3339 time with an offset; None when it is not one.

    ``T`` and ``Z`` in any case; second 60 is the next second; digits beyond 6 are cut; years 0000 to 9999.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    try:
        in_known_cycle = date(2000 + year % _CYCLE_YEARS, month, day)
    except ValueError:  # 30 February
        return None
    cycles = year // _CYCLE_YEARS - 5
    days = in_known_cycle.toordinal() - _EPOCH_DAY + cycles * _CYCLE_DAYS
    micros = int((match[7] or "")[:6].ljust(6, "0"))
    offset_min = int(match[9]) * 60 + int(match[10]) if match[8] else 0
    if match[8] == "-":
        offset_min = -offset_min
    return days * DAY_US + ((hour * 60 + minute - offset_min) * 60 + second) * 1_000_000 + micros


def parse_times(texts: Sequence[str]) -> tuple[NDArray[np.int64], list[int]]:
    """``parse_time`` of many: epoch microseconds, and the positions that are no times (any number stands there)."""
    times_us = _of_one_layout(texts)
    if times_us is not None:
        return times_us, []
    refused: list[int] = []
    lines = "\n".join([*texts, ""])
    if lines.count("\n") != len(texts) or _RFC3339_LINES.fullmatch(lines) is None:
        refused = [position for position, text in enumerate(texts) if _RFC3339.fullmatch(text) is None]
        texts = list(texts)
        for position in refused:
            texts[position] = _ANY_TIME
    times_us, in_calendar = _from_characters(texts, all_utc=not refused and lines.count("Z\n") == len(texts))
    if not in_calendar.all():
        refused = sorted({*refused, *np.flatnonzero(~in_calendar).tolist()})
    return times_us, refused


def _of_one_layout(texts: Sequence[str]) -> NDArray[np.int64] | None:
    """Times that are spelled alike to the last place, as those of one producer are, in a third of the time.

    None when they are not, or when any of them is not plainly a time: whether it is one after all is for others to say.
    """
    layout = _LAYOUT.fullmatch(texts[0]) if texts else None
    joined = "".join(texts)
    if layout is None or len(joined) != len(texts) * len(texts[0]) or not joined.isascii():
        return None
    table = np.frombuffer(joined.encode(), np.uint8).reshape(len(texts), len(texts[0]))
    model = np.frombuffer(texts[0].encode(), np.uint8)
    is_digit = (model >= _ZERO) & (model <= _ZERO + _NINE)
    digits = table[:, is_digit] - _ZERO  # what is no digit wraps round to above 9
    if (table[:, ~is_digit] != model[~is_digit]).any() or (digits > _NINE).any():
        return None
    numbers = (digits.astype(np.float64) @ _weights(len(layout[1] or ""), layout[2])).astype(np.int64)
    year, month, day, hour, minute, second, micros, offset_h, offset_min = numbers.T
    if (numbers < _LEAST).any() or (numbers > _MOST).any():
        return None
    months = (year * 12 + month - (1970 * 12 + 1)).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1)
    if (days.astype("M8[M]") != months).any():
        return None
    minutes = (hour * 60 + minute) - (offset_h * 60 + offset_min)
    times_us: NDArray[np.int64] = days.astype(np.int64) * DAY_US + (minutes * 60 + second) * 1_000_000 + micros
    return times_us


@cache
def _weights(fraction: int, sign: str | None) -> NDArray[np.float64]:
    """What each digit of a layout adds to each of its nine numbers; sums below 10^6 are exact."""
    widths = [4, 2, 2, 2, 2, 2, fraction, *((2, 2) if sign else ())]
    weights = np.zeros((sum(widths), 9))
    row = 0
    for number, width in enumerate(widths):
        for place in range(width):
            if number == _FRACTION:
                weights[row, number] = 10.0 ** (5 - place)
            else:
                weights[row, number] = 10.0 ** (width - 1 - place) * (-1 if sign == "-" and number > _FRACTION else 1)
            row += 1
    return weights


def _from_characters(texts: Sequence[str], *, all_utc: bool) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Times of the right form, read digit by digit in columns; and which of their days exist."""
    characters = _character_table(texts, 26)
    century, year, month, day, hour, minute, second = _two_digits(characters, _TENS).T
    months = ((century * 100 + year - 1970) * 12 + month - 1).astype("M8[M]")
    days = months.astype("M8[D]") + (day - 1)
    seconds = (hour * 60 + minute) * 60 + second
    if not all_utc:
        seconds -= _offsets_s(texts)
    times_us = days.astype(np.int64) * DAY_US + seconds * 1_000_000 + _fractions_us(characters)
    return times_us, days.astype("M8[M]") == months


def _two_digits(characters: NDArray[np.uint8], tens: NDArray[np.int64]) -> NDArray[np.int64]:
    pairs: NDArray[np.uint8] = (characters[:, tens] - _ZERO) * 10 + (characters[:, tens + 1] - _ZERO)
    return pairs.astype(np.int64)


def _fractions_us(characters: NDArray[np.uint8]) -> NDArray[np.int64]:
    digits = characters[:, 20:] - _ZERO  # what is no digit wraps round to above 9
    belongs = np.logical_and.accumulate(digits <= _NINE, axis=1) & (characters[:, 19:20] == _POINT)
    fractions: NDArray[np.int64] = np.where(belongs, digits, 0).astype(np.int64) @ _FRACTION_WEIGHTS
    return fractions


def _offsets_s(texts: Sequence[str]) -> NDArray[np.int64]:
    tails = _character_table([text[-6:] for text in texts], 6)  # ``+05:30``, or whatever stands before a ``Z``
    hours, minutes = _two_digits(tails, np.array([1, 4])).T
    offsets: NDArray[np.int64] = (hours * 60 + minutes) * 60
    offsets[tails[:, 0] == _MINUS] *= -1
    offsets[tails[:, 5] > _ZERO + _NINE] = 0
    return offsets


def _character_table(texts: Sequence[str], width: int) -> NDArray[np.uint8]:
    """A row of ASCII codes per text, cut or filled with 0 to the width."""
    return np.array(texts, dtype=f"S{width}").view(np.uint8).reshape(len(texts), width)
