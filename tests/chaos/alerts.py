"""``python -m tests.chaos.alerts``: each alert is made to fire by the fault it is for, and to resolve.

A real Prometheus has loaded ``deploy/prometheus`` with its durations shortened, and scrapes a ``serve`` and a ``work`` on
real servers; the faults are done to these. Prints a table: how long after the fault's beginning an alert fired, and how
long after its end it had resolved. In the end every recording rule must have a series, and every metric that a rule or a
dashboard names must have been scraped.

Needs the four servers in ``CA_TEST_...`` variables and the program that does faults to them in ``CA_TEST_SERVICES``; they
must belong to nobody else meanwhile. The disk that fills is mounted, which takes root.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import clickhouse_connect
import httpx2
import psycopg
import yaml
from confluent_kafka import Consumer, TopicPartition

from tests.chaos.prometheus import PROMETHEUS, Prometheus, binary, window_s
from tests.chaos.site import STOP_AFTER_RECORDS, Site, Traffic, sandbox_account, site, small_data_directory
from tests.deploy.promql import named
from tests.support.program import REPOSITORY
from tests.support.services import Faults

_PATIENCE_S = 240.0
_DISK_MIB = 64
_LAGGING = 100_500
_LATE_S = 0.6
_SLOW_S = 40.0
"""Longer than the 30 s after which an event is counted late."""


@dataclass(frozen=True, slots=True)
class Row:
    fault: str
    alert: str
    fired_s: float
    """After the fault's beginning."""
    cure: str
    resolved_s: float
    """After the cure's beginning."""

    def cells(self) -> list[str]:
        return [self.fault, f"`{self.alert}`", f"{self.fired_s:.0f}", self.cure, f"{self.resolved_s:.0f}"]


HEADER = ("fault", "alert", "fired after s", "its end", "resolved after s")


