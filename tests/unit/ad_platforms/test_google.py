"""Google Ads: queries as documented, two portions of a country added, broken streams, and every row of the error table."""

import json
import logging
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.ad_platforms.google import GoogleAds
from campaignctl.adapters.ad_platforms.http import HttpLimits
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
    Handler,
    Platform,
    Reply,
    all_rows,
    around,
    body,
    form,
    reply,
    row,
    rows_of,
    window,
)

BASE, TOKENS = "https://ads.example", "https://oauth.example/token"
SECRETS = {
    "refresh_token": "1//refresh-canary",
    "client_id": "client-1.apps",
    "client_secret": "secret-canary",
    "developer_token": "developer-canary",
}
ACCESS = AccountAccess("google", "987-654-3210", {**SECRETS, "login_customer_id": "111-222-3333"})
COUNTRY = Breakdown.COUNTRY
MASK = (
    "campaign.id,segments.date,metrics.impressions,metrics.clicks,metrics.costMicros,metrics.conversions,"
    "metrics.conversionsValue,metrics.allConversions,metrics.allConversionsValue"
)
PATH = "/v25/customers/9876543210/googleAds:"


def made(
    *script: Reply, handler: Handler | None = None, limits: HttpLimits | None = None, actions: tuple[str, ...] = ()
) -> tuple[Platform, GoogleAds]:
    """A client whose first request is for an access token."""
    clock = ManualClock()
    platform = Platform(
        clock,
        script,
        handler and (lambda request: token() if request.url.host == "oauth.example" else handler(request)),
    )
    if script:
        platform.script.insert(0, token())
    surroundings = around(clock, platform, limits=limits)
    return platform, GoogleAds(
        base_url=BASE, token_url=TOKENS, api_version="v25", around=surroundings, conversion_actions=actions
    )


def token(name: str = "ya29.access-canary-1", life_s: int = 3599) -> httpx2.Response:
    return reply({"access_token": name, "expires_in": life_s, "scope": "adwords", "token_type": "Bearer"})


def reports(platform: Platform) -> list[httpx2.Request]:
    return [request for request in platform.asked if request.url.host == "ads.example"]


def entry(campaign: str = "81234567", day: str = "2026-11-01", **metrics: Any) -> dict[str, Any]:
    return {"campaign": {"id": campaign}, "segments": {"date": day}, "metrics": metrics or {"impressions": "1"}}


def of_country(criterion: object, kind: str, **metrics: Any) -> dict[str, Any]:
    return {**entry(**metrics), "geographicView": {"locationType": kind, "countryCriterionId": criterion}}


def stream(*batches: list[dict[str, Any]]) -> httpx2.Response:
    return reply([{"results": batch, "fieldMask": MASK, "requestId": "abc"} for batch in batches])


def failure(status: int, name: str, *codes: tuple[str, str], wrap: bool = True, **more: Any) -> httpx2.Response:
    errors = [
        {"errorCode": {kind: code}, "message": more.get("message", "x"), "details": more.get("quota", {})}
        for kind, code in codes
    ]
    detail = {"@type": "type.googleapis.com/google.ads.googleads.v25.errors.GoogleAdsFailure", "errors": errors}
    error = {"error": {"code": status, "message": "x", "status": name, "details": [detail]}}
    return reply([error] if wrap else error, status, more.get("headers"))


def test_a_total_is_one_stream_as_documented() -> None:
    documented = {
        "customer": {"currencyCode": "USD", "timeZone": "America/New_York"},
        "campaign": {"resourceName": "customers/9876543210/campaigns/81234567", "id": "81234567", "name": "Brand"},
        "metrics": {
            "clicks": "0",
            "conversionsValue": 61.5,
            "conversions": 1.25,
            "costMicros": "27450000",
            "impressions": "3310",
        },
        "segments": {"date": "2026-11-01"},
    }
    platform, client = made(stream([documented], [entry(day="2026-11-02", clicks="2"), entry(day="2026-11-03")]))
    (only,) = client.pages(ACCESS, window(), None)
    assert only.rows == [
        row(
            "81234567",
            "2026-11-01",
            impressions=3310,
            conversions_millionths=1_250_000,
            spend_micros=27_450_000,
            revenue_micros=61_500_000,
        ),
        row("81234567", "2026-11-02", clicks=2),
        row("81234567", "2026-11-03", impressions=1),
    ]
    assert only.resume is None
    renewal, asked = platform.asked
    assert str(renewal.url) == TOKENS
    assert form(renewal) == {
        "grant_type": "refresh_token",
        **{name: SECRETS[name] for name in ("refresh_token", "client_id", "client_secret")},
    }
    assert asked.url.path == PATH + "searchStream"
    assert asked.headers["Authorization"] == "Bearer ya29.access-canary-1"
    assert (asked.headers["developer-token"], asked.headers["login-customer-id"]) == ("developer-canary", "1112223333")
    assert set(body(asked)) == {"query"}
    assert "FROM campaign WHERE segments.date BETWEEN '2026-11-01' AND '2026-11-07'" in body(asked)["query"]
    assert "pageSize" not in body(asked) and "*" not in body(asked)["query"]


