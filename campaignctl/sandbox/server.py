"""The sandbox as one server: the four platforms, each below its own path, and beside them what is true."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from campaignctl.errors import CampaignctlError, InvalidInput
from campaignctl.ports.clock import Clock
from campaignctl.sandbox.clock import SandboxClock
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.faults import FAULTS, Faults
from campaignctl.sandbox.natives import accounts, campaign_body
from campaignctl.sandbox.platforms.desk import Around, Limits, Pause, PlatformServer
from campaignctl.sandbox.platforms.google import GoogleServer
from campaignctl.sandbox.platforms.linkedin import LinkedInServer
from campaignctl.sandbox.platforms.meta import MetaServer
from campaignctl.sandbox.platforms.request_log import RequestLog
from campaignctl.sandbox.platforms.tiktok import TikTokServer
from campaignctl.sandbox.questions import TruthQuestion, events, moment
from campaignctl.sandbox.reported import Reported
from campaignctl.sandbox.world import CAMPAIGNS, rates

_MOST_STEP = timedelta(days=400)


@dataclass(slots=True)
class Sandbox:
    """A world, its time and its platforms; ``application`` serves them."""

    world: World
    machine: Clock
    faults: Collection[str] = ()
    limits: Limits = field(default_factory=Limits)
    latency_s: float = 0.0
    speed: float = 1.0
    pause: Pause = anyio.sleep
    clock: SandboxClock = field(init=False)
    reported: Reported = field(init=False)
    log: RequestLog = field(init=False)

    def __post_init__(self) -> None:
        self.clock = SandboxClock(self.machine, self.speed)
        self.reported = Reported(self.world)
        self.log = RequestLog(self.clock)

    def application(self) -> Starlette:
        faults = Faults(self.faults)
        around = Around(self.reported, self.clock, faults, self.log, self.pause, self.limits, self.latency_s)
        platforms: tuple[PlatformServer, ...] = (
            MetaServer(around),
            GoogleServer(around),
            LinkedInServer(around),
            TikTokServer(around),
        )
        return Starlette(
            routes=[*self._own_routes(), *(Mount(f"/{one.name}", routes=list(one.routes())) for one in platforms)],
            exception_handlers={CampaignctlError: _refused},
        )

    def _own_routes(self) -> list[Route]:
        return [
            Route("/truth", self._truth),
            Route("/events", self._events),
            Route("/campaigns", self._campaigns),
            Route("/accounts", self._accounts),
            Route("/currency-rates", self._rates),
            Route("/faults", self._faults),
            Route("/requests", self._requests),
            Route("/clock", self._clock, methods=["GET", "POST"]),
        ]

    async def _truth(self, request: Request) -> Response:
        question = TruthQuestion.of(request.query_params, self.clock.now())
        return JSONResponse(question.answer(self.reported))

    async def _events(self, request: Request) -> Response:
        lines = events(self.world, request.query_params, self.clock.now())
        return StreamingResponse(lines, media_type="application/x-ndjson")

    async def _campaigns(self, _request: Request) -> Response:
        return JSONResponse([campaign_body(one, self.world.first_day) for one in CAMPAIGNS])

    async def _accounts(self, _request: Request) -> Response:
        return JSONResponse([one.body() for one in accounts()])

    async def _rates(self, _request: Request) -> Response:
        return JSONResponse(rates(self.world.seed, self.world.first_day, self.clock.now().date()))

    async def _faults(self, _request: Request) -> Response:
        on = set(self.faults)
        return JSONResponse([{"name": one.name, "what": one.what, "is_on": one.name in on} for one in FAULTS])

    async def _requests(self, request: Request) -> Response:
        asked = request.query_params
        behind = asked.get("behind", "0")
        found = self.log.entries(
            asked.get("platform", ""), asked.get("kind", ""), int(behind) if behind.isdecimal() else 0
        )
        return JSONResponse([one.shown() for one in found])

    async def _clock(self, request: Request) -> Response:
        if request.method == "POST":
            self.clock.advance(_step(await request.body(), self))
        return JSONResponse({"now": self.clock.now().isoformat(), "speed": self.clock.speed})


def base_urls(url: str) -> dict[str, str]:
    """The keys of the configuration that lead to a sandbox at the address."""
    return {
        "meta.base_url": f"{url}/meta",
        "google.base_url": f"{url}/google",
        "google.token_url": f"{url}/google/token",
        "linkedin.base_url": f"{url}/linkedin/rest",
        "linkedin.token_url": f"{url}/linkedin/oauth/v2/accessToken",
        "tiktok.base_url": f"{url}/tiktok/open_api",
    }


def _step(body: bytes, sandbox: Sandbox) -> timedelta:
    """How far the clock is to move: ``{"hours": 36}`` or ``{"to": "2026-11-30T00:00:00Z"}``."""
    try:
        asked = json.loads(body)
    except ValueError:
        asked = None
    if isinstance(asked, dict) and isinstance(asked.get("to"), str):
        step = moment("to", asked["to"]) - sandbox.clock.now()
    elif isinstance(asked, dict) and isinstance(asked.get("hours"), int | float):
        step = timedelta(hours=min(float(asked["hours"]), 1e6))
    else:
        raise InvalidInput.of("hours", 'or "to" must be in the body: {"hours": 36}, {"to": "2026-11-30T00:00:00Z"}')
    if not timedelta(0) <= step <= _MOST_STEP:
        raise InvalidInput.of("to", f"must lie ahead, and no more than {_MOST_STEP.days} days")
    return step


async def _refused(_request: Request, error: Exception) -> Response:
    """What the sandbox's own routes refuse, in a sentence."""
    known: Mapping[str, object] = {"message": getattr(error, "message", str(error))}
    return JSONResponse(known, 422)
