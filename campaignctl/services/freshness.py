"""How old the newest data is, by campaign and platform."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from campaignctl.domain.campaigns import Campaign, CampaignStatus
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import NotFound
from campaignctl.ports.analytics import FreshnessStore
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFilter, CampaignStore

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
    age_s: float | None
    """Of the newer of both; 0 for a time that is still to come."""


class FreshnessService:
    def __init__(self, store: FreshnessStore, metadata: CampaignStore, clock: Clock) -> None:
        self._store = store
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
        now = self._clock.now()
        shown = {one.id: {link.platform.value for link in one.platforms} for one in campaigns}
        for id_, platform in newest:
            shown[id_].add(platform)
        found = [
            _freshness(one, platform, newest.get((one.id, platform)), now)
            for one in campaigns
            for platform in sorted(shown[one.id])
            if not platforms or platform in platforms
        ]
        return sorted(found, key=lambda one: (one.age_s is not None, -(one.age_s or 0.0)))

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


def _freshness(campaign: Campaign, platform: str, newest_us: int | None, now: datetime) -> PlatformFreshness:
    last_event_at = None if newest_us is None else _EPOCH + timedelta(microseconds=newest_us)
    age_s = None if last_event_at is None else max((now - last_event_at).total_seconds(), 0.0)
    return PlatformFreshness(campaign.id, campaign.name, platform, last_event_at, None, age_s)
