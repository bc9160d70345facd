"""The tables of the campaign screen: columns, and rows made of the API's bodies."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from rich.text import Text

from campaignctl.tui.look import Look, plain, right
from campaignctl.tui.widgets.keyed_table import Col
from campaignctl.tui.widgets.numbers import NOT_GIVEN, age, exact, lasting, moment, percent

Rows = dict[str, list[Text]]

FRESHNESS = (
    Col("platform", "platform"), Col("event", "newest event", True, 15), Col("report", "last fetch", True, 15),
    Col("age", "age", True, 9),
)  # fmt: skip
LINKS = (
    Col("platform", "platform"), Col("level", "level"), Col("account", "account"), Col("native", "native id"),
    Col("from", "from"), Col("to", "to"),
)  # fmt: skip
RECONCILE = (
    Col("day", "day"), Col("platform", "platform"), Col("finality", "finality"), Col("metric", "metric"),
    Col("streamed", "streamed", True), Col("reported", "reported", True), Col("difference", "difference", True),
    Col("relative", "apart", True), Col("within", "within"), Col("hints", "why it may be"),
)  # fmt: skip
RESTATEMENTS = (
    Col("day", "day"), Col("platform", "platform"), Col("metric", "metric"), Col("old", "was", True),
    Col("new", "is", True), Col("change", "change", True), Col("currency", "in"), Col("landed", "since"),
    Col("finality", "finality"), Col("cause", "cause"), Col("native", "native id"),
)  # fmt: skip
_PLACES = {"impressions": 0, "clicks": 0}


def freshness_rows(items: Iterable[Mapping[str, Any]], now: datetime) -> Rows:
    return {
        item["platform"]: [
            Text(item["platform"]),
            right(age(item["last_event_at"], now)),
            right(age(item["last_report_at"], now) if item["last_report_at"] else "never"),
            right(lasting(item["age_seconds"])),
        ]
        for item in items
    }


def link_rows(links: Iterable[Mapping[str, Any]]) -> Rows:
    names = ("platform", "level", "account_id", "external_id", "valid_from", "valid_to")
    return {str(n): [plain(link[name] or "open") for name in names] for n, link in enumerate(links)}


def reconcile_rows(days: Iterable[Mapping[str, Any]], look: Look) -> Rows:
    """A row a metric of a compared day, the newest day first; a day without a report is one row that says so."""
    rows: Rows = {}
    for day in sorted(days, key=lambda one: (str(one["day"]), str(one["platform"])), reverse=True):
        start = [Text(str(day["day"])), Text(str(day["platform"])), look.finality(str(day["finality"]))]
        if not day["covered"]:
            blank = [right(NOT_GIVEN)] * 4
            rows[f"{day['day']}|{day['platform']}"] = [
                *start,
                Text("no report", "dim"),
                *blank,
                Text(NOT_GIVEN),
                Text(""),
            ]
            continue
        for metric, one in day["metrics"].items():
            places = _PLACES.get(metric, 2)
            rows[f"{day['day']}|{day['platform']}|{metric}"] = [
                *start,
                Text(str(metric)),
                right(exact(one["streamed"], places)),
                right(exact(one["reported"], places)),
                right(exact(one["difference"], places)),
                right(percent(one["relative"], 1)),
                _verdict(one["within"], look),
                Text(", ".join(one["hints"]), "dim"),
            ]
    return rows


def _verdict(within: object, look: Look) -> Text:
    """Of true, false and null."""
    if within is None:
        return Text(NOT_GIVEN, "dim")
    return Text("✓ yes", look.good) if within else Text("✗ no", look.bad)


def reconcile_summary(body: Mapping[str, Any], look: Look) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    if body["days_compared"]:
        text.append_text(_verdict(body["within"], look)).append(f" within {percent(body['tolerance'], 0)}   ")
    else:
        text.append(f"{NOT_GIVEN} nothing to compare yet   ", "bold")
    text.append(f"{body['days_compared']} compared, {body['days_outside']} outside, ")
    text.append(f"{body['days_not_covered']} without a report   ")
    return text.append(f"{body['start_date']} to {body['end_date']}  {body['timezone']}  {body['currency']}", "dim")


def restatement_rows(items: Iterable[Mapping[str, Any]], look: Look) -> Rows:
    rows: Rows = {}
    for one in sorted(items, key=lambda item: str(item["landed_at"]), reverse=True):
        places = _PLACES.get(one["metric"], 2)
        old, new = one["old"], one["new"]
        difference = None if old is None or new is None else new - old
        key = "|".join(
            str(one[name]) for name in ("day", "platform", "account_id", "external_id", "metric", "landed_at")
        )
        rows[key] = [
            Text(str(one["day"])),
            Text(str(one["platform"])),
            Text(str(one["metric"])),
            right(exact(old, places)),
            right(exact(new, places)),
            right(NOT_GIVEN if difference is None else f"{difference:+,.{places}f}"),
            Text(str(one["currency"] or "")),
            Text(moment(one["landed_at"])),
            look.finality(str(one["finality"])),
            Text(str(one["cause"])),
            plain(one["external_id"]),
        ]
    return rows


def restatements_summary(body: Mapping[str, Any]) -> Text:
    text = Text(f"{body['start_date']} to {body['end_date']}  ", "dim", no_wrap=True, overflow="ellipsis")
    found = len(body["items"])
    text.append(
        f"{found:,} figure{'s were' if found != 1 else ' was'} restated" if found else "nothing was restated", "not dim"
    )
    return text.append(", and more than fit here", "not dim") if body["truncated"] else text
