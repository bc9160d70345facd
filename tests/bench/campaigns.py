"""One question about many campaigns, in a process of its own: ``python -m tests.bench.campaigns CAMPAIGNS DIRECTORY``.

Each campaign is linked and has an event on each of three days. Prints one line of JSON: of each question the seconds it
took computed and cached, and how far the process's memory rose while it was computed.
"""

import json
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.bench.ingest import through_log
from tests.bench.usage import Usage, rss_mib
from tests.support.campaigns import add_campaigns
from tests.support.thread import open_thread

_PATH = "/api/v1/insights"
_QUESTIONS = {
    "total": {"granularity": "total"},
    "top 10 by spend": {"granularity": "total", "group_by": "campaign", "sort": "spend", "limit": "10"},
    "days, first page of campaigns": {"group_by": "campaign", "limit": "10000"},
    "hours of three days, chosen by name": {"granularity": "hourly", "q": "bulk 1", "start_date": ""},
}


def main() -> int:
    campaigns, directory = int(sys.argv[1]), Path(sys.argv[2])
    today = datetime.now(UTC)
    days = [today - timedelta(days=n) for n in (3, 2, 1)]
    with open_thread(directory) as thread:
        organization = thread.app.metadata.ensure_organization("bench")
        add_campaigns(thread.app, organization, campaigns)
        file = directory / "events.ndjson"
        with file.open("w") as out:
            for campaign in range(1, campaigns + 1):
                for day in days:
                    out.write(json.dumps(_event(campaign, day)) + "\n")
        through_log(thread, file)
        client = thread.organization("bench")
        shown: dict[str, dict[str, Any]] = {}
        for name, asked in _QUESTIONS.items():
            params = {key: value or days[0].date().isoformat() for key, value in asked.items()}
            before_mib = rss_mib()
            with Usage() as usage:
                body = client.api.get(_PATH, params).content
            start_s = time.perf_counter()
            client.api.get(_PATH, params)
            shown[name] = {
                "seconds": usage.seconds,
                "cached_s": time.perf_counter() - start_s,
                "rise_mib": max(*usage.rss_mib, rss_mib()) - before_mib,
                "rss_mib": max(*usage.rss_mib, rss_mib()),
                "bytes": len(body),
            }
    sys.stdout.write(json.dumps(shown) + "\n")
    return 0


def _event(campaign: int, day: datetime) -> dict[str, Any]:
    at = day.isoformat(timespec="seconds")
    return {
        "event_id": at, "campaign_id": campaign, "platform": "meta", "event_time": at, "impressions": 100, "clicks": 3,
        "spend": f"{campaign % 97}.25",
    }  # fmt: skip


if __name__ == "__main__":
    raise SystemExit(main())
