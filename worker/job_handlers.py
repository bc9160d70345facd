"""Which kinds of jobs this program does, and with what. A new kind is a line here and its handler elsewhere."""

from typing import TYPE_CHECKING

from campaignctl.domain.jobs import JobKind
from campaignctl.services.jobs import JobHandler

if TYPE_CHECKING:
    from campaignctl.bootstrap import App


def job_handlers(app: "App") -> dict[JobKind, JobHandler]:
    """The handlers over the app's stores, by kind."""
    return {}
