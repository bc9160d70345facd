"""TikTok: JSON inside of queries, codes inside of 200s, metrics that are no numbers, reports that drift."""

import json
import logging
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.ad_platforms.http import HttpLimits
from campaignctl.adapters.ad_platforms.tiktok import TikTokAds
from campaignctl.domain.reports import Breakdown
from campaignctl.errors import (
    ConfigurationError,
    PlatformAnswerInvalid,
    PlatformError,
    PlatformForbidden,
    PlatformRejected,
    PlatformSignInExpired,
    PlatformThrottled,
    PlatformUnavailable,
)
from campaignctl.ports.ad_platforms import AccountAccess
from tests.fakes.clock import ManualClock
from tests.unit.ad_platforms.support import (
    TOKEN,
    Handler,
    Platform,
    Reply,
    all_rows,
    around,
    query,
    reply,
    row,
    rows_of,
    window,
)

BASE = "https://tiktok.example/open_api"
ACCESS = AccountAccess("tiktok", "7000000000000000001", {"access_token": TOKEN})
COUNTRY = Breakdown.COUNTRY


def made(
    *script: Reply, handler: Handler | None = None, limits: HttpLimits | None = None, actions: tuple[str, ...] = ()
) -> tuple[Platform, TikTokAds]:
    clock = ManualClock()
    platform = Platform(clock, script, handler)
    surroundings = around(clock, platform, limits=limits)
    return platform, TikTokAds(base_url=BASE, api_version="v1.3", around=surroundings, conversion_actions=actions)


def entry(
    campaign: object = "1790000000000123", day: str = "2026-11-01", country: str | None = None, **metrics: Any
) -> dict[str, Any]:
    dimensions = {"campaign_id": campaign, "stat_time_day": f"{day} 00:00:00"}
    dimensions |= {"country_code": country} if country is not None else {}
    return {
        "dimensions": dimensions,
        "metrics": {"spend": "0", "impressions": "1", "clicks": "0", "conversion": "0", **metrics},
    }


def page(
    *entries: dict[str, Any], page: int = 1, pages: int = 1, total: int | None = None, message: str = "OK"
) -> httpx2.Response:
    info = {
        "page": page,
        "page_size": 1000,
        "total_number": len(entries) if total is None else total,
        "total_page": pages,
    }
    return reply({"code": 0, "message": message, "request_id": "r", "data": {"list": list(entries), "page_info": info}})


def failure(code: object, message: str = "x", status: int = 200) -> httpx2.Response:
    return reply({"code": code, "message": message, "request_id": "r", "data": {}}, status)


def test_a_total_is_asked_as_documented() -> None:
    documented = entry(
        campaign=1790000000000123, campaign_name="Spring", spend="61.10", impressions="9040", clicks=233, conversion="5",
        cost_per_conversion="12.22", secondary_goal_result="-",
    )  # fmt: skip
    platform, client = made(page(documented, message="ok"))
    assert all_rows(client, ACCESS, window()) == [
        row(
            "1790000000000123",
            "2026-11-01",
            impressions=9040,
            clicks=233,
            conversions_millionths=5_000_000,
            spend_micros=61_100_000,
            revenue_micros=None,
        )
    ]
    (asked,) = platform.asked
    assert asked.url.path == "/open_api/v1.3/report/integrated/get/"
    assert asked.headers["Access-Token"] == TOKEN and "Authorization" not in asked.headers
    params = query(asked)
    assert (params["report_type"], params["data_level"], params["page_size"]) == ("BASIC", "AUCTION_CAMPAIGN", "1000")
    assert json.loads(params["dimensions"]) == ["campaign_id", "stat_time_day"]
    assert (params["start_date"], params["end_date"]) == ("2026-11-01", "2026-11-07")
    (states,) = json.loads(params["filtering"])
    assert states["field_name"] == "campaign_status" and json.loads(states["filter_value"]) == ["STATUS_ALL"]


