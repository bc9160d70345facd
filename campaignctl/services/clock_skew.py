"""Whether this machine's clock is the servers': tokens, leases and what counts as "today" depend on it."""

from collections.abc import Mapping
from datetime import timedelta

from campaignctl.errors import ClockSkew, ConfigurationError, Unavailable
from campaignctl.ports.clock import Clock, ServerClock

TOLERATED = timedelta(seconds=30)
"""What sign-in tolerates between machines, too."""


class ClockComparison:
    """Compares the machine's clock with those of servers, by name."""

    def __init__(self, clock: Clock, servers: Mapping[str, ServerClock]) -> None:
        self._clock = clock
        self._servers = servers

    def check(self) -> None:
        """Raise ``ClockSkew`` when a server's clock differs by more than 30 s. How long the question took is allowed
        for; a server that does not answer is told of by a check of its own.
        """
        for name, server in self._servers.items():
            before = self._clock.now()
            try:
                theirs = server.server_time()
            except (ConfigurationError, Unavailable):
                continue
            after = self._clock.now()
            ahead = before - theirs if before > theirs else timedelta(0)
            behind = theirs - after if theirs > after else timedelta(0)
            if max(ahead, behind) > TOLERATED:
                seconds = round(max(ahead, behind).total_seconds())
                side = "ahead of" if ahead else "behind"
                raise ClockSkew(
                    f"the clock of this machine is {seconds} s {side} that of {name}",
                    hint="have both set by the same time servers (NTP); until then days and ages may be wrong",
                )
