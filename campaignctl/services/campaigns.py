"""Campaigns: creating, finding and replacing them."""

from campaignctl.domain.campaigns import Campaign, CampaignDraft, CampaignStatus
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import Conflict, NotFound, PreconditionFailed, PreconditionRequired
from campaignctl.ports.metadata import CampaignRecords, NativeClaim, Refusal
from campaignctl.services.campaign_choice import CampaignChoice, filter_of
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit
from campaignctl.services.tenancy import organization_of

_HAS_EVENTS_HINT = (
    "ask with timezone=, or make a new campaign and: campaignctl events export | campaignctl events send --as N"
)


class CampaignService:
    """What an actor may do with campaigns. Another organization's campaign does not exist for the actor."""

    def __init__(self, metadata: CampaignRecords) -> None:
        self._metadata = metadata
        self._cursors = Cursors("campaigns", lambda: metadata.installation_secret("cursors"))

    def create(self, draft: CampaignDraft, actor: Actor) -> Campaign:
        """The new campaign. ``Forbidden`` below analyst, ``Conflict`` when a native campaign of it is claimed."""
        actor.require(Role.ANALYST)
        outcome = self._metadata.add_campaign(organization_of(actor, self._metadata), draft)
        if isinstance(outcome, NativeClaim):
            raise _claimed(outcome)
        return outcome

    def get(self, campaign_id: int, actor: Actor) -> Campaign:
        campaign = self._metadata.campaign(campaign_id)
        if campaign is None or not actor.sees(campaign.organization_id):
            raise _missing(campaign_id)
        return campaign

    def list(
        self,
        actor: Actor,
        *,
        status: CampaignStatus | None = None,
        platform: Platform | None = None,
        q: str | None = None,
        limit: int = DEFAULT_LIMIT,
        cursor: str | None = None,
    ) -> Page[Campaign]:
        """A page in order of creation, so that what is created meanwhile comes at the end.

        ``q`` is a part of the name, compared without case; a cursor holds for the filters it was given with only.
        """
        checked_limit(limit)
        wanted = filter_of(CampaignChoice(status=status, platform=platform, q=q), actor)
        filters = {
            "organization": wanted.organization_id,
            "status": wanted.status,
            "platform": wanted.platform,
            "q": wanted.text,
        }
        after_id = 0 if cursor is None else int(self._cursors.decode(cursor, filters)[0])
        found = self._metadata.list_campaigns(wanted, after_id, limit + 1)
        return self._cursors.page(found, limit, lambda campaign: (campaign.id,), filters)

    def replace(self, campaign_id: int, draft: CampaignDraft, *, if_match: str | None, actor: Actor) -> Campaign:
        """The campaign with all its settings replaced by the draft's.

        ``if_match`` is the header of that name: entity tags as ``campaign_etag`` makes them, or ``*``. Raises
        ``PreconditionRequired`` without it and ``PreconditionFailed`` when the campaign is another one by now.
        """
        campaign = self.get(campaign_id, actor)
        actor.require(Role.ANALYST)
        if if_match is None:
            raise PreconditionRequired(
                "replacing a campaign needs If-Match with the ETag of the campaign as it was read",
                hint=f"GET the campaign and send its ETag along; now it is {campaign_etag(campaign)}",
            )
        any_version = if_match.strip() == "*"
        if not any_version and campaign_etag(campaign) not in _entity_tags(if_match):
            raise _stale(campaign)
        outcome = self._metadata.replace_campaign(campaign_id, draft, None if any_version else campaign.version)
        match outcome:
            case Campaign():
                return outcome
            case NativeClaim():
                raise _claimed(outcome)
            case Refusal.HAS_EVENTS:
                raise Conflict(
                    f"campaign {campaign_id} has events: its currency and timezone cannot change any more",
                    hint=_HAS_EVENTS_HINT,
                    code="campaign_has_events",
                )
            case Refusal.STALE:
                raise _stale(campaign)
            case Refusal.MISSING:
                raise _missing(campaign_id)


def campaign_etag(campaign: Campaign) -> str:
    """The strong entity tag of a campaign's settings, with its quotes."""
    return f'"campaign-{campaign.id}-{campaign.version}"'


def _entity_tags(header: str) -> list[str]:
    """The tags of an If-Match header. A weak one (``W/"..."``) never matches a strong one, so it may stay as it is."""
    return [tag.strip() for tag in header.split(",")]


def _missing(campaign_id: int) -> NotFound:
    return NotFound(f"there is no campaign {campaign_id}")


def _stale(campaign: Campaign) -> PreconditionFailed:
    return PreconditionFailed(
        f"campaign {campaign.id} has changed since it was read",
        hint="GET it again, repeat the change on what is there now, and send the new ETag",
    )


def _claimed(claim: NativeClaim) -> Conflict:
    link = claim.link
    return Conflict(
        f"{link.platform.value} campaign {link.external_id} of account {link.account_id} belongs to campaign"
        f" {claim.campaign_id} ({claim.campaign_name}) on some of these days",
        hint="a native campaign's days can belong to one campaign only: part them by valid_from and valid_to",
        code="native_campaign_claimed",
    )
