"""What counts as a conversion, chosen and applied to what was fetched: the four real clients, before the sandbox."""

import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.e2e.rest import Rest, User, fields, problem
from tests.e2e.test_sandbox import DAYS, Cells, answered, fetched, opened, sandbox

CHOSEN = {
    "meta": ["omni_purchase", "offsite_conversion.fb_pixel_purchase"],
    "google": ["all_conversions"],
    "linkedin": ["oneClickLeads"],
    "tiktok": ["real_time_conversion"],
}


@pytest.fixture(scope="module")
def place() -> Iterator[dict[str, Any]]:
    with sandbox("--latency-ms", "0", "--speed", "0") as (told, _):
        yield told


@pytest.fixture(scope="module")
def rest(place: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rest]:
    with opened(place, tmp_path_factory.mktemp("data")) as made:
        yield made


class Shop:
    """An organization with the sandbox's USD accounts and its first campaign."""

    def __init__(self, rest: Rest, place: dict[str, Any]) -> None:
        self.rest, self.user = rest, rest.user()
        self.accounts: dict[str, int] = {}
        for account in place["accounts"]:
            if account["currency"] == "USD":
                body = {name: account[name] for name in ("platform", "account_id", "credentials")}
                self.accounts[account["platform"]] = self.user.ask("POST", "/accounts", json=body).json()["id"]
        body = httpx2.get(f"{place['url']}/campaigns").json()[0]
        self.campaign: int = self.user.campaign(**body)["id"]

    def choose(self, platform: str, actions: list[str]) -> dict[str, Any]:
        """The receipt of the job that applies the choice."""
        path = f"/accounts/{self.accounts[platform]}/conversions"
        answer = self.user.ask("PUT", path, json={"actions": actions})
        assert answer.status_code == 202, answer.text
        job = answer.json()
        deadline = time.monotonic() + 120
        while job["finished_at"] is None and time.monotonic() < deadline:
            time.sleep(0.05)
            job = self.user.ask("GET", f"/jobs/{job['job_id']}").json()
        assert (job["kind"], job["status"]) == ("rederive", "succeeded"), job
        assert job["progress"]["done"] == job["progress"]["total"] == job["result"]["windows"]
        result: dict[str, Any] = job["result"]
        return result

    def answers(self) -> tuple[Cells, Cells]:
        return tuple(answered(self.user, self.campaign, by_country=split) for split in (False, True))  # type: ignore[return-value]

    def conversions(self, platform: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.user.ask("GET", f"/accounts/{self.accounts[platform]}/conversions").json()
        return shown


def test_a_choice_applies_to_what_was_fetched_as_a_fetch_would_have(place: dict[str, Any], rest: Rest) -> None:
    shop = Shop(rest, place)
    fetched(shop.user, shop.campaign)
    before = shop.answers()
    asked = len(httpx2.get(f"{place['url']}/requests").json())
    for platform, actions in CHOSEN.items():
        receipt = shop.choose(platform, actions)
        assert receipt["slices_changed"] > 0
        assert receipt["definition"].startswith(f"{platform}-list-")
        assert shop.choose(platform, actions)["slices_changed"] == 0
    assert len(httpx2.get(f"{place['url']}/requests").json()) == asked
    derived = shop.answers()
    for platform in ("meta", "google", "linkedin"):  # on TikTok both names count the same in the sandbox
        mine = [cells for cells in derived[0] if cells[0] == platform]
        assert any(derived[0][key]["conversions"] != before[0][key]["conversions"] for key in mine), platform

    fresh = Shop(rest, place)
    for platform, actions in CHOSEN.items():
        assert fresh.choose(platform, actions)["windows"] == 0
    fetched(fresh.user, fresh.campaign)
    assert fresh.answers() == derived

    for platform in CHOSEN:
        shop.choose(platform, [])
    assert shop.answers() == before


def test_the_version_stands_in_what_explains_a_number(place: dict[str, Any], rest: Rest) -> None:
    shop = Shop(rest, place)
    shop.choose("meta", ["lead"])
    fetched(shop.user, shop.campaign)
    params = {"date": DAYS["start_date"], "metric": "conversions", "platform": "meta"}
    found = shop.user.ask("GET", f"/campaigns/{shop.campaign}/explain", params=params).json()
    version = shop.conversions("meta")["definition"]
    assert found["definitions"] == [{"version": version, "platform": "meta", "actions": ["lead"]}]


def test_what_was_chosen_is_shown(place: dict[str, Any], rest: Rest) -> None:
    shop = Shop(rest, place)
    at_first = shop.conversions("linkedin")
    assert (at_first["definition"], at_first["origin"], at_first["history"]) == ("linkedin-1", "default", [])
    assert "oneClickLeads" in at_first["known"]
    shop.choose("linkedin", ["externalWebsitePostClickConversions", "externalWebsiteConversions"])
    chosen = shop.conversions("linkedin")
    assert (chosen["origin"], chosen["actions"]) == ("account", ["externalWebsiteConversions"])
    shop.choose("linkedin", [])
    back = shop.conversions("linkedin")
    assert (back["definition"], back["origin"]) == ("linkedin-1", "default")
    assert [(one["definition"], one["own"]) for one in back["history"]] == [
        ("linkedin-1", False),
        (chosen["definition"], True),
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"actions": "lead"},
        {"actions": [1]},
        {"actions": [""]},
        {"actions": ["a\nb"]},
        {"actions": ["x" * 201]},
        {"actions": [str(n) for n in range(101)]},
    ],
)
def test_a_list_that_is_none_is_refused(place: dict[str, Any], shop: Shop, body: dict[str, Any]) -> None:
    path = f"/accounts/{shop.accounts['meta']}/conversions"
    assert fields(problem(shop.user.ask("PUT", path, json=body), 422)) == ["actions"]


@pytest.mark.parametrize(
    ("platform", "actions"), [("google", ["purchases"]), ("linkedin", ["lead"]), ("tiktok", ["conversion", "result"])]
)
def test_a_name_that_the_platform_does_not_have_is_refused(shop: Shop, platform: str, actions: list[str]) -> None:
    path = f"/accounts/{shop.accounts[platform]}/conversions"
    found = problem(shop.user.ask("PUT", path, json={"actions": actions}), 422)
    assert fields(found) == ["actions"]
    assert platform in found["errors"][0]["message"]
    assert shop.conversions(platform)["origin"] == "default"


@pytest.fixture(scope="module")
def shop(rest: Rest, place: dict[str, Any]) -> Shop:
    return Shop(rest, place)


def test_viewers_may_look_only(rest: Rest, shop: Shop) -> None:
    viewer: User = rest.member(shop.user, "viewer")
    path = f"/accounts/{shop.accounts['meta']}/conversions"
    assert viewer.ask("GET", path).status_code == 200
    problem(viewer.ask("PUT", path, json={"actions": ["lead"]}), 403)
