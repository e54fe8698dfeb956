# Completes names of the board; fails where none belong.
_oobctl_names() {
    local names
    names=$(${~${(Q)words[1]}} complete -- "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2>/dev/null </dev/null) || return 1
    compadd -- "${(@f)names}"
    return 0
}
