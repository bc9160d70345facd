"""Which of the forms an operation has fits the request's ``Accept`` (RFC 9110, 12.5.1)."""

import re
from collections.abc import Sequence

_RANGE = re.compile(r"\s*([^\s;,/]+/[^\s;,]+)\s*((?:;[^,]*)?)\Z")
_WEIGHT = re.compile(r";\s*q\s*=\s*(?P<q>[^;\s]*)", re.IGNORECASE)
_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?")


def best_media_type(accept: str, offered: Sequence[str]) -> str | None:
    """The offered media type that the caller likes best, None when it takes none of them.

    Without a preference the first one. Between types that are liked equally, one that is named goes before one that a
    wildcard covers, so that ``text/csv, */*`` means CSV; then the order of ``offered`` decides. A part that does not
    parse counts for nothing.
    """
    if not accept.strip():
        return offered[0]
    ranges = [parsed for part in accept.split(",") if (parsed := _parsed(part)) is not None]
    liked = [(rank, media_type) for media_type in offered if (rank := _rank(media_type, ranges))[0] > 0]
    return max(liked, key=lambda one: one[0])[1] if liked else None  # of equals, max answers the first


def _parsed(part: str) -> tuple[str, float] | None:
    """A media range, lower case, and its weight."""
    found = _RANGE.match(part)
    if found is None:
        return None
    weight = _WEIGHT.search(found[2])
    if weight is None:
        return found[1].lower(), 1.0
    return (found[1].lower(), float(weight["q"])) if _Q.fullmatch(weight["q"]) else None


def _rank(media_type: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """The weight of the most specific range that covers the type, and how specific that is."""
    patterns = (media_type, media_type.split("/")[0] + "/*", "*/*")
    for specificity, pattern in zip((2, 1, 0), patterns, strict=True):
        weights = [weight for given, weight in ranges if given == pattern]
        if weights:
            return max(weights), specificity
    return 0.0, 0
