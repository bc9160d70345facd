"""Re-aggregation on real servers: two workers, an API process, and sums that were made wrong in ClickHouse itself."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import clickhouse_connect

from tests.support.deployment import deployed, needs_servers, own_places, wait_until_counted

pytestmark = needs_servers

CAMPAIGNS, EVENTS = 4, 400


def test_wrong_sums_are_made_right_while_events_arrive(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    def lines(first: int, count: int) -> list[bytes]:
        return [
            json.dumps(
                {
                    "event_id": str(number),
                    "campaign_id": 1 + number % CAMPAIGNS,
                    "platform": "meta",
                    "event_time": (now - timedelta(hours=number % 1_000)).isoformat(),
                    "impressions": 1,
                }
            ).encode()
            for number in range(first, first + count)
        ]

    with own_places() as settings, deployed(tmp_path, settings, workers=2) as (program, client):
        ids = client.create([{"name": f"campaign {number}"} for number in range(CAMPAIGNS)])
        sent = client.send(lines(0, EVENTS))
        client.wait(sent.positions, ids[0])
        store = clickhouse_connect.get_client(
            host=settings["CA_CLICKHOUSE_HOST"],
            port=int(settings["CA_CLICKHOUSE_PORT"]),
            database=settings["CA_CLICKHOUSE_DATABASE"],
        )
        for number, campaign_id in enumerate(ids):
            store.command(
                "INSERT INTO rollup_1d (campaign_id, day, platform, region, currency, events, impressions)"
                f" VALUES ({campaign_id}, '{(now - timedelta(days=number)).date()}', 'meta', 'IN', 'USD', 1, 1000)"
            )
        jobs = []
        for campaign_id in ids:
            jobs.append(client.api.post(f"/api/v1/campaigns/{campaign_id}/reaggregate", {}).json()["job_id"])
            sent = client.send(lines(EVENTS + campaign_id * 100, 100))
        for job_id in jobs:
            deadline_s = time.monotonic() + 90
            while (job := client.api.get(f"/api/v1/jobs/{job_id}").json())["finished_at"] is None:
                assert time.monotonic() < deadline_s, job
                time.sleep(0.2)
            assert (job["status"], job["result"]["difference"]["impressions"]) == ("succeeded", -1000)
        wait_until_counted(settings)
        rows = store.query(
            "SELECT sum(events), sum(impressions), (SELECT count() FROM events) FROM rollup_1d"
        ).result_rows
        assert rows == [(EVENTS + 100 * CAMPAIGNS,) * 3]
        store.close()
        checked = program.run("reaggregate", "--all", "--check", "-o", "json")
        assert [job["result"]["drift_rows"] for job in checked.json()["items"]] == [0] * CAMPAIGNS
