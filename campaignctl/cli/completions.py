"""``campaignctl completions``: the scripts that ``completions/`` holds too."""

from enum import StrEnum
from typing import Annotated

import typer

from campaignctl.cli.invocation import PROGRAM, examples, invocation_of, new_app, prints_no_data

app = new_app()

# The framework's own zsh script registers itself with compdef only: loaded from fpath, the first TAB would do nothing.
_ZSH = """\
#compdef {program}

_{program}_completion() {{
  eval $(env _TYPER_COMPLETE_ARGS="${{words[1,$CURRENT]}}" {variable}=complete_zsh {program})
}}

if [ "$funcstack[1]" = "_{program}" ]; then
  _{program}_completion "$@"
else
  compdef _{program}_completion {program}
fi
"""
COMPLETE_VARIABLE = f"_{PROGRAM.upper()}_COMPLETE"


class Shell(StrEnum):
    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


@app.command(
    epilog=examples(
        "campaignctl completions bash > ~/.local/share/bash-completion/completions/campaignctl",
        'campaignctl completions zsh > "${fpath[1]}/_campaignctl"',
        "campaignctl completions fish > ~/.config/fish/completions/campaignctl.fish",
    )
)
@prints_no_data
def completions(
    context: typer.Context, shell: Annotated[Shell, typer.Argument(help="The shell to complete in.")]
) -> None:
    """Print the completion script of a shell."""
    invocation_of(context).out().text(script(shell).rstrip("\n"))


def script(shell: Shell) -> str:
    """The completion script; it asks the program itself, so it does not change when commands do."""
    if shell is Shell.ZSH:
        return _ZSH.format(program=PROGRAM, variable=COMPLETE_VARIABLE)
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # there, but not declared

    return get_completion_script(prog_name=PROGRAM, complete_var=COMPLETE_VARIABLE, shell=shell.value) + "\n"
