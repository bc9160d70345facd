"""How the installation is doing: lag, rates, dependencies and dead letters; and how old each campaign's data is."""

import contextlib
from dataclasses import asdict
from datetime import datetime

from fastapi import APIRouter
from starlette.responses import Response

from campaignctl import __version__
from campaignctl.domain.insight_questions import parse_campaign_ids
from campaignctl.domain.platforms import Platform
from campaignctl.domain.users import Role
from campaignctl.errors import InvalidInput, Unavailable
from campaignctl.services.lag import GroupLag, Rates
from server.dependencies import Call, plain
from server.operations import Answer, Operation, Param, serves
from server.schemas.system import FreshnessOut, SystemOut

router = APIRouter(prefix="/api/v1")

_ROWS = 10_000
_LAG: dict[str, object] = {
    "topic": "campaign-events",
    "group": "campaignctl-worker",
    "lag_records": 12,
    "lag_seconds": 0.431,
    "partitions": [{"partition": 0, "committed": 1200, "end": 1212, "lag_records": 12, "lag_seconds": 0.431}],
}


@serves(
    router,
    Operation(
        "GET",
        "/system",
        id="getSystem",
        tag="health",
        summary="Lag, rates, dependencies and dead letters",
        description=(
            "Needs the role operator. `lag` and `dead_letters` are null while the event log cannot be asked, rates "
            "until this process has watched it twice."
        ),
        answers={
            200: Answer(
                "As of now.",
                {"application/json": SystemOut},
                example={
                    "version": "1.0.0",
                    "lag": _LAG,
                    "rates": {"window_seconds": 60.0, "appended_per_second": 812.5, "applied_per_second": 812.3},
                    "dependencies": {"metadata": {"status": "ok", "latency_ms": 0.8}},
                    "dead_letters": {"records": 3},
                },
            )
        },
    ),
)
def system(call: Call) -> Response:
    call.actor.require(Role.OPERATOR)
    lag: GroupLag | None = None
    dead_letters: int | None = None
    with contextlib.suppress(Unavailable):  # the dependencies say so
        lag = call.app.lag.lag()
        dead_letters = call.app.lag.dead_letters()
    checks = call.app.health.report().checks
    return call.answer(
        {
            "version": __version__,
            "lag": None if lag is None else _lag(lag),
            "rates": _rates(call.app.lag.rates()),
            "dependencies": {
                name: {member: value for member, value in asdict(verdict).items() if value != ""}
                for name, verdict in checks.items()
            },
            "dead_letters": None if dead_letters is None else {"records": dead_letters},
        }
    )


def _lag(lag: GroupLag) -> dict[str, object]:
    return {
        "topic": lag.topic,
        "group": lag.group,
        "lag_records": lag.lag_records,
        "lag_seconds": round(lag.lag_s, 3),
        "partitions": [
            {
                "partition": one.partition,
                "committed": one.committed,
                "end": one.end,
                "lag_records": one.lag_records,
                "lag_seconds": round(one.lag_s, 3),
            }
            for one in lag.partitions
        ],
    }


def _rates(rates: Rates) -> dict[str, float | None]:
    shown = {
        "window_seconds": rates.window_s,
        "appended_per_second": rates.appended_per_s,
        "applied_per_second": rates.applied_per_s,
    }
    return {name: None if value is None else round(value, 3) for name, value in shown.items()}


@serves(
    router,
    Operation(
        "GET",
        "/freshness",
        id="getFreshness",
        tag="insights",
        summary="Campaigns and platforms by the age of their newest data",
        description=(
            "The oldest first, and before them those of which nothing has come yet; of the active campaigns, unless "
            f"some are named. At most {_ROWS} rows."
        ),
        params=(
            Param("campaign", "These campaigns (default: the active ones).", {"type": "string"}, many=True),
            Param(
                "platform",
                f"Any of {', '.join(Platform)}, in any case; repeat it or give a comma list.",
                {"type": "string"},
                many=True,
            ),
        ),
        answers={
            200: Answer(
                "As of now.",
                {"application/json": FreshnessOut},
                example={
                    "items": [
                        {
                            "campaign_id": 42,
                            "campaign_name": "Diwali",
                            "platform": "meta",
                            "last_event_at": "2026-10-31T18:29:59.120000Z",
                            "last_report_at": None,
                            "age_seconds": 41.2,
                        }
                    ],
                    "truncated": False,
                },
            )
        },
        problems=(404,),
    ),
)
def freshness(call: Call) -> Response:
    platforms = _platforms(plain(call.query.get("platform", [])))
    found = call.app.freshness.of(call.actor, campaign_ids=parse_campaign_ids(call.query), platforms=platforms)
    items = [
        {
            "campaign_id": one.campaign_id,
            "campaign_name": one.campaign_name,
            "platform": one.platform,
            "last_event_at": _instant(one.last_event_at),
            "last_report_at": _instant(one.last_report_at),
            "age_seconds": None if one.age_s is None else round(one.age_s, 3),
        }
        for one in found[:_ROWS]
    ]
    return call.answer({"items": items, "truncated": len(found) > _ROWS})


def _platforms(names: list[str]) -> list[str]:
    wanted = [name.strip().lower() for name in names]
    if not set(wanted) <= set(Platform):
        raise InvalidInput.of("platform", f"must be any of {', '.join(Platform)}")
    return wanted


def _instant(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
