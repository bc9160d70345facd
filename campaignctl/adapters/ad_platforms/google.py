"""Google Ads: GAQL by campaign and day, in total or by country.

A window is one ``searchStream``; where its answer breaks off, the window is halved, and a single day that still does
not come through is read page by page by ``search``. Countries come from ``geographic_view``, which tells each country
in two portions, where people were and what they were interested in: they add up.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from campaignctl.adapters.ad_platforms import answers, definitions
from campaignctl.adapters.ad_platforms.client import (
    Surroundings,
    account_gate_key,
    account_of,
    caller_of,
    checked,
    credential,
    failed,
    json_of,
    rows_again,
    shared_gate_key,
)
from campaignctl.adapters.ad_platforms.countries import country_of_criterion
from campaignctl.adapters.ad_platforms.definitions import Definitions
from campaignctl.adapters.ad_platforms.egress import checked_url
from campaignctl.adapters.ad_platforms.google_errors import error_in, reaction
from campaignctl.adapters.ad_platforms.http import Answer, Call, Hold, Retry, TooMuch
from campaignctl.adapters.ad_platforms.tokens import AccessTokens
from campaignctl.adapters.ad_platforms.windows import (
    MAX_PAGES,
    Chunk,
    KeyedRow,
    Part,
    WindowReader,
    halves,
    months_before,
    part_of,
    split_days,
)
from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.conversions import Definition
from campaignctl.domain.platforms import Platform
from campaignctl.domain.regions import UNKNOWN_REGION
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.errors import PlatformAnswerInvalid, PlatformRejected
from campaignctl.ports.ad_platforms import (
    AccountAccess,
    AccountFacts,
    AdPlatform,
    NativeCampaignFacts,
    ReportPage,
    ReportRequest,
)

_T = TypeVar("_T")
HISTORY_MONTHS: Final = 37
WINDOW_DAYS: Final = 14
_PACE_S = 0.1
_PAGED = "paged"
_AGAIN = ("", "again-1", "again-2", "again-3")
"""A single day that broke off is streamed three more times before it is read page by page."""
_DIGITS = re.compile(r"[0-9]{1,20}")
_CONSTANTS_PER_QUERY = 500
_MOST_CONSTANTS = 10_000
_VALUES = {"conversions": "conversionsValue", "all_conversions": "allConversionsValue"}
_COUNTS = {"conversions": "conversions", "all_conversions": "allConversions"}
_BASICS = frozenset({"metrics.impressions", "metrics.clicks", "metrics.costMicros"})
_FIGURES = answers.Figures(
    numbers=frozenset({"impressions", "clicks", "costMicros", *_COUNTS.values(), *_VALUES.values()})
)
_SIGNS = frozenset({"fieldMask", "requestId"})
"""An answer has at least one of these, with and without rows."""
_MEMBERS = _SIGNS | {"results", "nextPageToken", "totalResultsCount", "summaryRow", "queryResourceConsumption"}
_METRICS = (
    "segments.date, metrics.impressions, metrics.clicks, metrics.cost_micros, metrics.conversions,"
    " metrics.conversions_value, metrics.all_conversions, metrics.all_conversions_value"
)
_TOTALS = f"SELECT campaign.id, {_METRICS} FROM campaign"  # noqa: S608  # GAQL, and nothing but constants
_COUNTRIES = (
    "SELECT campaign.id, geographic_view.country_criterion_id, geographic_view.location_type,"  # noqa: S608
    f" {_METRICS} FROM geographic_view"
)
_ACCOUNT = (
    "SELECT customer.id, customer.descriptive_name, customer.currency_code, customer.time_zone FROM customer LIMIT 1"
)
_CAMPAIGNS = "SELECT campaign.id, campaign.name, campaign.status FROM campaign ORDER BY campaign.id"
_CONSTANTS = "SELECT geo_target_constant.id, geo_target_constant.country_code FROM geo_target_constant"

Countries = Mapping[str, str]
"""Criterion ids that are no country's number, to countries."""