def test_direct_access_names_no_manager() -> None:
    platform, client = made(stream([entry()]))
    all_rows(client, AccountAccess("google", "1", SECRETS), window())
    assert "login-customer-id" not in platform.asked[1].headers


def test_a_number_is_exact_whatever_its_spelling() -> None:
    numbers = (
        '{"conversions":0.1,"conversionsValue":1e-05,"costMicros":"9223372036854","impressions":"9007199254740993"}'
    )
    text = f'[{{"results":[{{"campaign":{{"id":18014398509481985}},"segments":{{"date":"2026-11-01"}},"metrics":{numbers}}}]}}]'
    _, client = made(httpx2.Response(200, content=text.encode().replace(b"9007199254740993", b"900719925474")))
    (only,) = all_rows(client, ACCESS, window())
    assert (only.native_id, only.conversions_millionths, only.revenue_micros) == ("18014398509481985", 100_000, 10)
    assert only.spend_micros == 9_223_372_036_854


def test_both_portions_of_a_country_add_up_and_other_places_are_looked_up_once() -> None:
    rows = [
        of_country("2840", "AREA_OF_INTEREST", impressions="10", conversions=0.5),
        of_country("2840", "LOCATION_OF_PRESENCE", impressions="5", conversions=0.25),
        of_country(2826, "LOCATION_OF_PRESENCE", impressions="7"),
        of_country("2999", "LOCATION_OF_PRESENCE", impressions="3"),
        of_country("9999999", "LOCATION_OF_PRESENCE", impressions="2"),
        of_country(None, "UNKNOWN", impressions="1"),
    ]
    places = [{"geoTargetConstant": {"id": "2999", "countryCode": "XK"}}]
    platform, client = made(stream(rows), reply({"results": places}), stream(rows))
    asked = window(breakdown=COUNTRY)
    (only,) = client.pages(ACCESS, asked, None)
    one = "81234567"
    assert only.rows == [
        row(one, "2026-11-01", "US", impressions=15, conversions_millionths=750_000),
        row(one, "2026-11-01", "GB", impressions=7),
        row(one, "2026-11-01", "XK", impressions=3),
        row(one, "2026-11-01", "ZZ", impressions=3),
    ]
    assert "geographic_view.location_type" in body(platform.asked[1])["query"]
    assert body(platform.asked[2])["query"].endswith("WHERE geo_target_constant.id IN (2999, 9999999)")
    assert all_rows(client, ACCESS, asked) == list(only.rows)
    assert len(platform.asked) == 4
    assert [list(found) for found in client.read(ACCESS, asked, [only.raw])] == [list(only.rows)]


def test_no_rows_is_one_page() -> None:
    for answer in (stream(), stream([]), reply([{"fieldMask": MASK}]), reply([{"requestId": "abc"}])):
        _, client = made(answer)
        (only,) = client.pages(ACCESS, window(), None)
        assert (list(only.rows), only.resume) == ([], None)


# ---- streams that break


def _days_of(request: httpx2.Request) -> tuple[int, int]:
    text = body(request)["query"].partition("BETWEEN '")[2]
    return int(text[8:10]), int(text[8 + 17 : 10 + 17])


def test_a_stream_that_breaks_is_halved_and_nothing_counts_twice() -> None:
    spans = []

    def handler(request: httpx2.Request) -> Reply:
        first, last = _days_of(request)
        spans.append((first, last))
        if last - first >= 3:
            return httpx2.Response(200, content=b'[{"results":[{"campaign":{"id":"1"},"segm')
        return stream([entry(day=f"2026-11-{n:02}") for n in range(first, last + 1)])

    _, client = made(handler=handler)
    rows = all_rows(client, ACCESS, window(last="2026-11-14"))
    assert [one.day.day for one in rows] == list(range(1, 15))
    assert spans == [(1, 14), (1, 7), (1, 3), (4, 7), (4, 5), (6, 7), (8, 14), (8, 10), (11, 14), (11, 12), (13, 14)]


