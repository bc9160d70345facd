"""What each shell is told while it completes a line.

The framework's own answers, and besides: a number that takes the place of a name that was typed (shells offer only what
begins with the typed text, unless they are told otherwise, each in its own way), the names beside the numbers in bash,
and values behind ``--option=``.
"""

import os
import shlex
from typing import TYPE_CHECKING

from typer._completion_classes import BashComplete, FishComplete, ZshComplete

from campaignctl.cli.known_ids import INSTEAD

if TYPE_CHECKING:
    from typer._click.shell_completion import CompletionItem

_BASH_MENU = str(ord("%"))
"""``COMP_TYPE`` of a completion that puts one after another into the line."""


def _replacing(items: "list[CompletionItem]") -> list[tuple[str, str]]:
    """The values that replace what was typed, with what they are about; none where these are plain completions."""
    split = [(item.value.partition(INSTEAD), item.help or "") for item in items]
    return [(value, about) for (_, mark, value), about in split if mark]


def _before_value(word: str) -> str:
    """``--option=`` of a word that is both."""
    name, equals, _ = word.partition("=")
    return name + equals if word.startswith("--") and equals else ""


class Bash(BashComplete):
    def get_completion_args(self) -> tuple[list[str], str]:
        args, incomplete = super().get_completion_args()
        if args and args[-1] == "=":  # bash makes three words of --option=value
            args.pop()
        return args, incomplete

    def complete(self) -> str:
        items = self.get_completions(*self.get_completion_args())
        replacing = _replacing(items)
        pairs = replacing or [(item.value, item.help or "") for item in items]
        values = [value for value, _ in pairs]
        kind = os.environ.get("COMP_TYPE", _BASH_MENU)
        if len(values) > 1 and kind != _BASH_MENU and all(value.isdigit() for value in values):
            values = [f"{value}  {about}" for value, about in pairs]
            if replacing:  # what all have in common would replace the name that is being typed: now they have nothing
                values.append(" ")
        return "\n".join(values)


class Zsh(ZshComplete):
    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        items = self.get_completions(args, incomplete)
        before = _before_value(incomplete)
        pairs = _replacing(items) or ([(item.value, item.help or "") for item in items] if before else [])
        if not pairs:
            return super().complete()
        values = " ".join(shlex.quote(before + value) for value, _ in pairs)
        shown = " ".join(shlex.quote(f"{value}  {about}".rstrip()) for value, about in pairs)
        menu = "; compstate[insert]=menu" if len(pairs) > 1 else ""
        return f"local -a values=({values}) shown=({shown}); compadd -U -V values -l -d shown -a values{menu}"


class Fish(FishComplete):
    def complete(self) -> str:
        args, incomplete = self.get_completion_args()
        items = self.get_completions(args, incomplete)
        if os.environ.get("_TYPER_COMPLETE_FISH_ACTION") != "get-args":
            return super().complete()
        before = _before_value(incomplete)
        replacing = _replacing(items)
        if len(replacing) == 1:
            return f"={before}{replacing[0][0]}"  # the script puts it in the place of what was typed
        if replacing:  # a name is completed to one of these first
            return "\n".join(f"{before}{about}\t{value}" for value, about in replacing)
        for item in items:
            item.value = before + item.value
        return "\n".join(self.format_completion(item) for item in items)


def register() -> None:
    """Have the framework answer by these."""
    from typer._click.shell_completion import add_completion_class
    from typer._completion_classes import completion_init

    completion_init()
    for shell in (Bash, Zsh, Fish):
        add_completion_class(shell, shell.name)
