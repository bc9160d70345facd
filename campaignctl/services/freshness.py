"""How old the newest data is, by campaign and platform."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from campaignctl.domain.campaigns import Campaign, CampaignStatus
from campaignctl.domain.platforms import account_key
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import NotFound
from campaignctl.ports.analytics import FreshnessStore
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFilter, CampaignStore
from campaignctl.ports.reports import AccountKey, LastFetch

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CAMPAIGNS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class PlatformFreshness:
    campaign_id: int
    campaign_name: str
    platform: str
    last_event_at: datetime | None
    """The newest event's own time; None where the campaign lists the platform and nothing came."""
    last_report_at: datetime | None
    """When one of the accounts that the campaign lists was last fetched; None where none ever was."""
    age_s: float | None
    """Of the newer of both; 0 for a time that is still to come."""


class LastFetches(Protocol):
    """What freshness needs of a ``ReportStore``."""

    def last_fetches(
        self, accounts: Sequence[AccountKey], as_of_ms: int | None, /
    ) -> Mapping[AccountKey, LastFetch]: ...


class FreshnessService:
    def __init__(self, store: FreshnessStore, reports: LastFetches, metadata: CampaignStore, clock: Clock) -> None:
        self._store = store
        self._reports = reports
        self._metadata = metadata
        self._clock = clock

    def of(
        self, actor: Actor, *, campaign_ids: Sequence[int] | None = None, platforms: Sequence[str] = ()
    ) -> list[PlatformFreshness]:
        """The oldest first, and before them what has no data at all.

        ``campaign_ids`` None: the active campaigns. Raises ``NotFound`` for one that is not there or not the actor's.
        """
        actor.require(Role.VIEWER)
        campaigns = list(self._active(actor) if campaign_ids is None else self._named(actor, campaign_ids))
        newest = self._store.newest_events_by_campaign([one.id for one in campaigns])
        fetched = self._fetched(campaigns)
        now = self._clock.now()
        shown = {one.id: {link.platform.value for link in one.platforms} for one in campaigns}
        for id_, platform in newest:
            shown[id_].add(platform)
        found = [
            _freshness(one, platform, newest.get((one.id, platform)), fetched.get((one.id, platform)), now)
            for one in campaigns
            for platform in sorted(shown[one.id])
            if not platforms or platform in platforms
        ]
        return sorted(found, key=lambda one: (one.age_s is not None, -(one.age_s or 0.0)))

    def unlisted(self, actor: Actor) -> list[tuple[int, str]]:
        """Active campaigns and the platforms of which events came without being listed; for those that list any."""
        actor.require(Role.VIEWER)
        listed = {one.id: {link.platform.value for link in one.platforms} for one in self._active(actor)}
        newest = self._store.newest_events_by_campaign(sorted(id_ for id_, platforms in listed.items() if platforms))
        return sorted((id_, platform) for id_, platform in newest if platform not in listed[id_])

    def _fetched(self, campaigns: Iterable[Campaign]) -> dict[tuple[int, str], int]:
        """When (microseconds) an account of each campaign and platform was last fetched."""
        linked = {
            (one.id, AccountKey(one.organization_id, link.platform.value, account_key(link.platform, link.account_id)))
            for one in campaigns
            for link in one.platforms
        }
        accounts = sorted({account for _, account in linked})
        fetches = self._reports.last_fetches(accounts, None) if accounts else {}
        newest: dict[tuple[int, str], int] = {}
        for id_, account in linked:
            if account in fetches:
                key = (id_, account.platform)
                newest[key] = max(newest.get(key, 0), fetches[account].fetched_us)
        return newest

    def _active(self, actor: Actor) -> Iterator[Campaign]:
        wanted, after_id = CampaignFilter(actor.organization_id, status=CampaignStatus.ACTIVE.value), 0
        while page := self._metadata.list_campaigns(wanted, after_id, _CAMPAIGNS_AT_ONCE):
            yield from page
            after_id = page[-1].id

    def _named(self, actor: Actor, campaign_ids: Sequence[int]) -> Iterator[Campaign]:
        for id_ in campaign_ids:
            campaign = self._metadata.campaign(id_)
            if campaign is None or not actor.sees(campaign.organization_id):
                raise NotFound(f"there is no campaign {id_}")
            yield campaign


def _freshness(
    campaign: Campaign, platform: str, event_us: int | None, report_us: int | None, now: datetime
) -> PlatformFreshness:
    last_event_at, last_report_at = _instant(event_us), _instant(report_us)
    newest = max((at for at in (last_event_at, last_report_at) if at is not None), default=None)
    age_s = None if newest is None else max((now - newest).total_seconds(), 0.0)
    return PlatformFreshness(campaign.id, campaign.name, platform, last_event_at, last_report_at, age_s)


def _instant(us: int | None) -> datetime | None:
    return None if us is None else _EPOCH + timedelta(microseconds=us)
