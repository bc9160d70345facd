"""Events through real Kafka into real ClickHouse: the product's workers beside ClickHouse's own Kafka engine.

All variants read one topic into tables of one schema, with the same rollup behind them, and take turns. The engine does
less: no deduplication, no look-up of campaigns, days of UTC, and few of the rules of events.

``typed``  the idiomatic set-up: a Kafka table with the columns' types (LowCardinality ones too), read as JSONEachRow;
``raw``    the quickest one known: each message a string, parsed once on its way through a ``Null`` table.

The servers are those that ``CA_TEST_`` variables name. CPU is read from /proc, so they must run on this machine.
"""

import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from string import Template

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from confluent_kafka import ConsumerGroupState
from confluent_kafka.admin import AdminClient

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.kafka import KafkaEventLog
from campaignctl.config import load_settings
from tests.bench.events import CAMPAIGNS, write_events
from tests.bench.ingest import produce
from tests.bench.usage import Processes, listening_on
from tests.support.deployment import own_places, records_left
from tests.support.program import Program
from tests.support.thread import open_thread

_WAIT_S = 600.0
_LOOK_EVERY_S = 0.1
SECTIONS = ("postgres", "clickhouse", "redis", "kafka", "jwt", "secrets", "events")
_ENGINES = {
    "typed": "Kafka engine, typed JSONEachRow",
    "raw": "Kafka engine, raw, parsed once",
}
_ENGINE_CONSUMERS = 2
_ENGINE_SETTINGS = (
    "kafka_broker_list = '$brokers', kafka_topic_list = '$topic', kafka_group_name = '$group',"
    f" kafka_num_consumers = {_ENGINE_CONSUMERS},"
    " kafka_thread_per_consumer = 1, kafka_handle_error_mode = 'stream', kafka_max_block_size = 100000,"
    " kafka_poll_max_batch_size = 65536, kafka_flush_interval_ms = 1000"
)
_ROW = """
    toUInt64($e.campaign_id) AS campaign_id, $e.event_id AS event_id, $time AS event_time, toDate32(event_time) AS day,
    $e.platform AS platform, $e.event_type AS event_type, $e.region AS region, $e.ad_group_id AS ad_group_id,
    $e.ad_id AS ad_id, $e.device AS device, $e.currency AS currency, $e.impressions AS impressions, $e.clicks AS clicks,
    toInt64($e.conversions * 1000000) AS conversions_millionths, toInt64($e.spend * 1000000) AS spend_micros,
    toInt64($e.revenue * 1000000) AS revenue_micros, toUInt32(1) AS ktopic"""
_FIELDS = """
    event_id String, campaign_id UInt64, platform $label, event_time $time, event_type $label, region $label,
    ad_group_id String, ad_id String, device $label, impressions Int64, clicks Int64, conversions Decimal(18, 6),
    spend Decimal(18, 6), revenue Decimal(18, 6), currency $label"""
_LABELS = {"label": "LowCardinality(String)", "time": "DateTime64(6, 'UTC')"}
_TEXTS = {"label": "String", "time": "String"}
_STATEMENTS = {
    "typed": (
        f"CREATE TABLE source ({Template(_FIELDS).substitute(_LABELS)}) ENGINE = Kafka SETTINGS kafka_format ="
        f" 'JSONEachRow', date_time_input_format = 'best_effort', {_ENGINE_SETTINGS}",
        "CREATE TABLE refused (value String) ENGINE = MergeTree ORDER BY tuple()",
        "CREATE MATERIALIZED VIEW to_refused TO refused AS SELECT _raw_message AS value FROM source WHERE _error != ''",
        f"CREATE MATERIALIZED VIEW to_events TO events AS SELECT {Template(_ROW).substitute(e='s', time='s.event_time')},"
        " toUInt16(_partition) AS kpart, toUInt64(_offset) AS koff, _timestamp_ms AS ktime"
        " FROM source AS s WHERE _error = ''",
    ),
    "raw": (
        f"CREATE TABLE source (value String) ENGINE = Kafka SETTINGS kafka_format = 'RawBLOB', {_ENGINE_SETTINGS}",
        "CREATE TABLE refused (value String) ENGINE = MergeTree ORDER BY tuple()",
        f"CREATE TABLE parsed (value String, e Tuple({Template(_FIELDS).substitute(_TEXTS)}), at Nullable(DateTime64(6,"
        " 'UTC')), kpart UInt16, koff UInt64, ktime DateTime64(3, 'UTC')) ENGINE = Null",
        "CREATE MATERIALIZED VIEW to_refused TO refused AS SELECT value FROM parsed WHERE isNull(at) OR e.event_id = ''"
        " OR e.campaign_id = 0 OR e.platform NOT IN ('meta', 'google', 'linkedin', 'tiktok')",
        f"CREATE MATERIALIZED VIEW to_events TO events AS SELECT {Template(_ROW).substitute(e='e', time='assumeNotNull(at)')},"
        " kpart, koff, ktime FROM parsed WHERE isNotNull(at) AND e.event_id != '' AND e.campaign_id != 0"
        " AND e.platform IN ('meta', 'google', 'linkedin', 'tiktok')",
        "CREATE MATERIALIZED VIEW to_parsed TO parsed AS SELECT value,"
        f" JSONExtract(value, 'Tuple({Template(_FIELDS).substitute(_TEXTS)})') AS e,"
        " parseDateTime64BestEffortOrNull(tupleElement(e, 'event_time'), 6, 'UTC') AS at,"
        " toUInt16(_partition) AS kpart, toUInt64(_offset) AS koff, _timestamp_ms AS ktime FROM source",
    ),
}


