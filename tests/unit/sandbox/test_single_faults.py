"""What a client makes of each fault that ends a fetch or makes it wait, and how often it calls meanwhile."""

from contextlib import closing
from datetime import date

import pytest

from campaignctl.domain.reports import Breakdown
from campaignctl.errors import (
    InvalidInput,
    PlatformAnswerInvalid,
    PlatformError,
    PlatformForbidden,
    PlatformRejected,
    PlatformSignInExpired,
    PlatformThrottled,
)
from campaignctl.ports.ad_platforms import ReportRequest
from campaignctl.sandbox.faults import FAULTS, PLATFORMS, chosen
from campaignctl.sandbox.platforms.desk import Limits
from tests.support.sandbox import Stage, figures

FIRST, LAST = date(2026, 11, 1), date(2026, 11, 20)
ENDINGS: dict[str, type[PlatformError]] = {
    "redirect": PlatformAnswerInvalid,
    "changed-schema": PlatformAnswerInvalid,
    "renamed-figure": PlatformAnswerInvalid,
    "repeated-place": PlatformAnswerInvalid,
    "meta-token": PlatformSignInExpired,
    "meta-permission": PlatformForbidden,
    "google-daily-quota": PlatformThrottled,
    "google-permission": PlatformForbidden,
    "google-version": PlatformRejected,
    "google-grant-revoked": PlatformSignInExpired,
    "linkedin-day-limit": PlatformThrottled,
    "linkedin-no-access": PlatformForbidden,
    "linkedin-permission": PlatformForbidden,
    "linkedin-version": PlatformRejected,
    "tiktok-restricted": PlatformThrottled,
    "tiktok-token": PlatformSignInExpired,
    "tiktok-permission": PlatformForbidden,
}
ENDED = [(platform, one.name) for one in FAULTS if one.name in ENDINGS for platform in one.platforms]
WAITS_S = {
    ("meta", "429-retry-after"): 20,
    ("google", "429-retry-after"): 20,
    ("linkedin", "429-retry-after"): 20,
    ("tiktok", "429-retry-after"): 20,
    ("meta", "meta-business-limit"): 60,
    ("meta", "meta-usage"): 60,
    ("google", "google-quota"): 30,
    ("linkedin", "linkedin-metric-values"): 330,
}


def read_all(stage: Stage) -> None:
    """Until something ends it; asks the account too, as every fetch does, and signs in anew each time."""
    asked = ReportRequest("campaign", Breakdown.TOTAL, FIRST, LAST, None)
    for _ in range(3):
        with closing(stage.client()) as client:
            client.account_facts(stage.access())
            for window in client.windows(stage.access(), asked):
                list(client.pages(stage.access(), window, None))


@pytest.mark.parametrize(("platform", "fault"), ENDED)
def test_what_ends_a_fetch(platform: str, fault: str) -> None:
    with_it = ["google-stream-broken"] if (platform, fault) == ("google", "repeated-place") else []
    stage = Stage(platform, [fault, *with_it], Limits(page_rows=1))
    with pytest.raises(ENDINGS[fault]) as error:
        read_all(stage)
    asked = len(stage.asked())
    assert "sandbox-" not in str(error.value)
    strikes = next(one.strikes for one in FAULTS if one.name == fault)
    if strikes:  # what cannot succeed is not repeated
        assert [one.number for one in stage.asked() if one.fault == fault] == [stage.asked()[-1].number]
    assert len(stage.asked()) == asked


@pytest.mark.parametrize("fault", ["gzip-bomb", "endless-body"])
@pytest.mark.parametrize("platform", PLATFORMS)
def test_an_answer_that_does_not_fit_costs_no_memory_and_no_figure(platform: str, fault: str) -> None:
    stage = Stage(platform, [fault])
    try:
        found = figures(stage.fetched(FIRST, LAST, Breakdown.TOTAL))
    except PlatformAnswerInvalid:
        return
    assert found == stage.expected(FIRST, LAST, Breakdown.TOTAL)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_a_platform_that_does_not_answer_is_asked_again(platform: str) -> None:
    stage = Stage(platform, ["timeout"], Limits(page_rows=20))
    assert figures(stage.fetched(FIRST, LAST, Breakdown.TOTAL)) == stage.expected(FIRST, LAST, Breakdown.TOTAL)


