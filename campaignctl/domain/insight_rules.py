"""Why the stream or the report stands for a platform's day, and why the day is as final as it is, in words.

``insight_reports.decide`` judges whole ranges at once; this says of one day which of its rules decided. A test holds
the two against each other.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from campaignctl.domain.insight_cells import FINALITIES, Cells, calendar_levels
from campaignctl.domain.insight_reports import Split, split_of
from campaignctl.domain.insights import Finality, InsightQuery, RowSource, Source


class Rule(StrEnum):
    STREAM_ASKED = "stream_asked"
    NOT_LINKED = "not_linked"
    NOT_FETCHED = "not_fetched"
    NEVER_A_ROW = "never_a_row"
    REPORT_INCOMPLETE = "report_incomplete"
    DAY_NOT_OVER = "day_not_over"
    STREAM_EMPTY = "stream_empty"
    NO_COUNTRIES = "no_countries"
    SUBDIVISION = "subdivision"
    REPORT_STANDS = "report_stands"


_FACTS = {
    Rule.STREAM_ASKED: "The question is about the stream alone.",
    Rule.NOT_LINKED: "The campaign has no native campaign of {platform} on this day.",
    Rule.NOT_FETCHED: "No fetch has covered this day of {platform}.",
    Rule.NEVER_A_ROW: "A fetch has covered this day, and no fetch of any day has had a row of the native campaign.",
    Rule.REPORT_INCOMPLETE: "Of the native campaigns linked on this day some were fetched, and others never were.",
    Rule.DAY_NOT_OVER: "The day is not over in {zones}, and the stream has events of it.",
    Rule.STREAM_EMPTY: "The day is not over in {zones}, and the stream has nothing of it.",
    Rule.NO_COUNTRIES: "The report of this day was not fetched by country.",
    Rule.SUBDIVISION: "No platform reports by parts of countries.",
    Rule.REPORT_STANDS: "A fetch has covered this day, and the day is over in {zones}.",
}
_ONE_SOURCE = {
    Rule.REPORT_STANDS: "The question is about reports alone, and a fetch has covered this day.",
}
"""What decided when reports alone were asked for."""
_OUTCOMES = {
    RowSource.STREAM: "So the stream stands.",
    RowSource.REPORT: "So the report stands in place of the stream.",
    None: "So there is nothing to answer with.",
}
_BY_REPORT = frozenset({Rule.STREAM_EMPTY, Rule.REPORT_STANDS})


def rule_of(query: InsightQuery, cell: Cells | None, number: int, *, streamed: bool) -> Rule:
    """What decided about a platform's day, by its number in the range of the question.

    ``cell`` is what is known of its reports, None where nothing is linked. ``streamed`` says whether the stream has
    anything of the day, in whatever region; it matters for days that are not over in the account's zone only.
    """
    if query.source is Source.STREAM:
        return Rule.STREAM_ASKED
    if cell is None or not any(native.runs[number] for native in cell.natives):
        return Rule.NOT_LINKED
    if not cell.known[number]:
        covered = any(native.runs[number] and native.covered[number] for native in cell.natives)
        return Rule.NEVER_A_ROW if covered else Rule.NOT_FETCHED
    if query.source is Source.AUTO:
        if cell.partial[number]:
            return Rule.REPORT_INCOMPLETE
        if not cell.over[number] and streamed:
            return Rule.DAY_NOT_OVER
    split = split_of(query)
    if split is Split.OTHERWISE:
        return Rule.SUBDIVISION
    if split is Split.BY_COUNTRY and not cell.by_country[number]:
        return Rule.NO_COUNTRIES
    if cell.partial[number]:
        return Rule.REPORT_INCOMPLETE
    if query.source is Source.AUTO and not cell.over[number]:
        return Rule.STREAM_EMPTY
    return Rule.REPORT_STANDS


def source_of(rule: Rule, asked: Source) -> RowSource | None:
    """Which source stands by the rule; None where neither has anything to say."""
    if asked is Source.REPORT:
        return RowSource.REPORT if rule in {*_BY_REPORT, Rule.REPORT_INCOMPLETE} else None
    return RowSource.REPORT if rule in _BY_REPORT else RowSource.STREAM


def why(rule: Rule, query: InsightQuery, platform: str, cell: Cells | None, number: int) -> str:
    """The rule and what follows from it, in sentences."""
    told = _ONE_SOURCE.get(rule) if query.source is Source.REPORT else None
    fact = (told or _FACTS[rule]).format(platform=platform, zones=_zones(cell, number) or query.zone.key)
    return f"{fact} {_OUTCOMES[source_of(rule, query.source)]}"


def finality_of(query: InsightQuery, cell: Cells | None, number: int) -> Finality:
    calendar = calendar_levels(query.days, query.today)
    levels = calendar if cell is None else cell.levels(calendar)
    return FINALITIES[int(levels[number])]


def expected_final_at(cell: Cells | None, number: int) -> datetime | None:
    """When a day that has a whole report is, or was, final."""
    if cell is None or not cell.whole[number]:
        return None
    return cell.expected_final_at(list(cell.days)[number])


def why_final(
    query: InsightQuery, platform: str, cell: Cells | None, number: int, lookback_days: Mapping[str, int]
) -> str:
    """Why the day is as final as ``finality_of`` says."""
    reported = cell is not None and bool(cell.whole[number])
    zones = _zones(cell, number) if reported else query.zone.key
    match finality_of(query, cell, number):
        case Finality.LIVE:
            return f"The day is not over in {zones}."
        case Finality.PROVISIONAL:
            return "The day is over, and there is no whole report of it."
        case Finality.SETTLING:
            return (
                f"There is a report, and {platform} may change it for {lookback_days[platform]} days after the day has"
                f" ended in {zones}."
            )
        case Finality.FINAL:
            return f"There is a report, and the day ended at least {lookback_days[platform]} days ago in {zones}."


def _zones(cell: Cells | None, number: int) -> str:
    """Of the accounts whose reports speak of the day."""
    natives = [] if cell is None else [one for one in cell.natives if one.runs[number] and one.covered[number]]
    zones: set[ZoneInfo] = {one.zone for one in natives}
    return " and ".join(sorted(zone.key for zone in zones))
