"""What a million events take on disk, in each server: ``python -m tests.bench --only disk --events 1000000``."""

import os
from pathlib import Path

from tests.bench.events import write_events
from tests.bench.servers import by_workers, clickhouse, full_log

_TABLES = """
SELECT table, sum(rows), sum(bytes_on_disk), sum(data_uncompressed_bytes), count() FROM system.parts
WHERE database = currentDatabase() AND active GROUP BY table ORDER BY sum(bytes_on_disk) DESC"""


def measure(directory: Path, events: int) -> None:
    """Produce them, have one worker count them, and look at the tables before and after all merges."""
    file = directory / "events.ndjson"
    given_bytes = write_events(file, events)
    with full_log(directory, file) as places:
        taken = by_workers(directory, places, 1)
        print(f"{events:,} events of {given_bytes / events:.0f} bytes; load {os.getloadavg()[0]:.1f}")
        print(f"one worker: {events / taken.seconds:,.0f} a second, {taken.worker_rss_mib:.0f} MiB")
        with clickhouse(places, places["CA_CLICKHOUSE_DATABASE"]) as client:
            for when in ("as inserted", "merged"):
                for table, rows, on_disk, plain, parts in client.query(_TABLES).result_rows:
                    print(
                        f"{when}: {table}: {rows:,} rows in {parts} parts, {on_disk / events:.1f} bytes an event"
                        f" ({plain / on_disk:.1f} times less than plain)"
                    )
                for table in ("events", "rollup_1d"):
                    client.command(f"OPTIMIZE TABLE {table} FINAL")