class _Broken(httpx2.SyncByteStream):
    def __iter__(self):  # type: ignore[no-untyped-def]
        yield b'[{"results":['
        raise httpx2.RemoteProtocolError("cut")


def test_a_day_that_keeps_breaking_is_read_page_by_page() -> None:
    pages = iter(
        [
            reply({"results": [entry()], "nextPageToken": "p2", "totalResultsCount": "2"}),
            reply({"results": [entry(campaign="2")]}),
        ]
    )

    def handler(request: httpx2.Request) -> Reply:
        return next(pages) if request.url.path.endswith(":search") else httpx2.Response(200, stream=_Broken())

    platform, client = made(handler=handler)
    day = window(last="2026-11-01")
    found = list(client.pages(ACCESS, day, None))
    assert [one.native_id for one in rows_of(found)] == ["81234567", "2"]
    methods = [request.url.path.rpartition(":")[2] for request in reports(platform)]
    assert methods == ["searchStream"] * 4 + ["search"] * 2
    assert body(reports(platform)[-1])["pageToken"] == "p2"

    platform, client = made(reply({"results": [entry(campaign="2")]}))
    (rest,) = client.pages(ACCESS, day, found[0].resume)
    assert body(reports(platform)[0])["pageToken"] == "p2" and not rest.afresh


@pytest.mark.parametrize("code", ["EXPIRED_PAGE_TOKEN", "INVALID_PAGE_TOKEN"])
def test_an_expired_page_begins_the_query_again(code: str) -> None:
    platform, client = made(reply({"results": [entry()], "nextPageToken": "p2"}))
    place = json.dumps({"v": 1, "pages": 1, "parts": [["2026-11-01", "2026-11-01", None, "p1", 0, "paged"]]})
    (first, *_) = [next(iter(client.pages(ACCESS, window(last="2026-11-01"), place)))]
    assert first.resume is not None
    platform, client = made(failure(400, "INVALID_ARGUMENT", ("requestError", code)), stream([entry()]))
    (again,) = client.pages(ACCESS, window(last="2026-11-01"), first.resume)
    assert again.afresh and len(again.rows) == 1
    assert len(reports(platform)) == 2


def test_an_answer_that_does_not_fit_is_halved() -> None:
    def handler(request: httpx2.Request) -> Reply:
        first, last = _days_of(request)
        return stream([entry(day=f"2026-11-{n:02}", impressions="1" * 9) for n in range(first, last + 1)])

    platform, client = made(handler=handler, limits=HttpLimits(body_bytes=500))
    assert len(all_rows(client, ACCESS, window())) == 7
    assert len(reports(platform)) > 4


# ---- the error table


QUOTA = (
    "RESOURCE_EXHAUSTED",
    "RESOURCE_TEMPORARILY_EXHAUSTED",
    "EXCESSIVE_SHORT_TERM_QUERY_RESOURCE_CONSUMPTION",
    "EXCESSIVE_LONG_TERM_QUERY_RESOURCE_CONSUMPTION",
)


@pytest.mark.parametrize("code", QUOTA)
@pytest.mark.parametrize("wrap", [True, False])
def test_a_quota_is_waited_for_as_told(code: str, wrap: bool) -> None:
    quota = {"quotaErrorDetails": {"rateScope": "ACCOUNT", "rateName": "x", "retryDelay": "30s"}}
    answer = failure(429, "RESOURCE_EXHAUSTED", ("quotaError", code), wrap=wrap, quota=quota)
    platform, client = made(answer, stream([entry()]))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert 30 <= platform.gaps_s[1] <= 31


