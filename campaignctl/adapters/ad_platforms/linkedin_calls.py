"""LinkedIn's calls below the reports: signed requests, lists, accounts, and the countries that places are in.

Queries are written by hand: the server wants parentheses, commas and colons as they are and only the colons inside of
URNs encoded. One that is too long for an address travels in the body of a POST that stands for a GET.
"""

import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final
from urllib.parse import quote, urlencode

from campaignctl.adapters.ad_platforms import answers
from campaignctl.adapters.ad_platforms.client import (
    Surroundings,
    account_gate_key,
    account_of,
    caller_of,
    checked,
    credential,
    failed,
    json_of,
    shared_gate_key,
)
from campaignctl.adapters.ad_platforms.countries import country_of_name
from campaignctl.adapters.ad_platforms.egress import checked_url
from campaignctl.adapters.ad_platforms.http import Answer, Call, Hold, Retry
from campaignctl.adapters.ad_platforms.linkedin_errors import LISTING, READING, TooLongQuery, reaction
from campaignctl.adapters.ad_platforms.linkedin_rows import Countries, elements_of
from campaignctl.adapters.ad_platforms.tokens import AccessTokens
from campaignctl.domain.platforms import Platform
from campaignctl.domain.regions import UNKNOWN_REGION
from campaignctl.errors import PlatformAnswerInvalid, PlatformError, PlatformForbidden, PlatformRejected
from campaignctl.ports.ad_platforms import AccountAccess

_log = logging.getLogger(__name__)

_LONGEST_QUERY: Final = 4_000
"""Characters; the server answers 414 somewhere above."""
_PACE_S = 0.2
_TOKEN_SETTLES_WITHIN_S = 30.0
"""A new access token may be refused for so long."""
_URNS_PER_QUERY = 100
_MOST_GEOS = 10_000
_YEAR_3000_S = 32_503_680_000
_DIGITS = re.compile(r"[0-9]{1,20}")


