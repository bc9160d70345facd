"""What all screens share: the API, the clocks, the campaign that was chosen, and who looks."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from campaignctl.domain.users import Role
from campaignctl.errors import Forbidden, NotFound
from campaignctl.tui.reader import Api, Reader

POLL_INTERVAL_S = 2.0


@dataclass(frozen=True, slots=True)
class Who:
    """Who looks, and whether they may start and cancel jobs, see the system, and read dead letters."""

    name: str
    role: str
    may_operate: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.role})" if self.name else self.role


def read_who(reader: Reader) -> Who:
    """Ask the API. An API key and the machine's operator are no users: what they may is tried on a harmless read."""
    try:
        user = reader.get("/api/v1/auth/me")
    except NotFound:
        may_operate = _may_see_the_system(reader)
        return Who("", "operator" if may_operate else "may read", may_operate)
    return Who(user["email"], user["role"], Role(user["role"]).rank >= Role.OPERATOR.rank)


def _may_see_the_system(reader: Reader) -> bool:
    try:
        reader.get("/api/v1/system")
    except Forbidden:
        return False
    return True


@dataclass(slots=True)
class Session:
    """One run of the dashboard. The clocks are given so that a test can stop them."""

    reader: Reader
    where: str
    """The installation, shown at the top so that nobody mistakes one for another."""
    interval_s: float = POLL_INTERVAL_S
    program: str = "campaignctl"
    """How a command begins that reaches this installation: with the flags that say which."""
    campaign_id: int | None = None
    """The chosen campaign; None: the first there is."""
    campaign_name: str = ""
    who: Who | None = None
    """None until it is known: then nothing is offered that needs a right."""
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    monotonic_s: Callable[[], float] = time.monotonic

    @classmethod
    def of(cls, api: Api, where: str, **members: object) -> "Session":
        return cls(Reader(api), where, **members)  # type: ignore[arg-type]  # checked by the names above

    def command(self, line: str) -> str:
        """A line of commands that begin with ``campaignctl``, as they are typed to reach this installation."""
        return re.sub(r"(^|; |\$ )campaignctl ", lambda found: f"{found[1]}{self.program} ", line)

    @property
    def may_operate(self) -> bool:
        return self.who is not None and self.who.may_operate

    @property
    def is_production(self) -> bool:
        """Whether its name says so; such a place is shown in a colour that warns."""
        return "prod" in self.where.lower()