@pytest.mark.parametrize(("scope", "calls"), [("DEVELOPER", 1), ("ACCOUNT", 2)])
def test_a_daily_quota_stops_the_account_or_every_account(scope: str, calls: int) -> None:
    quota = {
        "quotaErrorDetails": {
            "rateScope": scope,
            "rateName": "Number of operations for basic access",
            "retryDelay": "41234s",
        }
    }
    platform, client = made(
        failure(429, "RESOURCE_EXHAUSTED", ("quotaError", "RESOURCE_EXHAUSTED"), quota=quota),
        token(),
        stream([entry()]),
    )
    with pytest.raises(PlatformThrottled) as caught:
        all_rows(client, ACCESS, window())
    assert 41_234 <= caught.value.retry_after_s <= 41_235
    other = AccountAccess("google", "1", SECRETS)
    if calls == 1:
        with pytest.raises(PlatformThrottled):
            all_rows(client, other, window())
    else:
        assert len(all_rows(client, other, window())) == 1
    assert len(reports(platform)) == calls


def test_a_delay_may_be_told_in_words_or_by_a_header_or_not_at_all() -> None:
    for more, least in (
        ({"message": "Too many requests. Retry in 20 seconds."}, 20),
        ({"headers": {"Retry-After": "25"}}, 25),
        ({}, 60),
    ):
        answer = failure(429, "RESOURCE_EXHAUSTED", ("quotaError", "RESOURCE_EXHAUSTED"), **more)
        platform, client = made(answer, stream([entry()]), limits=HttpLimits(patience_s=100))
        assert len(all_rows(client, ACCESS, window())) == 1
        assert least <= platform.gaps_s[1] <= least * 1.25 + 1


@pytest.mark.parametrize("code", ["OAUTH_TOKEN_EXPIRED", "OAUTH_TOKEN_INVALID", "OAUTH_TOKEN_REVOKED"])
def test_a_token_that_does_not_hold_is_renewed_once(code: str) -> None:
    refused = failure(401, "UNAUTHENTICATED", ("authenticationError", code))
    platform, client = made(refused, token("second-canary"), stream([entry()]))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert [request.headers["Authorization"] for request in reports(platform)] == [
        "Bearer ya29.access-canary-1",
        "Bearer second-canary",
    ]
    platform, client = made(refused, token("second-canary"), refused)
    with pytest.raises(PlatformSignInExpired, match=code):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 4


def test_a_token_serves_until_shortly_before_its_end() -> None:
    platform, client = made(stream([]), stream([]), token("second-canary"), stream([]))
    all_rows(client, ACCESS, window())
    platform.clock.advance(3_500)
    all_rows(client, ACCESS, window())
    platform.clock.advance(60)
    all_rows(client, ACCESS, window())
    assert [request.url.host for request in platform.asked].count("oauth.example") == 2


def test_a_sign_in_that_was_revoked() -> None:
    clock = ManualClock()
    revoked = {"error": "invalid_grant", "error_description": "Token has been expired or revoked."}
    platform = Platform(
        clock, [reply(revoked, 400), reply({"error": "invalid_client"}, 400), reply({"access_token": 7})]
    )
    client = GoogleAds(base_url=BASE, token_url=TOKENS, api_version="v25", around=around(clock, platform))
    with pytest.raises(PlatformSignInExpired, match="revoked") as caught:
        all_rows(client, ACCESS, window())
    assert "canary" not in str(caught.value)
    with pytest.raises(PlatformRejected, match="renewal"):
        all_rows(client, ACCESS, window())
    with pytest.raises(PlatformAnswerInvalid, match="without an access token"):
        all_rows(client, ACCESS, window())
    with pytest.raises(PlatformSignInExpired, match="refresh_token"):
        all_rows(client, AccountAccess("google", "1", {"developer_token": "d"}), window())


AUTHORIZATION = "USER_PERMISSION_DENIED", "CUSTOMER_NOT_ENABLED", "DEVELOPER_TOKEN_NOT_APPROVED", "METRIC_ACCESS_DENIED"


@pytest.mark.parametrize(
    ("status", "name", "kind", "code"),
    [
        *((403, "PERMISSION_DENIED", "authorizationError", code) for code in AUTHORIZATION),
        (401, "UNAUTHENTICATED", "authenticationError", "CUSTOMER_NOT_FOUND"),
        (401, "UNAUTHENTICATED", "authenticationError", "DEVELOPER_TOKEN_INVALID"),
        (401, "UNAUTHENTICATED", "authenticationError", "NOT_ADS_USER"),
    ],
)
def test_what_is_not_allowed_fails_the_account_visibly(status: int, name: str, kind: str, code: str) -> None:
    platform, client = made(failure(status, name, (kind, code)))
    with pytest.raises(PlatformForbidden, match=code) as caught:
        all_rows(client, ACCESS, window())
    assert caught.value.missing == (code,) and caught.value.hint
    assert len(reports(platform)) == 1