@dataclass(frozen=True, slots=True)
class Taken:
    """What one variant takes for all events, by what it took for those that were measured."""

    seconds: float
    worker_cpu_s: float
    server_cpu_s: float
    worker_rss_mib: float
    """The most that each worker process had, added up."""

    @property
    def cpu_s(self) -> float:
        return self.worker_cpu_s + self.server_cpu_s


@contextmanager
def full_log(directory: Path, file: Path) -> Iterator[dict[str, str]]:
    """Places of the servers with everything made, the campaigns too, and the file's events in the log, not counted."""
    with own_places() as given:
        places = given | {"CA_DATA_DIR": str(directory / "home" / "data")}
        (directory / "home").mkdir()
        Program(directory / "home", places).run("init-schema")
        settings = load_settings(environ=places)
        with open_thread(directory / "home" / "data", **{name: getattr(settings, name) for name in SECTIONS}) as thread:
            thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
            produce(thread, file)
        yield places


def compare(directory: Path, events: int, rounds: int) -> None:
    """Let the variants take turns, and print medians and ratios."""
    file = directory / "events.ndjson"
    write_events(file, events)
    results: dict[str, list[Taken]] = defaultdict(list)
    with full_log(directory, file) as places:
        for turn in range(rounds):
            for name, run in _variants(directory).items():
                results[name].append(in_own_tables(places, turn, run))
    _print(results, events, rounds)


def _variants(directory: Path) -> dict[str, Callable[[dict[str, str]], Taken]]:
    return {
        "campaignctl work, 1 process": lambda places: by_workers(directory, places, 1),
        "campaignctl work, 2 processes": lambda places: by_workers(directory, places, 2),
        **{name: lambda places, kind=kind: _by_engine(places, kind) for kind, name in _ENGINES.items()},  # type: ignore[misc]
    }


def in_own_tables(places: dict[str, str], turn: int, run: Callable[[dict[str, str]], Taken]) -> Taken:
    """Run a variant in a database and a group that nobody had before."""
    mark = f"{turn}_{time.monotonic_ns()}"
    database = f"{places['CA_CLICKHOUSE_DATABASE']}_{mark}"
    own = places | {"CA_CLICKHOUSE_DATABASE": database, "CA_KAFKA_GROUP_ID": f"{places['CA_KAFKA_GROUP_ID']}-{mark}"}
    try:
        return run(own)
    finally:
        with clickhouse(places, "default") as client:
            client.command(f"DROP DATABASE IF EXISTS {database} SYNC")


def by_workers(directory: Path, places: dict[str, str], count: int, module: str = "campaignctl") -> Taken:
    """``module`` is what runs as the program."""
    program = Program(directory / "home", places, (sys.executable, "-m", module))
    Program(directory / "home", places).run("init-schema")
    with ExitStack() as stack:
        workers = [stack.enter_context(_working(program, number)) for number in range(count)]
        return _measured(places, members=count, workers=workers, arrived="SELECT count() FROM events")


@contextmanager
def _working(program: Program, number: int) -> Iterator[int]:
    """A worker process; answers its id."""
    with _log(program, number).open("wb") as output:
        process = subprocess.Popen(
            [*program.command, "work"], stdout=output, stderr=output, cwd=program.home, env=program.environment()
        )
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)


def _log(program: Program, number: int) -> Path:
    return program.home / f"work-{number}.log"


