"""Meta's Marketing API: insights by campaign and day, in total or by country.

Totals are read at once, countries by an asynchronous report run, which Meta recommends for what is heavy. The access
token travels in a header, so no address holds it; Meta writes it into the addresses of next pages all the same, so of
those nothing but the place is taken, and answers are scrubbed of it before they leave.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, quote, urlencode

import httpx2
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
    secrets_of,
    shared_gate_key,
)
from campaignctl.adapters.ad_platforms.definitions import Definitions
from campaignctl.adapters.ad_platforms.egress import checked_url
from campaignctl.adapters.ad_platforms.http import Answer, Call, Hold, Retry, TooMuch
from campaignctl.adapters.ad_platforms.meta_errors import (
    error_in,
    is_place_lost,
    is_too_much,
    pause_if_nearly_used_up,
    reaction,
)
from campaignctl.adapters.ad_platforms.meta_rows import Page, page_of, plain_page_of
from campaignctl.adapters.ad_platforms.windows import (
    Chunk,
    KeyedRow,
    Lost,
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
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.errors import PlatformRejected, PlatformUnavailable
from campaignctl.ports.ad_platforms import (
    AccountAccess,
    AccountFacts,
    AdPlatform,
    NativeCampaignFacts,
    ReportPage,
    ReportRequest,
)

_log = logging.getLogger(__name__)

HISTORY_MONTHS: Final = 37
WINDOW_DAYS: Final = 7
PAGE_ROWS: Final = 500
_FEWEST_ROWS = 25
_IDS_PER_PART = 50
"""Campaigns that one filter names."""
_PACE_S = 0.1
_RUN = "run"
_RUNS = 3
"""Report runs that are started for one part before it is given up."""
_START_WITHIN_S, _FINISH_WITHIN_S = 300.0, 1_800.0
"""Past these a run is stuck, and another one is started."""
_FIRST_POLL_S, _LONGEST_POLL_S = 1.0, 60.0
_LONGEST_PLACE = 4_096
_FIELDS = "account_id,account_currency,campaign_id,impressions,clicks,spend,actions,action_values"
_SECRETS_IN_QUERIES = frozenset({"access_token", "appsecret_proof"})
_STATUSES = (
    "ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "PENDING_REVIEW", "DISAPPROVED", "PREAPPROVED", "PENDING_BILLING_INFO",
    "CAMPAIGN_PAUSED", "ADSET_PAUSED", "IN_PROCESS", "WITH_ISSUES",
)  # fmt: skip
"""All of them: without the filter the figures of archived and deleted ads are left out."""
_CAMPAIGN_STATUSES = ("ACTIVE", "PAUSED", "DELETED", "ARCHIVED", "IN_PROCESS", "WITH_ISSUES")


class MetaAds:
    """``AdPlatform`` for Meta. Credentials: ``access_token``; ``app_id`` when accounts share an app."""

    def __init__(
        self, *, base_url: str, api_version: str, around: Surroundings, conversion_actions: Sequence[str] = ()
    ) -> None:
        self._base = checked_url(base_url, "meta.base_url")
        self._version = api_version
        self._clock = around.clock
        self._definitions = Definitions(definitions.META, conversion_actions)
        self._caller = caller_of(Platform.META, [self._base], around, pace_s=_PACE_S)

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
        way = _RUN if window.breakdown is Breakdown.COUNTRY else ""
        definition = self._definitions.of(access)

        def read(part: Part) -> Chunk:
            return self._read(access, window, part, definition)

        def split(part: Part, reason: TooMuch) -> Sequence[Part] | None:
            return self._split(access, part, reason)

        return WindowReader(access, window, start=part_of(window, way=way), read=read, split=split).pages(resume)

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        definition = self._definitions.of(access)

        def rows_of(raw: bytes) -> Sequence[KeyedRow]:
            page = plain_page_of(raw, window, definition) or page_of(answers.parse_json(raw), window, definition)
            return page.rows

        return rows_again(access, raws, rows_of)

    def account_facts(self, access: AccountAccess, /) -> AccountFacts:
        fields = {"fields": "account_id,name,currency,timezone_name"}
        call = self._call(access, "the account", self._account_path(access), fields)
        payload = self._fetch(call)
        facts = checked(self._caller, call, answers.an_object, payload, "the account")
        return AccountFacts(
            name=answers.a_text(facts.get("name")),
            currency=answers.a_text(facts.get("currency")),
            timezone=answers.a_text(facts.get("timezone_name")),
            expires_at=None,
            missing_permissions=(),
        )

    def native_campaigns(self, access: AccountAccess, /) -> Iterator[NativeCampaignFacts]:
        params = {
            "fields": "id,name,effective_status",
            "effective_status": _json(_CAMPAIGN_STATUSES),
            "limit": "100",
        }
        place, places = "", set[str]()
        while True:
            call = self._call(access, "the list of campaigns", f"{self._account_path(access)}/campaigns", params, place)
            payload = self._fetch(call)
            yield from checked(self._caller, call, _campaigns, payload)
            place = checked(self._caller, call, self._next_place, payload.get("paging"), params)
            if not place:
                return
            if place in places:
                raise failed(PlatformUnavailable, access, "the list of campaigns gave a place a second time")
            places.add(place)

    # ---- a part of a report

    def _read(self, access: AccountAccess, window: ReportRequest, part: Part, definition: Definition) -> Chunk:
        if part.way == _RUN:
            run, _, place = part.cursor.partition("|")
            run = run or self._finished_run(access, window, part)
            params = {"limit": str(part.size or PAGE_ROWS)}
            call = self._call(access, "the report", f"/{quote(run, safe='')}/insights", params, place, shrinkable=True)
        else:
            run, place = "", part.cursor
            params = _params(window, part)
            path = f"{self._account_path(access)}/insights"
            call = self._call(access, "the report", path, params, place, shrinkable=True)

        def judge(answer: Answer) -> tuple[Page | Mapping[str, Any], bytes] | Retry | Hold:
            plain = plain_page_of(answer.body, window, definition) if answer.ok else None
            if plain is not None:
                self._pause_if_nearly_used_up(call, answer)
                return plain, answer.body
            payload = self._judged(call, answer, run=bool(run), resumed=bool(part.cursor))
            return payload if isinstance(payload, Retry | Hold) else (payload, answer.body)

        told, body = self._caller.fetch(call, judge)
        page = told if isinstance(told, Page) else checked(self._caller, call, page_of, told, window, definition)
        place = checked(self._caller, call, self._next_place, page.paging, params)
        cursor = f"{run}|{place}" if run else place
        then = msgspec.structs.replace(part, cursor=cursor) if place else None
        raw = answers.scrubbed(body, secrets_of(access))
        return Chunk(page.rows, raw, then, self._clock.now())

    def _split(self, access: AccountAccess, part: Part, reason: TooMuch) -> Sequence[Part] | None:
        """Smaller pages, then a report run, then fewer days, then fewer campaigns."""
        change = msgspec.structs.replace
        rows = part.size or PAGE_ROWS
        if reason.smaller_pages_help and rows > _FEWEST_ROWS:
            return [change(part, size=max(_FEWEST_ROWS, rows // 2))]
        if reason.smaller_pages_help and part.way != _RUN:
            return [change(part, size=0, way=_RUN, cursor="")]
        if part.days == 1 and part.native_ids is None:
            ids = sorted({facts.native_id for facts in self.native_campaigns(access)})
            starts = range(0, len(ids), _IDS_PER_PART)
            return [change(part, native_ids=tuple(ids[at : at + _IDS_PER_PART]), cursor="") for at in starts]
        return halves(part)

    def _next_place(self, paging: object, params: Mapping[str, str]) -> str:
        """What the next page's address has beyond our own parameters; "" on the last page.

        The last page has a cursor too, so it is the address that counts. It has to be on the configured host, though
        nothing but its parameters is used.
        """
        following = answers.an_object(paging, "paging").get("next") if paging is not None else None
        if following is None:
            return ""
        try:
            url = httpx2.URL(following) if isinstance(following, str) else None
        except httpx2.InvalidURL:
            url = None
        if url is None or (url.scheme, url.host, url.port) != (self._base.scheme, self._base.host, self._base.port):
            raise answers.Unexpected("with a next page on another host")
        found = parse_qsl(url.query.decode("ascii", "replace"))
        place = urlencode([(name, value) for name, value in found if name not in params.keys() | _SECRETS_IN_QUERIES])
        if not place or len(place) > _LONGEST_PLACE:
            raise answers.Unexpected("with a next page that has no place")
        return place

    # ---- report runs

    def _finished_run(self, access: AccountAccess, window: ReportRequest, part: Part) -> str:
        for _ in range(_RUNS):
            run = self._start_run(access, window, part)
            if self._finishes(access, run):
                return run
            _log.info("meta: a report run did not finish; starting another one")
        raise failed(PlatformUnavailable, access, f"{_RUNS} report runs in a row did not finish")

    def _start_run(self, access: AccountAccess, window: ReportRequest, part: Part) -> str:
        call = self._call(access, "the report run", f"{self._account_path(access)}/insights", {})
        form = urlencode(_params(window, part)).encode()
        headers = {**call.headers, "Content-Type": "application/x-www-form-urlencoded"}
        call = replace(call, method="POST", headers=headers, body=form)
        payload = self._fetch(call)
        return checked(self._caller, call, answers.an_id, payload.get("report_run_id"), "report_run_id")

    def _finishes(self, access: AccountAccess, run: str) -> bool:
        """Wait for a run; False when it failed, was skipped or is stuck."""
        call = self._call(access, "the report run", f"/{quote(run, safe='')}", {})
        began_s = self._clock.monotonic_s()
        wait_s = _FIRST_POLL_S
        while True:
            payload = self._fetch(call, run=True)
            status = checked(self._caller, call, _status, payload)
            elapsed_s = self._clock.monotonic_s() - began_s
            if status == "Job Completed":
                return True
            if status in ("Job Failed", "Job Skipped"):
                if is_too_much(*(payload.get(name) for name in ("error_code", "error_subcode", "error_message"))):
                    raise TooMuch("the report run was asked for too much")
                return False
            if elapsed_s > (_START_WITHIN_S if status == "Job Not Started" else _FINISH_WITHIN_S):
                return False
            self._clock.sleep(wait_s)
            wait_s = min(_LONGEST_POLL_S, wait_s * 2)

    # ---- calls

    def _account_path(self, access: AccountAccess) -> str:
        return f"/act_{quote(account_of(access), safe='')}"

    def _call(
        self,
        access: AccountAccess,
        what: str,
        path: str,
        params: Mapping[str, str],
        place: str = "",
        *,
        shrinkable: bool = False,
    ) -> Call:
        token = credential(access, "access_token")
        query = "&".join(filter(None, (urlencode(params), place)))
        url = f"{self._base}".rstrip("/") + f"/{self._version}{path}" + (f"?{query}" if query else "")
        app = credential(access, "app_id", default=token)
        return Call(
            what,
            "GET",
            url,
            account_id=access.account_id,
            keys=(account_gate_key(access), shared_gate_key("app", app)),
            headers={"Authorization": f"Bearer {token}"},
            shrinkable=shrinkable,
        )

    def _fetch(self, call: Call, *, run: bool = False) -> Mapping[str, Any]:
        return self._caller.fetch(call, lambda answer: self._judged(call, answer, run=run))

    def _judged(
        self, call: Call, answer: Answer, *, run: bool, resumed: bool = False
    ) -> Mapping[str, Any] | Retry | Hold:
        """The payload. ``Lost`` where a resumed place is not known any more."""
        self._pause_if_nearly_used_up(call, answer)
        payload = json_of(answer)
        if isinstance(payload, Retry):
            return payload if answer.ok else reaction(self._caller, call, answer, None, run=run)
        error = error_in(payload)
        if answer.ok and error is None:
            return checked(self._caller, call, answers.an_object, payload, "the top")
        if resumed and error is not None and is_place_lost(error):
            raise Lost("the platform no longer knows the place")
        return reaction(self._caller, call, answer, error, run=run)

    def _pause_if_nearly_used_up(self, call: Call, answer: Answer) -> None:
        account, app = call.keys
        pause_if_nearly_used_up(self._caller.gate, account, app, answer.headers)


def _params(window: ReportRequest, part: Part) -> dict[str, str]:
    filters = [{"field": "ad.effective_status", "operator": "IN", "value": _STATUSES}]
    if part.native_ids is not None:
        filters.append({"field": "campaign.id", "operator": "IN", "value": part.native_ids})
    params = {
        "level": "campaign",
        "time_increment": "1",
        "time_range": _json({"since": part.first.isoformat(), "until": part.last.isoformat()}),
        "fields": _FIELDS,
        "filtering": _json(filters),
        "limit": str(part.size or PAGE_ROWS),
    }
    if window.breakdown is Breakdown.COUNTRY:
        params["breakdowns"] = _json(["country"])
    return params


def _campaigns(payload: Mapping[str, Any]) -> list[NativeCampaignFacts]:
    return [
        NativeCampaignFacts(
            native_id=answers.an_id(entry.get("id"), "id"),
            level=LinkLevel.CAMPAIGN,
            name=answers.a_text(entry.get("name")),
            status=answers.a_text(entry.get("effective_status")),
        )
        for entry in answers.objects(payload.get("data"), "data")
    ]


def _status(payload: Mapping[str, Any]) -> str:
    status = payload.get("async_status")
    if not isinstance(status, str):
        raise answers.Unexpected("without async_status")
    return status


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


if TYPE_CHECKING:

    def _conforms(adapter: MetaAds) -> AdPlatform:
        return adapter
