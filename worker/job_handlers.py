"""Which kinds of jobs this program does, and with what. A new kind is a line here and its handler elsewhere."""

from typing import TYPE_CHECKING

from campaignctl.adapters.event_log.partitioner import partition_for_key
from campaignctl.domain.jobs import JobKind
from campaignctl.services.erasure import EraseHandler
from campaignctl.services.fetching import FetchHandler
from campaignctl.services.jobs import JobHandler
from campaignctl.services.letter_replay import LetterReplay
from campaignctl.services.reaggregation import ReaggregationHandler

if TYPE_CHECKING:
    from campaignctl.bootstrap import App


def job_handlers(app: "App") -> dict[JobKind, JobHandler]:
    """The handlers over the app's stores, by kind."""
    topic = app.settings.kafka.events_topic
    return {
        JobKind.REAGGREGATE: ReaggregationHandler(
            app.event_log, app.metadata, topic=topic, partition_of=partition_for_key
        ),
        JobKind.REPLAY: LetterReplay(
            app.dead_letters, app.event_log, app.metadata, app.intake, events_topic=topic, clock=app.clock
        ),
        JobKind.ERASE: EraseHandler(
            app.analytics, app.event_log, app.erasure.retention, topic=topic, group=app.settings.kafka.group_id
        ),
        JobKind.FETCH: FetchHandler(app.metadata, app.fetcher, app.clock),
    }
