"""What an answer warns of, in sentences."""

from collections.abc import Collection, Mapping
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


def breakdown_unavailable(days: Collection[date], *, reports_only: bool) -> Warning_:
    instead = "it is null" if reports_only else "the stream answers for them"
    return Warning_(
        "breakdown_unavailable",
        f"The reports of {listed_days(days)} cannot be split as asked, and {instead}. Reports can be split by country"
        " once that was fetched, and never by hour, ad group, ad, device or subdivision.",
    )


def report_incomplete(days: Collection[date], *, reports_only: bool) -> Warning_:
    instead = "only what is there is in the rows, and the totals are null" if reports_only else "the stream answers"
    return Warning_(
        "report_incomplete",
        f"Of the platform campaigns that ran on {listed_days(days)} some were never fetched, so {instead}.",
    )


def report_day_timezone(apart: Mapping[str, Collection[date]], asked: str) -> Warning_:
    named = "; ".join(f"{listed_days(days)} of {zone}" for zone, days in sorted(apart.items()))
    return Warning_(
        "report_day_timezone",
        f"Reports are by days of the account's own zone and stay on their dates, although these begin or end at"
        f" another time in {asked}: {named}.",
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
