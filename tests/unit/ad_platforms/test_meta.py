"""Meta's insights: requests as documented, rows exact, and every row of the error table with its reaction."""

import json
import logging
from datetime import date, timedelta
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.ad_platforms import answers
from campaignctl.adapters.ad_platforms.definitions import META
from campaignctl.adapters.ad_platforms.http import HttpLimits
from campaignctl.adapters.ad_platforms.meta import MetaAds
from campaignctl.adapters.ad_platforms.meta_rows import page_of, plain_page_of
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
    form,
    query,
    reply,
    row,
    rows_of,
    window,
)

BASE = "https://graph.example"
ACCESS = AccountAccess("meta", "act_100200300400500", {"access_token": TOKEN})
COUNTRY = Breakdown.COUNTRY


def made(
    *script: Reply, handler: Handler | None = None, limits: HttpLimits | None = None, actions: tuple[str, ...] = ()
) -> tuple[Platform, MetaAds]:
    clock = ManualClock()
    platform = Platform(clock, script, handler)
    surroundings = around(clock, platform, limits=limits)
    return platform, MetaAds(base_url=BASE, api_version="v25.0", around=surroundings, conversion_actions=actions)


def entry(campaign: str = "120330000000000777", day: str = "2026-11-01", **members: Any) -> dict[str, Any]:
    return {"campaign_id": campaign, "date_start": day, "date_stop": day, "impressions": "1", "spend": "0", **members}


def page(*entries: dict[str, Any], after: str | None = None, last: str = "MjQZD") -> httpx2.Response:
    cursors = {"cursors": {"before": "MAZDZD", "after": after or last}}
    following = {"next": f"{BASE}/v25.0/act_100200300400500/insights?access_token={TOKEN}&limit=500&after={after}"}
    return reply({"data": list(entries), "paging": {**cursors, **(following if after else {})}})


def failure(code: int, subcode: int = 0, *, status: int = 400, message: str = "x", **more: Any) -> httpx2.Response:
    headers = more.pop("headers", None)
    error = {"message": message, "type": "OAuthException", "code": code, "error_subcode": subcode, **more}
    return reply({"error": error}, status, headers)


DOCUMENTED = {
    "account_id": "100200300400500",
    "account_currency": "USD",
    "campaign_id": "120330000000000777",
    "campaign_name": "Spring",
    "impressions": "512",
    "clicks": "31",
    "spend": "48.2",
    "country": "US",
    "actions": [
        {"action_type": "link_click", "value": "28", "7d_click": "28"},
        {"action_type": "omni_purchase", "value": "2", "7d_click": "2"},
        {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "2", "7d_click": "2"},
    ],
    "action_values": [
        {"action_type": "omni_purchase", "value": "118.00"},
        {"action_type": "offsite_conversion.fb_pixel_purchase", "value": "118.00"},
    ],
    "date_start": "2026-11-01",
    "date_stop": "2026-11-01",
}
SPRING = row(
    "120330000000000777",
    "2026-11-01",
    impressions=512,
    clicks=31,
    conversions_millionths=2_000_000,
    spend_micros=48_200_000,
    revenue_micros=118_000_000,
)


def test_a_total_is_asked_as_documented() -> None:
    platform, client = made(page(DOCUMENTED))
    assert all_rows(client, ACCESS, window()) == [SPRING]
    (asked,) = platform.asked
    assert str(asked.url).startswith(f"{BASE}/v25.0/act_100200300400500/insights?")
    assert asked.headers["Authorization"] == f"Bearer {TOKEN}" and TOKEN not in str(asked.url)
    params = query(asked)
    assert (params["level"], params["time_increment"], params["limit"]) == ("campaign", "1", "500")
    assert json.loads(params["time_range"]) == {"since": "2026-11-01", "until": "2026-11-07"}
    assert "breakdowns" not in params
    (statuses,) = json.loads(params["filtering"])
    assert statuses["field"] == "ad.effective_status" and {"ARCHIVED", "DELETED"} <= set(statuses["value"])