class LinkedInCalls:
    """Safe to share between threads."""

    def __init__(self, base_url: str, token_url: str, api_version: str, around: Surroundings) -> None:
        base, tokens = checked_url(base_url, "linkedin.base_url"), checked_url(token_url, "linkedin.token_url")
        self._base = str(base).rstrip("/")
        self._introspection_url = str(tokens.join("introspectToken"))
        self._version = api_version
        self._clock = around.clock
        self.caller = caller_of(Platform.LINKEDIN, [base, tokens], around, pace_s=_PACE_S)
        self.tokens = AccessTokens(
            self.caller,
            tokens,
            around.clock,
            around.on_credentials,
            around.stored_credentials,
            settles_within_s=_TOKEN_SETTLES_WITHIN_S,
        )
        self._lock = Lock()
        self._geos: dict[str, str] = {}
        self._seen_accounts: set[str] = set()

    def get(
        self, access: AccountAccess, what: str, path: str, query: str, *, missing: str = LISTING
    ) -> tuple[Any, bytes, Call]:
        """The document, the body it came in, and the call. ``missing``: the permission that a refusal would mean."""
        call = Call(
            what,
            "GET",
            f"{self._base}{path}?{query}",
            account_id=access.account_id,
            keys=_keys(access),
            headers={"Linkedin-Version": self._version, "X-Restli-Protocol-Version": "2.0.0"},
        )
        if len(query) <= _LONGEST_QUERY:
            try:
                return *self._fetch(access, call, missing), call
            except TooLongQuery:
                _log.info("linkedin: %s has too long a query; sending it in the body", what)
        form = {"X-HTTP-Method-Override": "GET", "Content-Type": "application/x-www-form-urlencoded"}
        headers = {**call.headers, **form}
        call = replace(call, method="POST", url=f"{self._base}{path}", headers=headers, body=query.encode())
        try:
            return *self._fetch(access, call, missing), call
        except TooLongQuery:
            raise self.caller.error(PlatformRejected, call, "has too long a query") from None

    def searched(self, access: AccountAccess, what: str, path: str, search: str) -> Iterator[list[Mapping[str, Any]]]:
        """The pages of a list."""
        place, places = "", set[str]()
        while place not in places:
            places.add(place)
            query = f"{search}&pageToken={quote(place, safe='')}" if place else search
            payload, _, call = self.get(access, what, path, query)
            yield checked(self.caller, call, elements_of, payload)
            place = checked(self.caller, call, _next_page, payload)
            if not place:
                return
        raise failed(PlatformAnswerInvalid, access, f"{what} gave a place a second time")

    def account(self, access: AccountAccess) -> Mapping[str, Any]:
        """The account as it is listed among those that the member may see; ``PlatformForbidden`` when it is not."""
        wanted = account_number(access)
        for found in self.searched(access, "the list of accounts", "/adAccounts", "q=search&pageSize=500"):
            for entry in found:
                if str(entry.get("id")).rpartition(":")[2] == wanted:
                    return entry
        raise PlatformForbidden(
            "linkedin: the account is not among those that the member may see",
            platform=access.platform,
            account_id=access.account_id,
            missing=(READING,),
            hint="the member needs a role in the ad account",
        )

    def require_access(self, access: AccountAccess) -> None:
        """An empty report means "no activity" or "no access": find out which, once per account."""
        key = "|".join(_keys(access))
        with self._lock:
            if key in self._seen_accounts:
                return
        self.account(access)
        with self._lock:
            self._seen_accounts.add(key)

    def countries(self, access: AccountAccess, geos: set[str]) -> Countries:
        """URNs of places to countries, by the names that LinkedIn has for them; each is asked for once."""
        with self._lock:
            unknown = sorted(geos - self._geos.keys())
        for start in range(0, len(unknown), _URNS_PER_QUERY):
            urns = unknown[start : start + _URNS_PER_QUERY]
            query = f"q=urns&urns={listed(urns)}"
            payload, _, call = self.get(access, "the names of places", "/adTargetingEntities", query)
            names = checked(self.caller, call, _names, payload)
            with self._lock:
                if len(self._geos) > _MOST_GEOS:
                    self._geos.clear()
                self._geos |= {urn: country_of_name(names.get(urn, "")) for urn in urns}
        with self._lock:
            return {urn: self._geos.get(urn, UNKNOWN_REGION) for urn in sorted(geos)}

    def signed_in_until(self, access: AccountAccess) -> datetime | None:
        """When the refresh token ends, as far as is known; of an access token alone, when that ends."""
        given = access.credentials
        if given.get("refresh_token") or not (given.get("client_id") and given.get("client_secret")):
            return self.tokens.signed_in_until(access)
        form = {name: credential(access, name) for name in ("client_id", "client_secret")}
        form["token"] = credential(access, "access_token")
        call = Call(
            "the end of the access token",
            "POST",
            self._introspection_url,
            account_id=access.account_id,
            keys=_keys(access),
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
        )
        payload, _ = self.caller.fetch(call, lambda answer: self._judge(call, answer, LISTING))
        ends = payload.get("expires_at") if isinstance(payload, dict) else None
        if not isinstance(ends, int) or not 0 < ends < _YEAR_3000_S:
            return None
        return datetime.fromtimestamp(ends, UTC)

    def error(self, kind: type[PlatformError], call: Call, reason: str) -> PlatformError:
        return self.caller.error(kind, call, reason)

    def _fetch(self, access: AccountAccess, call: Call, missing: str) -> tuple[Any, bytes]:
        return self.tokens.fetch(access, call, lambda answer: self._judge(call, answer, missing))

    def _judge(self, call: Call, answer: Answer, missing: str) -> tuple[Any, bytes] | Retry | Hold:
        payload = json_of(answer)
        if answer.ok:
            return payload if isinstance(payload, Retry) else (payload, answer.body)
        told = None if isinstance(payload, Retry) else payload
        return reaction(self.caller, call, answer, told, missing=missing, now=self._clock.now())


def account_number(access: AccountAccess) -> str:
    return digits(access, account_of(access), "the account's id")


def digits(access: AccountAccess, text: str, what: str) -> str:
    if not _DIGITS.fullmatch(text):
        raise failed(PlatformRejected, access, f"{what} must be digits, or a URN that ends in them")
    return text


def listed(urns: Sequence[str]) -> str:
    """A list in Rest.li's own spelling: only what is inside of the URNs is encoded."""
    return f"List({','.join(quote(urn, safe='') for urn in urns)})"


def _keys(access: AccountAccess) -> tuple[str, str]:
    app = access.credentials.get("client_id") or access.credentials.get("access_token", "")
    return account_gate_key(access), shared_gate_key("app", app)


def _next_page(payload: Any) -> str:
    metadata = answers.an_object(payload, "the top").get("metadata")
    place = metadata.get("nextPageToken") if isinstance(metadata, dict) else None
    if place is not None and not isinstance(place, str):
        raise answers.Unexpected("with a nextPageToken that is none")
    return place or ""


def _names(payload: Any) -> dict[str, str]:
    """URNs of places to their English names."""
    names: dict[str, str] = {}
    for entry in elements_of(payload):
        localized = entry.get("defaultLocalizedName")
        name = entry.get("name") or (localized.get("value") if isinstance(localized, dict) else None)
        names[str(entry.get("urn"))] = answers.a_text(name)
    return names
