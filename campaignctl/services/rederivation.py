"""Applying a definition of conversions to what was fetched already: from the kept answers, without asking the platform.

Every window that is complete keeps its answers for ``fetch.keep_answers_days``. A day's figures stand as the newest
window that covers it has told them, so each window derives the days of which it is the newest, oldest window first, and
what is different is produced as a new version, with the instant of the fetch it comes from: the later record stands.
A job that begins again compares with what has landed by then, and finds nothing to add.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import date, timedelta

from campaignctl.domain.jobs import JobStatus, Progress
from campaignctl.errors import NotFound
from campaignctl.ports.accounts import AccountRecords, FetchWindow, KeptPage
from campaignctl.services.erasure_wait import AppliedWait
from campaignctl.services.fetch_accounts import AccountFetcher, AccountOutcome
from campaignctl.services.jobs import JobContext, JobResult
from campaignctl.services.report_windows import KeptWindow

_ONE_DAY = timedelta(days=1)


class RederiveHandler:
    """Does such jobs (``JobHandler``). One account at a time, alone with it, as a fetch is."""

    def __init__(self, metadata: AccountRecords, fetcher: AccountFetcher, applied: AppliedWait) -> None:
        self._metadata = metadata
        self._fetcher = fetcher
        self._applied = applied

    def run(self, context: JobContext, /) -> JobResult:
        account = self._metadata.account(int(str(context.job.params["account"])))
        if account is None:
            raise NotFound(f"there is no account {context.job.params['account']} any more")
        outcome = AccountOutcome(account.account_id)
        with self._fetcher.alone_with(account, context) as of:
            # An earlier attempt may have produced what has not landed yet; what is compared must be all there is.
            self._applied.catch_up(context)
            windows = planned(self._kept(account.id, context.checkpoint))
            for done, window in enumerate(windows):
                context.checkpoint(Progress(done, len(windows), "windows"))
                outcome.add(self._fetcher.derive(of, account, window, context))
            definition = of.client.definition(of.access)
        days = [day for window in windows for day in window.days]
        receipt = {
            "account": account.id,
            "definition": definition,
            "first_day": min(days).isoformat() if days else None,
            "last_day": max(days).isoformat() if days else None,
            "windows": outcome.windows,
            "rows": outcome.rows,
            "slices_changed": outcome.slices_changed,
        }
        context.checkpoint(Progress(len(windows), len(windows), "windows"))
        return JobResult(JobStatus.SUCCEEDED, receipt)

    def _kept(
        self, account_id: int, checkpoint: Callable[[], None]
    ) -> Sequence[tuple[FetchWindow, int, list[KeptPage]]]:
        found = []
        for place, job_id in self._metadata.completed_windows(account_id):
            checkpoint()
            pages = self._metadata.pages_of(place, job_id)
            if pages and pages[-1].resume is None:
                found.append((place, job_id, pages))
        return found


def planned(windows: Sequence[tuple[FetchWindow, int, list[KeptPage]]]) -> list[KeptWindow]:
    """The windows, oldest answers first, each with the days of which no other of its kind has newer answers.

    Those that have none are left out.
    """
    kinds: dict[tuple[str, str, str], dict[date, int]] = defaultdict(dict)
    ordered = sorted(windows, key=lambda one: (one[2][-1].fetched_at, one[1]))
    for number, (place, _, _) in enumerate(ordered):
        for day in _days(place):
            kinds[place.level, place.breakdown.value, place.scope][day] = number
    return [
        KeptWindow(place, job_id, tuple(pages), frozenset(days))
        for number, (place, job_id, pages) in enumerate(ordered)
        if (
            days := [
                day
                for day, newest in kinds[place.level, place.breakdown.value, place.scope].items()
                if newest == number
            ]
        )
    ]


def _days(place: FetchWindow) -> list[date]:
    first, last = date.fromisoformat(place.first_day), date.fromisoformat(place.last_day)
    return [first + n * _ONE_DAY for n in range((last - first).days + 1)]
