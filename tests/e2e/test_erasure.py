"""Erasing a campaign: nothing answers it from then on, its rows go, and nothing brings it back."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from campaignctl.cli.app import run
from campaignctl.domain.jobs import JobError, JobKind, JobStatus
from campaignctl.errors import Unavailable
from campaignctl.ports.event_log import NewRecord
from campaignctl.services.erasure import EraseHandler
from campaignctl.services.erasure_wait import AppliedWait
from campaignctl.services.jobs import JobContext
from tests.e2e.rest import OPERATOR_TOKEN, Rest, User, problem, rest_over, running
from tests.e2e.test_replay import event, replay, to_log
from tests.support.waiting import eventually
from worker.lifecycle import working

LINK = {"platform": "meta", "account_id": "act_77", "external_id": "23840001"}


@pytest.fixture
def rest(tmp_path: Path) -> Iterator[Rest]:
    with rest_over(tmp_path) as made:
        yield made


@pytest.fixture
def user(rest: Rest) -> User:
    return rest.user()


def made(user: User, events: int = 20, **members: Any) -> int:
    """A campaign with events of two clicks each, a conflict, and refused records that came by either way."""
    campaign_id = int(user.campaign(**members)["id"])
    values = [event(campaign_id, f"e{number}", clicks=2) for number in range(events)]
    to_log(user.rest, campaign_id, *values, event(campaign_id, "e0"), event(campaign_id, "bad", region="nowhere"))
    refused = user.ask("POST", "/events", json=[{"event_id": "x", "campaign_id": campaign_id, "platform": "meta"}])
    assert len(refused.json()["rejected"]) == 1
    return campaign_id


def insights(user: User, campaign_id: int) -> Any:
    return user.ask("GET", f"/campaigns/{campaign_id}/insights?start_date=2026-11-01&granularity=total")


def letters(user: User) -> list[dict[str, Any]]:
    return list(user.ask("GET", "/dead-letters").json()["items"])


def erase(user: User, campaign_id: int) -> str:
    """The path of the job."""
    accepted = user.ask("DELETE", f"/campaigns/{campaign_id}")
    assert accepted.status_code == 202, accepted.text
    assert accepted.json()["kind"] == "erase"
    return str(accepted.headers["location"]).removeprefix("/api/v1")


def ended(user: User, path: str) -> dict[str, Any]:
    eventually(lambda: user.ask("GET", path).json()["finished_at"] is not None, "the job")
    job: dict[str, Any] = user.ask("GET", path).json()
    return job


def set_back(rest: Rest) -> None:
    """Let the group begin at the first record again; no worker runs."""
    kafka = rest.app.settings.kafka
    consumer = rest.app.event_log.consumer(kafka.events_topic, kafka.group_id)
    try:
        eventually(lambda: consumer.poll(1, 0.1).gained, "the group's partitions")
        for partition in rest.app.event_log.watermarks(kafka.events_topic):
            consumer.commit(partition, 0, "")
    finally:
        consumer.close()


def assert_unknown(user: User, campaign_id: int) -> None:
    """Nothing answers the campaign, and it takes no event."""
    problem(user.ask("GET", f"/campaigns/{campaign_id}"), 404)
    problem(insights(user, campaign_id), 404)
    problem(user.ask("GET", f"/insights?campaign={campaign_id}"), 404)
    problem(user.ask("DELETE", f"/campaigns/{campaign_id}"), 404)
    problem(user.ask("POST", f"/campaigns/{campaign_id}/reaggregate", json={}), 404)
    assert campaign_id not in [one["id"] for one in user.ask("GET", "/campaigns").json()["items"]]
    assert f'"campaign_id":{campaign_id}' not in user.ask("GET", "/freshness").text.replace(" ", "")
    assert user.ask("GET", f"/conflicts?campaign_id={campaign_id}").json()["items"] == []
    assert user.ask("GET", f"/dead-letters?campaign_id={campaign_id}").json()["items"] == []
    jobs = user.ask("GET", f"/jobs?campaign_id={campaign_id}").json()["items"]
    assert [job["kind"] for job in jobs] == ["erase"]


def test_nothing_answers_an_erased_campaign_and_the_others_are_as_before(rest: Rest, user: User) -> None:
    with working(rest.app):
        gone, kept = made(user, platforms=[LINK]), made(user)
        sums = insights(user, kept).json()["totals"]
        assert insights(user, gone).json()["totals"]["clicks"] == sums["clicks"] == 40
        user.ask("POST", f"/campaigns/{gone}/reaggregate", json={"dry_run": True})
        path = erase(user, gone)
        assert_unknown(user, gone)
        late = user.ask("POST", "/events", json=[{"event_id": "l", "campaign_id": gone, "platform": "meta",
                                                  "event_time": "2026-11-01T12:00:00Z"}])  # fmt: skip
        assert [one["code"] for one in late.json()["rejected"]] == ["unknown_campaign"]
        assert user.campaign(platforms=[LINK])["id"] > kept
        job = ended(user, path)
        assert (job["status"], job["progress"]["done"]) == ("succeeded", 3)
        result = job["result"]
        assert (result["campaign_id"], result["removed"]["events"], result["removed"]["conflicts"]) == (gone, 20, 1)
        days = rest.app.settings.kafka.retention_days
        until = datetime.fromisoformat(result["remains_until"]["event_log"])
        assert timedelta(days=days - 1) < until - datetime.now(UTC) < timedelta(days=days)
        assert not rest.app.analytics.rows_of_campaign(gone)
        assert insights(user, kept).json()["totals"] == sums
        assert len(user.ask("GET", "/conflicts").json()["items"]) == 1
    assert {letter["code"] for letter in letters(user)} == {"missing_field", "invalid_region", "unknown_campaign"}
    (entry,) = user.ask("GET", "/audit?action=eraseCampaign").json()["items"]
    assert entry["details"]["campaign_id"] == str(gone)
    assert entry["details"]["event_log_until"]
    problem(user.ask("POST", f"{path}/cancel"), 409, "job_finished")


def test_what_lands_meanwhile_goes_too_and_what_comes_later_is_refused(rest: Rest, user: User) -> None:
    """A worker that knows the campaign goes on counting it for a moment."""
    with working(rest.app):
        gone, kept = made(user), made(user)
        path = erase(user, gone)
        topic = rest.app.settings.kafka.events_topic
        for number in range(40):
            records = [NewRecord(str(one).encode(), event(one, f"during-{number}", clicks=2)) for one in (gone, kept)]
            rest.app.event_log.produce(topic, records)
        assert ended(user, path)["status"] == "succeeded"
        to_log(rest, gone, event(gone, "after"))
        assert not rest.app.analytics.rows_of_campaign(gone)
        assert insights(user, kept).json()["totals"]["clicks"] == 120
        assert_unknown(user, gone)


def test_reading_the_log_again_brings_nothing_back(rest: Rest, user: User) -> None:
    with working(rest.app):
        gone, kept = made(user), made(user)
        ended(user, erase(user, gone))
        sums, before = insights(user, kept).json()["totals"], letters(user)
    set_back(rest)
    with working(rest.app):
        to_log(rest, kept, event(kept, "e0", clicks=2))
        assert not rest.app.analytics.rows_of_campaign(gone)
        assert insights(user, kept).json()["totals"] == sums
        assert [one for one in letters(user) if one["campaign_id"] == gone] == []
        assert len(letters(user)) == len(before)
        replay(user, again=True)
        assert not rest.app.analytics.rows_of_campaign(gone)


@pytest.mark.parametrize("failing", ["rows_of_campaign", "remove_campaign", "after"])
def test_a_job_that_dies_is_done_by_the_next(rest: Rest, user: User, failing: str) -> None:
    app = rest.app
    with working(app):
        gone = made(user)
    path = erase(user, gone)

    class Dying:
        """Dies before or after a step."""

        def __getattr__(self, name: str) -> Any:
            return getattr(app.analytics, name)

        def rows_of_campaign(self, campaign_id: int, /) -> Any:
            self.die("rows_of_campaign")
            return app.analytics.rows_of_campaign(campaign_id)

        def remove_campaign(self, campaign_id: int, /) -> None:
            self.die("remove_campaign")
            app.analytics.remove_campaign(campaign_id)
            self.die("after")

        def die(self, step: str) -> None:
            if step == failing:
                raise Unavailable("killed", service="analytics")

    kafka = app.settings.kafka
    applied = AppliedWait(app.event_log, topic=kafka.events_topic, group=kafka.group_id)
    handler = EraseHandler(Dying(), applied, app.erasure.retention)
    claimed = app.metadata.claim_job([JobKind.ERASE], "dies", 0.0)
    assert claimed is not None
    with pytest.raises(Unavailable):
        handler.run(JobContext(claimed, app.metadata, "dies", app.clock))
    app.metadata.renew_job(claimed.id, "dies", 0.0)  # the lease of a dead process ends by itself, 30 s later
    with working(app):
        done = ended(user, path)
    assert (done["status"], done["result"]["removed"]["events"]) == (JobStatus.SUCCEEDED, 20)
    assert not app.analytics.rows_of_campaign(gone)


def test_a_verification_meanwhile_finds_nothing_wrong(rest: Rest, user: User) -> None:
    """Also where one table is empty already and the other one is not."""
    with working(rest.app):
        gone = made(user)
    erase(user, gone)  # no worker runs
    with rest.app.analytics._clients.writer() as client:
        client.command(f"ALTER TABLE events DELETE WHERE campaign_id = {gone} SETTINGS mutations_sync = 2")
    verification = rest.app.verification
    for asked in (None, gone):
        plan = verification.plan(asked, None)
        assert (plan.findings, plan.raw_rows) == ([], {})
        for reach in plan.reaches:
            assert verification.check_log(reach.partition, reach.start, reach.end, asked).findings == []


def test_a_job_that_failed_is_started_again_by_the_same_request(rest: Rest, user: User) -> None:
    app = rest.app
    with working(app):
        gone = made(user, platforms=[LINK])
    path = erase(user, gone)
    claimed = app.metadata.claim_job([JobKind.ERASE], "fails", 30.0)
    assert claimed is not None
    app.metadata.finish_job(claimed.id, "fails", JobStatus.FAILED, None, JobError("gave_up", "it was tried too often"))
    problem(rest.user().ask("DELETE", f"/campaigns/{gone}"), 404)  # another organization
    problem(rest.member(user, "operator").ask("DELETE", f"/campaigns/{gone}"), 404)
    again = erase(user, gone)
    assert again != path
    problem(user.ask("DELETE", f"/campaigns/{gone}"), 404)  # it is under way
    with working(app):
        done = ended(user, again)
    assert (done["status"], done["result"]["removed"]["events"]) == (JobStatus.SUCCEEDED, 20)
    assert done["result"]["stays"] == {"native_campaigns": 1, "report_slices": 0}
    problem(user.ask("DELETE", f"/campaigns/{gone}"), 404)


def test_rows_that_land_after_the_job_are_found_and_removed(
    rest: Rest, user: User, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a worker lands them that was frozen meanwhile."""
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)
    with working(rest.app), running(rest.app) as (url, _):
        gone, kept = made(user), made(user)
        for path in (f"/campaigns/{kept}/events/erase",):
            job = user.ask("POST", path, json={"event_ids": ["e3", "e4"]}).json()
        assert ended(user, f"/jobs/{job['job_id']}")["status"] == "succeeded"
        ended(user, erase(user, gone))
        sums = insights(user, kept).json()["totals"]
        with rest.app.analytics._clients.writer() as client:
            for campaign_id, event_id in ((gone, "x"), (kept, "e3")):
                client.command(
                    "INSERT INTO events (event_id, campaign_id, event_time, day, platform, clicks, ktopic, koff) VALUES"
                    f" ('{event_id}', {campaign_id}, '2026-11-01 12:00:00', '2026-11-01', 'meta', 1, 1, 1)"
                )
        assert run(["--api", url, "verify", "-o", "json"]) == 1
        body = json.loads(capsys.readouterr().out)
        assert body["found"] == {"erased": 2}
        assert {one["campaign_id"] for one in body["findings"]} == {gone, kept}
        assert run(["--api", url, "verify", "--repair", "-o", "json"]) == 0
        assert len(json.loads(capsys.readouterr().out)["repair"]["jobs"]) == 2
        assert not rest.app.analytics.rows_of_campaign(gone)
        rest.app.metadata.bump_data_versions([kept])
        assert insights(user, kept).json()["totals"] == sums


