"""The Google Ads API: GAQL by search and searchStream, and the endpoint that renews access tokens."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from starlette.routing import Route

from campaignctl.sandbox.deliveries import MICROS
from campaignctl.sandbox.faults import FACTS, LIST, PLACES, REPORT, TOKEN
from campaignctl.sandbox.natives import SandboxAccount, natives_in
from campaignctl.sandbox.platforms import google_errors as errors
from campaignctl.sandbox.platforms.desk import Answer, Around, Call, PlatformServer
from campaignctl.sandbox.platforms.gaql import BadQuery, Query, camel, nested, parse
from campaignctl.sandbox.platforms.grants import Grants
from campaignctl.sandbox.platforms.quotas import Quota
from campaignctl.sandbox.platforms.rows import Row, count, cursor, read_cursor, rows_of
from campaignctl.sandbox.reported import UNKNOWN

_DEVELOPER_TOKEN = "sandbox-developer-token"  # noqa: S105  nothing real has it
_PAGE_ROWS = 10_000
_HISTORY_DAYS = 1_127
"""37 months."""
_MOST_DAYS = 3
_DAY_S = 86_400.0
_OLDEST_VERSION = 22
_NUMERIC = {"US": 840, "CA": 124, "IN": 356, "GB": 826, "DE": 276, "FR": 250, "JP": 392, "AU": 36, "BR": 76, "NZ": 554}
_NOWHERE = 9_999_990
"""A criterion that no table knows."""
_PLACES = {1_023_191: "US", 1_007_751: "IN", 1_003_854: "DE"}
"""Places that are no country, and where they are."""

_METRICS = tuple(
    f"metrics.{name}"
    for name in (
        "impressions",
        "clicks",
        "cost_micros",
        "conversions",
        "conversions_value",
        "all_conversions",
        "all_conversions_value",
    )
)
_CUSTOMER = ("customer.id", "customer.descriptive_name", "customer.currency_code", "customer.time_zone")
_CAMPAIGN = ("campaign.id", "campaign.name", "campaign.status")
_VIEW = ("geographic_view.country_criterion_id", "geographic_view.location_type")
_KNOWN = {
    "customer": _CUSTOMER,
    "campaign": (*_CUSTOMER, *_CAMPAIGN, "segments.date", *_METRICS),
    "geographic_view": (*_CUSTOMER, *_CAMPAIGN, *_VIEW, "segments.date", *_METRICS),
    "geo_target_constant": ("geo_target_constant.id", "geo_target_constant.country_code"),
}


class GoogleServer(PlatformServer):
    name = "google"

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        self._grants = Grants(self.name, self.clock)
        self._quota = Quota(self.clock, self.limits.google_operations_a_day, _DAY_S)

    def routes(self) -> Sequence[Route]:
        return [
            self.route("/token", self._token, TOKEN, "POST"),
            self.route("/{version}/customers/{customer}/googleAds:search", self._search, REPORT, "POST"),
            self.route("/{version}/customers/{customer}/googleAds:searchStream", self._stream, REPORT, "POST"),
        ]

    def kind(self, call: Call) -> str:
        """By what the query asks of."""
        text = str(_body(call).get("query", "")).lower()
        for resource, kind in (("geo_target_constant", PLACES), ("customer", FACTS)):
            if f"from {resource}" in text:
                return kind
        return call.kind if "segments.date" in text or call.kind == TOKEN else LIST

    def refusal(self, call: Call) -> Answer | None:
        if call.kind == TOKEN:
            return None
        version = call.place["version"]
        if not (version[:1] == "v" and version[1:].isdecimal() and int(version[1:]) >= _OLDEST_VERSION):
            return self._wrapped(call, errors.version(version))
        if call.headers.get("developer-token") != _DEVELOPER_TOKEN:
            return self._wrapped(call, errors.authentication("DEVELOPER_TOKEN_INVALID"))
        account = self._grants.account_of(call.bearer)
        if account is None:
            return self._wrapped(call, errors.authentication("OAUTH_TOKEN_INVALID"))
        if account.account_id != call.place["customer"]:
            return self._wrapped(call, errors.permission())
        wait_s = self._quota.use(_DEVELOPER_TOKEN)
        return self._wrapped(call, errors.quota(wait_s)) if wait_s else None

    def struck(self, fault: str, call: Call) -> Answer | None:
        if fault == "google-token-expired":
            self._grants.end(call.bearer)
        answer = errors.of_fault(fault, call.place.get("version", ""))
        return None if answer is None else self._wrapped(call, answer)

    def unhit(self, call: Call) -> Sequence[str]:
        found = () if _body(call).get("pageToken") else ("google-page-token",)
        return (*found, "duplicate-page") if call.url.endswith(":searchStream") else found

    def _wrapped(self, call: Call, answer: Answer) -> Answer:
        """On a stream an error stands in an array."""
        is_stream = call.url.endswith(":searchStream")
        return replace(answer, payload=[answer.payload]) if is_stream else answer

    # ---- handlers

    def _token(self, call: Call) -> Answer:
        found = self._grants.renew(call.params, self.limits.token_life_s)
        if found is None:
            return errors.grant()
        return Answer({**found, "scope": "https://www.googleapis.com/auth/adwords", "token_type": "Bearer"})

    def _search(self, call: Call) -> Answer:
        body = _body(call)
        if "pageSize" in body:
            return errors.request("PAGE_SIZE_NOT_SUPPORTED", "Setting the page size is not supported.")
        place = read_cursor(str(body["pageToken"])) if body.get("pageToken") else (0, self.clock.now())
        if place is None:
            return errors.request("INVALID_PAGE_TOKEN", "Page token is invalid.")
        start, at = place
        try:
            query = parse(str(body.get("query", "")), _KNOWN)
            results = list(self._results(call, query, at))
        except BadQuery as bad:
            return errors.query(bad.code, bad.message)
        end = start + self._page_rows
        page: dict[str, Any] = {"results": results[start:end], "fieldMask": _mask(query), "requestId": "sandbox"}
        if end < len(results):
            if call.fault == "duplicate-page":
                end = max(start + 1, end - 2)
            if self.faults.has("repeated-place") and call.kind == REPORT:
                end = start
            page["nextPageToken"] = cursor(end, at)
        return Answer(page if page["results"] else {name: page[name] for name in page if name != "results"})

    def _stream(self, call: Call) -> Answer:
        try:
            query = parse(str(_body(call).get("query", "")), _KNOWN)
            results = list(self._results(call, query, self.clock.now()))
        except BadQuery as bad:
            return self._wrapped(call, errors.query(bad.code, bad.message))
        size = self._page_rows
        batches: list[dict[str, Any]] = [
            {"results": results[start : start + size], "fieldMask": _mask(query), "requestId": "sandbox"}
            for start in range(0, len(results), size)
        ]
        if batches:
            batches[-1]["queryResourceConsumption"] = str(len(results) * len(query.fields))
        is_long = query.first is not None and query.last is not None and query.last > query.first
        cut = self.faults.has("google-stream-broken") or (self.faults.has("google-stream-cut") and is_long)
        answer = Answer(batches)
        return replace(answer, payload=answer.body[: len(answer.body) // 2]) if cut else answer

    @property
    def _page_rows(self) -> int:
        return self.limits.page_rows or _PAGE_ROWS

    # ---- what a query finds

    def _results(self, call: Call, query: Query, at: datetime) -> Iterator[dict[str, Any]]:
        account = self._grants.account_of(call.bearer)
        assert account is not None  # noqa: S101  ``refusal`` came first
        found = 0
        for values in self._values(account, query, at):
            if query.limit is not None and found >= query.limit:
                return
            if all(str(values.get(name)) in known for name, known in query.within.items()):
                found += 1
                yield nested(values, query.fields)

    def _values(self, account: SandboxAccount, query: Query, at: datetime) -> Iterator[dict[str, Any]]:
        """Every field that a result has, by its name in GAQL."""
        if query.resource == "geo_target_constant":
            for criterion, country in _PLACES.items():
                yield {"geo_target_constant.id": str(criterion), "geo_target_constant.country_code": country}
            return
        customer: dict[str, object] = {
            "customer.id": account.account_id,
            "customer.descriptive_name": account.name,
            "customer.currency_code": account.currency,
            "customer.time_zone": account.timezone,
        }
        if query.resource == "customer":
            yield customer
            return
        if not any(name.startswith(("metrics.", "segments.")) for name in query.fields):
            for native in natives_in(account):
                yield {**customer, **_campaign(native.native_id, native.name, native.status)}
            return
        first, last = self._span(query, at)
        by_country = query.resource == "geographic_view"
        for row in rows_of(self.reported, natives_in(account), first, last, at, by_country=by_country):
            own = _campaign(row.native.native_id, row.native.name, row.native.status)
            yield {**customer, **own, **self._figures(row), "segments.date": row.day.isoformat()}

    def _span(self, query: Query, at: datetime) -> tuple[date, date]:
        if query.first is None or query.last is None:
            raise BadQuery("INVALID_VALUE_WITH_BETWEEN_OPERATOR", "This sandbox needs segments.date BETWEEN.")
        if (at.date() - query.first).days > _HISTORY_DAYS:
            raise BadQuery(
                "dateRangeError.REQUESTED_DATE_GRANULARITY_NOT_SUPPORTED",
                "The requested date granularity is not supported for the requested date range.",
            )
        if self.faults.has("google-deadline") and (query.last - query.first).days >= _MOST_DAYS:
            raise BadQuery("requestError.RPC_DEADLINE_TOO_SHORT", "The deadline is too short for the query.")
        return query.first, query.last

    def _figures(self, row: Row) -> dict[str, object]:
        """int64 are texts, doubles are numbers."""
        figures = row.figures
        value = count(figures.revenue_micros or 0)
        conversions = count(figures.conversions_millionths)
        told: dict[str, object] = {
            "metrics.impressions": str(figures.impressions),
            "metrics.clicks": str(figures.clicks),
            "metrics.cost_micros": str(figures.spend_micros),
            "metrics.conversions": conversions,
            "metrics.conversions_value": value,
            "metrics.all_conversions": count(figures.conversions_millionths + figures.clicks * MICROS),
            "metrics.all_conversions_value": value,
        }
        if self.faults.has("google-unset-zeros"):
            told = {name: value for name, value in told.items() if value not in (0, "0")}
        if row.place is not None:
            criterion = self._criterion(row.place.country)
            told |= dict(zip(_VIEW, (str(criterion), row.place.location), strict=True))
        return told

    def _criterion(self, country: str) -> int:
        if country == UNKNOWN:
            return _NOWHERE
        if self.faults.has("google-place-ids"):
            of_country = {known: criterion for criterion, known in _PLACES.items()}
            if country in of_country:
                return of_country[country]
        return 2_000 + _NUMERIC[country]


def _campaign(native_id: str, name: str, status: str) -> dict[str, object]:
    spelled = {"ACTIVE": "ENABLED", "ARCHIVED": "REMOVED"}[status]
    return {"campaign.id": native_id, "campaign.name": name, "campaign.status": spelled}


def _mask(query: Query) -> str:
    return ",".join(".".join(map(camel, name.split("."))) for name in query.fields)


def _body(call: Call) -> dict[str, Any]:
    try:
        body = json.loads(call.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
