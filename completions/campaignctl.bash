_campaignctl_completion() {
    local IFS=$'\n'
    COMPREPLY=( $( env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD COMP_TYPE=$COMP_TYPE \
                   _CAMPAIGNCTL_COMPLETE=complete_bash $1 ) )
    return 0
}

complete -o default -F _campaignctl_completion campaignctl
