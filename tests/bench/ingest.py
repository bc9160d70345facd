"""Events from a file to rows that can be queried, in a process of its own: ``python -m tests.bench.ingest VARIANT FILE DIR``.

``worker`` the product's worker alone: the records lie in the log already;
``log``    the product behind its log: a producer writes the records with their keys, the worker does the rest;
``intake`` the product as ``POST /events`` uses it: every record judged before it goes to the log, and again by the worker;
``plain``  the plainest loop: ``json.loads``, checks by hand, ``Decimal``, rows into the same tables. It drops bad
           records, counts copies twice and loses its place when it is killed.

Prints one line of JSON.
"""

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from campaignctl.cli.embedded_worker import working
from campaignctl.domain.users import Actor
from campaignctl.ports.event_log import NewRecord, Position
from tests.bench.events import CAMPAIGNS, read_events
from tests.bench.usage import Usage
from tests.support.thread import Thread, open_thread

_PRODUCED_AT_ONCE = 2_000
_ROWS_AT_ONCE = 20_000
_WAIT_S = 600.0
_CAMPAIGN = re.compile(rb'"campaign_id": (\d+)')


def main() -> int:
    variant, file, directory = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    run: dict[str, Callable[[Thread, Path], None]] = {
        "worker": from_log,
        "log": through_log,
        "intake": through_intake,
        "plain": plainly,
    }
    with open_thread(directory) as thread:
        thread.organization("bench").create([{"name": f"Campaign {n}"} for n in range(CAMPAIGNS)])
        if variant == "worker":
            produce(thread, file)
        with Usage() as usage:
            run[variant](thread, file)
        rows = thread.app.analytics.run_sql("SELECT count() FROM events", {}, max_rows=1, timeout_s=60.0).rows[0][0]
    result = {
        "variant": variant,
        "seconds": usage.seconds,
        "cpu_s": usage.cpu_s,
        "rss_mib": usage.rss_mib,
        "rows": int(str(rows)),
    }
    sys.stdout.write(json.dumps(result) + "\n")
    return 0


def produce(thread: Thread, file: Path) -> str:
    """Write the file's records to the log; answers their position."""
    app = thread.app
    topic = app.settings.kafka.events_topic
    ends: dict[int, Position] = {}
    for lines in read_events(file, _PRODUCED_AT_ONCE):
        produced = app.event_log.produce(topic, [NewRecord(_key(line), line) for line in lines])
        ends |= {position.partition: position for position in produced}
    return app.positions.make(None, ends.values())


def from_log(thread: Thread, _: Path) -> None:
    app = thread.app
    kept = app.event_log.watermarks(app.settings.kafka.events_topic)
    ends = [Position(partition, marks.end - 1) for partition, marks in kept.items() if marks.end]
    with working(app):
        _wait(thread, app.positions.make(None, ends))


def through_log(thread: Thread, file: Path) -> None:
    with working(thread.app):
        _wait(thread, produce(thread, file))


def _key(line: bytes) -> bytes | None:
    match = _CAMPAIGN.search(line)
    return match[1] if match else None


def through_intake(thread: Thread, file: Path) -> None:
    app = thread.app
    actor = Actor.machine_operator()
    position = ""
    with working(app):
        for number, lines in enumerate(read_events(file, 10_000)):
            position = app.intake.accept(lines, actor=actor, request_id=f"bench-{number}").position
        _wait(thread, position)


def _wait(thread: Thread, position: str) -> None:
    thread.app.positions.wait(position, Actor.machine_operator(), timeout_s=_WAIT_S)


def plainly(thread: Thread, file: Path) -> None:
    insert = _row_inserter(thread)
    rows: list[list[object]] = []
    for lines in read_events(file, _ROWS_AT_ONCE):
        for line in lines:
            row = _checked_row(line)
            if row is not None:
                rows.append(row)
        insert(rows)
        rows = []


def _checked_row(line: bytes) -> list[object] | None:
    """What anyone would write in an afternoon."""
    try:
        event = json.loads(line)
        event_time = datetime.fromisoformat(event["event_time"]).astimezone(UTC)
        if event["platform"].lower() not in ("meta", "google", "linkedin", "tiktok"):
            return None
        if not isinstance(event["campaign_id"], int) or not 0 < len(event["event_id"]) <= 128:
            return None
        impressions, clicks = event.get("impressions", 0), event.get("clicks", 0)
        if not isinstance(impressions, int) or not isinstance(clicks, int) or impressions < 0 or clicks < 0:
            return None
        amounts = [Decimal(str(event.get(name, 0))) for name in ("conversions", "spend", "revenue")]
        if any(amount < 0 or amount >= 10**9 for amount in amounts):
            return None
    except (ValueError, KeyError, TypeError, AttributeError, InvalidOperation):
        return None
    return [
        event["event_id"],
        event["campaign_id"],
        event_time,
        event_time.date(),
        event["platform"].lower(),
        event.get("event_type", "metrics"),
        event.get("region", "ZZ").upper(),
        event.get("ad_group_id", ""),
        event.get("ad_id", ""),
        event.get("device", ""),
        event.get("currency", "USD"),
        impressions,
        clicks,
        *(int(amount * 1_000_000) for amount in amounts),
    ]


_COLUMNS = (
    *("event_id", "campaign_id", "event_time", "day", "platform", "event_type", "region", "ad_group_id", "ad_id"),
    *("device", "currency", "impressions", "clicks", "conversions_millionths", "spend_micros", "revenue_micros"),
)


def _row_inserter(thread: Thread) -> Callable[[list[list[object]]], None]:
    import clickhouse_connect

    path = thread.app.settings.data_dir / "analytics"
    client: Any = clickhouse_connect.get_client(interface="chdb", path=str(path), database="campaign_analytics")

    def insert(rows: list[list[object]]) -> None:
        client.insert("events", rows, column_names=_COLUMNS)

    return insert


if __name__ == "__main__":
    raise SystemExit(main())
