"""LinkedIn: queries spelled by hand, campaigns and groups, countries one campaign at a time, tokens that rotate."""

import json
import logging
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from campaignctl.adapters.ad_platforms.http import HttpLimits
from campaignctl.adapters.ad_platforms.linkedin import MOST_ELEMENTS, LinkedInAds
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
    form,
    reply,
    row,
    rows_of,
    window,
)

BASE, TOKENS = "https://linkedin.example/rest", "https://www.linkedin.example/oauth/v2/accessToken"
SECRETS = {"refresh_token": "AQ-refresh-canary", "client_id": "app1", "client_secret": "secret-canary"}
ACCESS = AccountAccess("linkedin", "urn:li:sponsoredAccount:510", {**SECRETS, "access_token": "AQ-access-canary"})
COUNTRY = Breakdown.COUNTRY
ACCOUNTS = {
    "elements": [{"id": 509}, {"id": "urn:li:sponsoredAccount:510", "name": "Büro", "currency": "EUR"}],
    "metadata": {},
}


def made(
    *script: Reply, handler: Handler | None = None, limits: HttpLimits | None = None, actions: tuple[str, ...] = ()
) -> tuple[Platform, LinkedInAds, list[AccountAccess]]:
    clock = ManualClock()
    platform = Platform(clock, script, handler)
    stored: list[AccountAccess] = []
    surroundings = around(clock, platform, limits=limits, on_credentials=lambda access, _: stored.append(access))
    client = LinkedInAds(
        base_url=BASE, token_url=TOKENS, api_version="202601", around=surroundings, conversion_actions=actions
    )
    return platform, client, stored


def element(pivot: str = "urn:li:sponsoredCampaign:2201", day: int = 1, **figures: Any) -> dict[str, Any]:
    when = {"year": 2026, "month": 11, "day": day}
    return {"dateRange": {"start": when, "end": when}, "pivotValues": [pivot], **(figures or {"impressions": 1})}


def report(*elements: dict[str, Any]) -> httpx2.Response:
    return reply({"paging": {"start": 0, "count": 10, "links": []}, "elements": list(elements)})


def renewed(name: str = "AQ-second-canary", refresh: str = "AQ-refresh-canary") -> httpx2.Response:
    return reply(
        {"access_token": name, "expires_in": 5184000, "refresh_token": refresh, "refresh_token_expires_in": 31536000}
    )


def failure(status: int, code: str = "", message: str = "x", **members: Any) -> httpx2.Response:
    return reply({"status": status, "code": code, "message": message, **members}, status)


def asked_for(request: httpx2.Request) -> str:
    return request.url.raw_path.decode()


DOCUMENTED = element(
    impressions=8120, clicks=64, costInLocalCurrency="153.2709", costInUsd="166.01", externalWebsiteConversions=3,
    externalWebsitePostClickConversions=2, externalWebsitePostViewConversions=1, oneClickLeads=2,
    conversionValueInLocalCurrency="12.5",
)  # fmt: skip


def test_a_total_is_one_call_for_the_whole_account_spelled_by_hand() -> None:
    platform, client, _ = made(report(DOCUMENTED))
    assert all_rows(client, ACCESS, window()) == [
        row(
            "2201",
            "2026-11-01",
            impressions=8120,
            clicks=64,
            conversions_millionths=5_000_000,
            spend_micros=153_270_900,
            revenue_micros=12_500_000,
        )
    ]
    (asked,) = platform.asked
    path, _, fields = asked_for(asked).partition("&fields=")
    assert path == (
        "/rest/adAnalytics?q=analytics&pivot=(value:CAMPAIGN)&timeGranularity=(value:DAILY)"
        "&dateRange=(start:(year:2026,month:11,day:1),end:(year:2026,month:11,day:7))"
        "&accounts=List(urn%3Ali%3AsponsoredAccount%3A510)"
    )
    assert {"dateRange", "pivotValues"} <= set(fields.split(",")) and len(fields.split(",")) <= 20
    assert asked.headers["Authorization"] == "Bearer AQ-access-canary"
    assert (asked.headers["Linkedin-Version"], asked.headers["X-Restli-Protocol-Version"]) == ("202601", "2.0.0")