def as_markdown(rows: Sequence[Row]) -> str:
    lines = [HEADER, ["---"] * len(HEADER), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


@dataclass
class Rehearsal:
    """What was seen."""

    told: Callable[[str], None]
    rows: list[Row] = field(default_factory=list)

    @contextmanager
    def fault(
        self, scraper: Prometheus, fault: str, cure: str, *alerts: str, late: Sequence[str] = ()
    ) -> Iterator[None]:
        """The alerts fire while it is entered (``late`` ones once it has ended), and all of them resolve afterwards.

        Enter it before the fault is begun; the body ends when the cure has begun.
        """
        expected = (*alerts, *late)
        _wait(lambda: not scraper.firing() & set(expected), lambda: f"before {fault}: {scraper.firing()} resolve")
        scraper.forget()
        began_s = time.monotonic()
        yield
        ended_s = time.monotonic()
        _wait(
            lambda: scraper.fired.keys() >= set(expected),
            lambda: f"{fault}: {set(expected) - scraper.fired.keys()} fire",
        )
        _wait(lambda: not scraper.firing() & set(expected), lambda: f"{cure}: {scraper.firing()} resolve")
        for alert in expected:
            seen = scraper.fired[alert]
            row = Row(fault, alert, seen.first_s - began_s, cure, max(seen.last_s - ended_s, 0.0))
            self.rows.append(row)
            self.told(" | ".join(row.cells()))


def fires(scraper: Prometheus, *alerts: str) -> None:
    _wait(lambda: scraper.fired.keys() >= set(alerts), lambda: f"{set(alerts) - scraper.fired.keys()} fire")


def _wait(condition: Callable[[], object], what: Callable[[], str]) -> None:
    end_s = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end_s, f"not within {_PATIENCE_S:g} s: {what()}"
        time.sleep(0.25)


# ---- faults to what is counted


def poisoned(seen: Rehearsal, on: Site) -> None:
    """A fifth of what comes is bad: too little to stop, and more than a slip."""
    name = "a fifth of the records is poison"
    with seen.fault(on.scraper, name, "good records again", "CampaignctlDeadLettersRise"):
        _eventually_fires(
            on, "CampaignctlDeadLettersRise", lambda: [on.event(clicks="many"), *(on.event() for _ in range(4))]
        )
    on.wait_until_counted()


def _eventually_fires(on: Site, alert: str, batch: Callable[[], list[dict[str, Any]]]) -> None:
    def sent() -> bool:
        on.produce(batch())
        time.sleep(0.2)
        return alert in on.scraper.fired

    _wait(sent, lambda: f"{alert} fires")


def stopped(seen: Rehearsal, on: Site) -> None:
    """Everything is suddenly bad, where enough was good before."""
    for _ in range(4):
        on.produce([on.event() for _ in range(STOP_AFTER_RECORDS)])
        on.wait_until_counted()
    with seen.fault(on.scraper, "every record is poison", "`stop_at_bad_percent` 0", "CampaignctlIngestStopped"):
        on.produce([on.event(platform="radio") for _ in range(STOP_AFTER_RECORDS * 2)])
        fires(on.scraper, "CampaignctlIngestStopped")
        on.stop_worker()
        on.start_worker(CA_EVENTS_STOP_AT_BAD_PERCENT="0")
    on.wait_until_counted()
    on.stop_worker()
    on.start_worker()
    on.settle()


def killed_worker(seen: Rehearsal, on: Site) -> None:
    assert on.worker is not None
    port = int(on.worker.url.rpartition(":")[2])
    with seen.fault(on.scraper, "the worker is killed", "it is started again", "CampaignctlDown"):
        on.kill_worker()
        fires(on.scraper, "CampaignctlDown")
        on.start_worker(port=port)
    on.settle()


def rewound(seen: Rehearsal, on: Site) -> None:
    """Rows are gone and the group's offset is set back; the next worker mends both."""
    on.produce([on.event() for _ in range(100)])
    on.wait_until_counted()
    on.stop_worker()
    topic, group = on.places["CA_KAFKA_EVENTS_TOPIC"], on.places["CA_KAFKA_GROUP_ID"]
    back = on.log.watermarks(topic)[0].end - 50
    with clickhouse(on) as client:
        client.command(
            f"ALTER TABLE events DELETE WHERE koff BETWEEN {back + 10} AND {back + 20} SETTINGS mutations_sync = 1"
        )
    consumer = Consumer({"bootstrap.servers": on.places["CA_KAFKA_BROKERS"], "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, back)], asynchronous=False)
    consumer.close()
    name = "rows are lost, the offset is set back"
    with seen.fault(on.scraper, name, "the worker has mended it", "CampaignctlIngestRepairs"):
        on.start_worker()
        on.settle()
        fires(on.scraper, "CampaignctlIngestRepairs")
    on.wait_until_counted()


def quarantined(seen: Rehearsal, on: Site) -> None:
    """Workers die of a record until one sets it aside; each has an address of its own."""
    on.wait_until_counted()
    on.stop_worker()
    on.produce([on.event(note="kills")])
    name = "a record ends each process that reads it"
    with seen.fault(on.scraper, name, "the third sets it aside", "CampaignctlQuarantined"):
        for _ in range(2):
            on.start_worker("tests.chaos.mortal")
            assert on.worker is not None
            on.worker.process.wait(_PATIENCE_S)
        on.start_worker("tests.chaos.mortal")
        fires(on.scraper, "CampaignctlQuarantined")
    on.wait_until_counted()
    on.stop_worker()
    on.start_worker()
    on.settle()


def drifted(seen: Rehearsal, on: Site) -> None:
    """A sum is changed by hand; the worker's look at it comes a minute after its start."""
    on.produce([on.event() for _ in range(100)])
    on.wait_until_counted()
    with seen.fault(on.scraper, "a daily sum is changed by hand", "`reaggregate --wait`", "CampaignctlRollupDrift"):
        with clickhouse(on) as client:
            client.command(
                "INSERT INTO rollup_1d (campaign_id, day, platform, region, currency, events, clicks)"
                f" SELECT campaign_id, day, platform, region, currency, 1, 7 FROM rollup_1d WHERE campaign_id = {on.campaign} LIMIT 1"
            )
        on.stop_worker()
        on.start_worker()
        fires(on.scraper, "CampaignctlRollupDrift")
        on.program.run("reaggregate", "--campaign", str(on.campaign), "--wait", timeout_s=_PATIENCE_S)


# ---- faults to servers


def frozen_clickhouse(seen: Rehearsal, on: Site) -> None:
    """It does not answer, while more comes in than ever waits."""
    on.wait_until_counted()
    alerts = ("CampaignctlDependencyDown", "CampaignctlLagging")
    fault = seen.fault(on.scraper, "ClickHouse is frozen", "it is thawed", *alerts, late=["CampaignctlSlowToCount"])
    with fault, Faults("clickhouse").frozen():
        frozen_s = time.monotonic()
        repeated = on.event()
        for _ in range(_LAGGING // 5_000 + 1):
            on.produce([repeated] * 5_000)
        fires(on.scraper, *alerts)
        _wait(lambda: time.monotonic() - frozen_s > _SLOW_S, lambda: "time passes")
    on.wait_until_counted()


def slow_clickhouse(seen: Rehearsal, on: Site) -> None:
    """It answers late, so questions take long and those who ask too much at once are refused."""
    on.wait_until_counted()
    budgets = ("CampaignctlLatencyBudgetBurns", "CampaignctlLatencyBudgetLeaks")
    slow = seen.fault(on.scraper, "ClickHouse hesitates", "it does no more", *budgets)
    with slow, _hesitating(on), Traffic(on, readers=8).asking_new():
        fires(on.scraper, *budgets)
    crowd = seen.fault(on.scraper, "160 clients at once while it hesitates", "they are gone", "CampaignctlSheds")
    with crowd, _hesitating(on), Traffic(on, readers=160).asking_new():
        fires(on.scraper, "CampaignctlSheds")


@contextmanager
def _hesitating(on: Site) -> Iterator[None]:
    """Each answer of ClickHouse comes later than the objective allows, and before anybody takes it for away."""
    on.analytics.hesitate(_LATE_S)
    try:
        yield
    finally:
        on.analytics.hesitate(0)


def frozen_postgres(seen: Rehearsal, on: Site) -> None:
    budgets = ("CampaignctlErrorBudgetBurns", "CampaignctlErrorBudgetLeaks")
    alerts = ("CampaignctlStaleAnswers", "CampaignctlErrors", *budgets)
    with seen.fault(on.scraper, "PostgreSQL is frozen", "it is thawed", *alerts), Faults("postgres").frozen():
        _posting(on, lambda: fires(on.scraper, *alerts))


def _posting(on: Site, during: Callable[[], None]) -> None:
    """Producers go on posting meanwhile, whatever they are told."""
    stopping = threading.Event()
    headers = dict(on.client.headers)

    def post() -> None:
        with httpx2.Client(base_url=on.server.url, timeout=10, headers=headers) as client:
            while not stopping.wait(0.3):
                with suppress(httpx2.HTTPError):
                    client.post("/api/v1/events", json=[])

    producer = threading.Thread(target=post, name="producer", daemon=True)
    producer.start()
    try:
        during()
    finally:
        stopping.set()
        producer.join(30)


def full_disk(seen: Rehearsal, on: Site) -> None:
    ballast = on.program.data_dir / "ballast"
    with seen.fault(on.scraper, "the worker's disk is nearly full", "there is room again", "CampaignctlDiskFills"):
        ballast.write_bytes(bytes(int(_DISK_MIB * 0.93) << 20))
        fires(on.scraper, "CampaignctlDiskFills")
        ballast.unlink()


# ---- faults of clients and platforms


def missed_caches(seen: Rehearsal, on: Site, traffic: Traffic) -> None:
    """Who has asked the same asks something else each time, by as much of the past as the rule looks back."""
    _wait(
        lambda: on.scraper.query(f"campaignctl:cache_hits:ratio_rate1h offset {window_s('1d'):g}s > 0.5"),
        lambda: "answers are kept",
    )
    with seen.fault(on.scraper, "every question is a new one", "the same ones again", "CampaignctlCacheMisses"):
        traffic.asks_new = True
        fires(on.scraper, "CampaignctlCacheMisses")
        traffic.asks_new = False


def silent_platform(seen: Rehearsal, on: Site) -> None:
    """A platform that answered is away, and somebody's sign-in there is about to end."""
    with on.platforms():
        made = on.ask("POST", "/accounts", json=sandbox_account().body())
        assert made.status_code == 201, made.text
        fetched = 'campaignctl_account_fetches_total{outcome="ok",platform="linkedin"} > 0'
        _wait(lambda: on.scraper.query(fetched), lambda: "a report is fetched")
    alerts = ("CampaignctlPlatformStale", "CampaignctlAccountStale", "CampaignctlTokenExpires")
    name = "a platform is away, a sign-in ends in 3 days"
    with ExitStack() as answering, seen.fault(on.scraper, name, "it answers, somebody signs in again", *alerts):
        with psycopg.connect(_postgres(on), autocommit=True) as connection:
            connection.execute(
                "UPDATE platform_accounts SET expires_at_us = %s", [int((time.time() + 3 * 86_400) * 1e6)]
            )
        fires(on.scraper, *alerts)
        answering.enter_context(on.platforms())
        account = f"/accounts/{made.json()['id']}"
        for method, path, given in (
            ("PUT", account, {"json": sandbox_account().body()}),
            ("POST", f"{account}/verify", {}),
        ):
            answer = on.ask(method, path, **given)
            assert answer.status_code == 200, answer.text


# ---- what there is to see


def rules_without_series(scraper: Prometheus) -> set[str]:
    """Recording rules that record nothing."""
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    recorded = {rule["record"] for group in groups for rule in group["rules"] if "record" in rule}
    return {name for name in recorded if not scraper.query(name)}


def unknown_metrics(scraper: Prometheus) -> set[str]:
    """What rules and operators' dashboards name and no process tells; every expression must be one to Prometheus."""
    families = scraper.metadata()
    known = scraper.names() | families | {f"{name}_{end}" for name in families for end in ("bucket", "sum", "count")}
    return {name for expression in _expressions() for name in _named_in(scraper, expression) if name not in known}


def _named_in(scraper: Prometheus, expression: str) -> set[str]:
    scraper.query(expression.replace("$__rate_interval", "5m").replace("$__range", "5m"))
    return named(expression).series


def _expressions() -> Iterator[str]:
    for group in yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]:
        yield from (rule["expr"] for rule in group["rules"])
    for file in sorted((REPOSITORY / "deploy" / "grafana").glob("*.json")):
        targets = [target for panel in json.loads(file.read_text())["panels"] for target in panel["targets"]]
        yield from (target["expr"] for target in targets if "expr" in target)


def alerts() -> set[str]:
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return {rule["alert"] for group in groups for rule in group["rules"] if "alert" in rule}


# ---- the stores of the installation


def clickhouse(on: Site) -> AbstractContextManager[Any]:
    return clickhouse_connect.get_client(
        host=on.places["CA_CLICKHOUSE_HOST"],
        port=int(on.places["CA_CLICKHOUSE_PORT"]),
        database=on.places["CA_CLICKHOUSE_DATABASE"],
    )


def _postgres(on: Site) -> str:
    names = {"host": "HOST", "port": "PORT", "dbname": "DATABASE", "user": "USERNAME", "password": "PASSWORD"}
    given = {name: on.places[f"CA_POSTGRES_{key}"] for name, key in names.items()}
    return psycopg.conninfo.make_conninfo("", **{name: value for name, value in given.items() if value})


STEPS: dict[str, Callable[[Rehearsal, Site], None]] = {
    "stop": stopped,  # first: a partition that was never good for long does not stop
    "poison": poisoned,
    "kill": killed_worker,
    "rewind": rewound,
    "quarantine": quarantined,
    "drift": drifted,
    "clickhouse": frozen_clickhouse,
    "slow": slow_clickhouse,
    "postgres": frozen_postgres,
    "platform": silent_platform,
    "disk": full_disk,
}


def rehearse(home: Path, steps: Sequence[str], told: Callable[[str], None]) -> tuple[list[Row], list[str]]:
    """The rows of the table, and what was not as it should be."""
    seen, wrong = Rehearsal(told), []
    with ExitStack() as stack:
        if not stack.enter_context(small_data_directory(home, _DISK_MIB)):
            wrong.append("no small disk can be mounted: CampaignctlDiskFills is not rehearsed")
            steps = [step for step in steps if step != "disk"]
        on = stack.enter_context(site(home))
        traffic = stack.enter_context(Traffic(on).going())
        _wait(lambda: not rules_without_series(on.scraper), lambda: f"{rules_without_series(on.scraper)} have series")
        for step in steps:
            if step == "cache":
                missed_caches(seen, on, traffic)
            else:
                STEPS[step](seen, on)
        if lacking := rules_without_series(on.scraper):
            wrong.append(f"recorded nothing: {sorted(lacking)}")
        if unknown := unknown_metrics(on.scraper):
            wrong.append(f"named and not told: {sorted(unknown)}")
        if away := {target: health for target, health in on.scraper.targets().items() if health != "up"}:
            wrong.append(f"not up in the end: {away}")
    return seen.rows, wrong


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.alerts", description=__doc__)
    everything = [*STEPS, "cache"]
    parser.add_argument("--step", choices=everything, action="append", help="only this one (may be repeated)")
    given = parser.parse_args()
    if binary() is None:
        parser.error("prometheus is not installed")
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as home:
        rows, wrong = rehearse(Path(home), given.step or everything, _tell)
    if not given.step and (silent := alerts() - {row.alert for row in rows}):
        wrong.append(f"did not fire: {sorted(silent)}")
    print(as_markdown(rows))
    _tell(f"{len({row.alert for row in rows})} alerts fired and resolved in {time.monotonic() - began_s:.0f} s")
    for line in wrong:
        _tell(line)
    return int(bool(wrong))


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