def test_countries_come_from_a_report_run() -> None:
    script = [
        reply({"report_run_id": "6100000000000042"}),
        reply({"id": "6100000000000042", "async_status": "Job Not Started", "async_percent_completion": 0}),
        reply({"id": "6100000000000042", "async_status": "Job Running", "async_percent_completion": 60}),
        reply({"id": "6100000000000042", "async_status": "Job Completed", "async_percent_completion": 100}),
        page(entry(country="US"), entry(country="unknown", clicks="3"), after="two"),
        page(entry(country="us", day="2026-11-02"), entry(country="", clicks="4"), entry(country="DE")),
    ]
    platform, client = made(*script)
    pages = list(client.pages(ACCESS, window(breakdown=COUNTRY), None))
    one = "120330000000000777"
    assert rows_of(pages) == [
        row(one, "2026-11-01", "US", impressions=1),
        row(one, "2026-11-01", "ZZ", impressions=1, clicks=3),
        row(one, "2026-11-02", "US", impressions=1),
        row(one, "2026-11-01", "ZZ", impressions=1, clicks=4),
        row(one, "2026-11-01", "DE", impressions=1),
    ]
    assert [request.method for request in platform.asked] == ["POST", "GET", "GET", "GET", "GET", "GET"]
    assert json.loads(form(platform.asked[0])["breakdowns"]) == ["country"]
    assert platform.asked[1].url.path == "/v25.0/6100000000000042"
    assert platform.asked[4].url.path == "/v25.0/6100000000000042/insights"
    assert query(platform.asked[5]) == {"limit": "500", "after": "two"}
    # What is kept can be read again, under the same rules.
    raws = [page.raw for page in pages]
    assert [r for rows in client.read(ACCESS, window(breakdown=COUNTRY), raws) for r in rows] == rows_of(pages)


@pytest.mark.parametrize("ends", ["Job Failed", "Job Skipped"])
def test_a_run_that_fails_is_started_again(ends: str) -> None:
    start = reply({"report_run_id": "1"}), reply({"async_status": ends, "error_code": 1, "error_message": "x"})
    again = reply({"report_run_id": "2"}), reply({"async_status": "Job Completed"})
    platform, client = made(*start, *again, page(entry(country="US")))
    assert len(all_rows(client, ACCESS, window(breakdown=COUNTRY))) == 1
    assert platform.asked[-1].url.path == "/v25.0/2/insights"
    _, client = made(*[answer for _ in range(3) for answer in start])
    with pytest.raises(PlatformUnavailable, match="3 report runs"):
        all_rows(client, ACCESS, window(breakdown=COUNTRY))


@pytest.mark.parametrize(("status", "within_s"), [("Job Not Started", 300), ("Job Running", 1800)])
def test_a_run_that_is_stuck_is_started_again(status: str, within_s: int) -> None:
    runs = iter("123")

    def handler(request: httpx2.Request) -> Reply:
        if request.method == "POST":
            return reply({"report_run_id": next(runs)})
        if request.url.path.endswith("/1"):
            return reply({"async_status": status})
        return (
            page(entry(country="US"))
            if request.url.path.endswith("insights")
            else reply({"async_status": "Job Completed"})
        )

    platform, client = made(handler=handler)
    assert len(all_rows(client, ACCESS, window(breakdown=COUNTRY))) == 1
    posts = [at for request, at in zip(platform.asked, platform.asked_at_s, strict=True) if request.method == "POST"]
    assert len(posts) == 2 and within_s < posts[1] - posts[0] < within_s + 120


def test_a_run_that_was_asked_for_too_much_is_split() -> None:
    def handler(request: httpx2.Request) -> Reply:
        if request.method == "POST":
            since = json.loads(form(request)["time_range"])
            return reply({"report_run_id": "9" if since["since"] != since["until"] else since["since"][-2:]})
        if request.url.path.endswith("insights"):
            return page(entry(country="US", day=f"2026-11-{request.url.path.split('/')[-2]}"))
        if request.url.path.endswith("/9"):
            return reply({"async_status": "Job Failed", "error_code": 100, "error_subcode": 1487534})
        return reply({"async_status": "Job Completed"})

    _, client = made(handler=handler)
    rows = all_rows(client, ACCESS, window(breakdown=COUNTRY))
    assert [one.day.day for one in rows] == [1, 2, 3, 4, 5, 6, 7]


# ---- paging


def test_next_decides_and_not_the_cursor_and_a_page_may_be_empty() -> None:
    platform, client = made(page(entry(), after="a"), page(after="b"), page(entry(day="2026-11-02")))
    assert len(all_rows(client, ACCESS, window())) == 2
    assert [query(request).get("after") for request in platform.asked] == [None, "a", "b"]
    assert query(platform.asked[1])["level"] == "campaign"


def test_a_window_goes_on_where_it_stopped() -> None:
    platform, client = made(page(entry(), after="a"), page(entry(day="2026-11-02"), after="b"))
    pages = client.pages(ACCESS, window(), None)
    next(pages)
    resume = next(pages).resume
    assert resume is not None and TOKEN not in resume

    platform, client = made(page(entry(day="2026-11-03")))
    (last,) = client.pages(ACCESS, window(), resume)
    assert last.rows == [row("120330000000000777", "2026-11-03", impressions=1)]
    assert (last.resume, last.afresh) == (None, False)
    assert [query(request)["after"] for request in platform.asked] == ["b"]


