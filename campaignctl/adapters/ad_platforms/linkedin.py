"""LinkedIn's adAnalytics: by campaign or campaign group and UTC day, in total or by the members' country.

A report has no pages; one that reaches 15,000 elements has been cut and is asked for in smaller parts. A country report
is of one campaign and does not say which, so there is one request for each that had any activity in the window.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, Final

import msgspec

from campaignctl.adapters.ad_platforms import answers, definitions
from campaignctl.adapters.ad_platforms.client import Surroundings, checked, failed, rows_again
from campaignctl.adapters.ad_platforms.definitions import Definitions
from campaignctl.adapters.ad_platforms.http import Call, TooMuch
from campaignctl.adapters.ad_platforms.linkedin_calls import LinkedInCalls, account_number, digits, listed
from campaignctl.adapters.ad_platforms.linkedin_errors import READING
from campaignctl.adapters.ad_platforms.linkedin_rows import FIELDS, elements_of, geos_in, kept_rows, rows_of
from campaignctl.adapters.ad_platforms.windows import (
    MAX_PAGES,
    Chunk,
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
from campaignctl.domain.platforms import Platform, native_key
from campaignctl.domain.reports import Breakdown, ReportRow
from campaignctl.errors import PlatformRejected
from campaignctl.ports.ad_platforms import (
    AccountAccess,
    AccountFacts,
    AdPlatform,
    NativeCampaignFacts,
    ReportPage,
    ReportRequest,
)

WINDOW_DAYS: Final = 30
HISTORY_MONTHS: Final = {Breakdown.TOTAL: 120, Breakdown.COUNTRY: 24}
MOST_ELEMENTS: Final = 15_000
_IDS_PER_CALL = 50
_MOST_CAMPAIGNS = 100_000
"""The most pages of a country report: each is one campaign's."""
_COUNTRY_PIVOT = "MEMBER_COUNTRY_V2"


@dataclass(frozen=True, slots=True)
class _Level:
    urn: str
    facet: str
    pivot: str
    path: str
    statuses: str


_LEVELS: Mapping[str, _Level] = {
    LinkLevel.CAMPAIGN: _Level(
        "urn:li:sponsoredCampaign:",
        "campaigns",
        "CAMPAIGN",
        "adCampaigns",
        "ACTIVE,PAUSED,ARCHIVED,COMPLETED,CANCELED,DRAFT,PENDING_DELETION,REMOVED",
    ),
    LinkLevel.CAMPAIGN_GROUP: _Level(
        "urn:li:sponsoredCampaignGroup:",
        "campaignGroups",
        "CAMPAIGN_GROUP",
        "adCampaignGroups",
        "ACTIVE,PAUSED,ARCHIVED,CANCELED,DRAFT,PENDING_DELETION,REMOVED",
    ),
}


@dataclass(slots=True)
class _Delivered:
    """The campaigns that had any activity in a window; found out when they are first needed."""

    ids: list[str] | None = field(default=None)


