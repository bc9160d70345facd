"""Positions: what ``POST /events`` answers, so that a later question can wait until those events are applied.

A position names, per partition, the offset that the workers' group must have committed. It is signed, so that nobody
can make one up, and holds its organization and the topic's incarnation, so that it is good nowhere else.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from campaignctl.domain.users import Actor
from campaignctl.errors import InvalidInput, NotYetVisible, Unavailable
from campaignctl.ports.clock import Clock
from campaignctl.ports.event_log import EventLog, Position

DEFAULT_TIMEOUT_S = 10.0

_SIGNATURE_BYTES = 16
_LONGEST_TEXT = 16_384
# The worker lands a lone event within 100 to 200 ms; asking costs 0.1 ms.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.01, 0.1
_NO_ORGANIZATION = 0


@dataclass(frozen=True, slots=True)
class _Target:
    organization_id: int
    incarnation: str
    ends: dict[int, int]


class Positions:
    """``key`` signs positions: at least 32 secret bytes that stay the same over restarts."""

    def __init__(self, event_log: EventLog, *, topic: str, group: str, key: bytes, clock: Clock) -> None:
        self._event_log = event_log
        self._topic = topic
        self._group = group
        self._key = hmac.digest(key, b"campaignctl position", "sha256")
        self._clock = clock

    def make(self, organization_id: int | None, produced: Iterable[Position]) -> str:
        """The position after the records produced; with none it is a position that has been reached."""
        ends = _ends(produced)
        places = [number for partition in sorted(ends) for number in (partition, ends[partition])]
        content = [organization_id or _NO_ORGANIZATION, self._incarnation(), *places]
        body = json.dumps(content, separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._signature(body) + body).rstrip(b"=").decode()

    def wait(self, text: str, actor: Actor, *, timeout_s: float = DEFAULT_TIMEOUT_S) -> None:
        """Return as soon as everything below the position is applied.

        Raises ``InvalidInput`` for a position that was not made here, not for this organization or not for this topic,
        and ``NotYetVisible`` when the time is up.
        """
        target = self._read(text, actor)
        deadline_s = self._clock.monotonic_s() + timeout_s
        pause_s = _FIRST_PAUSE_S
        while not self._are_applied(target.ends):
            left_s = deadline_s - self._clock.monotonic_s()
            if left_s <= 0:
                raise NotYetVisible(
                    "The events before this position are stored safely, but not counted yet.",
                    service="event_log",
                    retry_after_s=1.0,
                    hint="Ask again in a moment; if that does not help, see whether a worker is running.",
                )
            self._clock.sleep(min(pause_s, left_s))
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def reached(self, produced: Iterable[Position]) -> bool:
        """Whether the records are applied."""
        return self._are_applied(_ends(produced))

    def _are_applied(self, ends: Mapping[int, int]) -> bool:
        if not ends:
            return True
        committed = self._event_log.committed(self._topic, self._group)
        return all(partition in committed and committed[partition].offset >= end for partition, end in ends.items())

    def _read(self, text: str, actor: Actor) -> _Target:
        target = self._opened(text)
        if target is None or not actor.sees(target.organization_id):
            raise InvalidInput.of("after", "must be a position that POST /events answered to your organization")
        if target.incarnation != self._incarnation():
            raise InvalidInput.of("after", "is a position in a topic that has been deleted and made again since")
        return target

    def _opened(self, text: str) -> _Target | None:
        """What the text says; None unless it was made and signed here."""
        if len(text) > _LONGEST_TEXT:
            return None
        try:
            signed = base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
        except ValueError:
            return None
        signature, body = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, self._signature(body)):
            return None
        content: list[Any] = json.loads(body)
        organization_id, incarnation, *places = content
        return _Target(organization_id, incarnation, dict(zip(places[::2], places[1::2], strict=True)))

    def _signature(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:_SIGNATURE_BYTES]

    def _incarnation(self) -> str:
        topic = self._event_log.topic(self._topic)
        if topic is None:
            raise Unavailable(
                f"The event log has no topic {self._topic}.",
                service="event_log",
                code="topic_missing",
                hint="campaignctl init-schema creates the topics.",
            )
        return topic.incarnation


def _ends(produced: Iterable[Position]) -> dict[int, int]:
    """By partition, the offset behind the last of the records."""
    ends: dict[int, int] = {}
    for position in produced:
        ends[position.partition] = max(ends.get(position.partition, 0), position.offset + 1)
    return ends