def test_a_place_that_is_no_longer_known_begins_the_window_afresh() -> None:
    _, client = made(page(entry(), after="a"))
    first = next(iter(client.pages(ACCESS, window(), None)))
    platform, client = made(failure(100, message="(#100) Invalid cursor"), page(entry()))
    (only,) = client.pages(ACCESS, window(), first.resume)
    assert only.afresh and len(only.rows) == 1
    assert "after" not in query(platform.asked[1])
    for place in ("", "nonsense", '{"v":99,"pages":1,"parts":[]}', "{}"):
        _, client = made(page(entry()))
        assert next(iter(client.pages(ACCESS, window(), place))).afresh


def test_a_cursor_that_repeats_ends_it() -> None:
    _, client = made(page(entry(), after="a"), page(entry(day="2026-11-02"), after="a"))
    with pytest.raises(PlatformAnswerInvalid, match="second time"):
        all_rows(client, ACCESS, window())


def test_a_page_that_comes_twice_counts_once() -> None:
    twice = entry(clicks="5")
    _, client = made(page(twice, after="a"), page(twice, after="b"), page(entry(day="2026-11-02")))
    pages = list(client.pages(ACCESS, window(), None))
    assert [len(one.rows) for one in pages] == [1, 0, 1]
    again = client.read(ACCESS, window(), [one.raw for one in pages])
    assert [len(rows) for rows in again] == [1, 0, 1]


def test_a_report_that_changes_while_it_is_read_is_read_again() -> None:
    _, client = made(page(entry(), after="a"), page(entry(clicks="9")), page(entry(clicks="9")))
    assert all_rows(client, ACCESS, window()) == [row("120330000000000777", "2026-11-01", impressions=1, clicks=9)]


def test_pages_have_an_end() -> None:
    number = iter(range(10_000))
    _, client = made(handler=lambda _: page(after=f"c{next(number)}"))
    with pytest.raises(PlatformAnswerInvalid, match="1,000 pages"):
        all_rows(client, ACCESS, window())


@pytest.mark.parametrize(
    "following",
    [
        "https://evil.example/v25.0/x?after=a",
        "http://graph.example/x?after=a",
        "https://graph.example:444/x?after=a",
        "//evil.example/?after=a",
        7,
        "https://[",
    ],
)
def test_a_next_page_elsewhere_is_refused(following: object) -> None:
    platform, client = made(reply({"data": [entry()], "paging": {"next": following}}))
    with pytest.raises(PlatformAnswerInvalid, match="next page"):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 1


def test_a_token_that_expires_at_page_7_of_20_keeps_the_place() -> None:
    script = [page(entry(day=f"2026-11-{n:02}"), after=f"p{n}") for n in range(1, 7)]
    _, client = made(*script, failure(190, 463, status=401))
    pages, resume = [], None
    with pytest.raises(PlatformSignInExpired, match="has expired"):
        for one in client.pages(ACCESS, window(), None):
            pages.append(one)
            resume = one.resume
    assert len(pages) == 6
    renewed = AccountAccess("meta", ACCESS.account_id, {"access_token": "another-token"})
    rest = [page(entry(day=f"2026-11-{n:02}"), after=f"p{n}") for n in range(7, 20)]
    platform, client = made(*rest, page(entry(day="2026-11-20")))
    pages += client.pages(renewed, window(), resume)
    assert [one.day.day for one in rows_of(pages)] == list(range(1, 21))
    assert query(platform.asked[0])["after"] == "p6"


# ---- the error table


@pytest.mark.parametrize(
    ("answer", "wait_s"),
    [
        (failure(4, 1504022), 60),
        (failure(4, 1504039), 60),
        (failure(17, 2446079), 60),
        (failure(32), 60),
        (failure(613, 1487742), 60),
        *((failure(code), 60) for code in (80000, 80001, 80002, 80003, 80004, 80005, 80006, 80008, 80009, 80014)),
        (httpx2.Response(429, content=b"<html>slow down</html>"), 60),
    ],
)
def test_a_throttle_is_waited_for(answer: httpx2.Response, wait_s: float) -> None:
    platform, client = made(answer, page(entry()), limits=HttpLimits(patience_s=100))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert wait_s <= platform.gaps_s[0] <= wait_s * 1.25


