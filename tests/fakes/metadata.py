"""Campaign settings in memory."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from campaignctl.domain.campaigns import PlatformLink
from campaignctl.domain.erased_events import EventErasure, event_digest
from campaignctl.errors import Unavailable
from campaignctl.ports.metadata import CampaignFacts, CampaignFilter
from campaignctl.ports.reports import NativeCampaign


class FakeCampaigns:
    """A ``CampaignFactsStore``; ``down`` makes every call fail."""

    def __init__(self) -> None:
        self.facts: dict[int, CampaignFacts] = {}
        self.claimed: set[int] = set()
        self.claims: dict[NativeCampaign, int] = {}
        self.asked: Counter[int] = Counter()
        self.bumps: Counter[int] = Counter()
        self.links: dict[int, list[PlatformLink]] = {}
        self.erased: dict[int, datetime] = {}
        self.event_erasures: dict[int, EventErasure] = {}
        self.quarantined: set[tuple[int, int]] = set()
        self.work: dict[int, tuple[int, str, int]] = {}
        """By partition: where the last process began, who it was ("": it ended alive), and how many died there."""
        self.down = False

    def add(
        self,
        campaign_id: int,
        *,
        timezone: str = "UTC",
        currency: str = "USD",
        organization_id: int = 1,
        links: Sequence[PlatformLink] = (),
    ) -> CampaignFacts:
        platforms = tuple(sorted({str(link.platform) for link in links}))
        facts = CampaignFacts(campaign_id, organization_id, timezone, currency, platforms, 1, 0, 0)
        self.facts[campaign_id] = facts
        self.links[campaign_id] = list(links)
        return facts

    def remove(self, campaign_id: int) -> None:
        del self.facts[campaign_id]

    def erase(self, campaign_id: int, at: datetime) -> None:
        del self.facts[campaign_id]
        self.erased[campaign_id] = at

    def erased_campaigns(self) -> dict[int, datetime]:
        self._check()
        return dict(self.erased)

    def erase_event(self, campaign_id: int, event_id: str, at: datetime) -> None:
        digests = frozenset([event_digest(campaign_id, event_id)])
        self.event_erasures[len(self.event_erasures) + 1] = EventErasure(campaign_id, digests, at)

    def erased_events(self, known: Collection[int] = (), /) -> dict[int, EventErasure]:
        self._check()
        return {number: one for number, one in self.event_erasures.items() if number not in known}

    def quarantined_records(self, incarnation: str, /) -> frozenset[tuple[int, int]]:
        self._check()
        return frozenset(self.quarantined)

    def quarantine(self, incarnation: str, partition: int, offsets: Collection[int], /) -> None:
        self._check()
        self.quarantined |= {(partition, offset) for offset in offsets}

    def begin_work(self, incarnation: str, partition: int, offset: int, owner: str, /) -> int:
        self._check()
        start, before, deaths = self.work.get(partition, (offset, owner, 0))
        deaths = (deaths if start == offset else 0) + (before not in (owner, ""))
        self.work[partition] = offset, owner, deaths
        return deaths

    def end_work(self, incarnation: str, partition: int, owner: str, /) -> None:
        self._check()
        start, before, deaths = self.work[partition]
        self.work[partition] = start, "" if before == owner else before, deaths

    def erasing(self) -> set[int]:
        self._check()
        return set()

    def claim_for_events(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        found = self.campaign_facts(campaign_ids)
        self.claimed |= set(found)
        return found

    def campaign_facts(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        self._check()
        self.asked.update(campaign_ids)
        return {one: self.facts[one] for one in campaign_ids if one in self.facts}

    def facts_at_hand(self, campaign_id: int, /) -> CampaignFacts | None:
        return None if self.down else self.facts.get(campaign_id)

    def campaign_ids(self, organization_id: int | None, /) -> list[int]:
        self._check()
        return sorted(f.id for f in self.facts.values() if organization_id in (None, f.organization_id))

    def facts_of_chosen(self, wanted: CampaignFilter, /) -> dict[int, CampaignFacts]:
        if (wanted.status, wanted.platform, wanted.text) != (None, None, None):
            raise NotImplementedError("these campaigns have neither names nor states")
        return self.campaign_facts(self.campaign_ids(wanted.organization_id))

    def campaigns_claiming(self, natives: Collection[NativeCampaign], /) -> set[int]:
        self._check()
        return {
            campaign_id
            for native, campaign_id in self.claims.items()
            if native in natives or replace(native, native_id="") in natives
        }

    def links_of(self, campaign_ids: Collection[int], /) -> dict[int, list[PlatformLink]]:
        self._check()
        return {one: self.links[one] for one in campaign_ids if self.links.get(one)}

    def bump_data_versions(self, campaign_ids: Collection[int], /) -> None:
        self._check()
        for one in campaign_ids:
            self.bumps[one] += 1
            if one in self.facts:
                self.facts[one] = replace(self.facts[one], data_version=self.facts[one].data_version + 1)

    def _check(self) -> None:
        if self.down:
            raise Unavailable("The metadata store is away.", service="metadata")