def test_a_403_without_a_reason_fails_the_account_too() -> None:
    for answer in (httpx2.Response(403, content=b"<html>"), reply({}, 403), reply([], 403)):
        _, client = made(answer)
        with pytest.raises(PlatformForbidden):
            all_rows(client, ACCESS, window())


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("queryError", "UNRECOGNIZED_FIELD"),
        ("queryError", "PROHIBITED_FIELD_COMBINATION_IN_SELECT_CLAUSE"),
        ("queryError", "PROHIBITED_SEGMENT_IN_SELECT_OR_WHERE_CLAUSE"),
        ("queryError", "REQUESTED_METRICS_FOR_MANAGER"),
        ("requestError", "INVALID_PAGE_TOKEN"),
        ("requestError", "EXPIRED_PAGE_TOKEN"),
        ("requestError", "UNSUPPORTED_VERSION"),
        ("requestError", "PAGE_SIZE_NOT_SUPPORTED"),
        ("dateRangeError", "REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED"),
    ],
)
def test_a_wrong_request_is_never_repeated(kind: str, code: str) -> None:
    platform, client = made(failure(400, "INVALID_ARGUMENT", (kind, code)))
    with pytest.raises(PlatformRejected, match=f"{kind}.{code}"):
        all_rows(client, ACCESS, window())
    assert len(reports(platform)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        failure(500, "INTERNAL", ("internalError", "INTERNAL_ERROR")),
        failure(500, "INTERNAL", ("internalError", "TRANSIENT_ERROR")),
        failure(504, "DEADLINE_EXCEEDED", ("internalError", "DEADLINE_EXCEEDED")),
        failure(503, "UNAVAILABLE"),
        httpx2.Response(503, content=b"busy"),
        reply([{"error": {"code": 500, "status": "INTERNAL"}}]),
    ],
)
def test_what_passes_is_tried_five_times(answer: httpx2.Response) -> None:
    platform, client = made(answer, stream([entry()]))
    assert len(all_rows(client, ACCESS, window())) == 1
    platform, client = made(*[answer] * 9)
    with pytest.raises(PlatformUnavailable):
        all_rows(client, ACCESS, window())
    assert len(reports(platform)) == 5


@pytest.mark.parametrize("kind", [("requestError", "RPC_DEADLINE_TOO_SHORT"), ("queryError", "DATE_RANGE_TOO_WIDE")])
def test_a_query_that_is_too_large_is_made_smaller_and_not_just_repeated(kind: tuple[str, str]) -> None:
    def handler(request: httpx2.Request) -> Reply:
        first, last = _days_of(request)
        return stream([entry(day=f"2026-11-{first:02}")]) if first == last else failure(400, "INVALID_ARGUMENT", kind)

    _, client = made(handler=handler)
    assert len(all_rows(client, ACCESS, window())) == 7


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (reply([{"results": {"a": 1}}]), "list at results"),
        (reply(["x"]), "object at a batch"),
        (reply({}), "without results"),
        (reply([{}]), "without results"),
        (reply([{"rows": [entry()], "fieldMask": MASK, "requestId": "abc"}]), "without results"),
        (reply([{"results": [entry()]}, {"summary": "1 row"}]), "without results"),
        (
            reply([{"results": [entry()], "fieldMask": MASK.replace("costMicros", "cost")}]),
            "without metrics.costMicros",
        ),
        (reply([{"fieldMask": MASK.replace(",metrics.conversions,", ",")}]), "without metrics.conversions"),
        (stream([{**entry(), "metrics": {"impressions": "5", "interactions": "2"}}]), "but with interactions, which"),
        (
            reply(
                [
                    {
                        "results": [
                            {"campaign": {"id": "1"}, "segments": {"date": "2026-11-01"}, "figures": {"clicks": "1"}}
                        ]
                    }
                ]
            ),
            "without any metrics",
        ),
        (reply([{"results": [entry(costMicros="1.5")]}]), "micro"),
        (reply([{"results": [entry(day="today")]}]), "segments.date"),
        (reply([{"results": [entry(conversions=float("inf"))]}]), "no JSON|broke off|cannot be asked"),
    ],
)
def test_a_changed_schema_is_an_invalid_answer(answer: httpx2.Response, says: str) -> None:
    _, client = made(handler=lambda _: httpx2.Response(answer.status_code, content=answer.content))
    with pytest.raises((PlatformAnswerInvalid, PlatformUnavailable), match=says):
        all_rows(client, ACCESS, window())


