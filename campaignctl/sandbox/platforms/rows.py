"""The rows of a report, as of a moment: what the platforms' servers spell in their own ways."""

import base64
import binascii
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from campaignctl.sandbox.deliveries import MICROS, days_between
from campaignctl.sandbox.natives import Native
from campaignctl.sandbox.reported import Figures, Place, Reported


@dataclass(frozen=True, slots=True)
class Row:
    native: Native
    day: date
    place: Place | None
    """None: a day's total."""
    figures: Figures


def rows_of(
    reported: Reported, natives: Iterable[Native], first: date, last: date, at: datetime, *, by_country: bool
) -> list[Row]:
    """Day by day; only what has figures."""
    return list(_rows(reported, list(natives), first, last, at, by_country=by_country))


def _rows(
    reported: Reported, natives: list[Native], first: date, last: date, at: datetime, *, by_country: bool
) -> Iterator[Row]:
    for day in days_between(first, last):
        for native in natives:
            if by_country:
                for place, figures in reported.countries(native, day, at).items():
                    yield Row(native, day, place, figures)
            elif (total := reported.total(native, day, at)) is not None:
                yield Row(native, day, None, total)


def amount(micros: int | None, places: int = 2) -> str:
    """Money as a decimal text with at least so many places."""
    text = f"{Decimal(micros or 0) / MICROS:.6f}"
    whole, _, fraction = text.partition(".")
    return f"{whole}.{fraction[:places]}{fraction[places:].rstrip('0')}"


def count(millionths: int) -> int | float:
    """Conversions as a number."""
    return millionths // MICROS if millionths % MICROS == 0 else millionths / MICROS


def cursor(position: int, at: datetime) -> str:
    """A place in a list that stays as it was at the moment."""
    return base64.urlsafe_b64encode(f"{position}:{at.isoformat()}".encode()).decode().rstrip("=")


def read_cursor(text: str) -> tuple[int, datetime] | None:
    """None: no place of a list."""
    try:
        plain = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
        position, _, at = plain.partition(":")
        return int(position), datetime.fromisoformat(at).astimezone(UTC)
    except (ValueError, binascii.Error, UnicodeDecodeError):
        return None
