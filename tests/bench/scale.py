"""Answers over tens of millions of events, on the servers that ``CA_TEST_`` variables name or on the embedded stores.

A thousand campaigns, each on two platforms and in five regions, over 90 days. The raw rows are written by ClickHouse
itself, with the rollup behind them: what is measured is asking. Every question stands beside the bare statement that
it had the store answer, asked once more; kinds take turns. The first measure is at a twentieth of the events: what a
question of the rollup costs should depend on the days asked, not on how many events they were.

Each of the inserts touches every sum of the ninety days, which no batch of a worker does, and leaves another part with
all of them; so the rollup is merged before it is asked, as a stream's is but for its newest batches. How many rows it
has is printed: of a million events some sums by day, platform and region are not there yet.
"""

import secrets
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import httpx2

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.config import load_settings
from tests.bench.latency import Asker, serving
from tests.bench.servers import SECTIONS
from tests.chaos.installation import running
from tests.support.deployment import own_places
from tests.support.program import Program
from tests.support.thread import Thread, open_thread
from tests.support.waiting import eventually

CAMPAIGNS = 1_000
DAYS = 90
ROUNDS = 3
TIMES = 40
"""Of each kind in a round."""
_AT_ONCE = 1_000_000
_SETTLE_S = 120.0
_TODAY = datetime.now(UTC).date()
_FILL = """
INSERT INTO events
SELECT
    concat('e', toString(number)) AS event_id,
    1 + cityHash64(number, 'campaign') % {campaigns:UInt64} AS campaign_id,
    toDateTime64({newest_s:Int64}, 6, 'UTC') - toIntervalSecond(cityHash64(number, 'time') % {span_s:UInt64}) AS event_time,
    toDate32(event_time) AS day,
    ['meta', 'google', 'linkedin', 'tiktok'][1 + (campaign_id + cityHash64(number, 'platform') % 2) % 4] AS platform,
    'metrics' AS event_type,
    ['US', 'US-CA', 'IN', 'DE', 'BR'][1 + cityHash64(number, 'region') % 5] AS region,
    concat('g', toString(cityHash64(number, 'group') % 20)) AS ad_group_id,
    concat('a', toString(cityHash64(number, 'ad') % 100)) AS ad_id,
    ['mobile', 'desktop'][1 + number % 2] AS device,
    'USD' AS currency,
    toInt64(cityHash64(number, 'i') % 2000) AS impressions, toInt64(cityHash64(number, 'c') % 60) AS clicks,
    toInt64(cityHash64(number, 'v') % 3 * 1000000) AS conversions_millionths,
    toInt64(cityHash64(number, 's') % 50000000) AS spend_micros,
    toInt64(cityHash64(number, 'r') % 90000000) AS revenue_micros,
    cityHash64(number) AS fingerprint, 1 AS ktopic, 0 AS kpart, number AS koff, now64(3) AS ktime
FROM numbers({first:UInt64}, {count:UInt64})
"""


@dataclass(frozen=True, slots=True)
class _Kind:
    """A question about campaign ``{n}``; ``method`` is what it asks the store for."""

    method: str
    path: str


def _since(days: int) -> str:
    return (_TODAY - timedelta(days=days)).isoformat()


_ONE = "/api/v1/campaigns/{n}/insights?limit={limit}&start_date="
_KINDS = {
    "30 days, daily": _Kind("sums_by_day", f"{_ONE}{_since(29)}"),
    "12 months, monthly": _Kind("sums_by_day", f"{_ONE}{_since(364)}&granularity=monthly"),
    "30 days by platform and region": _Kind("sums_by_day", f"{_ONE}{_since(29)}&group_by=platform,region"),
    "30 days in another zone": _Kind("sums_by_time", f"{_ONE}{_since(29)}&timezone=Asia/Kolkata"),
    "top 10 of all campaigns, 30 days": _Kind(
        "sums_by_day",
        f"/api/v1/insights?limit={{limit}}&start_date={_since(29)}&granularity=total&group_by=campaign&sort=spend",
    ),
}


