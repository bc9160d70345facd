"""Campaigns as an actor may see and change them."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from campaignctl.adapters.metadata.sqlite import SQLiteMetadata
from campaignctl.domain.campaigns import CampaignDraft, CampaignStatus, PlatformLink
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Actor, Role
from campaignctl.errors import (
    Conflict,
    Forbidden,
    InvalidInput,
    NotFound,
    PreconditionFailed,
    PreconditionRequired,
)
from campaignctl.services.campaigns import CampaignService, campaign_etag
from campaignctl.services.schema import SchemaService
from tests.contracts.metadata_contract import StillClock, at_once


@pytest.fixture
def metadata(tmp_path: Path) -> Iterator[SQLiteMetadata]:
    store = SQLiteMetadata(tmp_path / "metadata.sqlite", StillClock())
    SchemaService([store]).apply(1)
    yield store
    store.close()


@pytest.fixture
def campaigns(metadata: SQLiteMetadata) -> CampaignService:
    return CampaignService(metadata)


@pytest.fixture
def acme(metadata: SQLiteMetadata) -> int:
    return metadata.ensure_organization("acme")


@pytest.fixture
def analyst(acme: int) -> Actor:
    return Actor(acme, Role.ANALYST, user_id=1, session_id=1)


@pytest.fixture
def stranger(metadata: SQLiteMetadata) -> Actor:
    return Actor(metadata.ensure_organization("strangers"), Role.ADMIN, user_id=2, session_id=2)


def as_role(actor: Actor, role: Role) -> Actor:
    return Actor(actor.organization_id, role, actor.user_id, actor.session_id)


def test_what_is_made_can_be_read(campaigns: CampaignService, analyst: Actor) -> None:
    made = campaigns.create(CampaignDraft("Summer"), analyst)
    assert (made.id, made.organization_id, made.name) == (1, analyst.organization_id, "Summer")
    assert campaigns.get(made.id, as_role(analyst, Role.VIEWER)) == made
    assert campaigns.get(made.id, Actor.machine_operator()) == made
    assert campaigns.get(made.id, Actor.machine_operator(analyst.organization_id)) == made


def test_a_viewer_reads_only(campaigns: CampaignService, analyst: Actor) -> None:
    made = campaigns.create(CampaignDraft("Summer"), analyst)
    viewer = as_role(analyst, Role.VIEWER)
    with pytest.raises(Forbidden):
        campaigns.create(CampaignDraft("x"), viewer)
    with pytest.raises(Forbidden):
        campaigns.replace(made.id, CampaignDraft("x"), if_match=campaign_etag(made), actor=viewer)
    assert campaigns.list(viewer).items == (made,)


def test_another_tenants_campaign_does_not_exist(campaigns: CampaignService, analyst: Actor, stranger: Actor) -> None:
    made = campaigns.create(CampaignDraft("Summer"), analyst)

    def answer(campaign_id: int, actor: Actor) -> tuple[type[Exception], str]:
        with pytest.raises(NotFound) as read:
            campaigns.get(campaign_id, actor)
        with pytest.raises(NotFound) as written:
            campaigns.replace(campaign_id, CampaignDraft("x"), if_match=None, actor=actor)
        assert str(read.value) == str(written.value)
        return type(read.value), read.value.message.replace(str(campaign_id), "N") + read.value.hint

    assert answer(made.id, stranger) == answer(99, stranger) == answer(99, analyst)
    for role in Role:
        assert answer(made.id, as_role(stranger, role)) == answer(10**30, stranger)
    assert campaigns.list(stranger).items == ()


def test_the_operator_of_the_machine_works_for_the_only_organization(
    campaigns: CampaignService, metadata: SQLiteMetadata
) -> None:
    operator = Actor.machine_operator()
    first = campaigns.create(CampaignDraft("a"), operator).organization_id
    assert first == metadata.ensure_organization("default")
    assert campaigns.create(CampaignDraft("c"), operator).organization_id == first
    other = metadata.ensure_organization("other")
    with pytest.raises(InvalidInput, match=r"1 is default, 2 is other.*--organization") as caught:
        campaigns.create(CampaignDraft("b"), operator)
    assert caught.value.errors[0].field == "organization"
    assert campaigns.create(CampaignDraft("b"), Actor.machine_operator(other)).organization_id == other
    assert [campaign.name for campaign in campaigns.list(operator).items] == ["a", "c", "b"]
    assert [campaign.name for campaign in campaigns.list(Actor.machine_operator(other)).items] == ["b"]


# Lists


def test_pages_lead_through_the_list(campaigns: CampaignService, analyst: Actor) -> None:
    for n in range(7):
        campaigns.create(CampaignDraft(f"c{n}"), analyst)
    names, cursor, pages = [], None, 0
    while True:
        page = campaigns.list(analyst, limit=3, cursor=cursor)
        names += [campaign.name for campaign in page.items]
        cursor, pages = page.next_cursor, pages + 1
        if cursor is None:
            break
        if pages == 1:
            campaigns.create(CampaignDraft("made meanwhile"), analyst)
    assert names == [*(f"c{n}" for n in range(7)), "made meanwhile"]
    assert pages == 3
    assert campaigns.list(analyst, limit=8).next_cursor is None


def test_filters(campaigns: CampaignService, analyst: Actor) -> None:
    meta = PlatformLink(Platform.META, "a", "c")
    campaigns.create(CampaignDraft("Summer Öl", (meta,)), analyst)
    campaigns.create(CampaignDraft("Winter 50%", status=CampaignStatus.PAUSED), analyst)

    def names(**filters: object) -> list[str]:
        return [campaign.name for campaign in campaigns.list(analyst, **filters).items]  # type: ignore[arg-type]

    assert names(status=CampaignStatus.PAUSED) == ["Winter 50%"]
    assert names(platform=Platform.META) == ["Summer Öl"]
    assert names(q="öL") == ["Summer Öl"]
    assert names(q="%") == ["Winter 50%"]
    assert names(q="") == ["Summer Öl", "Winter 50%"]
    assert names(q="'; DROP TABLE campaigns; --") == []


@pytest.mark.parametrize("limit", [0, -1, 201, 10**9])
def test_a_limit_has_limits(campaigns: CampaignService, analyst: Actor, limit: int) -> None:
    with pytest.raises(InvalidInput, match="limit: must lie between 1 and 200"):
        campaigns.list(analyst, limit=limit)


@pytest.mark.parametrize("q", ["x" * 201, "a\x00b", "\ud800"])
def test_what_cannot_be_searched(campaigns: CampaignService, analyst: Actor, q: str) -> None:
    with pytest.raises(InvalidInput, match=r"^q: "):
        campaigns.list(analyst, q=q)


def test_a_cursor_holds_for_its_list_only(
    campaigns: CampaignService, metadata: SQLiteMetadata, analyst: Actor, stranger: Actor
) -> None:
    for actor in (analyst, stranger):
        for n in range(3):
            campaigns.create(CampaignDraft(f"c{n}"), actor)
    cursor = campaigns.list(analyst, limit=1, q="c").next_cursor
    assert cursor is not None
    assert CampaignService(metadata).list(analyst, limit=2, q="c", cursor=cursor).items[0].name == "c1"
    bad = ["", "x", "é", "\ud800", "=" * 10, "x" * 100_000, cursor + "=", cursor[:-1], cursor + "A", cursor.swapcase()]
    bad += [cursor[:n] + ("A" if cursor[n] != "A" else "B") + cursor[n + 1 :] for n in range(len(cursor))]
    for text in bad:
        with pytest.raises(InvalidInput, match="cursor: is not a next_cursor of this list"):
            campaigns.list(analyst, q="c", cursor=text)
    with pytest.raises(InvalidInput):
        campaigns.list(stranger, q="c", cursor=cursor)
    with pytest.raises(InvalidInput):
        campaigns.list(Actor.machine_operator(), q="c", cursor=cursor)
    for filters in ({}, {"q": "C"}, {"q": "c", "status": CampaignStatus.ACTIVE}, {"q": "c", "platform": Platform.META}):
        with pytest.raises(InvalidInput):
            campaigns.list(analyst, cursor=cursor, **filters)  # type: ignore[arg-type]


# Replacing


def test_replacing_needs_the_version_that_was_read(campaigns: CampaignService, analyst: Actor) -> None:
    made = campaigns.create(CampaignDraft("a"), analyst)
    etag = campaign_etag(made)
    assert etag.startswith('"')
    assert etag.endswith('"')
    with pytest.raises(PreconditionRequired):
        campaigns.replace(made.id, CampaignDraft("b"), if_match=None, actor=analyst)
    changed = campaigns.replace(made.id, CampaignDraft("b"), if_match=etag, actor=analyst)
    assert (changed.name, changed.version) == ("b", 2)
    assert campaign_etag(changed) != etag
    for stale in (
        etag,
        f"W/{campaign_etag(changed)}",
        campaign_etag(changed).strip('"'),
        "",
        '"',
        "garbage",
        '"a", "b"',
    ):
        with pytest.raises(PreconditionFailed):
            campaigns.replace(made.id, CampaignDraft("c"), if_match=stale, actor=analyst)
    assert campaigns.replace(made.id, CampaignDraft("c"), if_match=f'"x" , {campaign_etag(changed)}', actor=analyst)
    assert campaigns.replace(made.id, CampaignDraft("d"), if_match="*", actor=analyst).version == 4


def test_another_campaigns_etag_does_not_match(campaigns: CampaignService, analyst: Actor) -> None:
    first, second = (campaigns.create(CampaignDraft(name), analyst) for name in "ab")
    with pytest.raises(PreconditionFailed):
        campaigns.replace(first.id, CampaignDraft("x"), if_match=campaign_etag(second), actor=analyst)


def test_of_fifty_replacements_with_one_etag_one_wins(campaigns: CampaignService, analyst: Actor) -> None:
    made = campaigns.create(CampaignDraft("a"), analyst)

    def put(n: int) -> str:
        try:
            return campaigns.replace(made.id, CampaignDraft(f"w{n}"), if_match=campaign_etag(made), actor=analyst).name
        except PreconditionFailed:
            return "412"

    outcomes = at_once([lambda n=n: put(n) for n in range(50)])
    assert outcomes.count("412") == 49
    assert {campaigns.get(made.id, analyst).name, "412"} == set(outcomes)


def test_currency_and_zone_stay_once_there_are_events(
    campaigns: CampaignService, metadata: SQLiteMetadata, analyst: Actor
) -> None:
    made = campaigns.create(CampaignDraft("a"), analyst)
    metadata.claim_for_events([made.id])
    for draft in (CampaignDraft("a", currency="EUR"), CampaignDraft("a", timezone="Asia/Tokyo")):
        for if_match in (campaign_etag(made), "*"):
            with pytest.raises(Conflict) as caught:
                campaigns.replace(made.id, draft, if_match=if_match, actor=analyst)
            assert caught.value.code == "campaign_has_events"
            assert "timezone=" in caught.value.hint
            assert "events export | campaignctl events send --as N" in caught.value.hint
    assert campaigns.replace(made.id, CampaignDraft("b"), if_match="*", actor=analyst).name == "b"


def test_a_native_campaign_has_one_owner(campaigns: CampaignService, analyst: Actor, stranger: Actor) -> None:
    links = (PlatformLink(Platform.META, "act_1", "c1"),)
    owner = campaigns.create(CampaignDraft("owner", links), analyst)
    other = campaigns.create(CampaignDraft("other"), analyst)
    campaigns.create(CampaignDraft("elsewhere", links), stranger)
    for attempt in (
        lambda: campaigns.create(CampaignDraft("x", links), analyst),
        lambda: campaigns.replace(other.id, CampaignDraft("x", links), if_match="*", actor=analyst),
    ):
        with pytest.raises(Conflict) as caught:
            attempt()
        assert caught.value.code == "native_campaign_claimed"
        assert f"campaign {owner.id} (owner)" in caught.value.message
    assert campaigns.replace(owner.id, CampaignDraft("owner", links), if_match="*", actor=analyst)
