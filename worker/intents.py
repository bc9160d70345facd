"""Intents: what a worker is about to land, written down before it does.

Before a batch is inserted, its range and token go into the metadata of the group's commit, with the batch's **start**
as the committed offset. Whoever owns the partition next reads both at once and repeats exactly this range under exactly
this token, so that the store adds only what is missing. The commit of the next intent, or a plain commit when there is
nothing more to do, acknowledges the batch.
"""

import json
from dataclasses import dataclass

from campaignctl.ports.event_log import Committed, Topic

_VERSION = 1


class UnreadableIntentError(Exception):
    """The commit's metadata is an intent of a newer program, or damaged; going on could count events twice."""


@dataclass(frozen=True, slots=True)
class Intent:
    """Records ``start <= offset < end`` are being landed under ``token``."""

    start: int
    end: int
    token: str
    code: str
    """The rules that made the rows (``Ingestor.code``)."""
    letters_from: int | None = None
    """Where the batch's dead letters may lie in their topic, from there on; None when it has none."""

    def metadata(self) -> str:
        """The text committed with ``start``; about 120 bytes."""
        content = {"v": _VERSION, "end": self.end, "token": self.token, "code": self.code}
        if self.letters_from is not None:
            content["letters"] = self.letters_from
        return json.dumps(content, separators=(",", ":"))


def token_of(topic: Topic, partition: int, start: int, end: int) -> str:
    """The name of a batch for ever: a topic made again has another incarnation, so its offsets are no danger."""
    return f"{topic.incarnation}-{partition}-{start}-{end}"


def unfinished_intent(committed: Committed) -> Intent | None:
    """The intent that was not acknowledged; None when the commit is a plain one.

    Raises ``UnreadableIntentError`` for text that is neither.
    """
    if not committed.metadata:
        return None
    try:
        content = json.loads(committed.metadata)
        if content["v"] != _VERSION:
            raise UnreadableIntentError(f"an intent of version {content['v']}; this program knows {_VERSION}")
        intent = Intent(
            committed.offset, int(content["end"]), str(content["token"]), str(content["code"]), content.get("letters")
        )
    except (ValueError, TypeError, KeyError) as error:
        raise UnreadableIntentError("commit metadata that is no intent") from error
    return intent if intent.end > committed.offset else None
