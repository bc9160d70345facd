"""TikTok's Business API: integrated reports, advertisers, campaigns. Every answer has status 200."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, TypeVar

from starlette.routing import Route

from campaignctl.sandbox.faults import FACTS, LIST, REPORT
from campaignctl.sandbox.natives import Native, SandboxAccount, natives_in
from campaignctl.sandbox.platforms import tiktok_answers as answers
from campaignctl.sandbox.platforms.desk import Answer, Around, Call, PlatformServer, accounts_of
from campaignctl.sandbox.platforms.quotas import Quota
from campaignctl.sandbox.platforms.rows import rows_of

_T = TypeVar("_T")
_MOST_ROWS = 1_000
_DEFAULT_ROWS = 10
_MOST_DAYS = 30
_TOTALS = ("campaign_id", "stat_time_day")
_COUNTRIES = ("campaign_id", "stat_time_day", "country_code")
_CONFLICT = "Conflict occurs. The input params including metrics and dimensions have no relation."


class TikTokServer(PlatformServer):
    name = "tiktok"

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        self._tokens = {one.credentials()["access_token"]: one for one in accounts_of(self.name)}
        self._quota = Quota(self.clock, self.limits.tiktok_queries_a_second, 1.0)

    def routes(self) -> Sequence[Route]:
        base = "/open_api/{version}"
        return [
            self.route(f"{base}/report/integrated/get/", self._report, REPORT),
            self.route(f"{base}/advertiser/info/", self._advertisers, FACTS),
            self.route(f"{base}/campaign/get/", self._campaigns, LIST),
        ]

    def refusal(self, call: Call) -> Answer | None:
        token = call.headers.get("access-token", "")
        if token not in self._tokens:
            return answers.error(40105, "Access token is incorrect or has been revoked.")
        if self._quota.use(token):
            return answers.error(40100, "App reaches the QPS limit.")
        return None

    def struck(self, fault: str, call: Call) -> Answer | None:
        return answers.of_fault(fault)

    def unhit(self, call: Call) -> Sequence[str]:
        return () if call.params.get("page", "1") != "1" else ("tiktok-drift",)

    # ---- handlers

    def _advertisers(self, call: Call) -> Answer:
        asked, mine = _parsed(call.params.get("advertiser_ids")), self._account(call)
        if not isinstance(asked, list):
            return answers.error(40002, "advertiser_ids: must be a JSON array of ids")
        facts = {
            "advertiser_id": mine.account_id,
            "name": mine.name,
            "currency": mine.currency,
            "timezone": mine.timezone,
        }
        return self._listed([facts] if mine.account_id in asked else [])

    def _campaigns(self, call: Call) -> Answer:
        account, params = self._account(call), call.params
        if params.get("advertiser_id") != account.account_id:
            return answers.no_permission()
        paging = _paging(params)
        if paging is None:
            return answers.error(40002, f"page_size: must be from 1 to {_MOST_ROWS}")
        wanted = (_parsed(params.get("filtering")) or {}).get("secondary_status")
        found = [one for one in natives_in(account) if one.status == "ACTIVE" or wanted == "CAMPAIGN_STATUS_ALL"]
        data = [
            {
                "campaign_id": one.native_id,
                "campaign_name": one.name,
                "secondary_status": {"ACTIVE": "CAMPAIGN_STATUS_ENABLE"}.get(one.status, "CAMPAIGN_STATUS_DELETE"),
            }
            for one in found
        ]
        return self._page(call, data, *paging)

    def _report(self, call: Call) -> Answer:
        account, params = self._account(call), call.params
        if params.get("advertiser_id") != account.account_id:
            return answers.no_permission()
        wrong = _wrong(params)
        paging, span = _paging(params), _span(params)
        if wrong or paging is None or span is None:
            return answers.error(40002, wrong or "page_size, start_date or end_date: Invalid")
        by_country = params["report_type"] == "AUDIENCE"
        found = rows_of(self.reported, _wanted(account, params), *span, self.clock.now(), by_country=by_country)
        metrics = _parsed(params.get("metrics")) or []
        dashes, numbers = self.faults.has("tiktok-dashes"), self.faults.has("tiktok-spelling")
        return self._page(
            call, found, *paging, shown=lambda one: answers.row(one, metrics, dashes=dashes, numbers=numbers)
        )

    def _page(
        self, call: Call, data: Sequence[_T], page: int, size: int, shown: Callable[[_T], object] = lambda one: one
    ) -> Answer:
        size = min(size, self.limits.page_rows or _MOST_ROWS)
        total = len(data)
        pages = -(-total // size)
        told = total + (call.fault == "tiktok-drift")
        info = {"page": page, "page_size": size, "total_number": told, "total_page": pages}
        of_page = [shown(one) for one in data[(page - 1) * size : page * size]]
        if pages <= 1 and self.faults.has("tiktok-no-page-info"):
            return self._listed(of_page)
        return self._listed(of_page, info)

    def _listed(self, found: Sequence[object], info: Mapping[str, int] | None = None) -> Answer:
        data: dict[str, object] = {"list": found} | ({} if info is None else {"page_info": info})
        return answers.good(data, "ok" if self.faults.has("tiktok-spelling") else "OK")

    def _account(self, call: Call) -> SandboxAccount:
        return self._tokens[call.headers["access-token"]]


def _wrong(params: Mapping[str, str]) -> str:
    """What is invalid about a report's parameters; "" for nothing."""
    dimensions, kind = _parsed(params.get("dimensions")), params.get("report_type")
    if not isinstance(dimensions, list):
        return "dimensions: must be a JSON array"
    if kind == "AUDIENCE" and "stat_time_hour" in dimensions:
        return _CONFLICT
    known = {"BASIC": _TOTALS, "AUDIENCE": _COUNTRIES}.get(kind or "")
    if known is None or sorted(dimensions) != sorted(known):
        return f"{_CONFLICT} This sandbox has BASIC by {', '.join(_TOTALS)}, AUDIENCE by {', '.join(_COUNTRIES)}."
    if params.get("data_level") != "AUCTION_CAMPAIGN":
        return "data_level: this sandbox has AUCTION_CAMPAIGN"
    span = _span(params)
    if span is not None and (span[1] - span[0]).days >= _MOST_DAYS:
        return f"max time span is {_MOST_DAYS} days when use stat_time_day"
    return ""


def _wanted(account: SandboxAccount, params: Mapping[str, str]) -> list[Native]:
    """Without the filter of statuses those that were deleted are left out."""
    found = natives_in(account)
    is_all = False
    for one in _parsed(params.get("filtering")) or []:
        values = _parsed(one.get("filter_value"))
        if one.get("field_name") == "campaign_status" and values == ["STATUS_ALL"]:
            is_all = True
        if one.get("field_name") == "campaign_ids" and isinstance(values, list):
            found = [native for native in found if native.native_id in values]
    return [one for one in found if is_all or one.status == "ACTIVE"]


def _paging(params: Mapping[str, str]) -> tuple[int, int] | None:
    page, size = params.get("page", "1"), params.get("page_size", str(_DEFAULT_ROWS))
    if not (page.isdecimal() and size.isdecimal() and int(page) >= 1 and 1 <= int(size) <= _MOST_ROWS):
        return None
    return int(page), int(size)


def _span(params: Mapping[str, str]) -> tuple[date, date] | None:
    try:
        first, last = date.fromisoformat(params["start_date"]), date.fromisoformat(params["end_date"])
    except (KeyError, ValueError):
        return None
    return (first, last) if first <= last else None


def _parsed(text: str | None) -> Any:
    try:
        return json.loads(text or "null")
    except ValueError:
        return None
