"""Erasing in a restored directory what was erased since its backup was taken."""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from campaignctl.errors import CampaignctlError

if TYPE_CHECKING:
    from campaignctl.adapters.metadata.sqlite import SQLiteMetadata

_REASON = "restore"


def erase_again(sources: Sequence[Path], restored: Path) -> dict[str, Any]:
    """Erase what data directories have erased and the restored one still has; a worker removes the rows.

    Only what is of the same installation: equal numbers of two have nothing to do with each other. Where that cannot be
    done (the restored metadata lacks tables), the campaigns are told as ``erased_since``. A directory that cannot be
    read says nothing: a damaged one is what one restores over.
    """
    from campaignctl.adapters.clock import SystemClock
    from campaignctl.adapters.metadata.sqlite import SQLiteMetadata

    done: dict[str, Any] = {"erased_again": [], "erased_events_again": 0, "erased_since": []}
    with ExitStack() as stack:
        target = SQLiteMetadata(restored / "metadata.sqlite", SystemClock())
        stack.callback(target.close)
        for directory in sources:
            if (directory / "metadata.sqlite").is_file():
                source = SQLiteMetadata(directory / "metadata.sqlite", SystemClock())
                stack.callback(source.close)
                _erase(source, target, done)
    return done


def _erase(source: "SQLiteMetadata", target: "SQLiteMetadata", done: dict[str, Any]) -> None:
    try:
        if not _made_at(source) & _made_at(target):
            return
        campaigns = sorted(source.erased_campaigns().keys() & set(target.campaign_ids(None)))
        events = source.erased_events()
    except CampaignctlError:
        return
    try:
        target.erased_campaigns()
        known = {digest for one in target.erased_events().values() for digest in one.digests}
    except CampaignctlError:
        done["erased_since"] += campaigns
        return
    for campaign_id in campaigns:
        target.erase_campaign(campaign_id, None)
        done["erased_again"].append(campaign_id)
    for erasure in events.values():
        fresh = erasure.digests - known
        if fresh and target.erase_events(erasure.campaign_id, fresh, _REASON, None) is not None:
            known |= fresh
            done["erased_events_again"] += len(fresh)


def _made_at(metadata: "SQLiteMetadata") -> set[tuple[int, object]]:
    """When its organizations were made, to the microsecond: no two installations have one in common."""
    return {(one.id, one.created_at) for one in metadata.organizations()}
