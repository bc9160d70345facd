"""Decimal numbers column by column, as ``money`` has them one by one: a page has tens of thousands.

A column is of integers of 64 bits, none of them negative. Whatever does not fit is for ``money``.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.money import MILLION

_I64: TypeAlias = NDArray[np.int64]

_MOST = 2**62
"""What is reckoned with stays below it: twice as much still fits."""
_THOUSAND = 1_000


def _texts(of_each: Iterable[str]) -> NDArray[np.object_]:
    return np.array(list(of_each), np.object_)


_WHOLE = _texts(map(str, range(10_000)))
"""Most numbers of an answer: making each anew is most of what a page costs."""
_FIRST_PLACES = _texts(f".{places:03d}" for places in range(_THOUSAND))
_LAST_PLACES = _texts(f"{places:03d}".rstrip("0") for places in range(_THOUSAND))
_ONLY_PLACES = _texts(f".{places:03d}".rstrip("0").rstrip(".") for places in range(_THOUSAND))
"""The first three places where the other three are 0."""


def columns_of(rows: Sequence[Sequence[int | None]]) -> list[_I64] | None:
    """The columns of rows of numbers; None where one of these is not known, negative, or too large."""
    try:
        table = np.array(rows, np.int64)
    except (TypeError, OverflowError):
        return None
    return None if table.size == 0 or table.min() < 0 else list(table.T)


def whole_texts(numbers: _I64) -> NDArray[np.object_]:
    """Each number as text."""
    texts = _WHOLE[np.minimum(numbers, len(_WHOLE) - 1)]
    large = np.flatnonzero(numbers >= len(_WHOLE))
    texts[large] = list(map(str, numbers[large].tolist()))
    return texts


def decimal_texts(columns: Sequence[_I64]) -> list[list[str]]:
    """``micros_to_decimal_text`` of each number of columns of one length."""
    whole, places = np.divmod(np.concatenate(columns), MILLION)
    first, last = np.divmod(places, _THOUSAND)
    fractions = np.where(last == 0, _ONLY_PLACES[first], _FIRST_PLACES[first] + _LAST_PLACES[last])
    texts: list[list[str]] = (whole_texts(whole) + fractions).reshape(len(columns), -1).tolist()
    return texts


def ratios(
    dividends: _I64, divisors: _I64, dividend_scale: int, divisor_scale: int
) -> tuple[_I64, NDArray[np.bool_]] | None:
    """``ratios_micros``, and where there is one: elsewhere the number means nothing. None where they are too large."""
    if int(dividends.max()) * dividend_scale >= _MOST or int(divisors.max()) * divisor_scale >= _MOST:
        return None
    is_defined = divisors > 0
    whole = np.where(is_defined, divisors * divisor_scale, 1)
    quotient, remainder = np.divmod(dividends * dividend_scale, whole)
    doubled = 2 * remainder
    quotient += (doubled > whole) | ((doubled == whole) & (quotient % 2 == 1))
    return quotient, is_defined