def _by_engine(places: dict[str, str], kind: str) -> Taken:
    Program(Path(places["CA_DATA_DIR"]).parent, places).run("init-schema")
    names = {
        "brokers": places["CA_KAFKA_BROKERS"],
        "topic": places["CA_KAFKA_EVENTS_TOPIC"],
        "group": places["CA_KAFKA_GROUP_ID"],
    }
    with clickhouse(places, places["CA_CLICKHOUSE_DATABASE"]) as client:
        for statement in _STATEMENTS[kind]:
            client.command(Template(statement).substitute(names))
    arrived = "SELECT (SELECT count() FROM events) + (SELECT count() FROM refused)"
    return _measured(places, members=_ENGINE_CONSUMERS, workers=[], arrived=arrived)


def _measured(places: dict[str, str], *, members: int, workers: Sequence[int], arrived: str) -> Taken:
    """Watch the group from the moment at which each member has its partitions, until the last event can be queried.

    What was counted before, while the group was forming, is left out of the time and of the events; ``arrived`` tells
    how many there are.
    """
    log = KafkaEventLog([places["CA_KAFKA_BROKERS"]], SystemClock())
    with clickhouse(places, places["CA_CLICKHOUSE_DATABASE"]) as client, closing(log):
        admin = AdminClient({"bootstrap.servers": places["CA_KAFKA_BROKERS"]})
        _wait(lambda: _is_complete(admin, places, members))
        started_s = ended_s = time.monotonic()
        before = after = int(str(client.command(arrived)))
        with Processes([_server(places)]) as server, Processes(workers) as used:
            is_whole = False
            while not is_whole:
                time.sleep(_LOOK_EVERY_S)
                if time.monotonic() > started_s + _WAIT_S:
                    raise TimeoutError("not done in time")
                is_whole = not records_left(log, places)
                there = int(str(client.command(arrived)))
                if there != after:
                    ended_s, after = time.monotonic(), there
    if after == before:
        raise SystemExit("all events were counted before the group was complete: --events has to ask for more")
    whole = after / (after - before)
    return Taken((ended_s - started_s) * whole, used.cpu_s * whole, server.cpu_s * whole, used.peak_rss_mib)


def _is_complete(admin: AdminClient, places: dict[str, str], members: int) -> bool:
    """Whether the group has so many members, and every partition belongs to one."""
    topic, group = places["CA_KAFKA_EVENTS_TOPIC"], places["CA_KAFKA_GROUP_ID"]
    partitions = len(admin.list_topics(topic).topics[topic].partitions)
    found = admin.describe_consumer_groups([group])[group].result()
    taken = [len(member.assignment.topic_partitions) for member in found.members if member.assignment]
    return (
        found.state == ConsumerGroupState.STABLE
        and len(taken) == members
        and min(taken) > 0
        and sum(taken) == partitions
    )


def _wait(is_done: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + _WAIT_S
    while not is_done():
        if time.monotonic() > deadline_s:
            raise TimeoutError("not done in time")
        time.sleep(_LOOK_EVERY_S)


def _server(places: dict[str, str]) -> int:
    return listening_on(int(places["CA_CLICKHOUSE_PORT"]))


def clickhouse(places: dict[str, str], database: str) -> Client:
    return clickhouse_connect.get_client(
        host=places["CA_CLICKHOUSE_HOST"], port=int(places["CA_CLICKHOUSE_PORT"]), database=database
    )


def _print(results: dict[str, list[Taken]], events: int, rounds: int) -> None:
    def median(name: str, figure: Callable[[Taken], float]) -> float:
        return statistics.median(map(figure, results[name]))

    millions = events / 1e6
    print(f"on servers: {events:,} events from Kafka to ClickHouse, {rounds} rounds in turn, medians")
    print(f"  {'':34}{'events/s':>10}{'worker':>9}{'server':>9}  CPU-s/M {'RSS MiB':>8}")
    for name in results:
        print(
            f"  {name:34}{events / median(name, lambda one: one.seconds):>10,.0f}"
            f"{median(name, lambda one: one.worker_cpu_s) / millions:>9.1f}"
            f"{median(name, lambda one: one.server_cpu_s) / millions:>9.1f}"
            f"{median(name, lambda one: one.worker_rss_mib):>18.0f}"
        )
    for engine in _ENGINES.values():
        for name in [name for name in results if name not in _ENGINES.values()]:
            wall = [theirs.seconds / ours.seconds for ours, theirs in zip(results[name], results[engine], strict=True)]
            cpu = [ours.cpu_s / theirs.cpu_s for ours, theirs in zip(results[name], results[engine], strict=True)]
            print(
                f"  {name} beside {engine}: {statistics.median(wall):.2f}x the events a second"
                f" ({min(wall):.2f}-{max(wall):.2f}), {statistics.median(cpu):.2f}x the CPU ({min(cpu):.2f}-{max(cpu):.2f})"
            )
