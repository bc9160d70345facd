"""Erasing single events: nothing answers them, the others count as before, and nothing brings them back."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from campaignctl.cli.app import run
from campaignctl.domain.jobs import JobKind
from campaignctl.errors import Unavailable
from campaignctl.services.erasure_wait import AppliedWait
from campaignctl.services.event_erasure import EraseEventsHandler
from campaignctl.services.jobs import JobContext
from tests.e2e.rest import OPERATOR_TOKEN, Rest, User, problem, rest_over, running
from tests.e2e.test_erasure import ended, letters, set_back
from tests.e2e.test_replay import event, replay, to_log
from worker.lifecycle import working


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[Rest]:
    with rest_over(tmp_path) as made:
        yield made


@pytest.fixture
def user(rest: Rest) -> User:
    return rest.user()


def made(user: User) -> int:
    """Ten events of two clicks on two days, a conflict, a region of its own, and refused records of two ids."""
    campaign_id = int(user.campaign()["id"])
    days = ("2026-11-01T12:00:00Z", "2026-11-03T12:00:00Z")
    values = [event(campaign_id, f"e{n}", clicks=2, event_time=days[n % 2]) for n in range(10)]
    lone = event(campaign_id, "lone", clicks=2, region="IN", event_time=days[0])
    bad = [event(campaign_id, event_id, region="nowhere") for event_id in ("e1", "bad")]
    to_log(user.rest, campaign_id, *values, lone, event(campaign_id, "e1"), *bad)
    return campaign_id


def rows(user: User, campaign_id: int, **params: str) -> dict[tuple[str, str], int]:
    """Clicks by day and region."""
    asked = {"start_date": "2026-11-01", "end_date": "2026-11-03", "group_by": "region"} | params
    answer = user.ask("GET", f"/campaigns/{campaign_id}/insights", params=asked).json()
    return {(row["period_start"], row["region"]): row["clicks"] for row in answer["rows"]}


def exported(user: User, campaign_id: int) -> set[str]:
    listed = user.ask("GET", f"/campaigns/{campaign_id}/events").json()["items"]
    return {one["event_id"] for one in listed}


def erase(user: User, campaign_id: int, *event_ids: str, **members: Any) -> dict[str, Any]:
    """The job at its end."""
    body = {"event_ids": list(event_ids)} | members
    accepted = user.ask("POST", f"/campaigns/{campaign_id}/events/erase", json=body)
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["kind"] == "erase_events"
    return ended(user, str(accepted.headers["location"]).removeprefix("/api/v1"))


def test_an_erased_event_is_in_no_answer_and_the_others_are_as_before(rest: Rest, user: User) -> None:
    with working(rest.app):
        campaign_id, other = made(user), made(user)
        before = rows(user, other)
        assert rows(user, campaign_id) == {
            ("2026-11-01", "IN"): 2, ("2026-11-01", "ZZ"): 10, ("2026-11-03", "ZZ"): 10
        }  # fmt: skip
        job = erase(user, campaign_id, "e1", "lone", "never sent", "e1", reason="request 7")
        assert job["status"] == "succeeded", job
        assert job["params"] == {"event_ids": 3, "reason": "request 7"}
        receipt = job["result"]
        assert (receipt["removed"], receipt["event_ids"]) == ({"events": 2, "conflicts": 1}, 3)
        assert (receipt["days"], receipt["sums_kept_of_days"]) == (["2026-11-01", "2026-11-03"], [])
        assert receipt["remains_until"]["event_log"]
        assert rows(user, campaign_id) == {("2026-11-01", "ZZ"): 10, ("2026-11-03", "ZZ"): 8}
        assert rows(user, campaign_id, timezone="Asia/Kolkata") == rows(user, campaign_id)
        assert exported(user, campaign_id) == {f"e{n}" for n in range(10) if n != 1}
        assert user.ask("GET", f"/conflicts?campaign_id={campaign_id}").json()["items"] == []
        assert [json.loads(one["value"])["event_id"] for one in letters(user) if one["campaign_id"] == campaign_id] == [
            "bad"
        ]
        assert rows(user, other) == before
        (entry,) = user.ask("GET", "/audit?action=eraseEvents").json()["items"]
        assert entry["details"]["campaign_id"] == str(campaign_id)
        assert entry["details"]["event_ids"] == "3"
        assert entry["details"]["job_id"] == str(job["job_id"])
        assert entry["details"]["event_log_until"]
        assert "lone" not in json.dumps(entry) + json.dumps(job)


def test_no_copy_and_no_replay_and_no_repair_brings_it_back(
    rest: Rest, user: User, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)
    with working(rest.app):
        campaign_id = made(user)
        held = {one["id"] for one in letters(user)}
        assert erase(user, campaign_id, "e0", "e1", "later")["status"] == "succeeded"
        sums = rows(user, campaign_id)
        posted = [json.loads(event(campaign_id, event_id, clicks=5)) for event_id in ("e0", "later")]
        assert user.ask("POST", "/events", json=posted).json()["accepted"] == 2
        misplaced = event(campaign_id, "e0", event_time="2026-10-01T00:00:00Z")
        to_log(rest, campaign_id + 1, misplaced, event(campaign_id, "later", region="nowhere"))
        assert rows(user, campaign_id) == sums
        assert {one["id"] for one in letters(user)} < held
        replay(user, again=True, campaign_id=campaign_id)
        assert rows(user, campaign_id) == sums
    set_back(rest)
    with working(rest.app), running(rest.app) as (url, _):
        to_log(rest, campaign_id, event(campaign_id, "e2", clicks=2))
        assert rows(user, campaign_id) == sums
        assert run(["--api", url, "verify", "--repair"]) == 0, capsys.readouterr()
        assert rows(user, campaign_id) == sums
        assert exported(user, campaign_id).isdisjoint({"e0", "e1", "later"})


def test_a_plan_changes_nothing(rest: Rest, user: User) -> None:
    with working(rest.app):
        campaign_id = made(user)
    before = rows(user, campaign_id)
    answer = user.ask(
        "POST", f"/campaigns/{campaign_id}/events/erase", json={"event_ids": ["e1", "x"], "dry_run": True}
    )
    assert answer.status_code == 200
    plan = answer.json()
    assert (plan["event_ids"], plan["events"], plan["conflicts"], plan["days"]) == (2, 1, 1, ["2026-11-03"])
    assert user.ask("GET", "/jobs?kind=erase_events").json()["items"] == []
    with working(rest.app):
        to_log(rest, campaign_id, event(campaign_id, "x", clicks=2))
    assert rows(user, campaign_id)["2026-11-01", "ZZ"] == before["2026-11-01", "ZZ"] + 2


@pytest.mark.parametrize("failing", ["traces_of_events", "remove_events", "after"])
def test_a_job_that_dies_is_done_by_the_next(rest: Rest, user: User, failing: str) -> None:
    app = rest.app
    with working(app):
        campaign_id = made(user)
    accepted = user.ask("POST", f"/campaigns/{campaign_id}/events/erase", json={"event_ids": ["e1"]})

    class Dying:
        """Dies before or after a step."""

        def __getattr__(self, name: str) -> Any:
            if name == failing:
                raise Unavailable("killed", service="analytics")
            return getattr(app.analytics, name)

        def remove_events(self, *args: Any) -> None:
            if failing != "remove_events":
                app.analytics.remove_events(*args)
            raise Unavailable("killed", service="analytics")

    kafka, events = app.settings.kafka, app.settings.events
    applied = AppliedWait(app.event_log, topic=kafka.events_topic, group=kafka.group_id)
    handler = EraseEventsHandler(
        Dying(), app.metadata, applied, app.erasure.retention, app.clock, retention_days=events.retention_days
    )
    claimed = app.metadata.claim_job([JobKind.ERASE_EVENTS], "dies", 0.0)
    assert claimed is not None
    with pytest.raises(Unavailable):
        handler.run(JobContext(claimed, app.metadata, "dies", app.clock))
    app.metadata.renew_job(claimed.id, "dies", 0.0)
    with working(app):
        job = ended(user, str(accepted.headers["location"]).removeprefix("/api/v1"))
    assert (job["status"], job["result"]["removed"]) == ("succeeded", {"events": 1, "conflicts": 1})
    assert rows(user, campaign_id)["2026-11-03", "ZZ"] == 8


def test_days_past_retention_keep_their_sums_and_the_receipt_says_so(rest: Rest, user: User) -> None:
    with working(rest.app):
        campaign_id = made(user)
        service = rest.app.event_erasure
        service._retention_days = 1
        answer = user.ask(
            "POST", f"/campaigns/{campaign_id}/events/erase", json={"event_ids": ["e0"], "dry_run": True}
        ).json()
        assert (answer["days"], answer["sums_kept_of_days"]) == ([], ["2026-11-01"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "event_ids"),
        ({"event_ids": []}, "event_ids"),
        ({"event_ids": "e1"}, "event_ids"),
        ({"event_ids": ["e"] * 1_001}, "event_ids"),
        ({"event_ids": ["e1", ""]}, "event_ids.1"),
        ({"event_ids": ["e" * 129]}, "event_ids.0"),
        ({"event_ids": [7]}, "event_ids.0"),
        ({"event_ids": ["e1"], "dry_run": 1}, "dry_run"),
        ({"event_ids": ["e1"], "dryrun": True}, "dryrun"),
        ({"event_ids": ["e1"], "reason": "x" * 501}, "reason"),
    ],
)
def test_what_is_wrong_is_named(user: User, body: dict[str, Any], field: str) -> None:
    campaign_id = user.campaign()["id"]
    told = problem(user.ask("POST", f"/campaigns/{campaign_id}/events/erase", json=body), 422)
    assert [one["field"] for one in told["errors"]] == [field]


def test_it_cannot_be_cancelled_and_goes_with_its_campaign(rest: Rest, user: User) -> None:
    campaign_id = int(user.campaign()["id"])  # no worker runs
    path = f"/campaigns/{campaign_id}/events/erase"
    job = user.ask("POST", path, json={"event_ids": ["e1"]}).json()
    problem(user.ask("POST", f"/jobs/{job['job_id']}/cancel"), 409, "not_cancellable")
    assert user.ask("DELETE", f"/campaigns/{campaign_id}").status_code == 202
    problem(user.ask("POST", path, json={"event_ids": ["e1"]}), 404)
    assert rest.app.metadata.erased_events() == {}


def test_from_the_command_line(
    rest: Rest, user: User, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)
    ids = tmp_path / "ids.txt"
    ids.write_text("e1\n\nlone\n")
    with working(rest.app), running(rest.app) as (url, _):
        campaign_id = made(user)
        command = ["--api", url, "events", "erase", "--campaign", str(campaign_id)]
        assert run(command) == 2
        assert "--event-id" in capsys.readouterr().err
        assert run([*command, "--event-id", "e0", "--dry-run", "-o", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["events"] == 1
        assert run([*command, "--event-id", "e0"]) == 3
        assert "1 events and 0 conflicts" in capsys.readouterr().err
        assert run([*command, "--file", str(ids), "--yes", "--wait", "--timeout", "60", "-o", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["result"]["removed"] == {"events": 2, "conflicts": 1}
        ids.write_text("\n".join(f"x{n}" for n in range(1_500)))
        assert run([*command, "--file", str(ids), "--yes", "--wait", "--timeout", "60", "-o", "json"]) == 0
        items = json.loads(capsys.readouterr().out)["items"]
        assert [one["result"]["event_ids"] for one in items] == [1_000, 500]
        assert run([*command, "--file", str(tmp_path / "none"), "--yes"]) == 2
        assert run(["--api", url, "verify"]) == 0
        assert rows(user, campaign_id) == {("2026-11-01", "ZZ"): 10, ("2026-11-03", "ZZ"): 8}
