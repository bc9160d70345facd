"""Campaigns: list, create, show, replace."""

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl.domain.campaigns import Campaign, CampaignStatus, campaign_draft, campaign_fields
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Role
from campaignctl.services.campaign_choice import read_choice
from campaignctl.services.campaigns import campaign_etag
from server.dependencies import Call
from server.operations import Answer, Body, Operation, Param, serves
from server.paging import CURSOR, LIMIT, LINK_HEADER, answer_page, limit_of
from server.schemas.campaigns import CampaignIn, CampaignOut, CampaignPage

router = APIRouter(prefix="/api/v1/campaigns")

CAMPAIGN_ID = Param(
    "campaign_id", "The campaign's number.", {"type": "integer", "minimum": 1}, place="path", example=42
)

STATUS = Param("status", "Only campaigns of this status.", {"type": "string", "enum": list(CampaignStatus)})
NAME_PART = Param(
    "q", "Only campaigns with this in the name, compared without case.", {"type": "string", "maxLength": 200}
)

_EXAMPLE_IN = {
    "name": "Spring sale",
    "platforms": [{"platform": "meta", "account_id": "act_1002003", "external_id": "23840001"}],
    "budget": 5000,
    "budget_period": "monthly",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "start_date": "2026-03-01",
}
_EXAMPLE_OUT = {
    "id": 42,
    "name": "Spring sale",
    "platforms": [
        {
            "platform": "meta",
            "account_id": "act_1002003",
            "external_id": "23840001",
            "level": "campaign",
            "valid_from": None,
            "valid_to": None,
        }
    ],
    "budget": 5000,
    "budget_period": "monthly",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "start_date": "2026-03-01",
    "end_date": None,
    "status": "active",
    "created_at": "2026-02-20T09:00:00Z",
    "updated_at": "2026-02-20T09:00:00Z",
}


def _shown(campaign: Campaign) -> dict[str, object]:
    times = {"created_at": campaign.created_at, "updated_at": campaign.updated_at}
    return {"id": campaign.id, **campaign_fields(campaign), **times}


def _headers(campaign: Campaign) -> dict[str, str]:
    return {"ETag": campaign_etag(campaign), "Cache-Control": "private, no-cache", "Vary": "Authorization"}


@serves(
    router,
    Operation(
        "GET",
        "",
        id="listCampaigns",
        tag="campaigns",
        summary="List campaigns",
        params=(
            STATUS,
            Param("platform", "Only those that list this platform.", {"type": "string", "enum": list(Platform)}),
            NAME_PART,
            LIMIT,
            CURSOR,
        ),
        answers={
            200: Answer(
                "A page, in order of creation.",
                {"application/json": CampaignPage},
                headers=LINK_HEADER,
                example={"items": [_EXAMPLE_OUT], "next_cursor": None},
            )
        },
    ),
)
def list_campaigns(call: Call) -> Response:
    choice = read_choice(call.ones())
    page = call.app.campaigns.list(call.actor, **choice, limit=limit_of(call), cursor=call.one("cursor"))
    return answer_page(call, page, _shown)


@serves(
    router,
    Operation(
        "POST",
        "",
        id="createCampaign",
        tag="campaigns",
        summary="Create a campaign",
        body=Body({"application/json": CampaignIn}, example=_EXAMPLE_IN),
        answers={
            201: Answer(
                "The campaign.",
                {"application/json": CampaignOut},
                headers={"Location": "Its path.", "ETag": "Its version, for If-Match."},
                example=_EXAMPLE_OUT,
            )
        },
        problems=(409,),
        idempotent=True,
    ),
)
def create_campaign(call: Call) -> Response:
    call.actor.require(Role.ANALYST)  # before the body is judged
    campaign = call.app.campaigns.create(campaign_draft(call.json()), call.actor)
    headers = {"Location": f"{router.prefix}/{campaign.id}", "ETag": campaign_etag(campaign)}
    return call.answer(_shown(campaign), status=201, headers=headers)


@serves(
    router,
    Operation(
        "GET",
        "/{campaign_id}",
        id="getCampaign",
        tag="campaigns",
        summary="Show a campaign",
        params=(
            CAMPAIGN_ID,
            Param("If-None-Match", "The ETag of a copy.", {"type": "string"}, place="header"),
        ),
        answers={
            200: Answer(
                "The campaign.",
                {"application/json": CampaignOut},
                headers={"ETag": "Its version, for If-Match."},
                example=_EXAMPLE_OUT,
            ),
            304: Answer("The copy still holds."),
        },
        problems=(404,),
    ),
)
def show_campaign(call: Call) -> Response:
    campaign = call.app.campaigns.get(call.id_in_path("campaign_id"), call.actor)
    headers = _headers(campaign)
    return call.unchanged(headers) if call.has(headers["ETag"]) else call.answer(_shown(campaign), headers=headers)


@serves(
    router,
    Operation(
        "PUT",
        "/{campaign_id}",
        id="replaceCampaign",
        tag="campaigns",
        summary="Replace a campaign's settings",
        description="Members left out get their defaults. Currency and time zone are fixed once there are events.",
        params=(
            CAMPAIGN_ID,
            Param(
                "If-Match", "The ETag of the campaign as it was read (428 without).", {"type": "string"}, place="header"
            ),
        ),
        body=Body({"application/json": CampaignIn}, example=_EXAMPLE_IN),
        answers={
            200: Answer(
                "The campaign as it is now.",
                {"application/json": CampaignOut},
                headers={"ETag": "Its new version."},
                example=_EXAMPLE_OUT,
            )
        },
        problems=(404, 409, 412, 428),
    ),
)
def replace_campaign(call: Call) -> Response:
    campaign_id = call.id_in_path("campaign_id")
    call.app.campaigns.get(campaign_id, call.actor)  # what the caller cannot see is missing before anything else
    call.actor.require(Role.ANALYST)
    if_match = call.request.headers.get("if-match")
    campaign = call.app.campaigns.replace(campaign_id, campaign_draft(call.json()), if_match=if_match, actor=call.actor)
    return call.answer(_shown(campaign), headers=_headers(campaign))