def _usage(percent: int, minutes: int = 0) -> dict[str, str]:
    entries = [{"type": "ads_insights", "call_count": percent, "total_cputime": 20, "total_time": 20}]
    entries[0]["estimated_time_to_regain_access"] = minutes
    return {"X-Business-Use-Case-Usage": json.dumps({"100200300400500": entries})}


def test_a_use_case_limit_lasts_as_many_minutes_as_told() -> None:
    platform, client = made(failure(80000, headers=_usage(100, 19)), page(entry()))
    with pytest.raises(PlatformThrottled) as caught:
        all_rows(client, ACCESS, window())
    assert 19 * 60 <= caught.value.retry_after_s <= 19 * 60 + 1
    platform.clock.advance(19 * 60 - 61)
    with pytest.raises(PlatformThrottled):
        client.account_facts(ACCESS)
    assert len(platform.asked) == 1
    platform.clock.advance(62)
    assert len(all_rows(client, ACCESS, window())) == 1


def test_the_apps_limit_holds_every_account_of_the_app() -> None:
    other = AccountAccess("meta", "2", {"access_token": TOKEN})
    elsewhere = AccountAccess("meta", "3", {"access_token": "another-token"})
    platform, client = made(failure(4, headers={"Retry-After": "900"}), page(entry()))
    for access in (ACCESS, other):
        with pytest.raises(PlatformThrottled):
            all_rows(client, access, window())
    assert len(platform.asked) == 1
    assert len(all_rows(client, elsewhere, window())) == 1


@pytest.mark.parametrize(
    "headers",
    [
        _usage(96),
        {"X-App-Usage": json.dumps({"call_count": 28, "total_time": 96, "total_cputime": 25})},
        {"X-Ad-Account-Usage": json.dumps({"acc_id_util_pct": 95.5, "reset_time_duration": 10})},
        {"x-fb-ads-insights-throttle": json.dumps({"app_id_util_pct": 97, "acc_id_util_pct": 0})},
        {"x-fb-ads-insights-throttle": json.dumps({"app_id_util_pct": 0, "acc_id_util_pct": 97})},
    ],
)
def test_a_quota_that_is_nearly_used_up_is_given_a_minute(headers: dict[str, str]) -> None:
    first = page(entry(), after="a")
    first.headers.update(headers)
    platform, client = made(first, page(entry(day="2026-11-02")))
    assert len(all_rows(client, ACCESS, window())) == 2
    assert platform.gaps_s == [60]


@pytest.mark.parametrize(
    "text", ["", "[]", "{", "null", '{"100":7}', '{"100":[7]}', '{"acc_id_util_pct":1e999}', "[" * 9000]
)
def test_a_strange_throttle_header_does_no_harm(text: str) -> None:
    names = ("X-Business-Use-Case-Usage", "X-App-Usage", "X-Ad-Account-Usage", "x-fb-ads-insights-throttle")
    answer = page(entry())
    answer.headers.update(dict.fromkeys(names, text))
    _, client = made(answer)
    assert len(all_rows(client, ACCESS, window())) == 1


