# Completes names of the board; fails where none belong.
_oobctl_names() {
    local rest=${COMP_LINE:0:COMP_POINT} words=() word names name before i
    # bash breaks words at ':', '=' and '@'; whole ones are what was typed between blanks.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if [[ $i == 0 || $rest == [[:space:]]* ]]; then
            words+=("")
            rest=${rest#"${rest%%[![:space:]]*}"}
        fi
        ((i < COMP_CWORD)) || word=$rest
        words[${#words[@]} - 1]+=$word
        rest=${rest#"$word"}
    done
    names=$("${words[0]/#\~/$HOME}" complete -- "${words[@]:1}" 2>/dev/null </dev/null) || return 1
    word=${words[${#words[@]} - 1]}
    before=${word%"$1"}
    COMPREPLY=()
    compopt +o default +o bashdefault 2>/dev/null
    while IFS= read -r name; do
        if [[ -n $name && $name == "$word"* ]]; then
            printf -v name %q "${name#"$before"}"
            COMPREPLY+=("$name")
        fi
    done <<<"$names"
    return 0
}
