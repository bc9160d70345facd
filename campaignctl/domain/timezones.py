"""Names of time zones that people may use."""

import zoneinfo
from difflib import get_close_matches
from functools import cache

_NOT_A_PLACE = frozenset({"localtime", "Factory"})
"""Listed by some systems: one means whatever the machine is set to, the other that nobody has set it."""
_OTHER_EDITIONS = ("posix/", "right/", "SystemV/")


@cache
def known_timezones() -> frozenset[str]:
    """IANA names, in their spelling. The first call reads the time zone database's index."""
    names = zoneinfo.available_timezones()
    return frozenset(name for name in names - _NOT_A_PLACE if not name.startswith(_OTHER_EDITIONS))


def nearest_timezone(name: str) -> str | None:
    """The known name that was most likely meant, None when none is near."""
    by_folded = {known.casefold(): known for known in sorted(known_timezones())}
    folded = name.strip().replace(" ", "_").casefold()
    near = get_close_matches(folded, by_folded, n=1, cutoff=0.7)
    return by_folded[near[0]] if near else None