def test_countries_are_asked_with_what_they_have() -> None:
    entries = [
        entry(country="us", conversion="2"), entry(country="", conversion="1"), entry(country="unknown", conversion="1"),
        entry(country="DE", conversion="-"), entry(country="GB", impressions="-", spend="-", clicks="-"),
    ]  # fmt: skip
    platform, client = made(page(*entries))
    one = "1790000000000123"
    assert all_rows(client, ACCESS, window(breakdown=COUNTRY)) == [
        row(one, "2026-11-01", "US", impressions=1, conversions_millionths=2_000_000, revenue_micros=None),
        row(one, "2026-11-01", "ZZ", impressions=2, conversions_millionths=2_000_000, revenue_micros=None),
        row(one, "2026-11-01", "DE", impressions=1, conversions_millionths=None, revenue_micros=None),
        row(one, "2026-11-01", "GB", revenue_micros=None),
    ]
    params = query(platform.asked[0])
    assert params["report_type"] == "AUDIENCE"
    assert json.loads(params["dimensions"]) == ["campaign_id", "stat_time_day", "country_code"]
    assert json.loads(params["metrics"]) == ["spend", "impressions", "clicks", "conversion"]


def test_a_metric_without_data_is_0_and_one_that_is_not_given_is_null() -> None:
    absent = entry()
    del absent["metrics"]["conversion"]
    _, client = made(
        page(entry(conversion="-", clicks="-"), {**absent, "dimensions": {**absent["dimensions"], "campaign_id": "2"}})
    )
    first, second = all_rows(client, ACCESS, window())
    assert (first.conversions_millionths, first.clicks, second.conversions_millionths) == (0, 0, None)


def test_nothing_is_one_page() -> None:
    for data in ({"list": []}, {"list": [], "page_info": {"page": 1, "total_page": 0, "total_number": 0}}):
        _, client = made(reply({"code": 0, "message": "OK", "data": data}))
        (only,) = client.pages(ACCESS, window(), None)
        assert (list(only.rows), only.resume) == ([], None)


def test_pages_are_read_to_the_last_and_go_on_where_they_stopped() -> None:
    platform, client = made(
        page(entry(), pages=3, total=3),
        page(pages=3, total=3, page=2),
        page(entry(day="2026-11-02"), pages=3, total=3, page=3),
    )
    pages = list(client.pages(ACCESS, window(), None))
    assert len(rows_of(pages)) == 2
    assert [query(one)["page"] for one in platform.asked] == ["1", "2", "3"]
    platform, client = made(page(entry(day="2026-11-02"), pages=3, total=3, page=3))
    (last,) = client.pages(ACCESS, window(), pages[1].resume)
    assert query(platform.asked[0])["page"] == "3" and last.resume is None


def test_a_report_that_drifts_is_read_again() -> None:
    script = page(entry(), pages=2, total=2), page(entry(), page=2, pages=2, total=3)
    again = page(entry(), pages=2, total=3), page(entry(), entry(day="2026-11-02"), page=2, pages=2, total=3)
    _, client = made(*script, *again)
    pages = list(client.pages(ACCESS, window(), None))
    assert [one.afresh for one in pages] == [False, True, False]
    assert [one.day.day for one in rows_of(pages)] == [1, 2]
    number = iter(range(100))
    _, client = made(handler=lambda _: page(entry(), pages=9, total=next(number)))
    with pytest.raises(PlatformUnavailable, match="changed while it was read, 4 times"):
        all_rows(client, ACCESS, window())


# ---- the error table


@pytest.mark.parametrize(
    ("answer", "first_s"),
    [
        (failure(40100, "App reaches the QPS limit."), 10),
        (failure(51010, "Too many requests. Please retry in some time."), 10),
        (failure(0, status=429), 10),
        (httpx2.Response(429, content=b"slow down"), 10),
    ],
)
def test_a_limit_is_waited_for_ever_longer(answer: httpx2.Response, first_s: float) -> None:
    if answer.status_code == 429:
        answer = httpx2.Response(429, content=b"slow down")
    platform, client = made(answer, answer, page(entry()))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert first_s <= platform.gaps_s[0] <= first_s * 1.25
    assert first_s * 2 <= platform.gaps_s[1] <= first_s * 2.5


