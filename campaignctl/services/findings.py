"""What a verification finds."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    kind: str
    """``hole``, ``overlap``, ``drift``, ``erased``, ``rewind`` or ``foreign_row``."""
    message: str
    campaign_id: int | None = None
    event_id: str | None = None
    partition: int | None = None
    offset: int | None = None
    day: str | None = None

    def shown(self) -> dict[str, object]:
        return asdict(self)
