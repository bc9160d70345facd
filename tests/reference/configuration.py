"""``docs/reference/configuration.md``: every key, its variable, default and meaning."""

from itertools import groupby

from campaignctl.config.settings import Key, Settings, keys
from tests.reference.markdown import MADE, cell, code, table

_BEFORE = """
# Configuration

Everything has a default. `config/config.yaml` (or `--config FILE`, or `CA_CONFIG`), then variables of the environment,
then flags of a command: the later wins. An unknown key is an error that names the nearest known one, and so is a
variable that begins with `CA_` and matches no key. `campaignctl config show` prints the effective values and where each
came from, with secrets masked; `campaignctl config validate FILE` checks a file without starting anything.

A list is `[a, b]` in the file and `a,b` in a variable. A time is a number of seconds, or has a unit: `900`, `15m`, `30d`.
Without servers, secrets that are empty are made once and kept in the data directory, readable by its owner alone; with
`postgres.host` set they have to be given.
"""


def page() -> str:
    """The whole page."""
    defaults = Settings()
    lines = [MADE, *_BEFORE.splitlines(), ""]
    for section, inside in groupby(keys(), key=lambda key: key.name.partition(".")[0]):
        lines += [f"## {section}", ""]
        lines += table(("key", "variable", "default", "what"), (_row(key, defaults) for key in inside))
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(key: Key, defaults: Settings) -> tuple[str, str, str, str]:
    choices = f" One of {', '.join(word or 'empty' for word in key.choices)}." if key.choices else ""
    secret = " A secret." if key.secret else ""
    return f"`{key.name}`", f"`{key.env}`", _default(defaults.shown(key.name)), cell(key.description + choices + secret)


def _default(value: object) -> str:
    match value:
        case bool():
            return code(str(value).lower())
        case None | "" | []:
            return "none"
        case list():
            return code(", ".join(map(str, value)))
    return code(str(value))
