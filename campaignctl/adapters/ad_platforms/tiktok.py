"""TikTok's Business API: integrated reports by campaign and day, in total (BASIC) or by country (AUDIENCE).

Every answer has HTTP status 200; the code inside says whether it is one. A report is no snapshot: when its number of
rows changes between two pages, it is read again.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import msgspec

from campaignctl.adapters.ad_platforms import answers, definitions
from campaignctl.adapters.ad_platforms.client import (
    SERVER_ERRORS,
    Surroundings,
    account_gate_key,
    account_of,
    caller_of,
    checked,
    credential,
    failed,
    json_of,
    rows_again,
    secrets_of,
    shared_gate_key,
)
from campaignctl.adapters.ad_platforms.definitions import Definitions
from campaignctl.adapters.ad_platforms.egress import checked_url
from campaignctl.adapters.ad_platforms.http import Answer, Call, Hold, Retry
from campaignctl.adapters.ad_platforms.windows import (
    MAX_PAGES,
    Chunk,
    KeyedRow,
    Lost,
    Part,
    WindowReader,
    halves,
    part_of,
    split_days,
)
from campaignctl.domain.campaigns import LinkLevel
from campaignctl.domain.conversions import Definition
from campaignctl.domain.platforms import Platform
from campaignctl.domain.reports import FIRST_DAY, Breakdown, ReportRow
from campaignctl.errors import (
    PlatformAnswerInvalid,
    PlatformError,
    PlatformForbidden,
    PlatformRejected,
    PlatformSignInExpired,
)
from campaignctl.ports.ad_platforms import (
    AccountAccess,
    AccountFacts,
    AdPlatform,
    NativeCampaignFacts,
    ReportPage,
    ReportRequest,
)

WINDOW_DAYS: Final = 30
COUNTRY_WINDOW_DAYS: Final = 7
PAGE_ROWS: Final = 1_000
_PACE_S = 0.12
"""An app may ask ten times a second."""
_QPS_FIRST_S, _RESTRICTED_FIRST_S = 10.0, 300.0
"""A lock-out lasts hours, and grows when it is tried too soon."""
_NO_DATA = "-"
_CONVERSIONS = ("conversion", "real_time_conversion", "result")
_BASICS = ("spend", "impressions", "clicks")
_NO_PERMISSION, _INVALID, _TOO_MANY, _TOKEN = 40001, 40002, 40100, 40105
_PASSING = frozenset({40200, 40201, 40202, 40700})
_SYSTEM = range(50_000, 60_000)


class TikTokAds:
    """``AdPlatform`` for TikTok. Credentials: ``access_token``; ``app_id`` when accounts share an app."""

    def __init__(
        self, *, base_url: str, api_version: str, around: Surroundings, conversion_actions: Sequence[str] = ()
    ) -> None:
        base = checked_url(base_url, "tiktok.base_url")
        self._base = f"{str(base).rstrip('/')}/{api_version}"
        self._clock = around.clock
        self._definitions = Definitions(definitions.TIKTOK, conversion_actions)
        self._caller = caller_of(Platform.TIKTOK, [base], around, pace_s=_PACE_S)

    def close(self) -> None:
        self._caller.close()

    def definition(self, access: AccountAccess, /) -> str:
        return self._definitions.of(access).version

    def windows(self, access: AccountAccess, request: ReportRequest, /) -> Sequence[ReportRequest]:
        if request.level != LinkLevel.CAMPAIGN:
            raise failed(PlatformRejected, access, "reports are by campaign")
        days = COUNTRY_WINDOW_DAYS if request.breakdown is Breakdown.COUNTRY else WINDOW_DAYS
        return split_days(request, earliest=FIRST_DAY, days=days)

    def pages(self, access: AccountAccess, window: ReportRequest, resume: str | None, /) -> Iterator[ReportPage]:
        definition = self._definitions.of(access)

        def read(part: Part) -> Chunk:
            return self._read(access, window, part, definition)

        reader = WindowReader(access, window, start=part_of(window), read=read, split=lambda part, _: halves(part))
        return reader.pages(resume)

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        definition = self._definitions.of(access)
        return rows_again(access, raws, lambda raw: _rows(_data(answers.parse_json(raw)), window, definition))

    def account_facts(self, access: AccountAccess, /) -> AccountFacts:
        params = {"advertiser_ids": _json([account_of(access)])}
        call = self._call(access, "the account", "advertiser/info/", params)
        payload, _ = self._fetch(call)
        found = checked(self._caller, call, _listed, payload)
        if not found:
            raise _forbidden(call, "the advertiser is not among those that may be seen")
        facts = found[0]
        return AccountFacts(
            name=answers.a_text(facts.get("name")),
            currency=answers.a_text(facts.get("currency")),
            timezone=answers.a_text(facts.get("timezone")) or answers.a_text(facts.get("display_timezone")),
            expires_at=None,
            missing_permissions=(),
        )

    def native_campaigns(self, access: AccountAccess, /) -> Iterator[NativeCampaignFacts]:
        for page in range(1, MAX_PAGES + 1):
            params = {
                "advertiser_id": account_of(access),
                "page": str(page),
                "page_size": str(PAGE_ROWS),
                "filtering": _json({"secondary_status": "CAMPAIGN_STATUS_ALL"}),
            }
            call = self._call(access, "the list of campaigns", "campaign/get/", params)
            payload, _ = self._fetch(call)
            yield from checked(self._caller, call, _campaigns, payload)
            pages, _ = checked(self._caller, call, _extent, payload)
            if page >= pages:
                return
        raise failed(PlatformAnswerInvalid, access, f"the list of campaigns has more than {MAX_PAGES:,} pages")

    # ---- a part of a report

    def _read(self, access: AccountAccess, window: ReportRequest, part: Part, definition: Definition) -> Chunk:
        page, known_total = _place(part.cursor)
        call = self._call(access, "the report", "report/integrated/get/", _params(access, window, part, page))
        payload, body = self._fetch(call)
        rows = checked(self._caller, call, _rows, payload, window, definition)
        pages, total = checked(self._caller, call, _extent, payload)
        if known_total is not None and total not in (None, known_total):
            raise Lost("the report changed while it was read")
        then = msgspec.structs.replace(part, cursor=f"{page + 1}|{total}") if page < pages else None
        return Chunk(rows, answers.scrubbed(body, secrets_of(access)), then, self._clock.now())

    # ---- calls

    def _call(self, access: AccountAccess, what: str, path: str, params: Mapping[str, str]) -> Call:
        token = credential(access, "access_token")
        app = credential(access, "app_id", default=token)
        return Call(
            what,
            "GET",
            f"{self._base}/{path}?{urlencode(params)}",
            account_id=access.account_id,
            keys=(account_gate_key(access), shared_gate_key("app", app)),
            headers={"Access-Token": token},
        )

    def _fetch(self, call: Call) -> tuple[Mapping[str, Any], bytes]:
        """The data of an answer, and the body it came in."""

        def judge(answer: Answer) -> tuple[Mapping[str, Any], bytes] | Retry | Hold:
            payload = json_of(answer)
            if isinstance(payload, Retry):
                return payload if answer.ok else self._by_status(call, answer)
            code = payload.get("code") if isinstance(payload, dict) else None
            if not isinstance(code, int) or isinstance(code, bool):
                if answer.ok:
                    raise self._error(PlatformAnswerInvalid, call, "was answered without a code")
                return self._by_status(call, answer)
            if code == 0:
                return checked(self._caller, call, _data, payload), answer.body
            return self._reaction(call, code, str(payload.get("message", "")))

        return self._caller.fetch(call, judge)

    def _reaction(self, call: Call, code: int, message: str) -> Retry | Hold:
        """What to do about a code. Raises where trying again cannot help."""
        if code == _TOO_MANY:
            first_s = _RESTRICTED_FIRST_S if "restricted" in message else _QPS_FIRST_S
            return Hold(f"the app's request limit is reached (code {code})", call.keys[-1], first_s=first_s)
        if code in _SYSTEM and "too many requests" in message.lower():
            return Hold(f"the request limit is reached (code {code})", call.keys[0], first_s=_QPS_FIRST_S)
        if code in _SYSTEM or code in _PASSING:
            return Retry(f"failed with code {code}")
        if code == _TOKEN:
            hint = "sign in to TikTok again"
            raise self._error(
                PlatformSignInExpired, call, f"was refused: the access token does not hold ({code})", hint
            )
        if code == _NO_PERMISSION:
            raise _forbidden(call, f"code {code}")
        raise self._error(PlatformRejected, call, f"was refused with code {code}")

    def _by_status(self, call: Call, answer: Answer) -> Retry | Hold:
        """An answer that is not TikTok's own: the edge in front of it has answered."""
        if answer.status == 429:
            return Hold("the request limit is reached", call.keys[0], first_s=_QPS_FIRST_S)
        if answer.status in SERVER_ERRORS:
            return Retry(f"answered with status {answer.status}")
        raise self._error(PlatformRejected, call, f"was refused with status {answer.status}")

    def _error(self, kind: type[PlatformError], call: Call, reason: str, hint: str = "") -> PlatformError:
        return self._caller.error(kind, call, reason, hint=hint)


