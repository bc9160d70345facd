"""Campaign settings and currency rates in memory: what insights need of the metadata store."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import date

from campaignctl.domain.rates import Rate
from campaignctl.ports.metadata import CampaignFacts
from tests.fakes.metadata import FakeCampaigns


class FakeInsightMetadata(FakeCampaigns):
    """A ``CampaignFactsStore`` and ``LinkStore`` that is a ``RateStore`` too."""

    def __init__(self) -> None:
        super().__init__()
        self._rates: dict[int, dict[tuple[str, date, str], Rate]] = {}
        self._versions: dict[int, int] = {}

    def put_rates(self, organization_id: int, rates: Sequence[Rate], /) -> None:
        stored = self._rates.setdefault(organization_id, {})
        stored.update({(rate.currency, rate.day, rate.base): rate for rate in rates})
        self._versions[organization_id] = self._versions.get(organization_id, 0) + 1

    def campaign_facts(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        return {
            one: replace(facts, rates_version=self._versions.get(facts.organization_id, 0))
            for one, facts in super().campaign_facts(campaign_ids).items()
        }

    def facts_at_hand(self, campaign_id: int, /) -> CampaignFacts | None:
        return None if self.down else self.campaign_facts([campaign_id]).get(campaign_id)

    def rates_between(self, organization_id: int, base: str, first: date, last: date, /) -> tuple[int, list[Rate]]:
        stored = self._rates.get(organization_id, {})
        found = [rate for key, rate in sorted(stored.items()) if rate.base == base and first <= rate.day <= last]
        return self._versions.get(organization_id, 0), found
