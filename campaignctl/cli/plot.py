"""Bars in plain text, for a look at a terminal."""

import sys
from collections.abc import Sequence
from decimal import Decimal

_EIGHTHS = " ▏▎▍▌▋▊▉"
_WIDEST = 100
_NARROWEST = 10


def bars(
    labels: Sequence[str], values: Sequence[int | Decimal | None], width: int, *, ascii_only: bool | None = None
) -> str:
    """One line a value: label, bar from zero, number. The longest bar fills ``width`` columns (at most 100).

    None draws nothing and says ``-``; a negative value is drawn to the same scale with ``-`` instead of a block.
    """
    from rich.cells import cell_len

    from campaignctl.telemetry import one_line

    if ascii_only is None:
        ascii_only = "utf" not in (sys.stdout.encoding or "").lower()
    labels = [one_line(label) for label in labels]
    numbers = ["-" if value is None else f"{value:,}" for value in values]
    label_width = max(map(cell_len, labels), default=0)
    number_width = max(map(len, numbers), default=0)
    room = max(min(width, _WIDEST) - label_width - number_width - 3, _NARROWEST)
    amounts = [Decimal(0 if value is None else value) for value in values]
    most = max(map(abs, amounts), default=Decimal(0))
    lines = []
    for label, amount, number in zip(labels, amounts, numbers, strict=True):
        padding = " " * (label_width - cell_len(label))
        bar = _bar(amount, most, room, ascii_only) if amount else ""
        lines.append(f"{label}{padding}  {number:>{number_width}} {bar}".rstrip())
    return "\n".join(lines)


def _bar(amount: Decimal, most: Decimal, room: int, ascii_only: bool) -> str:
    eighths = int(abs(amount) * room * 8 / most + Decimal("0.5"))
    if amount < 0:
        return "-" * max(1, eighths // 8)
    if ascii_only:
        return "#" * ((eighths + 4) // 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
