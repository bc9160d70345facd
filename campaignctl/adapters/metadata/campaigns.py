"""Campaigns, the native campaigns they claim, and what ingestion and insights need of them."""

from collections.abc import Collection, Iterable
from datetime import date
from itertools import groupby
from operator import itemgetter
from threading import Lock

from cachetools import LRUCache

from campaignctl.adapters.metadata.database import (
    Database,
    Row,
    Tables,
    Transaction,
    Value,
    day_of,
    day_text,
    from_us,
    given,
    is_id,
)
from campaignctl.domain.campaigns import (
    BudgetPeriod,
    Campaign,
    CampaignDraft,
    CampaignStatus,
    LinkLevel,
    PlatformLink,
    name_key,
)
from campaignctl.domain.platforms import Platform
from campaignctl.ports.clock import Clock
from campaignctl.ports.metadata import CampaignFacts, CampaignFilter, ClaimedNative, NativeClaim, Refusal
from campaignctl.ports.reports import AccountKey, NativeCampaign

_FACTS_AT_HAND = 2_048
"""Of so many campaigns; some hundred bytes each."""
_LIKE_ESCAPES = str.maketrans({"!": "!!", "%": "!%", "_": "!_"})


class _ClaimedError(Exception):
    """Rolls the transaction back; a value of the port by the time it leaves this module."""

    def __init__(self, claim: NativeClaim) -> None:
        super().__init__()
        self.claim = claim