def test_campaign_groups_are_a_level_of_their_own() -> None:
    platform, client, _ = made(
        report(element("urn:li:sponsoredCampaignGroup:77")), report(element("urn:li:sponsoredCampaignGroup:77"))
    )
    assert all_rows(client, ACCESS, window(level="campaign_group")) == [row("77", "2026-11-01", impressions=1)]
    all_rows(client, ACCESS, window(level="campaign_group", native_ids=("77",)))
    assert "pivot=(value:CAMPAIGN_GROUP)" in asked_for(platform.asked[0])
    assert "&campaignGroups=List(urn%3Ali%3AsponsoredCampaignGroup%3A77)&" in asked_for(platform.asked[1])


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("153.2709", 153_270_900), ("0.123456789012345678", 123_457), ("-1.2E-18", 0), ("1.5e-7", 0), ("2.5E-6", 2),
        ("3.5E-6", 4), ("0E-18", 0), ("-0.000000000000000001", 0), ("1E+3", 1_000_000_000), ("-5.25", -5_250_000),
        ("0.00000099999999999999999999", 1),
    ],
)  # fmt: skip
def test_costs_are_exact_to_the_micro(text: str, micros: int) -> None:
    _, client, _ = made(report(element(costInLocalCurrency=text, clicks=1)))
    (only,) = all_rows(client, ACCESS, window())
    assert only.spend_micros == micros


def test_named_campaigns_are_asked_for_by_50_and_the_place_is_kept() -> None:
    ids = tuple(str(n) for n in range(1000, 1120))
    platform, client, _ = made(*[report(element(f"urn:li:sponsoredCampaign:{n}")) for n in (1000, 1050, 1100)])
    pages = list(client.pages(ACCESS, window(native_ids=ids), None))
    assert [one.native_id for one in rows_of(pages)] == ["1000", "1050", "1100"]
    assert [asked_for(one).count("sponsoredCampaign%3A") for one in platform.asked] == [50, 50, 20]
    platform, client, _ = made(report(element("urn:li:sponsoredCampaign:1100")))
    (rest,) = client.pages(ACCESS, window(native_ids=ids), pages[1].resume)
    assert "sponsoredCampaign%3A1100" in asked_for(platform.asked[0]) and len(rest.rows) == 1


def test_a_long_query_travels_in_the_body() -> None:
    platform, client, _ = made(httpx2.Response(414), report(element()))
    assert len(all_rows(client, ACCESS, window())) == 1
    tunnelled = platform.asked[1]
    assert (tunnelled.method, tunnelled.url.query) == ("POST", b"")
    assert tunnelled.headers["X-HTTP-Method-Override"] == "GET"
    assert tunnelled.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert tunnelled.content.decode() == asked_for(platform.asked[0]).partition("?")[2]

    ids = tuple(str(n) for n in range(10**18, 10**18 + 50))
    long_ids = tuple(f"{one}0" for one in ids)
    platform, client, _ = made(report(element()))
    all_rows(client, ACCESS, window(native_ids=long_ids))
    (only,) = platform.asked
    assert only.method == ("POST" if len(only.content) > 4_000 else "GET")
    _, client, _ = made(httpx2.Response(414), httpx2.Response(414))
    with pytest.raises(PlatformRejected, match="too long"):
        all_rows(client, ACCESS, window())


def test_a_report_that_was_cut_is_asked_for_in_smaller_parts() -> None:
    def handler(request: httpx2.Request) -> Reply:
        text = unquote(asked_for(request))
        if "adCampaigns" in text:
            return reply({"elements": [{"id": n, "name": "c", "status": "ACTIVE"} for n in range(1, 61)]})
        first, last = (
            int(piece.partition("day:")[2].partition(")")[0])
            for piece in text.partition("dateRange=")[2].split(",end:")[:2]
        )
        if last > first or (first == 3 and "accounts=" in text):
            return report(*[element(day=first)] * MOST_ELEMENTS)
        listed = text.partition("&campaigns=List(")[2].partition(")")[0]
        return report(*(element(urn, day=first) for urn in (listed or "urn:li:sponsoredCampaign:1").split(",")))

    _, client, _ = made(handler=handler)
    rows = all_rows(client, ACCESS, window(last="2026-11-04"))
    assert [one.day.day for one in rows] == [1, 2, *[3] * 60, 4]


