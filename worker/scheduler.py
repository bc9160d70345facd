"""The schedule of fetches: every connected account's newest days often, its whole look-back window daily.

Any number of workers run it: an account that is due is claimed in the metadata store, so one of them has it. When an
account is due follows from when it was connected, so accounts spread over the day by themselves.
"""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from campaignctl.domain.accounts import PlatformAccount
from campaignctl.errors import CampaignctlError
from campaignctl.ports.accounts import AccountRecords, AccountWatch
from campaignctl.ports.clock import Clock
from campaignctl.services.fetching import FetchService

logger = logging.getLogger("campaignctl.worker.scheduler")

_LOOK_EVERY_S = 30.0
_CLAIMED_AT_ONCE = 50
_WHOLE_EVERY = timedelta(hours=24)
_RECENT_DAYS = 1
_FORGET_EVERY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How often, and how far back."""

    recent_every: timedelta
    """Between two fetches of an account's newest days; zero fetches nothing by itself."""
    lookback_days: Mapping[str, int]
    keep_pages: timedelta
    """How long the platforms' answers are kept."""


class FetchScheduler:
    """A thread that asks for the fetches that are due, until it is stopped."""

    def __init__(
        self,
        metadata: AccountRecords,
        fetching: FetchService,
        schedule: Schedule,
        clock: Clock,
        *,
        saw: Callable[[Sequence[AccountWatch]], None] = lambda _: None,
    ) -> None:
        """``saw`` is told at every look how all accounts are doing."""
        self._metadata = metadata
        self._saw = saw
        self._fetching = fetching
        self._schedule = schedule
        self._clock = clock
        self._forget_at = clock.now()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="fetch schedule", daemon=True)

    def start(self) -> "FetchScheduler":
        self._thread.start()
        return self

    def ask_to_stop(self) -> None:
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self.turn()
            except CampaignctlError as error:
                logger.warning("cannot look after the schedule of fetches: %s", error.message)
            except Exception:  # a fault of the program must not end the schedule for good
                logger.exception("unexpected error in the schedule of fetches")
            self._stopping.wait(_LOOK_EVERY_S)

    def turn(self) -> int:
        """Ask for what is due now; answers how many fetches were asked for."""
        now, asked = self._clock.now(), 0
        self._saw(self._metadata.watched_accounts())
        if now >= self._forget_at:
            self._forget_at = now + _FORGET_EVERY
            self._metadata.forget_pages_before(now - self._schedule.keep_pages)
        if not self._schedule.recent_every:
            return 0
        for kind, every in (("whole", _WHOLE_EVERY), ("recent", self._schedule.recent_every)):
            for account_id in self._metadata.claim_due_accounts(kind, now, now + every, _CLAIMED_AT_ONCE):
                asked += self._ask(account_id, kind, now)
        return asked

    def _ask(self, account_id: int, kind: str, now: datetime) -> bool:
        account = self._metadata.account(account_id)
        if account is None or not self._is_wanted(account):
            return False
        last = now.astimezone(ZoneInfo(account.timezone or "UTC")).date()
        days = self._schedule.lookback_days[account.platform.value] if kind == "whole" else _RECENT_DAYS
        job = self._fetching.submit_account(account, last - timedelta(days=days), last)
        logger.info("account %d is due (%s): job %d", account_id, kind, job.id)
        return True

    def _is_wanted(self, account: PlatformAccount) -> bool:
        """An account that no campaign claims anything of is fetched on request only."""
        return bool(self._metadata.claimed_natives(account.organization_id, account.platform.value, account.key))
