"""``python -m tests.bench [--events N]``: how fast the product is on this machine, beside the plainest thing that works.

Only ratios within one run mean anything: variants take turns, each in a process of its own, and medians are shown.
Nothing here asserts.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.bench.events import DAYS, write_events
from tests.bench.memory import worker_memory
from tests.support.program import REPOSITORY

VARIANTS = {
    "worker": "the worker, from the log",
    "log": "a producer and the worker",
    "intake": "POST /events and the worker",
    "plain": "the plainest loop",
}
_LATENCY_EVENTS = 100_000
_REPORTED_CAMPAIGNS = 499
"""LinkedIn answers fewer than 15,000 elements at once: 499 campaigns of 30 days."""

_FETCHED_CAMPAIGNS = 1_000


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Speed in ratios.")
    parser.add_argument("--events", type=int, default=200_000, metavar="N", help="events of a round (default: 200000)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="rounds (default: 3)")
    parser.add_argument(
        "--days", type=int, default=DAYS, metavar="N", help=f"age of the oldest event (default: {DAYS}; 90: a backfill)"
    )
    parser.add_argument(
        "--campaigns",
        type=int,
        default=_FETCHED_CAMPAIGNS,
        metavar="N",
        help=f"campaigns that are fetched (default: {_FETCHED_CAMPAIGNS:,})",
    )
    parser.add_argument(
        "--only",
        choices=(
            "ingest",
            "latency",
            "memory",
            "campaigns",
            "reports",
            "fetching",
            "scale",
            "servers",
            "disk",
            "protocol",
        ),
        help="one part alone",
    )
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="campaignctl-bench-") as home:
        directory = Path(home)
        if chosen.only in (None, "ingest"):
            ingest(directory, chosen.events, chosen.rounds, chosen.days)
        if chosen.only == "memory":
            memory(directory, chosen.events)
        if chosen.only in (None, "latency"):
            latency(directory)
        if chosen.only in (None, "campaigns"):
            campaigns(directory)
        if chosen.only in (None, "reports"):
            reports(directory, chosen.rounds)
        if chosen.only == "fetching":
            fetching(directory, chosen.campaigns)
        if chosen.only == "scale":
            from tests.bench.scale import measure

            measure(directory, chosen.events, embedded="CA_TEST_CLICKHOUSE_HOST" not in os.environ)
        if chosen.only == "servers":
            from tests.bench.servers import compare  # needs servers, and what speaks to them

            compare(directory, chosen.events, chosen.rounds)
        if chosen.only == "disk":
            from tests.bench.disk import measure as measure_disk  # the same

            measure_disk(directory, chosen.events)
        if chosen.only == "protocol":
            from tests.bench.protocol import compare as compare_protocol  # switches things off

            compare_protocol(directory, chosen.events, chosen.rounds)
    return 0


def reports(directory: Path, rounds: int) -> None:
    print(f"reports: from answers without a network into the log, {rounds} rounds, medians")
    print(f"  {'':10}{'rows':>8}{'rows/s':>10}{'rows/CPU-s':>12}{'rise, MiB':>11}")
    for platform in ("meta", "google", "linkedin", "tiktok"):
        for days in (10, 30):
            runs = []
            for turn in range(rounds):
                home = directory / f"reports-{platform}-{days}-{turn}"
                home.mkdir()
                runs.append(_measured("tests.bench.reports", platform, _REPORTED_CAMPAIGNS, days, home))
            rows = runs[0]["rows"]
            rise = statistics.median(max(one["rss_mib"]) - one["rss_mib"][0] for one in runs)
            print(
                f"  {platform:10}{rows:>8,}{rows / _median(runs, 'seconds'):>10,.0f}"
                f"{rows / _median(runs, 'cpu_s'):>12,.0f}{rise:>11.0f}"
            )


def fetching(directory: Path, campaigns: int) -> None:
    """Takes minutes: LinkedIn answers the countries of one campaign at a time, five times a second."""
    print(f"fetching {campaigns:,} campaigns on four platforms, 30 days, from a sandbox with 50 ms latency")
    one = _measured("tests.bench.fetching", campaigns, directory / "fetching")
    shown = {
        "seconds": "took",
        "calls": "calls",
        "rows": "rows",
        "queued_s": "= queued",
        "latency_s": "+ latency",
        "sandbox_s": "+ sandbox's CPU",
        "waits_s": "+ pace, quota",
        "client_s": "+ client's CPU",
        "stores_s": "+ stores",
        "landing_s": "+ landing",
        "for_cpu_s": "+ no CPU free",
        "rest_s": "+ unexplained",
    }
    print(f"  {'':10}" + "".join(f"{name:>16}" for name in shown.values()))
    for platform, told in one["platforms"].items():
        print(f"  {platform:10}" + "".join(f"{told[name]:>16,.1f}" for name in shown))
    print(
        f"  all: {one['seconds']:.0f} s; CPU of the product {one['cpu_s']:.0f} s, of the sandbox {one['sandbox_cpu_s']:.0f} s;"
        f" memory rose by {one['rise_mib']:.0f} MiB"
    )


def ingest(directory: Path, events: int, rounds: int, days: int) -> None:
    file = directory / "events.ndjson"
    size_bytes = write_events(file, events, days=days)
    print(
        f"ingestion: {events:,} events of {days} days, {size_bytes / events:.0f} bytes each, {rounds} rounds, medians"
    )
    results: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for turn in range(rounds):
        for variant in VARIANTS:
            results[variant].append(_measured("tests.bench.ingest", variant, file, directory / f"{variant}-{turn}"))
    plain = _median(results["plain"], "seconds"), _median(results["plain"], "cpu_s")
    print(f"  {'':32}{'events/s':>10}{'CPU-s/M':>9}{'time':>7}{'CPU':>7}  {'RSS MiB':>8}")
    for variant, name in VARIANTS.items():
        seconds, cpu_s = _median(results[variant], "seconds"), _median(results[variant], "cpu_s")
        top = statistics.median(max(one["rss_mib"]) for one in results[variant])
        print(
            f"  {name:32}{events / seconds:>10,.0f}{cpu_s / events * 1e6:>9.1f}"
            f"{seconds / plain[0]:>6.2f}x{cpu_s / plain[1]:>6.2f}x  {top:>8.0f}"
        )
    print(f"  (time and CPU beside {VARIANTS['plain']}, which drops bad records and counts copies twice)")


def memory(directory: Path, events: int) -> None:
    file = directory / "events.ndjson"
    write_events(file, events)
    used = worker_memory(file, directory / "memory")
    samples = used.rss_mib
    tenths = [statistics.median(samples[len(samples) * n // 10 : len(samples) * (n + 1) // 10]) for n in range(10)]
    print(f"memory of campaignctl work over {events:,} events, {len(samples) / 4:.0f} s")
    print(f"  MiB, tenth by tenth: {' '.join(f'{one:.0f}' for one in tenths)}; highest {max(samples):.0f}")
    window = used.window_mib
    print(f"  the deduplication window is {window:.0f} of it in the end")
    print(f"  without the window: last tenth / third tenth {(tenths[-1] - window) / (tenths[2] - 0.25 * window):.2f}")


def latency(directory: Path) -> None:
    file = directory / "latency.ndjson"
    write_events(file, _LATENCY_EVENTS)
    taken = _measured("tests.bench.latency", file, directory / "latency")
    print(f"answers, one at a time, {_LATENCY_EVENTS:,} events of 50 campaigns, ms")
    print(f"  {'':32}{'median':>8}{'p95':>8}   beside")
    for name, beside in (
        ("trivial route", None),
        ("unchanged (304)", "trivial route"),
        ("cached", "trivial route"),
        ("computed, days", "bare statement, days"),
        ("bare statement, days", None),
        ("computed, hours", "bare statement, hours"),
        ("bare statement, hours", None),
    ):
        ratio = f"{taken[name][0] / taken[beside][0]:>5.2f}x {beside}" if beside else ""
        print(f"  {name:32}{taken[name][0]:>8.2f}{taken[name][1]:>8.2f}  {ratio}")
    print(f"  computed / cached: {taken['computed, days'][0] / taken['cached'][0]:.1f}x")


def campaigns(directory: Path) -> None:
    """Memory must grow more slowly than the number of campaigns."""
    print("one question about many campaigns; memory of the whole process: engine, log, worker, server")
    print(f"  {'':38}{'campaigns':>10}{'ms':>8}{'cached':>8}{'rise MiB':>10}{'RSS MiB':>9}{'KiB':>8}")
    for number in (1_000, 10_000):
        for name, one in _measured("tests.bench.campaigns", number, directory / f"campaigns-{number}").items():
            print(
                f"  {name:38}{number:>10,}{1_000 * one['seconds']:>8.0f}{1_000 * one['cached_s']:>8.0f}"
                f"{one['rise_mib']:>10.1f}{one['rss_mib']:>9.0f}{one['bytes'] / 1024:>8.0f}"
            )


def _measured(module: str, *arguments: object) -> Any:
    """Run one variant in a process of its own; answers what it printed."""
    ran = subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=False,
    )
    if ran.returncode:
        raise SystemExit(f"{module} failed:\n{ran.stderr[-3000:]}")
    return json.loads(ran.stdout.splitlines()[-1])


def _median(results: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(one[name]) for one in results)


if __name__ == "__main__":
    raise SystemExit(main())