# ---- countries


GEOS = {
    "urn:li:geo:103644278": "United States",
    "urn:li:geo:102772228": "Shanghai, China",
    "urn:li:geo:1": "Nowhere in particular",
    "urn:li:geo:2": "Hong Kong SAR",
}


def geo_server(request: httpx2.Request) -> Reply:
    text = unquote(asked_for(request))
    if "adTargetingEntities" in text:
        urns = text.partition("List(")[2].rstrip(")").split(",")
        return reply({"elements": [{"urn": urn, "name": GEOS[urn]} for urn in urns if urn in GEOS]})
    if "MEMBER_COUNTRY_V2" not in text:
        return report(
            element("urn:li:sponsoredCampaign:9"),
            element("urn:li:sponsoredCampaign:10"),
            element("urn:li:sponsoredCampaign:10", day=2),
        )
    assert text.count("sponsoredCampaign:") == 1
    return report(*(element(urn, impressions=n) for n, urn in enumerate([*GEOS, "urn:li:geo:3"], 1)))


def test_countries_are_asked_for_one_campaign_at_a_time() -> None:
    platform, client, _ = made(handler=geo_server)
    asked = window(breakdown=COUNTRY)
    pages = list(client.pages(ACCESS, asked, None))
    for native_id, one in zip(("9", "10"), pages, strict=True):
        assert one.rows == [
            row(native_id, "2026-11-01", "US", impressions=1),
            row(native_id, "2026-11-01", "CN", impressions=2),
            row(native_id, "2026-11-01", "ZZ", impressions=3 + 5),
            row(native_id, "2026-11-01", "HK", impressions=4),
        ]
    assert len(platform.asked) == 1 + 2 + 1
    assert list(client.read(ACCESS, asked, [one.raw for one in pages])) == [one.rows for one in pages]

    platform, client, _ = made(handler=geo_server)
    (rest,) = client.pages(ACCESS, asked, pages[0].resume)
    assert rest.rows == pages[1].rows
    assert [unquote(asked_for(one)).count("sponsoredCampaign:9") for one in platform.asked] == [0, 0, 0]


def test_no_activity_has_no_countries() -> None:
    _, client, _ = made(report(), reply(ACCOUNTS))
    (only,) = client.pages(ACCESS, window(breakdown=COUNTRY), None)
    assert (list(only.rows), only.resume) == ([], None)


# ---- nothing, or nothing to be seen


def test_an_empty_answer_is_checked_for_access_once() -> None:
    platform, client, _ = made(report(), reply(ACCOUNTS), report())
    for _ in range(2):
        assert all_rows(client, ACCESS, window()) == []
    assert len(platform.asked) == 3


def test_an_account_that_cannot_be_seen_is_not_without_activity() -> None:
    _, client, _ = made(
        report(), reply({"elements": [{"id": 1}], "metadata": {"nextPageToken": "p 2"}}), reply({"elements": []})
    )
    with pytest.raises(PlatformForbidden, match="not among those") as caught:
        all_rows(client, ACCESS, window())
    assert caught.value.missing == ("r_ads_reporting",)


# ---- the error table


def test_the_limit_of_metric_values_is_waited_for() -> None:
    message = "The data request limit has been exceeded. More than 45 million metric values were requested in a 5-minute window."
    platform, client, _ = made(reply({"message": message}, 429), report(element()))
    with pytest.raises(PlatformThrottled) as caught:
        all_rows(client, ACCESS, window())
    assert 330 <= caught.value.retry_after_s <= 331
    with pytest.raises(PlatformThrottled):
        client.account_facts(AccountAccess("linkedin", "9", SECRETS))
    platform.clock.advance(332)
    assert len(all_rows(client, ACCESS, window())) == 1
    assert len(platform.asked) == 2


