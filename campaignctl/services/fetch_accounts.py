"""Fetching one account's reports: what is asked for, by whose leave, and window after window until all are complete."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from campaignctl.domain.accounts import PlatformAccount
from campaignctl.domain.fetches import FetchRequest, days_asked
from campaignctl.domain.jobs import JobError
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import Breakdown, ReportedAccount
from campaignctl.errors import (
    CampaignctlError,
    PlatformAnswerInvalid,
    PlatformError,
    PlatformRejected,
    PlatformThrottled,
    Unavailable,
)
from campaignctl.ports.accounts import AccountRecords, ToldFacts
from campaignctl.ports.ad_platforms import (
    AccountAccess,
    AdPlatform,
    PlatformWatch,
    ReportRequest,
    Unwatched,
    WaitReason,
)
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, Position
from campaignctl.ports.reports import ReportStore
from campaignctl.services.accounts import own_actions
from campaignctl.services.jobs import JobContext, JobInterrupted
from campaignctl.services.positions import Positions
from campaignctl.services.report_windows import (
    FetchedAccount,
    KeptWindow,
    PublishedWindow,
    WindowFetcher,
    WindowOutcome,
    window_place,
)

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_FACTS_HOLD = timedelta(hours=24)
_HOLD_S = 120.0
_LAND_WITHIN_S = 120.0
_LAST_LAND_WITHIN_S = 5.0
_WINDOWS_BEHIND = 3
"""So many windows may be on their way from the log to the store while the next one is read."""
_LOOK_EVERY_S = 0.1
_LONGEST_WAIT_S = 1_800.0
"""A platform that asks for a longer wait is given up for this job; the schedule comes back."""


class SpeakFor(Protocol):
    """Credentials of an account (``AccountService.access``)."""

    def __call__(self, account: PlatformAccount, /) -> AccountAccess: ...


@dataclass(frozen=True, slots=True)
class AccountPlan:
    """What is fetched of one account."""

    platform: Platform
    account_id: str
    account: PlatformAccount | None
    """None: the organization has not connected it."""
    natives: Mapping[str, tuple[str, ...]]
    """Claimed native campaigns by level."""


@dataclass(slots=True)
class AccountOutcome:
    """What became of one account's fetch."""

    account_id: str
    windows: int = 0
    rows: int = 0
    slices_changed: int = 0
    error: JobError | None = None

    def add(self, outcome: WindowOutcome | None) -> None:
        """A window is complete, and its records have landed; None: somebody else had fetched it."""
        self.windows += 1
        if outcome is not None:
            self.rows += outcome.rows
            self.slices_changed += outcome.changed

    def shown(self) -> dict[str, object]:
        error = None if self.error is None else {"code": self.error.code, "message": self.error.message}
        return {
            "account_id": self.account_id,
            "windows": self.windows,
            "rows": self.rows,
            "slices_changed": self.slices_changed,
            "error": error,
        }


