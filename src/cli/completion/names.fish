# Finds names of the board; fails where none belong.
function __oobctl_names
    set -l words (commandline -opc) (commandline -ct)
    set -l program $words[1]
    set -e words[1]
    set -g __oobctl_names ($program complete -- $words 2>/dev/null </dev/null)
end
complete -c oobctl -n __oobctl_names -f -a '$__oobctl_names'
