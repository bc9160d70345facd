"""The reporting APIs of the ad platforms, as the product asks them: figures per native campaign and day, page by page.

Terms, used the same way by every adapter and caller:

- a *native campaign* is a campaign as the platform knows it, at a *level*: ``campaign``, on LinkedIn also
  ``campaign_group``;
- a *day* is a day of the account's own calendar (LinkedIn: of UTC), taken from the platform's own text, both ends of a
  request included;
- a *window* is a request that ``windows`` made: small enough for one report of the platform. A job goes window by
  window and, inside one, page by page; its place is the window and the last page's ``resume``.

Every identifier is a text. Money is integer micros of the account's currency, conversions are integer millionths; both
come from the platform's decimal digits and never pass through binary floating point.

Every method that calls a platform raises the errors of the ``PlatformError`` tree and no other. A client waits by
itself for what is over within seconds, tries again what may succeed, makes requests smaller where the platform says
that they are too large, and renews access tokens. ``PlatformThrottled`` says for how long nothing will be called: until
then every call for the same account (or app, where the quota is the app's) raises it at once, without a request. Calls
may be made from several threads. No credential is in a log line, an exception, a ``repr`` or a page.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Protocol

from campaignctl.domain.reports import Breakdown, ReportRow


@dataclass(frozen=True, slots=True)
class AccountAccess:
    """What a client needs to speak for an account of a platform."""

    platform: str
    account_id: str
    credentials: Mapping[str, str] = field(repr=False)
    """Of these what the platform wants: ``access_token`` (Meta, TikTok; optional on LinkedIn), ``refresh_token``,
    ``client_id``, ``client_secret`` (Google, LinkedIn), ``developer_token``, ``login_customer_id`` (Google),
    ``app_id`` (Meta, TikTok, optional: accounts that share an app share its quota)."""
    conversion_actions: tuple[str, ...] = ()
    """What counts as a conversion in this account; empty: what the client was made with."""
    organization_id: int | None = None
    """Whose account it is: a client only hands it on with renewed credentials."""


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What a platform says of an account."""

    name: str
    currency: str
    """ISO 4217; "" where the platform does not say."""
    timezone: str
    """IANA name of the zone of the account's days; "" where the platform does not say."""
    expires_at: datetime | None
    """When the credentials end and a person has to sign in again; None where the platform does not say or they last."""
    missing_permissions: tuple[str, ...]
    """Permissions that reading reports needs and that the credentials lack, in the platform's words."""


@dataclass(frozen=True, slots=True)
class NativeCampaignFacts:
    """A native campaign, archived and deleted ones included."""

    native_id: str
    level: str
    name: str
    status: str
    """The platform's own word."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """Which figures are asked for."""

    level: str
    """``campaign`` or ``campaign_group``."""
    breakdown: Breakdown
    first: date
    last: date
    native_ids: tuple[str, ...] | None
    """None: all native campaigns of the account."""


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A part of a window.

    Rows of one window that have native campaign, day and region in common add up: a platform may tell a country in two
    portions. What it sent twice the client has left out already.
    """

    rows: Sequence[ReportRow]
    raw: bytes = field(repr=False)
    """The platform's answer as it came, without credentials; ``AdPlatform.read`` makes rows of it again."""
    resume: str | None
    """Opaque text: give it to ``pages`` to go on behind this page. None: this was the window's last page."""
    fetched_at: datetime
    afresh: bool = False
    """The window had to be started again: what its earlier pages said is void, also of before a resumption."""


class AdPlatform(Protocol):
    """One platform. Making one calls nothing; close it when done."""

    def windows(self, access: AccountAccess, request: ReportRequest, /) -> Sequence[ReportRequest]:
        """The request split into windows, oldest first, without a call.

        Days of which the platform keeps no figures any more are left out (Meta and Google keep 37 months), so the
        answer may be empty. A level or platform that does not go together is ``PlatformRejected``.
        """
        ...

    def pages(self, access: AccountAccess, window: ReportRequest, resume: str | None, /) -> Iterator[ReportPage]:
        """Read a window, from its start or from behind the page that gave ``resume``; calls happen while iterating.

        Nothing before ``resume`` is asked for again, unless the platform no longer knows the place: then the first page
        is ``afresh``. A window without any row is one page without rows.
        """
        ...

    def read(
        self, access: AccountAccess, window: ReportRequest, raws: Iterable[bytes], /
    ) -> Iterator[Sequence[ReportRow]]:
        """The rows of a window's kept answers under the definition of a conversion that holds now; calls nothing.

        ``raws`` are those of its pages in their order, from the last ``afresh`` on.
        """
        ...

    def definition(self, access: AccountAccess, /) -> str:
        """The version of what counts as a conversion in the account; it stands with the rows (``meta-1``)."""
        ...

    def account_facts(self, access: AccountAccess, /) -> AccountFacts: ...

    def native_campaigns(self, access: AccountAccess, /) -> Iterator[NativeCampaignFacts]:
        """Every native campaign of the account, at every level that the platform has; calls while iterating."""
        ...

    def close(self) -> None: ...


class CallOutcome(StrEnum):
    """What became of one request."""

    OK = "ok"
    THROTTLED = "throttled"
    """A quota is used up."""
    TRANSIENT = "transient"
    """It was answered with what may be over in a moment: an error of the platform's own, an answer cut off."""
    UNREACHABLE = "unreachable"
    """There was no answer, or none in time."""
    TOO_MUCH = "too_much"
    """The platform cannot answer a request of this size: less is asked for at once."""
    UNAUTHORIZED = "unauthorized"
    """The access token does not hold: it is renewed, where that is possible."""
    REFUSED = "refused"
    """It cannot succeed: a permission is missing, the request is wrong, or nobody can sign in any more."""


class WaitReason(StrEnum):
    """Why a request waited before it was made."""

    PACE = "pace"
    """Requests are spread out before the platform has to ask for it."""
    QUOTA = "quota"
    """The platform asked for it."""
    RETRY = "retry"
    """Between two tries."""


class KeepCredentials(Protocol):
    """Stores an account's credentials that a platform has replaced, before they are used."""

    def __call__(self, access: AccountAccess, instead_of: str, /) -> None:
        """``instead_of``: the refresh token that is stored. Where another one is by now, somebody gave it: it stays."""
        ...


class StoredCredentials(Protocol):
    """Tells an account's credentials as they are stored now: another process may have replaced those in hand."""

    def __call__(self, access: AccountAccess, /) -> Mapping[str, str]:
        """Nothing where the account is not stored, or has none. Raises ``Unavailable`` when the store is away."""
        ...


class PlatformWatch(Protocol):
    """Is told what happens between the product and the platforms; from any thread. Raises nothing."""

    def called(self, platform: str, outcome: CallOutcome, seconds: float, /) -> None:
        """One request, token renewals included, took so long until its answer was read."""
        ...

    def waited(self, platform: str, reason: WaitReason, seconds: float, /) -> None: ...

    def rows_read(self, platform: str, rows: int, /) -> None:
        """So many rows of a report came in."""
        ...

    def account_fetched(self, platform: str, outcome: str, /) -> None:
        """A fetch of one account ended: ``ok``, or the error's code."""
        ...


class Unwatched:
    """``PlatformWatch`` that tells nobody."""

    def called(self, platform: str, outcome: CallOutcome, seconds: float, /) -> None: ...

    def waited(self, platform: str, reason: WaitReason, seconds: float, /) -> None: ...

    def rows_read(self, platform: str, rows: int, /) -> None: ...

    def account_fetched(self, platform: str, outcome: str, /) -> None: ...
