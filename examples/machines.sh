# Machines on one Linux, for the examples: network namespaces on a bridge, each with its own name, Consul agent and srv-epmd.
# A script that begins with this needs root, or a system whose users may make namespaces; it changes nothing outside, and
# leaves nothing behind.
set -euo pipefail

# In a checkout what npm ci has built will do, and the Consul of test/install-peers.sh.
built=$(readlink -m "${BASH_SOURCE[0]%/*}/../dist/srv-epmd.js")
PATH=$PATH:/usr/sbin:/sbin:/opt/srv-epmd-peers/consul/usr/bin

# need PROGRAM...
need() {
  local program missing=()
  for program in "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
  [[ ${#missing[@]} -eq 0 ]] || { echo "not found: ${missing[*]} (examples/README.md says what is needed)" >&2 && exit 1; }
}
need ip unshare nsenter consul
[[ -f $built ]] || need srv-epmd

# In namespaces of its own; when the script ends, so does all that it started.
if [[ ${MACHINES:-} != private ]]; then
  flags=(--mount --net --pid --fork --kill-child --mount-proc)
  [[ $(id -u) = 0 ]] || flags+=(--user --map-root-user)
  unshare "${flags[@]}" mount -t tmpfs tmpfs /run || { echo "namespaces need root here" >&2 && exit 1; }
  MACHINES=private exec unshare "${flags[@]}" bash "$0" "$@"
fi
unset "${!SRV_EPMD_@}" "${!CONSUL_@}"
trap 'exit 130' INT TERM
# Nothing is left to look at afterwards.
trap '[[ $? =~ ^(0|130)$ ]] || tail -n 5 /run/*.log >&2 2>/dev/null' EXIT
mount -t tmpfs tmpfs /run
resolver=$(readlink -m /etc/resolv.conf)
[[ -e $resolver ]] || { mkdir -p "${resolver%/*}" && touch "$resolver"; }
echo 'nameserver 127.0.0.1' >/run/resolv.conf
mount --bind /run/resolv.conf "$resolver"
if ! command -v srv-epmd >/dev/null; then
  need node
  # Not in /run itself, where srv-epmd has a folder of its own.
  mkdir /run/bin
  printf '#!/bin/sh\nexec node "%s" "$@"\n' "$built" >/run/bin/srv-epmd
  chmod +x /run/bin/srv-epmd
  PATH=$PATH:/run/bin
fi
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
  on "$name" consul agent "${consul[@]}" >"/run/consul-$name.log" &
}

# serve MACHINE FLAG...
serve() {
  on "$1" srv-epmd serve "${@:2}" 2>"/run/srv-epmd-$1.log" &
}

# are_up MACHINE...
are_up() {
  local name
  for name in "$@"; do
    on "$name" srv-epmd wait >/dev/null
    until on "$name" consul catalog nodes >/dev/null 2>&1; do sleep 0.1; done
  done
}
