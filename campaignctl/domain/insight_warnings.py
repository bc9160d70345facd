"""What an answer warns of, in sentences."""

from collections.abc import Collection
from datetime import date, timedelta

from campaignctl.domain.insights import Warning_

_MOST_SINGLE_DAYS = 31
_MOST_SPANS = 20
_DAY = timedelta(days=1)


def raw_expired(days: Collection[date], retention_days: int) -> Warning_:
    return Warning_(
        "raw_expired",
        f"The raw records of {listed_days(days)} have passed the {retention_days} days for which they are kept, and"
        " hours, other time zones, earlier times, ad groups, ads and devices are made of them: what depends on these"
        " days is null. By day, platform and region in the campaign's own zone they can still be asked.",
    )


def listed_days(days: Collection[date]) -> str:
    """Every day by itself while they are few, else the spans that they form."""
    ascending = sorted(set(days))
    if len(ascending) <= _MOST_SINGLE_DAYS:
        return ", ".join(day.isoformat() for day in ascending)
    spans: list[tuple[date, date]] = []
    for day in ascending:
        if spans and day - spans[-1][1] == _DAY:
            spans[-1] = (spans[-1][0], day)
        else:
            spans.append((day, day))
    shown = [f"{first}" if first == last else f"{first} to {last}" for first, last in spans[:_MOST_SPANS]]
    more = f" and {len(spans) - _MOST_SPANS} more spans" if len(spans) > _MOST_SPANS else ""
    return ", ".join(shown) + more
