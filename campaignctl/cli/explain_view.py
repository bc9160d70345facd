"""Where a number comes from, for eyes and for spreadsheets."""

import shlex
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from campaignctl.cli.output import Column, Kind, Table
from campaignctl.telemetry import one_line

Json = Mapping[str, Any]

_WIDEST = 100
"""Sentences are no longer than this on however wide a screen."""
_OF_A_TIME = len("2026-10-31T18:00:00")


def as_table(answer: Json) -> Table:
    """A line for each amount that a platform gives."""
    columns = [
        Column("platform", Kind.ID),
        Column("source", Kind.ID),
        Column("rule", Kind.ID),
        Column("finality", Kind.ID),
        Column("metric", Kind.ID),
        Column("currency", Kind.ID),
        Column("value", Kind.RAW),
        Column("events", Kind.RAW),
        Column("why"),
    ]
    rows = [
        [
            *(part[name] for name in ("platform", "source", "rule", "finality")),
            *(amount[name] for name in ("metric", "currency", "value")),
            part["stream"]["events"],
            part["why"],
        ]
        for part in answer["platforms"]
        for amount in part["amounts"]
    ]
    return Table(columns, rows)


def as_text(answer: Json, width: int) -> str:
    """Everything, a section for the number and one for each platform."""
    page = _Page(min(width, _WIDEST))
    asked, metric = answer["asked"], answer["metric"]
    named = [*asked["platforms"], *asked["regions"]]
    filters = f" of {', '.join(named)}" if named else ""
    page.say(f"{metric}{filters} of campaign {answer['campaign_id']} on {answer['date']} ({asked['timezone']})")
    page.say("")
    page.say(f"  {_value(answer)}   source: {answer['source']}, finality: {answer['finality']}")
    for one in answer["null_because"]:
        page.wrap(f"null because of {one['code']}: {one['message']}", 2)
    page.say("")
    page.lines(facts_lines(answer))
    page.say("")
    page.say("How it adds up")
    page.columns(_terms(answer))
    for one in answer["conversions"]:
        page.wrap(_converted(one, answer["max_rate_age_days"]), 2)
    for part in answer["platforms"]:
        page.say("")
        _platform(page, part)
    _rest(page, answer)
    return str(page)


def facts_as_text(facts: Json, width: int) -> str:
    """What a metric is, and what it counts on each platform."""
    page = _Page(min(width, _WIDEST))
    page.say(facts["metric"])
    page.lines(facts_lines(facts))
    for term in facts["terms"]:
        page.say("")
        page.say(f"What {term['metric']} counts")
        page.wrap(f"stream: {term['stream']}", 2, hanging=4)
        for platform, counted in term["platforms"].items():
            page.wrap(f"{platform}: {counted}", 2, hanging=4)
    return str(page)


def facts_as_table(facts: Json) -> Table:
    columns = [Column(name, Kind.ID) for name in ("metric", "source")] + [Column("counts")]
    rows = [
        [term["metric"], source, counted]
        for term in facts["terms"]
        for source, counted in {"stream": term["stream"], **term["platforms"]}.items()
    ]
    return Table(columns, rows)


def facts_lines(answer: Json) -> Iterator[tuple[str, str]]:
    definition = answer["definition"]
    yield "meaning", definition["meaning"]
    yield "formula", definition["formula"]
    yield "unit", definition["unit"]


def as_commands(answer: Json) -> str:
    """The statements as commands that run them again."""
    commands = []
    for one in answer["statements"]:
        params = [f"--param {_quoted(f'{name}={value}')}" for name, value in one["params"].items()]
        command = " \\\n  ".join(["campaignctl query", *params, _quoted(one["sql"])])
        commands.append(f"# {one['name']} in {one['file']}\n{command}")
    return "\n\n".join(commands)


def _quoted(text: str) -> str:
    """As a shell takes it: in double quotes where nothing inside them would mean anything, which is easier to read."""
    if "'" not in text or any(sign in text.replace("!=", "") for sign in '"$`\\!'):
        return shlex.quote(text)
    return f'"{text}"'


