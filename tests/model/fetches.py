"""Random, nasty, repeatable histories of fetches beside a history of events: what platforms say of the same campaigns.

Several native campaigns on one platform, that begin, end or change hands; accounts in other zones and currencies; days
fetched again with other numbers, rows that vanish, countries that do not add up, metrics that are not given, fetches that
reach the log late, native campaigns that never have a row or are never fetched.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from tests.model.histories import CURRENCIES, EPOCH, ZONES, History
from tests.model.questions import random_questions
from tests.model.reported import Amounts, Native, Slice

Json = dict[str, Any]

DAY = timedelta(days=1)
COUNTRIES = ("US", "IN", "GB", "DE", "FR", "ZZ")
_NUMBERS = (0, 0, 1, 3, 7, 10, 999, 120_000, 10**9)
_AMOUNTS = (0, 0, 1, 2, 3, 333_333, 500_000, 10**6, 2_500_000, 812_345_678, 10**13, -(10**6))
_PLATFORMS = ("meta", "google", "linkedin", "tiktok")


@dataclass(frozen=True)
class Account:
    platform: str
    account: str
    currency: str
    timezone: str


@dataclass(frozen=True)
class Fetches:
    """``told`` comes in the order of the log; ``days`` are those that reports speak of."""

    campaigns: list[Json]
    told: list[Slice]
    days: tuple[date, ...]


def random_fetches(seed: int, history: History, *, spread_days: int) -> Fetches:
    """Reports for a history, whose campaigns get new links. Accounts of different histories may have equal ids."""
    rng = random.Random(f"fetches {seed}")
    start = rng.choice([*history.days, history.now.date()]) - rng.randint(0, 6) * DAY
    if rng.random() < 0.4:
        start = history.now.date() - rng.randint(0, 12) * DAY
    days = tuple(start + n * DAY for n in range(rng.randint(2, 12)))
    accounts = [_account(rng, n, history) for n in range(rng.randint(1, 3))]
    natives = [(_native(account, level, n), account) for account in accounts for level, n in _levels(rng, account)]
    campaigns = [dict(campaign) for campaign in history.campaigns]
    for campaign in campaigns:
        campaign["platforms"] = []
    for native, _ in natives:
        _claim(rng, campaigns, native, days)
    told = [
        one for native, account in natives for one in _fetched(rng, native, account, days, history.now, spread_days)
    ]
    order = sorted(range(len(told)), key=lambda n: (told[n].time_ms, n))
    return Fetches(campaigns, [told[n] for n in order], days)


def report_questions(rng: random.Random, history: History, fetches: Fetches, now: datetime, count: int) -> list[Json]:
    """Questions as ``random_questions`` has them, most of them about the days of the reports, many as of some time."""
    near = replace(history, campaigns=fetches.campaigns, days=fetches.days)
    moments = sorted({one.time_ms for one in fetches.told} | {step.log_time_ms for step in history.steps})
    questions = [random_questions(rng, rng.choice((near, near, near, history)), now, 1)[0] for _ in range(count)]
    for question in questions:
        params = question["params"]
        if rng.random() < 0.7:
            _make_reportable(params)
        if rng.random() < 0.25:
            params["source"] = rng.choice(("report", "report", "stream", "auto"))
        if rng.random() < 0.35:
            at = EPOCH + timedelta(milliseconds=rng.choice(moments) + rng.choice((-1, 0, 0, 1, 86_400_000)))
            params["as_of"] = min(at, now).isoformat()
        if rng.random() < 0.15:
            params["region"] = rng.choice(("US", "ZZ", "us,in", "ZZ,GB", "US-CA"))
    return questions


def _make_reportable(params: Json) -> None:
    """Ask for nothing that no report could ever tell."""
    if params.get("granularity") == "hourly":
        params["granularity"] = "daily"
    group_by = [name for name in params.pop("group_by", "").split(",") if name in ("platform", "region", "campaign")]
    if group_by:
        params["group_by"] = ",".join(group_by)
    if params.get("sort") in ("ad", "ad_group", "device"):
        params["sort"] = "spend"
    if "-" in "".join(params.get("region", "")):
        params["region"] = "US,IN"


def _account(rng: random.Random, number: int, history: History) -> Account:
    own = [campaign["timezone"] for campaign in history.campaigns]
    zone = rng.choice((*own, *own, "UTC", "", "Mars/Olympus", rng.choice(ZONES)))
    money = [campaign["currency"] for campaign in history.campaigns]
    return Account(rng.choice(_PLATFORMS), f"10{number}", rng.choice((*money, *money, rng.choice(CURRENCIES))), zone)


def _levels(rng: random.Random, account: Account) -> Iterator[tuple[str, int]]:
    for number in range(rng.choice((1, 1, 2, 3))):
        group = account.platform == "linkedin" and rng.random() < 0.5
        yield "campaign_group" if group else "campaign", number


def _native(account: Account, level: str, number: int) -> Native:
    return account.platform, account.account, level, f"77{number}"


def _claim(rng: random.Random, campaigns: list[Json], native: Native, days: tuple[date, ...]) -> None:
    """Give the native campaign to one campaign, now and then to another one from some day on."""
    if rng.random() < 0.05:
        return
    link: Json = {
        "platform": native[0],
        "account_id": _spelled_account(rng, native),
        "level": native[2],
        "external_id": _spelled_native(rng, native),
    }
    day = rng.choice(days)
    kind = rng.random()
    if kind < 0.6:
        rng.choice(campaigns)["platforms"].append(link)
    elif kind < 0.75:
        rng.choice(campaigns)["platforms"].append({**link, rng.choice(("valid_from", "valid_to")): day.isoformat()})
    else:
        rng.choice(campaigns)["platforms"].append({**link, "valid_to": (day - DAY).isoformat()})
        rng.choice(campaigns)["platforms"].append(
            {**link, "account_id": _spelled_account(rng, native), "valid_from": day.isoformat()}
        )


def _spelled_account(rng: random.Random, native: Native) -> str:
    platform, account = native[:2]
    if platform == "meta":
        return rng.choice((account, f"act_{account}"))
    if platform == "google":
        return rng.choice((account, f"{account[:1]}-{account[1:]}"))
    return rng.choice((account, f"urn:li:sponsoredAccount:{account}")) if platform == "linkedin" else account


def _spelled_native(rng: random.Random, native: Native) -> str:
    platform, account, level, number = native
    if platform == "linkedin":
        kind = "sponsoredCampaignGroup" if level == "campaign_group" else "sponsoredCampaign"
        return rng.choice((number, f"urn:li:{kind}:{number}"))
    return rng.choice((number, f"customers/{account}/campaigns/{number}")) if platform == "google" else number


def _fetched(
    rng: random.Random, native: Native, account: Account, days: tuple[date, ...], now: datetime, spread_days: int
) -> Iterator[Slice]:
    """Fetches of a native campaign, one after the other; what they found reaches the log at once or later."""
    silent, never = rng.random() < 0.08, rng.random() < 0.05
    now_ms = round(now.timestamp() * 1_000)
    for _ in range(0 if never else rng.choice((1, 2, 2, 3, 4))):
        fetched_ms = now_ms - int(rng.random() * max(spread_days, 1) * 86_400_000)
        time_ms = min(now_ms, fetched_ms + rng.choice((0, 0, 1, 1_000, 3 * 86_400_000)))
        first = rng.randrange(len(days)) if rng.random() < 0.3 else 0
        last = rng.randrange(first, len(days)) if rng.random() < 0.3 else len(days) - 1
        for by_country in (False, True):
            if by_country and rng.random() < 0.25:
                continue
            currency = rng.choice(CURRENCIES) if rng.random() < 0.03 else account.currency
            told = Slice(time_ms, fetched_ms, native, by_country, days[0], days[0], currency, account.timezone, {})
            for day in days[first : last + 1]:
                if rng.random() < 0.7:
                    rows = {} if silent else _rows(rng, by_country=by_country)
                    yield replace(told, first=day, last=day, rows=rows)
            if rng.random() < 0.95:
                whole = (*native[:3], "") if rng.random() < 0.3 else native
                yield replace(told, native=whole, first=days[first], last=days[last], rows=None)


def _rows(rng: random.Random, *, by_country: bool) -> dict[str, Amounts]:
    if rng.random() < 0.15:
        return {}
    regions = rng.sample(COUNTRIES, rng.randint(1, 4)) if by_country else [""]
    lacking = {n for n in range(5) if by_country and rng.random() < 0.1}
    return {
        region: tuple(None if n in lacking else rng.choice(_NUMBERS if n < 2 else _AMOUNTS) for n in range(5))
        for region in regions
    }
