"""How fresh the data of each platform is: its newest event, its last fetch, and how far its days are over."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np

from campaignctl.domain.insight_cells import FINALITIES, Cells, calendar_levels
from campaignctl.domain.insights import Finality, Freshness
from campaignctl.domain.periods import DayRange

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Through:
    """A day that is no longer live."""

    day: date
    finality: Finality
    expected_final_at: datetime | None


@dataclass(frozen=True, slots=True)
class Reported:
    """What is known of the reports of one campaign on one platform."""

    cells: Cells
    """For the days of ``days_in_doubt``."""
    last_fetched_us: int | None


def days_in_doubt(today: date) -> DayRange:
    """The days that may or may not be over: zones are up to 26 hours apart."""
    return DayRange(today - 3 * _DAY, today + 2 * _DAY)


def freshness_of(
    platforms: Collection[str],
    today: date,
    newest_us: Mapping[str, int],
    reported: Mapping[str, Sequence[Reported]],
    *,
    campaigns: int,
) -> list[Freshness]:
    """Of each platform; ``today`` is the asked zone's, ``newest_us`` the newest event of those that have any.

    ``reported`` has an entry for each of the ``campaigns`` that claims something of the platform.
    """
    found = []
    for platform in platforms:
        reports = reported.get(platform, ())
        with_rows = [one for one in reports if any(native.seen for native in one.cells.natives)]
        throughs = [_through(one.cells, today) for one in with_rows]
        newest = newest_us.get(platform)
        if newest is not None and len(with_rows) < campaigns:
            throughs.append(Through(today - _DAY, Finality.PROVISIONAL, None))
        fetched = [one.last_fetched_us for one in reports if one.last_fetched_us is not None]
        through = _newest(throughs)
        found.append(
            Freshness(
                platform=platform,
                last_event_us=newest,
                last_report_us=max(fetched, default=None),
                data_through=through.day if through else None,
                finality=through.finality if through else None,
                expected_final_at=through.expected_final_at if through else None,
            )
        )
    return found


def _through(cells: Cells, today: date) -> Through:
    levels = cells.levels(calendar_levels(cells.days, today))
    number = int(np.flatnonzero(levels)[-1])  # the first days in doubt are over everywhere
    day = cells.days.first + number * _DAY
    return Through(day, FINALITIES[levels[number]], cells.expected_final_at(day) if cells.whole[number] else None)


def _newest(throughs: Sequence[Through]) -> Through | None:
    """The newest day, with the weakest finality that it has and the latest moment at which it is final."""
    if not throughs:
        return None
    day = max(one.day for one in throughs)
    alike = [one for one in throughs if one.day == day]
    expected = [one.expected_final_at for one in alike if one.expected_final_at is not None]
    weakest = min((one.finality for one in alike), key=FINALITIES.index)
    return Through(day, weakest, max(expected, default=None))
