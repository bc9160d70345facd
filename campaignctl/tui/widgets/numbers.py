"""Numbers as people read them on a screen: short, aligned, honest about what is missing."""

from typing import Any

NOT_GIVEN = "–"
_UNITS = ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e4, "k"))


def short(value: Any, places: int = 0) -> str:
    """``1234567`` as ``1.23M``; below 10,000 with thousands separators and ``places`` decimals; None as a dash."""
    if value is None:
        return NOT_GIVEN
    number = float(value)
    for size, unit in _UNITS:
        if abs(number) >= size:
            return f"{number / (1e3 if unit == 'k' else size):,.{1 if unit == 'k' else 2}f}{unit}"
    return f"{number:,.{places}f}"


def exact(value: Any, places: int) -> str:
    """With thousands separators and exactly ``places`` decimals; None as a dash."""
    return NOT_GIVEN if value is None else f"{value:,.{places}f}"


def percent(fraction: Any, places: int = 2) -> str:
    return NOT_GIVEN if fraction is None else f"{float(fraction) * 100:,.{places}f}%"


def change(fraction: Any) -> str:
    """A change against the period before, with an arrow: ``▲ 12.3%``."""
    if fraction is None:
        return "no comparison"
    arrow = "▲" if fraction > 0 else "▼" if fraction < 0 else "="
    return f"{arrow} {abs(float(fraction)) * 100:,.1f}%"