@pytest.mark.parametrize(("platform", "fault"), WAITS_S)
def test_no_call_before_the_wait_that_was_asked_for_is_over(platform: str, fault: str) -> None:
    stage = Stage(platform, [fault], Limits(page_rows=20))
    asked = ReportRequest("campaign", Breakdown.TOTAL, FIRST, LAST, None)
    with closing(stage.client()) as client:
        for window in [*client.windows(stage.access(), asked)] * 3:
            stage.window(client, window)
    log = stage.asked()
    hit = [(one, log[place + 1]) for place, one in enumerate(log[:-1]) if one.fault]
    assert hit
    for struck, following in hit:
        assert following.at_s - struck.at_s >= WAITS_S[platform, fault] - 1e-6


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("breakdown", Breakdown)
def test_a_fetch_goes_on_behind_its_last_page(platform: str, breakdown: Breakdown) -> None:
    """Whoever goes on asks for no page again; the request log is the witness."""
    stage = Stage(platform, ["google-stream-broken"] if platform == "google" else [], Limits(page_rows=7))
    level = "campaign_group" if platform == "linkedin" else "campaign"
    asked = ReportRequest(level, breakdown, FIRST, LAST, None)
    whole, rows = stage.expected(FIRST, LAST, breakdown), []
    with closing(stage.client()) as planner:
        windows = planner.windows(stage.access(), asked)
    for window in windows:
        resume, raws = None, []
        while resume is not None or not raws:
            with closing(stage.client()) as client:  # as after a kill: nothing is remembered
                before = {(one.path, one.query) for one in stage.asked("report")}
                page = next(iter(client.pages(stage.access(), window, resume)))
                now = [(one.path, one.query) for one in stage.asked("report")][len(stage.asked("report")) - 1 :]
                if platform in ("meta", "tiktok"):
                    assert not before & set(now)
                assert not page.afresh
            raws.append(page.raw)
            resume = page.resume
        with closing(stage.client()) as reader:
            rows += [row for page_rows in reader.read(stage.access(), window, raws) for row in page_rows]
    assert figures(rows) == whole


@pytest.mark.parametrize("platform", ["google", "linkedin"])
def test_an_access_token_that_ends_on_the_way_costs_one_call(platform: str) -> None:
    fault = f"{platform}-token-expired"
    stage = Stage(platform, [fault, *(["google-stream-broken"] if platform == "google" else [])], Limits(page_rows=5))
    assert figures(stage.fetched(FIRST, LAST, Breakdown.COUNTRY)) == stage.expected(FIRST, LAST, Breakdown.COUNTRY)
    refused = [one for one in stage.asked() if one.fault == fault]
    assert refused
    assert len(stage.asked("token")) == 1 + len(refused)
    log = stage.asked()
    for one in refused:
        following = [after for after in log if after.number > one.number][:2]
        assert [after.kind for after in following] == ["token", one.kind]


def test_a_refresh_token_that_was_replaced_is_handed_on() -> None:
    stage = Stage("linkedin", ["linkedin-token-rotates"])
    stage.fetched(FIRST, LAST, Breakdown.TOTAL)
    assert stage.kept[-1].credentials["refresh_token"] != stage.account.credentials()["refresh_token"]
    stage.fetched(FIRST, LAST, Breakdown.TOTAL)


@pytest.mark.parametrize(
    ("platform", "limits"),
    [
        ("meta", Limits(meta_points=5)),
        ("linkedin", Limits(linkedin_metric_values=500)),
        ("tiktok", Limits(tiktok_queries_a_second=1, page_rows=5)),
    ],
)
def test_a_quota_that_is_used_up_is_waited_for(platform: str, limits: Limits) -> None:
    stage = Stage(platform, (), limits)
    first = LAST if platform == "linkedin" else FIRST
    assert figures(stage.fetched(first, LAST, Breakdown.COUNTRY)) == stage.expected(first, LAST, Breakdown.COUNTRY)


def test_words_for_faults() -> None:
    everything = chosen(["all"])
    assert everything == chosen(PLATFORMS)
    assert everything == {one.name for one in FAULTS if not one.by_name_only}
    assert "tiktok-qps" not in chosen(["meta"])
    assert chosen(["meta-token"]) == {"meta-token"}
    with pytest.raises(InvalidInput, match="no 'tiktok-qqs'") as error:
        chosen(["tiktok-qqs"])
    assert error.value.hint == "did you mean tiktok-qps?"
