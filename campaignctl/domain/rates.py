"""Stored currency rates."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Rate:
    """On ``day`` 1 ``currency`` was ``rate`` ``base``. No inverse and no cross rate is ever implied."""

    day: date
    currency: str
    base: str
    rate: Decimal
    """Greater than 0, below 10^9, at most 18 decimal places."""