@pytest.mark.parametrize("whose", ["APPLICATION", "MEMBER"])
def test_the_days_limit_lasts_until_midnight_utc(whose: str) -> None:
    message = f"Resource level throttle {whose} DAY limit for calls to this resource is reached."
    platform, client, _ = made(failure(429, "TOO_MANY_REQUESTS", message, serviceErrorCode=101), report(element()))
    with pytest.raises(PlatformThrottled) as caught:
        all_rows(client, ACCESS, window())
    assert 12 * 3600 <= caught.value.retry_after_s <= 12 * 3600 + 1
    platform.clock.advance(12 * 3600 + 2)
    assert len(all_rows(client, ACCESS, window())) == 1


def test_other_limits_double_from_5_s_or_last_as_told() -> None:
    plain = httpx2.Response(429, content=b"Too Many Requests")
    platform, client, _ = made(plain, plain, httpx2.Response(429, headers={"Retry-After": "40"}), report(element()))
    assert len(all_rows(client, ACCESS, window())) == 1
    first, second, third = platform.gaps_s
    assert 5 <= first <= 6.25 and 10 <= second <= 12.5 and 40 <= third <= 41


@pytest.mark.parametrize(
    "refused",
    [
        failure(401, "EXPIRED_ACCESS_TOKEN", "The token used in the request has expired", serviceErrorCode=65602),
        failure(401, "REVOKED_ACCESS_TOKEN", serviceErrorCode=65601),
        failure(401, "", "Expired access token", serviceErrorCode=65600),
        httpx2.Response(401, content=b"no"),
    ],
)
def test_a_token_that_does_not_hold_is_renewed_once_and_given_time_to_settle(refused: httpx2.Response) -> None:
    platform, client, _ = made(refused, renewed(), report(element()))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert platform.asked[2].headers["Authorization"] == "Bearer AQ-second-canary"
    platform, client, _ = made(refused, renewed(), refused, report(element()))
    assert len(all_rows(client, ACCESS, window())) == 1
    assert platform.gaps_s[2] == 30
    platform, client, _ = made(refused, renewed(), refused, refused)
    with pytest.raises(PlatformSignInExpired):
        all_rows(client, ACCESS, window())
    platform, client, _ = made(refused)
    with pytest.raises(PlatformSignInExpired, match="refresh_token"):
        all_rows(client, AccountAccess("linkedin", "510", {"access_token": "AQ-access-canary"}), window())


