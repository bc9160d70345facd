"""Much use of accounts, good and bad, by somebody whose credentials are marked; and where the marks must not be."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2

from campaignctl.api_client import ApiClient
from campaignctl.errors import CampaignctlError
from campaignctl.sandbox.natives import campaign_body
from campaignctl.sandbox.world import CAMPAIGNS
from tests.support.leaks import Leaks, Place
from tests.support.program import Finished, Program

FAULTS = (
    "linkedin-token-rotates,linkedin-token-expired,google-token-expired,truncated,200-error,"
    "meta-permission,tiktok-token"
)
WRONG = "canary-of-a-token-that-does-not-hold"
MISPLACED = ("canary-under-a-wrong-name", "canary-in-a-list", "canary-in-what-is-no-json", "canary-in-an-address")
_WITHIN_S = 400.0
TODAY = datetime.now(UTC).date()
DAYS = ("--start-date", str(TODAY - timedelta(days=9)), "--end-date", str(TODAY - timedelta(days=2)))


def leaks_of(place: Mapping[str, Any]) -> Leaks:
    """Looks for all that the sandbox takes for a secret or gives out as one."""
    given = {value for one in place["accounts"] for name, value in one["credentials"].items() if name != "client_id"}
    renewed = {f"sandbox-{platform}-access-" for platform in ("google", "linkedin")}
    return Leaks({*given, *renewed, WRONG, *MISPLACED})


@dataclass
class Usage:
    """Commands beside a running ``serve``; everything they print is kept."""

    program: Program
    printed: list[str] = field(default_factory=list)

    def run(self, *arguments: str, stdin: object = "", expect: int | None = 0) -> Finished:
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        ran = subprocess.run(
            [*self.program.command, *arguments, "--debug"],  # with every traceback
            input=text.encode(),
            capture_output=True,
            cwd=self.program.home,
            env=self.program.environment(),
            timeout=_WITHIN_S,
            check=False,
        )
        finished = Finished(ran.returncode, ran.stdout.decode(), ran.stderr.decode())
        self.printed += [finished.out, finished.err]
        assert expect is None or finished.code == expect, f"{arguments}: {finished}"
        return finished

    def all_of_it(self, place: Mapping[str, Any], api: ApiClient) -> None:
        accounts = [one for one in place["accounts"] if one["currency"] == "USD"]
        ids = {one["platform"]: self._add(one) for one in accounts}
        self._go_wrong(accounts[0], ids["tiktok"])
        body = campaign_body(CAMPAIGNS[0], TODAY - timedelta(days=20))
        campaign = str(api.post("/api/v1/campaigns", body).json()["id"])
        for number in ids.values():
            self.run("accounts", "verify", str(number), expect=None)
        for _ in range(2):
            self.run("fetch", "--campaign", campaign, *DAYS, "--wait", "-o", "json", expect=None)
        tiktok = next(one for one in accounts if one["platform"] == "tiktok")
        self.run("accounts", "update", str(ids["tiktok"]), "--credentials", "-", stdin={"access_token": WRONG})
        self.run("accounts", "verify", str(ids["tiktok"]), expect=None)
        failed = self.run("fetch", "--campaign", campaign, *DAYS, "--platform", "tiktok", "--wait", expect=1)
        assert "tiktok" in failed.err
        self.run("accounts", "update", str(ids["tiktok"]), "--credentials", "-", stdin=tiktok["credentials"])
        self.run("accounts", "rotate-keys", expect=None)  # by whoever has the machine
        self.run("accounts", "unmapped", str(ids["meta"]), *DAYS, expect=None)
        self.run("accounts", "conversions", str(ids["linkedin"]), "--action", "oneClickLeads", "--wait")
        for words in (("accounts", "list"), ("jobs", "list"), ("audit",), ("config", "show"), ("doctor",)):
            self.run(*words, "-o", "json", expect=None)
        for path in ("/metrics", "/health", "/api/v1/system", "/api/v1/jobs", "/api/v1/accounts", "/api/v1/audit"):
            with suppress(CampaignctlError):
                self.printed.append(api.get(path).content.decode())
        jobs = api.get("/api/v1/jobs").json()["items"]
        assert {"succeeded"} < {one["status"] for one in jobs}, jobs  # some have failed, and say why

    def places(self) -> Iterator[Place]:
        yield from ((f"output {number}", text.encode()) for number, text in enumerate(self.printed))

    def _add(self, account: Mapping[str, Any]) -> int:
        words = ("accounts", "add", account["platform"], account["account_id"], "--credentials", "-", "-o", "json")
        return int(self.run(*words, stdin=account["credentials"]).json()["id"])

    def _go_wrong(self, account: Mapping[str, Any], tiktok: int) -> None:
        again = ("accounts", "add", account["platform"], account["account_id"], "--credentials", "-")
        self.run(*again, stdin=account["credentials"], expect=1)
        wrong_name, in_a_list, no_json, address = MISPLACED
        other = ("accounts", "add", "meta", "1", "--credentials", "-")
        self.run(*other, stdin={"acces_token": wrong_name}, expect=2)
        self.run(*other, stdin={"access_token": [in_a_list]}, expect=2)
        self.run(*other, stdin=f"access_token = {no_json}", expect=2)
        self.run("accounts", "update", str(tiktok), "--credentials", "-", stdin={"access_token": ""}, expect=2)
        self.run("accounts", "list", "--api", f"http://user:{address}@127.0.0.1:1", expect=None)


def asked_of(place: Mapping[str, Any]) -> set[str]:
    """The faults that struck, and the kinds of requests that the sandbox was asked."""
    entries = httpx2.get(f"{place['url']}/requests").json()
    return {one["fault"] for one in entries} | {one["kind"] for one in entries}
