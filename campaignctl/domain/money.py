"""Exact decimal numbers: money, conversions and ratios as integers of millionths.

Below the faces an amount is an integer: ``spend_micros``, ``conversions_millionths``. Nothing here passes through
binary floating point, and nothing depends on the precision of a ``decimal`` context.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

PLACES = 6
MILLION = 10**PLACES
INTEGER_DIGITS = 9
"""Amounts and conversions are below 10^9."""

_NUMBER = re.compile(r"(-?)(0|[1-9][0-9]*)(?:\.([0-9]+))?(?:[eE]([+-]?)([0-9]+))?")
_EXPONENT_LIMIT = 10**9
"""Stands for any larger exponent: no text that fits in memory has digits enough to make up for it."""


class AmountError(ValueError):
    """A text that is no amount; the message goes on after the field's name ("must be ...")."""


class ExactNumber(NamedTuple):
    """A number by its value, whatever its spelling: ``digits * 10^exponent``, negated when ``negative``.

    ``digits`` has no zero at either end, so equal values are equal objects; "" (with exponent 0, not negative) is
    zero. Nothing is multiplied out before it is asked for: ``1e999999999`` costs as little as ``1``.
    """

    negative: bool
    digits: str
    exponent: int

    @property
    def is_integer(self) -> bool:
        return self.exponent >= 0

    @property
    def integer_digits(self) -> int:
        """How many digits stand before the point; 0 or less for a magnitude below 1."""
        return len(self.digits) + self.exponent if self.digits else 0

    def times_power_of_ten(self, power: int) -> int:
        """The value times 10^power; ``power`` must be large enough for an integer, the magnitude known to be small."""
        magnitude: int = int(self.digits or "0") * 10 ** (self.exponent + power)
        return -magnitude if self.negative else magnitude


_ZERO = ExactNumber(negative=False, digits="", exponent=0)


def parse_number(text: str) -> ExactNumber | None:
    """Read a number in JSON's grammar (no plus sign, no leading zero, no bare point); None when it is none."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    sign, whole, fraction, exponent_sign, exponent_digits = match.groups(default="")
    significant = (whole + fraction).lstrip("0")
    digits = significant.rstrip("0")
    if not digits:
        return _ZERO
    exponent_digits = exponent_digits.lstrip("0")
    exponent = min(int(exponent_digits[:10] or "0"), _EXPONENT_LIMIT)
    if exponent_sign == "-":
        exponent = -exponent
    return ExactNumber(sign == "-", digits, exponent - len(fraction) + len(significant) - len(digits))


def parse_millionths(text: str) -> int:
    """Read a decimal in JSON's grammar exactly, as millionths; the value decides, not the spelling.

    Up to 6 places and a magnitude below 10^9, else ``AmountError``.
    """
    number = parse_number(text)
    if number is None:
        raise AmountError("must be a decimal number such as 12.5, without a plus sign, leading zeros or a unit")
    if number.integer_digits > INTEGER_DIGITS:
        raise AmountError(f"must have at most {INTEGER_DIGITS} digits before the point")
    if number.exponent < -PLACES:
        raise AmountError(f"must have at most {PLACES} decimal places")
    return number.times_power_of_ten(PLACES)


def micros_to_decimal_text(micros: int) -> str:
    """Millionths as a plain decimal without superfluous zeros: 2400500000 is ``2400.5``."""
    whole, fraction = divmod(abs(micros), MILLION)
    sign = "-" if micros < 0 else ""
    if not fraction:
        return f"{sign}{whole}"
    return f"{sign}{whole}.{fraction:06d}".rstrip("0")


def micros_to_decimal_texts(column: Iterable[int | None]) -> list[str]:
    """``micros_to_decimal_text`` of each, ``null`` for None: a page has tens of thousands, and a call costs as much."""
    return [
        "null"
        if micros is None
        else micros_to_decimal_text(micros)
        if micros < 0
        else f"{micros // MILLION}.{fraction:06d}".rstrip("0")
        if (fraction := micros % MILLION)
        else str(micros // MILLION)
        for micros in column
    ]


def micros_to_decimal(micros: int) -> Decimal:
    """The same as ``Decimal``, exact at any size."""
    return Decimal(micros_to_decimal_text(micros))


def div_half_even(numerator: int, denominator: int) -> int:
    """The quotient rounded to the nearest integer, halves to the even one; exact at any size."""
    if denominator < 0:
        numerator, denominator = -numerator, -denominator
    quotient, remainder = divmod(numerator, denominator)
    doubled = 2 * remainder
    if doubled > denominator or (doubled == denominator and quotient % 2):
        quotient += 1
    return quotient


def ratio_micros(numerator_scaled: int, denominator: int) -> int | None:
    """A ratio in millionths, rounded half-even; None where the divisor is not above 0.

    ``numerator_scaled`` is the dividend times 10^6 in the divisor's unit: ``spend_micros`` for spend per click,
    ``spend_micros * 10**6`` for spend per conversion in millionths, ``clicks * 10**6`` for clicks per impression.
    """
    if denominator <= 0:
        return None
    return div_half_even(numerator_scaled, denominator)


def ratios_micros(
    dividends: Iterable[int | None], divisors: Iterable[int | None], dividend_scale: int, divisor_scale: int
) -> list[int | None]:
    """``ratio_micros`` of each dividend and divisor times its scale; None also where one of them is None."""
    found: list[int | None] = []
    for dividend, divisor in zip(dividends, divisors, strict=True):
        if dividend is None or divisor is None or divisor <= 0:
            found.append(None)
            continue
        whole = divisor * divisor_scale
        quotient, remainder = divmod(dividend * dividend_scale, whole)
        doubled = 2 * remainder
        if doubled > whole or (doubled == whole and quotient % 2):
            quotient += 1
        found.append(quotient)
    return found
