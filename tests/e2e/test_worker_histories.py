"""What the worker counts over the real embedded stores is what the independent model counts."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.worker_history import history_of
from tests.model.reference import Model

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("seed", range(4))
def test_rows_conflicts_and_refusals_are_those_of_the_model(seed: int, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.e2e.worker_history", str(seed), str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)

    history, model = history_of(seed), Model()
    for number, one in enumerate(history.campaigns, 1):
        model.add_campaign(number, timezone=one["timezone"], currency=one["currency"])
    refused = []
    for offset, step in enumerate(history.steps):
        code = model.feed(step.record, step.log_time_ms)
        if code is not None:
            refused.append([offset, code])
    expected = [
        [
            *(event.campaign_id, event.event_id, event.platform, event.instant, event.event_type, event.region),
            *(event.ad_group_id, event.ad_id, event.device, event.impressions, event.clicks, event.conversions),
            *(event.spend, event.revenue, event.currency),
        ]
        for number in range(1, len(history.campaigns) + 1)
        for event in model.counted(number)
    ]
    assert sorted(found["rows"]) == sorted(expected)
    assert found["refused"] == refused
    assert found["conflicts"] == sum(model.conflicts.values())
    assert found["wrong_days"] == 0, "sums that were made wrong are those of the rows again"
    for campaign_id, receipt in found["receipts"].items():
        counted = model.counted(int(campaign_id))
        assert receipt["rows_read"] == receipt["after"]["events"] == len(counted)
        assert receipt["duplicates_collapsed"] == 0
        assert receipt["after"]["impressions"] == sum(event.impressions for event in counted)
