"""``campaignctl completions``: the scripts that ``completions/`` holds too."""

from enum import StrEnum
from typing import Annotated

import typer

from campaignctl.cli.invocation import PROGRAM, examples, invocation_of, new_app, prints_no_data

app = new_app()

# Beside the framework's own: how bash lists (COMP_TYPE), so that names can stand beside numbers.
_BASH = """\
_{program}_completion() {{
    local IFS=$'\\n'
    COMPREPLY=( $( env COMP_WORDS="${{COMP_WORDS[*]}}" COMP_CWORD=$COMP_CWORD COMP_TYPE=$COMP_TYPE \\
                   {variable}=complete_bash $1 ) )
    return 0
}}

complete -o default -F _{program}_completion {program}
"""
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
# fish offers only what has the typed text in it. A number that stands for a name (the program says =N) takes its place
# as an abbreviation of this one moment, which fish knows since 3.6; before that nothing happens.
_FISH = """\
function __{program}_replacement
    abbr --erase __{program}_replacement
    echo $__{program}_value
end

function __{program}_complete
    set --local answer (env {variable}=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) {program})
    if not string match --quiet --regex '^=' -- "$answer"
        printf '%s\\n' $answer
    else if status is-interactive
        set --global __{program}_value (string sub --start 2 -- $answer)
        set --local typed (string escape --style=regex -- (commandline --current-token))
        abbr --add __{program}_replacement --position anywhere --regex $typed \\
            --function __{program}_replacement 2>/dev/null
        and commandline --function expand-abbr
    end
end

complete --command {program} --no-files --arguments "(__{program}_complete)" \\
    --condition "env {variable}=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args \\
        _TYPER_COMPLETE_ARGS=(commandline -cp) {program}"
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
    scripts = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}
    return scripts[shell].format(program=PROGRAM, variable=COMPLETE_VARIABLE)
