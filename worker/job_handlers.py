"""Which kinds of jobs this program does, and with what. A new kind is a line here and its handler elsewhere."""

from typing import TYPE_CHECKING

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.jobs import JobKind
from campaignctl.services.erasure import EraseHandler
from campaignctl.services.erasure_wait import AppliedWait
from campaignctl.services.event_erasure import EraseEventsHandler
from campaignctl.services.fetching import FetchHandler
from campaignctl.services.jobs import JobHandler
from campaignctl.services.letter_replay import LetterReplay
from campaignctl.services.reaggregation import ReaggregationHandler
from campaignctl.services.rederivation import RederiveHandler

if TYPE_CHECKING:
    from campaignctl.bootstrap import App


def job_handlers(app: "App") -> dict[JobKind, JobHandler]:
    """The handlers over the app's stores, by kind."""
    topic = app.settings.kafka.events_topic
    applied = AppliedWait(app.event_log, topic=topic, group=app.settings.kafka.group_id)
    return {
        JobKind.REAGGREGATE: ReaggregationHandler(
            app.event_log, app.metadata, topic=topic, partition_of=partition_for_key
        ),
        JobKind.REPLAY: LetterReplay(
            app.dead_letters, app.event_log, app.metadata, app.intake, events_topic=topic, clock=app.clock
        ),
        JobKind.ERASE: EraseHandler(app.analytics, applied, app.erasure.retention),
        JobKind.ERASE_EVENTS: EraseEventsHandler(
            app.analytics,
            app.metadata,
            applied,
            app.erasure.retention,
            app.clock,
            retention_days=app.settings.events.retention_days,
        ),
        JobKind.FETCH: FetchHandler(app.metadata, app.fetcher, app.clock),
        JobKind.REDERIVE: RederiveHandler(app.metadata, app.fetcher, applied),
    }
