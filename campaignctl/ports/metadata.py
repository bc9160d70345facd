"""The metadata store: organizations, users, sessions, campaigns, rates, idempotency keys; jobs are in ``ports.jobs``.

Every method is one transaction: done wholly and durably when it returns, or not at all. Adapters raise ``Unavailable``
or ``StorageFull``, never a driver's exception. The store is split into small protocols so that a service names what
it needs; one adapter implements all of them. Instants are aware datetimes in UTC; what an adapter records as "now" is
its own clock's.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum
from typing import Protocol

from campaignctl.domain.campaigns import Campaign, CampaignDraft, LinkLevel, PlatformLink
from campaignctl.domain.rates import Rate
from campaignctl.domain.users import Organization, Role, User
from campaignctl.ports.accounts import AccountRecords
from campaignctl.ports.attempts import AttemptStore, QuarantineLookup
from campaignctl.ports.erasures import ErasureLookup, ErasureStore
from campaignctl.ports.jobs import JobStore
from campaignctl.ports.letters import LetterReplayStore
from campaignctl.ports.membership import MembershipStore
from campaignctl.ports.reports import AccountKey, NativeCampaign
from campaignctl.ports.versions import Versioned


@dataclass(frozen=True, slots=True)
class CampaignFacts:
    """What ingestion and insights need of a campaign."""

    id: int
    organization_id: int
    timezone: str
    currency: str
    platforms: tuple[str, ...]
    """The platforms the campaign lists, sorted, without repetition."""
    version: int
    """Rises with every change of the campaign's settings."""
    data_version: int
    """Rises whenever something of the campaign landed in analytics: part of every cache key."""
    rates_version: int
    """Rises with every change of the organization's currency rates."""