def measure(directory: Path, events: int, *, embedded: bool) -> None:
    """Fill, ask and print."""
    with _served(directory, embedded=embedded) as (thread, askers):
        thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
        assert isinstance(thread.app.analytics, ClickHouseAnalytics)
        first = max(events // 20, 1)
        few: dict[str, list[float]] = {}
        rollup: list[int] = []
        done = 0
        for until in (first, events):
            _fill(thread, done, until)
            rollup.append(_rows_of_rollup(thread))
            done = until
            taken = _asked(*askers())  # a connection that was idle meanwhile would be closed
            few = few or taken
        _print(events, first, few, taken, embedded=embedded)
        print(f"  rows of the rollup: {rollup[1]:,}, of {first:,} events {rollup[0]:,}")


@contextmanager
def _served(directory: Path, *, embedded: bool) -> Iterator[tuple[Thread, Callable[[], list[Asker]]]]:
    """The stores, and what makes connections to the API on them.

    On servers there are two ``serve``, each a process of its own as a user starts it. Embedded stores belong to one
    process, so there the API is a thread of this one.
    """
    if embedded:
        with open_thread(directory / "embedded") as thread, serving(thread.app) as port:
            yield thread, lambda: [Asker(thread.app, port)]
        return
    home = directory / "home"
    home.mkdir()
    with own_places() as given:
        places = given | {"CA_DATA_DIR": str(home / "data"), "CA_JWT_ACCESS_TTL": "24h"}
        program = Program(home, places)
        program.run("init-schema")
        settings = load_settings(environ=places)
        with ExitStack() as stack:
            sections = {name: getattr(settings, name) for name in SECTIONS}
            thread = stack.enter_context(open_thread(home / "data", **sections))
            servers = [stack.enter_context(running(program, f"serve-{n}", "serve", "--port", "0")) for n in range(2)]
            urls = [server.wait_for(r"serving on (\S+)") for server in servers]
            eventually(lambda: all(httpx2.get(f"{url}/health/ready", timeout=30).is_success for url in urls))

            def askers() -> list[Asker]:
                token = _token(thread)
                return [Asker(thread.app, urlsplit(url).port or 0, token) for url in urls]

            yield thread, askers


def _token(thread: Thread) -> str:
    """A key that may read, of the organization whose campaigns there are."""
    made = thread.organization("bench").api.post("/api/v1/api-keys", {"name": secrets.token_hex(4), "scopes": ["read"]})
    return str(made.json()["key"])


def _fill(thread: Thread, done: int, until: int) -> None:
    newest_s = int(datetime(_TODAY.year, _TODAY.month, _TODAY.day, tzinfo=UTC).timestamp())
    store = thread.app.analytics
    assert isinstance(store, ClickHouseAnalytics)
    for first in range(done, until, _AT_ONCE):
        parameters = {
            "campaigns": CAMPAIGNS,
            "newest_s": newest_s,
            "span_s": DAYS * 86_400,
            "first": first,
            "count": min(_AT_ONCE, until - first),
        }
        with store._clients.writer() as client:
            client.command(_FILL, parameters=parameters, settings={"max_insert_block_size": 1_000_000})
    with store._clients.own({}) as client:
        client.command("OPTIMIZE TABLE rollup_1d FINAL")
    thread.app.metadata.bump_data_versions(list(range(1, CAMPAIGNS + 1)))
    deadline_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline_s:
        merges = store.run_sql("SELECT count() AS n FROM system.merges", {}, max_rows=1, timeout_s=30.0)
        if not int(str(merges.rows[0][0])):
            return
        time.sleep(1.0)


def _rows_of_rollup(thread: Thread) -> int:
    found = thread.app.analytics.run_sql("SELECT count() AS n FROM rollup_1d", {}, max_rows=1, timeout_s=30.0)
    return int(str(found.rows[0][0]))


def _asked(asker: Asker, other: Asker | None = None) -> dict[str, list[float]]:
    """Seconds of each kind, and of its bare statement under the kind's name in parentheses."""
    asked = 0

    def fresh(kind: _Kind) -> str:
        nonlocal asked
        asked += 1
        return kind.path.format(n=1 + asked % CAMPAIGNS, limit=9_999 - asked)

    steady = _KINDS["30 days, daily"].path.format(n=7, limit=10_000)
    _, etag = asker.timed(steady, {})
    kinds: dict[str, Callable[[], float]] = {
        "trivial route": asker.trivial,
        "L1": lambda: asker.from_level("l1", steady),
        "304": lambda: asker.timed(steady, {"If-None-Match": etag}, status=304)[0],
    }
    if other is not None:
        kinds["L2"] = _from_redis(asker, other, lambda: fresh(_KINDS["30 days, daily"]))
    for name, kind in _KINDS.items():
        kinds[name] = lambda kind=kind: asker.timed(fresh(kind), {})[0]  # type: ignore[misc]
        kinds[f"({name})"] = lambda kind=kind: asker.bare_statement(kind.method, fresh(kind))  # type: ignore[misc]
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, ask in kinds.items():
            asker.hang_up()  # bare statements take their time without it
            ask()
            taken[name] += [ask() for _ in range(TIMES)]
    return taken


def _from_redis(asker: Asker, other: Asker, fresh: Callable[[], str]) -> Callable[[], float]:
    """Asks one process for what the other one has computed.

    That one computes a round's answers beforehand: the trivial route is asked one time after the other as well, and
    beside a computation's last moments it would be measured how two processes and the stores share the processors.
    """
    computed: list[str] = []

    def ask() -> float:
        if not computed:
            other.hang_up()
            for _ in range(TIMES + 1):
                computed.append(fresh())
                other.from_level("miss", computed[-1])
            asker.hang_up()
            asker.trivial()
        path = computed.pop()
        seconds, _ = asker.timed(path, {})
        if asker.answered_by != "l2":
            raise RuntimeError(f"{path}: {asker.answered_by}, not l2")
        return seconds

    return ask


def _print(
    events: int, few_events: int, few: dict[str, list[float]], taken: dict[str, list[float]], *, embedded: bool
) -> None:
    where = "embedded" if embedded else "on servers"
    print(f"answers {where}, one at a time, {events:,} events of {CAMPAIGNS:,} campaigns in {DAYS} days, ms")
    print(f"  {'':36}{'p50':>8}{'p99':>8}{'bare':>8}{'ratio':>8}   p50 at {few_events:,} events")
    for name in _KINDS:
        p50, p99 = _ms(taken[name])
        bare, _ = _ms(taken[f"({name})"])
        before, _ = _ms(few[name])
        print(f"  {name:36}{p50:>8.2f}{p99:>8.2f}{bare:>8.2f}{p50 / bare:>7.2f}x   {before:.2f} ({p50 / before:.2f}x)")
    trivial, l1 = _ms(taken["trivial route"])[0], _ms(taken["L1"])[0]
    print(f"  trivial route {trivial:.2f}; L1 {l1:.2f}, {trivial / l1:.2f} of its rate; 304 {_ms(taken['304'])[0]:.2f}")
    if "L2" in taken:
        l2 = _ms(taken["L2"])[0]
        print(f"  L2 {l2:.2f}, {trivial / l2:.2f} of the trivial route's rate")


def _ms(times_s: list[float]) -> tuple[float, float]:
    return 1_000 * statistics.median(times_s), 1_000 * statistics.quantiles(times_s, n=100)[-1]