class LinkedInAds:
    """``AdPlatform`` for LinkedIn.

    Credentials: ``refresh_token``, ``client_id`` and ``client_secret``, or an ``access_token`` alone, which serves
    until it ends. A refresh token that LinkedIn replaces is handed to ``on_credentials``.
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
        self._clock = around.clock
        self._definitions = Definitions(definitions.LINKEDIN, conversion_actions)
        self._calls = LinkedInCalls(base_url, token_url, api_version, around)

    def close(self) -> None:
        self._calls.caller.close()

    def definition(self, access: AccountAccess, /) -> str:
        return self._definitions.of(access).version

    def windows(self, access: AccountAccess, request: ReportRequest, /) -> Sequence[ReportRequest]:
        if request.level not in _LEVELS:
            raise failed(PlatformRejected, access, "reports are by campaign or campaign group")
        today = self._clock.now().date()
        earliest = months_before(today, HISTORY_MONTHS[request.breakdown]) + timedelta(days=1)
        return split_days(request, earliest=earliest, days=WINDOW_DAYS)

    def pages(self, access: AccountAccess, window: ReportRequest, resume: str | None, /) -> Iterator[ReportPage]:
        if window.breakdown is Breakdown.TOTAL:
            return self._totals(access, window).pages(resume)
        definition = self._definitions.of(access)
        delivered = _Delivered()

        def read(part: Part) -> Chunk:
            return self._read_countries(access, window, part, definition, delivered)

        start = part_of(window)
        reader = WindowReader(
            access, window, start=start, read=read, split=lambda part, _: halves(part), max_pages=_MOST_CAMPAIGNS
        )
        return reader.pages(resume)

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        definition = self._definitions.of(access)
        return rows_again(access, raws, lambda raw: kept_rows(answers.parse_json(raw), window, definition))

    def account_facts(self, access: AccountAccess, /) -> AccountFacts:
        facts = self._calls.account(access)
        return AccountFacts(
            name=answers.a_text(facts.get("name")),
            currency=answers.a_text(facts.get("currency")),
            timezone="UTC",
            expires_at=self._calls.signed_in_until(access),
            missing_permissions=(),
        )

    def native_campaigns(self, access: AccountAccess, /) -> Iterator[NativeCampaignFacts]:
        for level in _LEVELS:
            yield from self._campaigns(access, level)

    def _campaigns(self, access: AccountAccess, level: str) -> Iterator[NativeCampaignFacts]:
        terms = _LEVELS[level]
        search = f"q=search&search=(status:(values:List({terms.statuses})))&pageSize=500"
        path = f"/adAccounts/{account_number(access)}/{terms.path}"
        for found in self._calls.searched(access, "the list of campaigns", path, search):
            for entry in found:
                native_id = native_key(Platform.LINKEDIN, level, str(entry.get("id")))
                yield NativeCampaignFacts(
                    native_id=digits(access, native_id, "a campaign's id"),
                    level=level,
                    name=answers.a_text(entry.get("name")),
                    status=answers.a_text(entry.get("status")),
                )

    # ---- totals

    def _totals(self, access: AccountAccess, window: ReportRequest) -> WindowReader:
        definition = self._definitions.of(access)

        def read(part: Part) -> Chunk:
            return self._read_totals(access, window, part, definition)

        def split(part: Part, _: TooMuch) -> Sequence[Part] | None:
            return self._split(access, window, part)

        return WindowReader(access, window, start=part_of(window), read=read, split=split, max_pages=MAX_PAGES)

    def _read_totals(self, access: AccountAccess, window: ReportRequest, part: Part, definition: Definition) -> Chunk:
        """All campaigns of the account by one call, or named ones by 50; the cursor counts those that were read."""
        first = _position(part.cursor)
        ids = None if part.native_ids is None else part.native_ids[first : first + _IDS_PER_CALL]
        payload, body, call = self._report(access, window, part, _LEVELS[window.level].pivot, ids)
        rows = checked(self._calls.caller, call, rows_of, payload, window, definition)
        if not rows:
            self._calls.require_access(access)
        behind = first + _IDS_PER_CALL
        more = part.native_ids is not None and behind < len(part.native_ids)
        then = msgspec.structs.replace(part, cursor=str(behind)) if more else None
        raw = answers.scrubbed(body, self._calls.tokens.secrets(access))
        return Chunk(rows, raw, then, self._clock.now())

    def _split(self, access: AccountAccess, window: ReportRequest, part: Part) -> Sequence[Part] | None:
        """Fewer days, then campaigns by name."""
        if part.days > 1 or part.native_ids is not None:
            return halves(part)
        ids = sorted({facts.native_id for facts in self._campaigns(access, window.level)}, key=_order)
        starts = range(0, len(ids), _IDS_PER_CALL)
        change = msgspec.structs.replace
        return [change(part, native_ids=tuple(ids[at : at + _IDS_PER_CALL]), cursor="") for at in starts]

    # ---- countries

    def _read_countries(
        self,
        access: AccountAccess,
        window: ReportRequest,
        part: Part,
        definition: Definition,
        delivered: _Delivered,
    ) -> Chunk:
        """One campaign's countries; the cursor is the campaign that was read last."""
        if delivered.ids is None:
            delivered.ids = self._delivered(access, window)
        left = [one for one in delivered.ids if not part.cursor or _order(one) > _order(part.cursor)]
        if not left:
            return Chunk([], b'{"elements":[]}', None, self._clock.now())
        native_id = left[0]
        payload, body, call = self._report(access, window, part, _COUNTRY_PIVOT, (native_id,))
        countries = self._calls.countries(access, checked(self._calls.caller, call, geos_in, payload))
        rows = checked(self._calls.caller, call, rows_of, payload, window, definition, native_id, countries)
        kept = answers.scrubbed(body, self._calls.tokens.secrets(access))
        # What the answer does not say stands beside it, so that it can be read again without a call.
        raw = msgspec.json.encode({"native_id": native_id, "countries": countries, "answer": msgspec.Raw(kept)})
        then = msgspec.structs.replace(part, cursor=native_id) if len(left) > 1 else None
        return Chunk(rows, raw, then, self._clock.now())

    def _delivered(self, access: AccountAccess, window: ReportRequest) -> list[str]:
        """The window's campaigns that have any row, in the order in which their countries are read."""
        asked = ReportRequest(window.level, Breakdown.TOTAL, window.first, window.last, window.native_ids)
        pages = self._totals(access, asked).pages(None)
        return sorted({row.native_id for page in pages for row in page.rows}, key=_order)

    # ---- calls

    def _report(
        self, access: AccountAccess, window: ReportRequest, part: Part, pivot: str, ids: Sequence[str] | None
    ) -> tuple[Any, bytes, Call]:
        terms = _LEVELS[window.level]
        facet, urns = "accounts", [f"urn:li:sponsoredAccount:{account_number(access)}"]
        if ids is not None:
            facet, urns = terms.facet, [terms.urn + digits(access, one, "a campaign's id") for one in ids]
        query = (
            f"q=analytics&pivot=(value:{pivot})&timeGranularity=(value:DAILY)"
            f"&dateRange=(start:{_date(part.first)},end:{_date(part.last)})&{facet}={listed(urns)}&fields={','.join(FIELDS)}"
        )
        payload, body, call = self._calls.get(access, "the report", "/adAnalytics", query, missing=READING)
        if len(checked(self._calls.caller, call, elements_of, payload)) >= MOST_ELEMENTS:
            raise TooMuch("the report was cut at its largest number of elements")
        return payload, body, call


def _date(day: date) -> str:
    return f"(year:{day.year},month:{day.month},day:{day.day})"


def _order(native_id: str) -> tuple[int, str]:
    """Numbers of any size in their order."""
    return len(native_id), native_id


def _position(cursor: str) -> int:
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdigit()):
        raise Lost("the place is not known")
    return int(cursor)


if TYPE_CHECKING:

    def _conforms(adapter: LinkedInAds) -> AdPlatform:
        return adapter
