# For examples whose README shows what to type: the same, in a copy of the folder, on a machine of its own.
source "${BASH_SOURCE[0]%/*}/private.sh"
need awk
# Ctrl-C ends a VM, rather than to ask what to do.
export HOME=/run LANG=C.UTF-8 ERL_ZFLAGS=+Bd

# type_readme: the commands of its console blocks, one after the other in one shell
type_readme() {
  local command commands
  cp -r "$here" /run/example
  cd /run/example
  # As in a shell: of a pipe the last command counts, and what it leaves unread does no harm.
  set +o pipefail
  mapfile -t commands < <(awk '/^```/ { shown = $0 == "```console" } shown && sub(/^[$] /, "")' README.md)
  for command in "${commands[@]}"; do
    echo "$ $command"
    # What is started in the background may fail, and what follows would wait for it.
    [[ $command != *' &' ]] || command="{ ${command%&} || failed \$? ${command@Q}; } &"
    eval "$command"
  done
}
