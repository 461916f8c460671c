# Machines on one Linux, for the examples: network namespaces on a bridge, each with its own name, Consul agent and srv-epmd.
source "${BASH_SOURCE[0]%/*}/private.sh"
need nsenter consul
ip link add bridge type bridge stp_state 0 forward_delay 0
ip link set bridge up

say() { echo "== $*"; }

# on MACHINE COMMAND...
on() {
  local name=$1
  shift
  nsenter --net="/run/$name.net" --uts="/run/$name.uts" "$@"
}

# typed MACHINE COMMAND...: as if it were typed there
typed() {
  echo "$1\$$(printf ' %q' "${@:2}")"
}

show() {
  typed "$@"
  on "$@"
}

# machine NAME ADDRESS FLAG...: with the flags of its srv-epmd
machine() {
  agent "$1" "$2"
  serve "$1" "${@:3}"
}

# agent NAME ADDRESS: a machine with a Consul agent only; the first one has the server
agent() {
  local name=$1 address=$2 consul=(-data-dir="/run/consul-$1")
  touch "/run/$name.net" "/run/$name.uts"
  unshare --net="/run/$name.net" --uts="/run/$name.uts" hostname "$name"
  on "$name" ip link set lo up
  on "$name" ip link add eth0 type veth peer name "$name" netns 1
  on "$name" ip addr add "$address/24" dev eth0
  on "$name" ip link set eth0 up
  ip link set dev "$name" master bridge up
  if [[ -z ${server:-} ]]; then consul=(-dev) server=$address; fi
  consul+=(-node="$name" -bind="$address" -retry-join="$server" -retry-interval=1s -log-level=err)
  background "/run/consul-$name.log" on "$name" consul agent "${consul[@]}"
}

# serve MACHINE FLAG...
serve() {
  background "/run/srv-epmd-$1.log" on "$1" srv-epmd serve "${@:2}"
}

# are_up MACHINE...
are_up() {
  local name
  for name in "$@"; do
    on "$name" srv-epmd wait >/dev/null
    until on "$name" consul catalog nodes >/dev/null 2>&1; do sleep 0.1; done
  done
}
