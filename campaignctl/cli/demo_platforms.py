"""The demo's ad platforms: the sandbox beside it, accounts connected to it, and fetches whose truth is known."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from campaignctl.adapters.clock import SystemClock
from campaignctl.api_client import ApiClient
from campaignctl.errors import CampaignctlError
from campaignctl.sandbox.deliveries import World
from campaignctl.sandbox.natives import claimed_by
from campaignctl.sandbox.report_verdict import Fetched
from campaignctl.sandbox.server import Sandbox, base_urls
from campaignctl.sandbox.serving import serving
from campaignctl.sandbox.world import CAMPAIGNS
from server.listening import bind

RESTATED = CAMPAIGNS[0]
"""The campaign that is fetched again later on."""
_FETCHED = (1, 2, 4, 5)
"""Numbers of campaigns that share no account, so that what one fetch brings is known to be one campaign's."""
_DAYS = 14
_LATER = timedelta(days=3)
_WITHIN_S = 120.0
_LOOK_EVERY_S = 0.2


class DemoPlatforms:
    """Simulated platforms whose time stands still but for ``later``: what is fetched is what was true just then."""

    def __init__(self, sandbox: Sandbox, url: str) -> None:
        self._sandbox = sandbox
        self._url = url
        today = datetime.now(UTC).date()
        last = today - timedelta(days=2)  # over in every zone
        first = max(last - timedelta(days=_DAYS - 1), sandbox.world.first_day)
        self.fetched = Fetched(sandbox.reported, first, last)
        self.accounts = 0

    def sections(self) -> dict[str, dict[str, str]]:
        """The sections of the configuration that lead to these platforms."""
        found: dict[str, dict[str, str]] = {}
        for name, url in base_urls(self._url).items():
            section, _, key = name.partition(".")
            found.setdefault(section, {})[key] = url
        return found

    def connect(self, api: ApiClient) -> None:
        """Connect the accounts that the fetched campaigns run in."""
        campaigns = [one for one in CAMPAIGNS if one.number in _FETCHED]
        accounts = {native.account for campaign in campaigns for native in claimed_by(campaign)}
        for account in sorted(accounts, key=lambda one: (one.platform, one.currency)):
            api.post("/api/v1/accounts", account.body())
        self.accounts = len(accounts)

    def fetch(self, api: ApiClient) -> None:
        """Fetch all of them, side by side."""
        self._fetch(api, _FETCHED)

    def later(self, api: ApiClient) -> list[Mapping[str, Any]]:
        """Let three days pass on the platforms, fetch one campaign again, and answer what has been restated."""
        self._sandbox.clock.advance(_LATER)
        self._fetch(api, (RESTATED.number,))
        found = api.get(f"/api/v1/campaigns/{RESTATED.number}/restatements", self._days()).json()["items"]
        return list(found)

    def _fetch(self, api: ApiClient, numbers: tuple[int, ...]) -> None:
        now = self._sandbox.clock.now()
        jobs = [api.post(f"/api/v1/campaigns/{number}/fetch-data", self._days()).json()["job_id"] for number in numbers]
        for job_id in jobs:
            self._ended(api, job_id)
        self.fetched.moments |= dict.fromkeys(numbers, now)

    def _ended(self, api: ApiClient, job_id: int) -> None:
        deadline_s = time.monotonic() + _WITHIN_S
        while (job := api.get(f"/api/v1/jobs/{job_id}").json())["finished_at"] is None:
            if time.monotonic() > deadline_s:
                raise CampaignctlError(f"fetch job {job_id} did not end within {_WITHIN_S:.0f} s")
            time.sleep(_LOOK_EVERY_S)
        if job["status"] != "succeeded":
            raise CampaignctlError(f"fetch job {job_id} has {job['status']}: {(job['error'] or {}).get('message', '')}")

    def _days(self) -> dict[str, str]:
        return {"start_date": self.fetched.first.isoformat(), "end_date": self.fetched.last.isoformat()}


@contextmanager
def simulated_platforms(world: World) -> Iterator[DemoPlatforms]:
    """Serve them on a free port of the loopback for the length of a ``with``."""
    sandbox = Sandbox(world, SystemClock(), speed=0.0)
    listener = bind("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with serving(sandbox, listener):
        yield DemoPlatforms(sandbox, url)
