# Erlang nodes on the machines of machines.sh, with the cookie "example", and what is typed in their shells.
need erl erlc erl_call
export HOME=/run
# Ctrl-C ends a VM, rather than to ask what to do.
export ERL_ZFLAGS=+Bd
# For erl_call alone, which reaches only nodes of its own machine here: it has to resolve the host of a node, and its own.
hosts() {
  echo "127.0.0.1 localhost svc.service.consul $*" >/run/hosts
  mount --bind /run/hosts /etc/hosts
}
declare -A machine_of

# node MACHINE NODE FLAG...: it is there when this returns
node() {
  local machine=$1 node=$2
  background "/run/$node.log" on "$machine" erl -name "$node" -setcookie example -noinput "${@:3}"
  machine_of[$node]=$machine
  eventually evaluate "$node" ok
}

# evaluate NODE EXPRESSION
evaluate() {
  local answer
  answer=$(echo "$2." | on "${machine_of[$1]}" erl_call -c example -name "$1" -e) || return
  echo "$answer" | sed -E 's/^\{ok, (.*)\}$/\1/'
}

# shell NODE EXPRESSION: as if it were typed in the node's shell
shell() {
  echo "($1)> $2."
  evaluate "$@"
}

# says NODE EXPRESSION VALUE
says() { [[ $(evaluate "$1" "$2") = "$3" ]]; }

# eventually COMMAND...: until it succeeds, for 30 s at most
eventually() {
  local end=$((SECONDS + 30))
  until "$@" >/dev/null 2>&1; do
    [[ $SECONDS -lt $end ]] || { echo "in vain: $*" >&2 && exit 1; }
    sleep 0.1
  done
}

# kill_node NODE
kill_node() {
  kill -9 "$(evaluate "$1" 'list_to_integer(os:getpid())')"
}
