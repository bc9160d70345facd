function __campaignctl_replacement
    abbr --erase __campaignctl_replacement
    echo $__campaignctl_value
end

function __campaignctl_complete
    set --local answer (env _CAMPAIGNCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=get-args \
        _TYPER_COMPLETE_ARGS=(commandline -cp) campaignctl)
    if not string match --quiet --regex '^=' -- "$answer"
        printf '%s\n' $answer
    else if status is-interactive
        set --global __campaignctl_value (string sub --start 2 -- $answer)
        set --local typed (string escape --style=regex -- (commandline --current-token))
        abbr --add __campaignctl_replacement --position anywhere --regex $typed \
            --function __campaignctl_replacement 2>/dev/null
        and commandline --function expand-abbr
    end
end

complete --command campaignctl --no-files --arguments "(__campaignctl_complete)" \
    --condition "env _CAMPAIGNCTL_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=is-args \
        _TYPER_COMPLETE_ARGS=(commandline -cp) campaignctl"