def test_an_erasure_cannot_be_cancelled(rest: Rest, user: User) -> None:
    path = erase(user, int(user.campaign()["id"]))  # no worker runs
    problem(user.ask("POST", f"{path}/cancel"), 409, "not_cancellable")


def test_a_store_that_is_away_brings_no_last_answer(rest: Rest, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    with working(rest.app):
        gone, kept = made(user), made(user)
        for campaign_id in (gone, kept):
            assert insights(user, campaign_id).status_code == 200
        erase(user, gone)

    def away(*_: object) -> Any:
        raise Unavailable("The metadata store is away.", service="metadata")

    monkeypatch.setattr(type(rest.app.metadata), "campaign_facts", away)
    assert insights(user, kept).headers["x-cache"] == "stale"
    problem(insights(user, gone), 503)


def test_from_the_command_line(
    rest: Rest, user: User, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CA_TOKEN", OPERATOR_TOKEN)
    with working(rest.app), running(rest.app) as (url, _):
        gone = made(user, name="Spring sale")
        command = ["--api", url, "campaigns", "delete", str(gone)]
        assert run(command) == 3
        assert "--confirm NAME" in capsys.readouterr().err
        assert run([*command, "--confirm", "spring sale"]) == 3
        assert insights(user, gone).status_code == 200
        assert run([*command, "--confirm", "Spring sale", "--wait", "--timeout", "60", "-o", "json"]) == 0
        assert '"removed"' in capsys.readouterr().out
        assert run([*command, "--yes"]) == 5
        capsys.readouterr()
        assert run(["--api", url, "verify"]) == 0
        assert_unknown(user, gone)