class AccountFetcher:
    """May be used by several threads, each with a job's context of its own or a shared one."""

    def __init__(
        self,
        metadata: AccountRecords,
        reports: ReportStore,
        event_log: EventLog,
        positions: Positions,
        platforms: Mapping[Platform, AdPlatform],
        speak_for: SpeakFor,
        clock: Clock,
        *,
        topic: str,
        lookback_days: Mapping[str, int],
        watch: PlatformWatch | None = None,
    ) -> None:
        self._metadata = metadata
        self._reports = reports
        self._event_log = event_log
        self._positions = positions
        self._platforms = platforms
        self._speak_for = speak_for
        self._clock = clock
        self._topic = topic
        self._lookback_days = lookback_days
        self._watch = watch or Unwatched()

    def fetch(
        self,
        plan: AccountPlan,
        account: PlatformAccount,
        request: FetchRequest,
        context: JobContext,
        outcome: AccountOutcome,
        planned: Callable[[int], None],
    ) -> None:
        """Fetch every window, and count it in ``outcome``; ``planned`` is told how many there are.

        One fetch of an account at a time: what it compares with must have landed. Raises ``PlatformError``, what ends
        the job, and ``Unavailable``.
        """
        owner, behind = f"job {context.job.id}", deque[PublishedWindow]()
        with self._watched(plan.platform):
            self._hold(account, owner, context)
            try:
                of = self._patiently(lambda: self._prepared(account), context)
                windows = self._windows(of, plan, request)
                planned(len(windows))
                for window in windows:
                    self._hold(account, owner, context)
                    published = self._window(of, window, context)
                    if published is None:
                        outcome.add(None)
                    else:
                        behind.append(published)
                    self._settle(behind, outcome, context, most=_WINDOWS_BEHIND)
                self._settle(behind, outcome, context)
            except PlatformError:  # what had been fetched before it stays
                self._settle(behind, outcome, context)
                raise
            except JobInterrupted:  # the job goes on elsewhere, and produces again what it has no word of
                behind.clear()
                raise
            finally:
                self._let_go(account, owner, behind)

    def _settle(
        self, behind: deque[PublishedWindow], outcome: AccountOutcome, context: JobContext, *, most: int = 0
    ) -> None:
        """Complete the windows that have landed, and wait for the oldest while there are more than ``most``."""
        while behind:
            if len(behind) > most:
                self._until_landed(behind[0].produced, context)
            elif not self._positions.reached(behind[0].produced):
                return
            landed = behind.popleft()
            landed.complete()
            outcome.add(landed.outcome)

    def _let_go(self, account: PlatformAccount, owner: str, behind: Sequence[PublishedWindow]) -> None:
        """Let others fetch the account; what was broken off has a moment to land, for they compare with what has."""
        deadline_s = self._clock.monotonic_s() + _LAST_LAND_WITHIN_S
        produced = [position for one in behind for position in one.produced]
        try:
            while produced and self._clock.monotonic_s() < deadline_s and not self._positions.reached(produced):
                self._clock.sleep(_LOOK_EVERY_S)
        finally:
            self._metadata.hold_account(account.id, owner, 0.0)

    @contextmanager
    def _watched(self, platform: Platform) -> Iterator[None]:
        """Tell the watch how the fetch in the ``with`` ended."""
        try:
            yield
        except Unavailable:  # goes on from here in a moment
            raise
        except CampaignctlError as error:
            self._watch.account_fetched(platform.value, error.code)
            raise
        self._watch.account_fetched(platform.value, "ok")

    @contextmanager
    def alone_with(self, account: PlatformAccount, context: JobContext) -> Iterator[FetchedAccount]:
        """The account for the length of a ``with``, while nobody fetches it: without credentials, to ask nothing."""
        owner = f"job {context.job.id}"
        self._hold(account, owner, context)
        try:
            access = AccountAccess(
                account.platform.value,
                account.account_id,
                {},
                conversion_actions=own_actions(self._metadata, account.id),
                organization_id=account.organization_id,
            )
            yield FetchedAccount(account, access, _reported(account), self._platforms[account.platform])
        finally:
            self._metadata.hold_account(account.id, owner, 0.0)

    def derive(
        self, of: FetchedAccount, account: PlatformAccount, window: KeptWindow, context: JobContext
    ) -> WindowOutcome:
        """Make a window's slices again from its kept answers (``WindowFetcher.derive``)."""
        self._hold(account, f"job {context.job.id}", context)
        return self._fetcher(context).derive(of, window)

    def _window(self, of: FetchedAccount, window: ReportRequest, context: JobContext) -> PublishedWindow | None:
        if self._is_fetched(of, window, context.job.created_at):
            return None
        fetcher = self._fetcher(context)
        return self._patiently(lambda: fetcher.fetch(of, window, context.job.id), context)

    def _fetcher(self, context: JobContext) -> WindowFetcher:
        return WindowFetcher(
            self._metadata,
            self._reports,
            self._event_log,
            self._clock,
            topic=self._topic,
            landed=lambda produced: self._until_landed(produced, context),
            checkpoint=context.checkpoint,
            watch=self._watch,
        )

    def _hold(self, account: PlatformAccount, owner: str, context: JobContext) -> None:
        while not self._metadata.hold_account(account.id, owner, _HOLD_S):
            context.pause(1.0)

    def _prepared(self, account: PlatformAccount) -> FetchedAccount:
        """The account with credentials, and with what the platform says of it: asked once a day."""
        client, access = self._platforms[account.platform], self._speak_for(account)
        asked_at = account.verified_at
        if asked_at is None or self._clock.now() - asked_at > _FACTS_HOLD or not account.currency:
            account = self._with_facts(account, client, access)
        if not account.currency:
            raise PlatformAnswerInvalid(
                f"{account.platform.value} does not tell the currency of account {account.account_id}",
                platform=account.platform.value,
                account_id=account.account_id,
                hint=f"set it: campaignctl accounts update {account.id} --currency USD",
            )
        return FetchedAccount(account, access, _reported(account), client)

    def _with_facts(self, account: PlatformAccount, client: AdPlatform, access: AccountAccess) -> PlatformAccount:
        try:
            facts = client.account_facts(access)
        except (PlatformRejected, PlatformAnswerInvalid):
            if account.currency:  # its owner has said what it is
                return account
            raise
        self._metadata.keep_facts(account.id, ToldFacts(facts.name, facts.timezone, facts.currency, facts.expires_at))
        zone, currency = facts.timezone or account.timezone, facts.currency or account.currency
        return replace(account, timezone=zone, currency=currency)

    def _windows(self, of: FetchedAccount, plan: AccountPlan, request: FetchRequest) -> list[ReportRequest]:
        """The windows of totals, then those by country, of every level that is claimed."""
        today = self._clock.now().astimezone(ZoneInfo(of.reported.timezone or "UTC")).date()
        first, last = days_asked(request.first, request.last, today, self._lookback_days[plan.platform.value])
        found: list[ReportRequest] = []
        for breakdown in Breakdown:
            for level, natives in plan.natives.items():
                # LinkedIn answers countries of one campaign at a time: only those that somebody claims are asked for.
                singly = plan.platform is Platform.LINKEDIN and breakdown is Breakdown.COUNTRY
                if singly and not natives:
                    continue
                wanted = ReportRequest(level, breakdown, first, last, natives if singly else None)
                found += of.client.windows(of.access, wanted)
        return found

    def _is_fetched(self, of: FetchedAccount, window: ReportRequest, since: datetime) -> bool:
        return self._metadata.completed_since(window_place(of.account.id, window), since)

    def _until_landed(self, produced: Sequence[Position], context: JobContext) -> None:
        deadline_s = self._clock.monotonic_s() + _LAND_WITHIN_S
        while not self._positions.reached(produced):
            if self._clock.monotonic_s() > deadline_s:
                raise Unavailable(
                    "what was fetched is stored safely in the event log, but no worker has applied it",
                    service="event_log",
                    hint="see campaignctl lag: is a worker running?",
                )
            context.pause(_LOOK_EVERY_S)

    def _patiently(self, act: Callable[[], _T], context: JobContext) -> _T:
        """Wait as long as a platform asks for, with no call before that; give up when it asks for too much."""
        waited_s = 0.0
        while True:
            try:
                return act()
            except PlatformThrottled as error:
                if waited_s + error.retry_after_s > _LONGEST_WAIT_S:
                    raise
                waited_s += error.retry_after_s
                logger.info("%s: waits %.0f s: %s", error.platform, error.retry_after_s, error.message)
                context.pause(error.retry_after_s)
                self._watch.waited(error.platform, WaitReason.QUOTA, error.retry_after_s)


def _reported(account: PlatformAccount) -> ReportedAccount:
    zone = "UTC" if account.platform is Platform.LINKEDIN else account.timezone
    return ReportedAccount(account.organization_id, account.platform, account.key, account.currency, zone)
