"""The misbehaviour that can be turned on, by name, and when it strikes.

A *habit* is a way of answering that stays: every answer is legal and unpleasant. A *strike* hits single requests: the
second that it could hit, then about every seventh (unevenly, or it would hit the same step of a loop for ever), and
behind one that was hit at least four of the platform's are spared, so that whoever tries again gets on. What *ends* a
fetch, or takes minutes, is turned on by its own name alone.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from random import Random
from threading import Lock

from campaignctl.errors import FieldError, InvalidInput

PLATFORMS = ("meta", "google", "linkedin", "tiktok")
ALL = "all"
_FIRST, _SPARED = 2, 4
REPORT, POLL, START, FACTS, LIST, PLACES, TOKEN = "report", "poll", "start", "facts", "list", "places", "token"
"""Kinds of requests: a page of a report, the state of a report run, its start, an account, its campaigns, the names of
places, an access token."""
READING = (REPORT, POLL, START, FACTS, LIST, PLACES)
_CUT = (REPORT, FACTS, LIST)


@dataclass(frozen=True, slots=True)
class Fault:
    name: str
    what: str
    platforms: tuple[str, ...] = PLATFORMS
    strikes: tuple[str, ...] = ()
    """The kinds of requests it hits; none: it is a habit."""
    by_name_only: bool = False
    every: int = 7
    """Of about so many requests that it could hit, one."""


def _meta(name: str, what: str, *strikes: str, by_name_only: bool = False) -> Fault:
    return Fault(f"meta-{name}", what, ("meta",), strikes, by_name_only)


def _google(name: str, what: str, *strikes: str, by_name_only: bool = False) -> Fault:
    return Fault(f"google-{name}", what, ("google",), strikes, by_name_only)


def _linkedin(name: str, what: str, *strikes: str, by_name_only: bool = False) -> Fault:
    return Fault(f"linkedin-{name}", what, ("linkedin",), strikes, by_name_only)


def _tiktok(name: str, what: str, *strikes: str, by_name_only: bool = False) -> Fault:
    return Fault(f"tiktok-{name}", what, ("tiktok",), strikes, by_name_only)


FAULTS: tuple[Fault, ...] = (
    Fault("429", "429 without Retry-After", strikes=READING),
    Fault("429-retry-after", "429 with Retry-After: 20", strikes=READING),
    Fault("500", "500 with a page for people", strikes=READING),
    Fault("truncated", "JSON that ends in the middle", strikes=_CUT),
    Fault("broken-off", "a body that breaks off on its way", strikes=_CUT),
    Fault("timeout", "no answer within 40 seconds", strikes=_CUT, by_name_only=True),
    Fault("redirect", "a redirect to another host", strikes=READING, by_name_only=True),
    Fault("gzip-bomb", "an answer of 200 MB, packed", strikes=_CUT, by_name_only=True),
    Fault("endless-body", "an answer that does not end", strikes=_CUT, by_name_only=True),
    Fault("changed-schema", "a report whose members have other names", strikes=(REPORT,), by_name_only=True),
    Fault("renamed-figure", "a report in which clicks have another name", strikes=(REPORT,), by_name_only=True),
    Fault("duplicate-page", "a page that tells rows of the page before again", ("meta", "google"), (REPORT,)),
    Fault("repeated-place", "a next page that is this page", ("meta", "google"), by_name_only=True),
    Fault("200-error", "status 200 with an error inside", ("meta", "google"), (REPORT, FACTS, LIST)),
    _meta("app-limit", "error 4: the app's request limit", *READING),
    _meta("account-limit", "error 17/2446079: the account's request limit", *READING),
    _meta("business-limit", "error 80000, to be tried again in a minute", *READING),
    _meta("usage", "usage headers above 95 % on a good answer", REPORT),
    _meta("transient", "error 2, which is transient", *READING),
    _meta("reduce-data", "reports of more than 100 rows a page are too heavy"),
    _meta("data-limit", "error 100/1487534 for more than 3 days at once"),
    _meta("not-in-summary", "a sporadic error 100 on a report run", START),
    _meta("slow-runs", "runs go from Not Started over Running to Completed, a look each"),
    _meta("run-not-visible", "error 100/33 on a run that was just started", POLL),
    _meta("run-failed", "a run that ends in Job Failed", POLL),
    _meta("run-skipped", "a run that ends in Job Skipped", POLL),
    _meta("not-materialised", "error 2637/1815107 on a completed run", REPORT),
    _meta("short-pages", "pages of few rows, and empty ones among them"),
    _meta("token", "error 190/463: the access token has expired", *READING, by_name_only=True),
    _meta("permission", "error 200: no ads_read", *READING, by_name_only=True),
    _google("quota", "429 RESOURCE_EXHAUSTED, to be tried again in 30 s", *READING),
    _google("daily-quota", "429 RESOURCE_EXHAUSTED for 11 hours", *READING, by_name_only=True),
    _google("token-expired", "401: the access token ends before its time", *READING),
    _google("internal", "500 internalError.TRANSIENT_ERROR", *READING),
    _google("deadline", "requestError.RPC_DEADLINE_TOO_SHORT for more than 3 days at once"),
    _google("stream-cut", "searchStream breaks off for more than 1 day at once"),
    _google("stream-broken", "searchStream always breaks off: only search gets through"),
    Fault("google-page-token", "a page token that has expired", ("google",), (REPORT,), every=60),
    _google("unset-zeros", "figures that are 0 are left out"),
    _google("place-ids", "places by ids that are no country's"),
    _google("permission", "403 USER_PERMISSION_DENIED", *READING, by_name_only=True),
    _google("version", "400 UNSUPPORTED_VERSION", *READING, by_name_only=True),
    _google("grant-revoked", "the refresh token is invalid_grant", TOKEN, by_name_only=True),
    _linkedin("metric-values", "429: 45 million metric values in five minutes", REPORT),
    _linkedin("day-limit", "429: the resource's limit of the day", *READING, by_name_only=True),
    _linkedin("token-expired", "401: the access token ends before its time", *READING),
    _linkedin("token-settles", "a new access token does not hold for 20 s"),
    _linkedin("token-rotates", "every renewal replaces the refresh token"),
    _linkedin("short-queries", "414 for addresses of more than 300 characters"),
    _linkedin("tiny-costs", "costs of 18 places, in scientific notation, a hair below 0"),
    _linkedin("unset-zeros", "figures that are 0 are left out"),
    _linkedin("no-access", "200 with nothing in it: no role in the account", by_name_only=True),
    _linkedin("permission", "403 ACCESS_DENIED", *READING, by_name_only=True),
    _linkedin("version", "426: the version is not active", *READING, by_name_only=True),
    _tiktok("qps", "40100: the app's limit of queries a second", *READING),
    _tiktok("restricted", "40100: the app is restricted for a while", *READING, by_name_only=True),
    _tiktok("system", "50000 System error.", *READING),
    _tiktok("validation", "40700: an internal validation failed", *READING),
    _tiktok("busy", "51010 Too many requests", *READING),
    _tiktok("dashes", "no data is told as -"),
    _tiktok("spelling", "ok instead of OK, and ids and figures as numbers"),
    _tiktok("no-page-info", "a report of one page without page_info"),
    _tiktok("drift", "the number of rows changes from one page to the next", REPORT),
    _tiktok("token", "40105: the access token has been revoked", *READING, by_name_only=True),
    _tiktok("permission", "40001: no permission for the advertiser", *READING, by_name_only=True),
)
_KNOWN = {fault.name: fault for fault in FAULTS}


def chosen(names: Iterable[str]) -> frozenset[str]:
    """The faults that words stand for: names, ``all``, or a platform for those of its own that ``all`` has.

    Raises ``InvalidInput`` for a word that is none of these.
    """
    found: set[str] = set()
    for name in names:
        if name in _KNOWN:
            found.add(name)
        elif name == ALL or name in PLATFORMS:
            found |= {one.name for one in FAULTS if not one.by_name_only and name in (ALL, *one.platforms)}
        else:
            near = get_close_matches(name, [*_KNOWN, ALL, *PLATFORMS], n=1, cutoff=0.5)
            raise InvalidInput(
                [FieldError("--faults", f"has no {name!r}")],
                hint=f"did you mean {near[0]}?" if near else "campaignctl sandbox --help lists them",
                code="usage",
            )
    return frozenset(found)


class Faults:
    """Which faults are on, and whom they hit. May be used by several threads."""

    def __init__(self, names: Collection[str] = ()) -> None:
        self._on = [_KNOWN[name] for name in sorted(names)]
        self._habits = {fault.name for fault in self._on if not fault.strikes}
        self._dice = Random("strikes")  # noqa: S311 - repeatable, nothing secret
        self._left: dict[tuple[str, str], int] = {}
        """Requests until a fault hits one, by platform and fault."""
        self._spared: dict[str, int] = {}
        """Requests since the last that was hit, by platform."""
        self._lock = Lock()

    @property
    def names(self) -> list[str]:
        return [fault.name for fault in self._on]

    def has(self, habit: str) -> bool:
        return habit in self._habits

    def strike(self, platform: str, kind: str, *, but: Collection[str] = ()) -> str:
        """The fault that hits this request; "" for none. ``but``: those that this request gives no chance."""
        with self._lock:
            due, spared = "", self._spared.get(platform, _SPARED)
            for fault in self._on:
                if platform not in fault.platforms or kind not in fault.strikes or fault.name in but:
                    continue
                left = self._left.get((platform, fault.name), _FIRST) - 1
                if left <= 0 and not due and spared >= _SPARED:
                    due = fault.name
                    left = self._dice.randint(fault.every // 2, fault.every * 3 // 2)
                self._left[platform, fault.name] = left
            self._spared[platform] = 0 if due else spared + 1
            return due
