"""A real Prometheus on a real installation: everything is scraped, recorded and told, and alerts fire and resolve.

``python -m tests.chaos.alerts`` does the same with every alert.
"""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.chaos.alerts import Rehearsal, killed_worker, poisoned, rules_without_series, unknown_metrics
from tests.chaos.prometheus import binary
from tests.chaos.site import Traffic, site
from tests.support.services import SERVERS, using, variable
from tests.support.waiting import eventually

_WITHIN_S = 120.0


@pytest.mark.skipif(binary() is None, reason="prometheus is not installed")
def test_alerts_fire_and_resolve_in_a_real_prometheus(tmp_path: Path) -> None:
    with ExitStack() as stack:
        for place in SERVERS:
            variable(place)
        for server in ("kafka", "clickhouse", "postgres", "redis"):
            stack.enter_context(using(server))
        on = stack.enter_context(site(tmp_path))
        stack.enter_context(Traffic(on).going())
        eventually(
            lambda: not rules_without_series(on.scraper), "every rule that records has", within_s=_WITHIN_S, every_s=0.5
        )
        assert unknown_metrics(on.scraper) == set()
        assert on.scraper.firing() == set()
        seen = Rehearsal(print)
        poisoned(seen, on)
        killed_worker(seen, on)
        assert {row.alert for row in seen.rows} == {"CampaignctlDeadLettersRise", "CampaignctlDown"}
        eventually(
            lambda: set(on.scraper.targets().values()) == {"up"}, "both are scraped", within_s=_WITHIN_S, every_s=0.5
        )