class CampaignFactsStore(ErasureLookup, QuarantineLookup, Protocol):
    def claim_for_events(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        """Facts of those that exist, marking each as having events.

        From then on its zone and currency cannot change, so the answer may be kept for ever; that an id is missing
        from it may not. Ids may exceed 64 bits (then they are simply missing).
        """
        ...

    def campaign_facts(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        """Facts of those that exist, as of now; marks nothing."""
        ...

    def facts_at_hand(self, campaign_id: int, /) -> CampaignFacts | None:
        """As ``campaign_facts`` of one, where the process has them without asking anybody; else None.

        Those of now as far as this process wrote them, and those that others wrote half a second ago; never older than
        any facts of the campaign that this store was asked for before, nor than the end of a job that it told of.
        Waits for nothing, so it may be called where nothing may block.
        """
        ...

    def campaign_ids(self, organization_id: int | None, /) -> list[int]:
        """Every campaign of the organization (None: of all), ascending."""
        ...

    def facts_of_chosen(self, wanted: "CampaignFilter", /) -> dict[int, CampaignFacts]:
        """Facts of all that pass the filter, by id, as of now: one statement, however many they are."""
        ...

    def campaigns_claiming(self, natives: Collection[NativeCampaign], /) -> set[int]:
        """The campaigns that claim any of the native campaigns, on whatever days.

        A ``native_id`` of "" stands for all that there are of the account at the level.
        """
        ...

    def bump_data_versions(self, campaign_ids: Collection[int], /) -> None: ...


class LinkStore(Protocol):
    def links_of(self, campaign_ids: Collection[int], /) -> dict[int, list[PlatformLink]]:
        """What each of the campaigns claims, in the order in which it was given; without those that claim nothing."""
        ...


@dataclass(frozen=True, slots=True)
class ClaimedNative:
    """A native campaign that a campaign claims, on (inclusive) days."""

    campaign_id: int
    level: LinkLevel
    native_id: str
    """By key."""
    first_day: date
    last_day: date


class ClaimStore(Protocol):
    def claims_of_account(self, account: AccountKey, /) -> list[ClaimedNative]:
        """Every claim of a native campaign of the account, by campaign and days."""
        ...


class RateStore(Protocol):
    def put_rates(self, organization_id: int, rates: Sequence[Rate], /) -> None:
        """Add or replace by (day, currency, base); raises the organization's rates version."""
        ...

    def rates_between(self, organization_id: int, base: str, first: date, last: date, /) -> tuple[int, list[Rate]]:
        """The organization's rates version, and the rates into ``base`` on the (inclusive) days, by (currency, day)."""
        ...


@dataclass(frozen=True, slots=True)
class RateFilter:
    """Which rates to list; None lets every rate pass."""

    currency: str | None = None
    base: str | None = None
    first: date | None = None
    last: date | None = None
    """Both days inclusive."""


class RateListing(RateStore, Protocol):
    def list_rates(
        self, organization_id: int, wanted: RateFilter, after: tuple[date, str, str] | None, limit: int, /
    ) -> list[Rate]:
        """Up to ``limit`` rates behind (day, currency, base) ``after``, in that order."""
        ...


class OrganizationStore(Protocol):
    def ensure_organization(self, name: str, /) -> int:
        """The id of the oldest organization of that name, made when there is none."""
        ...

    def organizations(self) -> list[Organization]:
        """All of them, by id."""
        ...


class SecretStore(Protocol):
    def installation_secret(self, name: str, /) -> str:
        """A random secret of this installation, made at the first ask and the same for ever after."""
        ...


@dataclass(frozen=True, slots=True)
class NewUser:
    email: str
    """As its owner wrote it."""
    email_key: str
    """As it is compared (``domain.users.email_key``)."""
    name: str
    role: Role
    password_hash: str


@dataclass(frozen=True, slots=True)
class Credentials:
    user_id: int
    password_hash: str


class UserStore(Protocol):
    def email_is_taken(self, email_key: str, /) -> bool: ...

    def register(self, user: NewUser, organization_name: str, /) -> User | None:
        """Make the user and an organization of their own; None, and nothing made, when the address is taken."""
        ...

    def user(self, user_id: int, /) -> User | None: ...

    def credentials(self, email_key: str, /) -> Credentials | None: ...

    def credentials_of(self, user_id: int, /) -> Credentials | None: ...

    def rehash_password(self, known: Credentials, new_hash: str, /) -> None:
        """Keep the same password under a new hash, unless it was changed meanwhile."""
        ...

    def change_password(self, known: Credentials, new_hash: str, kept_session_id: int | None, /) -> bool:
        """Replace the password and end the user's other sessions; False when it was changed meanwhile."""
        ...


@dataclass(frozen=True, slots=True)
class SessionState:
    """A session and its user, as of now."""

    user_id: int
    organization_id: int
    role: Role
    revoked: bool


class Rotation(Enum):
    """What became of a refresh token that was shown."""

    DONE = "done"
    REUSED = "reused"
    """It had been used before: its session is ended now."""
    REFUSED = "refused"
    """Unknown, expired, or of a session that has ended."""


@dataclass(frozen=True, slots=True)
class Rotated:
    rotation: Rotation
    user_id: int = 0
    session_id: int = 0
    """Both are 0 when the token is unknown."""


class SessionStore(Protocol):
    """Sessions and their refresh tokens, which are known here by the hexadecimal SHA-256 only."""

    def open_session(self, user_id: int, address: str, token_hash: str, expires_at: datetime, /) -> int:
        """A new session with its first refresh token; both end at ``expires_at``. Answers the session's id."""
        ...

    def rotate(self, token_hash: str, new_token_hash: str, expires_at: datetime, /) -> Rotated:
        """Use up one refresh token for the next one, and prolong the session. Of several callers one is ``DONE``."""
        ...

    def session(self, session_id: int, /) -> SessionState | None: ...

    def end_session(self, session_id: int, /) -> None: ...

    def end_session_of_token(self, token_hash: str, /) -> int | None:
        """End the session that the token descends from; answers its id, None when the token is unknown."""
        ...


@dataclass(frozen=True, slots=True)
class LoginBucket:
    """What sign-ins are counted against: an account or an address."""

    name: str
    limit: int
    """How many attempts may fail within the window."""


class LoginAttemptStore(Protocol):
    """Failed sign-ins, counted together by every process. An attempt counts as failed until it is taken back."""

    def login_wait_s(self, buckets: Sequence[LoginBucket], window_s: float, /) -> float:
        """Seconds until every bucket has room again; 0.0 when all have. Counts nothing."""
        ...

    def take_login_attempt(self, attempt: str, buckets: Sequence[LoginBucket], window_s: float, /) -> float:
        """Count the attempt in every bucket and answer 0.0, or count nothing and answer the seconds to wait."""
        ...

    def take_back_login_attempt(self, attempt: str, /) -> None: ...

    def signed_in_before(self, email_key: str, address: str, /) -> bool:
        """Whether the account has a session, ended or not, that was opened from the address."""
        ...


@dataclass(frozen=True, slots=True)
class NativeClaim:
    """A native campaign that another campaign claims on some of the same days."""

    link: PlatformLink
    campaign_id: int
    campaign_name: str


class Refusal(Enum):
    """Why a campaign was not replaced."""

    MISSING = "missing"
    STALE = "stale"
    """Its version is another one than expected."""
    HAS_EVENTS = "has_events"
    """Its currency or zone would change, and it has events."""


@dataclass(frozen=True, slots=True)
class CampaignFilter:
    """Which campaigns to list; None lets every campaign pass."""

    organization_id: int | None = None
    status: str | None = None
    platform: str | None = None
    """One the campaign lists."""
    text: str | None = None
    """Part of the name, compared as ``domain.campaigns.name_key`` does."""


class CampaignStore(Protocol):
    def add_campaign(self, organization_id: int, draft: CampaignDraft, /) -> Campaign | NativeClaim:
        """The new campaign, or the claim that is in its way."""
        ...

    def campaign(self, campaign_id: int, /) -> Campaign | None: ...

    def list_campaigns(self, wanted: CampaignFilter, after_id: int, limit: int, /) -> list[Campaign]:
        """Up to ``limit`` campaigns with a larger id than ``after_id``, ascending."""
        ...

    def replace_campaign(
        self, campaign_id: int, draft: CampaignDraft, expected_version: int | None, /
    ) -> Campaign | NativeClaim | Refusal:
        """Replace all settings if the version is as expected (None: whatever it is); of several callers one wins."""
        ...


@dataclass(frozen=True, slots=True)
class IdempotencyScope:
    """Whose key it is: equal keys of two users have nothing to do with each other."""

    organization_id: int
    user_id: int
    """0 in either place: the operator of the machine."""
    key: str


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key that another request has, or had, in its hands."""

    fingerprint: str
    answer: StoredAnswer | None
    """None while that request is under way."""


class IdempotencyStore(Protocol):
    def claim_key(self, scope: IdempotencyScope, fingerprint: str, lock_s: float, keep_s: float, /) -> HeldKey | None:
        """None: the key is the caller's now, for ``keep_s`` seconds; else what stands in the way.

        An equal request that has not answered for ``lock_s`` seconds is taken for dead, and its key passes on.
        """
        ...

    def keep_answer(self, scope: IdempotencyScope, answer: StoredAnswer, /) -> None: ...

    def release_key(self, scope: IdempotencyScope, /) -> None:
        """Forget a key that has no answer."""
        ...


class AccessStore(OrganizationStore, UserStore, SessionStore, LoginAttemptStore, Protocol):
    """What signing in needs."""


class CampaignRecords(CampaignStore, OrganizationStore, SecretStore, Protocol):
    """What the campaign service needs."""


class RateRecords(RateListing, OrganizationStore, SecretStore, Protocol):
    """What the rate service needs."""


class JobRecords(JobStore, OrganizationStore, SecretStore, Protocol):
    """What the job service needs."""


class MetadataStore(
    AccessStore,
    MembershipStore,
    CampaignRecords,
    CampaignFactsStore,
    ClaimStore,
    LinkStore,
    RateRecords,
    IdempotencyStore,
    JobRecords,
    LetterReplayStore,
    AccountRecords,
    Versioned,
    ErasureStore,
    AttemptStore,
    Protocol,
):
    """All of it: what an adapter implements."""

    def close(self) -> None: ...