def _forbidden(call: Call, reason: str) -> PlatformForbidden:
    return PlatformForbidden(
        f"tiktok: {call.what} is not allowed: {reason}",
        platform=Platform.TIKTOK,
        account_id=call.account_id,
        missing=("Reporting",),
        hint="the app needs the Reporting and Ad Account Management scopes, and the advertiser's consent",
    )


def _params(access: AccountAccess, window: ReportRequest, part: Part, page: int) -> dict[str, str]:
    """Lists travel as JSON text, and inside of it a filter's values as JSON text again."""
    by_country = window.breakdown is Breakdown.COUNTRY
    filters = [_filter("campaign_status", ["STATUS_ALL"])]  # without it deleted campaigns are left out
    if part.native_ids is not None:
        filters.append(_filter("campaign_ids", part.native_ids))
    # AUDIENCE knows one kind of conversion only.
    metrics = (*_BASICS, _CONVERSIONS[0]) if by_country else (*_BASICS, *_CONVERSIONS)
    return {
        "advertiser_id": account_of(access),
        "service_type": "AUCTION",
        "report_type": "AUDIENCE" if by_country else "BASIC",
        "data_level": "AUCTION_CAMPAIGN",
        "dimensions": _json(["campaign_id", "stat_time_day", *(["country_code"] if by_country else [])]),
        "metrics": _json(metrics),
        "start_date": part.first.isoformat(),
        "end_date": part.last.isoformat(),
        "page": str(page),
        "page_size": str(PAGE_ROWS),
        "filtering": _json(filters),
    }


