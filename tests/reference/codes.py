"""``docs/reference/errors.md``: every code that the program tells, and the exit codes."""

from campaignctl.cli.exit_codes import MEANINGS
from campaignctl.cli.explanations import pages
from tests.reference.markdown import MADE, cell, table

_BEFORE = """
# Codes

An error has a code: `error[CODE]` on standard error, `code` in a problem document of the API. Warnings stand in answers,
dead letters in their listing, findings in what `doctor` and `verify` print. `campaignctl explain CODE` says the same as this
page, also where there is no page at hand.
"""
_HEADINGS = {"error": "Errors", "warning": "Warnings", "dead letter": "Dead letters", "finding": "Findings"}


def page() -> str:
    """The whole page."""
    lines = [MADE, *_BEFORE.splitlines(), ""]
    known = pages()
    for kind, heading in _HEADINGS.items():
        rows = [
            (f"`{one.code}`", cell(one.meaning), cell(one.why), cell(one.next)) for one in known if one.kind == kind
        ]
        lines += [f"## {heading}", "", *table(("code", "what it means", "why", "what to do"), rows), ""]
    exits = [(str(int(code)), cell(meaning)) for code, meaning in MEANINGS]
    lines += [
        "## Exit codes",
        "",
        "They mean the same for every command; `campaignctl exit-codes` prints them.",
        "",
        *table(("code", "what it means"), exits),
    ]
    return "\n".join(lines) + "\n"
