"""What each code means, why it happens and what to do: one page per code, by where it is met.

A test holds the pages against the source: a code without a page, or a page without a code, fails it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from campaignctl.cli.exit_codes import MEANINGS
from campaignctl.cli.explanations import findings, letters, platforms, problems, requests, warnings

Told = Mapping[str, tuple[str, str, str]]
"""By code: what it means, why it happens, what to do."""


@dataclass(frozen=True, slots=True)
class Page:
    code: str
    kind: str
    """Where it is met: ``error``, ``warning``, ``dead letter``, ``finding`` or ``exit code``."""
    meaning: str
    why: str
    next: str


_EXIT_NEXT = "the line that begins with error[CODE] on standard error says which; then: campaignctl explain CODE"
_SOURCES: tuple[tuple[str, Told], ...] = (
    ("error", {**problems.TOLD, **requests.TOLD, **platforms.TOLD}),
    ("warning", warnings.TOLD),
    ("dead letter", letters.TOLD),
    ("finding", findings.TOLD),
)


def pages() -> list[Page]:
    """All of them, by code; exit codes come last."""
    found = [Page(code, kind, *told) for kind, source in _SOURCES for code, told in source.items()]
    exits = [
        Page(str(int(code)), "exit code", f"{meaning}.", "The program ended with this code.", _EXIT_NEXT)
        for code, meaning in MEANINGS
    ]
    return [*sorted(found, key=lambda page: page.code), *exits]