def test_a_refresh_token_that_is_replaced_is_handed_back_before_its_use() -> None:
    platform, client, stored = made(failure(401), renewed(refresh="AQ-new-refresh-canary"), report(element()))
    seen: list[tuple[int, str]] = []

    def keep(access: AccountAccess, instead_of: str) -> None:
        seen.append((len(platform.asked), instead_of))
        stored.append(access)

    client._calls.tokens._on_credentials = keep
    all_rows(client, ACCESS, window())
    (handed,) = stored
    assert seen == [(2, "AQ-refresh-canary")]
    assert handed.credentials == {
        **SECRETS,
        "refresh_token": "AQ-new-refresh-canary",
        "access_token": "AQ-second-canary",
    }
    # Whoever still has the old one is served from the new one.
    platform.clock.advance(5184000)
    platform.script += [renewed("AQ-third-canary", "AQ-new-refresh-canary"), report(element()), report(element())]
    all_rows(client, ACCESS, window())
    assert form(platform.asked[3])["refresh_token"] == "AQ-new-refresh-canary"
    all_rows(client, handed, window())
    assert platform.asked[-1].headers["Authorization"] == "Bearer AQ-third-canary"
    assert len(stored) == 1


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (
            failure(
                403,
                "ACCESS_DENIED",
                "Not enough permissions to access: adAnalytics.FINDER-analytics",
                serviceErrorCode=100,
            ),
            PlatformForbidden,
            "ACCESS_DENIED",
        ),
        (httpx2.Response(403, content=b"<html>"), PlatformForbidden, "403"),
        (failure(400, "FIELD_INVALID"), PlatformRejected, "FIELD_INVALID"),
        (failure(400, "VERSION_MISSING"), PlatformRejected, "VERSION_MISSING"),
        (failure(400, "ILLEGAL_ARGUMENT", "Invalid query parameters passed to request"), PlatformRejected, "400"),
        (failure(404, "RESOURCE_NOT_FOUND"), PlatformRejected, "404"),
        (httpx2.Response(411), PlatformRejected, "411"),
        (failure(426, "NONEXISTENT_VERSION", "Requested version 20250801 is not active"), PlatformRejected, "426"),
        (reply({"rows": []}), PlatformAnswerInvalid, "list at elements"),
        (report(element(kosten="1")), PlatformAnswerInvalid, "without any figures"),
        (report(element(impressions="many")), PlatformAnswerInvalid, "impressions"),
        (
            report({**element(), "dateRange": {"start": {"year": 2026, "month": 13, "day": 1}}}),
            PlatformAnswerInvalid,
            "dateRange",
        ),
        (report({**element(), "pivotValues": []}), PlatformAnswerInvalid, "pivotValues"),
    ],
)
def test_what_no_repetition_changes_ends_it_at_once(
    answer: httpx2.Response, kind: type[PlatformError], says: str
) -> None:
    platform, client, _ = made(answer)
    with pytest.raises(kind, match=says) as caught:
        all_rows(client, ACCESS, window())
    assert type(caught.value) is kind and len(platform.asked) == 1
    if isinstance(caught.value, PlatformForbidden):
        assert caught.value.missing == ("r_ads_reporting",)
    if "VERSION" in says or says == "426":
        assert "linkedin.api_version" in caught.value.hint


@pytest.mark.parametrize("status", [500, 503, 504])
def test_what_passes_is_tried_five_times(status: int) -> None:
    platform, client, _ = made(httpx2.Response(status), report(element()))
    assert len(all_rows(client, ACCESS, window())) == 1
    platform, client, _ = made(*[httpx2.Response(status)] * 9)
    with pytest.raises(PlatformUnavailable):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 5


# ---- windows, definitions, accounts, secrets


def test_windows_are_of_30_days_within_what_is_kept() -> None:
    _, client, _ = made()
    assert [str(one.first) for one in client.windows(ACCESS, window("2026-09-01", "2026-10-30"))] == [
        "2026-09-01",
        "2026-10-01",
    ]
    by_country = client.windows(ACCESS, window("2024-11-01", "2024-12-01", breakdown=COUNTRY))
    assert [(str(one.first), str(one.last)) for one in by_country] == [("2024-11-24", "2024-12-01")]
    with pytest.raises(PlatformRejected):
        client.windows(ACCESS, window(level="creative"))


def test_a_part_of_a_chosen_whole_is_not_added() -> None:
    _, client, _ = made(
        report(DOCUMENTED), actions=("externalWebsiteConversions", "externalWebsitePostClickConversions")
    )
    (only,) = client.pages(ACCESS, window(), None)
    assert only.rows[0].conversions_millionths == 3_000_000
    own = AccountAccess("linkedin", "510", SECRETS, ("oneClickLeads",))
    assert [rows[0].conversions_millionths for rows in client.read(own, window(), [only.raw])] == [2_000_000]
    with pytest.raises(ConfigurationError, match=r"linkedin\.conversion_actions"):
        made(actions=("likes",))


