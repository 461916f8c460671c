# A place of its own on this machine, for the examples: namespaces with their own processes, ports, resolver and /run.
# A script that begins with this needs root, or a system whose users may make namespaces; it changes nothing outside, and
# leaves nothing behind.
set -euo pipefail

# In a checkout what npm ci has built will do, and the Consul of test/install-peers.sh.
built=$(readlink -m "${BASH_SOURCE[0]%/*}/../dist/srv-epmd.cjs")
PATH=$PATH:/usr/sbin:/sbin:/opt/srv-epmd-peers/consul/usr/bin

# need PROGRAM...
need() {
  local program missing=()
  for program in "$@"; do command -v "$program" >/dev/null || missing+=("$program"); done
  [[ ${#missing[@]} -eq 0 ]] || { echo "not found: ${missing[*]} (examples/README.md says what is needed)" >&2 && exit 1; }
}
need ip unshare
[[ -f $built ]] || need srv-epmd

# In namespaces of its own; when the script ends, so does all that it started.
if [[ ${MACHINES:-} != private ]]; then
  flags=(--mount --net --pid --fork --kill-child --mount-proc)
  [[ $(id -u) = 0 ]] || flags+=(--user --map-root-user)
  unshare "${flags[@]}" mount -t tmpfs tmpfs /run || { echo "namespaces need root here" >&2 && exit 1; }
  MACHINES=private exec unshare "${flags[@]}" bash "$0" "$@"
fi
unset "${!SRV_EPMD_@}" "${!CONSUL_@}"
mount -t tmpfs tmpfs /run
trap ': >/run/over; exit 130' INT TERM
trap at_end EXIT
# A VM that fails would leave it in the folder from which this was started.
export ERL_CRASH_DUMP=/dev/null

# background LOG COMMAND...: when it ends with an error, so does the example
background() { { "${@:2}" >"$1" 2>&1 || failed $? "${@:2}"; } & }

# failed CODE COMMAND...: ends what the script waits for, and so the script. What was killed was meant to end.
failed() {
  [[ $1 -lt 128 ]] || return 0
  # Where several fail at the same moment, only the first kills: they would kill each other, and nobody the rest.
  local own=$BASHPID
  (set -o noclobber && echo "$own" >/run/over) 2>/dev/null || return 0
  echo "ended with $1: ${*:2}" >&2
  # All processes of the namespace but this one and the script, which may be about to start the next; until the script ends.
  while sleep 0.05; do kill -- -1 2>/dev/null || :; done
}

# Nothing is left to look at afterwards.
at_end() {
  local code=$?
  if [[ -s /run/over ]]; then
    code=1
    { kill -9 "$(</run/over)" && wait "$(</run/over)"; } 2>/dev/null || :
  fi
  [[ $code =~ ^(0|130)$ ]] || tail -n 5 /run/{,example/}*.log >&2 2>/dev/null || :
  exit "$code"
}
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
ip link set lo up
