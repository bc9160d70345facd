"""What ``campaignctl doctor`` looks at: the stores that this configuration names, or a server that has them."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaignctl.cli.explanations.findings import WINDOW_HINT
from campaignctl.domain.dead_letters import FromLog, LetterCode, LetterFilter
from campaignctl.domain.users import Actor
from campaignctl.errors import Unavailable
from campaignctl.services.clock_skew import TOLERATED
from campaignctl.services.doctor import Examination, Finding, Look

if TYPE_CHECKING:
    from campaignctl.api_client import ApiClient
    from campaignctl.bootstrap import App
    from campaignctl.config import Settings
    from campaignctl.ports.versions import Versioned

LAG_S = 300.0
"""Records that wait longer than this are a finding."""
ENDS_SOON = timedelta(days=14)
FREE_BYTES, FREE_PART = 1 << 30, 0.05
"""Less free than either of these is a finding."""
_SHOWN = 10
_QUARANTINED_AT_MOST = 200


def of_stores(app: "App") -> list[Examination]:
    """Of the stores as they are from here."""
    found = [Examination(check.name, _probed(app, check.name, check.probe)) for check in app.health.checks]
    found += [Examination(f"clock of {name}", _clock(app, name)) for name in app.server_clocks]
    return [
        *(one for one in found if one.name != "clock"),
        Examination("topics", lambda: _topics(app)),
        Examination("lag", lambda: lag_look(_lag_of(app), app.lag.dead_letters())),
        Examination("quarantine", lambda: _quarantine(app)),
        Examination("windows", lambda: _windows(app)),
        *([Examination("cluster", lambda: _cluster(app))] if app.settings.clickhouse.cluster else []),
        Examination("credentials", lambda: _credentials(app)),
        Examination("platforms", lambda: _platforms(app)),
    ]


def of_server(api: "ApiClient") -> list[Examination]:
    """Of a server, as it sees its stores."""
    return [
        Examination("server", lambda: _health(api)),
        Examination("lag", lambda: _system(api)),
        Examination("quarantine", lambda: _quarantine_of(api)),
    ]


def of_machine(settings: "Settings") -> list[Examination]:
    """Of what is on this machine, whoever has the stores open."""
    return [Examination("disk", lambda: _disk(settings.data_dir)), Examination("keys", lambda: _keys(settings))]


def _probed(app: "App", name: str, probe: Callable[[], None]) -> Callable[[], Look]:
    versions: dict[str, Versioned] = {"metadata": app.metadata, "analytics": app.analytics}

    def look() -> Look:
        probe()
        return Look({"version": versions[name].server_version()} if name in versions else {})

    return look


def _clock(app: "App", name: str) -> Callable[[], Look]:
    def look() -> Look:
        before = app.clock.now()
        theirs = app.server_clocks[name].server_time()
        # The server told its time somewhere between the two; half of the way is the best guess.
        offset = theirs - (before + (app.clock.now() - before) / 2)
        facts = {"offset_s": round(offset.total_seconds(), 3)}
        if abs(offset) <= TOLERATED:
            return Look(facts)
        text = f"the clock of {name} is {offset.total_seconds():+.0f} s off this machine's"
        return Look(facts, [Finding("clock_skew", text, "have both set by the same time servers (NTP)")])

    return look


def _topics(app: "App") -> Look:
    missing = [
        Finding("topic_missing", f"there is no topic {spec.name}", "campaignctl init-schema")
        for spec in app.missing_topics()
    ]
    differing = [
        Finding("topic_differs", f"topic {one.topic}: {one.setting} is {one.found}, not {one.wanted}", one.remedy)
        for one in app.topic_differences()
    ]
    return Look({"topics": ",".join(spec.name for spec in app.topics)}, [*missing, *differing])


def _lag_of(app: "App") -> tuple[int, float]:
    lag = app.lag.lag()
    return lag.lag_records, lag.lag_s


def lag_look(lag: tuple[int, float], dead_letters: int) -> Look:
    """Whether the workers keep up."""
    records, seconds = lag
    facts = {"lag_records": records, "lag_seconds": round(seconds, 3), "dead_letters": dead_letters}
    if not records or seconds <= LAG_S:
        return Look(facts)
    text = f"{records:,} records wait to be counted, the oldest for {seconds:,.0f} s"
    return Look(facts, [Finding("lag_exceeded", text, "start a worker: campaignctl work (or campaignctl serve)")])


def _quarantine(app: "App") -> Look:
    topic = app.event_log.topic(app.settings.kafka.events_topic)
    if topic is None or not app.metadata.quarantined_records(topic.incarnation):
        return quarantine_look([])  # almost always: then no dead letter has to be read
    page = app.letter_listing.page(
        Actor.machine_operator(), LetterFilter(LetterCode.QUARANTINED), limit=_QUARANTINED_AT_MOST
    )
    origins = [one.stored.letter.origin for one in page.items if one.replayed_at is None]
    return quarantine_look([(one.partition, one.offset) for one in origins if isinstance(one, FromLog)])


def quarantine_look(places: Sequence[tuple[int, int]]) -> Look:
    """Records that were set aside because processes died over them, and that nobody has replayed: partition, offset."""
    facts = {"waiting": len(places)}
    if not places:
        return Look(facts)
    named = ", ".join(f"partition {partition} offset {offset}" for partition, offset in places[:_SHOWN])
    more = f" and {len(places) - _SHOWN} more" if len(places) > _SHOWN else ""
    text = f"processes died over records, which were set aside and count nowhere: {len(places)}, at {named}{more}"
    return Look(facts, [Finding(LetterCode.QUARANTINED, text, "campaignctl dlq list --reason quarantined")])


def _windows(app: "App") -> Look:
    missing = app.analytics.missing_windows()
    text = "the table {} was made without a deduplication window: a repeated batch would count twice"
    hints = {name: WINDOW_HINT.format(table=name) for name in missing}
    return Look({}, [Finding("window_missing", text.format(name), hint) for name, hint in hints.items()])


def _cluster(app: "App") -> Look:
    state = app.analytics.cluster_state()
    assert state is not None  # noqa: S101  the store of a configuration that names a cluster
    facts = {"name": state.name, "shards": state.shards, "replicas": state.replicas, "away": len(state.away)}
    away = [
        Finding("replica_away", f"{one} does not answer", "see whether it runs, and is reachable from the others")
        for one in state.away
    ]
    read_only = [
        Finding(
            "replica_read_only",
            f"{tables} tables of {one} take no rows",
            "see whether it reaches ZooKeeper or Keeper; then SYSTEM RESTORE REPLICA, if it does not recover by itself",
        )
        for one, tables in state.read_only.items()
    ]
    return Look({**facts, "read_only": len(state.read_only)}, [*away, *read_only])


def _credentials(app: "App") -> Look:
    now = app.clock.now()
    findings = []
    for account in app.accounts.ending_before(now + ENDS_SOON):
        assert account.expires_at is not None  # noqa: S101  that is what was asked for
        ended = account.expires_at <= now
        when = "have ended" if ended else f"end in {max((account.expires_at - now).days, 0)} days"
        text = f"the credentials of {account.platform.value} account {account.account_id} {when}"
        code = "credentials_ended" if ended else "credentials_end_soon"
        next_ = f"campaignctl accounts update {account.id} --credentials FILE"
        findings.append(Finding(code, text, next_))
    return Look({}, findings)


def _platforms(app: "App") -> Look:
    found = app.freshness.unlisted(Actor.machine_operator())
    findings = [
        Finding(
            "platform_not_listed",
            f"campaign {campaign} counts events of {platform}, which it does not list",
            f"campaignctl campaigns update {campaign} --link ... (or look at who sends them)",
        )
        for campaign, platform in found[:_SHOWN]
    ]
    return Look({"unlisted": len(found)}, findings)


def _disk(directory: Path) -> Look:
    place = next((one for one in (directory, *directory.absolute().parents) if one.exists()), Path("/"))
    usage = shutil.disk_usage(place)
    facts = {"free_bytes": usage.free, "free_percent": round(100 * usage.free / usage.total, 1)}
    if usage.free >= FREE_BYTES and usage.free >= FREE_PART * usage.total:
        return Look(facts)
    text = f"{usage.free / (1 << 20):,.0f} MiB are free where the data directory is"
    return Look(facts, [Finding("disk_low", text, "free space there, or move data_dir to a larger disk")])


def _keys(settings: "Settings") -> Look:
    """Lengths and placeholders were judged when the configuration was read; this is what is left."""
    findings = []
    own, kept = settings.jwt.key.get_secret_value(), settings.secrets.key.get_secret_value()
    if own and own == kept:
        text = "jwt.key and secrets.key are the same: whoever learns one has both"
        findings.append(Finding("keys_equal", text, "make another with: openssl rand -base64 48"))
    secrets = settings.data_dir / "secrets"
    for file in sorted(secrets.iterdir()) if secrets.is_dir() else ():
        if file.stat().st_mode & 0o077:
            text = f"other users may read the key {file.name} of the data directory"
            findings.append(Finding("key_readable", text, f"chmod 600 {file}"))
    if settings.data_dir.is_dir() and settings.data_dir.stat().st_mode & 0o022:
        text = "other users may write the data directory"
        findings.append(Finding("directory_writable", text, f"chmod 700 {settings.data_dir}"))
    where = {name: "configured" if key else "in the data directory" for name, key in (("jwt", own), ("secrets", kept))}
    return Look(where, findings)


def _health(api: "ApiClient") -> Look:
    body = api.health()
    checks = body["checks"]
    facts: dict[str, object] = {"url": api.base_url, "health": body["status"]}
    return Look(facts | {name: one["status"] for name, one in checks.items()}, list(_failing(checks)))


def _quarantine_of(api: "ApiClient") -> Look:
    asked = {"reason": LetterCode.QUARANTINED.value, "limit": str(_QUARANTINED_AT_MOST)}
    items = api.get_json("/api/v1/dead-letters", asked)["items"]
    return quarantine_look([(one["partition"], one["offset"]) for one in items if one["replayed_at"] is None])


def _failing(checks: Mapping[str, Any]) -> Iterator[Finding]:
    for name, one in checks.items():
        if one["status"] != "ok":
            text = f"the server says of {name}: {one.get('detail') or one['status']}"
            code = "schema_mismatch" if name == "schema" else "clock_skew" if name == "clock" else "unavailable"
            next_ = "campaignctl init-schema" if name == "schema" else "run campaignctl doctor beside the server"
            yield Finding(code, text, next_)


def _system(api: "ApiClient") -> Look:
    body = api.get_json("/api/v1/system")
    if body["lag"] is None or body["dead_letters"] is None:
        raise Unavailable("the server cannot ask the event log", service="event_log")
    found = lag_look((body["lag"]["lag_records"], body["lag"]["lag_seconds"]), body["dead_letters"]["records"])
    return Look({"version": body["version"], **found.facts}, found.findings)