# ---- windows, definitions, accounts, secrets


def test_windows_are_of_14_days_within_37_months() -> None:
    _, client = made()
    windows = client.windows(ACCESS, window("2023-10-01", "2023-11-10"))
    assert [(str(one.first), str(one.last)) for one in windows] == [
        ("2023-10-24", "2023-11-06"),
        ("2023-11-07", "2023-11-10"),
    ]
    assert len(client.windows(ACCESS, window("2026-11-01", "2026-11-30"))) == 3
    with pytest.raises(PlatformRejected):
        client.windows(ACCESS, window(level="campaign_group"))


def test_all_conversions_may_be_chosen() -> None:
    answer = stream([entry(conversions=1, allConversions=2.5, conversionsValue=3, allConversionsValue=4)])
    _, client = made(answer, actions=("all_conversions", "conversions"))
    (only,) = all_rows(client, ACCESS, window())
    assert (only.conversions_millionths, only.revenue_micros) == (2_500_000, 4_000_000)
    assert client.definition(ACCESS) != "google-1"
    with pytest.raises(ConfigurationError, match=r"google\.conversion_actions"):
        made(actions=("purchase",))
    own = AccountAccess("google", "1", SECRETS, ("purchase",))
    with pytest.raises(PlatformRejected, match="conversion action"):
        all_rows(client, own, window())


def test_campaigns_may_be_chosen_by_number_only() -> None:
    platform, client = made(stream([]))
    all_rows(client, ACCESS, window(native_ids=("1", "2")))
    assert body(reports(platform)[0])["query"].endswith("AND campaign.id IN (1, 2)")
    for wrong in ("1) OR (1", "", "1'"):
        with pytest.raises(PlatformRejected):
            all_rows(client, ACCESS, window(native_ids=(wrong,)))
    with pytest.raises(PlatformRejected):
        client.account_facts(AccountAccess("google", "1/../2", SECRETS))


def test_what_is_known_of_an_account_and_its_campaigns() -> None:
    customer = {
        "customer": {
            "id": "9876543210",
            "descriptiveName": "Shop",
            "currencyCode": "USD",
            "timeZone": "America/New_York",
        }
    }
    campaigns = [{"campaign": {"id": str(n), "name": f"Ć{n}", "status": "REMOVED"}} for n in (1, 2)]
    pages = [reply({"results": campaigns[:1], "nextPageToken": "x"}), reply({"results": campaigns[1:]})]
    platform, client = made(reply({"results": [customer]}), *pages)
    facts = client.account_facts(ACCESS)
    assert (facts.name, facts.currency, facts.timezone) == ("Shop", "USD", "America/New_York")
    assert [(one.native_id, one.name) for one in client.native_campaigns(ACCESS)] == [("1", "Ć1"), ("2", "Ć2")]
    assert body(platform.asked[3])["pageToken"] == "x"


def test_no_secret_comes_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {**entry(), "echo": ["ya29.access-canary-1", *SECRETS.values()]}
    platform, client = made(
        stream([echo]), failure(401, "UNAUTHENTICATED", message="ya29.access-canary-1"), reply({}, 401)
    )
    (only,) = client.pages(ACCESS, window(), None)
    with pytest.raises(PlatformSignInExpired) as caught:
        all_rows(client, ACCESS, window())
    shown = [
        only.raw.decode(),
        repr(only),
        repr(ACCESS),
        str(caught.value),
        *caplog.messages,
        *(str(one.url) for one in platform.asked),
    ]
    assert not any("canary" in text for text in shown)


NAMES = [
    "results",
    "campaign",
    "id",
    "segments",
    "date",
    "metrics",
    "costMicros",
    "conversions",
    "geographicView",
    "countryCriterionId",
    "error",
    "details",
    "errors",
    "errorCode",
    "quotaError",
    "retryDelay",
    "nextPageToken",
    "status",
    "code",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "2026-11-01", "2840", "30s", "INTERNAL"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=20,
)


@given(payload=JSON, status=st.sampled_from([200, 200, 400, 403, 429, 500]))
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
