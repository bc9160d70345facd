"""Which kinds of jobs this program does, and with what. A new kind is a line here and its handler elsewhere."""

from typing import TYPE_CHECKING

from campaignctl.domain.jobs import JobKind
from campaignctl.services.jobs import JobHandler
from campaignctl.services.letter_replay import LetterReplay

if TYPE_CHECKING:
    from campaignctl.bootstrap import App


def job_handlers(app: "App") -> dict[JobKind, JobHandler]:
    """The handlers over the app's stores, by kind."""
    return {
        JobKind.REPLAY: LetterReplay(
            app.dead_letters,
            app.event_log,
            app.metadata,
            app.intake,
            events_topic=app.settings.kafka.events_topic,
            clock=app.clock,
        ),
    }