@pytest.mark.parametrize(
    ("answer", "longest_s"),
    [
        (failure(1, 99), 1),
        (failure(2, status=500), 1),
        (failure(104), 1),
        (failure(12345, status=500), 1),
        (failure(12345, status=503), 1),
        (failure(12345, is_transient=True), 1),
        (failure(960), 1),
        (failure(2637), 5),
        (failure(100, 1815107), 5),
        (failure(2637, is_transient=True), 5),
        (
            failure(
                100,
                message="(#100) Cannot include impressions in summary param because they weren't there while creating the report run",
            ),
            1,
        ),
        (httpx2.Response(500), 1),
        (httpx2.Response(502, content=b"<html>bad gateway</html>"), 1),
        (httpx2.Response(200, content=b'{"data":[{"campaign_id":"1"'), 1),
        (reply({"error": {"code": 2, "message": "HTTP 200 with an error inside"}}), 1),
    ],
)
def test_what_passes_is_tried_again(answer: httpx2.Response, longest_s: float) -> None:
    platform, client = made(answer, page(entry()))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert 0 < platform.gaps_s[0] <= longest_s


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (failure(190, 463), PlatformSignInExpired, "expired"),
        (failure(190, 460), PlatformSignInExpired, "password"),
        (failure(190, 458), PlatformSignInExpired, "removed"),
        (failure(190, 467, status=401), PlatformSignInExpired, "no longer valid"),
        (failure(190), PlatformSignInExpired, "does not hold"),
        (failure(200, status=403), PlatformForbidden, "not allowed"),
        (failure(10), PlatformForbidden, "not allowed"),
        (failure(100, message="(#100) Missing permissions"), PlatformForbidden, "not allowed"),
        (failure(100, 33), PlatformForbidden, "not allowed"),
        (failure(100, message="(#100) The start date must be within 37 months"), PlatformRejected, "error 100"),
        (failure(2635), PlatformRejected, "error 2635"),
        (httpx2.Response(404, content=b"nothing here"), PlatformRejected, "status 404"),
        (reply({"error": {"code": 190, "error_subcode": 463}}), PlatformSignInExpired, "expired"),
        (reply({"rows": []}), PlatformAnswerInvalid, "list at data"),
        (reply([1]), PlatformAnswerInvalid, "object"),
        (
            page({"campaign_id": "1", "date_start": "2026-11-01", "cost": "much"}),
            PlatformAnswerInvalid,
            "without any figure",
        ),
        (page(entry(spend="1,5")), PlatformAnswerInvalid, "number at spend"),
        (page(entry(impressions="1.5")), PlatformAnswerInvalid, "fraction"),
        (page(entry(day="01.11.2026")), PlatformAnswerInvalid, "day at date_start"),
        (page(entry(campaign="")), PlatformAnswerInvalid, "id at campaign_id"),
        (page(entry(spend="1e13")), PlatformAnswerInvalid, "number at spend"),
        (page(entry(actions={"purchase": 1})), PlatformAnswerInvalid, "list at actions"),
    ],
)
def test_what_no_repetition_changes_ends_it_at_once(
    answer: httpx2.Response, kind: type[PlatformError], says: str
) -> None:
    platform, client = made(answer)
    with pytest.raises(kind, match=says) as caught:
        all_rows(client, ACCESS, window())
    assert type(caught.value) is kind
    assert len(platform.asked) == 1
    if isinstance(caught.value, PlatformForbidden):
        assert caught.value.missing == ("ads_read",)


def test_a_run_that_is_not_visible_yet_is_asked_for_again() -> None:
    _, client = made(
        reply({"report_run_id": "1"}),
        failure(100, 33),
        reply({"async_status": "Job Completed"}),
        page(entry(country="US")),
    )
    assert len(all_rows(client, ACCESS, window(breakdown=COUNTRY))) == 1


def test_json_that_stays_cut_is_an_invalid_answer() -> None:
    platform, client = made(*[httpx2.Response(200, content=b'{"data":[') for _ in range(9)])
    with pytest.raises(PlatformAnswerInvalid, match="no JSON, 3 times"):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 3


# ---- too much


HEAVY = "Please reduce the amount of data you're asking for, then retry your request"


def test_what_is_too_heavy_is_asked_in_smaller_pages_then_as_a_run() -> None:
    limits: list[str] = []

    def handler(request: httpx2.Request) -> Reply:
        if request.method == "POST":
            return reply({"report_run_id": "1"})
        if request.url.path.endswith("/1"):
            return reply({"async_status": "Job Completed"})
        if "/1/" in request.url.path:
            return page(entry())
        limits.append(query(request)["limit"])
        return failure(1, status=500, message=HEAVY)

    _, client = made(handler=handler)
    assert len(all_rows(client, ACCESS, window())) == 1
    assert limits == ["500", "250", "125", "62", "31", "25"]


def test_a_smaller_page_goes_on_at_the_same_place() -> None:
    platform, client = made(
        page(entry(), after="a"), failure(1, status=500, message=HEAVY), page(entry(day="2026-11-02"))
    )
    pages = list(client.pages(ACCESS, window(), None))
    assert not any(one.afresh for one in pages) and len(rows_of(pages)) == 2
    assert (query(platform.asked[2])["limit"], query(platform.asked[2])["after"]) == ("250", "a")


def test_the_data_limit_splits_days_then_campaigns() -> None:
    def handler(request: httpx2.Request) -> Reply:
        if request.url.path.endswith("campaigns"):
            return reply({"data": [{"id": str(n), "name": "c", "effective_status": "ACTIVE"} for n in range(1, 121)]})
        asked = query(request)
        span = json.loads(asked["time_range"])
        chosen = [one["value"] for one in json.loads(asked["filtering"]) if one["field"] == "campaign.id"]
        if span["since"] != span["until"] or (span["since"] == "2026-11-03" and not chosen):
            return failure(100, 1487534)
        ids = chosen[0] if chosen else ["1"]
        assert len(ids) <= 50
        return page(*(entry(campaign, span["since"]) for campaign in ids))

    _, client = made(handler=handler)
    rows = all_rows(client, ACCESS, window())
    assert [one.day.day for one in rows] == [1, 2, *[3] * 120, 4, 5, 6, 7]
    assert len({one.native_id for one in rows if one.day.day == 3}) == 120