class _Page:
    """Lines of text, none wider than the page as far as words allow."""

    def __init__(self, width: int) -> None:
        self._width = max(width, 40)
        self._lines: list[str] = []

    def say(self, text: str) -> None:
        self._lines.append(one_line(text).rstrip())

    def wrap(self, text: str, indent: int, *, hanging: int | None = None) -> None:
        self._lines += textwrap.wrap(
            one_line(text),
            self._width,
            initial_indent=" " * indent,
            subsequent_indent=" " * (indent if hanging is None else hanging),
            break_long_words=False,
            break_on_hyphens=False,
        )

    def lines(self, labelled: Iterator[tuple[str, str]]) -> None:
        for label, text in labelled:
            self.wrap(f"{label:<8} {text}", 2, hanging=11)

    def columns(self, rows: Sequence[Sequence[str]]) -> None:
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
        for row in rows:
            self.say("  " + "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))

    def __str__(self) -> str:
        return "\n".join(self._lines)


def _value(answer: Json) -> str:
    if answer["value"] is None:
        return "null"
    money = any(term["metric"] in ("spend", "revenue") for term in answer["terms"])
    per = money and answer["metric"] in ("spend", "revenue", "cpc", "cpm", "cpa")
    return f"{_number(answer['value'])} {answer['asked']['currency']}" if per else _number(answer["value"])


def _terms(answer: Json) -> list[list[str]]:
    rows = []
    for term in answer["terms"]:
        of_term = [
            [part["platform"], part["source"] or "neither", term["metric"], _amount(amount)]
            for part in answer["platforms"]
            for amount in part["amounts"]
            if amount["metric"] == term["metric"]
        ]
        whole = {"currency": answer["asked"]["currency"] if term["metric"] in ("spend", "revenue") else None}
        rows += [*of_term, ["in total", term["role"], term["metric"], _amount({**whole, "value": term["value"]})]]
    return rows


def _converted(one: Json, max_age_days: int) -> str:
    amount = f"{_number(one['amount'])} {one['currency']} of {one['metric']}"
    if one["rate"] is None:
        return (
            f"{amount} cannot be converted: there is no rate into {one['base']} of {one['day']} or the {max_age_days}"
            " days before it."
        )
    return (
        f"{amount} = {_number(one['value'])} {one['base']} at 1 {one['currency']} = {_number(one['rate'])}"
        f" {one['base']}, the rate of {one['rate_date']}"
    )


def _platform(page: _Page, part: Json) -> None:
    page.say(f"{part['platform']}: {part['source'] or 'neither source'}, by the rule {part['rule']}")
    page.wrap(part["why"], 2)
    expected = part["expected_final_at"]
    final = "" if expected is None or part["finality"] == "final" else f" It is final from {_time(expected)} on."
    page.wrap(f"{part['finality']}: {part['why_final']}{final}", 2)
    for native in part["natives"]:
        _native(page, native)
    if part["natives_left_out"]:
        page.say(f"  and {part['natives_left_out']} more native campaigns")
    _stream(page, part)


def _native(page: _Page, native: Json) -> None:
    page.say(f"  {native['level']} {native['external_id']} of account {native['account_id']}")
    covered = f"covered {_time(native['covered_at'])}" if native["covered_at"] else "never fetched for this day"
    seen = "" if native["seen"] else ", never had a row"
    page.wrap(f"days of {native['timezone']}; {covered}{seen}", 4)
    for row in native["rows"]:
        if row["region"]:
            page.wrap(f"{row['region']}  {_amounts(row['amounts'])}  fetched {_time(row['fetched_at'])}", 4, hanging=6)
    for version in native["versions"]:
        told = "no row" if version["amounts"] is None else _amounts(version["amounts"])
        stands = ", stands" if version["stands"] else ""
        counted = f", {version['definition']}" if version["definition"] else ""
        text = f"version {version['version']}  {told}  fetched {_time(version['fetched_at'])}{counted}{stands}"
        page.wrap(text, 4, hanging=6)


def _stream(page: _Page, part: Json) -> None:
    stream = part["stream"]
    counts = "" if part["source"] == "stream" else ", not counted"
    if not stream["events"]:
        gone = ", which may have expired" if stream["expired"] else ""
        page.say(f"  stream: no raw records{gone}")
    else:
        page.wrap(f"stream: {_events(stream['events'])}{counts}: {_amounts(stream['amounts'])}", 2, hanging=4)
        page.wrap(f"happened {_time(stream['first_event_at'])} to {_time(stream['last_event_at'])}", 4)
    for one in stream["log"]:
        page.wrap(
            f"log: partition {one['partition']}, offsets {one['first_offset']} to {one['last_offset']},"
            f" {_events(one['events'])}, the last taken {_time(one['last_taken_at'])}",
            4,
            hanging=6,
        )
    if stream["events_in_sums"] not in (None, stream["events"]):
        page.wrap(f"the sums by day hold {_events(stream['events_in_sums'])}", 4)
        if not stream["expired"]:
            page.wrap("they differ; campaignctl verify says why", 4)


def _rest(page: _Page, answer: Json) -> None:
    page.say("")
    for one in answer["definitions"]:
        actions = ", ".join(one["actions"]) if one["actions"] else "a list that is not known any more"
        page.wrap(f"{one['version']} adds up {actions}", 0, hanging=2)
    if answer["conflicts"]:
        page.wrap(
            f"conflicts (copies of the day's events that differ from what counted): {answer['conflicts']};"
            f" campaignctl events conflicts --campaign {answer['campaign_id']}",
            0,
            hanging=2,
        )
    page.say(f"statements run: {len(answer['statements'])}; --sql prints them as commands")


def _amounts(amounts: Sequence[Json]) -> str:
    named = len({one["metric"] for one in amounts}) > 1
    return ", ".join(f"{_amount(one)} {one['metric']}" if named else _amount(one) for one in amounts)


def _amount(one: Json) -> str:
    value = "null" if one["value"] is None else _number(one["value"])
    return f"{value} {one['currency']}" if one["currency"] else value


def _events(count: int) -> str:
    return f"{count:,} event" + ("" if count == 1 else "s")


def _number(value: int | Decimal) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    text = f"{value:,f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _time(text: str) -> str:
    """To the second, in UTC."""
    return text[:_OF_A_TIME].replace("T", " ") + "Z"
