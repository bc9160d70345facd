"""500 random histories of fetches through the real log and worker: what stood when, and what was restated."""

import random
from collections import Counter
from datetime import timedelta
from pathlib import Path

from campaignctl.adapters.clock import SystemClock
from campaignctl.adapters.event_log.embedded import EmbeddedEventLog
from campaignctl.ports.event_log import TopicSpec
from campaignctl.services.restatements import Cause, Restatement, restatements
from campaignctl.services.schema import SchemaService
from tests.contracts.reports_contract import as_model
from tests.e2e.worker_history import LogClock
from tests.e2e.worker_process import EVENTS, LETTERS, Stores, make_worker
from tests.model.reports import Reports, Restated, Told, days_between
from tests.support.fetches import FIRST, FetchHistory, records_of, told_in
from worker.batching import FlushPolicy

HISTORIES, TOGETHER = 500, 25
LAST = FIRST + timedelta(days=5)


def test_what_stood_and_what_was_restated_is_what_the_model_says(tmp_path: Path) -> None:
    rng, clock = random.Random(500), LogClock()
    stores = Stores(tmp_path)
    stores.log.close()
    stores.log = EmbeddedEventLog(tmp_path / "event_log.sqlite", clock)
    analytics = stores.open_analytics()
    SchemaService((stores.metadata, analytics)).apply(30)
    for name in (EVENTS, LETTERS):
        stores.log.ensure_topic(TopicSpec(name, 1, -1, 2**21))
    clock.time_ms = int(SystemClock().now().timestamp() * 1_000)
    histories = [FetchHistory(n, organization_id=n + 1) for n in range(HISTORIES)]
    for turn in range(max(len(history.fetches) for history in histories)):
        for history in histories:
            clock.time_ms += rng.randrange(2)
            if turn < len(history.fetches):
                stores.log.produce(EVENTS, records_of(history.fetches[turn]))

    def stop_when_drained(name: str) -> None:
        if name == "after_poll" and stores.is_drained():
            worker.stop()

    worker = make_worker(stores, analytics, stop_when_drained, FlushPolicy(rows=700, pause_s=0))
    worker.run()

    told: dict[int, list[Told]] = {}
    for one in told_in(stores.log, EVENTS):
        told.setdefault(one.account.organization_id, []).append(one)
    compared: Counter[str] = Counter()
    for start in range(0, HISTORIES, TOGETHER):
        some = [(one, Reports(told.get(one.natives[0].organization_id, []))) for one in histories[start:][:TOGETHER]]
        natives = [(native, reports) for history, reports in some for native in history.natives]
        asked = [native for native, _ in natives]
        moment = rng.choice([one.time_ms for _, reports in some for one in reports.told])
        for as_of in (None, moment):
            days = analytics.report_days(asked, FIRST, LAST, as_of, by_country=True)
            expected = {
                (n, day, region): row
                for n, (native, reports) in enumerate(natives)
                for day in days_between(FIRST, LAST)
                for region, row in reports.rows(native, day, as_of, by_country=True).items()
            }
            assert as_model(days) == expected
            assert days.ever_seen.tolist() == [reports.seen(native, as_of) for native, reports in natives]
            for breakdown, covered in days.covered_us.items():
                assert covered.tolist() == [
                    [reports.covered_us(native, day, breakdown, as_of) for day in days_between(FIRST, LAST)]
                    for native, reports in natives
                ]
        restated = [_plain(one) for one in restatements(asked, analytics.history(asked, FIRST, LAST))]
        model = [one for history, reports in some for one in reports.restatements(history.natives, FIRST, LAST)]
        assert sorted(restated, key=repr) == sorted(model, key=repr)
        compared += Counter(one.cause for one in model)
    assert compared.total() > HISTORIES
    assert min(compared[cause.value] for cause in Cause) > HISTORIES // 10
    analytics.close()
    stores.close()


def _plain(one: Restatement) -> Restated:
    changed = one.metric.value, one.old, one.new
    made_by = one.cause.value, one.old_definition, one.definition
    return Restated(one.native, one.day, *changed, one.fetched_us, one.landed_ms, *made_by)