class CampaignTables(Tables):
    def __init__(self, database: Database, clock: Clock) -> None:
        super().__init__(database, clock)
        self._at_hand: LRUCache[int, tuple[tuple[int, int], CampaignFacts]] = LRUCache(_FACTS_AT_HAND)
        self._at_hand_lock = Lock()

    def add_campaign(self, organization_id: int, draft: CampaignDraft, /) -> Campaign | NativeClaim:
        try:
            with self._database.writing() as tx:
                tx.run("lock_claims", organization_id=organization_id)
                now_us = self._now_us()
                row = tx.one("add_campaign", organization_id=organization_id, now_us=now_us, **_settings(draft))
                campaign_id = int(given(row)["id"])
                _add_links(tx, organization_id, campaign_id, draft.platforms)
                return _stored(tx, campaign_id)
        except _ClaimedError as error:
            return error.claim

    def campaign(self, campaign_id: int, /) -> Campaign | None:
        if not is_id(campaign_id):
            return None
        with self._database.reading() as tx:
            row = tx.one("fetch_campaign", campaign_id=campaign_id)
            return None if row is None else _campaign(tx, row)

    def list_campaigns(self, wanted: CampaignFilter, after_id: int, limit: int, /) -> list[Campaign]:
        with self._database.reading() as tx:
            rows = tx.all("list_campaigns", **_filters(wanted), after_id=after_id, limit=limit)
            return [_campaign(tx, row) for row in rows]

    def replace_campaign(
        self, campaign_id: int, draft: CampaignDraft, expected_version: int | None, /
    ) -> Campaign | NativeClaim | Refusal:
        try:
            with self._database.writing() as tx:
                return self._replace(tx, campaign_id, draft, expected_version)
        except _ClaimedError as error:
            return error.claim

    def _replace(
        self, tx: Transaction, campaign_id: int, draft: CampaignDraft, expected_version: int | None
    ) -> Campaign | Refusal:
        row = tx.one("fetch_campaign", campaign_id=campaign_id)
        if row is None:
            return Refusal.MISSING
        tx.run("lock_claims", organization_id=row["organization_id"])
        changed = tx.run(
            "change_campaign",
            campaign_id=campaign_id,
            expected_version=expected_version or 0,
            now_us=self._now_us(),
            **_settings(draft),
        )
        if not changed:
            stored = _stored(tx, campaign_id)
            stale = expected_version is not None and stored.version != expected_version
            return Refusal.STALE if stale else Refusal.HAS_EVENTS
        tx.run("remove_platform_links", campaign_id=campaign_id)
        tx.run("remove_native_claims", campaign_id=campaign_id)
        _add_links(tx, row["organization_id"], campaign_id, draft.platforms)
        return _stored(tx, campaign_id)

    def claim_for_events(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        with self._database.reading() as tx:
            facts, unmarked = _read_facts(tx, campaign_ids)
        if not unmarked:
            return facts
        with self._database.writing() as tx:
            for campaign_id in sorted(unmarked):
                tx.run("mark_campaign_as_having_events", campaign_id=campaign_id)
            # Only what is read now that they are marked cannot change any more.
            marked, _ = _read_facts(tx, unmarked)
        return {id_: fact for id_, fact in facts.items() if id_ not in unmarked} | marked

    def campaign_facts(self, campaign_ids: Collection[int], /) -> dict[int, CampaignFacts]:
        ids = ids_among(campaign_ids)
        if len(ids) == 1:  # every answer about insights begins with this one
            changes = self._database.changes()
            facts = facts_of(self._database.ask("fetch_facts_of_campaign", campaign_id=ids[0]))[0]
            if changes is not None and facts:
                with self._at_hand_lock:
                    self._at_hand[ids[0]] = changes, facts[ids[0]]
            return facts
        with self._database.reading() as tx:
            return _read_facts(tx, ids)[0]

    def facts_at_hand(self, campaign_id: int, /) -> CampaignFacts | None:
        with self._at_hand_lock:
            changes, facts = self._at_hand.get(campaign_id, (None, None))
        # Read after that value was, so nothing that was committed later is missing while the value stays.
        return facts if facts is not None and self._database.changes() == changes else None

    def facts_of_chosen(self, wanted: CampaignFilter, /) -> dict[int, CampaignFacts]:
        return facts_of(self._database.ask("facts_of_chosen_campaigns", **_filters(wanted)))[0]

    def campaign_ids(self, organization_id: int | None, /) -> list[int]:
        with self._database.reading() as tx:
            return [row["id"] for row in tx.all("fetch_campaign_ids", organization_id=organization_id)]

    def claims_of_account(self, account: AccountKey, /) -> list[ClaimedNative]:
        with self._database.reading() as tx:
            rows = _claims(tx, account)
            claims = [
                ClaimedNative(
                    row["campaign_id"],
                    LinkLevel(row["level"]),
                    row["native_key"],
                    day_of(row["valid_from"]) or date.min,
                    day_of(row["valid_to"]) or date.max,
                )
                for row in rows
            ]
        return sorted(claims, key=lambda claim: (claim.campaign_id, claim.first_day, claim.native_id, claim.level))

    def campaigns_claiming(self, natives: Collection[NativeCampaign], /) -> set[int]:
        wanted = {(*native.account, native.level, native.native_id) for native in natives}
        claiming: set[int] = set()
        with self._database.reading() as tx:
            for account in sorted({native.account for native in natives}):
                for row in _claims(tx, account):
                    scope = (*account, row["level"])
                    if (*scope, row["native_key"]) in wanted or (*scope, "") in wanted:
                        claiming.add(row["campaign_id"])
        return claiming

    def links_of(self, campaign_ids: Collection[int], /) -> dict[int, list[PlatformLink]]:
        with self._database.reading() as tx:
            rows = tx.all_over("fetch_links_of_campaigns", campaign_ids=ids_among(campaign_ids))
        by_campaign = groupby(rows, key=itemgetter("campaign_id"))
        return {campaign_id: list(map(_link, group)) for campaign_id, group in by_campaign}

    def bump_data_versions(self, campaign_ids: Collection[int], /) -> None:
        with self._database.writing() as tx:
            for campaign_id in ids_among(campaign_ids):
                tx.run("bump_data_version", campaign_id=campaign_id)


def _claims(tx: Transaction, account: AccountKey) -> list[Row]:
    return tx.all(
        "claims_of_account",
        organization_id=account.organization_id,
        platform=account.platform,
        account_key=account.account_id,
    )


def _settings(draft: CampaignDraft) -> dict[str, Value]:
    return {
        "name": draft.name,
        "name_key": name_key(draft.name),
        "budget_micros": draft.budget_micros,
        "budget_period": draft.budget_period.value,
        "currency": draft.currency,
        "timezone": draft.timezone,
        "start_date": day_text(draft.start_date),
        "end_date": day_text(draft.end_date),
        "status": draft.status.value,
    }


def _add_links(tx: Transaction, organization_id: int, campaign_id: int, links: Iterable[PlatformLink]) -> None:
    for position, link in enumerate(links):
        platform, account_key, level, native_key = link.native_campaign
        native: dict[str, Value] = {
            "organization_id": organization_id,
            "campaign_id": campaign_id,
            "platform": platform,
            "account_key": account_key,
            "level": level,
            "native_key": native_key,
        }
        claim = tx.one("find_claim", first_day=link.first_day.isoformat(), last_day=link.last_day.isoformat(), **native)
        if claim is not None:
            raise _ClaimedError(NativeClaim(link, claim["id"], claim["name"]))
        days: dict[str, Value] = {"valid_from": day_text(link.valid_from), "valid_to": day_text(link.valid_to)}
        tx.run(
            "add_platform_link",
            organization_id=organization_id,
            campaign_id=campaign_id,
            position=position,
            platform=platform,
            account_id=link.account_id,
            external_id=link.external_id,
            level=level,
            **days,
        )
        tx.run("add_native_claim", position=position, **native, **days)


def _stored(tx: Transaction, campaign_id: int) -> Campaign:
    return _campaign(tx, given(tx.one("fetch_campaign", campaign_id=campaign_id)))


def _campaign(tx: Transaction, row: Row) -> Campaign:
    links = tx.all("fetch_platform_links", campaign_id=row["id"])
    return Campaign(
        id=row["id"],
        organization_id=row["organization_id"],
        name=row["name"],
        platforms=tuple(map(_link, links)),
        budget_micros=row["budget_micros"],
        budget_period=BudgetPeriod(row["budget_period"]),
        currency=row["currency"],
        timezone=row["timezone"],
        start_date=day_of(row["start_date"]),
        end_date=day_of(row["end_date"]),
        status=CampaignStatus(row["status"]),
        version=row["version"],
        created_at=from_us(row["created_at_us"]),
        updated_at=from_us(row["updated_at_us"]),
    )


def _link(row: Row) -> PlatformLink:
    return PlatformLink(
        platform=Platform(row["platform"]),
        account_id=row["account_id"],
        external_id=row["external_id"],
        level=LinkLevel(row["level"]),
        valid_from=day_of(row["valid_from"]),
        valid_to=day_of(row["valid_to"]),
    )


def _read_facts(tx: Transaction, campaign_ids: Collection[int]) -> tuple[dict[int, CampaignFacts], set[int]]:
    return facts_of(tx.all_over("fetch_facts_of_campaigns", campaign_ids=ids_among(campaign_ids)))


def ids_among(numbers: Collection[int]) -> list[int]:
    """Those that can be ids of ours, ascending, each once."""
    return sorted(filter(is_id, set(numbers)))


def _filters(wanted: CampaignFilter) -> dict[str, Value]:
    text = wanted.text
    return {
        "organization_id": wanted.organization_id,
        "status": wanted.status,
        "platform": wanted.platform,
        "name_pattern": None if text is None else f"%{name_key(text).translate(_LIKE_ESCAPES)}%",
    }


def facts_of(rows: Iterable[Row]) -> tuple[dict[int, CampaignFacts], set[int]]:
    """The facts of the campaigns that exist, and which of these are not marked as having events.

    ``rows`` are those of ``fetch_facts_of_campaigns``, the ones of a campaign together.
    """
    facts: dict[int, CampaignFacts] = {}
    unmarked: set[int] = set()
    for campaign_id, group in groupby(rows, key=itemgetter("id")):
        links = list(group)
        first = links[0]
        facts[campaign_id] = CampaignFacts(
            id=campaign_id,
            organization_id=first["organization_id"],
            timezone=first["timezone"],
            currency=first["currency"],
            platforms=tuple(row["platform"] for row in links if row["platform"] is not None),
            version=first["version"],
            data_version=first["data_version"],
            rates_version=first["rates_version"],
        )
        if not first["has_events"]:
            unmarked.add(campaign_id)
    return facts, unmarked
