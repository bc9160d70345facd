"""A 64-bit hash of what an event says, to tell a copy from a conflict."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from campaignctl.domain.events.model import EventColumns

_MULTIPLIER: Final = np.uint64(0x9E3779B97F4A7C15)
"""2^64 / golden ratio, odd: multiplying by it loses nothing and spreads low bits upwards."""
_SHIFT: Final = np.uint64(29)
_WORD_BYTES: Final = 8
_CHUNK_EVENTS: Final = 1_000
"""What one step works on stays in the processor's cache."""
_FOR_NUL: Final = "\udc00"
"""Stands for NUL inside a text, so that NUL can stand between texts; no text of an event holds half a surrogate."""


def fingerprints(columns: EventColumns) -> NDArray[np.uint64]:
    """One hash per event over everything normalized except ``event_id``, ``campaign_id`` and ``index``.

    Call it after the campaigns' own currencies were filled in, so that naming a campaign's currency and leaving it out
    are the same. The hashes are stored: they are equal in every process, on every machine and in every version.
    """
    starts = range(0, len(columns), _CHUNK_EVENTS)
    return np.concatenate([np.zeros(0, np.uint64), *(_hash(columns, slice(s, s + _CHUNK_EVENTS)) for s in starts)])


def _hash(columns: EventColumns, part: slice) -> NDArray[np.uint64]:
    mixed = _hash_texts(_joined_texts(columns, part))
    for numbers in (
        columns.event_time_us,
        columns.impressions,
        columns.clicks,
        columns.conversions_millionths,
        columns.spend_micros,
        columns.revenue_micros,
    ):
        mixed = _scramble(mixed ^ np.asarray(numbers[part], np.int64).view(np.uint64))
    return mixed


def _joined_texts(columns: EventColumns, part: slice) -> list[str]:
    """The texts of each event as one, with a NUL between each two: other texts always make another one."""
    strict = (columns.platform, columns.event_type, columns.region, columns.currency)
    free = [texts[part] for texts in (columns.ad_group_id, columns.ad_id, columns.device)]
    if "\0" in "".join(map("".join, free)):
        free = [[text.replace("\0", _FOR_NUL) for text in texts] for texts in free]
    return list(map("\0".join, zip(*(texts[part] for texts in strict), *free, strict=True)))


def _hash_texts(texts: Sequence[str]) -> NDArray[np.uint64]:
    """The sum of every 8 bytes of UTF-8, each scrambled with a key of its place.

    0 counts as nothing, so it is the same whether the longest text beside it is long or short; and a text cannot be
    confused with one that has more NULs at its end, because each has as many as there are texts to part.
    """
    try:
        table = np.array(texts, np.bytes_)
    except UnicodeEncodeError:  # not all are ASCII
        table = np.array([text.encode("utf-8", "surrogatepass") for text in texts], np.bytes_)
    width = -(-table.itemsize // _WORD_BYTES)
    words = table.astype(f"S{width * _WORD_BYTES}").view("<u8").reshape(len(texts), width)
    keys = _scramble(_scramble(np.arange(1, width + 1, dtype=np.uint64))) | np.uint64(1)
    hashed: NDArray[np.uint64] = _scramble(_scramble(words * keys)).sum(axis=1, dtype=np.uint64)
    return hashed


def _scramble(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Reversible, so that events that differ in one number only never collide; 0 stays 0."""
    multiplied = values * _MULTIPLIER
    return multiplied ^ (multiplied >> _SHIFT)