def test_days_that_are_split_after_pages_were_read_begin_the_window_afresh() -> None:
    refused = [True]

    def handler(request: httpx2.Request) -> Reply:
        asked = query(request)
        span = json.loads(asked["time_range"])
        if asked.get("after") and span["since"] != span["until"] and refused:
            return failure(100, 1487534)
        first, last = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        if not asked.get("after"):
            return page(*(entry(day=str(day)) for day in days[:2]), after="rest")
        return page(*(entry(day=str(day)) for day in days[2:]))

    _, client = made(handler=handler)
    assert [one.day.day for one in all_rows(client, ACCESS, window())] == [1, 2, 3, 4, 5, 6, 7]


def test_what_cannot_be_made_smaller_ends() -> None:
    platform, client = made(*[failure(100, 1487534)] * 9)
    with pytest.raises(PlatformUnavailable, match="asked for less"):
        all_rows(client, ACCESS, window(last="2026-11-01", native_ids=("7",)))
    assert len(platform.asked) == 1


# ---- conversions


def test_an_action_of_no_known_kind_does_no_harm() -> None:
    actions = [{"action_type": kind, "value": "1"} for kind in ([], {}, None, 7)]
    _, client = made(page(entry(actions=actions)))
    assert all_rows(client, ACCESS, window())[0].conversions_millionths == 0


@pytest.mark.parametrize(
    ("entries", "says"),
    [
        ([entry(link_clicks="4"), entry("2", link_clicks="0")], "without clicks, but with link_clicks, which nobody"),
        ([entry(clicks="1", actions_v2=[{"action_type": "lead", "value": "1"}])], "without action_values or actions,"),
        ([{**entry(clicks="1"), "cost": "1.20"}, entry("2", clicks="1")], None),  # spend is told
        ([entry(**{"4 ' or 1": "1"})], "but with a member, which"),
        ([entry(actions=[{"type": "lead", "value": "1"}])], "without action_type at actions"),
        ([entry(actions=[{"action_type": "onsite_conversion.purchase", "count": "1"}])], "without value at actions"),
    ],
)
def test_a_figure_of_another_name_is_not_taken_for_0(entries: list[dict[str, Any]], says: str | None) -> None:
    platform, client = made(page(*entries))
    if says is None:
        assert len(all_rows(client, ACCESS, window())) == len(entries)
        return
    with pytest.raises(PlatformAnswerInvalid, match=says):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 1


def test_a_small_report_may_lack_a_figure_and_have_a_member_that_is_none() -> None:
    """No clicks and no actions in any row are ordinary; so are names and places beside what was asked for."""
    beside = {"campaign_name": "Frühling", "objective": "OUTCOME_SALES", "account_name": "7", "labels": {"a": 1}}
    _, client = made(page(entry("1", **beside), {**entry("2"), "spend": "3"}))
    assert [(one.clicks, one.spend_micros) for one in all_rows(client, ACCESS, window())] == [(0, 0), (0, 3_000_000)]


def test_a_large_report_without_a_common_figure_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    for rows, told in ((99, []), (100, ["meta: none of 100 rows has clicks, which counts as 0"])):
        caplog.clear()
        _, client = made(page(*(entry(str(number + 1)) for number in range(rows))))
        assert len(all_rows(client, ACCESS, window())) == rows
        assert [one.getMessage() for one in caplog.records] == told


def test_the_default_counts_no_conversion_twice() -> None:
    told = [
        "purchase",
        "omni_purchase",
        "offsite_conversion.fb_pixel_purchase",
        "web_in_store_purchase",
        "link_click",
        "page_engagement",
        "offsite_conversion.fb_pixel_lead",
        "lead",
    ]
    actions = [{"action_type": name, "value": "3.5"} for name in told]
    _, client = made(page(entry(actions=actions)))
    (only,) = all_rows(client, ACCESS, window())
    assert only.conversions_millionths == 7_000_000
    assert client.definition(ACCESS) == "meta-1"