def test_a_lock_out_stops_the_app_for_longer_each_time() -> None:
    locked = failure(40100, "Due to too many requests, requests from App 1 are temporarily restricted.")
    platform, client = made(locked, locked, page(entry()))
    other = AccountAccess("tiktok", "2", ACCESS.credentials)
    waits = []
    for _ in range(2):
        with pytest.raises(PlatformThrottled) as caught:
            all_rows(client, ACCESS, window())
        waits.append(caught.value.retry_after_s)
        with pytest.raises(PlatformThrottled):
            client.account_facts(other)
        platform.clock.advance(caught.value.retry_after_s + 1)
    assert 300 <= waits[0] <= 375 and 600 <= waits[1] <= 750
    assert len(platform.asked) == 2
    assert len(all_rows(client, ACCESS, window())) == 1


@pytest.mark.parametrize("code", [40200, 40201, 40202, 40700, 50000, 50002, 51234, 59999])
def test_what_passes_is_tried_again(code: int) -> None:
    platform, client = made(failure(code, "System error."), page(entry()))
    assert len(all_rows(client, ACCESS, window())) == 1
    platform, client = made(*[failure(code)] * 9)
    with pytest.raises(PlatformUnavailable, match=str(code)):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 5


@pytest.mark.parametrize(
    "answer",
    [httpx2.Response(500), httpx2.Response(503, content=b"<html>"), httpx2.Response(200, content=b'{"code":0,"da')],
)
def test_trouble_of_the_edge_passes(answer: httpx2.Response) -> None:
    _, client = made(answer, page(entry()))
    assert len(all_rows(client, ACCESS, window())) == 1


def _without(name: str) -> dict[str, Any]:
    made_up = entry()
    del made_up["metrics"][name]
    return made_up


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (failure(40001, "No permission"), PlatformForbidden, "40001"),
        (failure(40002, "max time span is 30 days when use stat_time_day"), PlatformRejected, "40002"),
        (failure(40105, "Access token is incorrect or has been revoked."), PlatformSignInExpired, "40105"),
        (failure(41000), PlatformRejected, "41000"),
        (failure("0"), PlatformAnswerInvalid, "without a code"),
        (failure(True), PlatformAnswerInvalid, "without a code"),
        (reply([]), PlatformAnswerInvalid, "without a code"),
        (httpx2.Response(404, content=b"no"), PlatformRejected, "404"),
        (reply({"code": 0, "message": "OK"}), PlatformAnswerInvalid, "object at data"),
        (reply({"code": 0, "data": {"rows": []}}), PlatformAnswerInvalid, "data.list"),
        (reply({"code": 0, "data": {"list": [entry()] * 1000}}), PlatformAnswerInvalid, "page_info"),
        (page(_without("spend")), PlatformAnswerInvalid, "without spend"),
        (page(entry(spend="12 dollars")), PlatformAnswerInvalid, "spend"),
        (page(entry(day="yesterday!")), PlatformAnswerInvalid, "stat_time_day"),
    ],
)
def test_what_no_repetition_changes_ends_it_at_once(
    answer: httpx2.Response, kind: type[PlatformError], says: str
) -> None:
    platform, client = made(answer)
    with pytest.raises(kind, match=says) as caught:
        all_rows(client, ACCESS, window())
    assert type(caught.value) is kind and len(platform.asked) == 1


# ---- windows, definitions, accounts, secrets


