"""LinkedIn's Marketing API: adAnalytics, accounts, campaigns and groups, the names of places, and tokens."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from urllib.parse import unquote

from starlette.routing import Route

from campaignctl.sandbox.faults import FACTS, LIST, PLACES, REPORT, TOKEN
from campaignctl.sandbox.natives import CAMPAIGN, GROUP, Native, SandboxAccount, natives_in
from campaignctl.sandbox.platforms import linkedin_errors as errors
from campaignctl.sandbox.platforms import linkedin_rows, restli
from campaignctl.sandbox.platforms.desk import Answer, Around, Call, PlatformServer
from campaignctl.sandbox.platforms.grants import Grants
from campaignctl.sandbox.platforms.quotas import Quota
from campaignctl.sandbox.platforms.rows import Row, cursor, read_cursor, rows_of

_MOST_ELEMENTS = 15_000
_MOST_FIELDS = 20
_LONGEST_QUERY, _SHORT_QUERY = 4_096, 300
_LONGEST_DAYS = 186
_QUOTA_S = 300.0
_SETTLES_S = 20.0
_OLDEST_VERSION = 202_501
_VERSION = re.compile(r"20\d{4}")
_LEVELS = {
    CAMPAIGN: ("sponsoredCampaign", "campaigns", "CAMPAIGN"),
    GROUP: ("sponsoredCampaignGroup", "campaignGroups", "CAMPAIGN_GROUP"),
}
_COUNTRY = "MEMBER_COUNTRY_V2"
_LIFE_S = 31_536_000


class LinkedInServer(PlatformServer):
    name = "linkedin"

    def __init__(self, around: Around) -> None:
        super().__init__(around)
        settles_s = _SETTLES_S if self.faults.has("linkedin-token-settles") else 0.0
        rotates = self.faults.has("linkedin-token-rotates")
        self._grants = Grants(self.name, self.clock, rotates=rotates, settles_s=settles_s)
        self._quota = Quota(self.clock, self.limits.linkedin_metric_values, _QUOTA_S)

    def routes(self) -> Sequence[Route]:
        account = "/rest/adAccounts/{account}"
        return [
            self.route("/oauth/v2/accessToken", self._token, TOKEN, "POST"),
            self.route("/oauth/v2/introspectToken", self._introspection, TOKEN, "POST"),
            self.route("/rest/adAnalytics", self._analytics, REPORT, "GET", "POST"),
            self.route("/rest/adAccounts", self._accounts, FACTS),
            self.route(f"{account}/adCampaigns", lambda call: self._natives(call, CAMPAIGN), LIST),
            self.route(f"{account}/adCampaignGroups", lambda call: self._natives(call, GROUP), LIST),
            self.route("/rest/adTargetingEntities", self._entities, PLACES),
        ]

    def refusal(self, call: Call) -> Answer | None:
        if call.kind == TOKEN:
            return None
        if self._grants.account_of(call.bearer) is None:
            return errors.token(65600, "INVALID_ACCESS_TOKEN", "Invalid access token")
        version = call.headers.get("linkedin-version", "")
        if not version:
            return errors.error(400, 0, "VERSION_MISSING", "A version must be present. Please specify a version.")
        if not _VERSION.fullmatch(version) or int(version) < _OLDEST_VERSION:
            return errors.version(version)
        if call.headers.get("x-restli-protocol-version") != "2.0.0":
            return errors.invalid("X-Restli-Protocol-Version must be 2.0.0")
        longest = _SHORT_QUERY if self.faults.has("linkedin-short-queries") else _LONGEST_QUERY
        if len(call.query) > longest:
            return Answer(b"<html>414 Request-URI Too Large</html>", 414, {"Content-Type": "text/html"})
        return None

    def struck(self, fault: str, call: Call) -> Answer | None:
        if fault == "linkedin-token-expired":
            self._grants.end(call.bearer)
        return errors.of_fault(fault, call.headers.get("linkedin-version", ""))

    # ---- tokens

    def _token(self, call: Call) -> Answer:
        found = self._grants.renew(call.params, self.limits.token_life_s)
        if found is None:
            return errors.grant()
        return Answer({**found, "refresh_token_expires_in": _LIFE_S})

    def _introspection(self, call: Call) -> Answer:
        left_s = self._grants.left_s(call.params.get("token", ""))
        if left_s is None:
            return Answer({"active": False})
        ends = self.clock.machine.now() + timedelta(seconds=left_s)
        return Answer({"active": True, "expires_at": int(ends.timestamp())})

    # ---- lists

    def _accounts(self, call: Call) -> Answer:
        account = self._account(call)
        if self.faults.has("linkedin-no-access"):
            return Answer({"elements": [], "metadata": {}})
        facts = {"id": int(account.account_id), "name": account.name, "currency": account.currency, "status": "ACTIVE"}
        return Answer({"elements": [facts], "metadata": {}})

    def _natives(self, call: Call, level: str) -> Answer:
        account = self._account(call)
        if account.account_id != call.place["account"]:
            return errors.denied("partnerApiAdCampaigns.FINDER-search")
        try:
            params = restli.parameters(call.query)
        except restli.BadSyntax as bad:
            return errors.invalid(str(bad))
        token = unquote(params.get("pageToken", ""))
        place = read_cursor(token) if token else (0, self.clock.now())
        if place is None or params.get("q") != "search":
            return errors.invalid("pageToken or q is invalid")
        asked = re.findall(r"[A-Z_]{4,}", params.get("search", ""))
        found = [one for one in natives_in(account, level) if not asked or one.status in asked]
        size = min(int(params.get("pageSize", "100")), 1_000, self.limits.page_rows or 1_000)
        start, end = place[0], place[0] + size
        elements = [linkedin_rows.native(one) for one in found[start:end]]
        more = {"nextPageToken": cursor(end, place[1])} if end < len(found) else {}
        return Answer({"elements": elements, "metadata": more})

    def _entities(self, call: Call) -> Answer:
        try:
            asked = restli.urns(restli.parameters(call.query).get("urns", ""))
        except restli.BadSyntax as bad:
            return errors.invalid(str(bad))
        return Answer({"elements": linkedin_rows.places(f"urn:li:{kind}:{number}" for kind, number in asked)})

    # ---- analytics

    def _analytics(self, call: Call) -> Answer:
        query = call.query
        if call.method == "POST":
            if call.headers.get("x-http-method-override", "").upper() != "GET":
                return errors.invalid("adAnalytics is read by GET")
            query = call.body.decode("latin-1")
        try:
            return self._report(call, restli.parameters(query))
        except restli.BadSyntax as bad:
            return errors.invalid(str(bad))

    def _report(self, call: Call, params: Mapping[str, str]) -> Answer:
        account = self._account(call)
        finder, pivot = params.get("q", ""), restli.word(params.get("pivot", ""))
        if finder == "statistics" and pivot.startswith("MEMBER_"):
            return errors.error(400, 100, "FIELD_INVALID", f"pivot {pivot} is not supported by q=statistics")
        levels = {terms[2]: level for level, terms in _LEVELS.items()}
        if finder != "analytics" or (pivot != _COUNTRY and pivot not in levels):
            return errors.error(400, 100, "FIELD_INVALID", f"q={finder} with pivot {pivot} is not in this sandbox")
        if restli.word(params.get("timeGranularity", "")) != "DAILY":
            return errors.error(400, 100, "FIELD_INVALID", "timeGranularity must be DAILY in this sandbox")
        fields = params.get("fields", "impressions,clicks").split(",")
        if len(fields) > _MOST_FIELDS:
            return errors.error(400, 100, "FIELD_INVALID", f"at most {_MOST_FIELDS} fields may be asked for")
        first, last = restli.days(params.get("dateRange", ""))
        if not 0 <= (last - first).days < _LONGEST_DAYS:
            return errors.error(400, 100, "FIELD_INVALID", "dateRange must be 6 months at most")
        found, is_mine = self._faceted(params, account, levels.get(pivot))
        if not found and not is_mine:
            return errors.denied("adAnalytics.FINDER-analytics")
        if self.faults.has("linkedin-no-access"):
            found = []
        at = self.clock.now()
        rows = rows_of(self.reported, found, first, last, at, by_country=pivot == _COUNTRY)
        if self._quota.use(account.account_id, len(fields) * len(rows)):
            return errors.metric_values()
        elements = [self._element(row, fields) for row in linkedin_rows.merged(rows)]
        paging = {"start": 0, "count": 10, "links": []}
        return Answer({"paging": paging, "elements": [one for one in elements if one][:_MOST_ELEMENTS]})

    def _faceted(
        self, params: Mapping[str, str], account: SandboxAccount, level: str | None
    ) -> tuple[list[Native], bool]:
        """The native campaigns of which is told, and whether the facets are ones of the account's."""
        found: list[Native] = []
        is_mine = False
        for of_level, (kind, facet, _) in _LEVELS.items():
            if facet in params:
                asked = restli.urns(params[facet])
                found += [one for one in natives_in(account, of_level) if (kind, one.native_id) in asked]
        if "accounts" in params:
            is_mine = ("sponsoredAccount", account.account_id) in restli.urns(params["accounts"])
            found += natives_in(account, level or CAMPAIGN) if is_mine else []
        return found, is_mine

    def _element(self, row: Row, fields: Sequence[str]) -> dict[str, object] | None:
        """None where nothing that was asked for has a value."""
        return linkedin_rows.element(
            row,
            fields,
            tiny=self.faults.has("linkedin-tiny-costs"),
            unset=self.faults.has("linkedin-unset-zeros"),
        )

    def _account(self, call: Call) -> SandboxAccount:
        account = self._grants.account_of(call.bearer)
        assert account is not None  # noqa: S101  ``refusal`` came first
        return account
