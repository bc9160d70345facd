"""Going through a long list a page at a time, by the cursors that the API gives."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Pages:
    """Where one is: the first page has no cursor; the way back is remembered."""

    following: str | None = None
    """The cursor of the next page, once this one was read; None at the end."""
    _way: list[str] = field(default_factory=list)

    @property
    def cursor(self) -> str:
        return self._way[-1] if self._way else ""

    def turn(self, by: int) -> bool:
        """Go to the next (1) or previous (-1) page; False when there is none."""
        if by > 0:
            if not self.following or self.following == self.cursor:
                return False
            self._way.append(self.following)
            self.following = None
            return True
        if not self._way:
            return False
        self._way.pop()
        self.following = None
        return True

    def __str__(self) -> str:
        more = ", more with n" if self.following else ""
        back = ", back with N" if self._way else ""
        return f"page {len(self._way) + 1}{more}{back}"