def test_what_is_known_of_an_account_and_its_campaigns() -> None:
    campaigns = (
        [{"id": 2201, "name": "Ä", "status": "ARCHIVED"}],
        [{"id": "urn:li:sponsoredCampaign:2202", "name": "B", "status": "ACTIVE"}],
    )
    pages = [reply({"elements": campaigns[0], "metadata": {"nextPageToken": "p/2"}}), reply({"elements": campaigns[1]})]
    groups = reply({"elements": [{"id": 77, "name": "G", "status": "DRAFT"}]})
    platform, client, _ = made(renewed(), reply(ACCOUNTS), *pages, groups)
    access = AccountAccess("linkedin", "510", SECRETS)
    facts = client.account_facts(access)
    assert (facts.name, facts.currency, facts.timezone) == ("Büro", "EUR", "UTC")
    assert facts.expires_at == datetime(2027, 11, 23, 12, tzinfo=UTC)
    found = [(one.level, one.native_id, one.name) for one in client.native_campaigns(access)]
    assert found == [("campaign", "2201", "Ä"), ("campaign", "2202", "B"), ("campaign_group", "77", "G")]
    assert asked_for(platform.asked[2]).startswith(
        "/rest/adAccounts/510/adCampaigns?q=search&search=(status:(values:List(ACTIVE,PAUSED,"
    )
    assert asked_for(platform.asked[3]).endswith("&pageToken=p%2F2")


def test_when_a_lone_access_token_ends_is_asked_for() -> None:
    access = AccountAccess(
        "linkedin", "510", {"access_token": "AQ-access-canary", "client_id": "a", "client_secret": "secret-canary"}
    )
    platform, client, _ = made(reply(ACCOUNTS), reply({"active": True, "expires_at": 1_800_000_000}))
    assert client.account_facts(access).expires_at == datetime.fromtimestamp(1_800_000_000, UTC)
    assert str(platform.asked[1].url) == "https://www.linkedin.example/oauth/v2/introspectToken"


def test_ids_that_are_none_are_not_sent() -> None:
    platform, client, _ = made()
    for access, asked in (
        (AccountAccess("linkedin", "5,6", SECRETS), window()),
        (ACCESS, window(native_ids=("1),evil(",))),
    ):
        with pytest.raises(PlatformRejected, match="digits"):
            all_rows(client, access, asked)
    assert not platform.asked


def test_no_secret_comes_out(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    echo = {**element(), "echo": ["AQ-access-canary", *SECRETS.values()]}
    platform, client, _ = made(
        report(echo), failure(401, "X", "AQ-access-canary"), reply({"error": "invalid_grant"}, 400)
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
    assert json.loads(only.raw)


NAMES = [
    "elements",
    "metadata",
    "nextPageToken",
    "dateRange",
    "start",
    "year",
    "month",
    "day",
    "pivotValues",
    "impressions",
    "clicks",
    "costInLocalCurrency",
    "id",
    "urn",
    "name",
    "defaultLocalizedName",
    "message",
    "code",
    "status",
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["1", "510", "urn:li:geo:1", 2026, 1]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    max_leaves=20,
)


@given(
    payload=st.one_of(JSON, st.fixed_dictionaries({"elements": JSON})),
    status=st.sampled_from([200, 200, 400, 401, 403, 429, 500]),
)
def test_only_declared_errors_come_out(payload: object, status: int) -> None:
    _, client, _ = made(handler=lambda _: reply(payload, status))
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


@pytest.mark.parametrize(
    "figures",
    [
        {"impressions": 5, "landingPageClicks": 2},
        {"clicks": 5, "costInLocalCurrency": "1.5", "views": 7},
        {"impressions": 5, "clicks": 1, "costInLocal": "1.2E1"},
    ],
)
def test_a_figure_of_another_name_is_not_taken_for_0(figures: dict[str, Any]) -> None:
    name = list(figures)[-1]
    platform, client, _ = made(report(element(**figures), element("urn:li:sponsoredCampaign:2202", **figures)))
    with pytest.raises(PlatformAnswerInvalid, match=f"but with {name}, which nobody asked for"):
        all_rows(client, ACCESS, window())
    assert len(platform.asked) == 1


def test_a_report_may_lack_figures_and_have_others_beside_what_was_asked_for() -> None:
    """What is null is left out; money in dollars stands in answers of which nobody asked for it."""
    _, client, _ = made(report(element(impressions=5, costInLocalCurrency="1", costInUsd="1.1")))
    (only,) = all_rows(client, ACCESS, window())
    assert (only.impressions, only.clicks, only.conversions_millionths) == (5, 0, 0)