def test_an_explicit_list_replaces_the_default_and_a_part_of_a_listed_whole_is_not_added() -> None:
    actions = [
        {"action_type": name, "value": "2"}
        for name in ("omni_purchase", "offsite_conversion.fb_pixel_purchase", "my_event")
    ]
    raw = page(entry(actions=actions))
    _, client = made(raw, actions=("omni_purchase", "offsite_conversion.fb_pixel_purchase", "my_event"))
    (only,) = client.pages(ACCESS, window(), None)
    assert only.rows[0].conversions_millionths == 4_000_000
    own = AccountAccess("meta", ACCESS.account_id, ACCESS.credentials, ("my_event",))
    assert [rows[0].conversions_millionths for rows in client.read(own, window(), [only.raw])] == [2_000_000]
    versions = {client.definition(ACCESS), client.definition(own), "meta-1"}
    assert len(versions) == 3 and all(len(version) <= 64 for version in versions)


def test_a_list_that_is_too_long_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"meta\.conversion_actions"):
        made(actions=tuple(f"a{n}" for n in range(101)))


# ---- windows, accounts, secrets


def test_windows_leave_out_what_is_no_longer_kept() -> None:
    _, client = made()
    windows = client.windows(ACCESS, window("2023-10-20", "2023-11-05"))
    assert [(one.first.isoformat(), one.last.isoformat()) for one in windows] == [
        ("2023-10-24", "2023-10-30"),
        ("2023-10-31", "2023-11-05"),
    ]
    assert not client.windows(ACCESS, window("2020-01-01", "2020-02-01"))
    with pytest.raises(PlatformRejected):
        client.windows(ACCESS, window(level="campaign_group"))


def test_what_is_known_of_an_account_and_its_campaigns() -> None:
    facts = {"account_id": "100200300400500", "name": "Größe\n", "currency": "EUR", "timezone_name": "Europe/Berlin"}
    first = {"data": [{"id": "1", "name": "Ünï", "effective_status": "DELETED"}]}
    following = {"paging": {"next": f"{BASE}/v25.0/act_100200300400500/campaigns?after=x&access_token={TOKEN}"}}
    platform, client = made(reply(facts), reply({**first, **following}), reply({"data": [{"id": 2, "name": None}]}))
    known = client.account_facts(ACCESS)
    assert (known.name, known.currency, known.timezone) == ("Größe", "EUR", "Europe/Berlin")
    campaigns = [(one.native_id, one.name, one.status) for one in client.native_campaigns(ACCESS)]
    assert campaigns == [("1", "Ünï", "DELETED"), ("2", "", "")]
    assert "DELETED" in query(platform.asked[1])["effective_status"]
    assert query(platform.asked[2])["after"] == "x"


def test_the_token_stays_inside(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    platform, client = made(page(entry(), after="a"), failure(190, message=f"token {TOKEN} expired"))
    pages = client.pages(ACCESS, window(), None)
    first = next(pages)
    assert TOKEN.encode() not in first.raw and b"access_token=-" in first.raw
    with pytest.raises(PlatformSignInExpired) as caught:
        next(pages)
    assert not any(TOKEN in text for text in (repr(first), repr(ACCESS), str(caught.value), *caplog.messages))
    assert all(TOKEN not in str(request.url) for request in platform.asked)


@pytest.mark.parametrize("token", ["", "two words", "línea", "x\r\nX-Evil: 1"])
def test_a_token_that_cannot_be_one_is_not_sent(token: str) -> None:
    platform, client = made()
    with pytest.raises(PlatformSignInExpired, match="access_token") as caught:
        client.account_facts(AccountAccess("meta", "1", {"access_token": token}))
    assert not platform.asked and (not token or token not in str(caught.value))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "2026-11-01", "1e-18", "US"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "data",
                    "paging",
                    "next",
                    "cursors",
                    "campaign_id",
                    "date_start",
                    "spend",
                    "impressions",
                    "clicks",
                    "country",
                    "actions",
                    "action_type",
                    "value",
                    "error",
                    "code",
                    "error_subcode",
                    "message",
                    "async_status",
                    "report_run_id",
                ]
            ),
            inner,
            max_size=6,
        )
    ),
    max_leaves=20,
)


@given(payload=JSON, status=st.sampled_from([200, 200, 400, 500]))
def test_only_declared_errors_come_out(payload: object, status: int) -> None:
    for asked in (window(), window(breakdown=COUNTRY)):
        _, client = made(handler=lambda _: reply(payload, status))
        try:
            rows = all_rows(client, ACCESS, asked)
        except PlatformError:
            continue
        assert all(isinstance(one.spend_micros, int) for one in rows)


# What is read straight into its types, and what is read entry by entry, is the same.

