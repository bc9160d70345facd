"""The campaigns that a question about insights is about."""

from collections.abc import Mapping
from functools import cached_property

from campaignctl.domain.insights import Dimension, InsightQuery
from campaignctl.errors import InvalidInput
from campaignctl.ports.metadata import CampaignFacts, CampaignFilter

_DIMENSIONS_OF_ROLLUP = {Dimension.PLATFORM, Dimension.REGION, Dimension.CAMPAIGN}


class Scope:
    """Campaigns of one organization, as they are set now."""

    def __init__(
        self, facts: Mapping[int, CampaignFacts], *, named: bool, chosen: CampaignFilter | None = None
    ) -> None:
        self.facts = facts
        self.named = named
        """Whether the question names them; else they are those that ``chosen`` finds at the moment, or all."""
        self.choice = None if chosen is None else (chosen.status, chosen.text)
        """What the cursors of an answer hold for, beside the question; None when the campaigns are named."""
        organizations = {one.organization_id for one in facts.values()}
        if len(organizations) > 1:
            raise InvalidInput.of(
                "campaign", "must name campaigns of one organization, because each has currency rates of its own"
            )
        self.organization_id = next(iter(organizations), None)
        """Whose rates count; None without campaigns."""

    @property
    def linked_platforms(self) -> frozenset[str]:
        return frozenset(platform for one in self.facts.values() for platform in one.platforms)

    @property
    def rates_version(self) -> int:
        return next((one.rates_version for one in self.facts.values()), 0)

    def versions(self, rates_version: int) -> list[list[int]]:
        """Of everything in the stores that an answer is made from."""
        return [[rates_version], *self._campaign_versions]

    @cached_property
    def _campaign_versions(self) -> list[list[int]]:
        return sorted([one.id, one.organization_id, one.version, one.data_version] for one in self.facts.values())

    def fits_rollup(self, query: InsightQuery) -> bool:
        """Whether sums by day, in the campaigns' own zones, as they are now, are what is asked for."""
        zones_agree = all(one.timezone == query.zone.key for one in self.facts.values())
        return zones_agree and query.as_of is None and set(query.group_by) <= _DIMENSIONS_OF_ROLLUP
