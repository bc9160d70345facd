"""What a worker tells of the ad platforms: its requests and waits, how old reports are, and when sign-ins end.

The ages are read from the metadata store by the schedule of fetches, and grow from one look to the next, also while the
store is away. Every worker tells them of all accounts, so take the ``max`` of several. An account is labelled by its
number here, never by the platform's id of it; of very many accounts those that are worst off are told of.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from threading import Lock
from typing import Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from campaignctl.ports.accounts import AccountWatch
from campaignctl.ports.clock import Clock
from campaignctl.services.platform_tally import PlatformTotals

MOST_ACCOUNTS: Final = 500
"""Series per figure that has an account; a platform's own figure has them all in it."""


class PlatformFigures(Collector):
    """Register it once; ``saw`` is told of the accounts now and then."""

    def __init__(self, totals: Callable[[], PlatformTotals], clock: Clock, *, fetched_every: timedelta) -> None:
        self._totals = totals
        self._clock = clock
        self._fetched_every = fetched_every
        self._lock = Lock()
        self._accounts: Sequence[AccountWatch] = ()

    def saw(self, accounts: Sequence[AccountWatch]) -> None:
        with self._lock:
            self._accounts = accounts

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterable[Metric]:
        yield from _counted(self._totals())
        interval = GaugeMetricFamily(
            "campaignctl_fetch_interval_seconds",
            "Between two fetches of an account's newest days; 0: fetched on request only.",
        )
        interval.add_metric([], self._fetched_every.total_seconds())
        yield interval
        with self._lock:
            accounts = self._accounts
        yield from _aged(accounts, self._clock.now())


def _counted(totals: PlatformTotals) -> Iterable[Metric]:
    requests = CounterMetricFamily(
        "campaignctl_platform_requests",
        "Requests to ad platforms, renewals of tokens and tries again included, by what became of them.",
        labels=["platform", "outcome"],
    )
    for labels, count in totals.requests.items():
        requests.add_metric(labels, count)
    seconds = CounterMetricFamily(
        "campaignctl_platform_request_seconds",
        "Time that these requests took, until their answers were read.",
        labels=["platform"],
    )
    for platform, spent_s in totals.request_s.items():
        seconds.add_metric([platform], spent_s)
    waits = CounterMetricFamily(
        "campaignctl_platform_wait_seconds",
        "Time that requests waited before they were made: quota (the platform asked for it), retry (between two"
        " tries), pace (requests are spread out).",
        labels=["platform", "reason"],
    )
    for labels, waited_s in totals.wait_s.items():
        waits.add_metric(labels, waited_s)
    rows = CounterMetricFamily("campaignctl_report_rows", "Rows of reports that came in.", labels=["platform"])
    for platform, count in totals.rows.items():
        rows.add_metric([platform], count)
    fetches = CounterMetricFamily(
        "campaignctl_account_fetches",
        "Fetches of one account that ended: ok, or an error's code.",
        labels=["platform", "outcome"],
    )
    for labels, count in totals.fetches.items():
        fetches.add_metric(labels, count)
    return requests, seconds, waits, rows, fetches


def _aged(accounts: Sequence[AccountWatch], now: datetime) -> Iterable[Metric]:
    newest = GaugeMetricFamily(
        "campaignctl_platform_fetch_age_seconds",
        "Since a report of any account of the platform was last fetched whole, of accounts that campaigns use.",
        labels=["platform"],
    )
    each = GaugeMetricFamily(
        "campaignctl_account_fetch_age_seconds",
        "Since a report of the account was last fetched whole (before the first: since it was connected), of accounts"
        " that campaigns use.",
        labels=["platform", "account"],
    )
    ages = {one: (now - (one.fetched_at or one.connected_at)).total_seconds() for one in accounts if one.is_claimed}
    for one in sorted(ages, key=ages.__getitem__, reverse=True)[:MOST_ACCOUNTS]:
        each.add_metric([one.platform, str(one.account_id)], ages[one])
    for platform in sorted({one.platform for one in ages}):
        newest.add_metric([platform], min(age for one, age in ages.items() if one.platform == platform))
    ends = GaugeMetricFamily(
        "campaignctl_account_token_expiry_seconds",
        "Until the account's credentials end and somebody has to sign in again, as far as the platform has told;"
        " negative afterwards.",
        labels=["platform", "account"],
    )
    left = {one: (one.expires_at - now).total_seconds() for one in accounts if one.expires_at is not None}
    for one in sorted(left, key=left.__getitem__)[:MOST_ACCOUNTS]:
        ends.add_metric([one.platform, str(one.account_id)], left[one])
    return newest, each, ends
