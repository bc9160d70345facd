"""Answers over tens of millions of events, on the servers that ``CA_TEST_`` variables name or on the embedded stores.

A thousand campaigns, each on two platforms and in five regions, over 90 days. The raw rows are written by ClickHouse
itself, with the rollup behind them: what is measured is asking. Every question stands beside the bare statement that
it had the store answer, asked once more; kinds take turns. The first measure is at a twentieth of the events: what a
question of the rollup costs should depend on the days asked, not on how many events they were.
"""

import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from campaignctl.adapters.analytics.clickhouse import ClickHouseAnalytics
from campaignctl.config import load_settings
from tests.bench.latency import Asker, serving
from tests.bench.servers import SECTIONS
from tests.support.deployment import own_places
from tests.support.program import Program
from tests.support.thread import Thread, open_thread

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
    with _stores(directory, embedded=embedded) as thread:
        thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
        assert isinstance(thread.app.analytics, ClickHouseAnalytics)
        first = max(events // 20, 1)
        few: dict[str, list[float]] = {}
        with serving(thread.app) as port:
            done = 0
            for until in (first, events):
                _fill(thread, done, until)
                done = until
                taken = _asked(Asker(thread.app, port))  # a connection that was idle meanwhile would be closed
                few = few or taken
        _print(events, first, few, taken, embedded=embedded)


@contextmanager
def _stores(directory: Path, *, embedded: bool) -> Iterator[Thread]:
    if embedded:
        with open_thread(directory / "embedded") as thread:
            yield thread
        return
    home = directory / "home"
    home.mkdir()
    with own_places() as given:
        places = given | {"CA_DATA_DIR": str(home / "data")}
        Program(home, places).run("init-schema")
        settings = load_settings(environ=places)
        with open_thread(home / "data", **{name: getattr(settings, name) for name in SECTIONS}) as thread:
            yield thread


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
    thread.app.metadata.bump_data_versions(list(range(1, CAMPAIGNS + 1)))
    deadline_s = time.monotonic() + _SETTLE_S
    while time.monotonic() < deadline_s:
        merges = store.run_sql("SELECT count() AS n FROM system.merges", {}, max_rows=1, timeout_s=30.0)
        if not int(str(merges.rows[0][0])):
            return
        time.sleep(1.0)


def _asked(asker: Asker) -> dict[str, list[float]]:
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
        "L1": lambda: asker.timed(steady, {})[0],
        "304": lambda: asker.timed(steady, {"If-None-Match": etag}, status=304)[0],
    }
    for name, kind in _KINDS.items():
        kinds[name] = lambda kind=kind: asker.timed(fresh(kind), {})[0]  # type: ignore[misc]
        kinds[f"({name})"] = lambda kind=kind: asker.bare_statement(kind.method, fresh(kind))  # type: ignore[misc]
    taken: dict[str, list[float]] = defaultdict(list)
    for _ in range(ROUNDS):
        for name, ask in kinds.items():
            ask()
            taken[name] += [ask() for _ in range(TIMES)]
    return taken


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


def _ms(times_s: list[float]) -> tuple[float, float]:
    return 1_000 * statistics.median(times_s), 1_000 * statistics.quantiles(times_s, n=100)[-1]
