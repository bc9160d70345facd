"""Random questions about a history: every parameter of `GET insights` and their combinations, some of them invalid.

A rare answer (zero-filled hours in many groups) is longer than a page of 10,000 rows: follow `next_cursor`.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tests.model.histories import CURRENCIES, PLATFORMS, REGIONS, ZONES, History

Json = dict[str, Any]

DAY = timedelta(days=1)
GROUPINGS = ("platform", "region", "ad_group", "ad", "device", "campaign")
METRICS_AND_RATIOS = (
    *("impressions", "clicks", "conversions", "spend", "revenue"),
    *("ctr", "cpc", "cpm", "cpa", "cvr", "roas"),
)
INVALID: tuple[Json, ...] = (
    {"start_date": "2026-03-02", "end_date": "2026-03-01"},
    {"start_date": "2020-01-01", "end_date": "2025-01-05"},
    {"start_date": "2026-01-01", "end_date": "2026-04-04", "granularity": "hourly"},
    {"start_date": "2026-02-30"},
    {"end_date": "2026-1-1"},
    {"start_date": "yesterday"},
    {"start_date": "20260101"},
    {"timezone": "Mars/Olympus"},
    {"timezone": "America"},
    {"timezone": "../etc/passwd"},
    {"granularity": "yearly"},
    {"group_by": "colour"},
    {"group_by": "platform,ad_id"},
    {"platform": "snapchat"},
    {"platform": "meta,facebook"},
    {"region": "USA"},
    {"region": "US,U"},
    {"currency": "XYZ"},
    {"week_start": "tuesday"},
    {"fill": "one"},
    {"source": "guess"},
    {"compare": "next_year"},
    {"sort": "magic"},
    {"sort": "platform", "group_by": "region"},
    {"sort": "clicks", "order": "up"},
    {"colour": "red"},
)


def random_questions(rng: random.Random, history: History, now: datetime, count: int) -> list[Json]:
    """Questions as `{"campaigns": [ids], "several": bool, "params": {...}}`, asked at `now`."""
    return [_random_question(rng, history, now) for _ in range(count)]


def request(question: Json) -> tuple[str, Json]:
    """A question as path and query parameters of the REST API."""
    if question["several"]:
        return "/api/v1/insights", {"campaign": ",".join(map(str, question["campaigns"])), **question["params"]}
    return f"/api/v1/campaigns/{question['campaigns'][0]}/insights", dict(question["params"])


def _random_question(rng: random.Random, history: History, now: datetime) -> Json:
    known = range(1, len(history.campaigns) + 1)
    several = rng.random() < 0.3
    campaigns = rng.sample(known, rng.randint(1, len(known))) if several else [rng.choice(known)]
    chosen = [history.campaigns[number - 1] for number in campaigns]
    params: Json = {}
    invalid = rng.random() < 0.05
    if invalid:
        params |= rng.choice(INVALID)
    else:
        _ask_for_periods(rng, params, history, now)
        _ask_for_rows(rng, params, several=several)
    bases = sorted({rate["base"] for rate in history.rates})
    for name, others in (("timezone", ZONES), ("currency", (*bases * 3, *CURRENCIES))):
        undecided = len({campaign[name] for campaign in chosen}) > 1
        asked = rng.random() < (0.95 if undecided else 0.35)  # else 422, when they differ
        if name not in params and (asked or invalid):
            params[name] = rng.choice((*others, *(campaign[name] for campaign in chosen)))
    return {"campaigns": campaigns, "several": several, "params": params}


def _ask_for_periods(rng: random.Random, params: Json, history: History, now: datetime) -> None:
    granularity = rng.choice(("hourly", "daily", "daily", "weekly", "monthly", "total", None))
    if granularity:
        params["granularity"] = granularity
    if rng.random() < 0.35:
        params["fill"] = rng.choice(("zero", "zero", "zero", "none"))
    filled = params.get("fill") == "zero"
    longest = {"hourly": 2 if filled else 93, "weekly": 200, "monthly": 700, "total": 1830}
    days = rng.choice((1, 2, 3, 7, 10, 30, 31, 92, 93, 365, 365, 1830))
    days = min(days, longest.get(granularity or "daily", 30 if filled else 93))
    params |= _range(rng, history, now.astimezone(UTC).date(), days)
    if rng.random() < 0.3:
        params["week_start"] = rng.choice(("sunday", "sunday", "monday"))
    if rng.random() < 0.25:
        params["compare"] = rng.choice(("previous_period", "previous_year"))


def _range(rng: random.Random, history: History, today: date, days: int) -> Json:
    """Asked days around those of the events; now and then the default, wholly or in part, or days to come."""
    kind = rng.random()
    if kind < 0.08:
        return {}
    if kind < 0.14:
        return {"start_date": (today - rng.randint(0, 60) * DAY).isoformat()}
    start = rng.choice(history.days) - rng.randint(0, days - 1) * DAY
    if kind < 0.24:
        start = today - (days - 1) * DAY + rng.randint(-1, 3) * DAY
    end = start + (days - 1) * DAY
    if kind < 0.3:
        return {"end_date": end.isoformat()}
    return {"start_date": start.isoformat(), "end_date": end.isoformat()}


def _ask_for_rows(rng: random.Random, params: Json, *, several: bool) -> None:
    group_by = rng.sample(GROUPINGS, rng.choice((0, 0, 1, 1, 2, 3)))
    if several and rng.random() < 0.5:
        group_by = ["campaign", *(name for name in group_by if name != "campaign")]
        rng.shuffle(group_by)
    if group_by:
        params["group_by"] = ",".join(group_by)
    if rng.random() < 0.2:
        params["platform"] = _listed(rng, rng.sample(PLATFORMS, rng.randint(1, 3)))
    if rng.random() < 0.2:
        params["region"] = _listed(rng, rng.sample((*REGIONS, "FR", "BR", "XX-1"), rng.randint(1, 3)))
    if rng.random() < 0.3:
        params["source"] = rng.choice(("stream", "auto"))
    if rng.random() < 0.35:
        params["sort"] = rng.choice((*METRICS_AND_RATIOS, *group_by))
        if rng.random() < 0.6:
            params["order"] = rng.choice(("asc", "desc"))


def _listed(rng: random.Random, names: list[str]) -> str | list[str]:
    """Several values: a comma list or the parameter repeated, in any case."""
    names = [rng.choice((name, name, name.upper(), name.lower())) for name in names]
    return names if len(names) > 1 and rng.random() < 0.3 else ",".join(names)