_TEXTS = st.sampled_from(
    ["0", "1", "31", "48.2", "12.0", "00", "1e3", "-1", "-0.0000001", "", "x", "999999999999", "٣"]
)
_VALUES = st.one_of(_TEXTS, _TEXTS, _TEXTS, st.none(), st.integers(-1, 5), st.just(1.5), st.booleans(), st.just([]))
_NAMES = st.sampled_from(["omni_purchase", "onsite_conversion.purchase", "offsite_conversion.fb_pixel_lead", "other"])
_ACTION = st.one_of(
    st.fixed_dictionaries({"action_type": _NAMES, "value": _TEXTS}, optional={"7d_click": _VALUES}),
    st.fixed_dictionaries({"action_type": _NAMES, "value": _VALUES}),
    st.fixed_dictionaries({}, optional={"action_type": _VALUES, "value": _VALUES}),
)
_ACTIONS = st.one_of(st.lists(_ACTION, max_size=3), st.lists(_ACTION, max_size=3), st.none(), _VALUES)
_ENTRY = st.fixed_dictionaries(
    {"campaign_id": st.sampled_from(["1", "120330000000000777"]), "date_start": st.sampled_from(["2026-11-01"])},
    optional={
        "impressions": _VALUES,
        "clicks": _VALUES,
        "spend": _VALUES,
        "actions": _ACTIONS,
        "action_values": _ACTIONS,
        "country": st.one_of(st.sampled_from(["US", "us", "unknown", ""]), _VALUES),
        "campaign_name": _VALUES,
        "kosten": _VALUES,
    },
)
_ODD_ENTRY = st.one_of(
    _ENTRY,
    _ENTRY.map(lambda one: one | {"campaign_id": 120330000000000777}),
    _ENTRY.map(lambda one: one | {"campaign_id": ""}),
    _ENTRY.map(lambda one: one | {"date_start": "2026-13-01"}),
    st.none(),
)
_PLAIN_ENTRY = st.fixed_dictionaries(
    {
        **dict.fromkeys(("impressions", "clicks"), st.sampled_from(["0", "7", "1.0"])),
        "campaign_id": st.sampled_from(["1", "2"]),
        "date_start": st.sampled_from(["2026-11-01", "2026-11-02"]),
        "country": st.sampled_from(["US", "us", "unknown", ""]),
        "spend": st.sampled_from(["0", "48.2", "0.0000005", "0.0000015", "1E-18"]),
        "actions": st.lists(st.fixed_dictionaries({"action_type": _NAMES, "value": st.sampled_from(["2", "0.5"])})),
        "action_values": st.lists(st.fixed_dictionaries({"action_type": _NAMES, "value": st.just("118.00")})),
    }
)


@given(
    entries=st.one_of(
        st.lists(_PLAIN_ENTRY, max_size=4), st.lists(_ENTRY, max_size=3), st.lists(_ODD_ENTRY, max_size=3)
    ),
    more=st.sampled_from([{}, {"paging": {"cursors": {"after": "x"}}}, {"error": None}, {"error": {"code": 2}}]),
    breakdown=st.sampled_from(list(Breakdown)),
)
def test_a_page_that_is_read_plainly_says_the_same(
    entries: list[Any], more: dict[str, Any], breakdown: Breakdown
) -> None:
    body, asked = json.dumps({"data": entries, **more}).encode(), window(breakdown=breakdown)
    plain = plain_page_of(body, asked, META.default)
    if plain is None:
        return
    whole = page_of(answers.parse_json(body), asked, META.default)
    assert (plain.rows, plain.paging) == (whole.rows, whole.paging)
    assert not more.get("error")


@pytest.mark.parametrize("breakdown", Breakdown)
def test_a_documented_page_is_read_plainly(breakdown: Breakdown) -> None:
    body = page(DOCUMENTED, DOCUMENTED | {"date_start": "2026-11-02"}, entry(country="DE")).content
    asked = window(breakdown=breakdown)
    plain = plain_page_of(body, asked, META.default)
    assert plain is not None
    assert plain == page_of(answers.parse_json(body), asked, META.default)
    assert [keyed.row.spend_micros for keyed in plain.rows] == [48_200_000, 48_200_000, 0]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"data": []}',
        b'{"data": {}}',
        b"\xef\xbb\xbf" + page(DOCUMENTED).content,
        page(entry()).content,  # no entry has clicks or actions: one of them may have got another name
        page(DOCUMENTED, DOCUMENTED | {"impressions": 512}).content,
        page(DOCUMENTED, {"campaign_id": "1", "date_start": "2026-11-01", "spent": "1"}).content,
        page(DOCUMENTED).content + b"x",
    ],
)
def test_what_is_not_plain_is_left_to_the_other_reading(body: bytes) -> None:
    assert plain_page_of(body, window(), META.default) is None
