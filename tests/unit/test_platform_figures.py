"""What a worker tells Prometheus of the ad platforms."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from campaignctl.domain.platforms import Platform
from campaignctl.ports.accounts import AccountWatch
from campaignctl.ports.ad_platforms import CallOutcome, WaitReason
from campaignctl.services.platform_tally import PlatformTally
from tests.fakes.clock import ManualClock
from worker.platform_figures import MOST_ACCOUNTS, PlatformFigures


class Told:
    def __init__(self) -> None:
        self.clock, self.tally, self._registry = ManualClock(), PlatformTally(), CollectorRegistry()
        self.figures = PlatformFigures(self.tally.totals, self.clock, fetched_every=timedelta(minutes=30))
        self._registry.register(self.figures)

    def value(self, name: str, **labels: str) -> float | None:
        return self._registry.get_sample_value(f"campaignctl_{name}", labels)

    def series(self, name: str) -> int:
        return sum(
            sample.name == f"campaignctl_{name}" for family in self._registry.collect() for sample in family.samples
        )


def account(told: Told, number: int, platform: str = "meta", **what: object) -> AccountWatch:
    known = {"is_claimed": True, "connected_at": told.clock.now(), "expires_at": None, "fetched_at": None}
    return AccountWatch(number, platform, **known | what)  # type: ignore[arg-type]


def test_everything_with_a_name_of_its_own_is_told_from_the_start() -> None:
    told = Told()
    assert told.value("fetch_interval_seconds") == 1_800
    for platform in Platform:
        for outcome in CallOutcome:
            assert told.value("platform_requests_total", platform=platform, outcome=outcome) == 0
        for reason in WaitReason:
            assert told.value("platform_wait_seconds_total", platform=platform, reason=reason) == 0
        assert told.value("report_rows_total", platform=platform) == 0
        assert told.value("account_fetches_total", platform=platform, outcome="ok") == 0
        assert told.value("platform_fetch_age_seconds", platform=platform) is None


def test_what_happened_adds_up() -> None:
    told = Told()
    for seconds in (0.25, 0.5):
        told.tally.called("google", CallOutcome.OK, seconds)
    told.tally.called("google", CallOutcome.THROTTLED, 0.25)
    told.tally.waited("google", WaitReason.QUOTA, 30)
    told.tally.rows_read("google", 700)
    told.tally.account_fetched("google", "platform_forbidden")
    assert told.value("platform_requests_total", platform="google", outcome="ok") == 2
    assert told.value("platform_requests_total", platform="google", outcome="throttled") == 1
    assert told.value("platform_request_seconds_total", platform="google") == 1
    assert told.value("platform_wait_seconds_total", platform="google", reason="quota") == 30
    assert told.value("report_rows_total", platform="google") == 700
    assert told.value("account_fetches_total", platform="google", outcome="platform_forbidden") == 1
    assert told.value("platform_requests_total", platform="meta", outcome="ok") == 0


def test_ages_grow_from_the_last_look_and_the_platform_is_as_old_as_its_newest_report() -> None:
    told = Told()
    now = told.clock.now()
    told.figures.saw(
        [
            account(told, 1, connected_at=now - timedelta(days=9), fetched_at=now - timedelta(hours=1)),
            account(told, 2, connected_at=now - timedelta(hours=3)),
            account(told, 3, "tiktok", connected_at=now - timedelta(days=9), is_claimed=False),
        ]
    )
    told.clock.advance(60)
    assert told.value("account_fetch_age_seconds", platform="meta", account="1") == 3_660
    assert told.value("account_fetch_age_seconds", platform="meta", account="2") == 10_860
    assert told.value("platform_fetch_age_seconds", platform="meta") == 3_660
    assert told.value("platform_fetch_age_seconds", platform="tiktok") is None
    told.figures.saw([])
    assert told.series("account_fetch_age_seconds") == 0


def test_a_sign_in_that_is_over_is_below_zero() -> None:
    told = Told()
    now = told.clock.now()
    ends = now + timedelta(days=2)
    told.figures.saw([account(told, 1, expires_at=ends, is_claimed=False), account(told, 2)])
    assert told.value("account_token_expiry_seconds", platform="meta", account="1") == 172_800
    assert told.value("account_token_expiry_seconds", platform="meta", account="2") is None
    told.clock.advance(172_801)
    assert told.value("account_token_expiry_seconds", platform="meta", account="1") == -1


def test_of_very_many_accounts_the_worst_off_are_told_of() -> None:
    told = Told()
    now = told.clock.now()
    told.figures.saw(
        [
            account(told, n, fetched_at=now - timedelta(minutes=n), expires_at=now + timedelta(days=n))
            for n in range(1, MOST_ACCOUNTS + 11)
        ]
    )
    assert told.series("account_fetch_age_seconds") == told.series("account_token_expiry_seconds") == MOST_ACCOUNTS
    assert told.value("account_fetch_age_seconds", platform="meta", account="10") is None
    assert told.value("account_token_expiry_seconds", platform="meta", account="1") == 86_400
    assert told.value("platform_fetch_age_seconds", platform="meta") == 60
