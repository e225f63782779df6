# Completes amazon-recommender in bash, and in zsh after compinit: commands, flags and the words that a flag takes, as
# --help has them. The help of a command is asked for once, and kept until another is completed.

_amazon_recommender() {
    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]} one asked=() offered
    for one in "${COMP_WORDS[@]:1:$((COMP_CWORD - 1))}"; do
        [[ $one != -* && ${#asked[@]} -lt 2 ]] || break # store has commands of its own
        asked+=("$one")
    done
    if [[ ${_amazon_recommender_asked-} != "of ${asked[*]-}" ]]; then
        _amazon_recommender_help=$(COLUMNS=1000 "${COMP_WORDS[0]}" ${asked[@]+"${asked[@]}"} --help 2>/dev/null)
        _amazon_recommender_asked="of ${asked[*]-}"
    fi
    case $before:$word in
        *:-*) offered='s/^ *(-[a-z], )?(--[a-z0-9-]+).*/\2/p' ;;
        --*:*) offered="s/^ *$before \{([^}]*)\}.*/\1/p" ;;
        *) offered='s/^    ([a-z]+)( .*)?$/\1/p' ;;
    esac
    offered=$(sed -nE "$offered" <<<"$_amazon_recommender_help" 2>/dev/null)
    COMPREPLY=($(compgen -W "${offered//,/ }" -- "$word"))
}

[[ -z ${ZSH_VERSION-} ]] || { autoload -U +X bashcompinit && bashcompinit; }
complete -o default -F _amazon_recommender amazon-recommender