class GoogleAds:
    """``AdPlatform`` for Google Ads.

    Credentials: ``refresh_token``, ``client_id``, ``client_secret``, ``developer_token``, and ``login_customer_id``
    where access goes through a manager account.
    """

    def __init__(
        self,
        *,
        base_url: str,
        token_url: str,
        api_version: str,
        around: Surroundings,
        conversion_actions: Sequence[str] = (),
    ) -> None:
        base, tokens = checked_url(base_url, "google.base_url"), checked_url(token_url, "google.token_url")
        self._base = f"{str(base).rstrip('/')}/{api_version}"
        self._clock = around.clock
        self._definitions = Definitions(definitions.GOOGLE, conversion_actions)
        self._caller = caller_of(Platform.GOOGLE, [base, tokens], around, pace_s=_PACE_S)
        self._tokens = AccessTokens(
            self._caller, tokens, around.clock, around.on_credentials, around.stored_credentials
        )
        self._constants: dict[str, str] = {}
        self._constants_lock = Lock()

    def close(self) -> None:
        self._caller.close()

    def definition(self, access: AccountAccess, /) -> str:
        return self._definitions.of(access).version

    def windows(self, access: AccountAccess, request: ReportRequest, /) -> Sequence[ReportRequest]:
        if request.level != LinkLevel.CAMPAIGN:
            raise failed(PlatformRejected, access, "reports are by campaign")
        # A day later than it has to be: the account's calendar may be ahead of UTC.
        earliest = months_before(self._clock.now().date(), HISTORY_MONTHS) + timedelta(days=1)
        return split_days(request, earliest=earliest, days=WINDOW_DAYS)

    def pages(self, access: AccountAccess, window: ReportRequest, resume: str | None, /) -> Iterator[ReportPage]:
        definition = self._definitions.of(access)

        def read(part: Part) -> Chunk:
            return self._read(access, window, part, definition)

        return WindowReader(access, window, start=part_of(window), read=read, split=_split).pages(resume)

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        definition = self._definitions.of(access)
        return rows_again(access, raws, lambda raw: _kept_rows(answers.parse_json(raw), window, definition))

    def account_facts(self, access: AccountAccess, /) -> AccountFacts:
        call = self._call(access, "the account", "search", _ACCOUNT)
        payload, _ = self._fetch(access, call)
        found = checked(self._caller, call, _results, payload)
        facts = checked(self._caller, call, answers.an_object, (found or [{}])[0].get("customer"), "customer")
        return AccountFacts(
            name=answers.a_text(facts.get("descriptiveName")),
            currency=answers.a_text(facts.get("currencyCode")),
            timezone=answers.a_text(facts.get("timeZone")),
            expires_at=self._tokens.signed_in_until(access),
            missing_permissions=(),
        )

    def native_campaigns(self, access: AccountAccess, /) -> Iterator[NativeCampaignFacts]:
        for found in self._searched(access, "the list of campaigns", _CAMPAIGNS, _campaigns):
            yield from found

    # ---- a part of a report

    def _read(self, access: AccountAccess, window: ReportRequest, part: Part, definition: Definition) -> Chunk:
        method = "search" if part.way == _PAGED else "searchStream"
        call = self._call(access, "the report", method, _query(access, window, part), part.cursor, shrinkable=True)
        payload, body = self._fetch(access, call, resumed=bool(part.cursor))
        place = checked(self._caller, call, _next_page, payload) if part.way == _PAGED else ""
        countries: Countries = {}
        if window.breakdown is Breakdown.COUNTRY:
            countries = self._countries(access, checked(self._caller, call, _strange_criteria, payload))
        rows = checked(self._caller, call, _rows, payload, window, definition, countries)
        raw = answers.scrubbed(body, self._tokens.secrets(access))
        if countries:  # so that the answer can be read again without a call
            raw = msgspec.json.encode({"countries": countries, "answer": msgspec.Raw(raw)})
        then = msgspec.structs.replace(part, cursor=place) if place else None
        return Chunk(rows, raw, then, self._clock.now())

    def _countries(self, access: AccountAccess, criteria: set[str]) -> Countries:
        """Criterion ids to countries by Google's own table; what it does not know is "ZZ". Asked for once."""
        with self._constants_lock:
            unknown = sorted(criteria - self._constants.keys())
        for start in range(0, len(unknown), _CONSTANTS_PER_QUERY):
            ids = unknown[start : start + _CONSTANTS_PER_QUERY]
            learnt = dict.fromkeys(ids, UNKNOWN_REGION)
            query = f"{_CONSTANTS} WHERE geo_target_constant.id IN ({', '.join(ids)})"
            for found in self._searched(access, "the table of places", query, _places):
                learnt |= found
            with self._constants_lock:
                if len(self._constants) > _MOST_CONSTANTS:
                    self._constants.clear()
                self._constants |= learnt
        with self._constants_lock:
            return {one: self._constants.get(one, UNKNOWN_REGION) for one in sorted(criteria)}

    # ---- calls

    def _searched(self, access: AccountAccess, what: str, query: str, read: Callable[[Any], _T]) -> Iterator[_T]:
        """The pages of a query that is no report, each as ``read`` makes it."""
        place = ""
        for _ in range(MAX_PAGES):
            call = self._call(access, what, "search", query, place)
            payload, _ = self._fetch(access, call)
            yield checked(self._caller, call, read, payload)
            following = checked(self._caller, call, _next_page, payload)
            if not following:
                return
            if following == place:
                raise failed(PlatformAnswerInvalid, access, f"{what} gave a place a second time")
            place = following
        raise failed(PlatformAnswerInvalid, access, f"{what} has more than {MAX_PAGES:,} pages")

    def _call(
        self, access: AccountAccess, what: str, method: str, query: str, place: str = "", *, shrinkable: bool = False
    ) -> Call:
        developer = credential(access, "developer_token")
        manager = credential(access, "login_customer_id", default="").replace("-", "")
        account = _digits(access, account_of(access), "the account's id")
        headers = {"developer-token": developer, "Content-Type": "application/json"}
        if manager:
            headers["login-customer-id"] = _digits(access, manager, "login_customer_id")
        return Call(
            what,
            "POST",
            f"{self._base}/customers/{account}/googleAds:{method}",
            account_id=access.account_id,
            keys=(account_gate_key(access), shared_gate_key("developer", developer)),
            headers=headers,
            body=msgspec.json.encode({"query": query, **({"pageToken": place} if place else {})}),
            shrinkable=shrinkable,
        )

    def _fetch(self, access: AccountAccess, call: Call, *, resumed: bool = False) -> tuple[Any, bytes]:
        """The payload and the body it came in; an access token that does not hold is renewed once."""

        def judge(answer: Answer) -> tuple[Any, bytes] | Retry | Hold:
            payload = json_of(answer)
            if isinstance(payload, Retry):
                if answer.ok and call.shrinkable:
                    raise TooMuch("the platform's answer broke off", again_may_help=True)
                return payload if answer.ok else reaction(self._caller, call, answer, None, resumed=resumed)
            error = error_in(payload)
            if answer.ok and error is None:
                return payload, answer.body
            return reaction(self._caller, call, answer, error, resumed=resumed)

        return self._tokens.fetch(access, call, judge)


