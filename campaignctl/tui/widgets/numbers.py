"""Numbers as people read them on a screen: short, aligned, honest about what is missing."""

from datetime import datetime
from math import floor, log10
from typing import Any

NOT_GIVEN = "–"
_STEPS = 4
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
        return NOT_GIVEN
    arrow = "▲" if fraction > 0 else "▼" if fraction < 0 else "="
    return f"{arrow} {abs(float(fraction)) * 100:,.1f}%"


def age(moment: str | None, now: datetime) -> str:
    """How long ago an RFC 3339 moment is: ``41 s ago``; ``no data`` without one."""
    if not moment:
        return "no data"
    seconds = (now - datetime.fromisoformat(moment)).total_seconds()
    return f"{lasting(max(0.0, seconds))} ago"


def lasting(seconds: float | None) -> str:
    """``41 s``, ``12 min``, ``3 h``, ``2 d``; None as a dash."""
    if seconds is None:
        return NOT_GIVEN
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def moment(text: str | None, places: int = 5) -> str:
    """A moment in the machine's zone: ``12 Oct 09:30`` (``places=8`` with seconds); None as a dash."""
    if not text:
        return NOT_GIVEN
    at = datetime.fromisoformat(text).astimezone()
    return f"{at:%d %b} {at:%H:%M:%S}"[: 7 + places]


def bar(fraction: float | None, width: int) -> str:
    """``━━━━━────``: how much of it is done; an unknown share is all line."""
    filled = round(max(0.0, min(1.0, fraction or 0.0)) * width)
    return "━" * filled + "─" * (width - filled)


def round_step(span: float) -> float:
    """1, 2 or 5 with zeros behind, such that four of them at most make ``span``."""
    if span <= 0:
        return 1.0
    rough = span / _STEPS
    size = 10.0 ** floor(log10(rough))
    return next(one * size for one in (1, 2, 5, 10) if one * size >= rough * 0.999)
