"""Meta's Marketing API: accounts, campaigns, insights at once and by report runs."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import urlencode

from starlette.routing import Route

from campaignctl.sandbox.faults import FACTS, LIST, POLL, REPORT, START
from campaignctl.sandbox.natives import Native, SandboxAccount, natives_in
from campaignctl.sandbox.platforms import meta_errors as errors
from campaignctl.sandbox.platforms.desk import Answer, Around, Call, PlatformServer, accounts_of
from campaignctl.sandbox.platforms.meta_rows import insight
from campaignctl.sandbox.platforms.quotas import Quota
from campaignctl.sandbox.platforms.rows import cursor, read_cursor, rows_of

_T = TypeVar("_T")
_HISTORY_DAYS = 1_127
"""37 months."""
_DEFAULT_ROWS, _MOST_ROWS = 25, 500
_SHORT_ROWS = 5
_HEAVY_ROWS, _MOST_DAYS = 100, 3
_QUOTA_S = 300.0
_ALL_STATUSES = {"ARCHIVED", "DELETED"}
_ONLY = {"level": ("campaign",), "time_increment": ("1",)}
_BREAKDOWNS: tuple[list[str], ...] = ([], ["country"])


@dataclass(slots=True)
class _Run:
    """A report run. Its rows are those of the moment at which it was started."""

    run_id: str
    account: SandboxAccount
    params: Mapping[str, str]
    at: datetime
    started_s: float
    looks: int = 0
    ended: str = ""
    """Set where it did not complete."""


class MetaServer(PlatformServer):
    name = "meta"

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        self._tokens = {one.credentials()["access_token"]: one for one in accounts_of(self.name)}
        self._quota = Quota(self.clock, self.limits.meta_points, _QUOTA_S)
        self._runs: dict[str, _Run] = {}
        self._lock = Lock()

    def routes(self) -> Sequence[Route]:
        return [
            self.route("/{version}/act_{account}/insights", self._insights, REPORT),
            self.route("/{version}/act_{account}/insights", self._start_run, START, "POST"),
            self.route("/{version}/act_{account}/campaigns", self._campaigns, LIST),
            self.route("/{version}/act_{account}", self._account, FACTS),
            self.route("/{version}/{run}/insights", self._run_insights, REPORT),
            self.route("/{version}/{run}", self._run_status, POLL),
        ]

    def refusal(self, call: Call) -> Answer | None:
        if self._signed_by(call) is None:
            return errors.token(467)
        points = 3 if call.method == "POST" else 1
        if self._quota.use(self._app(call), points):
            return errors.business_limit(self._signed_by(call), minutes=1)
        return None

    def struck(self, fault: str, call: Call) -> Answer | None:
        if fault in ("meta-run-failed", "meta-run-skipped"):
            run = self._run(call)
            if run is not None:
                run.ended = "Job Failed" if fault == "meta-run-failed" else "Job Skipped"
            return None
        return errors.of_fault(fault, self._signed_by(call))

    def unhit(self, call: Call) -> Sequence[str]:
        return () if call.kind != REPORT or "run" in call.place else ("meta-not-materialised",)

    def finished(self, call: Call, answer: Answer) -> Answer:
        used = 97 if call.fault == "meta-usage" else self._quota.percent(self._app(call))
        account = self._signed_by(call)
        headers = errors.usage(account, used) if account is not None else {}
        return Answer(answer.payload, answer.status, {**headers, **answer.headers}, answer.is_cut, answer.is_endless)

    # ---- handlers

    def _account(self, call: Call) -> Answer:
        account = self._asked_account(call)
        if account is None:
            return errors.no_access(call.place["account"])
        facts = {
            "account_id": account.account_id,
            "name": account.name,
            "currency": account.currency,
            "timezone_name": account.timezone,
        }
        wanted = call.params.get("fields", "account_id").split(",")
        return Answer({name: facts[name] for name in wanted if name in facts} | {"id": f"act_{account.account_id}"})

    def _campaigns(self, call: Call) -> Answer:
        account, params = self._asked_account(call), call.params
        if account is None:
            return errors.no_access(call.place["account"])
        statuses = _parsed(params.get("effective_status", "null"))
        wanted = [one for one in natives_in(account) if one.status in (statuses or ["ACTIVE", "PAUSED"])]
        data = [{"id": one.native_id, "name": one.name, "effective_status": one.status} for one in wanted]
        return self._page(call, data, self.clock.now())

    def _insights(self, call: Call) -> Answer:
        account = self._asked_account(call)
        if account is None:
            return errors.no_access(call.place["account"])
        at = self._moment(call)
        return errors.of_place() if at is None else self._report(call, account, call.params, at)

    def _start_run(self, call: Call) -> Answer:
        account = self._asked_account(call)
        if account is None:
            return errors.no_access(call.place["account"])
        refused = self._refused(account, call.params, self.clock.now())
        if refused is not None:
            return refused
        with self._lock:
            run_id = str(6_100_000_000_000_000 + len(self._runs))
            now, now_s = self.clock.now(), self.clock.real_s()
            self._runs[run_id] = _Run(run_id, account, call.params, now, now_s)
        return Answer({"report_run_id": run_id})

    def _run_status(self, call: Call) -> Answer:
        run = self._run(call)
        if run is None:
            return errors.no_access(call.place["run"])
        run.looks += 1
        status = run.ended or self._status(run)
        percent = {"Job Completed": 100, "Job Running": 50}.get(status, 0)
        told: dict[str, object] = {
            "id": run.run_id,
            "account_id": run.account.account_id,
            "async_status": status,
            "async_percent_completion": percent,
        }
        if status == "Job Failed":
            told |= {"error_code": 2, "error_message": "Service temporarily unavailable", "error_subcode": 1504044}
        return Answer(told)

    def _status(self, run: _Run) -> str:
        """Three times the latency it takes; with slow runs, three looks."""
        steps = ("Job Not Started", "Job Running")
        if self.faults.has("meta-slow-runs"):
            return steps[run.looks - 1] if run.looks <= len(steps) else "Job Completed"
        age_s, latency_s = self.clock.real_s() - run.started_s, self.around.latency_s
        return "Job Completed" if age_s >= 3 * latency_s else steps[age_s >= latency_s]

    def _run_insights(self, call: Call) -> Answer:
        run = self._run(call)
        if run is None:
            return errors.no_access(call.place["run"])
        return self._report(call, run.account, {**run.params, **call.params}, run.at)

    # ---- a report

    def _report(self, call: Call, account: SandboxAccount, params: Mapping[str, str], at: datetime) -> Answer:
        refused = self._refused(account, params, at)
        if refused is not None:
            return refused
        first, last = _range(params) or (date.min, date.min)
        by_country = _parsed(params.get("breakdowns", "[]")) == ["country"]
        found = rows_of(self.reported, _natives(account, params), first, last, at, by_country=by_country)
        fields = params.get("fields", "impressions,spend").split(",")
        return self._page(call, found, at, shown=lambda row: insight(row, fields))

    def _refused(self, account: SandboxAccount, params: Mapping[str, str], at: datetime) -> Answer | None:
        """Why a report cannot be made."""
        for name, known in _ONLY.items():
            if params.get(name) not in known:
                return errors.invalid(f"(#100) {name} must be {known[0]} in this sandbox")
        if _parsed(params.get("breakdowns", "[]")) not in _BREAKDOWNS:
            return errors.invalid("(#100) Current combination of data breakdown columns is invalid")
        span = _range(params)
        if span is None:
            return errors.invalid("(#100) Must be a valid time_range")
        first, last = span
        if (at.date() - first).days > _HISTORY_DAYS:
            return errors.invalid(
                "(#3018) The start date of the time range cannot be beyond 37 months from the current date", 3018
            )
        if self.faults.has("meta-data-limit") and (last - first).days >= _MOST_DAYS:
            return errors.data_limit()
        if self.faults.has("meta-reduce-data") and _limit(params) > _HEAVY_ROWS:
            return errors.reduce_data()
        return None

    def _page(
        self, call: Call, data: Sequence[_T], at: datetime, shown: Callable[[_T], object] = lambda one: one
    ) -> Answer:
        """A page of a list, with its place in the cursor and in the address of the next one."""
        place = read_cursor(call.params.get("after", ""))
        start = place[0] if place is not None else 0
        size = min(_limit(call.params), self.limits.page_rows or _MOST_ROWS)
        if self.faults.has("meta-short-pages") and call.kind == REPORT:
            size = min(size, _SHORT_ROWS)
            if place is None and data:  # an empty page that is not the last one
                return Answer({"data": [], "paging": self._paging(call, 0, at)})
        end = start + size
        page = [shown(one) for one in data[start:end]]
        if not page:
            return Answer({"data": []})
        if end >= len(data):
            return Answer(
                {"data": page, "paging": {"cursors": {"before": cursor(start, at), "after": cursor(end, at)}}}
            )
        if call.fault == "duplicate-page":
            end = max(start + 1, end - 2)
        if self.faults.has("repeated-place") and call.kind == REPORT:
            end = start
        return Answer({"data": page, "paging": self._paging(call, end, at)})

    def _paging(self, call: Call, end: int, at: datetime) -> dict[str, object]:
        after = cursor(end, at)
        params = {**call.params, "access_token": self._token(call), "after": after}
        return {"cursors": {"before": cursor(0, at), "after": after}, "next": f"{call.url}?{urlencode(params)}"}

    # ---- who asks

    def _moment(self, call: Call) -> datetime | None:
        """The moment of which a list is; None: the place is none."""
        after = call.params.get("after")
        if not after:
            return self.clock.now()
        place = read_cursor(after)
        return place[1] if place is not None else None

    def _token(self, call: Call) -> str:
        return call.bearer or call.params.get("access_token", "")

    def _signed_by(self, call: Call) -> SandboxAccount | None:
        return self._tokens.get(self._token(call))

    def _app(self, call: Call) -> str:
        return self._token(call)

    def _asked_account(self, call: Call) -> SandboxAccount | None:
        mine = self._signed_by(call)
        return mine if mine is not None and mine.account_id == call.place["account"] else None

    def _run(self, call: Call) -> _Run | None:
        with self._lock:
            run = self._runs.get(call.place.get("run", ""))
        return run if run is not None and run.account == self._signed_by(call) else None


def _natives(account: SandboxAccount, params: Mapping[str, str]) -> list[Native]:
    """Without the filter of statuses those that are archived are left out."""
    wanted = natives_in(account)
    statuses: set[str] = set()
    for one in _parsed(params.get("filtering", "[]")) or []:
        if one.get("field") == "ad.effective_status":
            statuses |= set(one["value"])
        if one.get("field") == "campaign.id":
            wanted = [native for native in wanted if native.native_id in one["value"]]
    return [one for one in wanted if one.status not in _ALL_STATUSES or one.status in statuses]


def _range(params: Mapping[str, str]) -> tuple[date, date] | None:
    span = _parsed(params.get("time_range", "null"))
    try:
        first, last = date.fromisoformat(span["since"]), date.fromisoformat(span["until"])
    except (KeyError, TypeError, ValueError):
        return None
    return (first, last) if first <= last else None


def _limit(params: Mapping[str, str]) -> int:
    text = params.get("limit", "")
    return max(1, int(text)) if text.isdecimal() else _DEFAULT_ROWS


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
