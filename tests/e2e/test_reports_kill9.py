"""A worker process that dies while reports land over the real embedded stores: nothing is lost and nothing doubled."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from campaignctl.ports.event_log import TopicSpec
from campaignctl.services.schema import SchemaService
from tests.contracts.reports_contract import assert_days_match
from tests.e2e.worker_process import DIED, EVENTS, LETTERS, Stores
from tests.model.reports import Reports
from tests.support.fetches import FIRST, FetchHistory, records_of, told_in

ROOT = Path(__file__).parents[2]
_TWICE = """SELECT (SELECT count() FROM report_slices) - (SELECT count() FROM (SELECT DISTINCT koff, kindex FROM report_slices))
    + (SELECT count() FROM report_coverage) - (SELECT count() FROM (SELECT DISTINCT * FROM report_coverage)) AS twice"""


@pytest.mark.parametrize("points", [("mid_slices:1", "after_insert:1"), ("mid_coverage:1", "before_insert:1")])
def test_killed_while_reports_land_a_replay_makes_it_exact(tmp_path: Path, points: tuple[str, ...]) -> None:
    stores, histories = Stores(tmp_path), [FetchHistory(n, fetches=30, organization_id=n) for n in (1, 2)]
    analytics = stores.open_analytics()
    SchemaService((stores.metadata, analytics)).apply(30)
    analytics.close()
    for name in (EVENTS, LETTERS):
        stores.log.ensure_topic(TopicSpec(name, 1, -1, 2**21))
    fetches = [one for pair in zip(*(history.fetches for history in histories), strict=False) for one in pair]
    rounds = (*points, "")
    for number, point in enumerate(rounds):
        for fetch in fetches[number :: len(rounds)]:
            stores.log.produce(EVENTS, records_of(fetch))
        code = work(tmp_path, point)
        assert code in {0, DIED} if "mid" in point else code == (DIED if point else 0)
    reports = Reports(told_in(stores.log, EVENTS))
    analytics = stores.open_analytics()
    for history in histories:
        assert_days_match(analytics, reports, history.natives, FIRST, history.last, None)
    [[twice]] = analytics.run_sql(_TWICE, {}, max_rows=1, timeout_s=5).rows
    assert twice == 0
    analytics.close()
    stores.close()


def work(directory: Path, point: str) -> int:
    command = [sys.executable, "-m", "tests.e2e.worker_process", str(directory)]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | {"CA_TEST_FAILPOINT": point or ":0"}, timeout=180, check=False
    ).returncode
