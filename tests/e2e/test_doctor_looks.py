"""What ``doctor`` finds in stores: credentials that end, platforms nobody listed, tables without a window."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from campaignctl.bootstrap import App
from campaignctl.cli.doctor_looks import of_stores
from campaignctl.domain.users import Actor
from campaignctl.ports.accounts import ToldFacts
from campaignctl.ports.event_log import NewRecord
from tests.e2e.rest import Rest, User
from tests.e2e.test_replay import applied, event, replay
from tests.support.waiting import eventually
from worker.lifecycle import working


def codes(app: App, name: str) -> list[str]:
    (look,) = (one.look for one in of_stores(app) if one.name == name)
    return [found.code for found in look().findings]


def test_credentials_that_end_soon_or_have_ended(rest: Rest, user: User) -> None:
    before = codes(rest.app, "credentials")
    now = rest.app.clock.now()
    for days in (-1, 13, 15):
        account = {"platform": "meta", "account_id": f"9{days + 100}", "credentials": {"access_token": "EAAB-s3cret"}}
        made = user.ask("POST", "/accounts", json=account).json()
        rest.app.metadata.keep_facts(made["id"], ToldFacts("", "", "", now + timedelta(days=days)))
    (look,) = (one.look for one in of_stores(rest.app) if one.name == "credentials")
    found = look().findings
    assert [one.code for one in found][len(before) :] == ["credentials_ended", "credentials_end_soon"]
    assert "s3cret" not in str(found)


def test_events_of_a_platform_that_is_not_listed(rest: Rest, user: User) -> None:
    link = {"platform": "meta", "account_id": "doctor", "external_id": "doctor"}
    listed, lists_none = user.campaign(platforms=[link]), user.campaign(platforms=[])
    events = [
        {"event_id": "d", "campaign_id": one["id"], "platform": platform, "event_time": datetime.now(UTC).isoformat()}
        for one in (listed, lists_none)
        for platform in ("meta", "tiktok")
    ]
    events = [one | {"event_id": f"d{n}"} for n, one in enumerate(events)]
    sent = user.ask("POST", "/events", json=events)
    with working(rest.app):
        user.ask("GET", f"/campaigns/{listed['id']}/insights", params={"after": sent.json()["position"]})
    found = rest.app.freshness.unlisted(Actor.machine_operator())
    assert (listed["id"], "tiktok") in found
    assert not {(listed["id"], "meta"), (lists_none["id"], "tiktok")} & set(found)
    assert "platform_not_listed" in codes(rest.app, "platforms")


def test_records_that_processes_died_over_are_told_until_they_are_replayed(rest: Rest, user: User) -> None:
    app, campaign = rest.app, user.campaign()["id"]
    topic = app.event_log.topic(app.settings.kafka.events_topic)
    assert topic is not None
    assert codes(app, "quarantine") == []
    place = app.event_log.produce(topic.name, [NewRecord(str(campaign).encode(), event(campaign, "deadly"))])[0]
    app.metadata.quarantine(topic.incarnation, place.partition, [place.offset])
    with working(app):
        eventually(lambda: applied(rest), "the record to be set aside")
        (look,) = (one.look for one in of_stores(app) if one.name == "quarantine")
        found = look()
        assert (found.facts, [one.code for one in found.findings]) == ({"waiting": 1}, ["quarantined"])
        assert f"partition {place.partition} offset {place.offset}" in found.findings[0].message
        replay(user, reason="quarantined")
        assert codes(app, "quarantine") == []


@dataclass
class _Windowless:
    def missing_windows(self) -> Sequence[str]:
        return ["rollup_1d"]

    def server_version(self) -> str:
        return "ClickHouse 0"


@dataclass
class _Fast:
    """A server whose clock goes an hour fast."""

    def server_time(self) -> datetime:
        return datetime.now(UTC) + timedelta(hours=1)


def test_tables_without_a_window_and_clocks_that_differ(rest: Rest) -> None:
    assert codes(rest.app, "windows") == []
    app = replace(rest.app, analytics=_Windowless(), server_clocks={"PostgreSQL": _Fast()})  # type: ignore[arg-type]
    assert codes(app, "windows") == ["window_missing"]
    assert codes(app, "clock of PostgreSQL") == ["clock_skew"]
    (look,) = (one.look for one in of_stores(app) if one.name == "clock of PostgreSQL")
    offset = look().facts["offset_s"]
    assert isinstance(offset, float) and 3_590 < offset < 3_610
