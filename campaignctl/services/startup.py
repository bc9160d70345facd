"""The start of a program that stays: stores may come after it, in any order; what is wrong for good is said at once.

A store that is away, or a schema that is not there yet while stores are away, is waited for. A configuration that the
stores refuse, and a schema that is wrong while all of them answer, end the start: waiting would not help.
"""

from collections.abc import Callable, Mapping

from campaignctl.errors import CampaignctlError, ConfigurationError, SchemaMismatch, Unavailable
from campaignctl.ports.clock import Clock

LOOK_EVERY_S = 1.0


class Startup:
    """``probes`` ask each store by name; ``check_schema`` raises ``SchemaMismatch`` unless all are as they must be."""

    def __init__(
        self, probes: Mapping[str, Callable[[], None]], check_schema: Callable[[], None], clock: Clock
    ) -> None:
        self._probes = probes
        self._check_schema = check_schema
        self._clock = clock

    def look(self) -> list[str]:
        """The names of the stores that are away; none: everything is there and as it must be.

        Raises ``ConfigurationError`` when a store refuses what the configuration says, and ``SchemaMismatch`` when all
        stores answer and one is not as this program needs it.
        """
        away = [name for name, probe in self._probes.items() if _is_away(probe)]
        if not away:
            self._check_schema()
        return away

    def wait(self, on_waiting: Callable[[list[str]], None]) -> None:
        """Return when everything is there; ``on_waiting`` is called once when something is not.

        Raises as ``look`` does, at the first look only: later on, whoever sets things up may be in the middle of it.
        """
        away = self.look()
        if not away:
            return
        on_waiting(away)
        while True:
            self._clock.sleep(LOOK_EVERY_S)
            try:
                if not self.look():
                    return
            except CampaignctlError:
                continue  # the health checks say what it is


def _is_away(probe: Callable[[], None]) -> bool:
    try:
        probe()
    except SchemaMismatch:
        return False  # it answers; the schemas are looked at when all do
    except ConfigurationError:
        raise
    except Unavailable as error:
        return error.code != "topic_missing"
    return False