def test_windows_are_of_30_days_and_fewer_by_country() -> None:
    _, client = made()
    asked = window("2026-09-01", "2026-10-15")
    assert [(str(one.first), str(one.last)) for one in client.windows(ACCESS, asked)] == [
        ("2026-09-01", "2026-09-30"),
        ("2026-10-01", "2026-10-15"),
    ]
    assert len(client.windows(ACCESS, window("2026-09-01", "2026-10-15", breakdown=COUNTRY))) == 7
    with pytest.raises(PlatformRejected):
        client.windows(ACCESS, window(level="campaign_group"))


def test_one_kind_of_conversion_may_be_chosen() -> None:
    answer = page(entry(conversion="5", real_time_conversion="4.5", result="9"))
    _, client = made(answer, actions=("real_time_conversion",))
    (only,) = client.pages(ACCESS, window(), None)
    assert only.rows[0].conversions_millionths == 4_500_000
    own = AccountAccess("tiktok", "1", ACCESS.credentials, ("result",))
    assert [rows[0].conversions_millionths for rows in client.read(own, window(), [only.raw])] == [9_000_000]
    with pytest.raises(ConfigurationError, match=r"tiktok\.conversion_actions"):
        made(actions=("conversion", "result"))


def test_what_is_known_of_an_account_and_its_campaigns() -> None:
    info = {
        "code": 0,
        "data": {"list": [{"advertiser_id": "7", "name": "Shop", "currency": "JPY", "timezone": "Asia/Tokyo"}]},
    }
    campaigns = [
        {"campaign_id": 1790000000000123 + n, "campaign_name": "春", "secondary_status": "CAMPAIGN_STATUS_DELETE"}
        for n in (0, 1)
    ]
    platform, client = made(reply(info), page(campaigns[0], pages=2), page(campaigns[1], pages=2, page=2), page())
    facts = client.account_facts(ACCESS)
    assert (facts.name, facts.currency, facts.timezone) == ("Shop", "JPY", "Asia/Tokyo")
    assert query(platform.asked[0]) == {"advertiser_ids": '["7000000000000000001"]'}
    found = [(one.native_id, one.name, one.status) for one in client.native_campaigns(ACCESS)]
    assert found == [(str(1790000000000123 + n), "春", "CAMPAIGN_STATUS_DELETE") for n in (0, 1)]
    assert json.loads(query(platform.asked[1])["filtering"]) == {"secondary_status": "CAMPAIGN_STATUS_ALL"}
    with pytest.raises(PlatformForbidden):
        client.account_facts(ACCESS)


def test_no_secret_comes_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    platform, client = made(page({**entry(), "echo": TOKEN}), failure(40105, f"token {TOKEN} is incorrect"))
    (only,) = client.pages(ACCESS, window(), None)
    with pytest.raises(PlatformSignInExpired) as caught:
        all_rows(client, ACCESS, window())
    shown = [
        only.raw.decode(),
        repr(only),
        str(caught.value),
        *caplog.messages,
        *(str(one.url) for one in platform.asked),
    ]
    assert not any(TOKEN in text for text in shown)


NAMES = [
    "code",
    "message",
    "data",
    "list",
    "page_info",
    "total_page",
    "total_number",
    "dimensions",
    "metrics",
    "campaign_id",
    "stat_time_day",
    "country_code",
    "spend",
    "impressions",
    "clicks",
    "conversion",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "-", "2026-11-01 00:00:00", "US", 0, 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=20,
)


@given(
    payload=st.one_of(JSON, st.fixed_dictionaries({"code": st.just(0), "data": JSON})),
    status=st.sampled_from([200, 200, 429, 500]),
)
def test_only_declared_errors_come_out(payload: object, status: int) -> None:
    _, client = made(handler=lambda _: reply(payload, status))
    for run in (
        lambda: all_rows(client, ACCESS, window()),
        lambda: all_rows(client, ACCESS, window(breakdown=COUNTRY)),
        lambda: list(client.native_campaigns(ACCESS)),
        lambda: client.account_facts(ACCESS),
    ):
        try:
            run()
        except PlatformError:
            pass