def _filter(name: str, values: Sequence[str]) -> dict[str, str]:
    return {"field_name": name, "filter_type": "IN", "filter_value": _json(values)}


def _place(cursor: str) -> tuple[int, int | None]:
    """The page to read, and how many rows the report had when the page before it was read."""
    page, _, total = cursor.partition("|")
    if not cursor:
        return 1, None
    if not (page.isascii() and page.isdigit() and total.isascii() and total.isdigit()):
        raise Lost("the place is not known")
    return int(page), int(total)


def _data(payload: Any) -> Mapping[str, Any]:
    return answers.an_object(answers.an_object(payload, "the top").get("data"), "data")


def _listed(data: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return answers.objects(data.get("list"), "data.list")


def _extent(data: Mapping[str, Any]) -> tuple[int, int | None]:
    """How many pages and rows there are; a last page that is not full may leave it out."""
    info = data.get("page_info")
    if info is None and len(_listed(data)) < PAGE_ROWS:
        return 1, None
    extent = answers.an_object(info, "page_info")
    pages = answers.count(extent.get("total_page"), "total_page")
    return pages, answers.count(extent.get("total_number"), "total_number")


def _campaigns(data: Mapping[str, Any]) -> list[NativeCampaignFacts]:
    return [
        NativeCampaignFacts(
            native_id=answers.an_id(entry.get("campaign_id"), "campaign_id"),
            level=LinkLevel.CAMPAIGN,
            name=answers.a_text(entry.get("campaign_name")),
            status=answers.a_text(entry.get("secondary_status")) or answers.a_text(entry.get("operation_status")),
        )
        for entry in _listed(data)
    ]


def _rows(data: Mapping[str, Any], window: ReportRequest, definition: Definition) -> list[KeyedRow]:
    by_country = window.breakdown is Breakdown.COUNTRY
    return [_row(entry, definition.actions[0], by_country=by_country) for entry in _listed(data)]


def _row(entry: Mapping[str, Any], counted: str, *, by_country: bool) -> KeyedRow:
    dimensions = answers.an_object(entry.get("dimensions"), "dimensions")
    metrics = answers.an_object(entry.get("metrics"), "metrics")
    missing = [name for name in _BASICS if name not in metrics]
    if missing or (by_country and "country_code" not in dimensions):
        raise answers.Unexpected(f"without {missing[0] if missing else 'country_code'} in a row")
    conversions = metrics.get(counted)
    if conversions == _NO_DATA and not by_country:
        conversions = "0"
    row = ReportRow(
        native_id=answers.an_id(dimensions.get("campaign_id"), "campaign_id"),
        day=answers.a_day(dimensions.get("stat_time_day"), "stat_time_day"),
        region=answers.country(dimensions["country_code"]) if by_country else "",
        impressions=answers.count(_or_none(metrics["impressions"]), "impressions"),
        clicks=answers.count(_or_none(metrics["clicks"]), "clicks"),
        # Not given in a breakdown is not the same as none.
        conversions_millionths=None if conversions in (None, _NO_DATA) else answers.millionths(conversions, counted),
        spend_micros=answers.millionths(_or_none(metrics["spend"]), "spend"),
        revenue_micros=None,
    )
    told = str(dimensions["country_code"]) if by_country else ""
    return KeyedRow((row.native_id, row.day, told), row)


def _or_none(value: object) -> object:
    return None if value == _NO_DATA else value


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


if TYPE_CHECKING:

    def _conforms(adapter: TikTokAds) -> AdPlatform:
        return adapter
