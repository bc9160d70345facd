"""Dead letters as an actor may see them: a page of a listing, newest first, and one by its id.

A letter that came by HTTP belongs to its sender's organization, one by the log to its campaign's; every other is for
the operator of the machine only.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from campaignctl.domain.dead_letters import DeadLetter, FromRequest, LetterFilter
from campaignctl.domain.erased_events import ErasedEvents
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import InvalidInput, NotFound
from campaignctl.ports.letters import LetterReplayStore
from campaignctl.ports.metadata import CampaignFactsStore, SecretStore
from campaignctl.services.cursors import DEFAULT_LIMIT, Cursors, Page, checked_limit
from campaignctl.services.dead_letters import DeadLetters, StoredLetter

# What one page looks through and holds at most; it may then have fewer items than asked for, and a cursor to go on.
MAX_LOOKED_THROUGH = 50_000
MAX_PAGE_BYTES = 8 << 20
# Letters are refused by one clock and taken by another one.
_CLOCKS_APART_MS = 86_400_000


class LetterRecords(CampaignFactsStore, SecretStore, LetterReplayStore, Protocol):
    """What the listing needs of the metadata store."""


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A letter as it is shown."""

    stored: StoredLetter
    replayed_at: datetime | None
    """When it was last produced again; None when it never was."""


class Visibility:
    """Which letters an actor may see, as of now: none of an erased event, none that went with its campaign."""

    def __init__(self, actor: Actor, metadata: CampaignFactsStore) -> None:
        self._organization_id = actor.organization_id
        self._erased = metadata.erased_campaigns()
        self._erased_events = ErasedEvents(metadata.erased_events())
        self._campaigns: Collection[int] = ()
        if self._organization_id is not None:
            self._campaigns = frozenset(metadata.campaign_ids(self._organization_id))

    def sees(self, letter: DeadLetter) -> bool:
        erased_at = self._erased.get(letter.campaign_id or 0)
        if erased_at is not None and letter.at <= erased_at:
            return False
        if self._erased_events.covers_record(letter.campaign_id, letter.value):
            return False
        if self._organization_id is None:
            return True
        if isinstance(letter.origin, FromRequest):
            return letter.origin.organization_id == self._organization_id
        return letter.campaign_id in self._campaigns


class LetterListing:
    """For operators."""

    def __init__(self, letters: DeadLetters, metadata: LetterRecords) -> None:
        self._letters = letters
        self._metadata = metadata
        self._cursors = Cursors("dead-letters", lambda: metadata.installation_secret("cursors"))

    def page(
        self, actor: Actor, wanted: LetterFilter, *, limit: int = DEFAULT_LIMIT, cursor: str | None = None
    ) -> Page[ListedLetter]:
        """The newest letters that pass the filter, or those behind the cursor."""
        actor.require(Role.OPERATOR)
        checked_limit(limit)
        filters: dict[str, object] = {
            "organization": actor.organization_id,
            "reason": wanted.reason,
            "campaign": wanted.campaign_id,
            "since": wanted.since_us,
            "until": wanted.until_us,
        }
        ends = self._ends(cursor, filters)
        visible, items = Visibility(actor, self._metadata), list[StoredLetter]()
        page_ends, page_bytes, more = dict(ends), 0, False
        for looked_through, stored in enumerate(self._letters.newest_first(ends)):
            if wanted.since_us is not None and stored.time_ms < wanted.since_us // 1_000 - _CLOCKS_APART_MS:
                break  # all that lie before it are older still
            if looked_through == MAX_LOOKED_THROUGH:
                more = True
                break
            if wanted.accepts(stored.letter) and visible.sees(stored.letter):
                page_bytes += len(stored.letter.value)
                if len(items) == limit or (items and page_bytes > MAX_PAGE_BYTES):
                    more = True
                    break
                items.append(stored)
            page_ends[stored.partition] = stored.offset
        following = self._cursors.encode(_flat(page_ends), filters) if more else None
        return Page(tuple(self._listed(items)), following)

    def get(self, actor: Actor, letter_id: str) -> ListedLetter:
        """One letter; raises ``NotFound``, also where it is not for the actor to see."""
        actor.require(Role.OPERATOR)
        stored = self._letters.find(letter_id)
        if stored is None or not Visibility(actor, self._metadata).sees(stored.letter):
            raise NotFound("there is no dead letter of this id", hint="list them with: campaignctl dlq list")
        return self._listed([stored])[0]

    def _listed(self, letters: Sequence[StoredLetter]) -> list[ListedLetter]:
        replayed: dict[tuple[int, int], datetime] = {}
        incarnation = self._letters.incarnation() if letters else ""
        for partition in {one.partition for one in letters}:
            offsets = [one.offset for one in letters if one.partition == partition]
            known = self._metadata.replayed_letters(incarnation, partition, min(offsets), max(offsets) + 1)
            replayed |= {(partition, offset): at for offset, at in known.items()}
        return [ListedLetter(one, replayed.get((one.partition, one.offset))) for one in letters]

    def _ends(self, cursor: str | None, filters: dict[str, object]) -> dict[int, int]:
        if cursor is None:
            return {number: marks.end for number, marks in self._letters.kept().items()}
        flat = self._cursors.decode(cursor, filters)
        if not all(isinstance(one, int) for one in flat):
            raise InvalidInput.of("cursor", "is not a next_cursor of this list")
        numbers = [int(one) for one in flat]
        return dict(zip(numbers[::2], numbers[1::2], strict=True))


def _flat(ends: dict[int, int]) -> list[int]:
    return [number for pair in sorted(ends.items()) for number in pair]
