"""Taking events over HTTP: what is valid goes to the events topic, what is not to the dead letters, both durably."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from campaignctl.domain.dead_letters import FromRequest, dead_letter
from campaignctl.domain.events import EventColumns, EventLimits, Reject, decode_events
from campaignctl.domain.users import Actor
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, NewRecord
from campaignctl.ports.metadata import CampaignFactsStore
from campaignctl.services.event_bodies import split_json_array, split_ndjson
from campaignctl.services.ingestion import unknown_campaign
from campaignctl.services.landing import letter_record
from campaignctl.services.positions import Positions

__all__ = ["Accepted", "EventIntake", "Rejected", "split_json_array", "split_ndjson"]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that was refused."""

    index: int
    """Its place in the request, from 0."""
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Accepted:
    """What became of a request's records."""

    accepted: int
    """Records that are durable in the events topic, copies too."""
    rejected: list[Rejected]
    position: str
    """For ``Positions.wait``: reached when every accepted record is applied."""


@dataclass(frozen=True, slots=True)
class Judged:
    """Records by what they are worth."""

    valid: list[tuple[int, int]]
    """Place and campaign of each valid one."""
    rejects: list[Reject]
    """By place."""


class EventIntake:
    def __init__(
        self,
        event_log: EventLog,
        metadata: CampaignFactsStore,
        positions: Positions,
        *,
        topic: str,
        dead_letter_topic: str,
        limits: EventLimits,
        clock: Clock,
    ) -> None:
        self._event_log = event_log
        self._metadata = metadata
        self._positions = positions
        self._topic = topic
        self._dead_letter_topic = dead_letter_topic
        self._limits = limits
        self._clock = clock

    def accept(self, records: Sequence[bytes], *, actor: Actor, request_id: str) -> Accepted:
        """Judge each record by itself, as of now, and store all of them before answering.

        A campaign of another organization is unknown. Raises ``Forbidden`` without the right to post events, and
        ``Unavailable`` when a store cannot be reached: the request may then be repeated, whatever was stored of it.
        """
        actor.require_ingest()
        now = self._clock.now()
        judged = self.judge(records, now, actor)
        rejects = judged.rejects
        # Repeating the request makes copies of its events, which count once, but new dead letters: hence these last.
        valid = [NewRecord(str(campaign_id).encode(), records[index]) for index, campaign_id in judged.valid]
        produced = self._event_log.produce(self._topic, valid) if valid else []
        if rejects:
            origins = [FromRequest(request_id, reject.index, actor.organization_id) for reject in rejects]
            letters = [
                dead_letter(reject, records[reject.index], now, origin)
                for reject, origin in zip(rejects, origins, strict=True)
            ]
            self._event_log.produce(self._dead_letter_topic, list(map(letter_record, letters)))
        position = self._positions.make(actor.organization_id, produced)
        return Accepted(len(valid), list(map(_rejected, rejects)), position)

    def judge(self, records: Sequence[bytes], now: datetime, actor: Actor) -> Judged:
        """Judge each record by itself, as of now; a campaign that the actor does not see is unknown."""
        now_ms = int(now.timestamp() * 1_000)
        columns, rejects = decode_events(records, [now_ms] * len(records), self._limits)
        known = self._known(columns, actor)
        named = list(zip(columns.index, columns.campaign_id, strict=True))
        rejects += [unknown_campaign(index, campaign_id) for index, campaign_id in named if campaign_id not in known]
        rejects.sort(key=lambda reject: reject.index)
        return Judged([(index, campaign_id) for index, campaign_id in named if campaign_id in known], rejects)

    def _known(self, columns: EventColumns, actor: Actor) -> set[int]:
        """The campaigns of the events that exist for the actor, asked each time: one may have been made just now."""
        facts = self._metadata.campaign_facts(set(columns.campaign_id))
        return {campaign_id for campaign_id, one in facts.items() if actor.sees(one.organization_id)}


def _rejected(reject: Reject) -> Rejected:
    return Rejected(reject.index, reject.reason.value, reject.message)
