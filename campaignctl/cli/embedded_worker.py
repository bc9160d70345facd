"""A worker beside other work of this process, and how a health check sees it."""

from campaignctl.errors import CampaignctlError
from campaignctl.services.health import Check
from worker.lifecycle import working
from worker.runner import WorkerThread

__all__ = ["health_check", "working"]

_STUCK_AFTER_S = 120.0
"""A large insert takes seconds; a loop that has not come round for so long is not coming any more."""


def health_check(thread: WorkerThread) -> Check:
    """Whether the worker lives and turns; a server answers questions without one, so it only degrades."""

    def probe() -> None:
        if thread.error is not None:
            raise CampaignctlError("the worker has ended")
        if thread.worker.status().silent_s > _STUCK_AFTER_S:
            raise CampaignctlError("the worker is stuck")

    return Check("worker", probe, needed=False)