def _digits(access: AccountAccess, text: str, what: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise failed(PlatformRejected, access, f"{what} must be digits")
    return text


def _query(access: AccountAccess, window: ReportRequest, part: Part) -> str:
    select = _COUNTRIES if window.breakdown is Breakdown.COUNTRY else _TOTALS
    query = f"{select} WHERE segments.date BETWEEN '{part.first.isoformat()}' AND '{part.last.isoformat()}'"
    if part.native_ids is not None:
        ids = ", ".join(_digits(access, one, "a campaign's id") for one in part.native_ids)
        query += f" AND campaign.id IN ({ids})"
    return query


def _split(part: Part, reason: TooMuch) -> Sequence[Part] | None:
    """Fewer days; a single day again, then page by page, then fewer campaigns."""
    change = msgspec.structs.replace
    if part.days > 1:
        return halves(part)
    if part.way != _PAGED:
        step = _AGAIN.index(part.way) + 1
        way = _AGAIN[step] if reason.again_may_help and step < len(_AGAIN) else _PAGED
        return [change(part, way=way, cursor="")]
    return halves(part)


def _results(payload: Any) -> list[Mapping[str, Any]]:
    """The rows of an answer, of one object or of an array of batches.

    Google leaves ``results`` out where there are none. So a batch without them has none only where all the rest is as
    documented: one whose rows have got another name must never be taken for a day without figures.
    """
    found: list[Mapping[str, Any]] = []
    for entry in _batches(payload):
        results = entry.get("results")
        if results is not None:
            found += answers.objects(results, "results")
        elif not entry.keys() & _SIGNS or not entry.keys() <= _MEMBERS:
            raise answers.Unexpected("without results")
    return found


def _batches(payload: Any) -> list[Mapping[str, Any]]:
    return answers.objects(payload if isinstance(payload, list) else [payload], "a batch")


def _check_masks(payload: Any, definition: Definition) -> None:
    """The metrics that the platform says it has answered: an absent one means 0 only if it is among them."""
    counted = {f"metrics.{names[action]}" for names in (_COUNTS, _VALUES) for action in definition.actions}
    for entry in _batches(payload):
        mask = entry.get("fieldMask")
        missing = sorted((_BASICS | counted) - set(mask.split(","))) if isinstance(mask, str) else []
        if missing:
            raise answers.Unexpected(f"without {missing[0]}")


def _campaigns(payload: Any) -> list[NativeCampaignFacts]:
    found = [answers.an_object(entry.get("campaign"), "campaign") for entry in _results(payload)]
    return [
        NativeCampaignFacts(
            native_id=answers.an_id(facts.get("id"), "campaign.id"),
            level=LinkLevel.CAMPAIGN,
            name=answers.a_text(facts.get("name")),
            status=answers.a_text(facts.get("status")),
        )
        for facts in found
    ]


def _places(payload: Any) -> dict[str, str]:
    found = [answers.an_object(entry.get("geoTargetConstant"), "geoTargetConstant") for entry in _results(payload)]
    return {answers.an_id(place.get("id"), "id"): answers.country(place.get("countryCode")) for place in found}


def _next_page(payload: Any) -> str:
    place = answers.an_object(payload, "the top").get("nextPageToken", "")
    if not isinstance(place, str):
        raise answers.Unexpected("with a nextPageToken that is none")
    return place


def _strange_criteria(payload: Any) -> set[str]:
    """The criterion ids that are no country's number."""
    found = {_criterion(entry) for entry in _results(payload)}
    return {one for one in found if one and country_of_criterion(int(one)) is None}


def _criterion(entry: Mapping[str, Any]) -> str:
    """A country's criterion id; "" where the row has none."""
    value = answers.an_object(entry.get("geographicView"), "geographicView").get("countryCriterionId")
    if value is None:
        return ""
    text = answers.an_id(value, "countryCriterionId")
    if not _DIGITS.fullmatch(text):
        raise answers.Unexpected("without a number at countryCriterionId")
    return text.lstrip("0")


def _kept_rows(payload: Any, window: ReportRequest, definition: Definition) -> list[KeyedRow]:
    if isinstance(payload, dict) and "answer" in payload:
        countries = answers.an_object(payload.get("countries"), "countries")
        return _rows(payload["answer"], window, definition, countries)
    return _rows(payload, window, definition, {})


def _rows(payload: Any, window: ReportRequest, definition: Definition, countries: Countries) -> list[KeyedRow]:
    by_country = window.breakdown is Breakdown.COUNTRY
    found = _results(payload)
    _check_masks(payload, definition)
    if found and not any(entry.get("metrics") for entry in found):
        raise answers.Unexpected("without any metrics")  # one row alone may have none: what is not set is 0
    _FIGURES.check(Platform.GOOGLE, [answers.an_object(entry.get("metrics", {}), "metrics") for entry in found])
    return [_row(entry, definition, countries, by_country=by_country) for entry in found]


def _row(entry: Mapping[str, Any], definition: Definition, countries: Countries, *, by_country: bool) -> KeyedRow:
    campaign = answers.an_object(entry.get("campaign"), "campaign")
    day = answers.a_day(answers.an_object(entry.get("segments"), "segments").get("date"), "segments.date")
    get = answers.an_object(entry.get("metrics", {}), "metrics").get
    native_id = answers.an_id(campaign.get("id"), "campaign.id")
    region, told = "", ("", "")
    if by_country:
        criterion = _criterion(entry)
        region = (country_of_criterion(int(criterion)) if criterion else None) or countries.get(
            criterion, UNKNOWN_REGION
        )
        told = criterion, str(entry["geographicView"].get("locationType"))
    row = ReportRow(
        native_id,
        day,
        region,
        answers.count(get("impressions"), "metrics.impressions"),
        answers.count(get("clicks"), "metrics.clicks"),
        sum([answers.millionths(get(_COUNTS[action]), _COUNTS[action]) for action in definition.actions]),
        answers.micros(get("costMicros"), "metrics.costMicros"),
        sum([answers.millionths(get(_VALUES[action]), _VALUES[action]) for action in definition.actions]),
    )
    return KeyedRow((native_id, day, *told), row)


if TYPE_CHECKING:

    def _conforms(adapter: GoogleAds) -> AdPlatform:
        return adapter
